# Foreign tables over two servers: what others do to the source between two chunks, a server that goes away, and what
# at_least_once means when this server goes down after the other one has committed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $node = StrideCluster->fresh('main', conf => "stride.retry_delay = '100ms'\n");
my $there = PostgreSQL::Test::Cluster->new('there');
$there->init;
$there->append_conf('postgresql.conf', "log_statement = all\n");
$there->start;
sub there { my ($sql) = @_; return $there->safe_psql('postgres', $sql); }

my $log = $node->log_size;
$node->sql('CREATE EXTENSION postgres_fdw');
$node->sql(sprintf("CREATE SERVER there FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '%s', port '%s', dbname 'postgres')",
		$there->host, $there->port));
$node->sql('CREATE USER MAPPING FOR CURRENT_USER SERVER there');
there('CREATE TABLE source (id bigint PRIMARY KEY, n int NOT NULL DEFAULT 0)');
there('CREATE TABLE target (id bigint, n int)');
$node->sql('CREATE FOREIGN TABLE source (id bigint, n int) SERVER there; CREATE FOREIGN TABLE target (id bigint, n int) SERVER there OPTIONS (batch_size \'5\')');
$node->sql('CREATE TABLE copy (id bigint, n int); CREATE TABLE near (id bigint PRIMARY KEY, n int)');
$node->sql('INSERT INTO near SELECT id, 0 FROM generate_series(1, 300) AS id');

my $copies = 'INSERT INTO copy SELECT * FROM source';
my $at_least_once = '\'{"delivery": "at_least_once"}\'';

sub refill
{
	there('TRUNCATE source, target; INSERT INTO source SELECT id * 10, 0 FROM generate_series(1, 300) AS id; ANALYZE source');
	$node->sql('TRUNCATE copy');
	return;
}

# Submits, and returns when the one worker, which takes chunks of 10 rows, stands at the point; other waits of its are for
# the other server.
my %reached = (
	after_commit => 'SELECT chunks = 1 FROM stride.jobs WHERE job_id = ',
	after_write => "SELECT phase = 'writing' FROM stride.workers WHERE job_id = ",
	before_commit => "SELECT phase = 'checkpointing' FROM stride.workers WHERE job_id = ");
sub stand_at
{
	my ($point, $statement, %arguments) = @_;
	$node->set_point("$point:wait");
	my $job = $node->submit($statement, chunk_rows => 10, workers => 1, if_exists => "'new'", %arguments);
	$node->wait_until($reached{$point} . $job, "the worker of job $job is at $point");
	return ($job, $node->wait_at_point($job));
}

# What others do after the first chunk, rows 10 to 100, and what it comes to: rows that the copy has too many and too few of
# when it is held against the table as it was at first.  This is source_rows => as_walked.
for my $case (
	[ 'rows inserted ahead are met', 'INSERT INTO source VALUES (155, 0)', '1 too many, 0 missing' ],
	[ 'rows inserted behind are not', 'INSERT INTO source VALUES (55, 0)', '0 too many, 0 missing' ],
	[ 'rows inserted beyond the end are not', 'INSERT INTO source VALUES (3005, 0)', '0 too many, 0 missing' ],
	[ 'rows deleted ahead are missing', 'DELETE FROM source WHERE id = 150', '0 too many, 1 missing' ],
	[ 'rows deleted behind are not', 'DELETE FROM source WHERE id = 50', '0 too many, 0 missing' ],
	[ 'rows updated ahead are met as they are then', 'UPDATE source SET n = 1 WHERE id = 150', '1 too many, 1 missing' ],
	[ 'a key moved ahead is met twice', 'UPDATE source SET id = 155 WHERE id = 50', '1 too many, 0 missing' ],
	[ 'a key moved behind is missing', 'UPDATE source SET id = 55 WHERE id = 150', '0 too many, 1 missing' ])
{
	my ($name, $change, $outcome) = @$case;
	refill();
	my ($job) = stand_at('after_commit', $copies, key => "'{id}'");
	there($change);
	$node->set_point(undef);
	$node->wait_for_state($job, 'succeeded');
	my $expected = 'SELECT id * 10, 0 FROM generate_series(1, 300) AS id';
	is($node->sql("SELECT (SELECT count(*) FROM (TABLE copy EXCEPT ALL $expected) AS a) || ' too many, ' || (SELECT count(*) FROM ($expected EXCEPT ALL TABLE copy) AS a) || ' missing'"),
		$outcome, $name);
}

# A key that stops being one while the job runs: within a chunk, and at the end of one.
for my $twice (170, 200)
{
	there('ALTER TABLE source DROP CONSTRAINT source_pkey');
	refill();
	my ($job) = stand_at('after_commit', $copies, key => "'{id}'");
	there("INSERT INTO source VALUES ($twice, 1)");
	$node->set_point(undef);
	$node->reaches($job, 'failed', "the key $twice comes twice: the job fails");
	is($node->sql("SELECT error_sqlstate, error_detail FROM stride.jobs WHERE job_id = $job"), "55000|Two rows have the key {$twice}.", 'and says so');
	is($node->sql('SELECT max(id) FROM copy'), '100', 'no row of that chunk is there');
	there("DELETE FROM source WHERE n = 1; ALTER TABLE source ADD PRIMARY KEY (id)");
	$node->sql("SELECT stride.resume($job)");
	$node->wait_until("SELECT state = 'succeeded' FROM stride.jobs WHERE job_id = $job", 'the job has gone on');
	$node->same_rows('TABLE copy', 'SELECT id * 10, 0 FROM generate_series(1, 300) AS id', 'mended, it goes on to its end');
}

