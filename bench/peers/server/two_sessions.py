"""The statement in two sessions, each with half of the blocks."""
from lib import halves

TITLE = "plain statement, 2 sessions by ctid"


def run(bench, work):
    first, second = halves.of(bench, work)
    with bench.connect() as other:
        other.send(work.over(second))
        bench.session.rows(work.over(first))
        other.answer()
