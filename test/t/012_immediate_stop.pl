# The server goes down while jobs run: pg_ctl -m immediate, fast and smart, the postmaster killed, and a crash or an error
# of one of our processes at every named point in the code.  After the next start the job goes on by itself, and every
# row was done exactly once.
# Covers R4, R5, R14, G-02 (every named point x INSERT by either sink, UPDATE, DELETE), G-19, B-12, B-25 (an error at each boundary).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $rows = 20_000;
my @worker_points = qw(worker_connected job_loaded before_plan_commit before_claim_commit after_fence after_peek after_write
  before_commit after_commit);
my @points = (@worker_points, 'scheduler_round');
my @rebuild_points = qw(after_drop before_rebuild after_rebuild after_rebuild_commit before_finish before_end); # 017_index_rebuild.pl
my @spool_points = qw(after_spool); # 040_spool.pl
my @stream_points = qw(before_stream); # 046_stream.pl
my @signal_points = qw(read_activity read_archive read_replication); # 030_throttles.pl

# No named point in the sources is left out.
my %named;
for my $file (glob("$FindBin::RealBin/../../src/*/*.cpp"))
{
	my $source = slurp_file($file);
	$named{$1} = 1 while $source =~ /STRIDE_TEST_POINT\("(\w+)"\)/g;
}
is(join(' ', sort keys %named), join(' ', sort @points, @rebuild_points, @spool_points, @stream_points, @signal_points), 'every named point of the sources is tried');

StrideCluster::seed();
my $node = StrideCluster->fresh('main', conf => "restart_after_crash = off\nstride.max_workers = 8");
$node->sql(<<SQL);
CREATE TABLE big AS SELECT id, 'row ' || id AS name FROM generate_series(1, $rows) AS id;
ALTER TABLE big ADD PRIMARY KEY (id);
CREATE TABLE big_copied (id integer, name text);
CREATE TABLE source AS SELECT * FROM big WHERE id <= 600;
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
CREATE TABLE slow AS SELECT true AS very;
CREATE FUNCTION burn(name text) RETURNS text STABLE LANGUAGE plpgsql AS
  'BEGIN PERFORM count(*) FROM slow, generate_series(1, 50000); RETURN name; END';
CREATE FUNCTION spin() RETURNS void LANGUAGE plpgsql AS 'BEGIN LOOP END LOOP; END';
ANALYZE;
SQL

# Stops in the middle of one job, again and again, at random moments.  While table slow has its row, the job is far from
# its end however fast the machine is.
my $job = $node->submit('INSERT INTO big_copied SELECT id, burn(name) FROM big', chunk_rows => 4, workers => 3);
for my $mode (qw(immediate fast immediate smart immediate))
{
	my $chunks = $node->sql("SELECT chunks + 1 FROM stride.jobs WHERE job_id = $job");
	$node->wait_for_chunks($job, $chunks);
	StrideCluster::pause_ms(rand(100));
	$node->stop($mode);
	$node->start;
}
ok($node->is_unfinished($job), 'five stops came before the end of the job');
$node->sql('DELETE FROM slow');
$node->reaches($job, 'succeeded', 'after five stops the job has gone on by itself');
$node->same_rows('SELECT * FROM big_copied', 'SELECT * FROM big', 'each row exactly once');

# The postmaster is killed while a long job runs that never waits for anything: none of our processes outlives it for
# long, and the job is not worked on any more.
$node->sql('TRUNCATE big_copied; INSERT INTO slow VALUES (true)');
$job = $node->submit('INSERT INTO big_copied SELECT id, burn(name) FROM big', chunk_rows => 1, workers => 3);
$node->wait_until("SELECT count(*) = 3 FROM stride.workers WHERE phase = 'writing'", 'three workers are busy');
my @left = my @orphans = ($node->pids('worker'), $node->pids('scheduler'), $node->pids('launcher'));
$node->kill9;
my $deadline = time() + 30;
while (time() < $deadline && (@left = grep { kill(0, $_) } @left)) { StrideCluster::pause_ms(20); }
is(scalar(@left), 0, 'all ' . @orphans . ' processes of ours have gone after the postmaster');
kill('QUIT', @left);
$node->wait_for_orphans;
$node->start;
ok($node->is_unfinished($job), 'while the job was far from its end');
$node->sql('DELETE FROM slow');
$node->reaches($job, 'succeeded', 'after the death of the postmaster the job goes on by itself');
$node->same_rows('SELECT * FROM big_copied', 'SELECT * FROM big', 'each row exactly once');
$node->invariants_hold('the invariants hold');

