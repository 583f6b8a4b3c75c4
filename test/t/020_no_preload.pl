# Without shared_preload_libraries the extension can be created, and each call says what is missing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('bare');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_stride');
$node->safe_psql('postgres', 'CREATE TABLE t AS SELECT id FROM generate_series(1, 10) AS id');
$node->safe_psql('postgres', 'ALTER TABLE t ADD PRIMARY KEY (id)');

for my $call (
	q{SELECT stride.submit('DELETE FROM t')},
	q{CALL stride.run('DELETE FROM t')},
	q{SELECT * FROM stride.explain('DELETE FROM t')},
	q{CALL stride.wait(1)})
{
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$call");
	like($err, qr/55000: pg_stride must be loaded through shared_preload_libraries/, "$call says what is missing");
	like($err, qr/HINT:  Add pg_stride to shared_preload_libraries/, "$call says what to do");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM stride.progress'), '0', 'the views can be read');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), '10', 'nothing was done');
$node->stop;
done_testing();
