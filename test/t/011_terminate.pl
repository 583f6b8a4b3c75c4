# pg_terminate_backend, pg_cancel_backend and stride.cancel against our processes, at random moments and at every named
# point of a chunk: each is taken as a plain termination, no other process is touched, the launcher comes back, and the
# job goes on (or, cancelled, can be resumed) with every row done exactly once.
# Covers R1, R6 a-d and f (e is 016), R8, R13, B-01, B-04, B-11, B-12, T-35.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $rows = 20_000;
my $increments = 0;    # what each row of `counted` must have come to

StrideCluster::seed();
my $node = StrideCluster->fresh('main', conf => 'stride.max_workers = 8');
$node->sql(<<SQL);
CREATE TABLE counted AS SELECT id, 0 AS n FROM generate_series(1, $rows) AS id;
ALTER TABLE counted ADD PRIMARY KEY (id);
CREATE TABLE small AS SELECT id, 0 AS n FROM generate_series(1, 500) AS id;
ALTER TABLE small ADD PRIMARY KEY (id);
CREATE FUNCTION spin() RETURNS void LANGUAGE plpgsql AS 'BEGIN LOOP END LOOP; END';
ANALYZE;
SQL
my $start_time = $node->sql('SELECT pg_postmaster_start_time()');
my $log = $node->log_size;

