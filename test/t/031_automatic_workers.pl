# workers => 0: a job whose transform sleeps grows beyond the cores, one that computes does not; progress.workers_wanted says
# what is wanted, and a job that gets no worker otherwise is let in.  The law itself is tested in test/unit/worker_count.cpp.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

chomp(my $cores = `getconf _NPROCESSORS_ONLN`);
my $most = 2 * $cores + 2;
my $node = StrideCluster->fresh('main',
	conf => join("\n", 'max_worker_processes = ' . ($most + 8), map({ "stride.$_ = $most" } qw(max_workers max_workers_per_job max_workers_per_role)), ''));
$node->sql(<<'SQL');
CREATE TABLE source AS SELECT id FROM generate_series(1, 100000) AS id;
ALTER TABLE source ADD PRIMARY KEY (id);
CREATE TABLE slept (id integer);
CREATE TABLE computed (id integer);
CREATE TABLE small (id integer PRIMARY KEY, n integer);
INSERT INTO small VALUES (1, 0);
CREATE FUNCTION sleeps(id integer) RETURNS integer LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.002); RETURN id; END';
CREATE FUNCTION computes(id integer) RETURNS integer LANGUAGE plpgsql AS 'DECLARE n integer := 0; BEGIN FOR i IN 1 .. 20000 LOOP n := n + i % 7; END LOOP; RETURN id; END';
SQL

# Both run at least until the law has had a period to judge: four chunks of each worker, in two seconds.
my $job = $node->submit('INSERT INTO slept SELECT sleeps(id) FROM source', workers => 0, chunk_rows => 20);
$node->wait_until("SELECT workers_wanted > $cores AND workers > $cores FROM stride.progress WHERE job_id = $job", 'there are more workers than cores');
pass('a job that sleeps grows beyond the cores');
$node->wait_until("SELECT workers_wanted = $most AND workers = $most FROM stride.progress WHERE job_id = $job", 'all workers are taken');
my $small = $node->submit('UPDATE small SET n = 2');
$node->reaches($small, 'succeeded', 'a job that finds no worker left is let in');
is($node->state($job), 'running', 'by the one that had chosen so many');
$node->sql("SELECT stride.cancel($job)");
$node->wait_for_state($job, 'cancelled');

$job = $node->submit('INSERT INTO computed SELECT computes(id) FROM source', workers => 0, chunk_rows => 20);
my $largest = 0;
my $periods = 3;
until ($node->sql("SELECT chunks >= 4 * $cores * $periods AND clock_timestamp() - started_at > $periods * interval '2 s' FROM stride.jobs WHERE job_id = $job") eq 't')
{
	my $wanted = $node->sql("SELECT coalesce(max(workers_wanted), 0) FROM stride.progress WHERE job_id = $job");
	$largest = $wanted if $wanted > $largest;
	StrideCluster::pause_ms(50);
}
is($node->state($job), 'running', 'a job that computes runs on');
is($largest, $cores, 'with a worker a core');
$node->sql("SELECT stride.cancel($job)");
$node->wait_for_state($job, 'cancelled');

$node->invariants_hold('the invariants hold');
$node->stop;
done_testing();
