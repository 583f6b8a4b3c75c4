"""The statement as it is, in one transaction."""
TITLE = "plain statement"


def run(bench, work):
    bench.session.rows(work.statement)