sub terminate { my ($pid) = @_; return ($node->try_sql("SELECT pg_terminate_backend($pid)") // '') eq 't'; }

# Random moments, all kinds of our processes, until 20 workers were met.
my %terminated = (worker => 0, scheduler => 0, launcher => 0);
my ($job, @jobs);
while ($terminated{worker} < 20)
{
	unless (@jobs && $node->is_unfinished($job))
	{
		push @jobs, $job = $node->submit('UPDATE counted SET n = n + 1', chunk_rows => 2, workers => 3);
		$node->wait_until("SELECT EXISTS (SELECT FROM stride.splits WHERE job_id = $job)", "job $job is planned");
	}
	StrideCluster::pause_ms(rand(60));
	my $dice = rand();
	my $kind = $dice < 0.7 ? 'worker' : $dice < 0.9 ? 'scheduler' : 'launcher';
	my @pids = $node->pids($kind) or next;
	$terminated{$kind} += terminate($pids[ rand(@pids) ]);
}
note(join(', ', map { "$_: $terminated{$_}" } sort keys %terminated));
$node->reaches($job, 'succeeded', 'the job goes on without those that were terminated');
$node->same_rows('SELECT * FROM counted', 'SELECT id, ' . @jobs . " FROM generate_series(1, $rows) AS id", 'each row exactly once');
is($node->sql('SELECT DISTINCT state || retries FROM stride.jobs'), 'succeeded0', 'a termination is not counted as a failure');

# Every named point of a worker: terminated there, then cancelled there, then resumed.
my @points = qw(worker_connected job_loaded before_plan_commit before_claim_commit after_fence after_peek after_write before_commit
  after_commit);
for my $point (@points)
{
	$node->set_point("$point:wait");
	$job = $node->submit('UPDATE small SET n = n + 1', chunk_rows => 100, workers => 1);
	$increments++;
	my $pid = $node->wait_at_point($job);
	terminate($pid);
	$node->wait_until("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)", "worker $pid has gone");
	$node->wait_at_point($job);
	$node->sql("SELECT stride.cancel($job)");
	$node->reaches($job, 'cancelled', "$point: a worker that waits there is cancelled");
	$node->set_point(undef);
	$node->sql("SELECT stride.resume($job)");
	$node->wait_for_state($job, 'succeeded');
	$node->same_rows('SELECT * FROM small', "SELECT id, $increments FROM generate_series(1, 500) AS id",
		"$point: terminated, cancelled and resumed, each row exactly once");
}

# An operator's cancel of a worker is not ours: the job waits for somebody to look.
$node->set_point('after_write:wait');
$job = $node->submit('UPDATE small SET n = n + 1', chunk_rows => 100, workers => 1);
$increments++;
$node->sql('SELECT pg_cancel_backend(' . $node->wait_at_point($job) . ')');
$node->reaches($job, 'paused', 'pg_cancel_backend pauses the job');
like($node->sql("SELECT state_reason FROM stride.jobs WHERE job_id = $job"), qr/cancel/, 'and the reason says so');
$node->set_point(undef);
$node->sql("SELECT stride.resume($job)");
$node->reaches($job, 'succeeded', 'resume goes on');

# The scheduler at its own point: failing in every round, then waiting and terminated, until the point is lifted.
my $failing = $node->log_size;
$node->set_point('scheduler_round:error');
$job = $node->submit('UPDATE small SET n = n + 1', chunk_rows => 100, workers => 1);
$increments++;
$node->wait_for_log('ERROR:  test point scheduler_round(?s:.*)ERROR:  test point scheduler_round', $failing);
is($node->state($job), 'queued', 'while schedulers fail the job waits');
$node->set_point('scheduler_round:wait');
my $waits = "backend_type = 'pg_stride scheduler' AND wait_event = 'Extension' AND query = 'scheduling jobs' AND state = 'active'";
$node->wait_until("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE $waits)", 'a scheduler waits');
my ($scheduler) = $node->pids('scheduler');
ok(terminate($scheduler), 'a scheduler was terminated in its round');
$node->wait_until("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE $waits AND pid <> $scheduler)", 'another one is there');
$node->set_point(undef);
$node->reaches($job, 'succeeded', 'and runs once they do not');
$node->same_rows('SELECT * FROM small', "SELECT id, $increments FROM generate_series(1, 500) AS id", 'each row exactly once');

# The launcher comes back, each time; a submission that comes while it is away is not lost.
for my $round (1 .. 8)
{
	my ($launcher) = $node->pids('launcher');
	terminate($launcher);
	$job = $node->submit('UPDATE small SET n = n + 1') if $round == 4;
	$node->wait_until("SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pg_stride launcher' AND pid <> $launcher",
		'another launcher is there');
}
$increments++;
$node->reaches($job, 'succeeded', 'a job submitted while the launcher was away runs');
is(scalar($node->pids('launcher')), 1, 'there is one launcher after 8 terminations');

# Two jobs whose workers sleep, or spin in a function: a cancel ends one and leaves the other's worker alone.
my $sleeping = $node->submit('SELECT pg_sleep(600) FROM small', workers => 1);
my $spinning = $node->submit('SELECT spin() FROM small', workers => 1);
$node->wait_until("SELECT count(*) = 2 FROM stride.workers WHERE phase = 'writing'", 'both have begun');
my $spinner = $node->sql("SELECT pid FROM stride.workers WHERE job_id = $spinning");
$node->sql("SELECT stride.cancel($sleeping)");
$node->reaches($sleeping, 'cancelled', 'a worker that sleeps in the statement is cancelled');
is($node->sql("SELECT pid FROM stride.workers WHERE job_id = $spinning"), $spinner, 'the worker of another job goes on');
$node->sql("SELECT stride.cancel($spinning)");
$node->reaches($spinning, 'cancelled', 'a worker that spins in a function is cancelled');

# Cancels at random times of a short job's life, from before its first worker to after its last; each is then resumed.
my (@cancelled, %ends);
for (1 .. 20)
{
	$job = $node->submit('UPDATE small SET n = n + 1', if_exists => "'new'", chunk_rows => 1);
	StrideCluster::pause_ms(rand(80));
	$node->try_sql("SELECT stride.cancel($job)");
	$node->wait_until("SELECT state IN ('cancelled', 'succeeded') FROM stride.jobs WHERE job_id = $job", "job $job has ended");
	$ends{ $node->state($job) }++;
	push @cancelled, $job if $node->state($job) eq 'cancelled';
}
note(join(', ', map { "$_: $ends{$_}" } sort keys %ends));
cmp_ok($ends{cancelled} // 0, '>', 0, 'cancels came in time');
$node->sql("SELECT stride.resume($_)") for @cancelled;
$node->wait_for_state($_, 'succeeded') for @cancelled;
$increments += 20;
$node->same_rows('SELECT * FROM small', "SELECT id, $increments FROM generate_series(1, 500) AS id",
	'cancelled at any time and resumed, each row exactly once');

$node->invariants_hold('the invariants hold');
is($node->sql('SELECT pg_postmaster_start_time()'), $start_time, 'the server was never restarted');
$node->no_crash_since($log, 'and no process crashed');
my @fatal = grep { /FATAL/ && !/terminating background worker "pg_stride .*" due to administrator command/ }
  split(/\n/, slurp_file($node->logfile, $log));
is(join("\n", @fatal), '', 'the log knows nothing worse than terminated background workers');

$node->stop;
done_testing();
