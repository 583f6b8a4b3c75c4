# What is saved of a query, under kill -9 and immediate stops while it is saved, once it is saved, while it is walked and at the
# end: each row of the query's one snapshot is written exactly once, whatever happens to its tables meanwhile, and the work
# table is gone with the job.  It is in no dump, goes with the extension, and holds up neither its job nor DROP ROLE's usual way.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $rows = 3_000;
my $node = StrideCluster->fresh('main');
$node->sql(<<SQL);
CREATE ROLE app LOGIN;
GRANT USAGE ON SCHEMA stride TO app;
GRANT CREATE ON SCHEMA public TO app;
SET ROLE app;
CREATE TABLE source AS SELECT id, id || repeat(' row', 200) AS name FROM generate_series(1, $rows) AS id;
CREATE TABLE expected AS TABLE source;
CREATE TABLE copied (id integer, name text);
CREATE TABLE slow AS SELECT false AS very;
CREATE FUNCTION slowly(what anyelement) RETURNS anyelement LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_sleep(0.005) FROM public.slow WHERE very; RETURN what; END';
RESET ROLE;
SQL

my $tables = q{SELECT count(*) FROM pg_class WHERE relnamespace = 'stride_work'::regnamespace AND relkind = 'r'};
my $submit = 'SET ROLE app; SELECT stride.submit_pipeline';
my $query = q{source_query => 'SELECT slowly(id) AS id, name FROM source', if_exists => 'new'};

# Submits the job anew, over a source that is as it was.
sub begin_job
{
	my ($arguments) = @_;
	$node->sql('TRUNCATE source, copied; INSERT INTO source TABLE expected');
	return $node->sql("$submit('copied', $query, chunk_rows => 100, workers => 2 $arguments)");
}

sub is_done
{
	my ($job, $name) = @_;
	$node->wait_for_state($job, 'succeeded');
	$node->same_rows('SELECT * FROM copied', 'SELECT * FROM expected', "$name: each row exactly once");
	$node->wait_until("SELECT ($tables) = 0", "$name: the work table is dropped");
	$node->invariants_hold("$name: the invariants hold");
	return;
}

sub kill_worker
{
	my ($pid) = @_;
	my $log = $node->log_size;
	kill('KILL', $pid);
	$node->wait_until('SELECT true', 'the server is up again')
	  until $node->log_contains('all server processes terminated; reinitializing', $log);
	$node->wait_until('SELECT true', 'the server is up again');
	return;
}

# While the rows are saved: what was written of them is thrown away.
$node->sql('UPDATE slow SET very = true');
my $job = begin_job('');
$node->wait_until("SELECT phase = 'spooling' FROM stride.progress WHERE job_id = $job", 'the rows are being saved');
my $table = $node->sql("SELECT source FROM stride.jobs WHERE job_id = $job");
$node->wait_until("SELECT pg_relation_size('$table') > 0", 'some are in the file');
my ($worker) = $node->pids('worker');
$node->sql('UPDATE slow SET very = false');
kill_worker($worker);
is_done($job, 'killed while saving');

# At each place after that, by a crash.  The server stays down, so that each point is met once.  The source changes once its
# rows are saved.
$node->reconfigure('restart_after_crash', 'off');
for my $point (qw(after_spool before_plan_commit before_commit before_finish))
{
	$node->set_point("$point:crash");
	my $log = $node->log_size;
	$node->sql('TRUNCATE source, copied; INSERT INTO source TABLE expected');
	my $settings = $point eq 'after_spool' ? q{, settings => '{"max_rows": 100}'} : '';
	$node->try_sql("$submit('copied', $query, chunk_rows => 100, name => '$point' $settings)");
	$node->wait_for_log('was terminated by signal 9', $log);
	$node->stop('immediate', fail_ok => 1);
	$node->configure('stride.test_point', undef);
	$node->configure('stride.enabled', 'off');
	$node->start;
	$node->sql('DELETE FROM source WHERE id % 2 = 0') if $point =~ /^before_(commit|finish)$/;
	$node->reconfigure('stride.enabled', undef);
	$job = $node->sql("SELECT job_id FROM stride.jobs WHERE name = '$point'");
	if ($settings)
	{
		$node->wait_for_state($job, 'paused');
		$table = $node->sql("SELECT source FROM stride.jobs WHERE job_id = $job");
		is($node->sql("SELECT pg_relation_size('$table') < 1.5 * pg_relation_size('expected')"), 't', 'nothing is left of what was saved in vain');
		$node->sql("SELECT stride.alter($job, settings => '{\"max_rows\": null}'); SELECT stride.resume($job)");
	}
	is_done($job, "crashed at $point");
}
$node->reconfigure('restart_after_crash', 'on');

# Between chunks, by an immediate stop; the source is gone then.
$job = begin_job(q{, settings => '{"max_rows_per_second": 2000}'});
$node->wait_for_chunks($job, 2);
$node->stop('immediate');
$node->start;
$node->sql('TRUNCATE source');
is_done($job, 'stopped while walking');

