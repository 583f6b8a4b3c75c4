# Workers wait in COMMIT for a synchronous standby that does not exist, and are cancelled and terminated there.  Such a
# chunk is committed, so that whoever goes on, the same worker or the next, goes on behind it: no row is done twice.
# Covers R6 e, R7, A10, B-21 (synchronous_commit on and off).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $rows = 4_000;
my $rounds = 6;

my $node = StrideCluster->fresh('main', streaming => 1);
$node->sql(<<SQL);
CREATE TABLE source AS SELECT id, 'row ' || id AS name FROM generate_series(1, $rows) AS id;
ALTER TABLE source ADD PRIMARY KEY (id);
CREATE TABLE copied (id integer, name text);
CREATE TABLE counted AS SELECT id, 0 AS n FROM source;
ALTER TABLE counted ADD PRIMARY KEY (id);
ANALYZE;
SQL
my $log = $node->log_size;

# A worker that waits in COMMIT.
sub waiting_worker
{
	my $waiting = "FROM pg_stat_activity WHERE backend_type = 'pg_stride worker' AND wait_event = 'SyncRep'";
	my $pid;
	$node->wait_until("SELECT count(*) > 0 $waiting", 'a worker waits for the standby')
	  until $pid = $node->sql("SELECT pid $waiting ORDER BY random() LIMIT 1");
	return $pid;
}

# Runs a job whose chunks are held up in COMMIT, with something done to them there, and lets it go on.
sub run_held_up
{
	my ($statement, $what) = @_;
	$node->set_point('before_commit:wait');
	my $job = $node->submit($statement, chunk_rows => 20, workers => 2);
	$node->wait_at_point($job);
	$node->reconfigure('synchronous_standby_names', 'nosuch');
	$node->set_point(undef);
	$what->($job);
	ok($node->is_unfinished($job), 'the job was not yet at its end');
	$node->reconfigure('synchronous_standby_names', undef);
	return $job;
}

for my $function (qw(pg_cancel_backend pg_terminate_backend))
{
	$node->sql('TRUNCATE copied; UPDATE counted SET n = 0');
	for my $statement ('INSERT INTO copied SELECT id, name FROM source', 'UPDATE counted SET n = n + 1')
	{
		my $seen = $node->log_size;
		my $job = run_held_up($statement, sub { $node->sql("SELECT $function(" . waiting_worker() . ')') for 1 .. $rounds; });
		$node->reaches($job, 'succeeded', "$function in COMMIT: the job goes on");
		is($node->sql("SELECT rows_read || ' ' || rows_written || ' ' || retries FROM stride.jobs WHERE job_id = $job"),
			"$rows $rows 0", 'the accounts say so too, and nothing was tried again');
		ok($node->log_contains('canceling (the )?wait for synchronous replication', $seen), 'it was met in COMMIT');
	}
	$node->same_rows('SELECT * FROM copied', 'SELECT * FROM source', "$function in COMMIT: INSERT did each row exactly once");
	$node->same_rows('SELECT * FROM counted', 'SELECT id, 1 FROM source', "$function in COMMIT: UPDATE did each row exactly once");
}

# The job itself is cancelled while its workers are in COMMIT; the scheduler's own commit waits as well.
$node->sql('UPDATE counted SET n = 0');
my $job = run_held_up('UPDATE counted SET n = n + 1', sub {
		my ($cancelled) = @_;
		waiting_worker();
		$node->sql("SET synchronous_commit = local; SELECT stride.cancel($cancelled)");
	});
$node->reaches($job, 'cancelled', 'a job is cancelled while its workers are in COMMIT');
my $done = $node->sql("SELECT rows_read FROM stride.jobs WHERE job_id = $job");
is($node->sql('SELECT sum(n) FROM counted'), $done, 'what the checkpoints say is what was done');
$node->sql("SELECT stride.resume($job)");
$node->reaches($job, 'succeeded', 'resume finishes it');
$node->same_rows('SELECT * FROM counted', 'SELECT id, 1 FROM source', 'each row exactly once');

# Without synchronous_commit the end of the WAL may be lost in a crash, checkpoints and rows alike.
$node->reconfigure('synchronous_commit', 'off');
$node->reconfigure('wal_writer_delay', '10000');
$node->sql('UPDATE counted SET n = 0');
$node->sql(q{CREATE TABLE slow AS SELECT true AS very; CREATE FUNCTION slowly() RETURNS int LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_sleep(0.005) FROM slow; RETURN 1; END'});
$job = $node->submit('UPDATE counted SET n = n + slowly()', chunk_rows => 2, workers => 2);
$node->wait_for_chunks($job, 20);
$node->stop('immediate');
$node->start;
$node->sql('DELETE FROM slow');
$node->reaches($job, 'succeeded', 'synchronous_commit = off: after a crash the job goes on by itself');
$node->same_rows('SELECT * FROM counted', 'SELECT id, 1 FROM source', 'each row exactly once');

$node->invariants_hold('the invariants hold');
$node->no_crash_since($log, 'no process crashed');

$node->stop;
done_testing();
