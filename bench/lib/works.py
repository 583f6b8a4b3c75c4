"""The tables, and the works over them."""
from .work import Work

PAYLOAD = ("format('{\"sku\": \"SKU-%s\", \"qty\": %s, \"color\": \"%s\", \"note\": \"%s\"}', lpad((g % 99991)::text, 6, '0'),"
           " g % 17, (ARRAY['red','green','blue','black'])[1 + g % 4], substr(md5(g::text), 1, 25))::jsonb")
ROWS = ("SELECT g AS id, 'Customer ' || g % 50021 AS customer, (g * 7919 % 1000000)::numeric / 100 AS amount, "
        + PAYLOAD.replace("{", "{{").replace("}", "}}") +
        " AS payload, timestamptz '2024-01-01 00:00+00' + g * interval '1 second' AS created_at"
        " FROM generate_series(1, {rows}::bigint) AS g")
COLUMNS = "(id bigint NOT NULL, customer text NOT NULL, amount numeric NOT NULL, payload jsonb NOT NULL, created_at timestamptz NOT NULL)"
TARGET = "(id bigint, customer text, amount numeric, sku text, hash text, payload jsonb, created_at timestamptz)"
TRANSFORM = ("id, upper(customer) AS customer, amount * 1.19 + 1 AS amount, payload->>'sku' AS sku,"
             " md5(customer || id::text) AS hash, payload, created_at")
KEY = "ALTER TABLE target ADD PRIMARY KEY (id)"
SECONDARY = ("CREATE INDEX target_created_at ON target (created_at)", "CREATE INDEX target_hash ON target (hash)")
GRADE = """
    DROP FUNCTION IF EXISTS grade CASCADE;
    CREATE FUNCTION grade(customer text, amount numeric) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $function$
    DECLARE
        grade bigint := length(customer) + amount::bigint;
    BEGIN
        FOR step IN 1 .. 200 LOOP
            grade := (grade * 31 + step) % 1000003;
        END LOOP;
        RETURN grade;
    END $function$;
    DROP TYPE IF EXISTS graded CASCADE;
    CREATE TYPE graded AS (id bigint, customer text, grade bigint);
    CREATE FUNCTION graded({source}) RETURNS graded LANGUAGE plpgsql IMMUTABLE AS
    'BEGIN RETURN ($1.id, $1.customer, grade($1.customer, $1.amount))::graded; END'"""
WIDE_SHARE = 50  # a wide row for so many rows
WIDE_PIECES = 250  # of 32 bytes


def make_source(session, rows, name="src", order=""):
    """A table of 174 MB a million rows, its bigint key in physical order."""
    name = f"{name}_{rows}"
    session.rows(f"""
        CREATE TABLE {name} {COLUMNS};
        INSERT INTO {name} {ROWS.format(rows=rows)} {order};
        ALTER TABLE {name} ADD PRIMARY KEY (id)""")
    session.rows(f"VACUUM (FREEZE, ANALYZE) {name}")
    return name


def make_csv(session, rows):
    """A file of 170 MB a million rows, and the foreign table that reads it, all of its columns text."""
    name = f"csv_{rows}"
    file = f"{session.value('SHOW data_directory')}/{name}.csv"
    session.rows(f"COPY ({ROWS.format(rows=rows)}) TO '{file}' (FORMAT csv)")
    session.rows("CREATE EXTENSION IF NOT EXISTS file_fdw;"
                 "CREATE SERVER IF NOT EXISTS files FOREIGN DATA WRAPPER file_fdw;"
                 f"CREATE FOREIGN TABLE {name} (id text, customer text, amount text, payload text, created_at text)"
                 f" SERVER files OPTIONS (filename '{file}', format 'csv')")
    return name


def make_shuffled_source(session, rows):
    """The same table, its rows in no order."""
    return make_source(session, rows, "shuffled", "ORDER BY hashint8(g)")


