# Workers run as the job's owner and nobody else; an owner that has gone stops its own job only; what user code tries
# against the job is refused.  Covers B-03, T-05, T-10, T-11, T-13, A11.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $node = StrideCluster->fresh('main', conf => 'stride.max_workers = 8');
$node->sql(<<'SQL');
CREATE ROLE app LOGIN; CREATE ROLE leaving LOGIN; CREATE ROLE locked LOGIN;
GRANT USAGE ON SCHEMA stride TO app, leaving, locked;
GRANT CREATE ON SCHEMA public TO app;
CREATE TABLE t AS SELECT id, 0 AS n, ''::text AS who FROM generate_series(1, 500) AS id;
ALTER TABLE t ADD PRIMARY KEY (id);
GRANT ALL ON t TO app, leaving, locked;
CREATE FUNCTION sign() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN new.who := current_user || '/' || session_user; RETURN new; END$$;
CREATE TRIGGER sign BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION sign();
SQL

my $as = sub { my ($role, $sql) = @_; return $node->sql("SET ROLE $role; SELECT stride.submit(\$job\$$sql\$job\$, chunk_rows => 100, if_exists => 'new')"); };
my $job = $as->('app', 'UPDATE t SET n = n + 1');
$node->reaches($job, 'succeeded', 'a job of an ordinary role ends');
is($node->sql('SELECT DISTINCT who FROM t'), 'app/app', 'its rows were written as that role');

# Owners that may not run any more, of jobs that have not started: theirs are held, the others run.
my $later = q{, start_at => now() + interval '1 hour'};
my %held = map { $_ => $node->sql("SET ROLE $_; SELECT stride.submit('UPDATE t SET n = n + 0', name => 'held'$later)") } qw(leaving locked);
$node->sql('ALTER ROLE locked NOLOGIN; REVOKE ALL ON t FROM leaving; REVOKE ALL ON SCHEMA stride FROM leaving; DROP ROLE leaving');
my @running = map { $as->('app', "UPDATE t SET n = n + 1 WHERE id % $_ = 0") } 1 .. 3;
$node->reaches($_, 'succeeded', 'jobs of other roles run') for @running;
$node->reaches($held{locked}, 'paused', 'the job of a role without LOGIN is held');
$node->reaches($held{leaving}, 'paused', 'the job of a role that was dropped is held');
like($node->sql("SELECT state_reason FROM stride.jobs WHERE job_id = $held{locked}"), qr/not permitted to log in/, 'with the reason');
like($node->sql("SELECT state_reason FROM stride.jobs WHERE job_id = $held{leaving}"), qr/does not exist/, 'with the reason');

# A right that is taken away while the job runs.
$node->set_point('after_commit:wait');
$job = $as->('app', 'UPDATE t SET n = n + 1');
$node->wait_for_chunks($job, 1);
$node->sql('REVOKE UPDATE ON t FROM app');
$node->set_point(undef);
$node->reaches($job, 'failed', 'a job whose owner lost a right fails');
is($node->sql("SELECT error_sqlstate || ' ' || retries FROM stride.jobs WHERE job_id = $job"), '42501 0', 'at once, with 42501');
$node->sql('GRANT UPDATE ON t TO app');

# What a function of the user's may try.
my %attempts = (
	'COMMIT' => qr/^2D000$/,
	'SET LOCAL ROLE pg_read_all_data' => qr/^42501$/,
	q{UPDATE stride_catalog.split SET rows_read = 0} => qr/^42501$/,
	q{LOCK TABLE stride_catalog.split} => qr/^42501$/,
	q{DELETE FROM stride_catalog.job} => qr/^42501$/);
my $n = 0;
for my $attempt (sort keys %attempts)
{
	$n++;
	$node->sql("SET ROLE app; CREATE FUNCTION try_$n(bigint) RETURNS int LANGUAGE plpgsql AS \$f\$BEGIN $attempt; RETURN 1; END\$f\$");
	$job = $as->('app', "UPDATE t SET n = n + try_$n(id)");
	$node->reaches($job, 'failed', "a function that tries $attempt fails the job");
	like($node->sql("SELECT error_sqlstate FROM stride.jobs WHERE job_id = $job"), $attempts{$attempt}, 'with the SQLSTATE of the attempt');
}

# Operators and functions of a hostile role come before ours in its search_path, and are never called by us.
$node->sql(<<'SQL');
SET ROLE app;
CREATE TABLE called (what text);
CREATE FUNCTION hijack(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.called VALUES (current_user); RETURN true; END$$;
CREATE OPERATOR = (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = hijack);
CREATE FUNCTION now() RETURNS timestamptz LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.called VALUES ('now'); RETURN clock_timestamp(); END$$;
SQL
$node->sql('ALTER ROLE app SET search_path = public, pg_catalog');
$job = $as->('app', 'UPDATE t SET n = n + 1 WHERE id > 0');
$node->reaches($job, 'succeeded', 'a job under a hostile search_path ends');
is($node->sql('SELECT count(*) FROM called'), '0', 'none of its operators and functions was called');

# Superusers' jobs can be switched off, at submission and for those that wait.
$node->reconfigure('stride.enable_superuser_jobs', 'off');
like($node->failure_of(q{SELECT stride.submit('UPDATE t SET n = 0')}), qr/42501/, 'stride.enable_superuser_jobs = off refuses a superuser');
$node->stop;
done_testing();
