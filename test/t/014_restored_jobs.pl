# A server or a database that was restored or cloned never starts the jobs that came with it: after point-in-time recovery,
# in a copy of the files with another system identifier, in a CREATE DATABASE .. TEMPLATE and after pg_dump and restore
# they come back as paused, with the reason and with nothing done; resume looks at them again and finishes them, every row
# exactly once.  The original goes on meanwhile.
# Covers R24, R26 (by the same check), T-38, G-04 (one point), A7 (key), A22.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $rows = 3_000;

my $original = StrideCluster->fresh('original', streaming => 1, archiving => 1);
$original->sql(<<SQL);
CREATE ROLE app LOGIN;
GRANT USAGE ON SCHEMA stride TO app;
GRANT CREATE ON SCHEMA public TO app;
SET ROLE app;
CREATE TABLE source AS SELECT id, 'row ' || id AS name FROM generate_series(1, $rows) AS id;
ALTER TABLE source ADD PRIMARY KEY (id);
CREATE TABLE copied (id integer, name text);
CREATE TABLE counted AS SELECT id, 0 AS n FROM source;
ALTER TABLE counted ADD PRIMARY KEY (id);
CREATE TABLE slow AS SELECT true AS very;
CREATE FUNCTION slowly(what anyelement) RETURNS anyelement LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_sleep(0.005) FROM public.slow; RETURN what; END';
RESET ROLE;
ANALYZE;
SQL
$original->backup('base');

# A job that runs and one that is queued behind it, both of a role that is no superuser.
my ($copy, $count);

sub begin_jobs
{
	$original->sql('DELETE FROM slow; INSERT INTO slow VALUES (true); TRUNCATE copied; UPDATE counted SET n = 0');
	my $submit = 'SET ROLE app; SELECT stride.submit';
	$copy = $original->sql("$submit('INSERT INTO copied SELECT id, slowly(name) FROM source', chunk_rows => 10, workers => 1)");
	$count = $original->sql("$submit('UPDATE counted SET n = n + 1', chunk_rows => 100, depends_on => ARRAY[$copy])");
	$original->wait_for_chunks($copy, 3);
	return;
}

# What must hold of a restored or cloned database, from its first start to the end of its jobs.
sub comes_back_paused
{
	my ($node, $since, $reason, $what, $between) = @_;
	$node->wait_until("SELECT count(*) = 2 FROM stride.jobs WHERE state = 'paused' AND job_id IN ($copy, $count)",
		"the jobs of the $what are paused");
	like($node->sql("SELECT DISTINCT state_reason FROM stride.jobs WHERE job_id IN ($copy, $count)"),
		qr/^restored: .*$reason/, "$what: the jobs come back as paused, with the reason");
	is($node->sql("SELECT count(*) FROM stride.chunks WHERE finished_at > '$since'"), 0, "$what: no chunk was done");
	is($node->sql("SELECT n = (SELECT count(*) FROM copied) AND n BETWEEN 1 AND $rows - 1 FROM"
			  . " (SELECT rows_read AS n FROM stride.jobs WHERE job_id = $copy) AS j"),
		't', "$what: what came along is what the checkpoint says, and half of the work");
	$node->sql('DELETE FROM slow');
	$between->() if $between;
	$node->sql("SELECT stride.resume($_)") for ($copy, $count);
	$node->wait_for_state($_, 'succeeded') for ($copy, $count);
	is_done($node, $what);
	return;
}

sub is_done
{
	my ($node, $what) = @_;
	$node->same_rows('SELECT * FROM copied', 'SELECT * FROM source', "$what: each row exactly once");
	$node->same_rows('SELECT * FROM counted', 'SELECT id, 1 FROM source', "$what: also of the job that was queued");
	$node->invariants_hold("$what: the invariants hold");
	return;
}

sub original_is_done
{
	my ($what) = @_;
	$original->sql('DELETE FROM slow');
	$original->wait_for_state($_, 'succeeded') for ($copy, $count);
	is_done($original, "original beside the $what");
	return;
}

# Point-in-time recovery.
begin_jobs();
$original->sql("SELECT pg_create_restore_point('half')");
my $segment = $original->sql('SELECT pg_walfile_name(pg_switch_wal())');
$original->wait_until("SELECT last_archived_wal >= '$segment' FROM pg_stat_archiver", "$segment is archived");
my $recovered = StrideCluster->new('recovered');
$recovered->init_from_backup($original, 'base', has_restoring => 1, standby => 0);
$recovered->append_conf('postgresql.conf', "recovery_target_name = 'half'\nrecovery_target_action = promote\narchive_mode = off");
$recovered->start;
$recovered->wait_until('SELECT NOT pg_is_in_recovery()', 'the recovery is over');
comes_back_paused($recovered, $recovered->sql('SELECT pg_postmaster_start_time()'), 'point in time', 'recovered server');
original_is_done('recovered server');

