"""A CSV file as the source of a pipeline: read once, saved, and walked; and the memory that this takes for ten times the rows."""
from lib import works
from lib.figures import count, table
from lib.processes import Sampler, private_memory
from report.comparison import Comparison

TITLE = "Copy of a CSV file with a transform that casts its columns"
MINUTES = "2 at 1M rows, 15 at 6M, a file of 1 GB"
SIZED = True
PEERS = ("plain", "pipeline_2")


def peak_of_workers(bench, rows):
    """The most private memory of a worker of the pipeline, in MB."""
    work = works.csv(bench, rows)
    bench.tell(f"memory, csv, {rows} rows")
    bench.prepare(work)
    with bench.connect() as session, bench.using(session), Sampler(bench.postmaster, session.pid) as sampler:
        bench.peer("pipeline_2").run(bench, work)
    return max((max(samples) for samples in sampler.of("worker")), default=0)


def run(bench, rows):
    found = Comparison(bench, works.csv(bench, rows), PEERS).text()
    with bench.connect() as other:
        idle = private_memory(other.pid)
    lines = [[count(size), f"{peak_of_workers(bench, size) - idle:+.1f}"] for size in (rows // 10, rows)]
    return f"{found}\n\n" + table(["rows", "peak of a worker's private memory over an idle backend, MB"], lines)
