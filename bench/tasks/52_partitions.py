"""From a submission over a table of many partitions to its first chunk, and to the end of the job."""
from statistics import median

from lib.figures import spread, table
from report import goals

TITLE = "Start over many partitions"
MINUTES = "1"
TIMES = 5
PARTITIONS = 1000
ROWS = 100000


def make(session):
    session.rows("DROP TABLE IF EXISTS parts; CREATE TABLE parts (id bigint, part int, n bigint, PRIMARY KEY (part, id))"
                 " PARTITION BY LIST (part)")
    for first in range(0, PARTITIONS, 100):
        session.rows("".join(f"CREATE TABLE parts_{part} PARTITION OF parts FOR VALUES IN ({part});"
                             for part in range(first, first + 100)))
    session.rows(f"INSERT INTO parts SELECT id, id % {PARTITIONS}, 0 FROM generate_series(1, {ROWS}) AS id; ANALYZE parts")


def run(bench):
    session = bench.session
    make(session)
    steps = {"submit": [], "commit of submit to the first chunk's start": [],
             "the first chunk's start to the end of the last": []}
    starts = []
    for _ in range(TIMES):
        bench.wait_until_quiet()
        submit = 1000 * session.timed("SELECT stride.submit('UPDATE parts SET n = n + 1', name => 'parts', if_exists => 'new')")
        committed = session.value("SELECT clock_timestamp()")
        session.rows("CALL stride.wait(stride.job_id('parts'))")
        start, walk = [float(text) for text in session.rows(f"""
            SELECT extract(epoch FROM min(started_at) - '{committed}') * 1000,
                   extract(epoch FROM max(finished_at) - min(started_at)) * 1000
            FROM stride.chunks WHERE job_id = stride.job_id('parts')""")[0]]
        for step, value in zip(steps.values(), (submit, start, walk)):
            step.append(value)
        starts.append(submit + start)
    session.rows("DROP TABLE parts")
    lines = [[what, spread(values, " ms")] for what, values in steps.items()]
    return (f"An UPDATE of a table of {PARTITIONS:,} partitions with {ROWS // PARTITIONS} rows each, {TIMES} times.\n\n"
            + table(["what", "median (min – max)"], lines) + "\n\n" + goals.judge({"partitions": median(starts)}))
