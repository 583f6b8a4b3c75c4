"""The progress view with a long history behind it."""
from statistics import median

from lib.figures import spread, table
from report import goals

TITLE = "SELECT * FROM stride.progress"
MINUTES = "1"
CHUNKS = 100000
JOBS = 1000
TIMES = 20
MANY = f"that job with {CHUNKS} chunks"
QUERY = "SELECT * FROM stride.progress"


def ask(bench):
    """Milliseconds in a session that has asked before, and in new ones, where the catalog caches are cold; the times of each."""
    with bench.connect() as session:
        session.rows(QUERY)
        warm = [1000 * session.timed(QUERY) for _ in range(TIMES)]
    cold = []
    for _ in range(TIMES):
        with bench.connect() as session:
            cold.append(1000 * session.timed(QUERY))
    return warm, cold


def run(bench):
    session = bench.session
    session.rows("DROP TABLE IF EXISTS small; CREATE TABLE small (id bigint PRIMARY KEY, n bigint NOT NULL);"
                 "INSERT INTO small SELECT g, 0 FROM generate_series(1, 1000) AS g;"
                 "CALL stride.run('UPDATE small SET n = n + 1', name => 'many chunks', if_exists => 'new')")
    found = {"a job that just ended": ask(bench)}
    session.rows(f"""
        INSERT INTO stride_catalog.chunk
        SELECT copy.*
        FROM (SELECT * FROM stride_catalog.chunk WHERE job_id = stride.job_id('many chunks') LIMIT 1) AS c,
             generate_series(1, {CHUNKS}) AS g,
             jsonb_populate_record(NULL::stride_catalog.chunk, to_jsonb(c) || jsonb_build_object('chunk', 1000 + g)) AS copy""")
    found[MANY] = ask(bench)
    session.rows("SELECT stride.submit('UPDATE small SET n = n + 1', name => 'waits',"
                 " start_at => now() + interval '1 day', if_exists => 'new')")
    found["and an unfinished job"] = ask(bench)
    # Jobs of last week, with 16 splits each.
    session.rows(f"""
        INSERT INTO stride_catalog.job OVERRIDING SYSTEM VALUE
        SELECT copy.*
        FROM stride_catalog.job AS j, generate_series(1, {JOBS}) AS g,
             jsonb_populate_record(NULL::stride_catalog.job, to_jsonb(j) || jsonb_build_object(
                 'job_id', 1000000 + g, 'finished_at', now() - interval '7 days' - g * interval '1 second')) AS copy
        WHERE j.job_id = stride.job_id('many chunks');
        INSERT INTO stride_catalog.split
        SELECT copy.*
        FROM stride_catalog.split AS s, generate_series(1, {JOBS}) AS g,
             jsonb_populate_record(NULL::stride_catalog.split,
                                   to_jsonb(s) || jsonb_build_object('job_id', 1000000 + g)) AS copy
        WHERE s.job_id = stride.job_id('many chunks')""")
    found[f"and {JOBS} jobs of last week"] = ask(bench)
    session.rows("SELECT stride.cancel(stride.job_id('waits'))")
    session.rows("DELETE FROM stride_catalog.job WHERE job_id > 1000000; DELETE FROM stride_catalog.split WHERE job_id > 1000000")
    bench.wait_until_quiet()
    return (f"As the client sees it, {TIMES} times each; the tables have not been analysed.\n\n"
            + table(["with", "median (min – max)", "the first time in a session"],
                    [[name, *(spread(times, " ms") for times in both)] for name, both in found.items()])
            + "\n\n" + goals.judge({"progress": median(found[MANY][0])}))
