"""A pipeline with two workers that drops the secondary indexes and builds them again at its end."""
from lib import stride

TITLE = "job, pipeline, 2 workers, indexes => 'rebuild'"
note = stride.note


def run(bench, work):
    stride.run_pipeline(bench, work, workers=2, indexes="'rebuild'")
