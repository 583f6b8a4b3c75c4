"""A server-side cursor, and a COPY that is fed row by row."""
import psycopg
from psycopg.types.json import Jsonb

from lib import client

TITLE = f"psycopg {psycopg.__version__} ({psycopg.pq.__impl__}), COPY"
MOST_ROWS = 100000


def run(bench, work):
    return client.run(__file__, work)


def program(work, gate):
    with psycopg.connect(client.DSN) as reader, psycopg.connect(client.DSN) as writer:
        gate.wait()
        with reader.cursor("source") as rows, writer.cursor() as target:
            rows.itersize = client.PAGE
            rows.execute(client.read(work))
            with target.copy("COPY target FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(client.transform(row, Jsonb))
