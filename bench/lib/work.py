"""The data, and the work that peers are given: one statement over one source table, with what it must leave behind."""
from dataclasses import dataclass

PAYLOAD = ("format('{\"sku\": \"SKU-%s\", \"qty\": %s, \"color\": \"%s\", \"note\": \"%s\"}', lpad((g % 99991)::text, 6, '0'),"
           " g % 17, (ARRAY['red','green','blue','black'])[1 + g % 4], substr(md5(g::text), 1, 25))::jsonb")


def make_source(session, rows):
    """A table of 174 MB a million rows, its bigint key in physical order."""
    name = f"src_{rows}"
    session.rows(f"""
        CREATE TABLE {name} (id bigint NOT NULL, customer text NOT NULL, amount numeric NOT NULL, payload jsonb NOT NULL,
                             created_at timestamptz NOT NULL);
        INSERT INTO {name}
        SELECT g, 'Customer ' || g % 50021, (g * 7919 % 1000000)::numeric / 100, {PAYLOAD},
               timestamptz '2024-01-01 00:00+00' + g * interval '1 second'
        FROM generate_series(1, {rows}::bigint) AS g;
        ALTER TABLE {name} ADD PRIMARY KEY (id)""")
    session.rows(f"VACUUM (FREEZE, ANALYZE) {name}")
    return name


@dataclass
class Work:
    kind: str
    rows: int
    source: str     # the table that is walked
    target: str     # the table that is written
    statement: str
    prepare: list   # puts the target into the state before, one command each
    check: str      # what is left behind, as a query
    expected: list  # its answer


def insert(source, rows, session):
    """INSERT .. SELECT with a transform into an empty table with a primary key."""
    transform = ("id, upper(customer) AS customer, amount * 1.19 + 1 AS amount, payload->>'sku' AS sku,"
                 " md5(customer || id::text) AS hash, payload, created_at")
    return Work(
        "insert", rows, source, "target", f"INSERT INTO target SELECT {transform} FROM {source}",
        ["DROP TABLE IF EXISTS target",
         "CREATE TABLE target (id bigint PRIMARY KEY, customer text, amount numeric, sku text, hash text,"
         " payload jsonb, created_at timestamptz)"],
        "SELECT count(*), sum(id), sum(amount) FROM target",
        session.rows(f"SELECT count(*), sum(id), sum(amount * 1.19 + 1) FROM {source}"))


def copied(source):
    return ["DROP TABLE IF EXISTS target", f"CREATE TABLE target AS TABLE {source}",
            "ALTER TABLE target ADD PRIMARY KEY (id)", "VACUUM (ANALYZE) target"]


def update(source, rows, session):
    """UPDATE of every row in place."""
    return Work(
        "update", rows, "target", "target", "UPDATE target SET customer = upper(customer), amount = amount * 1.19 + 1",
        copied(source), "SELECT count(*), sum(id), sum(amount) FROM target",
        session.rows(f"SELECT count(*), sum(id), sum(amount * 1.19 + 1) FROM {source}"))


def delete(source, rows, session):
    """DELETE of every other row."""
    return Work(
        "delete", rows, "target", "target", "DELETE FROM target WHERE id % 2 = 0",
        copied(source), "SELECT count(*), sum(id), sum(amount) FROM target",
        session.rows(f"SELECT count(*), sum(id), sum(amount) FROM {source} WHERE id % 2 = 1"))
