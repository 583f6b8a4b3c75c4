# Pages that the bulk sink's workers add ahead of need (src/sink/page_pool.cpp), and what may happen to them between two
# chunks and in a crash: VACUUM cuts them off or puts them into the free space map, another session fills them, TRUNCATE
# gives the table another file, a worker is killed with half a batch written.  And pages of indexes that it fills
# (src/sink/index_runs.cpp) while others insert between its keys, delete and vacuum.  Each time every row is there once, heap
# and indexes are sound, and what was not used is found again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use StrideCluster;
use Test::More;

my $rows = 40_000;
my $node = StrideCluster->fresh('main');
$node->sql(<<SQL);
CREATE EXTENSION amcheck;
CREATE EXTENSION pg_freespacemap;
CREATE TABLE source AS SELECT id, repeat(md5(id::text), 5) AS wide FROM generate_series(1, $rows) AS id;
ALTER TABLE source ADD PRIMARY KEY (id);
VACUUM ANALYZE source;
SQL

my $ours = $node->sql('SHOW server_version_num') < 160000; # from 16 on PostgreSQL adds the pages itself

sub pages { return $node->sql("SELECT pg_relation_size('target') / current_setting('block_size')::int"); }

# A job into an empty table, its workers held after their first chunks.
sub start_held
{
	my (%options) = @_;
	$node->sql('DROP TABLE IF EXISTS target; CREATE TABLE target (id integer PRIMARY KEY, wide text);'
		  . ' CREATE INDEX target_wide ON target (wide)');
	$node->set_point('after_commit:wait');
	my $job = $node->submit('INSERT INTO target SELECT id, wide FROM source', chunk_rows => 3000, workers => 2, %options);
	$node->wait_at_point($job);
	return $job;
}

sub go_on
{
	my ($job) = @_;
	$node->set_point(undef);
	$node->wait_for_state($job, 'succeeded');
	return;
}

sub is_sound
{
	my ($what, $expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->same_rows('SELECT * FROM target', $expected // 'SELECT * FROM source', "$what: every row is there once");
	$node->sql("SELECT bt_index_check('target_pkey', true), bt_index_check('target_wide', true)");
	return is($node->sql("SELECT count(*) FROM verify_heapam('target')"), 0, "$what: heap and indexes are sound");
}

my $job = start_held(workers => 1);
my $before = pages();
$node->sql('VACUUM (INDEX_CLEANUP ON) target');
cmp_ok(pages(), '<', $before, 'VACUUM cuts off pages that were added and not filled') if $ours;
$node->sql("INSERT INTO target SELECT -id, wide FROM source WHERE id <= 3000");
go_on($job);
is_sound('pages cut off and filled by another', 'SELECT * FROM source UNION ALL SELECT -id, wide FROM source WHERE id <= 3000');

$job = start_held(workers => 1);
$node->sql('VACUUM (TRUNCATE OFF) target');
$node->sql("INSERT INTO target SELECT -id, wide FROM source WHERE id <= 3000");
go_on($job);
is_sound('pages in the free space map', 'SELECT * FROM source UNION ALL SELECT -id, wide FROM source WHERE id <= 3000');

$job = start_held(workers => 1);
my $done = $node->sql('SELECT max(id) FROM target');
$node->sql('TRUNCATE target');
go_on($job);
is_sound('another file', "SELECT * FROM source WHERE id > $done");

# What is left when a worker ends is used by the next who writes.
my $free = $node->sql("SELECT count(*) FROM pg_freespace('target') WHERE avail > 8000");
SKIP: {
	skip 'PostgreSQL adds the pages itself', 1 unless $ours;
	cmp_ok($free, '>', 0, 'pages that were left over are in the free space map');
}
$before = pages();
$node->sql('INSERT INTO target SELECT -id, wide FROM source LIMIT 20');
is(pages(), $before, 'and are filled before the table grows');

# The job's keys are even, those of the others odd.
$node->sql('DROP TABLE target; CREATE TABLE target (id integer PRIMARY KEY, wide text); CREATE INDEX target_wide ON target (wide)');
$node->set_point('after_commit:wait');
$job = $node->submit('INSERT INTO target SELECT 2 * id, wide FROM source', chunk_rows => 1000, workers => 2);
$node->wait_at_point($job);
my $others = $node->start_sql(<<SQL);
DO \$\$BEGIN
	WHILE EXISTS (SELECT FROM stride.jobs WHERE job_id = $job AND finished_at IS NULL) LOOP
		INSERT INTO target SELECT 2 * id + 1, wide FROM source WHERE random() < 0.01 ON CONFLICT DO NOTHING;
		COMMIT;
		DELETE FROM target WHERE id % 2 = 1 AND random() < 0.7;
		COMMIT;
	END LOOP;
END\$\$
SQL
$node->wait_until('SELECT count(*) > 0 FROM target WHERE id % 2 = 1', 'the others have begun');
$node->set_point(undef);
while ($node->is_unfinished($job)) { $node->sql('VACUUM (INDEX_CLEANUP ON) target'); }
is(($others->finish)[1], '', 'neither side met an error');
is_sound('between the keys of others', 'SELECT 2 * id, wide FROM source UNION ALL SELECT * FROM target WHERE id % 2 = 1');

for my $point ('after_write:crash', 'before_commit:crash', 'after_commit:crash')
{
	$job = start_held();
	my $log = $node->log_size;
	$node->set_point($point);
	$node->wait_for_log('all server processes terminated; reinitializing', $log);
	go_on($job);
	is_sound("killed at $point");
}

$node->invariants_hold('the invariants hold');
$node->stop;
done_testing();
