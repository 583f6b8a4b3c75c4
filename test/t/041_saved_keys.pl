# Keys that are saved before they are walked, under crashes while they are saved, once they are, while they are walked and at the end,
# and through a dump: each row whose key was there at the start is done exactly once, one that came since is not, one that is gone
# is counted, and the work table is gone with the job.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $node = StrideCluster->fresh('main', conf => "restart_after_crash = off\n");
my $tables = q{SELECT count(*) FROM pg_class WHERE relnamespace = 'stride_work'::regnamespace AND relkind = 'r'};
my $statement = 'UPDATE counted SET n = n + 1 WHERE id % 2 = 0';
my $at_start = q{settings => '{"source_rows": "at_start"}'};
$node->sql(<<'SQL');
CREATE TABLE counted (part integer, id integer, n integer, PRIMARY KEY (part, id)) PARTITION BY LIST (part);
CREATE TABLE counted_1 PARTITION OF counted FOR VALUES IN (1);
CREATE TABLE counted_2 PARTITION OF counted FOR VALUES IN (2);
SQL
my $fill = 'TRUNCATE counted; INSERT INTO counted SELECT 1 + id % 4 / 2, id, 0 FROM generate_series(1, 4000) AS id';

# What others do once the keys are saved: 1,000 rows go, as many come between those that are left.
my $others = 'DELETE FROM counted WHERE id % 4 = 0; INSERT INTO counted SELECT 1, 4000 + id, 0 FROM generate_series(2, 2000, 2) AS id';

sub is_done
{
	my ($job, $name) = @_;
	$node->reaches($job, 'succeeded', "$name: the job succeeds");
	is($node->sql('SELECT count(*) FILTER (WHERE n = 1), max(n), count(*) FILTER (WHERE n = 1 AND id % 2 = 1) FROM counted'), '2000|1|0',
		"$name: each row that meets the condition once, no other");
	is($node->sql("SELECT rows_read, rows_written, rows_filtered, rows_vanished FROM stride.jobs WHERE job_id = $job"), '2000|2000|0|0',
		"$name: and accounted for");
	$node->wait_until("SELECT ($tables) = 0", "$name: the work table is dropped");
	$node->invariants_hold("$name: the invariants hold");
	return;
}

# At each place by a crash.  The server stays down, so that each point is met once.
for my $point (qw(after_spool before_plan_commit after_commit before_finish))
{
	$node->set_point("$point:crash");
	my $log = $node->log_size;
	$node->sql($fill);
	$node->try_sql("SELECT stride.submit('$statement', name => '$point', chunk_rows => 100, $at_start)");
	$node->wait_for_log('was terminated by signal 9', $log);
	$node->stop('immediate', fail_ok => 1);
	$node->configure('stride.test_point', undef);
	$node->start;
	is_done($node->sql("SELECT job_id FROM stride.jobs WHERE name = '$point'"), "crashed at $point");
}

# A worker stands after its first chunk; others write, and the server is stopped at once.
$node->sql($fill);
$node->set_point('after_commit:wait');
my $job = $node->submit($statement, name => q{'stopped'}, chunk_rows => 100, workers => 1, settings => q{'{"source_rows": "at_start"}'});
$node->wait_at_point($job);
my $done = $node->sql('SELECT count(*) FROM counted WHERE n = 1 AND id % 4 = 0');
$node->sql($others);
$node->stop('immediate');
$node->configure('stride.test_point', undef);
$node->start;
$node->reaches($job, 'succeeded', 'stopped while walking: the job succeeds');
is($node->sql("SELECT rows_read, rows_written, rows_vanished FROM stride.jobs WHERE job_id = $job"), join('|', 2000, 1000 + $done, 1000 - $done),
	'stopped while walking: those that are gone are counted');
is($node->sql('SELECT count(*) FILTER (WHERE n = 1), count(*) FILTER (WHERE n = 1 AND id > 4000), max(n) FROM counted'), '1000|0|1',
	'stopped while walking: each row of the start that is left once, no other');

# The keys of a table without partitions may be found by a parallel plan; the chunks, which look at the condition again, have none.
$node->sql(<<'SQL');
CREATE TABLE plain AS SELECT id FROM generate_series(1, 1000) AS id;
ALTER TABLE plain ADD PRIMARY KEY (id);
CREATE FUNCTION in_parallel(integer) RETURNS boolean STABLE PARALLEL SAFE LANGUAGE sql AS
  $$ SELECT backend_type = 'parallel worker' FROM pg_stat_activity WHERE pid = pg_backend_pid() $$;
ALTER DATABASE postgres SET min_parallel_table_scan_size = 0;
ALTER DATABASE postgres SET parallel_setup_cost = 0;
ALTER DATABASE postgres SET parallel_tuple_cost = 0;
ALTER DATABASE postgres SET parallel_leader_participation = off;
SQL
$job = $node->submit('DELETE FROM plain WHERE in_parallel(id)', walk => q{'spool'});
$node->wait_for_state($job, 'succeeded');
is($node->sql("SELECT rows_read, rows_written, rows_filtered, rows_vanished FROM stride.jobs WHERE job_id = $job"), '1000|0|1000|0',
	'the keys are found by parallel workers');

# A dump takes the job along, but not its keys: it cannot go on.  One that has saved none yet does so where it is restored.
$node->sql($fill);
$node->set_point('after_commit:wait');
$job = $node->submit($statement, name => q{'dumped'}, chunk_rows => 100, workers => 1, settings => q{'{"source_rows": "at_start"}'});
$node->wait_at_point($job);
my $later = $node->submit($statement, name => q{'later'}, start_at => q{'infinity'}, walk => q{'spool'});
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'a database with saved keys is dumped');
$node->set_point(undef);
is_done($job, 'dumped meanwhile');
$node->sql('CREATE DATABASE restored TEMPLATE template0');
{
	local $node->{database} = 'restored';
	$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ], 'and restored');
	$node->wait_for_state($_, 'paused') for ($job, $later);
	$node->sql("SELECT stride.resume($job)");
	$node->wait_until("SELECT state_reason ~ 'keys .* were not dumped' FROM stride.jobs WHERE job_id = $job", 'resume says why it cannot');
	$node->sql("UPDATE stride_catalog.job SET start_at = NULL WHERE job_id = $later; SELECT stride.resume($later)");
	$node->reaches($later, 'succeeded', 'a job that has saved no keys yet goes on');
	$node->invariants_hold('the invariants hold of restored jobs');
}

$node->stop;
done_testing();
