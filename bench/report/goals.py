"""The goals, as ratios within one run, and whether they are met."""
from dataclasses import dataclass

from lib.figures import count, digits, table

LEAST_ROWS = 1000000


@dataclass(frozen=True)
class Goal:
    what: str
    goal: float
    stretch: float
    unit: str = "x"
    at_most: bool = False  # else at least

    def verdict(self, value):
        """Of the value as it is shown."""
        value = float(digits(value))
        sign = -1 if self.at_most else 1
        if sign * value >= sign * self.stretch:
            return "stretch met"
        return "met" if sign * value >= sign * self.goal else "**missed**"

    def line(self, value):
        bound = "at most " if self.at_most else ""
        return [self.what, f"{digits(value)}{self.unit}", f"{bound}{digits(self.goal)}{self.unit}",
                f"{bound}{digits(self.stretch)}{self.unit}", self.verdict(value)]


GOALS = {
    "one worker": Goal("1 worker against one INSERT .. SELECT", 1.12, 1.2),
    "two workers": Goal("2 workers against one INSERT .. SELECT", 1.8, 2.0),
    "two workers, 10M": Goal("2 workers against one INSERT .. SELECT", 1.85, 2.0),
    "sessions": Goal("2 workers against two INSERT .. SELECT sessions by ctid range", 1.5, 1.7),
    "pipe": Goal("2 workers against a psql COPY binary pipe", 1.7, 1.9),
    "values": Goal("2 workers against psycopg2 execute_values 1000", 14, 18),
    "values x4": Goal("2 workers against 4 processes of it", 8, 10),
    "rows": Goal("2 workers against row by row with a commit each", 200, 250),
    "chunks": Goal("chunks and checkpoints against a chunk a split, 1 worker", 5, 2, " %", at_most=True),
    "floor": Goal("share of the processor floor at 2 workers (processor time with 1 worker / 2)", 75, 85, " %"),
    "wal": Goal("WAL against INSERT .. SELECT", 0.87, 0.80, at_most=True),
    "flat": Goal("10M rows a second against 1M", 0.9, 1.0),
    "rebuild": Goal("2 workers and indexes => 'rebuild' against one INSERT .. SELECT with the indexes kept", 2.8, 3.4),
    "walk": Goal("a walk of the key against one of the blocks, rows in the order of the key", 0.95, 1.0),
    "sending": Goal("a row from the reader of a stream to its worker, over reading it where it lies", 0.15, 0.05, " µs", at_most=True),
    "update": Goal("UPDATE, 2 workers against one statement", 1.2, 1.3),
    "upsert": Goal("upsert with 50 % conflicts, 2 workers against one ON CONFLICT statement", 1.3, 1.5),
    "balance": Goal("end of a walk of 2 workers with 90 % of the rows in one tenant, against perfect balance", 1.15, 1.05, at_most=True),
    "memory": Goal("private memory of a worker over an idle backend", 4, 1, " MB", at_most=True),
    "latency": Goal("commit of submit to the first chunk's start in an idle database", 100, 50, " ms", at_most=True),
    "partitions": Goal("submission over 1,000 partitions to its first chunk's start", 2000, 500, " ms", at_most=True),
    "progress": Goal("stride.progress with 100,000 finished chunks", 5, 2, " ms", at_most=True),
}


def judge(measured, rows=LEAST_ROWS):
    """A table of the goals measured: key -> value; a value that is None was not measured."""
    lines = [GOALS[key].line(value) for key, value in measured.items() if value is not None]
    if rows < LEAST_ROWS:
        return f"The goals are for {count(LEAST_ROWS)} rows and more."
    return table(["goal", "measured", "goal", "stretch", ""], lines) if lines else ""