def make_rates(session, rows):
    """A rate for each customer."""
    name = f"rates_{rows}"
    session.rows(f"""
        CREATE TABLE {name} (customer text PRIMARY KEY, rate numeric NOT NULL);
        INSERT INTO {name} SELECT 'Customer ' || g, 1 + g % 7 / 100.0 FROM generate_series(0, 50020) AS g""")
    session.rows(f"VACUUM (FREEZE, ANALYZE) {name}")
    return name


def make_wide_source(session, rows):
    """Documents of 8 kB that do not compress."""
    name = f"wide_{rows}"
    session.rows(f"""
        CREATE TABLE {name} (id bigint PRIMARY KEY, title text NOT NULL, document text NOT NULL);
        INSERT INTO {name}
        SELECT g, 'Document ' || g, (SELECT string_agg(md5((g * {WIDE_PIECES} + piece)::text), '')
                                     FROM generate_series(1, {WIDE_PIECES}) AS piece)
        FROM generate_series(1, {rows}::bigint) AS g""")
    session.rows(f"VACUUM (FREEZE, ANALYZE) {name}")
    return name


def empty(columns, indexes):
    return ("DROP TABLE IF EXISTS target", f"CREATE TABLE target {columns}", *indexes)


def copied(source):
    return ("DROP TABLE IF EXISTS target", f"CREATE TABLE target AS TABLE {source}", KEY, "VACUUM (ANALYZE) target")


def copy(bench, rows, secondary=(), make=make_source):
    """INSERT .. SELECT with a transform into an empty table with a primary key, and perhaps more indexes."""
    source = bench.table(make, rows)
    indexes = (KEY, *secondary)
    return Work("copy", rows, source, f"SELECT {TRANSFORM} FROM {source}", empty(TARGET, indexes), "INSERT INTO target ",
                indexes=indexes, pipeline=transformed(source))


def copy_of_query(bench, rows, query, kind="query"):
    """The same from the rows of a query over the source and perhaps the rates, which has the source's columns."""
    source, rates = bench.table(make_source, rows), bench.table(make_rates, rows)
    query = query.format(source=source, rates=rates)
    return Work(kind, rows, source, f"SELECT {TRANSFORM} FROM ({query}) AS chunk", empty(TARGET, (KEY,)), "INSERT INTO target ",
                indexes=(KEY,), pipeline=f"source_query => $${query}$$, transform_query => $$SELECT {TRANSFORM} FROM chunk$$")


def plain_rows(bench, rows):
    """All rows as they are."""
    return copy_of_query(bench, rows, "SELECT * FROM {source}", "rows")


def joined_rows(bench, rows):
    """A join with a table of 50,021 rows."""
    return copy_of_query(bench, rows, "SELECT id, customer, amount * rate AS amount, payload, created_at FROM {source} JOIN {rates}"
                         " USING (customer)", "joined")


def running_totals(bench, rows):
    """A sum over a window, for which all rows are sorted."""
    return copy_of_query(bench, rows, "SELECT id, customer, sum(amount) OVER (PARTITION BY customer ORDER BY id) AS amount, payload,"
                         " created_at FROM {source}", "window")


def groups(bench, rows):
    """Sums of groups: the query is all of the work."""
    return copy_of_query(bench, rows, "SELECT min(id) AS id, 'Group ' || id % 1000 AS customer, sum(amount * rate) AS amount,"
                         " jsonb_build_object('sku', max(payload->>'sku')) AS payload, max(created_at) AS created_at"
                         " FROM {source} JOIN {rates} USING (customer) GROUP BY 2", "groups")


def graded_rows(bench, rows):
    """Rows as they are, whose transform is a loop in PL/pgSQL."""
    source = bench.table(make_source, rows)
    bench.session.rows(GRADE.format(source=source))
    return Work("graded", rows, source, f"SELECT id, customer, grade(customer, amount) AS grade FROM {source}",
                empty("(id bigint, customer text, grade bigint)", (KEY,)), "INSERT INTO target ", indexes=(KEY,),
                pipeline=f"source_query => 'SELECT * FROM {source}',"
                " transform_query => 'SELECT id, customer, grade(customer, amount) AS grade FROM chunk'")


