"""Four processes, each with a quarter of the ids."""
from pathlib import Path

from lib import client

TITLE = "psycopg2, execute_values of 1000, 4 processes"
MOST_ROWS = 200000


def run(bench, work):
    return client.run(Path(__file__).with_name("psycopg2_values.py"), work, processes=4)
