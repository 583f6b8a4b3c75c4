"""A named cursor, and an INSERT and a commit for each row."""
import psycopg2
from psycopg2.extras import Json

from lib import client

TITLE = "psycopg2, row by row, a commit each"
MOST_ROWS = 5000


def run(bench, work):
    return client.run(__file__, work)


def program(work, gate):
    reader, writer = psycopg2.connect(client.DSN), psycopg2.connect(client.DSN)
    gate.wait()
    rows = reader.cursor("source")
    rows.itersize = client.PAGE
    rows.execute(client.read(work))
    with writer.cursor() as target:
        for row in rows:
            target.execute("INSERT INTO target VALUES (%s, %s, %s, %s, %s, %s, %s)" + work.ending,
                           client.transform(row, Json))
            writer.commit()
