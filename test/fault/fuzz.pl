# Fuzz: every SQL-callable function and procedure of the extension, found in the catalog, is called with arguments out of
# {NULL, empty, 0, -1, the largest, 2^62, NaN, infinity, a megabyte of text, arrays of odd shapes, hostile names, tables that
# are dropped, views, other roles' tables and jobs}, as a superuser and as an ordinary role.  Whatever comes back is an error
# with an SQLSTATE that is not XX000, within the time limit; no process crashes, no job is stuck afterwards.
# STRIDE_TEST_SEED replays a run, STRIDE_FUZZ_CALLS sets how many calls it makes.
# Covers G-05, T-14, T-19, T-20, T-31.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use StrideCluster;
use Test::More;

my $calls = $ENV{STRIDE_FUZZ_CALLS} // 4_000;
my $batch = 50;

StrideCluster::seed();
my $node = StrideCluster->fresh('main', conf => "stride.max_workers = 4\nlog_line_prefix = '%e '\nstride.progress_interval = 0");
my $log = $node->log_size;
$node->sql(<<'SQL');
CREATE ROLE app LOGIN;
CREATE ROLE other LOGIN;
GRANT USAGE ON SCHEMA stride TO app, other;
GRANT CREATE ON SCHEMA public TO app, other;
SET ROLE other;
CREATE TABLE theirs (id int PRIMARY KEY, v text);
SET ROLE app;
CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t SELECT g, 'row ' || g FROM generate_series(1, 50) AS g;
CREATE TABLE u (a text, b numeric, c uuid, d int, v text);
INSERT INTO u SELECT 'a' || g, g / 3.0, md5(g::text)::uuid, g, 'row' FROM generate_series(1, 50) AS g;
ALTER TABLE u ALTER a SET NOT NULL, ALTER b SET NOT NULL, ALTER c SET NOT NULL;
CREATE UNIQUE INDEX ON u (b DESC, a, c);
CREATE TABLE "o'dd"".🐘
%I" ("id"";" int PRIMARY KEY, v text);
CREATE TABLE no_key (id int, v text);
CREATE TABLE parts (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (1000);
CREATE VIEW looks AS SELECT * FROM t;
CREATE MATERIALIZED VIEW seen AS SELECT * FROM t;
CREATE SEQUENCE numbers;
CREATE TYPE pair AS (id int, v text);
CREATE FUNCTION fails(int) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION SQLSTATE ''P0042''; END';
CREATE FUNCTION rows_of(t) RETURNS SETOF u LANGUAGE sql AS 'SELECT NULL::text, 1.0, NULL::uuid, 1, $1.v';
CREATE TABLE gone (id int PRIMARY KEY, v text);
SQL
my $gone = $node->sql(q{SELECT 'gone'::regclass::oid});
$node->sql('DROP TABLE gone');
my $mine = $node->sql(q{SET ROLE app; SELECT stride.submit('UPDATE t SET v = v', start_at => 'infinity')});
my $theirs = $node->sql(q{SET ROLE other; SELECT stride.submit('UPDATE theirs SET v = v', start_at => 'infinity')});

# SQL literals by type; the harmless ones are there so that calls get past the first check.
my @tables = ('t', 'u', 't AS x', q{"o'dd"".🐘
%I"}, 'no_key', 'parts', 'part', 'looks', 'seen', 'numbers', 'theirs', 'gone', 'pg_class', 'stride_catalog.job',
	'stride.jobs', 'generate_series(1, 10) AS id', '(VALUES (1, 2)) AS x (id, v)', '(SELECT * FROM t LIMIT 5) AS x', 'only t');
my @statements = (
	'UPDATE %s SET v = v', 'UPDATE %s SET v = fails(id)', 'UPDATE %s SET id = id + 1', 'DELETE FROM %s WHERE id < 0',
	'DELETE FROM %s USING t AS y WHERE y.id = 0', 'INSERT INTO no_key SELECT id, v FROM %s', 'SELECT fails(id) FROM %s',
	'INSERT INTO t SELECT * FROM %s ON CONFLICT DO NOTHING', 'SELECT v FROM %s', 'SELECT abs(1) FROM %s',
	'INSERT INTO no_key SELECT count(*), max(v) FROM %s', 'SELECT id, v FROM %s', 'SELECT * FROM %s',
	'MERGE INTO t USING %s AS m ON t.id = m.id WHEN MATCHED THEN UPDATE SET v = m.v',
	'WITH w AS (DELETE FROM %s RETURNING *) SELECT * FROM w', 'SELECT DISTINCT id FROM %s', 'TABLE %s', 'TRUNCATE %s',
	'UPDATE %s SET v = $1', 'UPDATE %s SET v = NULL RETURNING *', 'DELETE FROM %s; SELECT 1', 'COPY %s TO STDOUT', '%s');

sub pick { return $_[ rand(@_) ]; }
sub text { my ($text) = @_; $text =~ s/'/''/g; $text =~ s/\\/\\\\/g; return "E'$text'"; }

my @texts = ('NULL', q{''}, q{' '}, q{'x'}, q{repeat('x', 1048576)}, q{repeat('(', 20000)}, q{repeat('é', 64)}, q{repeat('🐘', 16)},
	q{E'it''s "odd"\n\t\\\\ 🐘 %s %n %I $1 $$'}, q{E'\u202e'}, q{'t'}, q{'v'}, q{'x'}, q{'id'}, q{'public.t'}, q{'rows_of(t)'}, q{'fails(int)'},
	q{'key'}, q{'block'}, q{'spool'}, q{'stream'}, q{'auto'}, q{'new'}, q{'skip'}, q{'resume'}, q{'error'}, q{'fail'}, q{'update'}, q{'nothing'},
	q{'rebuild'}, q{'keep'}, q{'SELECT * FROM chunk'});
my @numbers = ('NULL', 0, 1, -1, 2, 7, 100, 2147483647, -2147483648);
my @large = (@numbers, '4611686018427387904', '9223372036854775807', '(-9223372036854775808)', $mine, $theirs);
my %literals = (
	text => sub { return rand() < 0.6 ? text(sprintf(pick(@statements), pick(@tables))) : pick(@texts); },
	name => sub { return pick(@texts) . '::name'; },
	int4 => sub { return pick(@numbers); },
	int8 => sub { return pick(@large); },
	numeric => sub { return pick(@large, q{'NaN'}, q{'Infinity'}, q{'-Infinity'}, '0.5', '1e100', '50', q{repeat('9', 50000)::numeric}); },
	float8 => sub { return pick(@large, q{'NaN'}, q{'Infinity'}, q{'-Infinity'}, '0.5', '1e300'); },
	bool => sub { return pick(qw(NULL true false)); },
	timestamptz => sub { return pick('NULL', 'now()', q{'infinity'}, q{'-infinity'}, q{'epoch'}, q{'294276-12-31'}, q{'4713-01-01 BC'}); },
	interval => sub { return pick('NULL', q{'0'}, q{'-1 s'}, q{'1 ms'}, q{'-178000000 years'}, q{'178000000 years'}, q{'1 ms -1 mon'}); },
	_name => sub { return pick('NULL', q{'{}'}, q{'{id}'}, q{'{NULL}'}, q{'{id,id}'}, q{'{{id,v},{v,id}}'}, q{'[0:0]={id}'}, q{'{b,a,c}'},
			q{'{"o''dd\""}'}, q{array_fill('id'::name, ARRAY[2000])}); },
	_int8 => sub { return pick('NULL', q{'{}'}, q{'{NULL}'}, q{'{0}'}, q{'{-1,4611686018427387904}'}, "'{$mine}'", "'{$theirs}'",
			"'{{$mine},{$mine}}'", "'[0:0]={$mine}'", "array_fill(${mine}::int8, ARRAY[2000])"); },
	_text => sub { return pick('NULL', q{'{}'}, q{'{NULL}'}, q{'{id}'}, q{'{{a},{b}}'}, q{array_fill('x'::text, ARRAY[2000])}); },
	regclass => sub { return rand() < 0.7 ? pick(q{'t'}, q{'u'}, q{'no_key'}, q{'parts'}, q{'looks'}, q{'seen'}, q{'numbers'}, q{'theirs'}, q{'u_pkey'},
			q{'pair'}, q{'stride_catalog.job'}) . '::regclass' : pick('NULL', "${gone}::regclass", '0::regclass', '4294967295::regclass'); },
	regprocedure => sub { return pick('NULL', q{'rows_of(t)'::regprocedure}, q{'fails(int)'::regprocedure}, '0::regprocedure', '4294967295::regprocedure',
			q{'count(*)'::regprocedure}, q{'generate_series(int, int)'::regprocedure}); },
	jsonb => \&settings);

# Settings: a known key with a value that fits or not, or something that is no object of settings at all.
my @keys = split(/\n/, $node->sql('SELECT name FROM stride.settings'));
sub settings
{
	return pick('NULL', q{'{}'}, q{'[]'}, q{'null'}, q{'1'}, q{'"x"'}, q{'{"": {}}'}, q{'{"a": {"b": [null, {"c": 1}]}}'},
		q{jsonb_build_object(repeat('k', 1048576), 1)}, q{jsonb_build_object('chunk_time', repeat('9', 100000))}) if rand() < 0.3;
	my $value = pick('null', 0, -1, 1, '0.5', '1e300', '-1e300', '4611686018427387904', 'true', '[]', '{}', '""', '"x"', '"1s"', '"64MB"',
		'"-1s"', '"99999999999999d"', '"on"', '"off"', '"NaN"', '"\\u0001"', '"22:00-06:00"', '"SELECT 1"', '"statement"', '"at_least_once"');
	return sprintf(q('{"%s": %s}'), pick(@keys), $value);
}

# What can be called: name, kind, and for each argument its name, its type and whether it must be given.
my @routines;
for my $line (split(/\n/, $node->sql(<<'SQL')))
SELECT format('%s|%s|%s|%s', p.oid::regproc, p.prokind, p.pronargs - p.pronargdefaults,
              (SELECT string_agg(coalesce(p.proargnames[a.n], '') || ' ' || t.typname, ',' ORDER BY a.n)
               FROM unnest(p.proargtypes) WITH ORDINALITY AS a (type, n) JOIN pg_type AS t ON t.oid = a.type))
FROM pg_proc AS p
WHERE p.pronamespace IN ('stride'::regnamespace, 'stride_catalog'::regnamespace) AND p.prorettype <> 'trigger'::regtype
ORDER BY 1
SQL
{
	my ($name, $kind, $required, $arguments) = split(/\|/, $line, -1);
	my @arguments = map { [ split(/ /) ] } split(/,/, $arguments);
	push @routines, { name => $name, kind => $kind, required => $required, arguments => \@arguments };
}
my %unknown = map { $_->[1] => 1 } grep { !$literals{ $_->[1] } } map { @{ $_->{arguments} } } @routines;
is(join(' ', sort keys %unknown), '', scalar(@routines) . ' routines, and the fuzz knows each argument type');

# Few optional arguments at once, so that most calls get past the first bad one; more calls of those with many.
my @weighted = map { my $routine = $_; ($routine) x (1 + @{ $routine->{arguments} }) } @routines;

sub random_call
{
	my $routine = pick(@weighted);
	my $position = 0;
	my @given;
	my $share = 2 / (1 + @{ $routine->{arguments} });
	for my $argument (@{ $routine->{arguments} })
	{
		my ($name, $type) = @$argument;
		next if $position++ >= $routine->{required} && rand() >= $share;
		push @given, "$name => " . $literals{$type}->();
	}
	my $call = "$routine->{name}(" . join(', ', @given) . ')';
	return $routine->{kind} eq 'p' ? "CALL $call" : "SELECT * FROM $call";
}

# Runs a batch in one session; what is no error as it should be is kept, with the call.  Procedures that wait are cut short.
my (@bad, %seen);
sub run_batch
{
	my ($role, @batch) = @_;
	my $script = "\\set VERBOSITY verbose\nSET SESSION AUTHORIZATION $role;\n";
	for my $i (0 .. $#batch)
	{
		my $limit = $batch[$i] =~ /^CALL/ ? '300ms' : '60s';
		$script .= "SET statement_timeout = '$limit';\n\\warn call $i\n$batch[$i];\n";
	}
	my ($out, $err) = ('', '');
	my $status = $node->psql('postgres', $script, stdout => \$out, stderr => \$err, on_error_stop => 0);
	my $call = '';
	for my $line (split(/\n/, $err))
	{
		if ($line =~ /^call (\d+)$/) { $call = $batch[$1]; }
		elsif ($line =~ /^psql:.*(?:ERROR|FATAL|PANIC):  (\w{5}):/)
		{
			$seen{$1}++;
			push @bad, "$line\n    $call" if $1 =~ /^XX/ || ($1 eq '57014' && $call !~ /^CALL/);
		}
		elsif ($line =~ /connection|terminated/) { push @bad, "$line\n    $call"; }
	}
	push @bad, "psql ended with $status\n    $call" if $status != 0 && $status != 3;
	return;
}

for (my $made = 0; $made < $calls; $made += $batch)
{
	run_batch(pick(qw(app postgres)), map { random_call() } 1 .. $batch);
}
note(join(', ', map { "$_: $seen{$_}" } sort keys %seen));
diag(join("\n", map { substr($_, 0, 1000) } @bad[ 0 .. ($#bad > 19 ? 19 : $#bad) ])) if @bad;
is(scalar(@bad), 0, "$calls calls: no internal error, no hang, no lost connection");
cmp_ok(scalar(keys %seen), '>', 8, 'the calls got to errors of many kinds');

# The jobs that came of it: none of them is stuck, none has failed by an error of ours.
$node->sql(<<'SQL');
DO $$
DECLARE
  job bigint;
BEGIN
  FOR job IN SELECT job_id FROM stride.jobs WHERE state IN ('queued', 'running', 'pausing', 'paused') LOOP
    BEGIN
      PERFORM stride.cancel(job);
    EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; -- it has ended meanwhile
    END;
  END LOOP;
END $$;
SQL
$node->wait_until(q{SELECT bool_and(state IN ('succeeded', 'succeeded_with_rejects', 'failed', 'cancelled')) FROM stride.jobs},
	'every job has ended');
is($node->sql(q{SELECT string_agg(DISTINCT error_sqlstate || ' ' || error_message || ' ' || statement, E'\n') FROM stride.jobs WHERE error_sqlstate LIKE 'XX%'}),
	'', 'no job failed by an internal error');
$node->invariants_hold('the invariants hold');
$node->no_crash_since($log, 'no process crashed');
my @internal = grep { /^XX|leaked|still referenced/ } split(/\n/, slurp_file($node->logfile, $log));
is(join("\n", @internal), '', 'the log knows of no internal error');

$node->stop;
done_testing();
