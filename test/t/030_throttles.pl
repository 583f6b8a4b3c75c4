# Throttles on real signals: a standby that does not replay, an archive that does not take, busy sessions, a vacuum to
# prevent wraparound; signals that can't be read; the daily window and max_run_time on the virtual clock.  Each holds the
# job between chunks, with no transaction open, says so, and lets it go on.  Covers T-33.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $rows = 400;
my $node = StrideCluster->fresh('main', streaming => 1, archiving => 1,
	conf => "autovacuum_freeze_max_age = 100000\nautovacuum_naptime = 1\nautovacuum_vacuum_cost_delay = 0\nsynchronous_commit = off\n");
$node->sql("CREATE TABLE t AS SELECT id, 0 AS n FROM generate_series(1, $rows) AS id; ALTER TABLE t ADD PRIMARY KEY (id);"
	  . 'CREATE TABLE brake AS SELECT 1 AS pressure');
$node->backup('base');
my $standby = StrideCluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "wal_receiver_status_interval = 1\n");
$standby->start;
$node->wait_for_catchup($standby);

# A job of two seconds, so that it sees signals of its own time: they are read once a second.
sub submit
{
	my (%settings) = (max_rows_per_second => 200, @_);
	my $settings = join(', ', map { "\"$_\": $settings{$_}" } sort keys %settings);
	return $node->submit('UPDATE t SET n = n + 1', chunk_rows => 10, workers => 2, if_exists => q{'new'}, settings => "'{$settings}'");
}

