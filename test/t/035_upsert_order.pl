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

# Rows that a walk hands over in the order of the conflict key, each key once, are not sorted: a sort would need files here.
$node->sql(<<'SQL');
ALTER SYSTEM SET work_mem = '64kB';
CREATE TABLE numbers AS SELECT i AS id, to_char(i, 'FM00000') COLLATE "C" AS word, i AS n FROM generate_series(1, 20000) AS i;
ALTER TABLE numbers ADD PRIMARY KEY (id), ALTER word SET NOT NULL;
CREATE UNIQUE INDEX ON numbers (word);
CREATE TABLE same (id integer PRIMARY KEY, n integer);
CREATE TABLE downward (id integer, n integer);
CREATE UNIQUE INDEX ON downward (id DESC);
CREATE TABLE longer (id integer, n integer, PRIMARY KEY (id, n));
CREATE TABLE same_word (word text COLLATE "C" PRIMARY KEY, n integer);
CREATE TABLE other_collation (word text COLLATE "POSIX" PRIMARY KEY, n integer);
ANALYZE;
SELECT pg_reload_conf();
SQL
my @orders = (
	['the key of the walk', 'same', 'id', 'id', 'as they come'],
	['the key of the walk, read in its index alone', 'same', 'id', 'id', 'as they come', '0'],
	['another key of the walk', 'same_word', 'word', 'word', 'as they come'],
	['a column from another', 'same', 'id', 'n', 'sorted'],
	['a computed column', 'same', 'id', 'id + 0', 'sorted'],
	['another direction', 'downward', 'id', 'id', 'sorted'],
	['more columns than the walk', 'longer', 'id, n', 'id', 'sorted'],
	['another collation', 'other_collation', 'word', 'word', 'sorted']);
for my $case (@orders)
{
	my ($name, $target, $conflict, $value, $expected, $other) = @$case;
	$other //= 'n';
	my $column = $value eq 'word' ? 'word' : 'id';
	$node->sql("TRUNCATE $target");
	$node->sql('SELECT pg_stat_reset()');
	my $job = $node->sql("SELECT stride.submit('INSERT INTO $target ($column, n) SELECT $value, $other FROM numbers"
		  . " ON CONFLICT ($conflict) DO NOTHING', workers => 1, chunk_rows => 10000, key => '{$column}')");
	$node->wait_for_state($job, 'succeeded');
	$node->wait_until("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_stride worker'", 'the worker has gone');
	is($node->sql("SELECT CASE WHEN temp_files = 0 THEN 'as they come' ELSE 'sorted' END"
			  . ' FROM pg_stat_database WHERE datname = current_database()'),
		$expected, "rows in the order of $name: $expected");
}
$node->invariants_hold('the invariants hold');

$node->stop;
done_testing();
