"""What it costs to send a row from the reader of a stream to a worker, of which hardly any is written."""
from statistics import median

from lib import works
from lib.figures import digits, table
from report import goals
from report.comparison import Comparison

TITLE = "Rows on their way through shared memory"
MINUTES = "1 at 1M rows, 3 at 10M"
SIZED = True
PEERS = ("plain", "stream_1", "stream_2")


def per_row(found, name, measure):
    """Microseconds a row over the plain statement, the median of the rounds."""
    return median(1e6 * (measure(run) - measure(base)) / run.rows for run, base in zip(found.runs(name), found.runs("plain")))


def run(bench, rows):
    found = Comparison(bench, works.sent_rows(bench, rows), PEERS)
    names = [name for name in bench.chosen(PEERS) if name != "plain"]
    costs = {name: [per_row(found, name, measure) for measure in (lambda run: run.seconds, lambda run: run.server_cpu)]
             for name in names}
    lines = [[bench.peer(name).TITLE, *(digits(cost) for cost in costs[name])] for name in names]
    return "\n\n".join([
        found.text(),
        "The plain statement looks at the same rows where they lie. What a stream takes longer, in µs a row, the start of the job and"
        " its commits included:",
        table(["how", "time", "processor time of all processes"], lines),
        goals.judge({"sending": costs.get("stream_1", [None])[0]}, rows)])
