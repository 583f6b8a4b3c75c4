# indexes => 'rebuild': the secondary indexes of an empty target are dropped when the job is planned and are there again at its
# end, whatever end that is: after a crash or a stop of the server at every named point between the two, after a cancel, a
# failure, a pause, a dump and a restore.  Each time all rows and all indexes are there once, with definition, comment and
# statistics targets as before.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $rows = 600;
my @points = qw(after_drop before_plan_commit before_rebuild after_rebuild after_rebuild_commit before_finish);

my $node = StrideCluster->fresh('main', conf => "restart_after_crash = off");
$node->sql(<<SQL);
CREATE ROLE app LOGIN;
GRANT USAGE ON SCHEMA stride TO app;
GRANT CREATE ON SCHEMA public TO app;
SET ROLE app;
CREATE TABLE source AS SELECT id, now() - id * interval '1 min' AS at, md5(id::text) AS name FROM generate_series(1, $rows) AS id;
ALTER TABLE source ADD PRIMARY KEY (id);
CREATE TABLE trap (what text);
-- Not as immutable as it says, so that the test can have it fail.
CREATE FUNCTION folded(name text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
  \$\$BEGIN
    IF EXISTS (SELECT FROM public.trap WHERE what = 'index') THEN RAISE 'the trap is set'; END IF;
    RETURN lower(name);
  END\$\$;
CREATE TABLE target (id integer PRIMARY KEY, at timestamptz, name text, UNIQUE (name, id));
CREATE INDEX "at ""first" ON target (at DESC NULLS LAST, id) INCLUDE (name) WITH (fillfactor = 80);
CREATE INDEX by_name ON target (public.folded(name) text_pattern_ops, (id % 7)) WHERE id > 5;
CREATE INDEX hashed ON target USING hash (name);
ALTER INDEX by_name ALTER COLUMN 1 SET STATISTICS 300;
COMMENT ON INDEX by_name IS 'how''s that';
CREATE FUNCTION look_out() RETURNS trigger LANGUAGE plpgsql AS
  \$\$BEGIN
    IF EXISTS (SELECT FROM public.trap WHERE what = 'slow') THEN PERFORM pg_sleep(0.01); END IF;
    IF EXISTS (SELECT FROM public.trap WHERE what = 'row') AND NEW.id = $rows - 50 THEN RAISE 'a bad row'; END IF;
    RETURN NEW;
  END\$\$;
CREATE TRIGGER look_out BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION look_out();
SQL

my $indexes = q(SELECT c.relname, pg_get_indexdef(c.oid) || ' ' || i.indisvalid AS definition, obj_description(c.oid) AS comment,
  (SELECT string_agg(attstattarget::text, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid) AS statistics
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE i.indrelid = 'public.target'::regclass);
$node->sql("CREATE TABLE expected AS $indexes; GRANT SELECT ON expected TO app");
my $dropped = "SELECT string_agg(index_name || ' ' || state, ', ' ORDER BY index_name) FROM stride.dropped_indexes WHERE job_id =";
my $all_rebuilt = 'at "first rebuilt, by_name rebuilt, hashed rebuilt';

# Submits the load as role app; %arguments are SQL expressions by argument name.
sub load_target
{
	my (%arguments) = @_;
	my $arguments = join('', map { ", $_ => $arguments{$_}" } sort keys %arguments);
	return "SET ROLE app; SELECT stride.submit_pipeline('target', source => 'source', indexes => 'rebuild', if_exists => 'new', chunk_rows => 50$arguments)";
}

sub set_trap { my ($what) = @_; $node->sql("INSERT INTO trap VALUES ('$what')"); return; }
sub clear_traps { $node->sql('DELETE FROM trap'); return; }
sub indexes_missing { return $node->sql("SELECT count(*) FROM (SELECT relname FROM expected EXCEPT SELECT relname FROM ($indexes) AS i) AS m"); }

# The job has reached its end, with all indexes as they were.
sub ends
{
	my ($job, $state, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->reaches($job, $state, "$name: the job is $state");
	$node->same_rows($indexes, 'SELECT * FROM expected', "$name: the indexes are as they were");
	is($node->sql("$dropped $job"), $all_rebuilt, "$name: each of them was rebuilt");
	return;
}

sub succeeds
{
	my ($job, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ends($job, 'succeeded', $name);
	$node->same_rows('SELECT * FROM target', 'SELECT * FROM source', "$name: each row exactly once");
	$node->sql('TRUNCATE target');
	return;
}

# While the job runs the secondary indexes are not there, and at its end they are.
$node->set_point('before_rebuild:wait');
my $job = $node->sql(load_target());
$node->wait_at_point($job);
is(indexes_missing(), 3, 'the secondary indexes are dropped while the job runs');
is($node->sql("SELECT phase FROM stride.progress WHERE job_id = $job"), 'rebuilding indexes', 'and progress shows when they come back');
$node->wait_until("SELECT count(*) = 2 FROM stride.workers WHERE phase = 'rebuilding indexes'", 'two workers rebuild side by side');
$node->set_point(undef);
succeeds($job, 'undisturbed');
ok($node->sql("SELECT rebuild_ms > 0 FROM stride.jobs WHERE job_id = $job") eq 't', 'the time is counted');

# The server crashes, or is stopped, at each point.
for my $point (@points)
{
	for my $how ('crash', $point eq 'before_finish' ? () : 'wait')
	{
		$node->set_point("$point:$how");
		my $log = $node->log_size;
		$node->try_sql(load_target(name => "'$point $how'"));
		if ($how eq 'crash')
		{
			$node->wait_for_log('was terminated by signal 9', $log);
		}
		else
		{
			$node->wait_at_point($node->sql("SELECT job_id FROM stride.jobs WHERE name = '$point $how'"));
		}
		$node->stop('immediate', fail_ok => 1);
		$node->configure('stride.test_point', undef);
		$node->start;
		$job = $node->sql("SELECT job_id FROM stride.jobs WHERE name = '$point $how'");
		succeeds($job, $how eq 'crash' ? "a crash at $point" : "an immediate stop at $point");
	}
}

# A cancel, and a resume that finds rows in the target and drops nothing.
set_trap('slow');
$job = $node->sql(load_target());
$node->wait_for_chunks($job, 1);
$node->sql("SELECT stride.cancel($job)");
ends($job, 'cancelled', 'a cancel');
my $times = $node->sql("SELECT array_agg(dropped_at ORDER BY index_name) FROM stride.dropped_indexes WHERE job_id = $job");
clear_traps();
$node->sql("SELECT stride.resume($job)");
$node->wait_for_state($job, 'succeeded');
is($node->sql("SELECT array_agg(dropped_at ORDER BY index_name) FROM stride.dropped_indexes WHERE job_id = $job"),
	$times, 'a resume drops no index again');
succeeds($job, 'a resume after a cancel');

# A crash while the indexes are rebuilt before a cancel or a failure, and after that.
for my $at ([ 'cancelled', 'after_rebuild' ], [ 'cancelled', 'before_end' ], [ 'failed', 'after_rebuild' ], [ 'failed', 'before_end' ])
{
	my ($end, $point) = @$at;
	set_trap($end eq 'failed' ? 'row' : 'slow');
	$node->set_point("$point:crash");
	my $log = $node->log_size;
	$job = $node->sql(load_target());
	if ($end eq 'cancelled')
	{
		$node->wait_for_chunks($job, 1);
		$node->sql("SELECT stride.cancel($job)");
	}
	$node->wait_for_log('was terminated by signal 9', $log);
	$node->stop('immediate', fail_ok => 1);
	$node->configure('stride.test_point', undef);
	$node->start;
	ends($job, $end, "a crash at $point before the job is $end");
	like($node->sql("SELECT error_message FROM stride.jobs WHERE job_id = $job"), qr/a bad row/, 'the error is the row\'s')
	  if $end eq 'failed';
	clear_traps();
	$node->sql("SELECT stride.resume($job)");
	succeeds($job, "a resume of the job that was $end");
}

# A worker that is terminated while it rebuilds is replaced; a pause lets it end the index that it is at.
$node->set_point('before_rebuild:wait');
$job = $node->sql(load_target(workers => 1));
my $pid = $node->wait_at_point($job);
$node->sql("SELECT pg_terminate_backend($pid)");
$node->wait_until("SELECT count(*) > 0 FROM stride.workers WHERE job_id = $job AND pid <> $pid AND phase = 'rebuilding indexes'",
	'another worker rebuilds');
$node->sql("SELECT stride.pause($job)");
$node->wait_for_state($job, 'pausing');
$node->set_point(undef);
$node->wait_for_state($job, 'paused');
like($node->sql("SELECT state_reason FROM stride.jobs WHERE job_id = $job"), qr/^paused on request; 2 indexes of/, 'a pause between two indexes');
$node->sql("SELECT stride.resume($job)");
succeeds($job, 'a termination and a pause during the rebuild');

# A pause leaves the indexes dropped and says so; a cancel from there, or of the job that was queued again, rebuilds them.
for my $queued (0, 1)
{
	set_trap('slow');
	$job = $node->sql(load_target());
	$node->wait_for_chunks($job, 1);
	$node->sql("SELECT stride.pause($job)");
	$node->wait_for_state($job, 'paused');
	is(indexes_missing(), 3, 'a pause leaves the indexes dropped');
	is($node->sql("SELECT state_reason FROM stride.jobs WHERE job_id = $job"),
		'paused on request; 3 indexes of public.target stay dropped until it is resumed or cancelled', 'and says so');
	if ($queued)
	{
		$node->reconfigure('stride.enabled', 'off');
		$node->sql("SELECT stride.resume($job)");
		$node->wait_for_state($job, 'queued');
	}
	is($node->sql("SELECT stride.cancel($job)"), 'cancelled', 'a cancel is accepted');
	if ($queued)
	{
		$node->wait_for_state($job, 'cancelling');
		is(indexes_missing(), 3, 'while stride.enabled is off nothing is rebuilt');
		$node->reconfigure('stride.enabled', undef);
	}
	ends($job, 'cancelled', $queued ? 'a cancel of a queued job' : 'a cancel of a paused job');
	clear_traps();
	$node->sql('TRUNCATE target');
}

# A rebuild that fails makes the job failed, also one that is cancelled; what is dropped stays known, and resume tries again.
for my $cancel (0, 1)
{
	set_trap('slow') if $cancel;
	$job = $node->sql(load_target());
	$node->wait_for_chunks($job, 1) if $cancel;
	$node->set_point('before_rebuild:wait') unless $cancel;
	$node->wait_at_point($job) unless $cancel;
	set_trap('index');
	$node->sql("SELECT stride.cancel($job)") if $cancel;
	$node->set_point(undef) unless $cancel;
	$node->reaches($job, 'failed', 'a rebuild that fails makes the job failed');
	is($node->sql("$dropped $job"), 'at "first rebuilt, by_name failed, hashed rebuilt', 'the others are rebuilt');
	like($node->sql("SELECT error_message FROM stride.jobs WHERE job_id = $job"), qr/the trap is set/, 'the job says why');
	is($node->sql("SELECT error_sqlstate || ' ' || (definition ~ 'CREATE INDEX by_name') FROM stride.dropped_indexes WHERE state = 'failed'"),
		'P0001 true', 'the definition is kept, with the error');
	like($node->failure_of("SELECT stride.forget($job)"), qr/55000.*dropped 1 indexes.*stride\.resume/s, 'the job cannot be forgotten');
	clear_traps();
	$node->sql("SELECT stride.resume($job)");
	succeeds($job, 'a resume rebuilds the rest');
	$node->sql("SELECT stride.forget($job)");
	$node->wait_until("SELECT count(*) = 0 FROM stride.dropped_indexes WHERE job_id = $job", 'then it can be forgotten');
}

# Locks of others.  A reader holds up the plan and a writer the rebuild; both are tried again.
my $impatient = q('{"lock_timeout": "20ms", "retry_delay": "5ms", "retry_limit": 1000}');
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; SELECT count(*) FROM target');
$job = $node->sql(load_target(settings => $impatient));
$node->wait_until("SELECT count(*) > 0 FROM stride.progress WHERE job_id = $job AND waiting_for ~ 'lock timeout'", 'the plan is tried again');
is(indexes_missing(), 0, 'nothing is dropped yet');
$node->set_point('before_rebuild:wait');
$holder->query_safe('COMMIT');
$node->wait_until("SELECT count(*) = 2 FROM stride.workers WHERE phase = 'rebuilding indexes'", 'the workers are about to rebuild');
$holder->query_safe('BEGIN; LOCK TABLE target IN ROW EXCLUSIVE MODE');
$node->set_point(undef);
$node->wait_until("SELECT count(*) = 3 FROM stride.dropped_indexes WHERE job_id = $job AND attempts > 0 AND error_sqlstate = '55P03'",
	'each rebuild is tried again');
$holder->query_safe('COMMIT');
succeeds($job, 'after lock timeouts');

# A row that another session commits before the target can be locked: the job fails, and nothing was dropped.
$holder->query_safe("BEGIN; INSERT INTO target VALUES (0, now(), 'stranger')");
$job = $node->sql(load_target(settings => $impatient));
$node->wait_until("SELECT count(*) > 0 FROM stride.progress WHERE job_id = $job AND waiting_for ~ 'lock timeout'", 'the plan waits');
$holder->query_safe('COMMIT');
$node->reaches($job, 'failed', 'a row of another session makes the job fail');
is($node->sql("SELECT error_sqlstate || ' ' || error_message FROM stride.jobs WHERE job_id = $job"),
	'55000 table "target" is not empty', 'with the reason');
is(indexes_missing(), 0, 'and no index was dropped');
$node->sql('TRUNCATE target');
$holder->quit;

# An index that somebody creates meanwhile stands, the table may be renamed, and one that is dropped takes its indexes along.
$node->set_point('before_rebuild:wait');
$job = $node->sql(load_target(workers => 1));
$node->wait_at_point($job);
$node->sql('CREATE INDEX hashed ON target USING hash (name)');
$node->sql('ALTER TABLE target RENAME TO renamed');
$node->set_point(undef);
$node->wait_for_state($job, 'succeeded');
$node->sql('ALTER TABLE renamed RENAME TO target');
succeeds($job, 'an index that was there, and a table that was renamed');
is($node->sql("SELECT detail FROM stride.events WHERE job_id = $job AND event = 'index' AND detail ~ '^index .hashed. was there already'")
	  =~ /already/, 1, 'an event says that it was there');
$node->sql('CREATE TABLE spare (LIKE target INCLUDING ALL)');
$node->sql('ALTER TABLE spare OWNER TO app');
$node->set_point('before_rebuild:wait');
$job = $node->sql(load_target(workers => 1) =~ s/'target'/'spare'/r);
$node->wait_at_point($job);
my $gone = $node->start_sql('DROP TABLE spare');
$gone->finish;
$node->set_point(undef);
$node->reaches($job, 'succeeded', 'the target is dropped after the last row: the job ends');
like($node->sql("SELECT string_agg(DISTINCT state, ' ') FROM stride.dropped_indexes WHERE job_id = $job"), qr/^abandoned$/,
	'its indexes are abandoned');
is($node->sql("SELECT count(*) FROM stride.events WHERE job_id = $job AND detail ~ 'was not rebuilt, as table public.spare no longer exists: CREATE INDEX'"),
	3, 'which events say, with the definitions');

# A dump of a paused job, restored: the job comes back as paused, and both resume and cancel rebuild.
set_trap('slow');
$job = $node->sql(load_target());
$node->wait_for_chunks($job, 1);
$node->sql("SELECT stride.pause($job)");
$node->wait_for_state($job, 'paused');
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'a database with a paused load is dumped');
for my $action (qw(resume cancel))
{
	$node->sql("CREATE DATABASE restored_$action TEMPLATE template0");
	local $node->{database} = "restored_$action";
	$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr("restored_$action") ], 'and restored');
	$node->wait_until("SELECT state = 'paused' FROM stride.jobs WHERE job_id = $job", 'the job is paused');
	is(indexes_missing(), 3, 'the restored target is without its indexes');
	clear_traps();
	$node->sql("SELECT stride.$action($job)");
	ends($job, $action eq 'resume' ? 'succeeded' : 'cancelled', "$action of a restored job");
	$node->same_rows('SELECT * FROM target', 'SELECT * FROM source', 'each row exactly once') if $action eq 'resume';
	$node->invariants_hold('the invariants hold there');
}
clear_traps();
$node->sql("SELECT stride.resume($job)");
succeeds($job, 'the original goes on');
$node->invariants_hold('the invariants hold');

$node->stop;
done_testing();