sub is_held
{
	my ($job, $pattern, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok(eval { $node->wait_until("SELECT waiting_for ~ '$pattern' FROM stride.progress WHERE job_id = $job", "job $job is held: $pattern"); 1 },
		"$name: held")
	  || diag($@, $node->sql("SELECT waiting_for FROM stride.progress WHERE job_id = $job"));
	# A chunk that was on its way may end after the reason shows; and the throttle_query has a transaction for a moment.
	ok(eval {
		$node->wait_until("SELECT bool_and(phase = 'waiting') FROM stride.workers WHERE job_id = $job", "the workers of job $job wait");
		$node->wait_until("SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pg_stride job $job' AND (xact_start IS NOT NULL OR backend_xmin IS NOT NULL)",
			"job $job has no transaction");
		1 }, "$name: without a transaction") || diag($@);
	return;
}

sub goes_on
{
	my ($job, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->reaches($job, 'succeeded', "$name: goes on");
	return;
}

# Lag: the standby stands still.  The job's own chunks are what it has not replayed.
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
my $job = submit(max_replication_lag => '"1s"', max_rows_per_second => 100);
is_held($job, '^max_replication_lag: standby "standby" is .* s behind, limit 1.0 s', 'lag');
my $other = submit(max_replication_lag => '"1s"', lag_standbys => '"somebody, else"');
my $blind = submit(max_replication_lag => 0);
goes_on($blind, 'a job that does not look');
$node->reaches($other, 'succeeded', 'a job that looks at other standbys: goes on');
is($node->state($job), 'running', 'lag: still held');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
goes_on($job, 'lag');

# What can't be read holds after 15 s, by the virtual clock: a standby that was named is not there, the server's signals.
$job = submit(throttle_query => '"TABLE brake"', lag_standbys => '"absent"');
is_held($job, '^throttle_query: ', 'query');
$node->reconfigure('stride.test_clock_offset', 20_000);
is_held($job, '^max_replication_lag: standby "absent" was not there for 15 s', 'absent standby');
$node->sql(q{SELECT stride.alter(%d, settings => '{"lag_standbys": null}')} =~ s/%d/$job/r);
is_held($job, '^throttle_query: ', 'query again');
$node->set_point('read_archive:error');
$node->reconfigure('stride.test_clock_offset', 40_000);
is_held($job, '^max_archive_backlog: the backlog could not be read for 15 s', 'unreadable signal');
$node->set_point(undef);
is_held($job, '^throttle_query: it returned 1', 'readable again');
$node->sql('ALTER TABLE brake RENAME TO gone');
$node->reconfigure('stride.test_clock_offset', 60_000);
is_held($job, '^throttle_query: it could not be read for 15 s, SQLSTATE 42P01', 'unreadable query');
$node->sql('ALTER TABLE gone RENAME TO brake; UPDATE brake SET pressure = 0');
goes_on($job, 'query');
$node->reconfigure('stride.test_clock_offset', undef);

# Archive: 32 MB wait.
my $works = $node->sql('SHOW archive_command');
$node->reconfigure('archive_command', 'false');
$node->sql('SELECT pg_switch_wal(); CREATE TABLE filler AS SELECT 1; SELECT pg_switch_wal()');
$job = submit(max_archive_backlog => '"16MB"');
is_held($job, '^max_archive_backlog: \d+ MB wait to be archived, limit 16 MB', 'archive');
$node->reconfigure('archive_command', 'true');
$node->sql('CREATE TABLE more AS SELECT 1; SELECT pg_switch_wal()');
goes_on($job, 'archive');

# Active sessions: four of pgbench.
my $script = $node->basedir . '/busy.sql';
append_to_file($script, "SELECT pg_sleep(0.5);\n");
my $busy = IPC::Run::start([ $node->installed_command('pgbench'), '-n', '-c', 4, '-T', 300, '-f', $script, $node->connstr('postgres') ],
	'>', \my $out, '2>', \my $err);
$node->wait_until("SELECT count(*) = 4 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(0.5);' AND state = 'active'", 'pgbench is busy');
$job = submit(max_active_backends => 3);
is_held($job, '^max_active_backends: \d+ are active, limit 3', 'sessions');
$busy->kill_kill;
$node->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(0.5);'");
goes_on($job, 'sessions');

# A session that waits for a job is none of them.
my $waiter = $node->start_sql("CALL stride.run('UPDATE t SET n = n + 2', settings => '{\"time_window\": \"00:00-00:01\"}')");
$node->wait_until("SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'CALL stride.run%' AND wait_event_type = 'Extension'", 'a session waits');
$job = submit(max_active_backends => 1);
goes_on($job, 'a waiting session');
$waiter->stop;

# A vacuum to prevent wraparound that waits for the table, which is also a partition beneath a view.
$node->sql('CREATE TABLE parts (LIKE t) PARTITION BY LIST (id); ALTER TABLE parts ATTACH PARTITION t DEFAULT; CREATE VIEW of_parts AS TABLE parts;'
	  . 'CREATE TABLE seeds AS SELECT -id AS id FROM t; ALTER TABLE seeds ADD PRIMARY KEY (id)');
my $t = $node->sql("SELECT 't'::regclass::oid");
$node->sql("DO 'BEGIN FOR i IN 1 .. 101000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END'");
my $locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE');
$node->reconfigure('autovacuum', 'on');
$node->wait_until("SELECT count(*) > 0 FROM pg_locks WHERE relation = 't'::regclass AND NOT granted", 'a vacuum waits');
$job = submit(pause_for_vacuum => 'true');
my $through = $node->submit('INSERT INTO of_parts SELECT id, 0 FROM seeds',
	chunk_rows => 10, settings => q{'{"pause_for_vacuum": true, "max_rows_per_second": 200}'});
my $heedless = submit();
is_held($_, "^pause_for_vacuum: a vacuum prevents wraparound in table $t", 'vacuum') for $job, $through;
goes_on($heedless, 'a job that does not look');
$locker->quit;
goes_on($_, 'vacuum') for $job, $through;
$node->sql('DELETE FROM t WHERE id < 0');
$node->reconfigure('autovacuum', 'off');

# The virtual clock: a window that opens in two hours, a run of an hour.
my $window = $node->sql(q{SELECT to_char(now() + interval '2 h', 'HH24:MI') || '-' || to_char(now() + interval '4 h', 'HH24:MI')});
my $later = submit(time_window => "\"$window\"");
$job = submit(max_run_time => '"1h"', throttle_query => '"SELECT 1"');
is_held($job, '^throttle_query: ', 'a long run');
$node->wait_until("SELECT waiting_for LIKE 'time_window: %' FROM stride.progress WHERE job_id = $later", 'the window is closed');
$node->reconfigure('stride.test_clock_offset', 3 * 3600 * 1000);
goes_on($later, 'window');
$node->reaches($job, 'paused', 'max_run_time pauses the run');
like($node->sql("SELECT state_reason FROM stride.jobs WHERE job_id = $job"), qr/^max_run_time: /, 'and says so');
$node->reconfigure('stride.test_clock_offset', undef);
$node->sql("SELECT stride.alter($job, settings => '{\"throttle_query\": null}'); SELECT stride.resume($job)");
goes_on($job, 'max_run_time');

$node->invariants_hold('the invariants hold');
$standby->stop;
$node->stop;
done_testing();
