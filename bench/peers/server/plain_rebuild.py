"""The statement between a DROP INDEX of the secondary indexes and their CREATE INDEX, one after the other, by hand."""
TITLE = "plain statement, secondary indexes dropped and created again"


def run(bench, work):
    found = bench.session.rows("SELECT indexrelid::regclass, pg_get_indexdef(indexrelid) FROM pg_index"
                               " WHERE indrelid = 'target'::regclass AND NOT indisunique")
    drops = [f"DROP INDEX {name}" for name, _ in found]
    bench.session.rows("; ".join((*drops, work.statement, *(definition for _, definition in found))))
