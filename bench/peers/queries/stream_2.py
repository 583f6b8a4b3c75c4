"""A pipeline with a reader and two workers, which write as a plain statement does: a stream that breaks would double rows."""
from lib import stride

TITLE = "job, 2 workers, walk => 'stream', at least once"
note = stride.note


def run(bench, work):
    stride.run_pipeline(bench, work, workers=2, walk="'stream'", settings="""'{"delivery": "at_least_once"}'""")
