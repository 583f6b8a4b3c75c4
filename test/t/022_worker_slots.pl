# Worker slots that run out leave jobs queued, in order, with the reason shown; the caps hold.  Covers R10, R11, B-16, T-27.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $node = StrideCluster->fresh('main', conf => 'stride.max_workers = 1');
$node->sql('CREATE TABLE t AS SELECT id, 0 AS n FROM generate_series(1, 1000) AS id; ALTER TABLE t ADD PRIMARY KEY (id)');

$node->set_point('after_fence:wait');
my $first = $node->submit('UPDATE t SET n = n + 1', chunk_rows => 500, workers => 2);
$node->wait_for_state($first, 'running');
my @waiting = map { $node->submit("UPDATE t SET n = n + $_ + 0", chunk_rows => 500, priority => $_ == 3 ? 9 : 0) } 1 .. 3;
$node->wait_until("SELECT count(*) = 3 FROM stride.progress WHERE state = 'queued' AND waiting_for LIKE 'no free worker%'");
pass('jobs without a worker are queued and say why');
is(scalar($node->pids('worker')), 1, 'stride.max_workers holds');
$node->set_point(undef);
$node->reaches($_, 'succeeded', 'a queued job gets its turn') for $first, @waiting;
is($node->sql(q{SELECT string_agg(job_id::text, ',' ORDER BY started_at) FROM stride.jobs}),
	join(',', $first, $waiting[2], $waiting[0], $waiting[1]), 'in order of priority, then of submission');
is($node->sql('SELECT DISTINCT n FROM t'), '7', 'each did its work once');

# All slots of the server taken by others.
$node->configure('stride.max_workers', 8);
$node->configure('max_worker_processes', 4);    # the server's replication launcher, our launcher and scheduler, one more
$node->restart;
my @more = map { $node->submit("UPDATE t SET n = n + 1", chunk_rows => 100, workers => 2, if_exists => q{'new'}) } 1 .. 2;
$node->reaches($_, 'succeeded', 'jobs end with a single slot, too') for @more;
is($node->sql('SELECT DISTINCT n FROM t'), '9', 'each did its work once');

# The caps of a job and of a role.
$node->configure('max_worker_processes', 16);
$node->configure('stride.max_workers_per_role', 2);
$node->configure('stride.max_workers_per_job', 1);
$node->restart;
$node->sql('CREATE ROLE other LOGIN; GRANT USAGE ON SCHEMA stride TO other; GRANT ALL ON t TO other');
$node->set_point('after_fence:wait');
$node->submit("UPDATE t SET n = n + $_ - $_", chunk_rows => 100, workers => 4) for 1 .. 3;
$node->wait_until("SELECT count(*) = 1 FROM stride.progress WHERE waiting_for LIKE 'stride.max_workers_per_role%'");
is(scalar($node->pids('worker')), 2, 'a role has no more workers than stride.max_workers_per_role');
$node->sql(q{SET ROLE other; SELECT stride.submit('UPDATE t SET n = n + 0')});
$node->wait_until(q{SELECT count(*) = 1 FROM stride.progress WHERE owner = 'other'::regrole AND state = 'running'});
pass('another role is not held up by it');
$node->set_point(undef);
$node->wait_until(q{SELECT bool_and(state = 'succeeded') FROM stride.jobs});
$node->invariants_hold('the invariants hold');
$node->stop;
done_testing();
