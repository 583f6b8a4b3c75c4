"""A key walk over a composite key with most rows under one leading value: does a chunk's time stay flat?"""
from lib.figures import digits, percentile, table

TITLE = "Key walk over (tenant, id), 90 % of the rows in one tenant"
MINUTES = "1 at 1M rows, 3 at 10M"
SIZED = True
MOST_CHUNK_ROWS = 10000
LEAST_CHUNKS = 200


def make(session, rows):
    """Tenants 1 to 49 have a twentieth of the rows, 50 has nine tenths, 51 to 99 have the rest."""
    small = rows // 20
    session.rows(f"""
        DROP TABLE IF EXISTS tenants, tenants_copy;
        CREATE TABLE tenants (tenant int NOT NULL, id bigint NOT NULL, customer text NOT NULL, amount numeric NOT NULL);
        INSERT INTO tenants
        SELECT CASE WHEN g <= {small} THEN 1 + (g - 1) * 49 / {small} WHEN g <= {rows - small} THEN 50
                    ELSE 51 + (g - 1 - {rows - small}) * 49 / {small} END,
               g, 'Customer ' || g % 50021, (g * 7919 % 1000000)::numeric / 100
        FROM generate_series(1, {rows}::bigint) AS g;
        ALTER TABLE tenants ADD PRIMARY KEY (tenant, id);
        CREATE TABLE tenants_copy (LIKE tenants INCLUDING INDEXES)""")
    session.rows("VACUUM (FREEZE, ANALYZE) tenants")
    session.rows("CHECKPOINT")


def run(bench, rows):
    session = bench.session
    bench.tell(f"composite key: loading {rows} rows")
    make(session, rows)
    size = max(1, min(MOST_CHUNK_ROWS, rows // LEAST_CHUNKS))
    session.rows("CALL stride.run('INSERT INTO tenants_copy SELECT tenant, id, upper(customer), amount * 1.19 + 1"
                 f" FROM tenants', workers => 1, chunk_rows => {size}, name => 'composite', if_exists => 'new')")
    if session.value("SELECT (SELECT count(*) FROM tenants_copy) = (SELECT count(*) FROM tenants)") != "t":
        raise RuntimeError("the copy is not complete")
    # Whole chunks only: the last one of a split is as long as what was left.
    chunks = [[float(text) for text in row] for row in session.rows(f"""
        SELECT extract(epoch FROM finished_at - started_at) * 1000, read_ms, write_ms FROM stride.chunks
        WHERE job_id = stride.job_id('composite') AND rows_read = {size} ORDER BY started_at""")]
    tenth = len(chunks) // 10
    parts = {"first tenth": chunks[:tenth], "middle": chunks[tenth:-tenth], "last tenth": chunks[-tenth:]}
    lines = []
    for name, part in parts.items():
        cells = [f"{digits(percentile([c[i] for c in part], 0.5))} / {digits(percentile([c[i] for c in part], 0.95))}"
                 for i in range(3)]
        lines.append([name, len(part), *cells])
    first, last = (percentile([c[0] for c in parts[name]], 0.95) for name in ("first tenth", "last tenth"))
    worst = max(c[0] for c in chunks) / percentile([c[0] for c in chunks], 0.5)
    return (table(["chunks in order of time", "number", "chunk ms, p50 / p95", "of it reading", "of it writing"], lines)
            + f"\n\nChunks of {size}: the 95th percentile of the last tenth is {last / first:.2f} times that of the first; the"
            f" slowest chunk took {worst:.1f} times the median.")
