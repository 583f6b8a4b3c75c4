# Jobs of several databases at once; an idle database has no process of ours and can be dropped; the extension can go while
# a job runs.  Covers R3, R19, R21, B-06, B-07, B-08, B-09, B-18.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $node = StrideCluster->fresh('main', conf => "stride.max_workers = 8\nmax_worker_processes = 24");
my $table = 'CREATE TABLE t AS SELECT id, 0 AS n FROM generate_series(1, 5000) AS id; ALTER TABLE t ADD PRIMARY KEY (id)';
my @others = qw(one two three);
$node->sql("CREATE DATABASE $_") for @others;
for my $database ('postgres', @others)
{
	$node->safe_psql($database, 'CREATE EXTENSION IF NOT EXISTS pg_stride');
	$node->safe_psql($database, $table);
}

# All at once.
my %jobs;
for my $database ('postgres', @others)
{
	local $node->{database} = $database;
	$jobs{$database} = $node->submit('UPDATE t SET n = n + 1', chunk_rows => 100, workers => 2);
}
for my $database ('postgres', @others)
{
	local $node->{database} = $database;
	$node->reaches($jobs{$database}, 'succeeded', "the job of database $database ends");
	is($node->sql('SELECT DISTINCT n FROM t'), '1', "each row of database $database once");
}

# Idle: the launcher alone, with no snapshot.
$node->wait_until(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type LIKE 'pg_stride%'});
is($node->sql(q{SELECT string_agg(backend_type || coalesce(datname, '') || coalesce(backend_xmin::text, ''), ',') FROM pg_stat_activity WHERE backend_type LIKE 'pg_stride%'}),
	'pg_stride launcher', 'an idle installation has the launcher only, in no database, with no snapshot');
my $before = time;
$node->sql('DROP DATABASE one');
$node->sql('ALTER DATABASE two RENAME TO two_renamed');
$node->sql('CREATE DATABASE copy TEMPLATE two_renamed');
cmp_ok(time - $before, '<', 60, 'idle databases can be dropped, renamed and copied');
is($node->safe_psql('copy', q{SELECT count(*) FROM stride.jobs WHERE state NOT IN ('succeeded')}), '0', 'the copy has the history, and nothing to do');

# Busy: DROP DATABASE WITH (FORCE) takes our processes with it, the extension can be dropped.
{
	local $node->{database} = 'three';
	$node->submit('UPDATE t SET n = n + (SELECT 0 FROM pg_sleep(0.01))', chunk_rows => 10, workers => 2);
	$node->wait_until('SELECT count(*) > 0 FROM stride.chunks WHERE job_id = (SELECT max(job_id) FROM stride.jobs)');
}
$node->sql('DROP DATABASE three WITH (FORCE)');
pass('a busy database can be dropped by force');

my $job = $node->submit('UPDATE t SET n = n + (SELECT 0 FROM pg_sleep(0.005))', chunk_rows => 10, workers => 2);
$node->wait_for_chunks($job, 2);
my $log = $node->log_size;
$node->sql('DROP EXTENSION pg_stride');
$node->wait_until(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type LIKE 'pg_stride%'});
pass('the processes of a dropped extension end');
$node->no_crash_since($log, 'nothing crashed');
my $lines = () = substr(slurp_file($node->logfile), $log) =~ /pg_stride (?:scheduler|worker)[^\n]*(?:ERROR|LOG)/g;
cmp_ok($lines, '<', 20, 'the log says so once, not in a loop');
$node->sql('CREATE EXTENSION pg_stride');
$job = $node->submit('UPDATE t SET n = 7', chunk_rows => 1000);
$node->reaches($job, 'succeeded', 'a new extension runs new jobs');
$node->stop;
done_testing();
