# kill -9 at random moments: 20 kills of workers, schedulers, the launcher, an unrelated backend and the checkpointer for
# each of INSERT .. SELECT, UPDATE and DELETE.  Each kill restarts the whole cluster; the job goes on by itself each time,
# and in the end every row was done exactly once.  The UPDATE increments, the INSERT's target has no key and the DELETE
# leaves a trace by a trigger, so that a row done twice shows.
# The INSERT runs by the bulk sink and by the executor in turn.
# Covers R14, R9 (slots come back), B-15, G-01 (20 kills a statement), A1.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $rows = 45_000;
my $kills_wanted = 20;

StrideCluster::seed();
my $node = StrideCluster->fresh('main');
$node->sql(<<SQL);
CREATE TABLE source AS SELECT id, 'row ' || id AS name FROM generate_series(1, $rows) AS id;
ALTER TABLE source ADD PRIMARY KEY (id);
CREATE TABLE copied (id integer, name text);
CREATE TABLE counted AS SELECT id, 0 AS n FROM source;
ALTER TABLE counted ADD PRIMARY KEY (id);
CREATE TABLE shrinking AS SELECT id, name FROM source;
ALTER TABLE shrinking ADD PRIMARY KEY (id);
CREATE TABLE deleted (id integer, name text);
CREATE FUNCTION keep_trace() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN INSERT INTO deleted VALUES (OLD.id, OLD.name); RETURN NULL; END';
CREATE TRIGGER keep_trace AFTER DELETE ON shrinking FOR EACH ROW EXECUTE FUNCTION keep_trace();
ANALYZE;
SQL

# The process to kill: mostly a worker of ours, else another child of the postmaster.
sub victim
{
	my $dice = rand();
	my $kind =
	    $dice < 0.60 ? 'pg_stride worker'
	  : $dice < 0.75 ? 'pg_stride scheduler'
	  : $dice < 0.85 ? 'pg_stride launcher'
	  : $dice < 0.95 ? 'client backend'
	  :                'checkpointer';
	return ($kind, $node->try_sql("SELECT pid FROM pg_stat_activity WHERE backend_type = '$kind'"
			  . ' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1'));
}

# A session that has nothing to do with us, to be killed now and then.
sub bystander
{
	return $node->start_sql('SELECT pg_sleep(600)');
}

# Kills one process, and waits for the restart that follows.  True if there was one.
sub kill_one
{
	my ($job) = @_;
	StrideCluster::pause_ms(rand(120));
	my ($kind, $pid) = victim();
	return 0 unless $pid && $node->is_unfinished($job);
	my $log = $node->log_size;
	return 0 unless kill('KILL', $pid);
	my $deadline = time() + 20;
	until ($node->log_contains('all server processes terminated; reinitializing', $log))
	{
		return 0 if time() > $deadline;
		StrideCluster::pause_ms(10);
	}
	note("killed $kind $pid");
	return 1;
}

# Runs jobs of the statement, one after the other, until the kills are done; returns the ids.
sub run_under_kills
{
	my ($statement, $between) = @_;
	my (@jobs, %kinds);
	my $kills = 0;
	while ($kills < $kills_wanted)
	{
		$node->sql($between) if @jobs && $between;
		my $sink = @jobs % 2 ? 'statement' : 'auto';
		my $job = $node->submit($statement, chunk_rows => 4, workers => 3, settings => qq('{"sink": "$sink"}'));
		push @jobs, $job;
		my $session = bystander();
		$node->wait_until("SELECT EXISTS (SELECT FROM stride.splits WHERE job_id = $job)", "job $job is planned");
		while ($kills < $kills_wanted && $node->is_unfinished($job))
		{
			my $rows_before = $node->sql("SELECT rows_read FROM stride.jobs WHERE job_id = $job");
			$kills += kill_one($job);
			# The job must get somewhere by itself after every restart, unless two kills of workers at one place looked like a
			# row that crashes the server: then it is paused, and goes on when it is told to.
			$node->wait_until("SELECT rows_read > $rows_before OR finished_at IS NOT NULL"
				  . "  OR (state = 'paused' AND state_reason ~ '^the server crashed' AND stride.resume(job_id) IS NULL)"
				  . " FROM stride.jobs WHERE job_id = $job",
				"job $job goes on");
			$session = bystander() unless $session->is_running;
		}
		$session->stop;
		$node->wait_for_state($job, 'succeeded');
	}
	is($kills, $kills_wanted, "$kills kills, jobs " . join(', ', @jobs));
	return @jobs;
}

sub accounts_for
{
	my ($read, $written, @jobs) = @_;
	my $list = join(', ', @jobs);
	is($node->sql("SELECT DISTINCT rows_read || ' read, ' || rows_written || ' written' FROM stride.jobs WHERE job_id IN ($list)"),
		"$read read, $written written", 'the accounts say so too');
	return;
}

my @jobs = run_under_kills('INSERT INTO copied SELECT id, name FROM source');
my $times = @jobs;
$node->same_rows('SELECT * FROM copied', "SELECT s.* FROM source AS s, generate_series(1, $times)", 'INSERT: each row exactly once');
accounts_for($rows, $rows, @jobs);
$node->invariants_hold('INSERT: the invariants hold');

@jobs = run_under_kills('UPDATE counted SET n = n + 1');
$times = @jobs;
$node->same_rows('SELECT * FROM counted', "SELECT id, $times FROM source", 'UPDATE: each row exactly once');
accounts_for($rows, $rows, @jobs);
$node->invariants_hold('UPDATE: the invariants hold');

@jobs = run_under_kills('DELETE FROM shrinking WHERE id % 3 <> 0',
	'INSERT INTO shrinking SELECT * FROM source WHERE id % 3 <> 0');
$times = @jobs;
$node->same_rows('SELECT * FROM shrinking', 'SELECT * FROM source WHERE id % 3 = 0', 'DELETE: what should stay is there');
$node->same_rows('SELECT * FROM deleted', "SELECT s.* FROM source AS s, generate_series(1, $times) WHERE id % 3 <> 0",
	'DELETE: each row exactly once');
accounts_for($rows, $rows / 3 * 2, @jobs);
$node->invariants_hold('DELETE: the invariants hold');

# Nothing of 60 crashes is left: all worker slots are free, and a job runs at once.
$node->wait_until("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type IN ('pg_stride worker', 'pg_stride scheduler')",
	'workers and scheduler have gone');
my $log = $node->log_size;
$node->reaches($node->submit('UPDATE counted SET n = 0', workers => 4), 'succeeded', 'a further job runs as the first did');
$node->same_rows('SELECT * FROM counted', 'SELECT id, 0 FROM source', 'and did its work');
$node->no_crash_since($log, 'without a crash');
is(scalar($node->pids('launcher')), 1, 'there is one launcher');

$node->stop;
done_testing();
