# run and wait: what ends the wait, and what becomes of the job then.  Covers B-17 and design.md 2.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $node = StrideCluster->fresh('main', conf => 'stride.max_workers = 8');
$node->sql('CREATE TABLE t AS SELECT id, 0 AS n FROM generate_series(1, 2000) AS id; ALTER TABLE t ADD PRIMARY KEY (id)');
my $run = sub { my ($name) = @_; return "CALL stride.run('UPDATE t SET n = n + 1', name => '$name', chunk_rows => 100, workers => 1)"; };
my $id = sub { my ($name) = @_; return $node->sql("SELECT stride.job_id('$name')"); };

my ($out, $err);
(undef, $out, $err) = $node->psql('postgres', $run->('plain'));
like($err, qr/NOTICE:  job \d+ succeeded 100\.0%/, 'run sends lines of progress');
(undef, $out, $err) = $node->psql('postgres', q{SET stride.progress_interval = 0; } . $run->('quiet'));
is($err, '', 'and none when progress_interval is 0');

# A cancel request cancels the job; the hint says how to go on.
$node->set_point('after_commit:wait');
my $session = $node->start_sql($run->('cancelled'));
$node->wait_until(q{SELECT count(*) > 0 FROM stride.progress WHERE name = 'cancelled' AND chunks_done > 0});
is($node->sql(q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CALL stride.run%' AND pid <> pg_backend_pid() AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)}), '0', 'who waits holds no snapshot and no transaction id');
$node->sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL stride.run%' AND pid <> pg_backend_pid()});
($out, $err) = $session->finish;
like($err, qr/canceling statement due to user request/, 'a cancel request ends the wait');
like($err, qr/HINT:  SELECT stride\.resume\(\d+\)/, 'with the hint how to go on');
$node->reaches($id->('cancelled'), 'cancelled', 'and cancels the job');
$node->set_point(undef);
$node->sql('SELECT stride.resume(' . $id->('cancelled') . ')');
$node->reaches($id->('cancelled'), 'succeeded', 'which can be resumed');

# A statement timeout and a termination leave it running.
$node->set_point('after_commit:wait');
(undef, $out, $err) = $node->psql('postgres', q{SET statement_timeout = '1500ms'; } . $run->('timed out'));
like($err, qr/canceling statement due to statement timeout/, 'a statement timeout ends the wait');
$session = $node->start_sql($run->('terminated'));
$node->wait_until(q{SELECT count(*) > 0 FROM stride.jobs WHERE name = 'terminated' AND state = 'running'});
$node->sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL stride.run%' AND pid <> pg_backend_pid()});
$session->finish;
$node->wait_until(q{SELECT count(*) = 2 FROM stride.jobs WHERE name IN ('timed out', 'terminated') AND state = 'running'}, 'the jobs go on');
$node->set_point(undef);
$node->reaches($id->($_), 'succeeded', "the job that was $_ ends") for 'timed out', 'terminated';
is($node->sql('SELECT DISTINCT n FROM t'), '5', 'each job did each row once');

# wait
my $job = $node->submit('UPDATE t SET n = n / 0', chunk_rows => 100);
(undef, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nCALL stride.wait($job)");
like($err, qr/22012: job $job failed: division by zero/, "wait raises the job's error");
like($err, qr/HINT:.*stride\.resume\($job\)/s, 'with the hint how to go on');
(undef, $out, $err) = $node->psql('postgres', q{CALL stride.run('MERGE INTO t USING (SELECT 1 AS id FROM t) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET n = 0', walk => 'spool')});
like($err, qr/two rows of the source of a MERGE have the same key/, 'one that is met before any chunk is raised, too');
unlike($err, qr/CONTEXT/, 'without a context, as it has none');
$job = $node->submit('UPDATE t SET n = n', start_at => q{now() + interval '1 hour'});
like($node->failure_of("CALL stride.wait($job, '100 ms')"), qr/57014/, 'wait gives up after its timeout');
is($node->state($job), 'queued', 'and the job is as it was');

# What a worker waits for between two chunks is counted with the second.
$node->set_point('after_commit:wait');
my $held = $node->submit('UPDATE t SET n = n * 1', chunk_rows => 1000, workers => 1);
$node->wait_at_point($held);
$node->configure('stride.enabled', 'off');
$node->set_point(undef);
$node->wait_until("SELECT EXISTS (SELECT FROM stride.workers WHERE job_id = $held AND phase = 'waiting')", 'the worker holds');
$node->reconfigure('stride.enabled', undef);
$node->reaches($held, 'succeeded', 'a job that was held goes on');
is($node->sql("SELECT count(*) FILTER (WHERE c.wait_ms > 0) || ' ' || bool_and(j.wait_ms >= c.wait_ms)"
	  . " FROM stride.chunks AS c JOIN stride.jobs AS j USING (job_id) WHERE job_id = $held"), '1 true', 'and the time is accounted for');

# Transaction blocks.
like($node->failure_of('BEGIN; ' . $run->('in a block')), qr/25001/, 'run refuses a transaction block');
like($node->failure_of("BEGIN; CALL stride.wait($job)"), qr/25001/, 'and so does wait');
like($node->failure_of(q{BEGIN; SELECT stride.submit('UPDATE t SET n = n', name => 'own'); DO $$BEGIN CALL stride.wait(stride.job_id('own')); END$$}), qr/55000/, "wait refuses a job of its own transaction");
$node->sql(q{BEGIN; SELECT stride.submit('UPDATE t SET n = 100', name => 'rolled back'); ROLLBACK});
is($node->sql(q{SELECT count(*) FROM stride.jobs WHERE name = 'rolled back'}), '0', 'a rollback leaves no job');

# Submit and disconnect at once.
$node->sql(qq{SELECT stride.submit('UPDATE t SET n = n + 1 WHERE id = $_')}) for 1 .. 100;
$node->wait_until(q{SELECT count(*) >= 100 AND bool_and(state = 'succeeded') FROM stride.jobs WHERE statement LIKE '%WHERE id = %'});
is($node->sql('SELECT count(*) FROM t WHERE n = 6'), '100', 'a hundred jobs whose callers left were all done');
$node->invariants_hold('the invariants hold');
$node->stop;
done_testing();
