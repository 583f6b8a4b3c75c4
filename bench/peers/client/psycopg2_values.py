"""A named cursor, execute_values of 1000 rows, and a commit for each 1000."""
import psycopg2
from psycopg2.extras import Json, execute_values

from lib import client

TITLE = "psycopg2, execute_values of 1000"
MOST_ROWS = 100000


def run(bench, work):
    return client.run(__file__, work)


def program(work, gate):
    reader, writer = psycopg2.connect(client.DSN), psycopg2.connect(client.DSN)
    gate.wait()
    rows = reader.cursor("source")
    rows.execute(client.read(work))
    with writer.cursor() as target:
        while page := rows.fetchmany(client.PAGE):
            execute_values(target, "INSERT INTO target VALUES %s" + work.ending,
                           [client.transform(row, Json) for row in page], page_size=client.PAGE)
            writer.commit()
