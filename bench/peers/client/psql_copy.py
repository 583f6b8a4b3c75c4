"""COPY out of one psql into another, in binary; the transform is in the query."""
from lib import pipes

TITLE = "psql COPY piped into psql COPY, binary"


def run(bench, work):
    pipes.copy(work.query())
