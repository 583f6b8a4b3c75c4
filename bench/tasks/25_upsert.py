"""INSERT .. ON CONFLICT DO UPDATE, with no row there before, with half of them, and with all."""
from lib import works
from report import goals
from report.comparison import Comparison

TITLE = "Upsert with 0, 50 and 100 % conflicts"
MINUTES = "12 at 1M rows, 120 at 10M"
SIZED = True
PEERS = ("plain", "two_sessions", "procedure", "psycopg2_values", "stride_1", "stride_2", "pipeline_2")


def run(bench, rows):
    parts = [f"`{works.upsert(bench, rows, 0).statement}`"]
    for conflicts in (0, 50, 100):
        found = Comparison(bench, works.upsert(bench, rows, conflicts), PEERS)
        parts.append(f"{conflicts} % conflicts, {found.rounds} rounds:\n\n{found.table()}")
        if conflicts == 50:
            parts.append(goals.judge({"upsert": found.faster("stride_2")}, rows))
    return "\n\n".join(part for part in parts if part)
