"""A job with one worker and no chunks to speak of: one a split, which is the least that there can be."""
from lib import stride

TITLE = "job, 1 worker, a chunk a split"
note = stride.note


def run(bench, work):
    stride.run(bench, work, workers=1, chunk_rows=10000000)
