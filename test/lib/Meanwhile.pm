# What others do while a job runs: many small cases at once, each with tables in a schema of its own.  Of each case the tables are
# made, the job is submitted, and once it has committed its first chunk and stands there, the others do what they do; then it
# goes on, and its end is compared.  A case is a hash of SQL:
#   name       what the others do, in words
#   setup      makes the tables
#   submit     an expression that submits the job and gives its id
#   role       who submits it; without it, who runs the test
#   meanwhile  what is done after the first chunk
#   waiting    what is done once the job, going on, waits for a lock
#   fails      a pattern for 'SQLSTATE message detail'; without it the job must succeed
#   result     a query of one text, and
#   expected   what it gives after the end; compared for jobs that succeed
# Whatever these print would be taken for a result: they are commands.

package Meanwhile;

use strict;
use warnings;

use StrideCluster;
use Test::More;

my $schemas = 0;

# A node on which so many cases can run at once, each by one worker, so that rows are met in the order of their keys.
sub node
{
	my ($cases) = @_;
	return StrideCluster->fresh('main',
		conf => "stride.max_workers = $cases\nstride.max_workers_per_job = 1\nstride.workers = 1\nstride.max_workers_per_role = $cases\n"
		  . 'max_worker_processes = ' . ($cases + 8) . "\nmax_prepared_transactions = $cases\nmax_connections = 40\nfsync = off\n"
		  . "allow_in_place_tablespaces = on\nstride.retry_delay = 1ms\n");
}

# Lets an expression that submits a pipeline register the transform that it names: each case has a function of its own.
sub allow_transforms
{
	my ($node) = @_;
	$node->sql(<<'SQL');
CREATE FUNCTION stride_test_transform(function regprocedure) RETURNS text LANGUAGE sql AS
'SELECT stride.register_transform(function::oid::text, function); SELECT function::oid::text';
SQL
	return;
}

# Runs commands of each case in its schema, all in one session; returns the lines that they print.
sub each_in_its_schema
{
	my ($node, $command, @cases) = @_;
	return split(/\n/, $node->sql(join("\n", map { "SET search_path = $_->{schema}, public; " . $command->($_) . ';' } @cases)));
}

sub jobs_of { return join(', ', map { $_->{job} } @_); }

# Waits until a query, which counts jobs, has found each of the cases'.
sub wait_for_all
{
	my ($node, $query, $what, @cases) = @_;
	$node->wait_until(sprintf('SELECT count(DISTINCT job_id) = %d FROM (%s) AS found WHERE job_id IN (%s)', scalar(@cases), $query, jobs_of(@cases)),
		$what)
	  if @cases;
	return;
}

sub start_all
{
	my ($node, @cases) = @_;
	$_->{schema} = 'case_' . ++$schemas for @cases;
	$node->sql(join('', map { "CREATE SCHEMA $_->{schema}; GRANT ALL ON SCHEMA $_->{schema} TO PUBLIC;" } @cases));
	my @jobs = each_in_its_schema($node,
		sub { my ($case) = @_; return "$case->{setup}; SET ROLE " . ($case->{role} // 'NONE') . "; SELECT $case->{submit}; RESET ROLE"; }, @cases);
	die 'setups print results' if @jobs != @cases;
	$_->{job} = shift @jobs for @cases;
	return;
}

# Runs the cases, with two assertions at most each.
sub run
{
	my ($node, @cases) = @_;
	$node->set_point('after_commit:wait');
	start_all($node, @cases);
	wait_for_all($node, 'SELECT job_id FROM stride.chunks', 'all jobs have committed their first chunk', @cases);
	each_in_its_schema($node, sub { $_[0]->{meanwhile} }, @cases);
	$node->set_point(undef);

	my @waiting = grep { defined $_->{waiting} } @cases;
	wait_for_all($node,
		q{SELECT substring(application_name, '^pg_stride job ([0-9]+)')::bigint AS job_id FROM pg_stat_activity WHERE wait_event_type = 'Lock'},
		'jobs wait for a lock', @waiting);
	each_in_its_schema($node, sub { $_[0]->{waiting} }, @waiting) if @waiting;

	wait_for_all($node, 'SELECT job_id FROM stride.jobs WHERE finished_at IS NOT NULL', 'all jobs have ended', @cases);
	judge($node, @cases);
	return;
}

sub judge
{
	my ($node, @cases) = @_;
	my %ends = map { split(/\|/, $_, 2) } split(/\n/, $node->sql('SELECT job_id, regexp_replace(concat_ws(\' \', state, error_sqlstate,'
			  . " error_message, error_detail), '\\s+', ' ', 'g') FROM stride.jobs WHERE job_id IN (" . jobs_of(@cases) . ')'));
	my @succeeded = grep { $ends{ $_->{job} } eq 'succeeded' } @cases;
	my @results = each_in_its_schema($node, sub { $_[0]->{result} }, @succeeded);
	die 'results are not one line each' if @results != @succeeded;
	my %results = map { $_->{job} => shift @results } @succeeded;
	for my $case (@cases)
	{
		my $end = $ends{ $case->{job} };
		if (defined $case->{fails})
		{
			like($end, qr/^failed .*$case->{fails}/, "$case->{name}: the job fails, and says why");
		}
		else
		{
			is($end eq 'succeeded' ? $results{ $case->{job} } : $end, $case->{expected}, $case->{name});
		}
	}
	return;
}

1;
