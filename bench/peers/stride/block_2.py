"""A job with two workers that walks the table by blocks, its chunks as they adapt."""
from lib import stride

TITLE = "job, 2 workers, walk => 'block'"
note = stride.note


def run(bench, work):
    stride.run(bench, work, workers=2, walk="'block'")
