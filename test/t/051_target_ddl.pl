# DDL on the target between two chunks, by both sinks and by pipelines: each change has the outcome that docs/operations.md promises.
# The target is another table than the source.  Covers G-09 as far as the target goes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use Meanwhile;
use StrideCluster;
use Test::More;

my $tables = <<'SQL';
CREATE TABLE s (id integer PRIMARY KEY, n integer);
INSERT INTO s SELECT id, CASE WHEN id <= 20 THEN id ELSE 0 END FROM generate_series(1, 100) AS id;
CREATE TABLE d (id integer PRIMARY KEY, n integer, more text DEFAULT 'usual');
CREATE TYPE row_of_d AS (id integer, n integer);
CREATE FUNCTION as_d(s) RETURNS row_of_d LANGUAGE sql AS 'SELECT $1.id, $1.n';
CREATE TABLE parents AS SELECT id FROM generate_series(1, 20) AS id;
ALTER TABLE parents ADD PRIMARY KEY (id);
CREATE TABLE swapped (LIKE d INCLUDING ALL);
GRANT ALL ON s, d TO app;
SQL
my $parted = $tables =~ s/(more text DEFAULT 'usual'\));/$1 PARTITION BY RANGE (id);
CREATE TABLE d1 PARTITION OF d FOR VALUES FROM (0) TO (50); CREATE TABLE d2 PARTITION OF d FOR VALUES FROM (50) TO (101);/r;

# The ways to write d, each with the sink that it takes.
my %ways = (
	'bulk sink' => "stride.submit('INSERT INTO d (id, n) SELECT id, n FROM s', %s)",
	'statement sink' => q[stride.submit('INSERT INTO d (id, n) SELECT id, n FROM s', settings => '{"sink": "statement"}', %s)],
	'pipeline' => "stride.submit_pipeline('d', source => 's', transform => stride_test_transform('as_d(s)'), %s)",
	'upsert' => "stride.submit_pipeline('d', source => 's', transform_query => 'SELECT id, n FROM chunk', on_conflict => 'update', %s)");

sub trigger
{
	my ($when, $body) = @_;
	return "CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN $body END';"
	  . " CREATE TRIGGER fire $when INSERT ON d FOR EACH ROW EXECUTE FUNCTION fire()";
}

my $all = 'SELECT count(*) FROM d';
my $usual = "SELECT count(*) FILTER (WHERE more = 'usual') || ' usual, ' || count(*) FILTER (WHERE more IS NULL) || ' null' FROM d";

# What is done to the target, and the end: what the error says, or what a query then gives.  The first chunk has ten rows.
my @changes = (
	# Columns
	[ 'ALTER TABLE d ADD COLUMN extra integer', 100 ],
	[ 'ALTER TABLE d ADD COLUMN extra integer NOT NULL DEFAULT 7', 100, 'SELECT count(*) FROM d WHERE extra = 7' ],
	[ 'ALTER TABLE d ADD COLUMN extra integer NOT NULL DEFAULT 7; ALTER TABLE d ALTER extra DROP DEFAULT', qr/23502 .*extra/ ],
	[ 'ALTER TABLE d ADD COLUMN extra integer GENERATED ALWAYS AS (id * 2) STORED', 100, 'SELECT count(*) FROM d WHERE extra = id * 2' ],
	[ 'ALTER TABLE d ADD COLUMN extra integer GENERATED ALWAYS AS IDENTITY', 100, 'SELECT count(DISTINCT extra) FROM d' ],
	[ 'ALTER TABLE d DROP COLUMN more', 100 ],
	[ 'ALTER TABLE d DROP COLUMN n', qr/42703 .*/ ],
	[ 'ALTER TABLE d RENAME n TO m', qr/42703 .*/ ],
	[ 'ALTER TABLE d DROP COLUMN n; ALTER TABLE d ADD COLUMN n bigint DEFAULT -1', 90, 'SELECT count(*) FROM d WHERE n >= 0' ],
	[ 'ALTER TABLE d ALTER n TYPE bigint', 100 ],
	[ 'ALTER TABLE d ALTER n TYPE smallint', 100 ],
	[ 'ALTER TABLE d ALTER n TYPE text', 10, "SELECT count(*) FROM d WHERE n = id::text AND id > 10" ],
	[ q{ALTER TABLE d ALTER n TYPE date USING 'today'}, qr/42804 .*/ ],
	[ 'ALTER TABLE d ALTER more SET NOT NULL', 100 ],
	[ 'ALTER TABLE d ALTER more DROP DEFAULT', '10 usual, 90 null', $usual ],
	[ q{ALTER TABLE d ALTER more SET DEFAULT 'new'}, '10 usual, 0 null', $usual ],
	# Constraints, indexes, triggers, rules
	[ 'ALTER TABLE d ADD CHECK (id < 50)', qr/23514 .*/ ],
	[ 'ALTER TABLE d ADD CHECK (id > 0)', 100 ],
	[ 'CREATE UNIQUE INDEX ON d (n)', qr/23505 .*/ ],
	[ 'CREATE UNIQUE INDEX ON d (n) WHERE n > 0', 100 ],
	[ 'CREATE INDEX CONCURRENTLY ON d (n)', 100 ],
	[ 'REINDEX TABLE CONCURRENTLY d', 100 ],
	[ 'ALTER TABLE d ADD FOREIGN KEY (n) REFERENCES parents', qr/23503 .*/ ],
	[ 'ALTER TABLE d ADD FOREIGN KEY (n) REFERENCES parents DEFERRABLE INITIALLY DEFERRED', qr/23503 .*/ ],
	[ trigger('BEFORE', 'new.n := -1; RETURN new;'), 90, 'SELECT count(*) FROM d WHERE n = -1' ],
	[ 'CREATE TABLE fired (id integer); GRANT ALL ON fired TO app; '
		  . trigger('AFTER', q{EXECUTE format(''INSERT INTO %I.fired VALUES ($1)'', tg_table_schema) USING new.id; RETURN null;}),
		90, 'SELECT count(DISTINCT id) FROM fired' ],
	[ trigger('BEFORE', 'RETURN null;'), 10 ],
	[ trigger('BEFORE', q{RAISE ''not this row''; RETURN null;}), qr/P0001 .*/ ],
	[ 'CREATE RULE nothing AS ON INSERT TO d DO INSTEAD NOTHING', qr/0A000 .*/ ],
	# The table as a whole
	[ 'TRUNCATE d', 90 ],
	[ 'VACUUM FULL d', 100 ],
	[ 'CLUSTER d USING d_pkey', 100 ],
	[ 'ALTER TABLE d SET TABLESPACE elsewhere', 100 ],
	[ 'ALTER TABLE d SET UNLOGGED', qr/0A000 .*d is UNLOGGED/ ],
	[ 'DROP TABLE d', qr/55000 .*no longer exists/ ],
	[ 'ALTER TABLE d RENAME TO e', qr/42P01 .*/ ],
	[ 'ALTER TABLE d RENAME TO e; ALTER TABLE swapped RENAME TO d', qr/55000 .*/ ],
	[ 'DROP TABLE d; ALTER TABLE swapped RENAME TO d', qr/55000 .*no longer exists/ ],
	[ 'ALTER TABLE d RENAME TO e; CREATE VIEW d AS SELECT * FROM e; GRANT ALL ON d TO app', 100, 'SELECT count(*) FROM e' ],
	[ 'ALTER TABLE d RENAME TO e; CREATE VIEW d AS SELECT * FROM swapped; GRANT ALL ON d TO app', qr/55000 .*/ ],
	# Rights
	[ 'REVOKE INSERT ON d FROM app', qr/42501 .*/ ],
	[ 'ALTER TABLE d ENABLE ROW LEVEL SECURITY', qr/42501 .*row-level security/ ],
	[ 'CREATE POLICY all_rows ON d USING (true); ALTER TABLE d ENABLE ROW LEVEL SECURITY', 100 ]);

