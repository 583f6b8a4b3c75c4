"""Two such pipes, each with half of the blocks."""
from lib import halves, pipes

TITLE = "psql COPY piped into psql COPY, binary, 2 pipes"


def run(bench, work):
    pipes.copy(*(work.query(half) for half in halves.of(bench, work)))
