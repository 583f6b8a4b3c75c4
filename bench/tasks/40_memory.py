"""Private memory of every process that a job has, over the whole job, and of those that its peers have."""
from lib import works
from lib.figures import count, digits, table
from lib.processes import OF_BACKEND, OF_CLIENT, OF_LAUNCHER, OF_PARALLEL, Sampler, private_memory
from report import goals

TITLE = "Private memory of every process (RssAnon, sampled at 10 ms)"
MINUTES = "3 at 1M rows, 15 at 10M"
SIZED = True
KINDS = (OF_CLIENT, OF_BACKEND, OF_PARALLEL, "worker", "reader", "keeper", "scheduler", OF_LAUNCHER)
WORKS = (
    (works.copy, ("plain", "two_sessions", "create_table_as", "procedure", "psql_copy", "psycopg2_rows", "psycopg2_values",
                  "psycopg2_values_4", "psycopg3_copy", "stride_1", "stride_2", "block_2")),
    (works.joined_rows, ("plain", "spool_2", "stream_2", "stream_2_update")),
    (works.update, ("plain", "stride_2")),
    (works.delete, ("plain", "stride_2")),
    (works.selective, ("plain", "stride_2")),
)
PARTS = 4
RUNS_THE_QUERY = "spool_2"  # one of its workers does, whose memory is that of the user's join


def sample(bench, name, work):
    """Runs a peer in a session of its own, so that what an earlier statement left in a backend is not counted."""
    peer = bench.peer(name)
    given = work.first(getattr(peer, "MOST_ROWS", work.rows))
    bench.tell(f"memory, {given.kind}, {given.rows} rows: {peer.TITLE}")
    bench.prepare(given)
    with bench.connect() as session, bench.using(session), Sampler(bench.postmaster, session.pid) as sampler:
        peer.run(bench, given)
    return f"{peer.TITLE} ({count(given.rows)} rows)", sampler


def line(kind, series, idle):
    """The peaks over an idle backend in the first and the last quarter of the longest-lived, and of all; a program outside the
    server is compared with nothing."""
    longest = max(series, key=len)
    quarter = max(1, len(longest) // PARTS)
    peaks = [max(longest[:quarter]), max(longest[-quarter:]), max(max(samples) for samples in series)]
    return [kind, len(series), *(f"{peak:.1f}" if kind == OF_CLIENT else f"{peak - idle:+.1f}" for peak in peaks)]


def run(bench, rows):
    with bench.connect() as other:
        idle = private_memory(other.pid)
    lines = []
    worst = []
    for make, names in WORKS:
        work = make(bench, rows)
        for name in bench.chosen(names):
            title, sampler = sample(bench, name, work)
            for kind in KINDS:
                series = sampler.of(kind)
                if series and (kind != OF_LAUNCHER or sampler.of("worker")):
                    lines.append([work.kind, title, *line(kind, series, idle)])
            lines.append([work.kind, title, "all at once, without the launcher: MB", "", "", "", digits(sampler.peak())])
            if name != RUNS_THE_QUERY:
                worst += [max(samples) - idle for samples in sampler.of("worker")]
    return "\n\n".join([
        f"An idle backend has {idle:.1f} MB; +N says how many MB more a process of the server has. Clients are shown whole. The"
        " process that runs the join has its hash table, in a job as in a plain statement; the goal is that of all other workers.",
        table(["work", "how", "process", "seen", "peak of the first quarter of its life", "peak of the last quarter", "peak"], lines),
        goals.judge({"memory": max(worst, default=None)})])
