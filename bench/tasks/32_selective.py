"""DELETE of one row in a hundred: by the keys that are saved first, which a job chooses by itself, and by the whole key."""
from lib import works
from report.comparison import Comparison

TITLE = "DELETE of one row in a hundred"
MINUTES = "2 at 1M rows, 15 at 10M"
SIZED = True
PEERS = ("plain", "stride_2", "stride_2_key")


def run(bench, rows):
    return Comparison(bench, works.selective(bench, rows), PEERS).text()
