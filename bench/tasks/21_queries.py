"""The rows of a query, saved first or streamed to the workers, against the plain INSERT .. SELECT of the same query."""
from lib import works
from lib.figures import count
from report.comparison import Comparison

TITLE = "Rows of a query: saved, or streamed"
MINUTES = "9 at 1M rows, 90 at 10M"
SIZED = True
PEERS = ("plain", "create_table_as", "one_writer", "spool_1", "spool_2", "stream_1", "stream_2", "stream_2_update")
QUERIES = (
    (works.plain_rows, "The rows of a table as they are: the transform and the target are all of the work."),
    (works.joined_rows, "A join."),
    (works.running_totals, "A sum over a window: one process sorts all rows before the first comes out."),
    (works.groups, "Sums of a thousand groups over a join: the query is all of the work."),
)
GRADED_SHARE = 10


def run(bench, rows):
    parts = []
    for make, about in QUERIES:
        parts += [about, Comparison(bench, make(bench, rows), PEERS).text()]
    graded = max(1, rows // GRADED_SHARE)
    parts += [f"A transform in PL/pgSQL, a loop of 200 steps a row, over {count(graded)} rows.",
              Comparison(bench, works.graded_rows(bench, graded), PEERS).text()]
    return "\n\n".join(parts)
