"""The walk by key against the walk by blocks of the same table, whose rows lie in the order of the key or in any."""
from lib import works
from report import goals
from report.comparison import Comparison

TITLE = "Copy by a walk of the key and by a walk of the blocks"
MINUTES = "4 at 1M rows, 40 at 10M"
SIZED = True
PEERS = ("plain", "stride_2", "block_2")


def run(bench, rows):
    correlated = Comparison(bench, works.copy(bench, rows), PEERS)
    shuffled = Comparison(bench, works.copy(bench, rows, make=works.make_shuffled_source), PEERS)
    return "\n\n".join([
        "Rows in the order of the key:", correlated.text(),
        "Rows in no order:", shuffled.text(),
        goals.judge({"walk": correlated.faster("stride_2", "block_2")}, rows)])
