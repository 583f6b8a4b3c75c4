"""A pipeline with a reader and one worker, which writes as a plain statement does: a stream that breaks would double rows."""
from lib import stride

TITLE = "job, 1 worker, walk => 'stream', at least once"
note = stride.note


def run(bench, work):
    stride.run_pipeline(bench, work, workers=1, walk="'stream'", settings="""'{"delivery": "at_least_once"}'""")
