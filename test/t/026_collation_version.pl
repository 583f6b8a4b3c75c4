# Another version of the collation library (an upgrade of the system, a failover to another one) orders text keys anew: a
# job that is on its way refuses to go on.  Covers A7.  The upgrade is played by writing another version into the job's row.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $node = StrideCluster->fresh('main');
$node->sql(q{CREATE DATABASE german TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de' LOCALE 'C'});
$node->{database} = 'german';
$node->sql(<<'SQL');
CREATE EXTENSION pg_stride;
CREATE COLLATION swedish (provider = icu, locale = 'sv');
CREATE TABLE by_default (k text PRIMARY KEY, n integer NOT NULL DEFAULT 0);
CREATE TABLE by_name (k text COLLATE swedish PRIMARY KEY, n integer NOT NULL DEFAULT 0);
INSERT INTO by_default SELECT 'ä' || g FROM generate_series(1, 100) AS g;
INSERT INTO by_name SELECT 'ä' || g FROM generate_series(1, 100) AS g;
SQL

for my $table (qw(by_default by_name))
{
	# Paused once it is planned.
	$node->set_point('after_fence:wait');
	my $job = $node->submit("UPDATE $table SET n = n + 1", chunk_rows => 10, workers => 1);
	$node->wait_at_point($job);
	$node->sql("SELECT stride.pause($job)");
	$node->wait_until("SELECT state = 'pausing' FROM stride.jobs WHERE job_id = $job", "job $job is to pause");
	$node->set_point(undef);
	$node->wait_for_state($job, 'paused');
	my $done = $node->sql("SELECT sum(n) FROM $table");
	like($node->sql("SELECT shape FROM stride_catalog.leaf WHERE job_id = $job"), qr/ version [0-9.]+$/,
		"$table: the version of the collation is kept");
	$node->sql("UPDATE stride_catalog.leaf SET shape = shape || '.1' WHERE job_id = $job; SELECT stride.resume($job)");
	$node->wait_for_state($job, 'failed');
	is($node->sql("SELECT error_sqlstate, error_message FROM stride.jobs WHERE job_id = $job"),
		"55000|the tables of job $job have changed since it was submitted", "$table: another version is refused");
	is($node->sql("SELECT sum(n) FROM $table"), $done, "$table: and nothing more was written");
}
$node->stop;
done_testing();