# The other server does the work of the walk.
my $queries = slurp_file($there->logfile);
like($queries, qr/FROM public\.source WHERE \(\(id > \d+::bigint\)\) AND \(\(id <= \d+::bigint\)\) ORDER BY id ASC NULLS LAST LIMIT/, 'the look ahead is done there');

# The other server restarts while a chunk runs, and is away for a while.
for my $mode ('immediate', 'fast')
{
	refill();
	my ($job) = stand_at('after_write', $copies, key => "'{id}'");
	$there->stop($mode);
	$node->set_point(undef);
	$node->wait_until("SELECT retries > 0 OR EXISTS (SELECT FROM stride.splits WHERE job_id = j.job_id AND attempts > 0) FROM stride.jobs AS j WHERE job_id = $job",
		"job $job is tried again");
	$there->start;
	$node->reaches($job, 'succeeded', "the other server stopped ($mode) and came back: the job goes on");
	$node->same_rows('TABLE copy', 'SELECT id * 10, 0 FROM generate_series(1, 300) AS id', 'every row is there once');
}

# It is away already when the job is planned.
refill();
$there->stop;
my $early = $node->submit($copies, chunk_rows => 10, key => "'{id}'", if_exists => "'new'");
$node->wait_until("SELECT waiting_for ~ 'could not connect to server' FROM stride.progress WHERE job_id = $early", 'the job waits for the other server');
$there->start;
$node->reaches($early, 'succeeded', 'the other server was away and came: the job begins');
$node->same_rows('TABLE copy', 'SELECT id * 10, 0 FROM generate_series(1, 300) AS id', 'every row is there once');

# This server's processes die; rows that are written here are there once.
refill();
my ($job, $pid) = stand_at('after_write', $copies, key => "'{id}'");
kill 'KILL', $pid;
$node->set_point(undef);
$node->reaches($job, 'succeeded', 'a worker was killed: the job goes on');
$node->same_rows('TABLE copy', 'SELECT id * 10, 0 FROM generate_series(1, 300) AS id', 'every row is there once');

# In a copy of the database the key, which has no index, is found by its columns.
refill();
($job) = stand_at('after_commit', $copies, key => "'{id}'");
$node->sql("SELECT stride.pause($job)");
$node->set_point(undef);
$node->wait_for_state($job, 'paused');
$node->wait_until("SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'postgres' AND pid <> pg_backend_pid()", 'nobody uses the database');
$node->safe_psql('template1', 'CREATE DATABASE other TEMPLATE postgres');
{
	local $node->{database} = 'other';
	$node->sql("SELECT stride.resume($job)");
	$node->wait_until("SELECT state = 'succeeded' FROM stride.jobs WHERE job_id = $job", 'the copy of the job has gone on');
	$node->same_rows('TABLE copy', 'SELECT id * 10, 0 FROM generate_series(1, 300) AS id', 'in a copy of the database the job goes on');
}

# Rows that are written there: not at all before the other server commits, again where this one goes down between both commits.
for my $case (
	[ 'INSERT INTO target SELECT * FROM near', 'SELECT count(*) FROM target', 'SELECT count(*), count(DISTINCT id) FROM target', 300 ],
	[ 'UPDATE source SET n = n + 1', 'SELECT sum(n) FROM source', 'SELECT sum(n), sum(n) FILTER (WHERE n > 0) - sum(n - 1) FROM source', 300, key => "'{id}'" ])
{
	my ($statement, $done, $result, $rows, %arguments) = @$case;
	for my $more (0, 10)
	{
		refill();
		($job, $pid) = stand_at('before_commit', $statement, settings => $at_least_once, %arguments);
		if ($more)
		{
			$node->set_point('after_foreign_commit:wait');
			$there->poll_query_until('postgres', "SELECT ($done) = $more") or die 'the other server has not committed';
		}
		$node->configure('stride.test_point', undef);
		kill 'KILL', $pid;
		$node->reaches($job, 'succeeded', $more ? "$statement: killed between both commits" : "$statement: killed before them");
		is(there($result), ($rows + $more) . "|$rows", $more ? 'one chunk is done twice' : 'every row is done once');
	}
}

like(slurp_file($there->logfile), qr/INSERT INTO public\.target\(id, n\) VALUES \(\$1, \$2\), \(\$3, \$4\), .*\(\$9, \$10\)$/m, 'rows are sent in batches');

$node->invariants_hold('all invariants hold');
$node->stop;
$there->stop;
done_testing();
