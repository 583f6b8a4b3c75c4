"""The table of a statement: each peer against the plain statement, over the sizes asked for."""
from statistics import median

from .figures import count, digits, spread, table

PEERS = ("plain", "stride_1_whole", "stride_1", "stride_2")


def compare(bench, make_work):
    lines = []
    costs = []
    for rows in bench.rows:
        work = make_work(bench.source(rows), rows, bench.session)
        results = dict(zip(PEERS, bench.interleave(PEERS, work)))
        plain = results["plain"][1]
        for peer, runs in results.values():
            faster = [other.seconds / run.seconds for other, run in zip(plain, runs)]
            wal = median(run.wal_bytes for run in runs) / median(run.wal_bytes for run in plain)
            lines.append([count(rows), peer.TITLE, spread(faster, "x"), spread([run.seconds for run in runs]),
                          digits(wal), runs[-1].note])
        chunked, whole = results["stride_1"][1], results["stride_1_whole"][1]
        cost = [100 * (run.seconds / other.seconds - 1) for run, other in zip(chunked, whole)]
        costs.append(f"Cost of chunks and checkpoints, 1 worker, {count(rows)} rows: {spread(cost, ' %')}.")
    return "\n\n".join([f"`{work.statement}`", table(
        ["rows", "how", "speed against the plain statement", "s", "WAL against it",
         "chunks (% of the workers' time: planning / look ahead / statement / checkpoint / commit)"], lines), *costs])
