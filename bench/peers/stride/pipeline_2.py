"""A pipeline with two workers."""
from lib import stride

TITLE = "job, pipeline, 2 workers"
note = stride.note


def run(bench, work):
    stride.run_pipeline(bench, work, workers=2)
