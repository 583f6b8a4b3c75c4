"""The table of the paper that started this: one by one, chunks, parallel chunks, bulk and parallel."""
from lib import works
from lib.figures import count, digits, table
from lib.processes import Sampler
from report.comparison import Comparison

TITLE = "Four ways of a batch job, the paper's figures beside ours"
MINUTES = "2 at 1M rows, 5 at 10M"
SIZED = True
MINUTE = 60
# The way, the paper's seconds for 1M and for 10M rows, and the peer that is that way here.
WAYS = (
    ("rows one by one", {1000000: 45 * MINUTE, 10000000: 7 * 60 * MINUTE}, "psycopg2_rows"),
    ("chunks of 1000", {1000000: 8 * MINUTE, 10000000: 80 * MINUTE}, "psycopg2_values"),
    ("4 workers, chunks of 1000", {1000000: 3 * MINUTE, 10000000: 25 * MINUTE}, "psycopg2_values_4"),
    ("bulk and parallel", {1000000: 1 * MINUTE, 10000000: 8 * MINUTE}, "stride_2"),
)


def peak(bench, name, work):
    """MB of all processes that work, in a run of its own; memory does not grow with the rows (see that task)."""
    peer = bench.peer(name)
    given = work.first(getattr(peer, "MOST_ROWS", work.rows))
    bench.prepare(given)
    with bench.connect() as session, bench.using(session), Sampler(bench.postmaster, session.pid) as sampler:
        peer.run(bench, given)
    return sampler.peak()


def run(bench, rows):
    work = works.copy(bench, rows)
    found = Comparison(bench, work, ["plain", *(name for *_, name in WAYS)])
    first_way = WAYS[0]
    lines = []
    for way, paper, name in WAYS:
        if name not in found.results:
            continue
        theirs = paper.get(rows)
        peer, runs = found.results[name]
        ran = f"all {count(rows)}" if runs[-1].rows == rows else f"{count(runs[-1].rows)}, the rest is extrapolated"
        speedup = found.faster(name, first_way[2])
        lines.append([
            way, f"{theirs / MINUTE:.0f} min" if theirs else "", f"{first_way[1][rows] / theirs:.1f}x" if theirs else "",
            peer.TITLE, f"{digits(found.seconds(name))} s", "" if speedup is None else f"{digits(speedup)}x", ran,
            digits(peak(bench, name, work))])
    header = ["way", "paper: time", "paper: speed", "here", "time", "speed", "rows really run", "peak memory of all processes, MB"]
    return (f"{table(header, lines)}\n\nRounds: {found.rounds}. The paper's machine and data are others; compare the ratios. It says"
            f" \"7+ h\" for 10M rows one by one. The plain statement: {digits(found.seconds('plain'))} s.")
