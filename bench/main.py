"""Runs the tasks in tasks/ one after the other and prints what they return.

A task is a file tasks/NN_name.py with a TITLE, the MINUTES that it takes, and a function that returns Markdown: run(bench), or
run(bench, rows) where SIZED says that it is run for each number of rows.  A peer is a file peers/*/name.py with a TITLE and a
function run(bench, work) that does the work of lib/work.py in its own way; MOST_ROWS says how many rows are enough for it.
"""
import argparse
import os
import sys
import time
from pathlib import Path

from lib.bench import Bench, load
from lib.figures import count
from lib.machine import describe
from report import chart
from report.page import Page

HERE = Path(__file__).parent
UNITS = {"k": 1000, "M": 1000000}
CHARTED = "copy"


def number(text):
    return int(text[:-1]) * UNITS[text[-1]] if text[-1] in UNITS else int(text)


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("rows", "rounds", "minutes", "tasks", "peers", "revision", "compiler", "postmaster", "scratch", "page", "chart"):
        parser.add_argument("--" + name, required=True)
    return parser.parse_args()


def measure(bench, given, task, rows):
    """A section: what the task returns under its title, and what it was run with."""
    title = f"{task.TITLE}, {count(rows)} rows" if rows else task.TITLE
    bench.tell(f"== {title}")
    load_before = os.getloadavg()[0]
    start = time.monotonic()
    text = task.run(bench, rows) if rows else task.run(bench)
    minutes = (time.monotonic() - start) / 60
    return (f"### {title}\n\n{text}\n\nRun on {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, revision {given.revision},"
            f" in {minutes:.1f} minutes; the load average before was {load_before:.2f}.")


def main():
    given = arguments()
    bench = Bench(HERE, given)
    paths = {path.stem.split("_", 1)[1]: path for path in sorted((HERE / "tasks").glob("*.py"))}
    page = Page(Path(given.page), ["machine", "chart", *paths])

    def put(name, rows, text):
        print(f"\n{text}", flush=True)
        page.put(name, rows, text)

    def draw():
        title = load(paths[CHARTED]).TITLE
        Path(given.chart).write_text(chart.draw(title, page.of(CHARTED)))
        page.put("chart", 0, f"![{title}: rows a second of each way]({Path(given.chart).name})")

    put("machine", 0, describe(bench, given))
    sizes = sorted(number(text) for text in given.rows.split(","))
    for name in given.tasks.split() or paths:
        task = load(paths[name])
        for rows in sizes if getattr(task, "SIZED", False) else [0]:
            put(name, rows, measure(bench, given, task, rows))
            if name == CHARTED:
                draw()


if __name__ == "__main__":
    sys.exit(main())
