"""A job with two workers, its chunks as they adapt."""
from lib import stride

TITLE = "job, 2 workers"
note = stride.note


def run(bench, work):
    stride.run(bench, work, workers=2)
