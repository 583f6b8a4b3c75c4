"""What bad rows cost a job that skips them."""
from lib.figures import count, digits, spread, table

TITLE = "INSERT .. SELECT with bad rows, skipped"
MINUTES = "8"
# The share of bad rows, the condition that makes a row one, and how many rows there are: dense ones take longer.
SHARES = [("none", "false", 100000), ("0.001 %", "id = 77777", 100000), ("0.1 %", "id % 1000 = 777", 100000),
          ("1 %", "id % 100 = 77", 100000), ("10 %", "id % 10 = 7", 10000), ("50 %", "id % 2 = 0", 10000),
          ("all", "true", 10000), ("all, with the breaker", "true", 10000)]
CHUNK_ROWS = 10000
FIGURES = "extract(epoch FROM finished_at - started_at), rows_rejected, chunks - rows_rejected + retries"


def attempt(bench, bad, rows, limits):
    """The state it ends in, seconds, rejects, chunks tried (committed or not), and transaction ids taken."""
    session = bench.session
    session.rows("DROP TABLE IF EXISTS bad_rows, good_rows; CREATE TABLE good_rows (id bigint PRIMARY KEY, digits bigint);"
                 "CREATE TABLE bad_rows (id bigint PRIMARY KEY, digits text NOT NULL)")
    session.rows(f"INSERT INTO bad_rows SELECT id, CASE WHEN {bad} THEN 'x' ELSE id::text END"
                 f" FROM generate_series(1, {rows}) AS id")
    session.rows("VACUUM ANALYZE bad_rows")
    before = int(session.rows("SELECT pg_current_xact_id()")[0][0])
    session.rows("SELECT stride.submit('INSERT INTO good_rows SELECT id, digits::bigint FROM bad_rows', name => 'bad rows',"
                 f" if_exists => 'new', on_error => 'skip', chunk_rows => {CHUNK_ROWS}, workers => 1 {limits})")
    bench.wait_until("(SELECT finished_at IS NOT NULL FROM stride.jobs ORDER BY job_id DESC LIMIT 1)")
    taken = int(session.rows("SELECT pg_current_xact_id()")[0][0]) - before - 1
    row = session.rows(f"SELECT state, {FIGURES} FROM stride.jobs ORDER BY job_id DESC LIMIT 1")[0]
    return row[0], float(row[1]), int(row[2]), int(row[3]), taken


def run(bench):
    lines = []
    for share, bad, rows in SHARES:
        limits = "" if share.endswith("breaker") else ", reject_percent => 100"
        runs = [attempt(bench, bad, rows, limits) for _ in range(bench.rounds)]
        state, _, rejected, attempts, taken = runs[-1]
        lines.append([share, count(rows), state, spread([seconds for _, seconds, *_ in runs], " s"), rejected, attempts,
                      digits(attempts / rejected) if rejected else "–", taken])
    return (f"Chunks of {count(CHUNK_ROWS)} rows, one worker. An attempt is a chunk that was committed or that failed.\n\n"
            + table(["bad rows", "of", "state", "median (min – max)", "rejected", "attempts", "attempts a bad row", "XIDs"],
                    lines))