# The same of a partitioned target.
my @partition_changes = (
	[ 'CREATE TABLE d3 PARTITION OF d FOR VALUES FROM (200) TO (300)', 100 ],
	[ 'CREATE TABLE d3 PARTITION OF d DEFAULT', 100 ],
	[ 'ALTER TABLE d DETACH PARTITION d2', qr/23514 .*no partition/ ],
	[ 'ALTER TABLE d DETACH PARTITION d2; CREATE TABLE d3 PARTITION OF d FOR VALUES FROM (50) TO (101)', 51, 'SELECT count(*) FROM d3' ],
	[ 'ALTER TABLE d DETACH PARTITION d1; CREATE TABLE d3 PARTITION OF d FOR VALUES FROM (0) TO (50)', 10, 'SELECT count(*) FROM d1' ],
	[ 'DROP TABLE d2', qr/23514 .*no partition/ ],
	[ 'TRUNCATE d1', 90 ],
	[ 'ALTER TABLE d2 SET UNLOGGED', qr/0A000 .*d2 is UNLOGGED/ ]);

sub cases
{
	my ($way, $setup, @rows) = @_;
	return map {
		my ($ddl, $end, $result) = @$_;
		+{  name => "$way: " . $ddl =~ s/\s+/ /gr,
			setup => $setup,
			role => 'app',
			submit => sprintf($ways{$way}, "chunk_rows => 10, if_exists => 'new'"),
			meanwhile => $ddl,
			fails => ref $end ? $end : undef,
			result => $result // $all,
			expected => $end };
	} @rows;
}

# An upsert needs the key that it names, and takes rows that come into its way.
my @upsert_changes = ([ 'ALTER TABLE d DROP CONSTRAINT d_pkey', qr/42P10 .*/ ], [ 'UPDATE d SET id = id + 50', 90 ],
	[ 'INSERT INTO d (id, n) SELECT id, -1 FROM s WHERE id > 10', 0, 'SELECT count(*) FROM d WHERE n = -1' ]);

my $node = Meanwhile::node(60);
Meanwhile::allow_transforms($node);
$node->sql(<<'SQL');
CREATE ROLE app LOGIN;
GRANT USAGE ON SCHEMA stride TO app;
CREATE TABLESPACE elsewhere LOCATION '';
GRANT CREATE ON TABLESPACE elsewhere TO app;
SQL
my $log = $node->log_size;
Meanwhile::run($node, cases('bulk sink', $tables, @changes), cases('bulk sink', $parted, @partition_changes));
Meanwhile::run($node, cases('statement sink', $tables, @changes), cases('statement sink', $parted, @partition_changes));
Meanwhile::run($node, cases('pipeline', $tables, @changes), cases('pipeline', $parted, @partition_changes));
Meanwhile::run($node, cases('upsert', $tables, @upsert_changes));
is($node->sql("SELECT string_agg(DISTINCT sink, ', ' ORDER BY sink) FROM stride.jobs"), 'bulk, statement', 'both sinks were taken');
$node->no_crash_since($log, 'nothing crashed');
$node->invariants_hold('and all invariants hold');
$node->stop;
done_testing();
