# A walk by blocks names rows by their places, which writers move: it keeps them out while it runs, and where they could come in
# meanwhile it goes on only if nobody wrote.  Covers what reliability.md 6.1 says of ctid.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $node = StrideCluster->fresh('main');
my $tables = <<'SQL';
DROP TABLE IF EXISTS t, copy;
CREATE TABLE t (id integer, note text);
INSERT INTO t SELECT id, repeat('x', 100) FROM generate_series(1, 2000) AS id;
DELETE FROM t WHERE id % 10 = 0;
CREATE TABLE copy (LIKE t);
SQL

# A job that stands after its first chunk, on fresh tables.
sub start_job
{
	my (%arguments) = @_;
	$node->sql($tables);
	$node->set_point('after_commit:wait');
	my $job = $node->submit('INSERT INTO copy SELECT * FROM t', walk => "'block'", chunk_rows => 50, workers => 1, if_exists => "'new'", %arguments);
	$node->wait_at_point($job);
	return $job;
}

sub pause_job
{
	my ($job) = @_;
	$node->sql("SELECT stride.pause($job)");
	$node->set_point(undef);
	$node->wait_for_state($job, 'paused');
	$node->wait_until("SELECT count(*) = 0 FROM pg_locks WHERE relation = 't'::regclass", 'the lock is given back');
	return;
}

sub copied { my ($name) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1; return $node->same_rows('TABLE copy', 'TABLE t', $name); }

