"""The walked table in two halves of its blocks, which a TID range scan reads."""


def of(bench, work):
    """A condition for each half."""
    middle = bench.session.value(f"SELECT pg_relation_size('{work.walked}') / current_setting('block_size')::int / 2")
    return f"ctid < '({middle},0)'", f"ctid >= '({middle},0)'"
