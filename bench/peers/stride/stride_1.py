"""A job with one worker, its chunks as they adapt."""
from lib import stride

TITLE = "job, 1 worker"
note = stride.note


def run(bench, work):
    stride.run(bench, work, workers=1)
