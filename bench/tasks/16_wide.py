"""Rows that are kept out of line (TOAST)."""
from lib import works
from report.comparison import Comparison

TITLE = "Copy of documents of 8 kB, one for 50 rows of the other tables"
MINUTES = "3 at 1M rows, 25 at 10M"
SIZED = True
PEERS = ("plain", "two_sessions", "psql_copy", "procedure", "stride_1", "stride_2")


def run(bench, rows):
    return Comparison(bench, works.wide(bench, rows), PEERS).text()
