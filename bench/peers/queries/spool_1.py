"""A pipeline with one worker that saves the rows of its query first."""
from lib import stride

TITLE = "job, 1 worker, walk => 'spool'"
note = stride.note


def run(bench, work):
    stride.run_pipeline(bench, work, workers=1, walk="'spool'")
