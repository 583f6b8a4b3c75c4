# Fencing.  While a chunk runs, its split cannot be taken over: the row is locked.  A worker that was stopped between two
# chunks and whose split was taken over meanwhile can commit nothing more under the old epoch, even after the job has ended.
# And should a split change under a chunk all the same, the checkpoint's compare-and-set rolls the chunk back.
# Covers G-12 (SIGSTOP, forced takeover, SIGCONT at random moments), A6, B-34, decision 4 of reliability.md.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $rows = 6_000;
my $takeovers_wanted = 10;

StrideCluster::seed();
my $node = StrideCluster->fresh('main');
$node->sql(<<SQL);
CREATE TABLE counted AS SELECT id, 0 AS n FROM generate_series(1, $rows) AS id;
ALTER TABLE counted ADD PRIMARY KEY (id);
ANALYZE;
SQL
my $log = $node->log_size;
my $statement = 'UPDATE counted SET n = n + 1';
my $times = 0;

sub counted_is
{
	my ($name) = @_;
	return $node->same_rows('SELECT * FROM counted', "SELECT id, $times FROM generate_series(1, $rows) AS id", $name);
}

# What a takeover does to a split of a worker; 0 rows if the row is locked.
my $takeover = q{UPDATE stride_catalog.split SET epoch = epoch + 1, state = 'pending', cookie = NULL, worker_pid = NULL
  WHERE (job_id, split) IN (SELECT job_id, split FROM stride_catalog.split
    WHERE state = 'running' AND worker_pid = %d FOR UPDATE SKIP LOCKED) RETURNING split};

# In the middle of a chunk: the taker waits in vain.
for my $point (qw(after_fence after_peek after_write before_commit))
{
	$node->set_point("$point:wait");
	my $job = $node->submit($statement, chunk_rows => 1000, workers => 1);
	$times++;
	my $pid = $node->wait_at_point($job);
	like($node->failure_of("SET lock_timeout = '100ms'; UPDATE stride_catalog.split SET epoch = epoch + 1 WHERE worker_pid = $pid"),
		qr/ERROR:  55P03/, "$point: the split of a chunk that runs is locked");
	$node->set_point(undef);
	$node->wait_for_state($job, 'succeeded');
}
counted_is('and every row was done exactly once');

# Between two chunks: a stopped worker, its split finished by another, the job over before it wakes up.
$node->set_point('after_commit:wait');
my $job = $node->submit($statement, chunk_rows => 10, workers => 2);
$times++;
my $zombie = $node->wait_at_point($job);
my ($number, $split) = split(/\|/, $node->sql("SELECT worker, split FROM stride.workers WHERE pid = $zombie"));
kill('STOP', $zombie) or die "could not stop worker $zombie";
is($node->sql(sprintf($takeover, $zombie)), $split, 'the split of a worker that is stopped between two chunks can be taken over');
my $epoch = $node->sql("SELECT epoch FROM stride.splits WHERE job_id = $job AND split = $split");
$node->set_point(undef);
$node->reaches($job, 'succeeded', 'others do its work, and the job ends');
counted_is('with every row done exactly once');
my $chunks = $node->sql("SELECT count(*) FROM stride.chunks WHERE job_id = $job");
is($node->sql("SELECT count(*) FROM stride.chunks WHERE job_id = $job AND split = $split AND worker = $number AND epoch < $epoch"),
	1, 'the stopped worker has one chunk of its split');
cmp_ok($node->sql("SELECT count(*) FROM stride.chunks WHERE job_id = $job AND split = $split AND worker <> $number AND epoch >= $epoch"),
	'>', 0, 'the rest was done by another, under a later epoch');
kill('CONT', $zombie);
$node->wait_until("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $zombie)", 'the worker has woken up and ended');
is($node->sql("SELECT count(*) FROM stride.chunks WHERE job_id = $job"), $chunks, 'it wakes up and commits nothing');
counted_is('every row is still done exactly once');

# The split changes within the chunk's own transaction, which no lock prevents: by a trigger of the target, three times.
$node->sql(<<'SQL');
CREATE SEQUENCE chunk_number;
CREATE FUNCTION interfere() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  number bigint := nextval('chunk_number');
BEGIN
  IF number = 2 THEN
    UPDATE stride_catalog.split SET epoch = epoch + 1 WHERE worker_pid = pg_backend_pid();
  ELSIF number = 4 THEN
    UPDATE stride_catalog.split SET position_key = '{0}' WHERE worker_pid = pg_backend_pid();
  ELSIF number = 6 THEN
    UPDATE stride_catalog.split SET upper_key = '{9999999}' WHERE worker_pid = pg_backend_pid();
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER interfere AFTER UPDATE ON counted FOR EACH STATEMENT EXECUTE FUNCTION interfere();
SQL
$job = $node->submit($statement, chunk_rows => 100, workers => 1, settings => q('{"retry_delay": "1ms"}'));
$times++;
$node->reaches($job, 'succeeded', 'a job whose splits change under its chunks gets to its end');
counted_is('with every row done exactly once');
is($node->sql("SELECT retries FROM stride.jobs WHERE job_id = $job"), 3,
	'a change of epoch, position or upper bound rolled the chunk back');
$node->sql('DROP TRIGGER interfere ON counted');

# Random moments: a worker is stopped wherever it is, its split taken over if that is possible, and woken up again.  A
# worker that is stopped with a lock of the server's own may hold up the taker too, so nobody waits for the taker long.
my ($tries, $takeovers) = (0, 0);
my $deadline = time() + $PostgreSQL::Test::Utils::timeout_default;
undef $job;
while ($takeovers < $takeovers_wanted && time() < $deadline)
{
	unless (defined $job && $node->is_unfinished($job))
	{
		$job = $node->submit($statement, chunk_rows => 2, workers => 3);
		$times++;
		$node->wait_until("SELECT EXISTS (SELECT FROM stride.splits WHERE job_id = $job)", "job $job is planned");
	}
	my @pids = $node->pids('worker') or next;
	my $pid = $pids[ rand(@pids) ];
	StrideCluster::pause_ms(rand(20));
	next unless kill('STOP', $pid);
	$tries++;
	my $taker = $node->start_sql(sprintf($takeover, $pid));
	for (1 .. 50) { last unless $taker->is_running; StrideCluster::pause_ms(10); }
	kill('CONT', $pid);
	$takeovers++ if ($taker->finish)[0] ne '';
}
is($takeovers, $takeovers_wanted, "$takeovers of $tries stopped workers lost their split");
$node->reaches($job, 'succeeded', 'and the job goes on');
counted_is('with every row done exactly once');
$node->invariants_hold('the invariants hold');
$node->no_crash_since($log, 'and no process crashed');

$node->stop;
done_testing();
