"""Runs the tasks in tasks/ one after the other and prints what they return.

A task is a file tasks/NN_name.py with a TITLE and a function run(bench) that returns Markdown.  A peer is a file
peers/name.py with a TITLE and a function run(bench, work) that does the work of lib/work.py in its own way.
"""
import argparse
import sys
from pathlib import Path

from lib.bench import Bench, load
from lib.machine import describe

HERE = Path(__file__).parent
UNITS = {"k": 1000, "M": 1000000}


def rows(text):
    return int(text[:-1]) * UNITS[text[-1]] if text[-1] in UNITS else int(text)


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("rows", "rounds", "only", "revision", "compiler", "postmaster", "scratch"):
        parser.add_argument("--" + name, required=True)
    return parser.parse_args()


def main():
    given = arguments()
    bench = Bench(HERE, [rows(text) for text in given.rows.split(",")], int(given.rounds), int(given.postmaster))
    wanted = given.only.split(",") if given.only else []
    print(describe(bench, given), flush=True)
    for path in sorted((HERE / "tasks").glob("*.py")):
        name = path.stem.split("_", 1)[1]
        if wanted and name not in wanted:
            continue
        task = load(path)
        bench.tell(f"== {name}: {task.TITLE}")
        print(f"\n### {task.TITLE}\n\n{task.run(bench)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
