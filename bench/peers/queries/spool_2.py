"""A pipeline with two workers that saves the rows of its query first."""
from lib import stride

TITLE = "job, 2 workers, walk => 'spool'"
note = stride.note


def run(bench, work):
    stride.run_pipeline(bench, work, workers=2, walk="'spool'")
