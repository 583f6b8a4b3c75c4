"""The work that peers are given: one statement over one walked table, in the parts from which each peer puts together its own
way of doing it, and the query that tells what was left behind."""
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Work:
    """The statement is `into`, `body`, the conditions and `ending`; the key of the walked table is id, from 1 on."""
    kind: str
    rows: int               # how many rows of the walked table, those of the smallest ids
    walked: str
    body: str               # an UPDATE, a DELETE, or the SELECT of an INSERT
    prepare: tuple          # puts the tables into the state before, one command each
    into: str = ""
    where: tuple = ()       # conditions, all of which hold
    ending: str = ""        # ON CONFLICT ..
    indexes: tuple = ()     # gives a bare copy of the target the indexes that it is to have
    pipeline: str = ""      # the arguments of stride.run_pipeline that do the same over all rows

    def query(self, *conditions):
        """The body over the rows of the walked table for which the conditions hold as well."""
        where = " AND ".join((*self.where, *conditions))
        return f"{self.body} WHERE {where}" if where else self.body

    def over(self, *conditions):
        """The whole statement over such rows."""
        return self.into + self.query(*conditions) + self.ending

    @property
    def statement(self):
        return self.over()

    def first(self, rows):
        """The same over the first rows only."""
        return self if rows >= self.rows else replace(self, rows=rows, where=(*self.where, f"id <= {rows}"))

    def part(self, number, parts):
        """The same over one of several equal ranges of ids."""
        low, high = (self.rows * edge // parts for edge in (number, number + 1))
        return replace(self, rows=high - low, where=(*self.where, f"id > {low}", f"id <= {high}"))

    # Of every column of every row, in any order; and the indexes that can be used.
    check = """SELECT count(*), sum(hash_record_extended(t, 0)),
                      (SELECT count(*) FROM pg_index WHERE indrelid = 'target'::regclass AND indisvalid)
               FROM target AS t"""