# A fast stop ends sessions that wait for a job, and workers that sleep or spin.
my @busy = map { $node->submit("SELECT $_ FROM source", workers => 2) } ('pg_sleep(600)', 'spin()');
$node->wait_until("SELECT count(*) = 4 FROM stride.workers WHERE phase = 'writing'", 'four workers are busy');
my $waiter = $node->start_sql("CALL stride.wait($busy[0])");
$node->wait_until("SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'CALL stride.wait%'", 'a session waits');
my $log = $node->log_size;
$node->stop('fast');
like(($waiter->finish)[1], qr/terminating connection due to administrator command/, 'a fast stop ends the session that waits');
$node->no_crash_since($log, 'and busy workers, without a crash');
$node->configure('stride.enabled', 'off');
$node->start;
$node->sql("SELECT stride.cancel($_)") for @busy;
$node->wait_for_state($_, 'cancelled') for @busy;
$node->reconfigure('stride.enabled', undef);

# Crashes.  The server stays down after the first, so that each point is met once.
my %statements = (
	bulk => 'INSERT INTO copied SELECT id, name FROM source',
	insert => 'INSERT INTO copied SELECT id, name FROM source',
	update => 'UPDATE counted SET n = n + 1',
	delete => 'DELETE FROM shrinking WHERE id % 3 <> 0');
my $times = 0;
for my $point (@points)
{
	$times++;
	$node->sql('INSERT INTO shrinking SELECT * FROM source WHERE id % 3 <> 0') if $times > 1;
	my @jobs;
	for my $kind (qw(bulk insert update delete))
	{
		$node->set_point("$point:crash");
		$log = $node->log_size;
		my $sink = $kind eq 'insert' ? 'statement' : 'auto';
		$node->try_sql("SELECT stride.submit('$statements{$kind}', name => '$point $kind', chunk_rows => 50,"
			  . qq| settings => '{"sink": "$sink"}')|);
		$node->wait_for_log('was terminated by signal 9', $log);
		$node->stop('immediate', fail_ok => 1);
		$node->configure('stride.test_point', undef);
		$node->start;
		push @jobs, $job = $node->sql("SELECT job_id FROM stride.jobs WHERE name = '$point $kind'");
		$node->wait_for_state($job, 'succeeded');
	}
	$node->same_rows('SELECT * FROM copied', "SELECT s.* FROM source AS s, generate_series(1, 2 * $times)",
		"a crash at $point: INSERT by either sink did each row exactly once");
	$node->same_rows('SELECT * FROM counted', "SELECT id, $times FROM source",
		"a crash at $point: UPDATE did each row exactly once");
	$node->same_rows(
		'SELECT 1, * FROM shrinking UNION ALL SELECT 2, * FROM deleted',
		"SELECT 1, * FROM source WHERE id % 3 = 0 UNION ALL SELECT 2, s.* FROM source AS s, generate_series(1, $times) WHERE id % 3 <> 0",
		"a crash at $point: DELETE did each row exactly once");
}
$node->invariants_hold('after ' . 4 * @points . ' crashes the invariants hold');

# Errors: the job fails (or, where no worker gets as far as that, is held), and resume goes on where it stopped.
$log = $node->log_size;
for my $point (@worker_points)
{
	$times++;
	$node->set_point("$point:error");
	$job = $node->submit($statements{update}, name => "'$point error'", chunk_rows => 50);
	$node->reaches($job, $point =~ /^(?:worker_connected|job_loaded)$/ ? 'paused' : 'failed', "an error at $point stops the job");
	$node->set_point(undef);
	$node->sql("SELECT stride.resume($job)");
	$node->wait_for_state($job, 'succeeded');
	$node->same_rows('SELECT * FROM counted', "SELECT id, $times FROM source",
		"an error at $point and a resume: each row exactly once");
}
$node->invariants_hold('after ' . @worker_points . ' errors the invariants hold');
$node->no_crash_since($log, 'no error became a crash');

$node->stop;
done_testing();
