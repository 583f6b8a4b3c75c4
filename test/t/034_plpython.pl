# Transforms in PL/Python: a row function, one that gives several rows, and one that is called once a batch.  Skipped where
# plpython3u is not installed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

chomp(my $sharedir = `pg_config --sharedir`);
plan skip_all => 'plpython3u is not installed' unless -f "$sharedir/extension/plpython3u.control";

my $node = StrideCluster->fresh('main');
$node->sql(<<'SQL');
CREATE EXTENSION plpython3u;
CREATE TABLE orders AS SELECT id, 'User' || id AS email, id % 7 AS amount FROM generate_series(1, 500) AS id;
ALTER TABLE orders ADD PRIMARY KEY (id);
CREATE TABLE clean (id integer, email text, amount integer);
CREATE FUNCTION one(o orders) RETURNS clean LANGUAGE plpython3u AS
  $$ return None if o["amount"] == 0 else (o["id"], o["email"].lower(), o["amount"]) $$;
CREATE FUNCTION many(o orders) RETURNS SETOF clean LANGUAGE plpython3u AS
  $$ return [{"id": o["id"], "email": o["email"], "amount": i} for i in range(o["amount"])] $$;
CREATE FUNCTION batch(o orders[]) RETURNS SETOF clean LANGUAGE plpython3u AS
  $$ return [(r["id"], r["email"].upper(), len(o)) for r in o] $$;
SELECT stride.register_transform(f, (f || '(orders)')::regprocedure) FROM unnest('{one,many}'::text[]) AS f;
SELECT stride.register_transform('batch', 'batch(orders[])');
SQL

my %expected = (
	one => 'SELECT id, lower(email), amount FROM orders WHERE amount > 0',
	many => 'SELECT id, email, i FROM orders, generate_series(0, amount - 1) AS i');
for my $transform (sort keys %expected)
{
	$node->sql('TRUNCATE clean');
	$node->sql("CALL stride.run_pipeline('clean', source => 'orders', transform => '$transform', chunk_rows => 60)");
	$node->same_rows('SELECT * FROM clean', $expected{$transform}, "$transform: the same rows as in SQL");
}
$node->sql('TRUNCATE clean');
$node->sql("CALL stride.run_pipeline('clean', source => 'orders', transform => 'batch', chunk_rows => 60, settings => '{\"batch_rows\": 25}')");
$node->same_rows('SELECT id, email FROM clean', 'SELECT id, upper(email) FROM orders', 'batch: the same rows as in SQL');
is($node->sql('SELECT max(amount) FROM clean'), 25, 'batch: no call has more rows than batch_rows');

$node->stop;
done_testing();
