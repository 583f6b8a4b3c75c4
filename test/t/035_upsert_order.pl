# Eight workers upsert overlapping keys: in the order of the conflict key none of them ever waits for another in a circle.  The
# same statement in the order of its rows, by sessions of its own, shows that the data are such that it would come to that.
# Covers A16, G-11.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $writers = 8;
my $node = StrideCluster->fresh('main',
	conf => "deadlock_timeout = 20ms\nstride.max_workers = $writers\nstride.max_workers_per_job = $writers\nfsync = off\n");
$node->sql(<<'SQL');
CREATE TABLE hits AS SELECT id, (id * 7919) % 400 AS page, 1 AS n FROM generate_series(1, 40000) AS id;
ALTER TABLE hits ADD PRIMARY KEY (id);
CREATE TABLE pages (page integer PRIMARY KEY, n integer);
CREATE TABLE outcome (deadlocks integer);
CREATE PROCEDURE unordered(writer integer) LANGUAGE plpgsql AS $$
DECLARE
    deadlocks integer := 0;
BEGIN
    FOR i IN 0 .. 20 LOOP
        BEGIN
            INSERT INTO pages SELECT page, n FROM hits WHERE id > i * 400 AND id <= i * 400 + 400 ORDER BY hashint4(page + writer)
            ON CONFLICT (page) DO UPDATE SET n = excluded.n;
        EXCEPTION WHEN deadlock_detected THEN
            deadlocks := deadlocks + 1;
        END;
        COMMIT;
        EXIT WHEN deadlocks > 0;
    END LOOP;
    INSERT INTO outcome VALUES (deadlocks);
END $$;
ANALYZE;
SQL

my @sessions = map { $node->start_sql("CALL unordered($_)") } 1 .. $writers;
$_->finish for @sessions;
cmp_ok($node->sql('SELECT sum(deadlocks) FROM outcome'), '>', 0, 'rows in other orders deadlock');

my %jobs = (
	'pipeline' => "stride.submit_pipeline('pages', source => 'hits', on_conflict => 'update',"
	  . " transform_query => 'SELECT page, n FROM chunk', workers => $writers, chunk_rows => 250)",
	'statement' => "stride.submit('INSERT INTO pages SELECT page, count(*) FROM hits GROUP BY page"
	  . " ON CONFLICT (page) DO UPDATE SET n = pages.n + excluded.n', workers => $writers, chunk_rows => 250)");
for my $name (sort keys %jobs)
{
	$node->sql('TRUNCATE pages');
	$node->sql('SELECT pg_stat_reset()');
	my $job = $node->sql("SELECT $jobs{$name}");
	$node->wait_for_state($job, 'succeeded');
	$node->wait_until("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_stride worker'", 'the workers have gone');
	is($node->sql("SELECT (SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()) || ' deadlocks, '"
			  . " || retries || ' retries' FROM stride.jobs WHERE job_id = $job"),
		'0 deadlocks, 0 retries', "$name: no worker waits for another in a circle");
	cmp_ok($node->sql("SELECT count(DISTINCT worker) FROM stride.chunks WHERE job_id = $job"), '>', 3, "$name: several workers wrote");
}
is($node->sql('SELECT sum(n) FROM pages'), 40000, 'and every row was counted once');
$node->invariants_hold('the invariants hold');

$node->stop;
done_testing();
