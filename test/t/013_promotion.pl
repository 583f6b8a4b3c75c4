# A streaming standby is promoted while jobs are queued, running, pausing and paused.  On the standby nothing of ours runs,
# the views answer, and what would write is refused with a clear error; after the promotion every unfinished job goes on
# by itself from what was replicated, and every row was done exactly once.  What the bulk sink writes into indexes is replayed
# under wal_consistency_checking, which stops the standby at the first difference.
# Covers R25, B-02, G-03 (asynchronous; one promotion), A23.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $rows = 5_000;

my $primary = StrideCluster->fresh('primary', streaming => 1, conf => "stride.max_workers = 8\nwal_consistency_checking = 'generic, btree'");
$primary->sql(<<SQL);
CREATE EXTENSION amcheck;
CREATE TABLE source AS SELECT id, 'row ' || id AS name FROM generate_series(1, $rows) AS id;
ALTER TABLE source ADD PRIMARY KEY (id);
CREATE TABLE copied (id integer, name text);
CREATE TABLE keyed (id integer PRIMARY KEY, name text UNIQUE);
CREATE TABLE slow AS SELECT true AS very;
CREATE FUNCTION slowly(what anyelement) RETURNS anyelement LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_sleep(0.005) FROM slow; RETURN what; END';
SQL
for my $table (qw(walked pausing paused later))
{
	$primary->sql("CREATE TABLE $table AS SELECT id, 0 AS n FROM source; ALTER TABLE $table ADD PRIMARY KEY (id)");
}
$primary->sql('ANALYZE');
$primary->backup('base');
my $standby = StrideCluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# A job that is paused half way, two in the middle, one that waits for another, one that pauses and cannot yet.
my %job;
sub submit
{
	my ($table, %arguments) = @_;
	$job{$table} = $primary->submit("UPDATE $table SET n = n + slowly(1)", chunk_rows => 10, workers => 1, %arguments);
	return;
}
my $keyed = $primary->submit('INSERT INTO keyed SELECT id, name FROM source', chunk_rows => 500, workers => 2);
$primary->wait_for_state($keyed, 'succeeded');
submit('paused');
$primary->wait_for_chunks($job{paused}, 2);
$primary->sql("SELECT stride.pause($job{paused})");
$primary->wait_for_state($job{paused}, 'paused');
submit('walked');
$job{copied} = $primary->submit('INSERT INTO copied SELECT id, slowly(name) FROM source', chunk_rows => 10, workers => 2);
submit('later', depends_on => "ARRAY[$job{copied}]");
$primary->wait_for_chunks($job{walked}, 2);
$primary->wait_for_chunks($job{copied}, 2);
$primary->set_point('after_write:wait');
submit('pausing');
$primary->wait_at_point($job{pausing});
$primary->sql("SELECT stride.pause($job{pausing})");
$primary->wait_for_state($job{pausing}, 'pausing');

$primary->wait_for_catchup($standby);
my $states = "SELECT string_agg(state, ' ' ORDER BY job_id) FROM stride.jobs";
is($standby->sql($states), 'succeeded paused running running queued pausing', 'the standby shows the jobs as they stand');
is($standby->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'pg_stride%'"), 0, 'nothing of ours runs there');
cmp_ok($standby->sql('SELECT count(*) FROM stride.progress'), '==', 6, 'the progress view answers there');
is($standby->sql('SELECT count(*) FROM stride.check_invariants() WHERE NOT ok'), 0, 'the invariants hold there');
is($standby->sql(q{SELECT value FROM stride.explain('UPDATE walked SET n = 0') WHERE item = 'source'}), 'public.walked', 'explain answers there');
for my $call (
	"SELECT stride.submit('UPDATE walked SET n = 0')",
	"CALL stride.run('UPDATE walked SET n = 0')",
	"SELECT stride.pause($job{walked})",
	"SELECT stride.resume($job{paused})",
	"SELECT stride.cancel($job{walked})",
	"SELECT stride.alter($job{walked}, workers => 2)")
{
	my ($what) = $call =~ /(stride\.\w+)/;
	my $failure = $standby->failure_of($call);
	like($failure, qr/ERROR:  25006: /, "$what is refused there as read-only");
	like($failure, qr/HINT: .*primary/, "$what tells where to go");
}

$primary->stop('immediate');
$standby->promote;
$standby->wait_until('SELECT NOT pg_is_in_recovery()', 'the standby is promoted');
$standby->wait_until("SELECT count(*) >= 3 FROM stride.workers", 'both running jobs have their workers again');
$standby->sql('DELETE FROM slow');
$standby->reaches($job{$_}, 'succeeded', "$_: goes on by itself on the new primary") for qw(walked copied later);
$standby->reaches($job{pausing}, 'paused', 'the job that was pausing is paused');
is($standby->sql("SELECT state || ', ' || state_reason FROM stride.jobs WHERE job_id = $job{paused}"), 'paused, paused on request',
	'the job that was paused still is, for the same reason');
for my $table (qw(pausing paused))
{
	$standby->sql("SELECT stride.resume($job{$table})");
	$standby->reaches($job{$table}, 'succeeded', "$table: resume finishes it");
}
$standby->same_rows("SELECT * FROM $_", 'SELECT * FROM source', "$_: each row exactly once") for qw(copied keyed);
$standby->sql("SELECT bt_index_parent_check(index, true, true) FROM unnest('{keyed_pkey,keyed_name_key}'::regclass[]) AS index");
$standby->same_rows("SELECT * FROM $_", 'SELECT id, 1 FROM source', "$_: each row exactly once") for qw(walked pausing paused later);
is($standby->sql('SELECT DISTINCT rows_read FROM stride.jobs'), $rows, 'the accounts say so too');
$standby->invariants_hold('the invariants hold');

$standby->stop;
done_testing();
