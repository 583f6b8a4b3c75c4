"""CREATE TABLE AS, which may have a parallel plan, and then the indexes."""
TITLE = "CREATE TABLE AS, then the indexes"


def run(bench, work):
    bench.session.rows("; ".join(("DROP TABLE target", f"CREATE TABLE target AS {work.query()}", *work.indexes)))
