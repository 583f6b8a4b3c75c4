# Rows that others write while a job walks their table: which of them the job meets once, twice or not at all.  That is the table of
# docs/guide.md, "What is promised", row by row, for a job that updates in place and for one that copies, with keys as walked and with
# keys saved at the start; and once more beside a transaction whose snapshot is older than all of the jobs.
# Covers A2, G-10, and 6.1 and 6.4 of reliability.md; what a block walk says to writers is in the tests of that walk.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use Meanwhile;
use StrideCluster;
use Test::More;

# Keys are even, so that there is room between them: 2 .. 200, the first chunk ends at 20.  A row is known by its uid, whatever
# becomes of its key; those up to 100 were there when the job began.
my %tables = (
	plain => <<'SQL',
CREATE TABLE t (id integer PRIMARY KEY, uid integer, part integer DEFAULT 1, n integer DEFAULT 0, note text DEFAULT '', indexed integer DEFAULT 0)
    WITH (fillfactor = 40);
CREATE INDEX ON t (indexed); CREATE INDEX backward ON t (id DESC);
SQL
	parted => <<'SQL');
CREATE TABLE t (id integer, uid integer, part integer, n integer DEFAULT 0, PRIMARY KEY (part, id)) PARTITION BY LIST (part);
CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2);
SQL
my $fill = 'INSERT INTO t (id, uid, part) SELECT 2 * g, g, 1 + (g > 50)::integer FROM generate_series(1, 100) AS g; CREATE TABLE seen (uid integer)';

my $met = <<'SQL';
SELECT format('%s left out, %s twice, %s of %s new', count(*) FILTER (WHERE uid <= 100 AND met = 0), count(*) FILTER (WHERE met > 1),
    count(*) FILTER (WHERE uid > 100 AND met = 1), count(*) FILTER (WHERE uid > 100))
FROM t, LATERAL (SELECT t.n + (SELECT count(*) FROM seen WHERE seen.uid = t.uid) AS met) AS m
SQL
my %kinds = (update => 'UPDATE t SET n = n + 1', copy => 'INSERT INTO seen SELECT uid FROM t');

# New rows with the keys of a series.
sub insert { my ($keys) = @_; return "INSERT INTO t (id, uid, part) SELECT g, 1000 + g, 1 FROM generate_series($keys) AS g"; }

# %T stands for the name of the case's prepared transaction.
sub prepare { my ($sql) = @_; return "BEGIN; $sql; PREPARE TRANSACTION '%T'"; }
my $commit = q{COMMIT PREPARED '%T'};
my $rollback = q{ROLLBACK PREPARED '%T'};

