"""The table of a work: each peer against the plain statement."""
from statistics import median

from lib.bench import BASE
from lib.figures import count, digits, spread, table

EXTRAPOLATED = "extrapolated"
RATE = "rows/s"
HOW = "how"
HEADER = [HOW, "speed against the plain statement", "s", RATE, "WAL against it", "processor s, server + client",
          "chunks; where the workers' time went"]


class Comparison:
    """What the rounds of one work found.  Each figure is the median over the rounds, each ratio that of the ratios within a
    round."""

    def __init__(self, bench, work, peers):
        self.bench = bench
        self.work = work
        self.results = bench.interleave(bench.chosen(peers), work)

    def runs(self, name):
        return self.results[name][1]

    def seconds(self, name):
        return median(run.seconds for run in self.runs(name))

    def ratios(self, name, other=BASE):
        """How many times as fast as the other, in each round."""
        return [theirs.seconds / run.seconds for run, theirs in zip(self.runs(name), self.runs(other))]

    def faster(self, name, other=BASE):
        """The median of these ratios; None unless both were run."""
        return median(self.ratios(name, other)) if name in self.results and other in self.results else None

    def wal(self, name):
        """WAL against the plain statement's."""
        each = [run.wal_bytes * run.scale / base.wal_bytes for run, base in zip(self.runs(name), self.runs(BASE))]
        return median(each)

    def chunk_cost(self):
        """What chunks and checkpoints cost with one worker, in %; None unless it was measured."""
        faster = self.faster("stride_1_whole", "stride_1")
        return None if faster is None else 100 * (faster - 1)

    def floor_share(self):
        """The share of half a lone worker's processor time in the time that two workers take, in %."""
        if not {"stride_1", "stride_2"} <= set(self.results):
            return None
        return 100 * median(run.server_cpu for run in self.runs("stride_1")) / 2 / self.seconds("stride_2")

    def line(self, name):
        peer, runs = self.results[name]
        last = runs[-1]
        title = peer.TITLE
        if last.rows < self.work.rows:
            title += f" ({EXTRAPOLATED}: {count(last.rows)} rows run)"
        processor = [median(run.scale * getattr(run, side) for run in runs) for side in ("server_cpu", "client_cpu")]
        return [title, spread(self.ratios(name), "x"), spread([run.seconds for run in runs]),
                f"{self.work.rows / self.seconds(name):,.0f}", digits(self.wal(name)),
                " + ".join(digits(value) for value in processor), last.note]

    @property
    def rounds(self):
        return len(self.runs(BASE))

    def table(self):
        """The slowest first, as in a chart."""
        names = sorted(self.results, key=self.seconds, reverse=True)
        return table(HEADER, [self.line(name) for name in names])

    def text(self):
        return f"`{self.work.statement}`\n\n{self.table()}\n\nRounds: {self.rounds}."
