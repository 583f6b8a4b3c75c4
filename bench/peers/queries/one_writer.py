"""One process that writes all rows under a plan that may be parallel: how long a pipeline takes to save the rows of the whole
query, transform and all, in a table with a key.  That it then copies them to the target, with one worker, is not in the time,
but in the WAL and the processor time."""
from lib import stride

TITLE = "one writer under a parallel plan: the saving alone"
SAVING = """SELECT extract(epoch FROM (SELECT min(started_at) FROM stride.chunks AS c WHERE c.job_id = j.job_id) - submitted_at)
            FROM stride.jobs AS j ORDER BY job_id DESC LIMIT 1"""


def run(bench, work):
    bench.session.rows(f"CALL stride.run_pipeline('target', source_query => $job${work.query()}$job$, walk => 'spool', workers => 1,"
                       " if_exists => 'new')")
    return float(bench.session.value(SAVING))
