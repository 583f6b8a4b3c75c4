"""Do two workers end together where most rows are under one leading value of the key?"""
from statistics import median

from lib.bench import load
from lib.figures import digits, table
from report import goals

TITLE = "Balance: 90 % of the rows in one tenant, 2 workers"
MINUTES = "1 at 1M rows, 5 at 10M"
SIZED = True
WORKERS = 2


def work(session):
    """A job over the composite key: seconds that each worker was busy with chunks and their commits, seconds from the first chunk to
    the last, splits."""
    session.rows("TRUNCATE tenants_copy")
    session.rows("CHECKPOINT")
    session.rows("CALL stride.run('INSERT INTO tenants_copy SELECT tenant, id, upper(customer), amount * 1.19 + 1 FROM tenants',"
                 f" workers => {WORKERS}, name => 'balance', if_exists => 'new')")
    if session.value("SELECT (SELECT count(*) FROM tenants_copy) = (SELECT count(*) FROM tenants)") != "t":
        raise RuntimeError("the copy is not complete")
    chunks = "FROM stride.chunks WHERE job_id = stride.job_id('balance')"
    busy = [float(row[0]) for row in session.rows(
        f"SELECT extract(epoch FROM sum(finished_at - started_at)) + sum(commit_ms) / 1000 {chunks} GROUP BY worker")]
    busy += [0.0] * (WORKERS - len(busy))
    elapsed = float(session.value(f"SELECT extract(epoch FROM max(finished_at) - min(started_at)) {chunks}"))
    return busy, elapsed, int(session.value(f"SELECT count(DISTINCT split) {chunks}"))


def run(bench, rows):
    session = bench.session
    bench.tell(f"balance: loading {rows} rows")
    load(bench.here / "tasks" / "80_composite.py").make(session, rows)
    lines, ends = [], []
    for number in range(bench.rounds):
        busy, elapsed, splits = work(session)
        mean = sum(busy) / WORKERS
        ends.append(elapsed / mean)
        lines.append([number + 1, splits, *(digits(seconds) for seconds in sorted(busy, reverse=True)), digits(elapsed),
                      digits(max(busy) / mean), digits(elapsed / mean)])
    headings = ["run", "splits", "busy: longer, s", "shorter, s", "first chunk to last, s", "longer / mean", "first to last / mean"]
    return table(headings, lines) + "\n\n" + goals.judge({"balance": median(ends)}, rows)
