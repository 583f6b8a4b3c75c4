"""Private memory of every process that a job has, over the whole job, above that of an idle backend."""
from lib import work
from lib.figures import count, table
from lib.processes import Sampler, private_memory

TITLE = "Private memory of a job's processes (RssAnon, sampled at 10 ms)"
PARTS = 4


def line(rows, kind, process, series, idle):
    """The peaks over an idle backend in the first and the last quarter of the longest-lived, and of all."""
    if not series:
        return [count(rows), kind, process, "0", "", "", "too short to be seen"]
    longest = max(series, key=len)
    quarter = max(1, len(longest) // PARTS)
    peaks = [max(longest[:quarter]), max(longest[-quarter:]), max(max(samples) for samples in series)]
    return [count(rows), kind, process, f"{len(series)}", *(f"{peak - idle:+.1f}" for peak in peaks)]


def run(bench):
    with bench.connect() as other:
        idle = private_memory(other.pid)
    lines = []
    for rows in bench.rows:
        for make in (work.insert, work.update, work.delete):
            given = make(bench.source(rows), rows, bench.session)
            for peer in ("plain", "stride_2"):
                # A session of its own: what an earlier statement left in a backend is not counted.
                bench.tell(f"memory, {given.kind}, {rows} rows: {peer}")
                bench.prepare(given)
                with bench.connect() as session:
                    with bench.using(session):
                        with Sampler(bench.postmaster, session.pid) as sampler:
                            bench.peer(peer).run(bench, given)
                kinds = ("backend",) if peer == "plain" else ("worker", "scheduler", "launcher")
                for kind in kinds:
                    process = "the plain statement's backend" if kind == "backend" else kind
                    lines.append(line(rows, given.kind, process, sampler.of(kind), idle))
    return (f"An idle backend has {idle:.1f} MB; the columns say how many MB more.\n\n"
            + table(["rows", "statement", "process", "processes seen", "peak of the first quarter of its life",
                     "peak of the last quarter", "peak"], lines))
