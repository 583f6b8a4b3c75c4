"""INSERT .. SELECT into a table with a primary key, by every peer."""
from lib import works
from report import goals
from report.comparison import Comparison

TITLE = "Copy with a transform into a table with a primary key"
MINUTES = "5 at 1M rows, 35 at 10M"
SIZED = True
PEERS = ("plain", "two_sessions", "dblink", "create_table_as", "procedure", "psql_copy", "psql_copy_2", "psycopg3_copy",
         "psycopg2_rows", "psycopg2_executemany", "psycopg2_values", "psycopg2_values_4", "stride_1_whole", "stride_1", "stride_2")
MILLION = 1000000


def flat(bench, rows, found):
    """The rate at 10M rows against that at 1M, where both are measured in this run."""
    bench.comparisons["copy", rows] = found
    small = bench.comparisons.get(("copy", MILLION))
    if rows != 10 * MILLION or small is None or "stride_2" not in found.results:
        return None
    return 10 * small.seconds("stride_2") / found.seconds("stride_2")


def run(bench, rows):
    found = Comparison(bench, works.copy(bench, rows), PEERS)
    two = "two workers, 10M" if rows == 10 * MILLION else "two workers"
    judged = goals.judge({
        "one worker": found.faster("stride_1"),
        two: found.faster("stride_2"),
        "sessions": found.faster("stride_2", "two_sessions"),
        "pipe": found.faster("stride_2", "psql_copy"),
        "values": found.faster("stride_2", "psycopg2_values"),
        "values x4": found.faster("stride_2", "psycopg2_values_4"),
        "rows": found.faster("stride_2", "psycopg2_rows"),
        "chunks": found.chunk_cost(),
        "floor": found.floor_share(),
        "wal": found.wal("stride_2") if "stride_2" in found.results else None,
        "flat": flat(bench, rows, found)}, rows)
    return f"{found.text()}\n\n{judged}"
