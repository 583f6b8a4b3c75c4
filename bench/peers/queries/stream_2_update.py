"""A pipeline with a reader and two workers, each row of which meets itself in the target if it is sent again."""
from lib import stride

TITLE = "job, 2 workers, walk => 'stream', on_conflict => 'update'"
note = stride.note


def run(bench, work):
    stride.run_pipeline(bench, work, workers=2, walk="'stream'", on_conflict="'update'")