# Who writes waits until the job has ended; nothing is held by then.
my $job = start_job();
my $writer = $node->start_sql("INSERT INTO t VALUES (5001, 'late')");
$node->wait_until("SELECT count(*) = 1 FROM pg_locks WHERE relation = 't'::regclass AND NOT granted", 'the writer waits');
is($node->sql("SELECT string_agg(DISTINCT mode, ' ') FROM pg_locks WHERE relation = 't'::regclass AND granted"), 'AccessShareLock ShareLock', 'readers need not wait');
is($node->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_stride keeper' AND xact_start IS NULL AND backend_xmin IS NULL"), '1', 'who keeps the lock holds no snapshot');
$node->set_point(undef);
$node->reaches($job, 'succeeded', 'the job succeeds while the writer waits');
$writer->finish;
is($node->sql('SELECT count(*) FROM copy'), '1800', 'the row that came late is not in the copy');
$node->wait_until("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_stride keeper'", 'the keeper ends');
is($node->sql("SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass"), '0', 'no lock is left');

# Nor does who waits for a stronger lock keep the job from its end, for which it waits.
$job = start_job();
my $change = $node->start_sql('ALTER TABLE t ADD COLUMN late integer');
$node->wait_until("SELECT count(*) = 1 FROM pg_locks WHERE relation = 't'::regclass AND NOT granted", 'the command waits');
$node->set_point(undef);
$node->reaches($job, 'succeeded', 'the job succeeds while ALTER TABLE waits');
$change->finish;
is($node->sql('SELECT count(*) FROM copy'), '1800', 'every row was copied');

# What happens while it is paused, and what becomes of it: rows that came end it, others may go.
for my $case (
	[ 'SELECT 1', 'succeeded' ],
	[ 'DELETE FROM t WHERE id > 1900', 'succeeded', 'DELETE FROM copy WHERE id > 1900' ],
	[ 'DELETE FROM t WHERE id > 1900; VACUUM t', 'succeeded', 'DELETE FROM copy WHERE id > 1900' ],
	[ 'VACUUM (FREEZE) t', 'succeeded' ],
	[ 'SELECT count(*) FROM (SELECT FROM t FOR UPDATE) AS locked', 'succeeded' ],
	[ "INSERT INTO t VALUES (5001, 'new')", 'failed', qr/was written while job/ ],
	[ "BEGIN; INSERT INTO t VALUES (5001, 'new'); ROLLBACK", 'succeeded' ],
	[ "BEGIN; UPDATE t SET note = 'moved' WHERE id > 1900; ROLLBACK", 'succeeded' ],
	[ "INSERT INTO t VALUES (5001, 'new'); VACUUM (FREEZE) t", 'failed', qr/was written while job/ ],
	[ "UPDATE t SET note = 'moved' WHERE id = 3", 'failed', qr/was written while job/ ],
	[ "UPDATE t SET note = 'moved' WHERE id = 1999", 'failed', qr/was written while job/ ],
	[ "UPDATE t SET note = 'moved' WHERE id % 2 = 0", 'failed', qr/was written while job/ ],
	[ 'VACUUM FULL t', 'failed', qr/was rewritten/ ],
	[ 'CREATE INDEX backward ON t (id DESC); CLUSTER t USING backward', 'failed', qr/was rewritten/ ],
	[ 'TRUNCATE t', 'failed', qr/was (truncated|rewritten)/ ],
	[ 'DROP TABLE t', 'failed', qr/no longer exists/ ])
{
	my ($sql, $state, $outcome) = @$case;
	$job = start_job();
	pause_job($job);
	# VACUUM takes no transaction block.
	$node->sql($_) for $sql =~ /^BEGIN/ ? ($sql) : split(/; /, $sql);
	$node->sql("SELECT stride.resume($job)");
	$node->reaches($job, $state, "$sql: the job has $state");
	if ($state eq 'failed')
	{
		like($node->sql("SELECT error_sqlstate || ' ' || error_message || ' ' || coalesce(error_detail, '') FROM stride.jobs WHERE job_id = $job"),
			qr/^55000.*/s, "$sql: SQLSTATE");
		like($node->sql("SELECT error_message || ' ' || coalesce(error_detail, '') FROM stride.jobs WHERE job_id = $job"), $outcome, "$sql: and says why");
		next;
	}
	$node->sql($outcome) if defined $outcome;
	copied("$sql: every row that is left was copied once");
}

# A transaction that is older than the lock writes once the lock is gone.
$node->sql('DROP TABLE IF EXISTS go');
my $old = $node->start_sql("BEGIN; SELECT pg_current_xact_id(); DO \$\$BEGIN LOOP EXIT WHEN EXISTS (SELECT FROM pg_class WHERE relname = 'go'); PERFORM pg_sleep(0.02); END LOOP;"
	  . " INSERT INTO t VALUES (6001, 'old'); END\$\$; COMMIT");
$node->wait_until("SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND query LIKE '%EXIT WHEN%' AND pid <> pg_backend_pid()", 'an older transaction has its id');
$job = start_job();
pause_job($job);
$node->sql('CREATE TABLE go ()');
$old->finish;
is($node->sql('SELECT count(*) FROM t WHERE id = 6001'), '1', 'the older transaction has written');
$node->sql("SELECT stride.resume($job)");
$node->reaches($job, 'failed', 'what an older transaction writes is seen');

# Processes that end, in any way, take nothing with them: not the keeper, not a worker, not all of them, not the server.
for my $end (
	[ 'the keeper is terminated', sub { $node->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_stride keeper'") } ],
	[ 'the keeper is cancelled, which pauses the job', sub {
			$node->sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_stride keeper'");
			$node->set_point(undef);
			$node->wait_for_state($job, 'paused');
			$node->sql("SELECT stride.resume($job)");
		} ],
	[ 'the worker is terminated', sub { $node->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_stride worker'") } ],
	[ 'the keeper is killed', sub { kill 'KILL', $node->pids('keeper') } ],
	[ 'the server stops at once', sub { $node->stop('immediate'); $node->configure('stride.test_point', undef); $node->start } ])
{
	my ($name, $act) = @$end;
	$job = start_job();
	$act->();
	eval { $node->set_point(undef) } or $node->wait_until('SELECT true', 'the server is up') and $node->set_point(undef);
	$node->reaches($job, 'succeeded', "$name: the job succeeds");
	copied("$name: every row was copied once");
	$node->wait_until("SELECT count(*) = 0 FROM pg_locks WHERE relation = 't'::regclass", 'no lock is left');
}

# A chunk that fails gives its own locks back, and the keeper's stay.
$node->sql($tables . 'ALTER TABLE copy ADD CHECK (id % 500 <> 7);');
$job = $node->submit('INSERT INTO copy SELECT * FROM t', walk => "'block'", chunk_rows => 200, on_error => "'skip'", if_exists => "'new'");
$node->reaches($job, 'succeeded_with_rejects', 'bad rows are passed');
$node->same_rows('TABLE copy', 'SELECT * FROM t WHERE id % 500 <> 7', 'and all others are copied once');

# Who writes when the job comes is waited for, and the job says so.
$node->sql($tables);
my $session = $node->start_sql('BEGIN; DELETE FROM t WHERE id = 1; SELECT pg_sleep(600)');
$node->wait_until("SELECT count(*) > 0 FROM pg_locks WHERE relation = 't'::regclass", 'somebody writes');
$job = $node->submit('INSERT INTO copy SELECT * FROM t', walk => "'block'", if_exists => "'new'");
$node->wait_until("SELECT waiting_for LIKE '%could not obtain lock%' FROM stride.progress WHERE job_id = $job", 'the job waits for the lock');
$node->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' AND pid <> pg_backend_pid()");
$session->stop;
$node->reaches($job, 'succeeded', 'the job goes on when the writer has gone');
copied('every row was copied once, after the writer');

# Two keepers do not take the places of all workers.
$node->reconfigure('stride.max_workers', 2);
my ($one, $other) = split(/\|/, $node->sql($tables . "CREATE TABLE other (LIKE t); SELECT stride.submit('INSERT INTO copy SELECT * FROM t', walk => 'block', if_exists => 'new'),"
	  . " stride.submit('INSERT INTO other SELECT * FROM t', walk => 'block', if_exists => 'new')"));
$node->reaches($one, 'succeeded', 'the first of two jobs with two places succeeds');
$node->reaches($other, 'succeeded', 'and so does the second');

# DROP EXTENSION does not wait for the keeper, and ends it.
$job = start_job();
$node->set_point('before_commit:wait');
$node->wait_at_point($job);
my $drop = $node->start_sql('DROP EXTENSION pg_stride');
$node->set_point(undef);
$drop->finish;
$node->wait_until("SELECT count(*) = 0 FROM pg_extension WHERE extname = 'pg_stride'", 'the extension is dropped');
$node->wait_until("SELECT count(*) = 0 FROM pg_locks WHERE relation = 't'::regclass", 'no lock is left');
pass('the keeper ends with the extension');

done_testing();
