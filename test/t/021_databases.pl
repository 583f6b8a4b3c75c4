# Jobs of several databases at once; an idle installation has one process, which holds nothing.  Covers B-18.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $node = StrideCluster->fresh('main', conf => "stride.max_workers = 8\nmax_worker_processes = 24");
my $table = 'CREATE TABLE t AS SELECT id, 0 AS n FROM generate_series(1, 5000) AS id; ALTER TABLE t ADD PRIMARY KEY (id)';
my @others = qw(one two three);
$node->sql("CREATE DATABASE $_") for @others;
for my $database ('postgres', @others)
{
	$node->safe_psql($database, 'CREATE EXTENSION IF NOT EXISTS pg_stride');
	$node->safe_psql($database, $table);
}

# All at once.
my %jobs;
for my $database ('postgres', @others)
{
	local $node->{database} = $database;
	$jobs{$database} = $node->submit('UPDATE t SET n = n + 1', chunk_rows => 100, workers => 2);
}
for my $database ('postgres', @others)
{
	local $node->{database} = $database;
	$node->reaches($jobs{$database}, 'succeeded', "the job of database $database ends");
	is($node->sql('SELECT DISTINCT n FROM t'), '1', "each row of database $database once");
}

# Idle: the launcher alone, with no snapshot.
$node->wait_until(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type LIKE 'pg_stride%'});
is($node->sql(q{SELECT string_agg(backend_type || coalesce(datname, '') || coalesce(backend_xmin::text, ''), ',') FROM pg_stat_activity WHERE backend_type LIKE 'pg_stride%'}),
	'pg_stride launcher', 'an idle installation has the launcher only, in no database, with no snapshot');
$node->stop;
done_testing();
