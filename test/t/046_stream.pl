# Streams that break: whoever of reader and workers ends early, at whatever time, the stream begins anew, and in the end the target
# holds each of the query's rows once.  Nobody hangs, and no segment of shared memory is left behind.  A trigger makes each row
# take long enough for the blow to find everybody at work, the reader waiting for workers that have all they may have.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $rows = 1_200;

StrideCluster::seed();
# Segments are files of the data directory, where they can be counted.
my $node = StrideCluster->fresh('main', conf => 'dynamic_shared_memory_type = mmap');
$node->sql(<<SQL);
CREATE TABLE events AS SELECT id, 'note ' || id AS note FROM generate_series(1, $rows) AS id;
CREATE TABLE archive (id integer PRIMARY KEY, note text);
CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_sleep(0.001); IF NEW.id = $rows THEN PERFORM pg_advisory_xact_lock(1); END IF; RETURN NULL; END';
CREATE TRIGGER take_time AFTER INSERT ON archive FOR EACH ROW EXECUTE FUNCTION take_time();
SQL

sub segments { return scalar(my @files = glob($node->data_dir . '/pg_dynshmem/*')); }

sub submit_stream
{
	my (%arguments) = (source_query => "'SELECT id, note FROM events'", workers => 3, @_);
	my $arguments = join('', map { ", $_ => $arguments{$_}" } sort keys %arguments);
	return $node->sql("TRUNCATE archive; SELECT stride.submit_pipeline('archive',"
		  . " walk => 'stream', on_conflict => 'update', chunk_rows => 20, if_exists => 'new' $arguments)");
}

