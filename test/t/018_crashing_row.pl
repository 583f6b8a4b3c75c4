# A row that crashes the server, by a C function that raises SIGSEGV: the worker that crashed is told from those that went down
# with it, its rows are done again in small chunks, and after the second crash the job is paused with the reason instead of
# restarting the cluster for ever.  What others do to the server at that position does not count.  Rejects are exact under
# crashes too.
# Covers design 5 (suspects), reliability 7.3 (a row that crashes the server).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $node = StrideCluster->fresh('main');
$node->sql(<<SQL);
CREATE FUNCTION crash_if(boolean) RETURNS boolean AS 'bridge_test', 'bridge_crash_if' LANGUAGE c;
CREATE TABLE source AS SELECT id, id = 700 AS bad FROM generate_series(1, 3000) AS id;
ALTER TABLE source ADD PRIMARY KEY (id);
CREATE TABLE copied (id integer);
CREATE TABLE gate AS SELECT false AS open;
CREATE FUNCTION pass_gate(n integer) RETURNS integer LANGUAGE plpgsql AS
  'BEGIN WHILE NOT (SELECT open FROM gate) LOOP PERFORM pg_sleep(0.02); END LOOP; RETURN n; END';
SQL
my $log = $node->log_size;

sub crashes { return scalar(() = slurp_file($node->logfile, $log) =~ /was terminated by signal 11/g); }

my $job = $node->submit('INSERT INTO copied SELECT id FROM source WHERE NOT crash_if(bad)', on_error => "'skip'", chunk_rows => 128, workers => 3);
$node->wait_until("SELECT state IN ('paused', 'failed') OR finished_at IS NOT NULL FROM stride.jobs WHERE job_id = $job",
	'the crashing job stops');
is($node->state($job), 'paused', 'a row that crashes the server pauses the job');
is(crashes(), 2, 'after two crashes');
like($node->sql("SELECT state_reason FROM stride.jobs WHERE job_id = $job"),
	qr/^the server crashed 2 times while the job was at the next \d+ rows of split \d+$/, 'and says so');
is($node->sql("SELECT count(*) FROM stride.splits WHERE job_id = $job AND crashes > 0"), 1, 'one split is suspected');
ok( $node->sql("SELECT (position_key[1])::int < 700 AND (position_key[1])::int + suspect_rows >= 700 FROM stride.splits"
		  . " WHERE job_id = $job AND crashes = 2") eq 't',
	'and the row is among the suspected ones');
cmp_ok($node->sql("SELECT suspect_rows FROM stride.splits WHERE job_id = $job AND crashes = 2"), '<=', 32, 'which are few');
$node->sql('UPDATE source SET bad = false');
$node->sql("SELECT stride.resume($job)");
$node->reaches($job, 'succeeded', 'once mended, the job goes on');
$node->same_rows('SELECT * FROM copied', 'SELECT id FROM source', 'each row exactly once');
is($node->sql("SELECT sum(crashes) + sum(suspect_rows) FROM stride.splits WHERE job_id = $job"), 0, 'nothing is suspected any more');

# The server goes down four times at one position, and never by the worker: it is not suspected.
$node->sql('TRUNCATE copied');
$job = $node->submit('INSERT INTO copied SELECT pass_gate(id) FROM source', workers => 2);
for my $how (qw(backend backend immediate immediate))
{
	$node->wait_until("SELECT count(*) = 2 FROM stride.workers WHERE phase = 'writing'", 'two workers are at work');
	if ($how eq 'backend')
	{
		my $bystander = $node->start_sql('SELECT pg_sleep(600)');
		$node->wait_until("SELECT count(*) = 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'", 'a bystander');
		$log = $node->log_size;
		kill('KILL', $node->sql("SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'"));
		$node->wait_for_log('all server processes terminated; reinitializing', $log);
		$bystander->stop;
	}
	else
	{
		$node->stop('immediate');
		$node->start;
	}
}
$node->wait_until("SELECT count(*) = 2 FROM stride.workers WHERE phase = 'writing'", 'two workers are at work again');
is($node->sql("SELECT sum(crashes) + sum(suspect_rows) FROM stride.splits WHERE job_id = $job"), 0,
	'workers that went down with the server are not suspected');
$node->sql('UPDATE gate SET open = true');
$node->reaches($job, 'succeeded', 'and the job goes on');
is(join(' ', glob($node->data_dir . '/pg_stat_tmp/pg_stride.*')), '', 'no mark is left');

# Rejects: the checkpoint and the reject are one transaction, whatever happens to the server.
$node->sql("CREATE TABLE few AS SELECT id FROM generate_series(1, 5) AS id; ALTER TABLE few ADD PRIMARY KEY (id)");
$node->reconfigure('restart_after_crash', 'off');
for my $point (qw(before_commit after_peek))
{
	$node->set_point("$point:crash");
	$log = $node->log_size;
	$node->try_sql("SELECT stride.submit('SELECT set_config(''t.x'', (1 / (id - id))::text, true) FROM few', name => '$point',"
		  . " on_error => 'skip', chunk_rows => 1, workers => 1)");
	$node->wait_for_log('was terminated by signal 9', $log);
	$node->stop('immediate', fail_ok => 1);
	$node->configure('stride.test_point', undef);
	$node->start;
	my $bad = $node->sql("SELECT job_id FROM stride.jobs WHERE name = '$point'");
	$node->wait_for_state($bad, 'succeeded_with_rejects');
	is($node->sql("SELECT string_agg(row_key[1] || '/' || attempt, ' ' ORDER BY row_key) FROM stride.rejects WHERE job_id = $bad"),
		'1/1 2/1 3/1 4/1 5/1', "a crash at $point: each row is rejected once");
}
$node->invariants_hold('the invariants hold');

$node->stop;
done_testing();
