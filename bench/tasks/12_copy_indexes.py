"""The same into a table with two secondary indexes, one of them in random order."""
from lib import works
from report.comparison import Comparison

TITLE = "Copy with a transform into a table with a primary key and two indexes"
MINUTES = "6 at 1M rows, 60 at 10M"
SIZED = True
PEERS = ("plain", "two_sessions", "create_table_as", "procedure", "psql_copy", "psycopg2_values", "psycopg2_values_4",
         "stride_1", "stride_2")


def run(bench, rows):
    return Comparison(bench, works.copy(bench, rows, works.SECONDARY), PEERS).text()
