"""DELETE of every other row."""
from lib import statements, work

TITLE = "DELETE of every other row"


def run(bench):
    return statements.compare(bench, work.delete)
