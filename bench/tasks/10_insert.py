"""INSERT .. SELECT into a table with a primary key."""
from lib import statements, work

TITLE = "INSERT .. SELECT into a table with a primary key"


def run(bench):
    return statements.compare(bench, work.insert)
