"""A transform that costs much processor time."""
from lib import works
from report.comparison import Comparison

TITLE = "Copy with a transform in PL/pgSQL, a loop of 200 steps a row"
MINUTES = "6 at 1M rows, 60 at 10M"
SIZED = True
PEERS = ("plain", "two_sessions", "create_table_as", "procedure", "psql_copy", "stride_1", "stride_2", "pipeline_2")


def run(bench, rows):
    return Comparison(bench, works.grade(bench, rows), PEERS).text()
