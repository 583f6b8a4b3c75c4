# DDL between two chunks: each change of the source has its documented outcome, and none is a wrong result, a silent early
# end or a crash.  A worker stands after its first chunk while the change is made.
# Covers G-09 and the partitions of reliability.md 6.2.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $node = StrideCluster->fresh('main');
my $log = $node->log_size;

# What a chunk does to a row, each as often as it is met; rows that are gone are not expected.
my $statement = 'UPDATE t SET n = n + 1';
my $tables = <<'SQL';
DROP TABLE IF EXISTS t, t1, t2, t3, t4 CASCADE;
CREATE TABLE t (id integer NOT NULL, part integer NOT NULL, n integer NOT NULL DEFAULT 0, PRIMARY KEY (part, id)) PARTITION BY LIST (part);
CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2);
CREATE TABLE t3 PARTITION OF t FOR VALUES IN (3);
INSERT INTO t SELECT id, 1 + id % 3 FROM generate_series(1, 300) AS id;
CREATE TABLE t4 (LIKE t INCLUDING ALL);
INSERT INTO t4 SELECT id, 4 FROM generate_series(1, 100) AS id;
SQL

# The change, the state that the job ends in, what the error says, and the rows that were not met once in what is left of t.
my @changes = (
	[ 'ALTER TABLE t ATTACH PARTITION t4 FOR VALUES IN (4)', 'failed', qr/^55000\|.*public\.t4 has become part of public\.t/ ],
	[ 'ALTER TABLE t DETACH PARTITION t3', 'failed', qr/^55000\|.*public\.t3 is no longer part of public\.t/ ],
	[ 'ALTER TABLE t DETACH PARTITION t3 CONCURRENTLY', 'failed', qr/^55000\|.*public\.t3 is no longer part of public\.t/ ],
	[ 'DROP TABLE t3', 'failed', qr/^55000\|.*public\.t3 no longer exists/ ],
	[ 'DROP TABLE t CASCADE', 'failed', qr/^55000\|.*no longer exists/ ],
	[ 'ALTER TABLE t DROP CONSTRAINT t_pkey', 'failed', qr/^55000\|/ ],
	[ 'ALTER TABLE t DROP COLUMN n', 'failed', qr/^42703\|/ ],
	[ 'ALTER TABLE t ALTER id TYPE bigint', 'failed', qr/^55000\|/ ],
	[ 'ALTER TABLE t RENAME TO u; CREATE VIEW t AS SELECT * FROM u', 'failed', qr/^55000\|/, 'DROP VIEW t; ALTER TABLE u RENAME TO t' ],
	[ 'ALTER TABLE t3 RENAME TO t5', 'succeeded', '300', 'ALTER TABLE t5 RENAME TO t3' ],
	[ 'TRUNCATE t3', 'succeeded', '200' ],
	[ 'VACUUM FULL t3', 'succeeded', '300' ],
	[ 'CLUSTER t3 USING t3_pkey', 'succeeded', '300' ],
	[ 'ALTER TABLE t ADD COLUMN more double precision DEFAULT random()', 'succeeded', '300' ],
	[ 'ALTER TABLE t ALTER n TYPE bigint', 'succeeded', '300' ]);

for my $change (@changes)
{
	my ($ddl, $state, $outcome, $undo) = @$change;
	$node->sql($tables);
	$node->set_point('after_commit:wait');
	my $job = $node->submit($statement, chunk_rows => 10, workers => 1, if_exists => "'new'");
	$node->wait_at_point($job);
	$node->sql($ddl);
	$node->set_point(undef);
	$node->reaches($job, $state, "$ddl: the job has $state");
	if ($state eq 'failed')
	{
		like($node->sql("SELECT error_sqlstate, error_message || ' ' || coalesce(error_detail, '') FROM stride.jobs WHERE job_id = $job"),
			$outcome, "$ddl: and says why");
	}
	else
	{
		is($node->sql('SELECT count(*) FILTER (WHERE n = 1) - count(*) FILTER (WHERE n <> 1) FROM t'), $outcome, "$ddl: every row was met once");
	}
	$node->sql($undo) if defined $undo;
}

# What was changed can be changed back, and a new partition be left out: the job goes on where it stopped.
for my $case ([ 'ALTER TABLE t DETACH PARTITION t3', 'ALTER TABLE t ATTACH PARTITION t3 FOR VALUES IN (3)' ],
	[ 'ALTER TABLE t ATTACH PARTITION t4 FOR VALUES IN (4)', undef ])
{
	my ($ddl, $mend) = @$case;
	$node->sql($tables);
	$node->set_point('after_commit:wait');
	my $job = $node->submit($statement, chunk_rows => 10, workers => 1, if_exists => "'new'");
	$node->wait_at_point($job);
	$node->sql($ddl);
	$node->set_point(undef);
	$node->wait_for_state($job, 'failed');
	$node->sql($mend // "SELECT stride.alter($job, settings => '{\"new_partitions\": \"ignore\"}')");
	$node->sql("SELECT stride.resume($job)");
	$node->wait_until("SELECT state = 'succeeded' FROM stride.jobs WHERE job_id = $job", 'the job has gone on to its end');
	is($node->sql('SELECT count(*) FILTER (WHERE n = 1), count(*) FILTER (WHERE n <> 1 AND part < 4), sum(n) FROM t'),
		'300|0|300', "$ddl: mended, the job goes on, and every row of before was met once");
}

$node->no_crash_since($log, 'nothing crashed');
$node->invariants_hold('and all invariants hold');
$node->stop;
done_testing();
