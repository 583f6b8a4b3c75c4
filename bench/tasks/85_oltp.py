"""An application beside a batch: pgbench with 2 clients while every row of pgbench_accounts is updated.

What counts of pgbench is what it did while the batch ran.
"""
import glob
import os
import subprocess
import tempfile
import threading
import time
from statistics import median

from lib.bench import DATABASE
from lib.figures import digits, percentile, spread, table

TITLE = "An application beside a batch"
MINUTES = "12 at 1M rows, 100 at 10M"
SIZED = True
CLIENTS = 2
LOADS = (("select-only", "reads (pgbench -S)"), ("tpcb-like", "reads and writes (TPC-B)"))
ALONE_SECONDS = 10
SLICE_SECONDS = 2  # pgbench writes its log out at its end: it runs slice by slice until the batch has ended
STATEMENT = "UPDATE pgbench_accounts SET filler = upper(filler)"
JOB = f"CALL stride.run($job${STATEMENT}$job$, workers => 2, if_exists => 'new', settings => '%s')"
CASES = (("nothing", None), ("plain UPDATE", STATEMENT), ("job, 2 workers", JOB % "{}"),
         ("job, nice 1", JOB % '{"nice": 1}'), ("job, chunk_time 50 ms", JOB % '{"chunk_time": "50ms"}'))


class Batch(threading.Thread):
    """The batch in a session of its own; when it began and ended, by the clock that pgbench logs."""
    def __init__(self, bench, sql):
        super().__init__()
        self.session = bench.connect()
        self.sql = sql
        self.start_at = self.end_at = None
        self.failure = None

    def run(self):
        self.start_at = time.time()
        try:
            self.session.rows(self.sql)
        except RuntimeError as failure:
            self.failure = failure
        self.end_at = time.time()

    def finish(self):
        self.join()
        self.session.close()
        if self.failure is not None:
            raise self.failure


def latencies(directory, load):
    """One slice of pgbench: (end of the transaction, its milliseconds) of each."""
    subprocess.run(["pgbench", "-n", "-c", str(CLIENTS), "-j", str(CLIENTS), "-b", load, "-T", str(SLICE_SECONDS), "-l",
                    f"--log-prefix={directory}/slice", DATABASE], check=True, capture_output=True)
    found = []
    for path in glob.glob(f"{directory}/slice*"):
        with open(path) as log:
            for line in log:
                _, _, took_us, _, second, us = line.split()[:6]
                found.append((int(second) + int(us) / 1e6, int(took_us) / 1000))
        os.remove(path)
    return found


def measure(bench, load, sql):
    """One run: seconds of the batch, transactions a second, latencies in ms, transaction ids used, longest hold in ms."""
    bench.session.rows("VACUUM (FREEZE, ANALYZE) pgbench_accounts; CHECKPOINT")
    xids = int(bench.session.value("SELECT pg_snapshot_xmax(pg_current_snapshot())"))
    batch = Batch(bench, sql or f"SELECT pg_sleep({ALONE_SECONDS})")
    batch.start()
    seen = []
    with tempfile.TemporaryDirectory() as directory:
        while batch.is_alive():
            seen += latencies(directory, load)
    batch.finish()
    seconds = batch.end_at - batch.start_at
    took = [ms for end, ms in seen if batch.start_at <= end <= batch.end_at]
    xids = int(bench.session.value("SELECT pg_snapshot_xmax(pg_current_snapshot())")) - xids
    if load == "tpcb-like":
        xids -= len(seen)
    hold = seconds * 1000 if sql == STATEMENT else float(bench.session.value(
        "SELECT coalesce(max(1000 * extract(epoch FROM finished_at - started_at)), 0) FROM stride.chunks"
        " WHERE job_id = (SELECT max(job_id) FROM stride.jobs)")) if sql else 0
    return seconds, len(took) / seconds, took, xids, hold


def line(load, beside, runs, alone):
    return [load, beside, spread([run[1] for run in runs]),
            spread([percentile(run[2], 0.99) for run in runs]), digits(max(max(run[2]) for run in runs)),
            "" if alone else spread([run[0] for run in runs]),
            "" if alone else digits(median(run[4] for run in runs)), "" if alone else digits(median(run[3] for run in runs))]


def run(bench, rows):
    subprocess.run(["pgbench", "-i", "-q", "-s", str(max(1, rows // 100000)), DATABASE], check=True, capture_output=True)
    lines = []
    for load, title in LOADS:
        runs = {beside: [] for beside, _ in CASES}
        for turn in range(bench.rounds):
            for beside, sql in CASES:
                runs[beside].append(measure(bench, load, sql))
                bench.tell(f"{title}, round {turn + 1}, beside {beside}: {runs[beside][-1][1]:.0f} tps,"
                           f" batch {runs[beside][-1][0]:.1f} s")
        lines += [line(title, beside, runs[beside], sql is None) for beside, sql in CASES]
    return (f"`{STATEMENT}` beside {CLIENTS} clients. The longest hold is that of a row lock: the whole statement, or the"
            " longest chunk without its commit.\n\n"
            + table(["pgbench", "beside it", "tps", "p99, ms", "longest, ms", "the batch, s", "longest hold, ms",
                     "transaction ids"], lines))
