"""DELETE of every other row."""
from lib import works
from report.comparison import Comparison

TITLE = "DELETE of every other row"
MINUTES = "3 at 1M rows, 25 at 10M"
SIZED = True
PEERS = ("plain", "two_sessions", "procedure", "stride_1_whole", "stride_1", "stride_2")


def run(bench, rows):
    return Comparison(bench, works.delete(bench, rows), PEERS).text()
