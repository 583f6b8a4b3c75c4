# Many control calls at once, roles that crowd each other out, locks and settings that are in the way: no transition is lost,
# each role gets its turn, and nothing that a role may set or lock for itself changes what a job does.
# Covers R10, R27, R40, B-10, B-13, T-18, T-27, G-13.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $tables = 6;
my $storm_calls = 400;

StrideCluster::seed();
my $node = StrideCluster->fresh('main', conf => "stride.max_workers = 4\nstride.max_workers_per_role = 3\nmax_worker_processes = 24");
my $log = $node->log_size;
$node->sql('CREATE ROLE app LOGIN; CREATE ROLE crowd LOGIN; GRANT USAGE ON SCHEMA stride TO app, crowd');
$node->sql("CREATE TABLE t$_ AS SELECT id, 0 AS n FROM generate_series(1, 2000) AS id; ALTER TABLE t$_ ADD PRIMARY KEY (id);"
	  . " GRANT ALL ON t$_ TO app, crowd") for 1 .. $tables;

$node->sql(q{CREATE TABLE slow AS SELECT true AS very; CREATE FUNCTION slowly() RETURNS int LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_sleep(0.002) FROM slow; RETURN 1; END'});

# A storm: four sessions pause, resume, alter and cancel jobs that run, by chance and each without regard to the others.  In
# the end everything is resumed, and every row was done once by each job.
my @jobs = map { $node->submit("UPDATE t$_ SET n = n + slowly()", chunk_rows => 10, workers => 2, name => "'storm $_'") } 1 .. $tables;
$node->sql(<<'SQL');
CREATE SEQUENCE refused;
CREATE PROCEDURE storm(calls text[]) LANGUAGE plpgsql AS $$
DECLARE
  call text;
BEGIN
  PERFORM set_config('client_min_messages', 'error', false);
  FOREACH call IN ARRAY calls LOOP
    BEGIN
      EXECUTE 'SELECT stride.' || call;
    EXCEPTION WHEN object_not_in_prerequisite_state THEN
      PERFORM nextval('refused');
    END;
    COMMIT;
  END LOOP;
END $$;
SQL
$node->wait_for_chunks($jobs[0], 1);
my @storms = map {
	my @calls = map {
		my $job = $jobs[ rand(@jobs) ];
		my $dice = rand();
		$dice < 0.4 ? "pause($job)" : $dice < 0.8 ? "resume($job)" : $dice < 0.9 ? "alter($job, workers => " . (1 + int(rand(3))) . ')' : "cancel($job)";
	} 1 .. $storm_calls / 4;
	$node->start_sql('CALL storm(ARRAY[' . join(', ', map { "'$_'" } @calls) . '])');
} 1 .. 4;
is(join('', map { ($_->finish)[1] } @storms), '', "$storm_calls calls meet no error but that a job's state does not allow them");
note($node->sql('SELECT last_value FROM refused') . ' calls were refused');
$node->wait_until(q{SELECT NOT EXISTS (SELECT FROM stride_catalog.request)}, 'all requests are carried out');
$node->wait_until(q{SELECT count(*) = 0 FROM stride.jobs WHERE state IN ('pausing', 'cancelling', 'failing')}, 'nothing is in between');
$node->sql(q{SELECT stride.resume(job_id) FROM stride.jobs WHERE state IN ('paused', 'cancelled', 'queued', 'running')});
$node->sql('DELETE FROM slow');
$node->reaches($jobs[ $_ - 1 ], 'succeeded', "job $_ of the storm ends when it is resumed") for 1 .. $tables;
$node->same_rows("SELECT * FROM t$_", 'SELECT id, 1 FROM generate_series(1, 2000) AS id', "job $_: each row exactly once") for 1 .. $tables;
is($node->sql(q{SELECT count(*) FROM stride.events WHERE from_state = to_state AND event = 'resume' AND detail NOT LIKE 'had no effect%'}), '0',
	'each call either had its effect or its event says that it had none');
$node->invariants_hold('the invariants hold');

# A role with many jobs and one with one: under a cap for each role, the one gets its turn before the many are done.
my $sleepy = 'UPDATE t1 SET n = n + (SELECT 0 FROM pg_sleep(0.001))';
my $many = $node->sql("SET ROLE crowd; SELECT max(stride.submit('$sleepy', chunk_rows => 500, workers => 1, if_exists => 'new')) FROM generate_series(1, 40)");
my $one = $node->sql("SET ROLE app; SELECT stride.submit('UPDATE t2 SET n = n', workers => 1)");
$node->reaches($one, 'succeeded', 'the one job of a role ends');
cmp_ok($node->sql("SELECT count(*) FROM stride.jobs WHERE owner = 'crowd'::regrole AND state = 'queued'"), '>', 0,
	'while another role still has jobs queued that it submitted before');
$node->reaches($many, 'succeeded', 'the last of the many ends too');

# Advisory locks on every key that a job could think of.
$node->sql('UPDATE t3 SET n = 0');
my $squatter = $node->start_sql(q{SELECT pg_advisory_lock(g), pg_advisory_lock(0, g), pg_advisory_lock(g, g), pg_advisory_lock('stride_catalog.job'::regclass::int, g)}
	  . q{ FROM generate_series(0, 500) AS g; SELECT pg_sleep(600)});
$node->wait_until(q{SELECT count(*) > 2000 FROM pg_locks WHERE locktype = 'advisory'}, 'the locks are taken');
$node->reaches($node->submit('UPDATE t3 SET n = n + 1', workers => 2), 'succeeded', 'advisory locks of others are nothing to us');
$squatter->stop;

# Settings of a role and of the database, which a worker starts with.
my %settings = (
	default_transaction_read_only => 'on', default_transaction_isolation => 'serializable', default_transaction_deferrable => 'on',
	search_path => 'nowhere', DateStyle => 'German', IntervalStyle => 'iso_8601', extra_float_digits => '-15', TimeZone => 'Asia/Kolkata',
	bytea_output => 'escape', statement_timeout => '1ms', idle_in_transaction_session_timeout => '1ms', enable_indexscan => 'off',
	enable_bitmapscan => 'off', plan_cache_mode => 'force_generic_plan', row_security => 'off', lc_messages => 'C', work_mem => '64kB');
$node->sql('CREATE TABLE odd (a timestamptz, b float8, c bytea, n int DEFAULT 0, PRIMARY KEY (a, c)); GRANT ALL ON odd TO app');
$node->sql(q{INSERT INTO odd SELECT '2020-01-13 UTC'::timestamptz + g * interval '1 hour', g / 3.0, decode(lpad(to_hex(g), 6, '0'), 'hex') FROM generate_series(1, 1000) AS g});
my $submission = q{SELECT stride.submit('UPDATE public.odd SET n = n + 1', chunk_rows => 30, workers => 3, if_exists => 'new')};
for my $whose ('ROLE app', 'DATABASE postgres')
{
	# The test's own sessions are not to be under them.
	local $ENV{PGOPTIONS} = '-c default_transaction_read_only=off -c statement_timeout=0 -c default_transaction_isolation=read\\ committed';
	my $job = $node->sql(join(' ', map { "ALTER $whose SET $_ = '$settings{$_}';" } sort keys %settings) . " SET ROLE app; $submission");
	$node->reaches($job, 'succeeded', "a job ends under odd settings of $whose");
	$node->sql("ALTER $whose RESET ALL");
}
is($node->sql('SELECT count(*), min(n), max(n) FROM odd'), '1000|2|2', 'and does each row once');

$node->invariants_hold('the invariants hold');
$node->no_crash_since($log, 'no process crashed');
$node->stop;
done_testing();
