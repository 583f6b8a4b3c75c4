# What the server's administrators do to a database, to the extension and to roles while jobs run: databases are dropped,
# renamed, moved and copied; the extension is dropped, alone, with its owner's objects, and made anew between two chunks of
# a worker; owners are dropped, and their tables reassigned.
# Covers R3, R19, R20, R21, B-06 to B-09, B-30, T-11, T-12, G-17.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $node = StrideCluster->fresh('main', conf => "stride.max_workers = 8\nmax_worker_processes = 24\nallow_in_place_tablespaces = on");
my $log = $node->log_size;
my $table = 'CREATE TABLE t AS SELECT id, 0 AS n FROM generate_series(1, 1000) AS id; ALTER TABLE t ADD PRIMARY KEY (id);';
$node->sql("$table CREATE TABLESPACE elsewhere LOCATION ''");

# An idle installation, in a database that had a job: every command that wants the database for itself gets it.
$node->sql('CREATE DATABASE idle');
{
	local $node->{database} = 'idle';
	$node->sql("CREATE EXTENSION pg_stride; $table");
	$node->wait_for_state($node->submit('UPDATE t SET n = n + 1'), 'succeeded');
	$node->submit('UPDATE t SET n = n + 1', name => q{'to come'}, start_at => q{'infinity'});
	$node->sql(q{SELECT stride.pause(stride.job_id('to come'))});
	$node->wait_for_state(2, 'paused');
}
$node->wait_until(q{SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'idle'}, 'database idle has no process');
for my $command ('ALTER DATABASE idle SET TABLESPACE elsewhere', 'ALTER DATABASE idle RENAME TO renamed',
	'CREATE DATABASE copied TEMPLATE renamed', 'CREATE DATABASE copied_by_file TEMPLATE renamed STRATEGY file_copy',
	'ALTER DATABASE renamed IS_TEMPLATE true')
{
	ok(defined $node->try_sql($command), "idle: $command");
}
{
	local $node->{database} = 'copied';
	$node->sql(q{SELECT stride.resume(stride.job_id('to come'))});
	$node->wait_until(q{SELECT state = 'queued' AND state_reason LIKE 'starts at%' FROM stride.jobs WHERE name = 'to come'},
		'a paused job of a copy is queued once it is resumed');
	is($node->sql('SELECT DISTINCT n FROM t'), '1', 'the copy has what was done');
}

# A busy one: who wants the database for himself is told that it is in use, and by force gets it.  Other databases can be
# dropped meanwhile, whether they have the extension or not.
$node->sql('CREATE DATABASE busy');
{
	local $node->{database} = 'busy';
	$node->sql("CREATE EXTENSION pg_stride; $table");
	$node->submit('SELECT pg_sleep(600) FROM t', workers => 2);
	$node->wait_until(q{SELECT count(*) = 2 FROM stride.workers WHERE phase = 'writing'}, 'two workers are busy');
}
$node->sql('CREATE DATABASE plain');
$node->sql("DROP DATABASE $_") for qw(plain copied_by_file);
pass('other databases can be dropped while workers are busy');
like($node->failure_of('ALTER DATABASE busy RENAME TO other'), qr/55006: .*"busy" is being accessed by other users/,
	'a busy database is in use');
$node->sql('DROP DATABASE busy WITH (FORCE)');
pass('and can be dropped by force');

# No process of ours goes into a template, though it has work to do.
$node->sql(q{UPDATE pg_database SET datallowconn = true WHERE datname = 'renamed'});
$node->safe_psql('renamed', q{UPDATE stride_catalog.job SET state = 'queued', start_at = NULL WHERE name = 'to come'});
my $template = $node->log_size;
$node->restart;
$node->wait_for_state($node->submit('UPDATE t SET n = n + 0'), 'succeeded');
is($node->safe_psql('renamed', 'SELECT DISTINCT n FROM t'), '1', 'a template is left alone after a start');

# The extension is dropped and made anew while a worker has nothing of it locked: before the job's plan, and between two
# chunks.  The new job has the id of the old one; the old worker does nothing to it.
sub forget_everything { $node->sql('DROP EXTENSION pg_stride CASCADE; CREATE EXTENSION pg_stride; UPDATE t SET n = 0'); return; }
for my $point (qw(job_loaded after_commit))
{
	forget_everything();
	$node->set_point("$point:wait");
	my $old = $node->submit('UPDATE t SET n = n + 1000', chunk_rows => 10, workers => 1);
	my $pid = $node->wait_at_point($old);
	forget_everything();
	my $new = $node->submit('UPDATE t SET n = n + 1', chunk_rows => 100, workers => 2);
	is($new, $old, "$point: the new job has the id of the old one");
	$node->set_point(undef);
	$node->reaches($new, 'succeeded', "$point: the new job ends");
	is($node->sql('SELECT DISTINCT n FROM t'), '1', "$point: with its own statement done, and nothing of the old one's");
	$node->invariants_hold("$point: the invariants hold");
}

