# CSV files: a foreign table of file_fdw as the source of a pipeline, whose rows are saved first.  Its columns are text, the
# transform casts them, and rows that do not cast are kept aside.  The memory of the workers does not grow with the file.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use List::Util qw(max);
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $node = StrideCluster->fresh('main');
my $file = $node->basedir . '/orders.csv';
$node->sql("CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;"
	  . " CREATE FOREIGN TABLE lines (id text, amount text, at text, note text) SERVER files OPTIONS (filename '$file', format 'csv', header 'true');"
	  . ' CREATE TABLE orders (id bigint PRIMARY KEY, amount numeric NOT NULL, at date NOT NULL, note text)');

# Some 150 bytes a line; every 5000th is no order.
sub write_file
{
	my ($rows) = @_;
	open(my $handle, '>', $file) or die "$file: $!";
	print $handle "id,amount,at,note\n";
	printf $handle qq{%d,%s,2026-01-%02d,"note %d, %s"\n}, $_, $_ % 5000 ? $_ / 4 : 'much', 1 + $_ % 28, $_, 'x' x 110 for 1 .. $rows;
	close($handle) or die "$file: $!";
	return;
}

# Private memory of a process, in kB; 0 once it is gone.
sub private_kb
{
	my ($pid) = @_;
	return (eval { slurp_file("/proc/$pid/status") } // '') =~ /^RssAnon:\s+(\d+)/m ? $1 : 0;
}

# The most that a worker of the job has until it has ended, in kB.
sub most_memory
{
	my ($job) = @_;
	my $most = 0;
	while ($node->is_unfinished($job))
	{
		$most = max($most, map { private_kb($_) } $node->pids('worker'));
	}
	return $most;
}

# Loads the file and returns the most that a worker had, in kB.
sub load
{
	my ($rows) = @_;
	write_file($rows);
	$node->sql('TRUNCATE orders');
	my $job = $node->sql(q{SELECT stride.submit_pipeline('orders', source => 'lines', on_error => 'skip', if_exists => 'new',
		transform_query => 'SELECT id::bigint AS id, amount::numeric AS amount, at::date AS at, note FROM chunk')});
	my $most = most_memory($job);
	my $bad = $rows / 5000;
	is($node->sql("SELECT state, walk, rows_read, rows_written, rows_rejected FROM stride.jobs WHERE job_id = $job"),
		"succeeded_with_rejects|spool|$rows|" . ($rows - $bad) . "|$bad", "$rows lines: all but $bad are there");
	is($node->sql("SELECT string_agg(DISTINCT sqlstate, ','), min(row_data->>'id'), string_agg(DISTINCT row_data->>'amount', ',') FROM stride.rejects WHERE job_id = $job"),
		'22P02|10000|much', 'the others are kept aside, as they are in the file');
	$node->sql("SELECT stride.discard_rejects($job)");
	return $most;
}

my $small = load(20000);
my $large = load(200000);
cmp_ok($small, '>', 0, 'memory was looked at');
cmp_ok($large - $small, '<', 6 * 1024, 'a file of 30 MB, ten times as large, takes no more memory');
note("$small kB and $large kB");
is($node->sql("SELECT count(*), sum(id), sum(amount) FROM orders"),
	join('|', 199960, 200000 * 200001 / 2 - 5000 * 40 * 41 / 2, (200000 * 200001 / 2 - 5000 * 40 * 41 / 2) / 4 . '.00'), 'every row is there once');
is($node->sql("SELECT count(*) FROM pg_class WHERE relnamespace = 'stride_work'::regnamespace AND relkind = 'r'"), '0', 'and what was saved is gone');

# Nor do chunks that the planner takes for expensive, as it does where it knows no statistics: they are not compiled.
$node->sql(q{CREATE TABLE same (id bigint);
	CREATE FUNCTION costly(bigint) RETURNS bigint IMMUTABLE STRICT COST 1000000 LANGUAGE internal AS 'int8up';
	ALTER DATABASE postgres SET jit = on});
my $costly = most_memory($node->submit('INSERT INTO same SELECT costly(id) FROM orders', chunk_rows => 500));
is($node->sql('SELECT count(*) FROM same'), '199960', 'a table is copied in many chunks');
cmp_ok($costly, '>', 0, 'memory was looked at');
cmp_ok($costly, '<', $large + 3 * 1024, 'chunks are not compiled');
note("$costly kB");

# A line that is none of the file's is an error of the file.
append_to_file($file, "200001,1\n");
my $job = $node->sql("SELECT stride.submit_pipeline('orders', source => 'lines', on_error => 'skip', if_exists => 'new', on_conflict => 'nothing',
	transform_query => 'SELECT id::bigint AS id, amount::numeric AS amount, at::date AS at, note FROM chunk')");
$node->reaches($job, 'failed', 'a line without all columns fails the job');
is($node->sql("SELECT error_sqlstate, error_message FROM stride.jobs WHERE job_id = $job"), '22P04|missing data for column "at"', 'and it says why');

$node->invariants_hold('all invariants hold');
$node->stop;
done_testing();
