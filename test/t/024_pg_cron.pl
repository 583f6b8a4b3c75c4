# pg_cron beside pg_stride: submit and run from cron lines, as an ordinary role.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

# cron.use_background_workers: no password is needed to come back into the server.
my $node = StrideCluster->fresh('main');
$node->configure('shared_preload_libraries', 'pg_cron,pg_stride');
$node->configure('cron.use_background_workers', 'on');
$node->restart;
$node->sql(<<'SQL');
CREATE EXTENSION pg_cron;
CREATE ROLE app LOGIN;
GRANT USAGE ON SCHEMA cron, stride TO app;
CREATE TABLE submitted AS SELECT id, 0 AS n FROM generate_series(1, 1000) AS id;
ALTER TABLE submitted ADD PRIMARY KEY (id);
CREATE TABLE run AS TABLE submitted;
ALTER TABLE run ADD PRIMARY KEY (id);
GRANT ALL ON submitted, run TO app;
SQL
$node->sql(<<'SQL');
SET ROLE app;
SELECT cron.schedule('submits', '* * * * *', $$SELECT stride.submit('UPDATE submitted SET n = n + 1', name => 'nightly', if_exists => 'resume')$$);
SELECT cron.schedule('runs', '* * * * *', $$CALL stride.run('UPDATE run SET n = n + 1', name => 'nightly run', if_exists => 'resume')$$);
SQL
$PostgreSQL::Test::Utils::timeout_default = 180;
$node->wait_until(q{SELECT count(DISTINCT name) = 2 FROM stride.jobs WHERE state = 'succeeded'}, 'both cron lines have run a job');
$node->sql('SET ROLE app; SELECT cron.unschedule(jobid) FROM cron.job');
$node->wait_until(q{SELECT bool_and(state = 'succeeded') FROM stride.jobs}, 'all jobs have ended');
for my $table (qw(submitted run))
{
	my $name = $table eq 'run' ? 'nightly run' : 'nightly';
	is($node->sql("SELECT string_agg(DISTINCT n::text, ',') FROM $table"),
		$node->sql("SELECT count(*) FROM stride.jobs WHERE name = '$name'"), "the job '$name' did each row once a run");
}
is($node->sql(q{SELECT string_agg(DISTINCT owner::text, ',') FROM stride.jobs}), 'app', 'the jobs belong to the role that scheduled them');
$node->wait_until(q{SELECT bool_and(status = 'succeeded') FROM cron.job_run_details}, 'pg_cron notes the ends');
is($node->sql(q{SELECT count(*) FROM cron.job_run_details WHERE status = 'failed'}), '0', 'no cron line failed');
$node->stop;
done_testing();
