"""A connection: one psql that lives as long as the session, fed through a pipe."""
import subprocess
import tempfile
import time


class Session:
    END = "--end of answer--"

    def __init__(self, database):
        self.errors = tempfile.TemporaryFile("w+")
        self.psql = subprocess.Popen(
            ["psql", "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", database],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.pid = int(self.value("SELECT pg_backend_pid()"))

    def send(self, sql):
        self.sent = sql
        self.psql.stdin.write(f"{sql};\n\\echo {self.END}\n")
        self.psql.stdin.flush()

    def answer(self):
        """The rows that the commands sent last return, each a list of texts; an error ends the benchmark."""
        rows = []
        for line in self.psql.stdout:
            line = line.rstrip("\n")
            if line == self.END:
                return rows
            rows.append(line.split("\t"))
        self.errors.seek(0)
        raise RuntimeError(f"psql stopped at: {self.sent}\n{self.errors.read()}")

    def rows(self, sql):
        self.send(sql)
        return self.answer()

    def value(self, sql):
        return self.rows(sql)[-1][0]

    def timed(self, sql):
        """Seconds from sending a command to having its whole answer."""
        start = time.perf_counter()
        self.rows(sql)
        return time.perf_counter() - start

    def close(self):
        self.psql.stdin.close()
        self.psql.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