# A row: what others do after the first chunk (and `before` the job is submitted, and while it is `waiting` for them), and what the
# two ways to walk promise.  `only` is the kind of job that it is about.
my %walks = (as_walked => '{}', at_start => '{"source_rows": "at_start"}');
my $all_once = '0 left out, 0 twice, 0 of 0 new';
my @rows = (
	# Rows that come.
	{ name => 'nothing is done', meanwhile => '',
		as_walked => $all_once, at_start => $all_once },
	{ name => 'rows inserted behind', meanwhile => insert('1, 19, 2'),
		as_walked => '0 left out, 0 twice, 0 of 10 new', at_start => '0 left out, 0 twice, 0 of 10 new' },
	{ name => 'rows inserted ahead', meanwhile => insert('101, 199, 2'),
		as_walked => '0 left out, 0 twice, 50 of 50 new', at_start => '0 left out, 0 twice, 0 of 50 new' },
	{ name => 'rows inserted beyond the last key', meanwhile => insert('201, 210'),
		as_walked => '0 left out, 0 twice, 0 of 10 new', at_start => '0 left out, 0 twice, 0 of 10 new' },
	{ name => 'rows inserted before, behind, committed late', before => prepare(insert('1, 5, 2')), meanwhile => $commit,
		as_walked => '0 left out, 0 twice, 0 of 3 new', at_start => '0 left out, 0 twice, 0 of 3 new' },
	{ name => 'rows inserted before, ahead, committed late', before => prepare(insert('101, 105, 2')), meanwhile => $commit,
		as_walked => '0 left out, 0 twice, 3 of 3 new', at_start => '0 left out, 0 twice, 0 of 3 new' },
	{ name => 'rows inserted before, rolled back late', before => prepare(insert('101, 105, 2')), meanwhile => $rollback,
		as_walked => $all_once, at_start => $all_once },
	{ name => 'many rows inserted and rolled back', meanwhile => 'BEGIN; ' . insert('-5000, -1') . '; ' . insert('21, 199, 2') . '; ROLLBACK',
		as_walked => $all_once, at_start => $all_once },
	# Rows that go.
	{ name => 'rows deleted on both sides', meanwhile => 'DELETE FROM t WHERE id % 20 < 6',
		as_walked => $all_once, at_start => $all_once },
	{ name => 'all rows ahead deleted', meanwhile => 'DELETE FROM t WHERE id > 20',
		as_walked => $all_once, at_start => $all_once },
	{ name => 'rows ahead deleted and inserted anew', meanwhile => 'DELETE FROM t WHERE id > 180; ' . insert('182, 200, 2'),
		as_walked => '0 left out, 0 twice, 10 of 10 new', at_start => '0 left out, 0 twice, 10 of 10 new' },
	{ name => 'rows behind deleted and inserted anew', meanwhile => 'DELETE FROM t WHERE id <= 20; ' . insert('2, 20, 2'),
		as_walked => '0 left out, 0 twice, 0 of 10 new', at_start => '0 left out, 0 twice, 0 of 10 new' },
	# Rows whose key stays.
	{ name => 'HOT updates', meanwhile => q{UPDATE t SET note = 'a'; UPDATE t SET note = 'b'},
		as_walked => $all_once, at_start => $all_once },
	{ name => 'updates of an indexed column', meanwhile => 'UPDATE t SET indexed = 1; UPDATE t SET indexed = 2',
		as_walked => $all_once, at_start => $all_once },
	{ name => 'half of the rows updated', meanwhile => 'UPDATE t SET indexed = 1 WHERE id % 4 = 0',
		as_walked => $all_once, at_start => $all_once },
	{ name => 'updates, VACUUM, and rows in the space that it found', meanwhile => 'UPDATE t SET indexed = 1; VACUUM t; ' . insert('101, 199, 2'),
		as_walked => '0 left out, 0 twice, 50 of 50 new', at_start => '0 left out, 0 twice, 0 of 50 new' },
	{ name => 'a third deleted, VACUUM FULL', meanwhile => 'DELETE FROM t WHERE id % 3 = 0; VACUUM FULL t',
		as_walked => $all_once, at_start => $all_once },
	{ name => 'CLUSTER in the opposite order', meanwhile => 'CLUSTER t USING backward',
		as_walked => $all_once, at_start => $all_once },
	# Rows whose key changes.
	{ name => 'keys moved forward over the position', meanwhile => 'UPDATE t SET id = id + 99 WHERE id <= 20',
		as_walked => '0 left out, 10 twice, 0 of 0 new', at_start => $all_once },
	{ name => 'keys moved backward over the position', meanwhile => 'UPDATE t SET id = id - 181 WHERE id > 180',
		as_walked => '10 left out, 0 twice, 0 of 0 new', at_start => '10 left out, 0 twice, 0 of 0 new' },
	{ name => 'keys moved ahead of the position', meanwhile => 'UPDATE t SET id = id + 1 WHERE id BETWEEN 100 AND 118',
		as_walked => $all_once, at_start => '10 left out, 0 twice, 0 of 0 new' },
	{ name => 'keys moved behind the position', meanwhile => 'UPDATE t SET id = id - 1 WHERE id <= 20',
		as_walked => $all_once, at_start => $all_once },
	{ name => 'keys moved beyond the last key', meanwhile => 'UPDATE t SET id = id + 100 WHERE id > 180',
		as_walked => '10 left out, 0 twice, 0 of 0 new', at_start => '10 left out, 0 twice, 0 of 0 new' },
	{ name => 'two keys exchanged over the position',
		meanwhile => 'UPDATE t SET id = -1 WHERE id = 2; UPDATE t SET id = 2 WHERE id = 200; UPDATE t SET id = 200 WHERE id = -1',
		as_walked => '1 left out, 1 twice, 0 of 0 new', at_start => '1 left out, 1 twice, 0 of 0 new' },
	# Rows that move between partitions.
	{ name => 'rows moved to a partition that is to come', tables => 'parted', meanwhile => 'UPDATE t SET part = 2 WHERE id <= 20',
		as_walked => '0 left out, 10 twice, 0 of 0 new', at_start => $all_once },
	{ name => 'rows moved back, behind the position', tables => 'parted', meanwhile => 'UPDATE t SET part = 1, id = id - 181 WHERE id > 180',
		as_walked => '10 left out, 0 twice, 0 of 0 new', at_start => '10 left out, 0 twice, 0 of 0 new' },
	{ name => 'rows moved back, beyond the last key there', tables => 'parted', meanwhile => 'UPDATE t SET part = 1 WHERE id > 180',
		as_walked => '10 left out, 0 twice, 0 of 0 new', at_start => '10 left out, 0 twice, 0 of 0 new' },
	{ name => 'rows ahead moved to a partition that is to come', tables => 'parted', meanwhile => 'UPDATE t SET part = 2 WHERE id BETWEEN 60 AND 78',
		as_walked => $all_once, at_start => '10 left out, 0 twice, 0 of 0 new' },
	# Rows that somebody is at when their chunk comes: one that writes them waits.
	{ name => 'a row being updated', only => 'update', meanwhile => prepare(q{UPDATE t SET note = 'a' WHERE id = 100}), waiting => $commit,
		as_walked => $all_once, at_start => $all_once },
	{ name => 'a row being updated, rolled back', only => 'update', meanwhile => prepare('UPDATE t SET id = 1 WHERE id = 100'), waiting => $rollback,
		as_walked => $all_once, at_start => $all_once },
	{ name => 'a row being deleted', only => 'update', meanwhile => prepare('DELETE FROM t WHERE id = 100'), waiting => $commit,
		as_walked => $all_once, at_start => $all_once },
	{ name => 'a key being moved backward', only => 'update', meanwhile => prepare('UPDATE t SET id = 1 WHERE id = 100'), waiting => $commit,
		as_walked => '1 left out, 0 twice, 0 of 0 new', at_start => '1 left out, 0 twice, 0 of 0 new' },
	{ name => 'a key being moved forward', only => 'update', meanwhile => prepare('UPDATE t SET id = 151 WHERE id = 100'), waiting => $commit,
		as_walked => $all_once, at_start => '1 left out, 0 twice, 0 of 0 new' },
	{ name => 'a row being moved to a partition that is to come', only => 'update', tables => 'parted',
		meanwhile => prepare('UPDATE t SET part = 2 WHERE id = 70'), waiting => $commit,
		as_walked => $all_once, at_start => '1 left out, 0 twice, 0 of 0 new' },
	{ name => 'a key being moved backward, seen where it was', only => 'copy', meanwhile => prepare('UPDATE t SET id = 1 WHERE id = 100'),
		after => $commit,
		as_walked => $all_once, at_start => $all_once },
	{ name => 'a row being deleted, copied all the same', only => 'copy', meanwhile => prepare('DELETE FROM t WHERE id = 100'), after => $commit,
		as_walked => $all_once, at_start => $all_once });

