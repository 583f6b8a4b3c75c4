"""UPDATE of every row in place."""
from lib import works
from report import goals
from report.comparison import Comparison

TITLE = "UPDATE of every row"
MINUTES = "5 at 1M rows, 50 at 10M"
SIZED = True
PEERS = ("plain", "two_sessions", "procedure", "stride_1_whole", "stride_1", "stride_2")


def run(bench, rows):
    found = Comparison(bench, works.update(bench, rows), PEERS)
    return f"{found.text()}\n\n" + goals.judge({"update": found.faster("stride_2"), "chunks": found.chunk_cost()}, rows)