sub is_whole
{
	my ($job, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->reaches($job, 'succeeded', "$name: the job succeeds");
	$node->same_rows('TABLE archive', 'TABLE events', "$name: every row is there once");
	is($node->sql("SELECT rows_read FROM stride.jobs WHERE job_id = $job"), $rows, "$name: the last attempt's rows are counted");
	return;
}

sub rows_done { my ($job) = @_; return "(SELECT rows_read FROM stride.jobs WHERE job_id = $job)"; }

my $idle = segments();

# The moments of a stream, as conditions.
my %moment = (
	'before the first row' => sub { "(SELECT count(*) > 0 FROM stride.workers WHERE job_id = $_[0] AND phase = 'planning')" },
	'in the middle' => sub { rows_done($_[0]) . ' > 100' },
	'at the end' => sub { rows_done($_[0]) . " >= $rows - 20" });
my $brake = $node->background_psql('postgres'); # holds up the chunk with the last row

sub strike
{
	my ($name, $moment, $blow, %arguments) = @_;
	$node->set_point('before_stream:wait') if $moment eq 'before the first row';
	$brake->query_safe('SELECT pg_advisory_lock(1)') if $moment eq 'at the end';
	my $job = submit_stream(%arguments);
	$node->wait_until('SELECT ' . $moment{$moment}->($job), "job $job is $moment");
	$blow->($job, sub {
			$node->set_point(undef) if $moment eq 'before the first row';
			$brake->query_safe('SELECT pg_advisory_unlock(1)') if $moment eq 'at the end'; });
	is_whole($job, "$name $moment");
	return;
}

sub process { my ($kind) = @_; return "FROM pg_stat_activity WHERE backend_type = 'pg_stride $kind'"; }

sub terminate
{
	my ($kind) = @_;
	return sub {
		my ($job, $go_on) = @_;
		$node->sql('SELECT pg_terminate_backend(pid) ' . process($kind) . ' LIMIT 1');
		$go_on->();
	};
}

sub crash
{
	my ($kind) = @_;
	return sub {
		my $log = $node->log_size;
		my ($pid) = $node->pids($kind);
		kill('KILL', $pid) or die "no $kind to kill";
		$node->wait_until('SELECT true', 'the server is up again')
		  until $node->log_contains('all server processes terminated; reinitializing', $log);
	};
}

sub hold
{
	my ($call, $state) = @_;
	return sub {
		my ($job, $go_on) = @_;
		$node->sql("SELECT stride.$call($job)");
		$go_on->();
		$node->wait_for_state($job, $state);
		is(segments(), $idle, "$call: nothing of the stream is left");
		$node->sql("SELECT stride.resume($job)");
	};
}

for my $moment ('before the first row', 'in the middle', 'at the end')
{
	strike('terminated reader', $moment, terminate('reader'));
	strike('pause', $moment, hold('pause', 'paused'));
	strike('cancel', $moment, hold('cancel', 'cancelled'));
	next if $moment eq 'before the first row';
	strike('terminated worker', $moment, terminate('worker'));
}
# What was kept aside goes with the attempt that has kept it, and the next one keeps it anew.
$node->sql('TRUNCATE archive; ALTER TABLE archive ADD CHECK (id % 100 <> 7)');
$brake->query_safe('SELECT pg_advisory_lock(1)');
my $job = submit_stream(on_error => q('skip'));
$node->wait_until("SELECT count(*) > 2 FROM stride.rejects WHERE job_id = $job", 'rows were kept aside');
like($node->failure_of("SELECT stride.retry_rejects($job)"), qr/cannot be retried yet/, 'which cannot be driven before its end');
terminate('reader')->($job, sub { $brake->query_safe('SELECT pg_advisory_unlock(1)') });
$node->reaches($job, 'succeeded_with_rejects', 'a stream that keeps rows aside begins anew and ends');
is($node->sql("SELECT count(*) || ' restarts' FROM stride.events WHERE event = 'restart' AND job_id = $job"), '1 restarts', 'once');
$node->same_rows("SELECT (row_data ->> 'id')::integer, row_data ->> 'note' FROM stride.rejects WHERE job_id = $job",
	'SELECT * FROM events WHERE id % 100 = 7', 'each bad row is kept aside once');
$node->same_rows('TABLE archive', 'SELECT * FROM events WHERE id % 100 <> 7', 'and each other row is there once');
$node->sql('ALTER TABLE archive DROP CONSTRAINT archive_id_check');
my $retry = $node->sql("SELECT stride.retry_rejects($job)");
$node->reaches($retry, 'succeeded', 'the rejects are driven again');
$node->same_rows('TABLE archive', 'TABLE events', 'and every row is there once');

$brake->quit;
strike('crashed reader', 'in the middle', crash('reader'));
strike('crashed worker', 'in the middle', crash('worker'));
strike('restart', 'in the middle', sub { $node->stop('immediate'); $node->start; });

# Each worker in turn; a statement that an operator cancels pauses the job.
strike("terminated worker $_", 'in the middle', sub {
		$node->sql("SELECT pg_terminate_backend(pid) FROM stride.workers WHERE job_id = $_[0] AND split = $_") }) for 1 .. 3;
strike('cancelled query', 'in the middle', sub {
		my ($job) = @_;
		$node->sql('SELECT pg_cancel_backend(pid) ' . process('reader'));
		$node->wait_for_state($job, 'paused');
		$node->sql("SELECT stride.resume($job)"); });

# Events tell; and what breaks for ever is paused at last.
is($node->sql("SELECT count(*) FROM stride.events WHERE event = 'restart' AND job_id = (SELECT min(job_id) FROM stride.jobs)"), 0,
	'a reader that ended before its stream was open is no restart');
cmp_ok($node->sql("SELECT count(*) FROM stride.events WHERE event = 'restart'"), '>', 10, 'the others are');
$job = submit_stream(settings => q('{"retry_limit": 1}'));
for my $time (1 .. 2)
{
	$node->set_point('before_commit:wait');
	$node->wait_until("SELECT (SELECT count(*) > 0 FROM stride.workers WHERE job_id = $job AND phase = 'checkpointing')"
		  . " AND (SELECT count(*) = $time - 1 FROM stride.events WHERE event = 'restart' AND job_id = $job)", "the stream runs for time $time");
	terminate('reader')->($job, sub { $node->set_point(undef) });
}
$node->reaches($job, 'paused', 'a stream that breaks again and again pauses its job');
like($node->sql("SELECT state_reason FROM stride.jobs WHERE job_id = $job"), qr/began anew 2 times/, 'with the reason');
$node->sql("SELECT stride.resume($job)");
is_whole($job, 'resumed');

# A worker that meets a passing error keeps its rows and tries again.
$node->sql(<<SQL);
CREATE SEQUENCE tries;
CREATE FUNCTION fail_at_first() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN IF nextval(''tries'') = 50 THEN RAISE serialization_failure; END IF; RETURN NULL; END';
CREATE TRIGGER fail_at_first AFTER INSERT ON archive FOR EACH ROW EXECUTE FUNCTION fail_at_first();
SQL
$job = submit_stream(settings => q('{"retry_delay": "10ms"}'));
is_whole($job, 'passing error');
is($node->sql("SELECT retries || ' retries, ' || (SELECT count(*) FROM stride.events WHERE event = 'restart' AND job_id = $job)"
		  . " || ' restarts' FROM stride.jobs WHERE job_id = $job"),
	'1 retries, 0 restarts', 'a passing error does not break the stream');
$node->sql('DROP TRIGGER fail_at_first ON archive');

# So does a reader, which tries again after a while; an error that does not pass pauses the job.
$node->sql(<<SQL);
CREATE SEQUENCE asked;
CREATE FUNCTION pass_after(times integer) RETURNS boolean LANGUAGE plpgsql AS
  'BEGIN IF nextval(''asked'') <= times THEN RAISE serialization_failure; END IF; RETURN true; END';
SQL
my $asks = sub { my ($times) = @_; return "'SELECT id, note FROM events WHERE (SELECT pass_after($times))'"; };
is_whole(submit_stream(source_query => $asks->(2), settings => q('{"retry_delay": "10ms"}')), 'passing error of the query');
$job = submit_stream(source_query => $asks->(1_000_000), settings => q('{"retry_delay": "10ms", "retry_limit": 3}'));
$node->reaches($job, 'paused', 'one that does not pass pauses the job');
is($node->sql("SELECT state_reason FROM stride.jobs WHERE job_id = $job"), 'serialization_failure', 'and is the reason');
$node->sql("SELECT stride.cancel($job)");
$job = submit_stream(source_query => $asks->(1_000_000), settings => q('{"retry_delay": "600s"}'));
$node->wait_until("SELECT waiting_for ~ 'serialization_failure' FROM stride.progress WHERE job_id = $job", 'the reader waits to try again');
$node->sql("SELECT stride.cancel($job)");
$node->reaches($job, 'cancelled', 'a reader that waits to try again is cancelled');
is(segments(), $idle, 'and leaves nothing behind');

# It asks for no more rows than two chunks ahead of those that are committed, however many would go into a queue.
$node->sql('CREATE SEQUENCE given');
$node->set_point('before_commit:wait');
$job = submit_stream(workers => 1, source_query => q('SELECT id, note FROM events WHERE nextval(''given'') > 0'));
$node->wait_until("SELECT count(*) = 1 FROM stride.workers WHERE job_id = $job AND phase = 'checkpointing'", 'the worker is about to commit');
$node->wait_until("SELECT wait_event = 'Extension' " . process('reader'), 'the reader waits for it');
is($node->sql('SELECT last_value BETWEEN 20 AND 80 FROM given'), 't', 'the reader is not far ahead');
$node->set_point(undef);
is_whole($job, 'far ahead');

# Its workers are those that it was planned for: one that ended early would take rows with it.
$job = submit_stream();
$node->wait_until('SELECT ' . rows_done($job) . ' > 100', 'the stream runs');
$node->sql("SELECT stride.alter($job, workers => 1)");
is_whole($job, 'fewer workers');
is($node->sql("SELECT count(*) FROM stride.events WHERE event = 'restart' AND job_id = $job"), 0, 'fewer workers: it does not begin anew');

# Two streams where the caps leave room for one worker each, and no room for a reader alone.
$node->reconfigure('stride.max_workers', 3);
my @jobs = map { submit_stream(name => "'stream $_'") } 1 .. 2;
$node->reaches($_, 'succeeded', 'streams that are short of workers succeed') for @jobs;
$node->same_rows('TABLE archive', 'TABLE events', 'with every row once');

is(segments(), $idle, 'no segment is left');
is($node->sql('SELECT count(*) ' . process('reader')), 0, 'no reader is left');
$node->invariants_hold('the invariants hold');

# DROP EXTENSION waits for nobody who waits for it.
$job = submit_stream();
$node->wait_until('SELECT ' . rows_done($job) . ' > 100', 'the stream runs');
$node->sql("SET lock_timeout = '60s'; DROP EXTENSION pg_stride");
$node->wait_until("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type ~ 'pg_stride (reader|worker)'", 'its processes end');
is(segments(), $idle, 'a stream goes with the extension');

$node->stop;
done_testing();
