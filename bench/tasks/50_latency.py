"""From the commit of a submission to the first chunk, and the whole of a job of one row."""
from statistics import median

from lib.figures import spread, table
from report import goals

TITLE = "Latency of a small job"
MINUTES = "1"
TIMES = 20


def submit(session):
    """Submits in a transaction of its own; milliseconds from just after its commit to the first chunk's start and end."""
    job = session.value("SELECT stride.submit('UPDATE small SET n = n + 1', workers => 1, if_exists => 'new')")
    committed = session.value("SELECT clock_timestamp()")
    session.rows(f"CALL stride.wait({job})")
    return [float(text) for text in session.rows(f"""
        SELECT extract(epoch FROM min(started_at) - '{committed}') * 1000,
               extract(epoch FROM min(finished_at) - '{committed}') * 1000
        FROM stride.chunks WHERE job_id = {job}""")[0]]


def run(bench):
    session = bench.session
    session.rows("DROP TABLE IF EXISTS small; CREATE TABLE small (id bigint PRIMARY KEY, n bigint NOT NULL);"
                 "INSERT INTO small VALUES (1, 0)")
    lines = []
    judged = ""
    for scheduler in ("idle database: scheduler and worker are started", "scheduler already there"):
        holder = None
        if scheduler.startswith("scheduler"):
            # A job that is not due yet keeps its scheduler.
            holder = session.value("SELECT stride.submit('UPDATE small SET n = 0', start_at => now() + interval '1 day',"
                                   " name => 'holder', if_exists => 'new')")
            bench.wait_until("EXISTS (SELECT FROM stride.jobs WHERE name = 'holder' AND state_reason LIKE 'starts at%')")
        firsts, ends, wholes = [], [], []
        for _ in range(TIMES):
            for what in (firsts, wholes):
                if holder is None:
                    bench.wait_until_quiet()
                if what is firsts:
                    first, end = submit(session)
                    firsts.append(first)
                    ends.append(end)
                else:
                    wholes.append(1000 * session.timed("CALL stride.run('UPDATE small SET n = n + 1', if_exists => 'new')"))
        for what, values in (("commit of submit to the first chunk's start", firsts),
                             ("commit of submit to the first chunk's checkpoint", ends),
                             ("the whole CALL stride.run, as the caller sees it", wholes)):
            lines.append([scheduler, what, spread(values, " ms")])
        if holder is None:
            judged = goals.judge({"latency": median(firsts)})
        else:
            session.rows(f"SELECT stride.cancel({holder})")
            bench.wait_until_quiet()
    return f"A job of one row, {TIMES} times.\n\n" + table(["before", "what", "median (min – max)"], lines) + f"\n\n{judged}"