def sent_rows(bench, rows):
    """Rows as they are, of which one in a thousand is kept, and only by the transform."""
    source = bench.table(make_source, rows)
    kept = "SELECT id, customer, payload FROM {} WHERE id % 1000 = 0"
    return Work("sent", rows, source, kept.format(source), empty("(id bigint, customer text, payload jsonb)", ()), "INSERT INTO target ",
                pipeline=f"source_query => 'SELECT * FROM {source}', transform_query => '{kept.format('chunk')}'")


def transformed(source):
    """The arguments of a pipeline with the same transform."""
    return f"source => '{source}', transform_query => $$SELECT {TRANSFORM} FROM chunk$$"


def csv(bench, rows):
    """The same from a file, whose columns are cast in the transform."""
    source = bench.table(make_csv, rows)
    transform = ("id::bigint AS id, upper(customer) AS customer, amount::numeric * 1.19 + 1 AS amount, payload::jsonb->>'sku' AS sku,"
                 " md5(customer || id) AS hash, payload::jsonb AS payload, created_at::timestamptz AS created_at")
    return Work("csv", rows, source, f"SELECT {transform} FROM {source}", empty(TARGET, (KEY,)), "INSERT INTO target ",
                indexes=(KEY,), pipeline=f"source => '{source}', transform_query => $$SELECT {transform} FROM chunk$$")


def upsert(bench, rows, conflicts):
    """The same into a table where so many in a hundred rows are already, with other values."""
    source = bench.table(make_source, rows)
    columns = ("customer", "amount", "sku", "hash", "payload", "created_at")
    prepare = (*empty(TARGET, ()),
               f"INSERT INTO target SELECT id, customer, amount, '', '', payload, created_at FROM {source}"
               f" WHERE id % 100 < {conflicts}", KEY, "VACUUM (ANALYZE) target")
    ending = " ON CONFLICT (id) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in columns)
    return Work("upsert", rows, source, f"SELECT {TRANSFORM} FROM {source}", prepare, "INSERT INTO target ", ending=ending,
                pipeline=f"{transformed(source)}, on_conflict => 'update'")


def update(bench, rows):
    """UPDATE of every row in place."""
    return Work("update", rows, "target", "UPDATE target SET customer = upper(customer), amount = amount * 1.19 + 1",
                copied(bench.table(make_source, rows)))


def delete(bench, rows):
    """DELETE of every other row."""
    return Work("delete", rows, "target", "DELETE FROM target", copied(bench.table(make_source, rows)), where=("id % 2 = 0",))


def selective(bench, rows):
    """DELETE of one row in a hundred, which lie everywhere."""
    return Work("selective", rows, "target", "DELETE FROM target", copied(bench.table(make_source, rows)), where=("amount < 100",))


def wide(bench, rows):
    """A copy of documents that are kept out of line."""
    source = bench.table(make_wide_source, max(100, rows // WIDE_SHARE))
    return Work("wide", int(source.rsplit("_", 1)[1]), source, f"SELECT id, upper(title) AS title, document FROM {source}",
                empty("(id bigint, title text, document text)", (KEY,)), "INSERT INTO target ", indexes=(KEY,))


def grade(bench, rows):
    """A copy whose transform is a loop in PL/pgSQL; the pipeline's is a registered function from row to row."""
    source = bench.table(make_source, rows)
    bench.session.rows("SELECT stride.unregister_transform(name) FROM stride.transforms WHERE name = 'grade'")
    bench.session.rows(GRADE.format(source=source))
    bench.session.rows(f"SELECT stride.register_transform('grade', 'graded({source})')")
    return Work("grade", rows, source, f"SELECT id, customer, grade(customer, amount) AS grade FROM {source}",
                empty("(id bigint, customer text, grade bigint)", (KEY,)), "INSERT INTO target ", indexes=(KEY,),
                pipeline=f"source => '{source}', transform => 'grade'")
