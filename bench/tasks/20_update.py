"""UPDATE of every row in place."""
from lib import statements, work

TITLE = "UPDATE of every row"


def run(bench):
    return statements.compare(bench, work.update)
