# DDL on the source between two chunks: each change has the outcome that docs/operations.md promises, and none is a wrong result, a
# silent early end or a crash.  Covers G-09 and 6.2 of reliability.md as far as the source goes; 051 has the target.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use Meanwhile;
use StrideCluster;
use Test::More;

# What a chunk does to a row is counted in it, so that one that is met twice, or not at all, shows.
my $parted = <<'SQL';
CREATE TABLE t (id integer NOT NULL, part integer NOT NULL, n integer NOT NULL DEFAULT 0, PRIMARY KEY (part, id)) PARTITION BY LIST (part);
CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2);
CREATE TABLE t3 PARTITION OF t FOR VALUES IN (3);
INSERT INTO t SELECT id, 1 + id % 3 FROM generate_series(1, 150) AS id;
CREATE TABLE t4 (LIKE t INCLUDING ALL);
INSERT INTO t4 SELECT id, 4 FROM generate_series(1, 50) AS id;
SQL
my $plain = <<'SQL';
CREATE TABLE t (id integer NOT NULL, n integer NOT NULL DEFAULT 0, note text DEFAULT '');
CREATE UNIQUE INDEX key ON t (id);
INSERT INTO t SELECT id FROM generate_series(1, 100) AS id;
CREATE TABLE swapped (LIKE t INCLUDING ALL);
INSERT INTO swapped SELECT id FROM generate_series(1, 100) AS id;
CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE TYPE mood AS ENUM ('good', 'bad');
ALTER TABLE t ADD mood mood DEFAULT 'good';
CREATE OPERATOR ~+ (FUNCTION = int4pl, LEFTARG = integer, RIGHTARG = integer);
SQL
my $copied = "$plain CREATE TABLE d (id integer, n integer)";
my $moved = "$plain ALTER TABLE t ADD PRIMARY KEY USING INDEX key; CREATE TABLE d (id integer, n integer); CREATE TABLE others (id integer);";
my $piped = "$copied; CREATE FUNCTION as_d(t) RETURNS d LANGUAGE sql AS 'SELECT \$1.id, \$1.n'";
my $guarded = "$plain GRANT SELECT, UPDATE ON t TO app; CREATE POLICY few ON t USING (id < 50)";

my $update = 'UPDATE t SET n = n + 1';
my $copy = 'INSERT INTO d SELECT id, n FROM t';
my %pipelines = (
	function => "stride.submit_pipeline('d', source => 't', transform => stride_test_transform('as_d(t)'), chunk_rows => 10)",
	query => "stride.submit_pipeline('d', source_query => 'SELECT id, n FROM t', chunk_rows => 10)",
	move => "stride.submit_pipeline('d', source => 't', delete_source => true, chunk_rows => 10, transform_query => 'SELECT id, n FROM chunk')");
my $ids = "SELECT count(DISTINCT id) FROM d";
my $counts = "SELECT count(*) FILTER (WHERE n = 1) || ' once, ' || count(*) FILTER (WHERE n <> 1) || ' otherwise' FROM t";