# A cancel while the rows are saved; resume saves them anew, as they are then.
$node->sql('UPDATE slow SET very = true');
$job = begin_job('');
$node->wait_until("SELECT phase = 'spooling' FROM stride.progress WHERE job_id = $job", 'the rows are being saved');
$node->sql("SELECT stride.cancel($job)");
$node->reaches($job, 'cancelled', 'a cancel ends the saving');
is($node->sql("SELECT count(*) FROM stride.splits WHERE job_id = $job"), 0, 'nothing is planned then');
$node->sql('UPDATE slow SET very = false');
$node->sql("SELECT stride.resume($job)");
is_done($job, 'resumed after a cancel');

# The query may have a parallel plan, of the worker's own, unless it calls what a parallel plan cannot have run beside writes.
$node->sql(<<SQL);
ALTER ROLE app SET min_parallel_table_scan_size = 0;
ALTER ROLE app SET parallel_setup_cost = 0;
ALTER ROLE app SET parallel_tuple_cost = 0;
ALTER ROLE app SET parallel_leader_participation = off;
CREATE FUNCTION stable_type() RETURNS text STABLE PARALLEL SAFE LANGUAGE sql AS
  'SELECT backend_type FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()';
CREATE FUNCTION volatile_type() RETURNS text VOLATILE PARALLEL SAFE LANGUAGE plpgsql AS
  'BEGIN RETURN (SELECT public.stable_type()); END';
SQL
for my $kind (qw(stable volatile))
{
	$node->sql('TRUNCATE copied');
	$job = $node->sql("$submit('copied', source_query => 'SELECT id, ${kind}_type() AS name FROM source')");
	$node->wait_for_state($job, 'succeeded');
	is($node->sql('SELECT name, count(*) FROM copied GROUP BY 1'), ($kind eq 'stable' ? 'parallel worker' : 'pg_stride worker') . "|$rows",
		"a query with a $kind function is run by " . ($kind eq 'stable' ? 'parallel workers' : 'the worker alone'));
}
$node->sql('ALTER ROLE app RESET ALL');

# Who reads the work table does not hold up the job's end, only the drop.
$node->reconfigure('stride.enabled', 'off');
$job = begin_job('');
$table = $node->sql("SELECT source FROM stride.jobs WHERE job_id = $job");
my $reader = $node->background_psql('postgres');
$reader->query_safe("BEGIN; SELECT count(*) FROM $table");
$node->reconfigure('stride.enabled', undef);
$node->reaches($job, 'succeeded', 'the job ends while somebody reads its work table');
is($node->sql($tables), 1, 'which is still there');
$reader->query_safe("COMMIT; BEGIN; CREATE VIEW of_it AS SELECT * FROM $table; COMMIT");
$reader->quit;
is_done($job, 'once nobody reads it');

# A dump leaves it out, also its rights; the job comes back as paused and cannot go on.
my $waiting = begin_job(q{, start_at => 'infinity'});
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'a database with a work table is dumped');
unlike(slurp_file($dump), qr/^(CREATE|ALTER|GRANT|REVOKE|COPY)[^\n]*stride_work\./m, 'without the work table and its rights');
$node->sql('CREATE DATABASE restored TEMPLATE template0');
{
	local $node->{database} = 'restored';
	$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ], 'and restored');
	$node->wait_for_state($waiting, 'paused');
	like($node->sql("SELECT state_reason FROM stride.jobs WHERE job_id = $waiting"), qr/^restored: .* were not dumped: submit it again$/,
		'the job comes back as paused, and says why it cannot go on');
	$node->sql("SELECT stride.resume($waiting)");
	$node->wait_until("SELECT state_reason ~ '^the rows' FROM stride.jobs WHERE job_id = $waiting", 'so does a resume');
	$node->invariants_hold('the invariants hold of a restored job');
}

# The owner's time limits are for its clients.
SKIP:
{
	skip 'transaction_timeout came with 17', 1 if $node->pg_version < 17;
	$node->sql("ALTER ROLE app SET transaction_timeout = '200ms'");
	my $job = $node->sql("$submit('copied', source_query => 'SELECT 1 AS id FROM pg_sleep(1)')");
	$node->reaches($job, 'succeeded', 'a query that takes longer than transaction_timeout is saved');
}

# The owner's rights hold up DROP ROLE as rights do, and go with DROP OWNED; the extension takes the table along.
$node->sql('DROP DATABASE restored WITH (FORCE)');
like($node->failure_of('REASSIGN OWNED BY app TO CURRENT_USER; DROP ROLE app'), qr/2BP01.*privileges for table stride_work\.spool/s,
	'DROP ROLE names the work table');
$node->sql('DROP OWNED BY app; DROP ROLE app');
is($node->sql($tables), 1, 'which stays with its job');
$node->sql('DROP EXTENSION pg_stride');
is($node->sql("SELECT count(*) FROM pg_class WHERE relname LIKE 'spool\\_%'"), 0, 'DROP EXTENSION takes it along');

$node->stop;
done_testing();