my $transactions = 0;

# The cases of all rows for a walk, one a kind of job.
sub cases
{
	my ($walk) = @_;
	my @cases;
	for my $row (@rows)
	{
		for my $kind (grep { !defined $row->{only} || $row->{only} eq $_ } sort keys %kinds)
		{
			my $name = 'transaction ' . ++$transactions;
			my $case = {
				name => "$walk, $kind: $row->{name}",
				setup => $tables{ $row->{tables} // 'plain' } . $fill . ($row->{before} ? "; $row->{before}" : ''),
				submit => "stride.submit('$kinds{$kind}', chunk_rows => 10, settings => '$walks{$walk}', if_exists => 'new')",
				meanwhile => $row->{meanwhile},
				waiting => $row->{waiting},
				result => ($row->{after} ? "$row->{after}; " : '') . $met,
				expected => $row->{$walk} };
			s/%T/$name/ for grep { defined } values %$case;
			push @cases, $case;
		}
	}
	return @cases;
}

my $node = Meanwhile::node(2 * @rows);
my $log = $node->log_size;
Meanwhile::run($node, cases($_)) for sort keys %walks;
$node->invariants_hold('all invariants hold');

my $reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class');
my @again = cases('as_walked');
$_->{name} = "beside an old snapshot, $_->{name}" for @again;
Meanwhile::run($node, @again);
$reader->quit;

$node->no_crash_since($log, 'nothing crashed');
$node->stop;
done_testing();
