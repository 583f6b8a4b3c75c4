"""The page of figures: a section a task and number of rows, of which a run replaces those that it has measured anew.

The sections stand between two markers, in the order of the tasks and of the rows; the rest of the page is written by hand.
"""
import re

BEGIN, END = "<!-- figures: bench/run --write-docs replaces them -->", "<!-- end of figures -->"
SECTION = re.compile(r"<!-- section (\S+) (\d+) -->\n(.*?)(?=<!-- section |\Z)", re.DOTALL)


class Page:
    def __init__(self, path, order):
        self.path = path
        self.order = order  # the names of all sections, first to last
        text = path.read_text() if path.exists() else f"{BEGIN}\n{END}\n"
        self.before, figures, self.after = re.fullmatch(f"(.*{BEGIN}\n)(.*)({END}.*)", text, re.DOTALL).groups()
        self.sections = {(name, int(rows)): body.strip() for name, rows, body in SECTION.findall(figures)}

    def put(self, name, rows, body):
        """Writes the page with one more section; rows is 0 where the section has no number of rows."""
        self.sections[name, rows] = body.strip()
        kept = sorted((key for key in self.sections if key[0] in self.order), key=lambda key: (self.order.index(key[0]), key[1]))
        figures = "".join(f"<!-- section {name} {rows} -->\n\n{self.sections[name, rows]}\n\n" for name, rows in kept)
        self.path.write_text(f"{self.before}{figures}{self.after}")

    def of(self, name):
        """rows -> the section, for one name."""
        return {rows: body for (found, rows), body in sorted(self.sections.items()) if found == name}
