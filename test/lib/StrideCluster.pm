# A PostgreSQL::Test::Cluster with pg_stride in it, and what the TAP tests share: submit, wait for a state, name the
# processes, set a test point, and the oracle of exactly-once.  Whatever is asynchronous is waited for by its state, with
# the time limit of PG_TEST_TIMEOUT_DEFAULT.  Methods that assert take the name of the assertion last and call Test::More
# once; all others die when they cannot do what they are for.

package StrideCluster;

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils (); # what it exports would hide methods of Cluster
use Test::More;
use Time::HiRes qw(time usleep);

our @ISA = ('PostgreSQL::Test::Cluster');

my $ended = "'succeeded', 'succeeded_with_rejects', 'failed', 'cancelled'";

# Seeds perl's rand and shows how to replay; STRIDE_TEST_SEED chooses the seed.
sub seed
{
	my $seed = $ENV{STRIDE_TEST_SEED} // int(rand(2**31));
	srand($seed);
	diag("seed $seed: STRIDE_TEST_SEED=$seed replays this run");
	return $seed;
}

# For the moments of random tests; nothing is ever waited for by a sleep alone.
sub pause_ms { my ($ms) = @_; usleep(1000 * $ms); return; }

# A running node with the extension in database postgres.  Options: conf (text for postgresql.conf), streaming and
# archiving (as allows_streaming and has_archiving of init).
sub fresh
{
	my ($class, $name, %options) = @_;
	my $node = $class->new($name);
	$node->init(
		allows_streaming => $options{streaming} // 0,
		has_archiving => $options{archiving} // 0,
		extra => [ '--locale=C', '--encoding=UTF8' ]);
	$node->append_conf('postgresql.conf',
		"shared_preload_libraries = 'pg_stride'\nmax_worker_processes = 16\nmax_connections = 30\nshared_buffers = 16MB\n"
		  . "log_statement = none\nrestart_after_crash = on\nautovacuum = off\n"
		  . ($options{conf} // ''));
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION pg_stride');
	return $node;
}

# The database that all methods below work on: `local $node->{database} = 'other'` changes it for a block.
sub database { my ($self) = @_; return $self->{database} // 'postgres'; }

sub sql { my ($self, $sql) = @_; return $self->safe_psql($self->database, $sql); }

# The result of a query, or undef if the server is not there or refuses.
sub try_sql
{
	my ($self, $sql) = @_;
	my ($out, $err) = ('', '');
	# A psql that is refused may be gone before it was given its input.
	my $status = eval { $self->psql($self->database, $sql, stdout => \$out, stderr => \$err, on_error_stop => 1) };
	die $@ if $@ ne '' && $@ !~ /Broken pipe/;
	return defined $status && $status == 0 ? $out : undef;
}

# Runs SQL that must fail, and returns SQLSTATE, message, detail and hint as psql prints them; 'no error' if it does not.
sub failure_of
{
	my ($self, $sql) = @_;
	my ($out, $err) = ('', '');
	my $status = $self->psql($self->database, "\\set VERBOSITY verbose\n$sql", stdout => \$out, stderr => \$err, on_error_stop => 1);
	return $status == 0 ? 'no error' : $err;
}

# Starts a session that runs some SQL, and does not wait for it.
sub start_sql
{
	my ($self, $sql) = @_;
	my $session = bless { out => '', err => '' }, 'StrideCluster::Session';
	my @command = ($self->installed_command('psql'), '-XAtq', '-d', $self->connstr($self->database), '-c', $sql);
	$session->{run} = IPC::Run::start(\@command, '<', \undef, '>', \$session->{out}, '2>', \$session->{err});
	return $session;
}

# Waits until a query answers something, neither nothing nor f, and returns it; dies, with what the jobs look like, after
# the time limit.  While the server restarts there is no answer, which is waited for as well.
sub wait_for_answer
{
	my ($self, $query, $what) = @_;
	my $deadline = time() + $PostgreSQL::Test::Utils::timeout_default;
	my $answer;
	until (($answer = $self->try_sql($query) // '') !~ /^f?$/)
	{
		$self->explain_jobs and die "waited in vain until $what" if time() > $deadline;
		pause_ms(50);
	}
	return $answer;
}

# Waits until a query answers t.
sub wait_until { my ($self, $query, $what) = @_; $self->wait_for_answer($query, $what // $query); return; }

# Shows, among the test's diagnostics, how all jobs stand.
sub explain_jobs
{
	my ($self) = @_;
	diag($self->try_sql(
			"SELECT format('job %s %s (%s) %s %s', job_id, state, state_reason, error_sqlstate, error_message) FROM stride.jobs;"
			  . " SELECT format('split %s/%s %s at %s epoch %s', job_id, split, state, position_key, epoch) FROM stride.splits WHERE state <> 'done';"
			  . " SELECT format('worker %s of %s %s', pid, job_id, phase) FROM stride.workers;"
			  . " SELECT format('event %s %s: %s -> %s (%s)', job_id, event, from_state, to_state, detail) FROM stride.events ORDER BY event_at DESC LIMIT 20;"
			  . " SELECT format('process %s %s %s %s', pid, backend_type, state, wait_event) FROM pg_stat_activity WHERE backend_type LIKE 'pg_stride%'"
		) // 'the server does not answer');
	return 1;
}

# Submits a statement; %arguments are SQL expressions by argument name.  Returns the job's id.
sub submit
{
	my ($self, $statement, %arguments) = @_;
	my $arguments = join('', map { ", $_ => $arguments{$_}" } sort keys %arguments);
	return $self->sql("SELECT stride.submit(\$stride\$$statement\$stride\$$arguments)");
}

sub state { my ($self, $job) = @_; return $self->try_sql("SELECT state FROM stride.jobs WHERE job_id = $job") // ''; }

# True while the job is in none of its final states; false too while the server does not answer.
sub is_unfinished
{
	my ($self, $job) = @_;
	return ($self->try_sql("SELECT state NOT IN ($ended) FROM stride.jobs WHERE job_id = $job") // '') eq 't';
}

# Waits for a state of the job, and no longer than until it has ended in another that no request is about to change.  Two kills
# of a worker at one place look like a row that crashes the server and pause the job: it is told to go on.
sub wait_for_state
{
	my ($self, $job, $state) = @_;
	my $found = $self->wait_for_answer("SELECT state FROM stride.jobs AS j WHERE job_id = $job AND CASE WHEN state = '$state' THEN true"
		  . " WHEN state = 'paused' AND state_reason ~ '^the server crashed' THEN stride.resume(job_id) IS NULL"
		  . " ELSE state IN ($ended) AND NOT EXISTS (SELECT FROM stride_catalog.request AS r WHERE r.job_id = j.job_id) END",
		"job $job is $state");
	$self->explain_jobs and die "job $job is $found, not $state" if $found ne $state;
	return;
}

# Asserts that the job reaches the state.
sub reaches
{
	my ($self, $job, $state, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(eval { $self->wait_for_state($job, $state); 1 }, $name) || diag($@);
}

# Waits until the job has committed at least this many chunks, and has not ended.
sub wait_for_chunks
{
	my ($self, $job, $chunks) = @_;
	$self->wait_until("SELECT chunks >= $chunks OR state IN ($ended) FROM stride.jobs WHERE job_id = $job",
		"job $job has done $chunks chunks");
	die "job $job ended before the test could look at it" unless $self->is_unfinished($job);
	return;
}

# Asserts that two queries give the same rows, each as often: EXCEPT ALL both ways.
sub same_rows
{
	my ($self, $found, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $counts = $self->sql("SELECT (SELECT count(*) FROM (($found) EXCEPT ALL ($expected)) AS a) || ' too many, '"
		  . " || (SELECT count(*) FROM (($expected) EXCEPT ALL ($found)) AS b) || ' missing'");
	return is($counts, '0 too many, 0 missing', $name);
}

# Asserts that stride.check_invariants() finds nothing broken.  I7 and I9 speak of processes that may be on their way up.
sub invariants_hold
{
	my ($self, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	eval {
		$self->wait_until("SELECT bool_and(ok) FROM stride.check_invariants() WHERE invariant ~ '^(I7|I9):'",
			'launcher and scheduler are up');
	};
	return is($self->sql("SELECT string_agg(CASE WHEN ok THEN 'ok' ELSE invariant || ' ' || detail END, ' ' ORDER BY invariant)"
			  . ' FROM stride.check_invariants()'),
		join(' ', ('ok') x 11), $name);
}

# Process ids of our own processes of a kind: launcher, scheduler or worker.
sub pids
{
	my ($self, $kind) = @_;
	return split(/\n/, $self->try_sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_stride $kind' ORDER BY pid") // '');
}

# Waits until a worker of the job stands at the test point that is set, and returns its pid.  Not for jobs whose workers
# wait for something else as well.
sub wait_at_point
{
	my ($self, $job) = @_;
	my $standing = "FROM pg_stat_activity WHERE application_name = 'pg_stride job $job' AND wait_event = 'Extension'"
	  . " AND backend_type <> 'pg_stride keeper'"
	  . " AND datname = '" . $self->database . "'";
	my $pid;
	$self->wait_until("SELECT count(*) > 0 $standing", "a worker of job $job stands at a test point")
	  until $pid = $self->sql("SELECT pid $standing LIMIT 1");
	return $pid;
}

# After the postmaster was killed: waits until nobody uses its shared memory, so that the next start finds it free.
sub wait_for_orphans
{
	my ($self) = @_;
	my $directory = $self->data_dir;
	my $deadline = time() + $PostgreSQL::Test::Utils::timeout_default;
	while (grep { (readlink($_) // '') eq $directory } glob('/proc/[0-9]*/cwd'))
	{
		die "processes in $directory outlive the postmaster" if time() > $deadline;
		pause_ms(20);
	}
	return;
}

# Writes a parameter into postgresql.conf, whether the server runs or not; undef removes it.
sub configure
{
	my ($self, $parameter, $value) = @_;
	$self->adjust_conf('postgresql.conf', $parameter, undef);
	$self->append_conf('postgresql.conf', "$parameter = '$value'") if defined $value;
	return;
}

# Changes a parameter of the running server, and waits until new sessions have it.
sub reconfigure
{
	my ($self, $parameter, $value) = @_;
	$self->configure($parameter, $value);
	$self->reload;
	my $expected = defined $value ? "'$value'" : 'boot_val';
	$self->wait_until("SELECT setting = $expected FROM pg_settings WHERE name = '$parameter'", "$parameter has its new value");
	return;
}

# Has the workers wait, fail or crash at a named place ('before_commit:wait'); undef lets them go on.
sub set_point { my ($self, $point) = @_; $self->reconfigure('stride.test_point', $point); return; }

sub log_size { my ($self) = @_; return -s $self->logfile; }

# Asserts that since that size of the log no process crashed and no restart of the cluster followed.
sub no_crash_since
{
	my ($self, $size, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @bad = grep { /crash of another server process|was terminated by signal|PANIC|TRAP:|reinitializing/ }
	  split(/\n/, PostgreSQL::Test::Utils::slurp_file($self->logfile, $size));
	return is(join("\n", @bad), '', $name);
}

# A session of start_sql.
package StrideCluster::Session;

sub is_running { my ($self) = @_; $self->{run}->pump_nb; return $self->{run}->pumpable; }

# Waits for its end, and returns what it printed as results and as errors.
sub finish { my ($self) = @_; $self->{run}->finish; return ($self->{out}, $self->{err}); }

# Ends the client as a lost connection would.
sub stop { my ($self) = @_; $self->{run}->kill_kill; return; }

1;