# The same while the scheduler is between looking at the queue and acting on it: it does not start what is to wait.
forget_everything();
$node->set_point('scheduler_round:wait');
$node->submit('UPDATE t SET n = n + 1000');
$node->wait_until(q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_stride scheduler' AND datname = 'postgres'
  AND wait_event = 'Extension' AND state = 'active')}, 'the scheduler waits');
forget_everything();
my $waiting = $node->submit('UPDATE t SET n = n + 1', start_at => q{'infinity'});
$node->set_point(undef);
$node->wait_until("SELECT state_reason LIKE 'starts at%' FROM stride.jobs WHERE job_id = $waiting", 'the scheduler has looked at the new job');
is($node->sql(q{SELECT string_agg(event, ' ') FROM stride.events}), 'submit', 'scheduler_round: the new job was not taken for the old one');

# The extension goes with its owner's objects, or with a schema, under running jobs.
for my $drop ('DROP OWNED BY boss CASCADE', 'DROP EXTENSION pg_stride CASCADE')
{
	$node->sql('DROP EXTENSION pg_stride CASCADE; CREATE ROLE boss SUPERUSER LOGIN; SET ROLE boss; CREATE EXTENSION pg_stride');
	my $job = $node->submit('UPDATE t SET n = n + (SELECT 0 FROM pg_sleep(0.05))', chunk_rows => 1, workers => 2);
	$node->wait_for_chunks($job, 2);
	my $before = $node->log_size;
	# DROP OWNED locks the tables one by one, in its own order: a deadlock with a worker may cost it a try.
	$drop =~ /OWNED/ ? $node->wait_until("$drop; SELECT true", 'what boss owns is dropped') : $node->sql($drop);
	$node->wait_until(q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'pg_stride%' AND datname = 'postgres'},
		'all processes of the database have gone');
	my @lines = grep { /ERROR|LOG:  pg_stride/ } split(/\n/, slurp_file($node->logfile, $before));
	cmp_ok(scalar(@lines), '<=', 6, "$drop: each process says so once at most") || diag(join("\n", @lines));
	$node->sql('CREATE EXTENSION pg_stride; DROP OWNED BY boss CASCADE; DROP ROLE boss');
	$node->reaches($node->submit('UPDATE t SET n = n + 0'), 'succeeded', "$drop: a new extension works");
}

# Owners.  Dropped while its job runs: the job fails within a chunk, others go on.  Its tables reassigned and it dropped
# while its job is paused: the job is held, since nobody else has submitted it.
$node->sql('GRANT ALL ON t TO PUBLIC');
for my $role (qw(leaving reassigned))
{
	$node->sql("CREATE ROLE $role LOGIN; GRANT USAGE ON SCHEMA stride TO $role");
}
$node->set_point('after_commit:wait');
my $left = $node->sql(q{SET ROLE leaving; SELECT stride.submit('UPDATE t SET n = n + 1', chunk_rows => 10, workers => 1)});
my $moved = $node->sql(q{SET ROLE reassigned; SELECT stride.submit('UPDATE t SET n = n + 2', chunk_rows => 10, workers => 1)});
$node->wait_for_chunks($_, 1) for $left, $moved;
$node->sql('DROP OWNED BY leaving; DROP ROLE leaving');
$node->sql("SELECT stride.pause($moved)");
$node->set_point(undef);
$node->reaches($left, 'failed', 'a job whose owner is dropped while it runs fails');
is($node->sql("SELECT error_sqlstate || ' ' || chunks FROM stride.jobs WHERE job_id = $left"), '28000 1', 'at the next chunk, with 28000');
$node->reaches($moved, 'paused', 'the job of another role is paused as was asked for');
$node->sql("REASSIGN OWNED BY reassigned TO CURRENT_USER; DROP OWNED BY reassigned; DROP ROLE reassigned; SELECT stride.resume($moved)");
$node->wait_until("SELECT state = 'paused' AND state_reason LIKE '%does not exist' FROM stride.jobs WHERE job_id = $moved", 'it is held');
pass('a job whose owner was dropped is held when it is resumed');
$node->sql("SELECT stride.cancel($moved)");
$node->reaches($moved, 'cancelled', 'and can be cancelled by a superuser');

$node->invariants_hold('the invariants hold');
$node->no_crash_since($log, 'no process crashed');
$node->stop;
done_testing();
