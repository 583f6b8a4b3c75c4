"""What the tasks share: the options, the database, the peers, and interleaved rounds."""
import importlib.util
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass

from .session import Session
from .work import make_source

DATABASE = "bench"
LIMIT_SECONDS = 60


def load(path):
    """A task or a peer, from its file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Run:
    """One run of one peer."""
    seconds: float
    wal_bytes: int
    note: str  # what the peer has to say about it


class Bench:
    def __init__(self, here, rows, rounds, postmaster):
        self.here = here
        self.rows = rows
        self.rounds = rounds
        self.postmaster = postmaster
        with Session("postgres") as admin:
            admin.rows(f"CREATE DATABASE {DATABASE}")
        self.session = self.connect()
        self.session.rows("CREATE EXTENSION pg_stride")
        self.sources = {}

    def tell(self, text):
        print(text, file=sys.stderr, flush=True)

    def connect(self):
        session = Session(DATABASE)
        session.rows("SET stride.progress_interval = 0; SET client_min_messages = warning")
        return session

    def peer(self, name):
        return load(self.here / "peers" / f"{name}.py")

    def source(self, rows):
        """The name of the source table of that many rows, made at its first use."""
        if rows not in self.sources:
            self.tell(f"loading {rows} rows")
            self.sources[rows] = make_source(self.session, rows)
        return self.sources[rows]

    @contextmanager
    def using(self, session):
        """Lets peers work by another session meanwhile."""
        previous, self.session = self.session, session
        yield
        self.session = previous

    def wait_until(self, condition):
        """Waits until an SQL condition holds."""
        limit = time.monotonic() + LIMIT_SECONDS
        while self.session.value(f"SELECT {condition}") != "t":
            if time.monotonic() > limit:
                raise RuntimeError(f"still not so after {LIMIT_SECONDS} s: {condition}")
            time.sleep(0.002)

    def wait_until_quiet(self):
        """Waits until the database has no process of ours."""
        self.wait_until("NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
                        " AND backend_type LIKE 'pg_stride%')")

    def prepare(self, work):
        """Puts the tables into the state before, with all pages clean."""
        for sql in work.prepare:
            self.session.rows(sql)
        self.session.rows("CHECKPOINT")

    def run(self, peer, work):
        """Runs the work once, and sees that it was done."""
        self.prepare(work)
        before = self.session.value("SELECT pg_current_wal_insert_lsn()")
        start = time.perf_counter()
        peer.run(self, work)
        seconds = time.perf_counter() - start
        wal_bytes = int(self.session.value(f"SELECT pg_current_wal_insert_lsn() - '{before}'::pg_lsn"))
        found = self.session.rows(work.check)
        if found != work.expected:
            raise RuntimeError(f"{peer.TITLE} left {found}, not {work.expected}: {work.statement}")
        return Run(seconds, wal_bytes, peer.note(self) if hasattr(peer, "note") else "")

    def interleave(self, names, work):
        """Runs each peer once a round, each round with another one first: a list of (peer, its runs)."""
        peers = [self.peer(name) for name in names]
        runs = [[] for _ in peers]
        for turn in range(self.rounds):
            for step in range(len(peers)):
                chosen = (turn + step) % len(peers)
                runs[chosen].append(self.run(peers[chosen], work))
                self.tell(f"{work.kind} {work.rows} rows, round {turn + 1}: {peers[chosen].TITLE}:"
                          f" {runs[chosen][-1].seconds:.2f} s")
        return list(zip(peers, runs))