# What is submitted on the recovered server is its own, though its recovery target still stands in the configuration.
$recovered->sql('INSERT INTO slow VALUES (true)');
my $own = $recovered->submit('INSERT INTO copied SELECT id, slowly(name) FROM source', chunk_rows => 10);
$recovered->wait_for_chunks($own, 1);
$recovered->restart;
$recovered->sql('DELETE FROM slow');
$recovered->reaches($own, 'succeeded', 'a job of the recovered server itself goes on after a restart');

# A copy of the files, given another system identifier: pg_resetwal -f writes the one that it finds in pg_control, whose
# first 8 bytes it is, into the new WAL.
begin_jobs();
$original->stop;
$original->backup_fs_cold('files');
my $clone = StrideCluster->new('clone');
$clone->init_from_backup($original, 'files');
open my $control, '+<:raw', $clone->data_dir . '/global/pg_control' or die $!;
read $control, my $identifier, 8;
seek $control, 0, 0;
print $control pack('Q', unpack('Q', $identifier) + 1);
close $control or die $!;
command_ok([ 'pg_resetwal', '-f', '-D', $clone->data_dir ], 'the clone gets another system identifier');
$clone->append_conf('postgresql.conf', 'archive_mode = off');
$clone->start;
$original->start;
isnt($clone->sql('SELECT system_identifier FROM pg_control_system()'),
	$original->sql('SELECT system_identifier FROM pg_control_system()'), 'so the two differ');
comes_back_paused($clone, $clone->sql('SELECT pg_postmaster_start_time()'), 'another database or server', 'cloned server');
original_is_done('cloned server');

# A database made from another as its template.  A running job keeps the template in use, so the server starts without us.
begin_jobs();
$original->stop;
$original->configure('shared_preload_libraries', undef);
$original->start;
$original->sql('CREATE DATABASE template_copy TEMPLATE postgres');
$original->stop;
$original->configure('shared_preload_libraries', 'pg_stride');
$original->start;
{
	local $original->{database} = 'template_copy';
	comes_back_paused($original, $original->sql('SELECT pg_postmaster_start_time()'), 'another database or server', 'template copy');
}
original_is_done('template copy');

# A dump, taken while the job runs, restored into a new database and into another server.  There resume refuses, with the
# reason, while the key is not what it was.  Rejects come along, and can be driven again.
$original->sql('SET ROLE app; CREATE TABLE uneven AS SELECT id, id % 5 AS divisor, 0 AS n FROM generate_series(1, 20) AS id;'
	  . ' ALTER TABLE uneven ADD PRIMARY KEY (id)');
my $bad = $original->sql("SET ROLE app; SELECT stride.submit('UPDATE uneven SET n = 1 / divisor', on_error => 'skip')");
$original->wait_for_state($bad, 'succeeded_with_rejects');
begin_jobs();
my $dump = $original->basedir . '/dump.sql';
$original->command_ok([ 'pg_dump', '-f', $dump, $original->connstr('postgres') ], 'a database with a running job is dumped');
original_is_done('dump');
for my $node ($original, $clone)
{
	$node->sql('CREATE DATABASE restored TEMPLATE template0');
	local $node->{database} = 'restored';
	my $since = $node->sql('SELECT clock_timestamp()');
	$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ],
		'the dump is restored on ' . $node->name);
	comes_back_paused($node, $since, 'another database or server', 'dump restored on ' . $node->name, sub {
			$node->sql('ALTER INDEX source_pkey RENAME TO hidden');
			$node->sql("SELECT stride.resume($copy)");
			$node->wait_until("SELECT state = 'paused' AND state_reason ~ 'source_pkey is not here' FROM stride.jobs WHERE job_id = $copy",
				'resume refuses a job without its key');
			$node->sql('ALTER INDEX hidden RENAME TO source_pkey');
		});
	my $fresh = $node->submit('UPDATE counted SET n = n + 1');
	cmp_ok($fresh, '>', $count, 'ids go on after those that were restored');
	$node->reaches($fresh, 'succeeded', 'and a fresh job runs');

	is($node->sql("SELECT string_agg(row_key[1], ' ' ORDER BY row_key[1]::int) FROM stride.rejects WHERE job_id = $bad"),
		'5 10 15 20', 'rejects come along');
	$node->sql('UPDATE uneven SET divisor = 1 WHERE id < 20');
	my $retry = $node->sql("SET ROLE app; SELECT stride.retry_rejects($bad)");
	$node->wait_for_state($retry, 'paused');
	$node->sql("SELECT stride.resume($retry)");
	$node->reaches($retry, 'succeeded_with_rejects', 'and are driven again once they are resumed');
	is($node->sql("SELECT string_agg(row_key[1] || '/' || attempt, ' ') FROM stride.rejects WHERE job_id = $bad"),
		'20/2', 'those that pass are gone');
	is($node->sql("SELECT stride.submit('UPDATE uneven SET n = 1 / (id - 1)', name => 'late', on_error => 'skip') > $retry"), 't', 'a later job');
	$node->wait_for_state($node->sql("SELECT stride.job_id('late')"), 'succeeded_with_rejects');
	is($node->sql("SELECT count(DISTINCT reject_id) = count(*) AND count(*) = 2 FROM stride.rejects"), 't', 'ids of rejects go on too');
}

$_->stop for ($original, $recovered, $clone);
done_testing();
