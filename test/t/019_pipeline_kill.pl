# kill -9 of workers while pipelines move rows: delete_source by plain columns, by a row function that leaves some rows out, and
# by one that gives several rows; and crashes at each step of a chunk.  The cluster restarts each time and the job goes on by
# itself; after each restart, and in the end, every row is in exactly one of the two tables.  A trigger makes each row take long
# enough for the kills to find work.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $rows = 6_000;
my $kills_wanted = 4;

StrideCluster::seed();
my $node = StrideCluster->fresh('main');
$node->sql(<<SQL);
CREATE TABLE whole AS SELECT id, id % 5 AS part, 'row ' || id AS note FROM generate_series(1, $rows) AS id;
CREATE TABLE events (LIKE whole);
ALTER TABLE events ADD PRIMARY KEY (id);
CREATE TABLE archive (id integer, part integer, note text);
CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.002); RETURN NULL; END';
CREATE TRIGGER take_time AFTER INSERT ON archive FOR EACH ROW EXECUTE FUNCTION take_time();
CREATE FUNCTION most(e events) RETURNS archive LANGUAGE plpgsql AS
  'BEGIN IF e.part = 0 THEN RETURN NULL; END IF; RETURN (e.id, e.part, e.note); END';
CREATE FUNCTION several(e events) RETURNS SETOF archive LANGUAGE sql AS
  'SELECT e.id, i, e.note FROM generate_series(1, e.part) AS i';
SELECT stride.register_transform('most', 'most(events)'), stride.register_transform('several', 'several(events)');
SQL

# Moves all rows under kills; `arguments` are those of the pipeline, `stays` says which rows stay, `moved` is what the archive
# then holds.
sub move_under_kills
{
	my ($name, $arguments, $stays, $moved) = @_;
	$node->sql('TRUNCATE events, archive; INSERT INTO events TABLE whole; ANALYZE');
	my $job = $node->sql("SELECT stride.submit_pipeline('archive', source => 'events', delete_source => true, chunk_rows => 7,"
		  . " workers => 3, if_exists => 'new' $arguments)");
	my $kills = 0;
	my @torn;
	while ($kills < $kills_wanted && $node->is_unfinished($job))
	{
		my $before = $node->sql("SELECT rows_read FROM stride.jobs WHERE job_id = $job");
		$node->wait_until("SELECT rows_read > $before OR finished_at IS NOT NULL FROM stride.jobs WHERE job_id = $job",
			"job $job goes on");
		StrideCluster::pause_ms(rand(60));
		my ($pid) = $node->pids('worker');
		my $log = $node->log_size;
		next unless $pid && $node->is_unfinished($job) && kill('KILL', $pid);
		$node->wait_until('SELECT true', 'the server is up again')
		  until $node->log_contains('all server processes terminated; reinitializing', $log);
		$node->wait_until('SELECT true', 'the server is up again');
		$kills++;
		push @torn, $node->sql('SELECT id FROM events INTERSECT SELECT id FROM archive');
	}
	is($kills, $kills_wanted, "$name: $kills kills");
	is(join('', @torn), '', "$name: after no restart was a row in both tables");
	$node->wait_for_state($job, 'succeeded');
	$node->same_rows('SELECT * FROM events', "SELECT * FROM whole WHERE $stays", "$name: what should stay is there");
	$node->same_rows('SELECT * FROM archive', $moved, "$name: all else was moved exactly once");
	return;
}

move_under_kills('columns', '', 'false', 'SELECT * FROM whole');
move_under_kills('row function', ", transform => 'most'", 'part = 0', 'SELECT * FROM whole WHERE part > 0');
move_under_kills('set function', ", transform => 'several'", 'part = 0',
	'SELECT id, i, note FROM whole, generate_series(1, part) AS i');
$node->invariants_hold('the invariants hold');

# What somebody changes while the chunk waits for it is moved as it then is, and the function sees that.
sub move_under_change
{
	my ($name, $arguments, $stays) = @_;
	$node->sql('TRUNCATE events, archive; INSERT INTO events SELECT * FROM whole WHERE id <= 100; ANALYZE');
	my $changer = $node->background_psql('postgres');
	$changer->query_safe("BEGIN; UPDATE events SET note = 'changed' WHERE id = 51; UPDATE events SET part = 0 WHERE id = 52;"
		  . ' DELETE FROM events WHERE id = 53');
	my $job = $node->sql("SELECT stride.submit_pipeline('archive', source => 'events', delete_source => true, workers => 1,"
		  . " if_exists => 'new' $arguments)");
	$node->wait_until("SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'pg_stride job $job' AND wait_event_type = 'Lock'",
		'the chunk waits for the changed rows');
	$changer->query_safe('COMMIT');
	$changer->quit;
	$node->wait_for_state($job, 'succeeded');
	my $now = "SELECT id, CASE id WHEN 52 THEN 0 ELSE part END AS part, CASE id WHEN 51 THEN 'changed' ELSE note END AS note"
	  . ' FROM whole WHERE id <= 100 AND id <> 53';
	$node->same_rows('SELECT * FROM events', "SELECT * FROM ($now) AS n WHERE $stays", "$name: what stays is there as it was changed");
	$node->same_rows('SELECT * FROM archive', "SELECT * FROM ($now) AS n WHERE NOT ($stays)", "$name: the rest was moved as it was changed");
	return;
}

move_under_change('columns', '', 'false');
move_under_change('row function', ", transform => 'most'", 'part = 0');
$node->invariants_hold('the invariants hold still');

# A crash before the rows are written, between writing and committing, and behind the commit.  The server stays down, so that each
# place is met once.
$node->reconfigure('restart_after_crash', 'off');
$node->sql('TRUNCATE whole; INSERT INTO whole SELECT id, id % 5, \'row \' || id FROM generate_series(1, 60) AS id');
for my $point (qw(after_peek after_write before_commit after_commit))
{
	$node->sql('TRUNCATE events, archive; INSERT INTO events TABLE whole');
	$node->set_point("$point:crash");
	my $log = $node->log_size;
	$node->try_sql("SELECT stride.submit_pipeline('archive', source => 'events', transform => 'most', delete_source => true,"
		  . " chunk_rows => 20, name => '$point')");
	$node->wait_for_log('was terminated by signal 9', $log);
	$node->stop('immediate', fail_ok => 1);
	$node->configure('stride.test_point', undef);
	$node->start;
	$node->wait_for_state($node->sql("SELECT stride.job_id('$point')"), 'succeeded');
	$node->same_rows('SELECT true, * FROM events UNION ALL SELECT false, * FROM archive', 'SELECT part = 0, * FROM whole',
		"a crash at $point: each row is in the one table where it belongs, once");
}
$node->invariants_hold('the invariants hold after the crashes');

$node->stop;
done_testing();