# The tables, what is done to them, and the end: what the error says, or what was met.  Otherwise: the job's statement or pipeline, its
# settings, who runs it, and what tells the result.
my @changes = (
	# Partitions and children
	[ $parted, 'ALTER TABLE t ATTACH PARTITION t4 FOR VALUES IN (4)', qr/55000 .*t4 has become part of \S*t,/ ],
	[ $parted, 'ALTER TABLE t DETACH PARTITION t3', qr/55000 .*t3 is no longer part of \S*t\./ ],
	[ $parted, 'ALTER TABLE t DETACH PARTITION t3 CONCURRENTLY', qr/55000 .*t3 is no longer part of \S*t\./ ],
	[ $parted, 'DROP TABLE t3', qr/55000 .*t3 no longer exists/ ],
	[ $parted, 'ALTER TABLE t3 RENAME TO t5', '150 once, 0 otherwise' ],
	[ $parted, 'VACUUM FULL t3', '150 once, 0 otherwise' ],
	[ $parted, 'CLUSTER t3 USING t3_pkey', '150 once, 0 otherwise' ],
	[ $parted, 'ALTER TABLE t DROP CONSTRAINT t_pkey', qr/55000 .*/ ],
	[ $parted, 'REINDEX TABLE CONCURRENTLY t', '150 once, 0 otherwise' ],
	[ $parted, 'TRUNCATE t3', qr/55000 .*t3 was truncated/ ],
	[ $parted, 'TRUNCATE t', qr/55000 .*was truncated/ ],
	[ $parted, 'DROP TABLE t CASCADE', qr/55000 .*no longer exists/ ],
	[ $plain, 'CREATE TABLE child () INHERITS (t)', qr/55000 .*child has become part of/ ],
	[ "$plain CREATE TABLE child (PRIMARY KEY (id)) INHERITS (t); INSERT INTO child SELECT id FROM generate_series(101, 110) AS id",
		'ALTER TABLE child NO INHERIT t', qr/55000 .*child is no longer part of \S*t\./ ],
	# The table as a whole
	[ $plain, 'TRUNCATE t', qr/55000 .*was truncated before all of it was walked/ ],
	[ $plain, 'TRUNCATE t; INSERT INTO t SELECT id FROM generate_series(1, 100) AS id', qr/55000 .*was truncated/ ],
	[ $copied, 'TRUNCATE t', qr/55000 .*was truncated/, { statement => $copy } ],
	[ "$plain GRANT TRUNCATE ON t TO nobody", 'SET ROLE nobody; TRUNCATE t; RESET ROLE', qr/55000 .*was truncated/ ],
	[ $plain, 'BEGIN; TRUNCATE t; ROLLBACK', '100 once, 0 otherwise' ],
	[ $plain, 'TRUNCATE swapped', '100 once, 0 otherwise' ],
	[ $plain, 'DELETE FROM t WHERE id > 30; VACUUM FULL t', '30 once, 0 otherwise' ],
	[ $plain, 'DROP TABLE t', qr/55000 .*no longer exists/ ],
	[ $plain, 'ALTER TABLE t RENAME TO u', qr/42P01 .*/ ],
	[ $plain, 'ALTER TABLE t RENAME TO u; ALTER TABLE swapped RENAME TO t', qr/55000 .*/ ],
	[ $plain, 'ALTER TABLE t RENAME TO u; CREATE VIEW t AS SELECT * FROM u', qr/55000 .*/ ],
	[ $plain, 'DROP TABLE t; ALTER TABLE swapped RENAME TO t', qr/55000 .*no longer exists/ ],
	[ $plain, 'ALTER TABLE t SET UNLOGGED', qr/0A000 .*t is UNLOGGED/ ],
	[ $copied, 'ALTER TABLE t SET UNLOGGED', 100, { statement => $copy, result => 'SELECT count(DISTINCT id) FROM d' } ],
	[ $copied, 'ALTER TABLE t SET TABLESPACE elsewhere', 100, { statement => $copy, result => 'SELECT count(DISTINCT id) FROM d' } ],
	[ $plain, 'CREATE RULE nothing AS ON UPDATE TO t DO INSTEAD NOTHING', qr/0A000 .*/ ],
	# The key
	[ $plain, 'DROP INDEX key', qr/55000 .*/ ],
	[ $plain, 'DROP INDEX key; CREATE UNIQUE INDEX key ON t (id)', '100 once, 0 otherwise' ],
	[ $plain, 'DROP INDEX key; CREATE UNIQUE INDEX key ON t (id DESC)', qr/55000 .*relies on \(id integer\) and finds \(id integer DESC\)/ ],
	[ $plain, 'DROP INDEX key; CREATE UNIQUE INDEX key ON t (id) WHERE id > 0', qr/55000 .*/ ],
	[ "$plain DROP INDEX key; ALTER TABLE t ALTER id TYPE text COLLATE \"C\"; CREATE UNIQUE INDEX key ON t (id)",
		'DROP INDEX key; CREATE UNIQUE INDEX key ON t (id text_pattern_ops)', qr/55000 .*finds \(id text .*USING text_pattern_ops\)/ ],
	[ $plain, 'ALTER INDEX key RENAME TO other', '100 once, 0 otherwise' ],
	[ $plain, 'REINDEX INDEX key', '100 once, 0 otherwise' ],
	[ $plain, 'REINDEX INDEX CONCURRENTLY key', '100 once, 0 otherwise' ],
	[ $plain, 'ALTER TABLE t ALTER id DROP NOT NULL', qr/55000 .*can no longer be walked/ ],
	[ $plain, 'ALTER TABLE t ALTER id TYPE bigint', qr/55000 .*relies on \(id integer\) and finds \(id bigint\)/ ],
	[ $plain, 'ALTER TABLE t RENAME id TO key', qr/55000 .*relies on/ ],
	# Other columns, and what the statement calls
	[ $plain, 'ALTER TABLE t DROP COLUMN n', qr/42703 .*/ ],
	[ $plain, 'ALTER TABLE t DROP COLUMN note', '100 once, 0 otherwise' ],
	[ $plain, 'ALTER TABLE t ADD COLUMN more double precision DEFAULT random()', '100 once, 0 otherwise' ],
	[ $plain, 'ALTER TABLE t ALTER n TYPE bigint', '100 once, 0 otherwise' ],
	[ $plain, 'ALTER TABLE t ALTER n DROP DEFAULT, ALTER n TYPE bytea USING $$\x00$$', qr/42883 .*/ ],
	[ $plain, 'DROP TYPE mood CASCADE', qr/42703 .*/, { statement => "UPDATE t SET n = n + 1 WHERE mood = 'good'" } ],
	[ $plain, 'ALTER TABLE t ADD CHECK (n < 1) NOT VALID', qr/23514 .*/ ],
	[ $plain, q{CREATE FUNCTION twice() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.n := new.n + 1; RETURN new; END';
		CREATE TRIGGER twice BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION twice()}, '10 once, 90 otherwise' ],
	[ $plain, q{CREATE OR REPLACE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 2'}, '10 once, 90 otherwise',
		{ statement => 'UPDATE t SET n = n + one()' } ],
	[ $plain, 'DROP FUNCTION one()', qr/42883 .*/, { statement => 'UPDATE t SET n = n + one()' } ],
	[ $plain, 'DROP OPERATOR ~+ (integer, integer); CREATE OPERATOR ~+ (FUNCTION = int4mi, LEFTARG = integer, RIGHTARG = integer)',
		'10 once, 90 otherwise', { statement => 'UPDATE t SET n = n OPERATOR(~+) 1' } ],
	# Rights
	[ $guarded, 'ALTER TABLE t ENABLE ROW LEVEL SECURITY', qr/55000 .*finds \(id integer; permissive policy few .*id < 50/, { role => 'app' } ],
	[ "$guarded; ALTER TABLE t ENABLE ROW LEVEL SECURITY", 'ALTER POLICY few ON t USING (id < 30)', qr/55000 .*id < 50.*id < 30/, { role => 'app' } ],
	[ "$guarded; ALTER TABLE t ENABLE ROW LEVEL SECURITY", 'CREATE POLICY more ON t FOR SELECT USING (true)', qr/55000 .*policy more/, { role => 'app' } ],
	[ $guarded, 'REVOKE UPDATE ON t FROM app', qr/42501 .*/, { role => 'app' } ],
	[ $guarded, 'REVOKE SELECT ON t FROM app', qr/42501 .*/, { role => 'app' } ],
	# Keys saved at the start
	[ $plain, 'TRUNCATE t', qr/55000 .*was truncated/, { settings => '{"source_rows": "at_start"}' } ],
	[ $plain, 'REINDEX INDEX CONCURRENTLY key', '100 once, 0 otherwise', { settings => '{"source_rows": "at_start"}' } ],
	[ $plain, 'ALTER TABLE t ALTER id TYPE bigint', qr/55000 .*relies on/, { settings => '{"source_rows": "at_start"}' } ],
	# Pipelines
	[ $piped, 'TRUNCATE t', qr/55000 .*was truncated/, { pipeline => 'function' } ],
	[ $piped, 'ALTER TABLE t ADD COLUMN more integer DEFAULT 1, DROP COLUMN note', 100, { pipeline => 'function', result => $ids } ],
	[ $piped, 'ALTER TABLE t DROP COLUMN n', qr/42703 .*/, { pipeline => 'function' } ],
	[ $piped, q{CREATE OR REPLACE FUNCTION as_d(t) RETURNS d LANGUAGE sql AS 'SELECT 0, 0'}, qr/55000 .*/, { pipeline => 'function' } ],
	[ $piped, 'DROP FUNCTION as_d', qr/55000 .*/, { pipeline => 'function' } ],
	[ $piped, 'ALTER FUNCTION as_d(t) STABLE', qr/55000 .*has been changed/, { pipeline => 'function' } ],
	[ "$piped; REVOKE ALL ON FUNCTION as_d(t) FROM PUBLIC; GRANT ALL ON FUNCTION as_d(t) TO app; GRANT ALL ON t, d TO app",
		'REVOKE EXECUTE ON FUNCTION as_d(t) FROM app', qr/55000 .*has been changed/, { pipeline => 'function', role => 'app' } ],
	[ $copied, 'DROP TABLE t', 100, { pipeline => 'query', result => $ids } ],
	[ $copied, 'TRUNCATE t', 100, { pipeline => 'query', result => $ids } ],
	[ $moved, 'TRUNCATE t', qr/55000 .*was truncated/, { pipeline => 'move' } ],
	[ $moved, 'ALTER TABLE others ADD FOREIGN KEY (id) REFERENCES t; INSERT INTO others VALUES (50)', qr/23503 .*others/, { pipeline => 'move' } ],
	[ $moved, 'ALTER TABLE t DROP COLUMN note, ALTER mood TYPE text', 100, { pipeline => 'move', result => $ids } ],
	[ $moved, 'ALTER TABLE t ADD above integer REFERENCES t ON DELETE CASCADE', qr/0A000 .*foreign key of \S*t deletes/, { pipeline => 'move' } ],
	[ $moved, q{CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF old.id = 50 THEN RETURN null; END IF; RETURN old; END';
		CREATE TRIGGER stay BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION stay()}, '99 moved, 1 left',
		{ pipeline => 'move', result => q{SELECT (SELECT count(*) FROM d) || ' moved, ' || (SELECT count(*) FROM t) || ' left'} } ],
	[ "$moved REVOKE ALL ON t FROM app; GRANT ALL ON t, d TO app", 'REVOKE DELETE ON t FROM app', qr/42501 .*/, { pipeline => 'move', role => 'app' } ]);

my @cases;
for my $change (@changes)
{
	my ($tables, $ddl, $end, $options) = @$change;
	my $statement = $options->{statement} // $update;
	push @cases, {
		name => $ddl =~ s/\s+/ /gr,
		setup => $tables,
		role => $options->{role},
		submit => $options->{pipeline} ? $pipelines{ $options->{pipeline} }
		: "stride.submit(\$\$$statement\$\$, chunk_rows => 10, settings => '" . ($options->{settings} // '{}') . "', if_exists => 'new')",
		meanwhile => $ddl,
		fails => ref $end ? $end : undef,
		result => $options->{result} // $counts,
		expected => $end };
}

my $node = Meanwhile::node(scalar @cases);
Meanwhile::allow_transforms($node);
$node->sql("CREATE ROLE nobody; CREATE ROLE app LOGIN; GRANT USAGE ON SCHEMA stride TO app; CREATE TABLESPACE elsewhere LOCATION ''");
my $log = $node->log_size;
Meanwhile::run($node, @cases);

# What was changed can be changed back, a new partition be left out, a truncated table be gone on with: the job goes on where it
# stopped.
my @mended = (
	[ 'ALTER TABLE t DETACH PARTITION t3', sub { 'ALTER TABLE t ATTACH PARTITION t3 FOR VALUES IN (3)' }, '150|0|150' ],
	[ 'ALTER TABLE t ATTACH PARTITION t4 FOR VALUES IN (4)', sub { "SELECT stride.alter($_[0], settings => '{\"new_partitions\": \"ignore\"}')" }, '150|0|150' ],
	[ 'TRUNCATE t3', sub { 'INSERT INTO t SELECT id, 3 FROM generate_series(1, 50) AS id' }, '150|0|150' ],
	[ 'TRUNCATE t', sub { 'INSERT INTO t SELECT id, 1 + id % 3 FROM generate_series(1, 150) AS id' }, '140|0|140' ]);
for my $case (@mended)
{
	my ($ddl, $mend, $expected) = @$case;
	$node->sql("DROP TABLE IF EXISTS t, t1, t2, t3, t4 CASCADE; $parted");
	$node->set_point('after_commit:wait');
	my $job = $node->submit($update, chunk_rows => 10, workers => 1, if_exists => "'new'");
	$node->wait_at_point($job);
	$node->sql($ddl);
	$node->set_point(undef);
	$node->wait_for_state($job, 'failed');
	$node->sql($mend->($job));
	$node->sql("SELECT stride.resume($job)");
	$node->wait_until("SELECT state = 'succeeded' FROM stride.jobs WHERE job_id = $job", 'the job has gone on to its end');
	is($node->sql('SELECT count(*) FILTER (WHERE n = 1), count(*) FILTER (WHERE n > 1 AND part < 4), sum(n) FROM t'),
		$expected, "$ddl: mended, the job goes on where it stopped");
}

# A truncation while the job is paused is met when it is resumed; one after the end is nobody's business.
$node->sql("DROP TABLE t, t4 CASCADE; $parted");
my $job = $node->submit($update, chunk_rows => 10, if_exists => "'new'", settings => q('{"max_rows": 10}'));
$node->wait_for_state($job, 'paused');
$node->sql('TRUNCATE t');
is($node->state($job), 'paused', 'a paused job stays as it is when its table is truncated');
$node->sql("SELECT stride.resume($job)");
$node->reaches($job, 'failed', 'and fails when it is resumed');
$job = $node->submit($update, if_exists => "'new'");
$node->wait_for_state($job, 'succeeded');
$node->sql('TRUNCATE t');
is($node->sql("SELECT count(*) FROM stride_catalog.failure WHERE job_id = $job"), 0, 'a job that has ended gets no failure');

$node->no_crash_since($log, 'nothing crashed');
$node->invariants_hold('and all invariants hold');
$node->stop;
done_testing();
