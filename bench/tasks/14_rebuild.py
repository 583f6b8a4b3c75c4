"""An empty table with two secondary indexes, which a pipeline may drop and build again at its end."""
from lib import works
from report import goals
from report.comparison import Comparison

TITLE = "Load of an empty table with two secondary indexes, kept or rebuilt"
MINUTES = "4 at 1M rows, 40 at 10M"
SIZED = True
PEERS = ("plain", "plain_rebuild", "create_table_as", "pipeline_2", "pipeline_2_rebuild")


def run(bench, rows):
    found = Comparison(bench, works.copy(bench, rows, works.SECONDARY), PEERS)
    return f"{found.text()}\n\n" + goals.judge({"rebuild": found.faster("pipeline_2_rebuild")}, rows)
