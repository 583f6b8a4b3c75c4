"""A job with two workers that walks the whole key, whatever its statement finds."""
from lib import stride

TITLE = "job, 2 workers, walk => 'key'"
note = stride.note


def run(bench, work):
    stride.run(bench, work, workers=2, walk="'key'")
