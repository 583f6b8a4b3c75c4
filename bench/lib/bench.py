"""What the tasks share: the options, the database, the peers, and interleaved rounds."""
import importlib.util
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass

from .processes import Family
from .session import Session

DATABASE = "bench"
LIMIT_SECONDS = 60
BASE = "plain"  # the peer that the others are compared with


def load(path):
    """A task or a peer, from its file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Run:
    """One run of one peer over the first `rows` rows of a work; its figures are for these rows."""
    rows: int
    measured: float     # seconds
    scale: float        # how many times as many rows the whole work has
    wal_bytes: int
    server_cpu: float   # seconds of processor time, those of the server's processes that worked for it
    client_cpu: float   # and those of programs outside
    note: str           # what the peer has to say about it

    @property
    def seconds(self):
        """Of the whole work: extrapolated where not all of it was run."""
        return self.measured * self.scale


class Bench:
    def __init__(self, here, given):
        self.here = here
        self.rounds = int(given.rounds)
        self.minutes = float(given.minutes)
        self.wanted_peers = set(given.peers.split())
        self.postmaster = int(given.postmaster)
        self.family = Family(self.postmaster)
        with Session("postgres") as admin:
            admin.rows(f"CREATE DATABASE {DATABASE}")
        self.session = self.connect()
        self.session.rows("CREATE EXTENSION pg_stride; CREATE EXTENSION dblink")
        self.tables = {}
        self.answers = {}
        self.comparisons = {}  # (task, rows) -> what it found, for goals that look at two sizes

    def tell(self, text):
        print(text, file=sys.stderr, flush=True)

    def connect(self):
        session = Session(DATABASE)
        session.rows("SET stride.progress_interval = 0; SET client_min_messages = warning")
        return session

    def path(self, name):
        (path,) = self.here.glob(f"peers/*/{name}.py")
        return path

    def peer(self, name):
        return load(self.path(name))

    def chosen(self, names):
        """Those peers that are wanted by the command line; the base stays."""
        return [name for name in names if not self.wanted_peers or name == BASE or name in self.wanted_peers]

    def table(self, make, rows):
        """The name of a source table of that many rows, made at its first use."""
        if (make, rows) not in self.tables:
            self.tell(f"loading {rows} rows: {make.__doc__.splitlines()[0]}")
            self.tables[make, rows] = make(self.session, rows)
        return self.tables[make, rows]

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

    def expected(self, work):
        """What the plain statement leaves behind; it also warms the caches."""
        if (work.prepare, work.statement) not in self.answers:
            self.prepare(work)
            self.session.rows(work.statement)
            self.answers[work.prepare, work.statement] = self.session.rows(work.check)
        return self.answers[work.prepare, work.statement]

    def run(self, peer, work):
        """Runs the work once, or as much of it as the peer is given, and sees that it was done."""
        given = work.first(getattr(peer, "MOST_ROWS", work.rows))
        expected = self.expected(given)
        self.prepare(given)
        lsn = self.session.value("SELECT pg_current_wal_insert_lsn()")
        before = self.family.processor_time(), sum(os.times()[2:4])
        start = time.perf_counter()
        # A peer whose programs must start and connect first returns the seconds that count.
        seconds = peer.run(self, given) or time.perf_counter() - start
        self.wait_until_quiet()
        after = self.family.processor_time(), sum(os.times()[2:4])
        wal_bytes = int(self.session.value(f"SELECT pg_current_wal_insert_lsn() - '{lsn}'::pg_lsn"))
        found = self.session.rows(given.check)
        if found != expected:
            raise RuntimeError(f"{peer.TITLE} left {found}, not {expected}: {given.statement}")
        return Run(given.rows, seconds, work.rows / given.rows, wal_bytes, after[0] - before[0], after[1] - before[1],
                   peer.note(self) if hasattr(peer, "note") else "")

    def interleave(self, names, work):
        """Runs each peer once a round, each round with another one first: peer -> its runs.

        A round is always whole; none begins after the minutes that a task is given.
        """
        peers = {name: self.peer(name) for name in names}
        runs = {name: [] for name in names}
        end = time.monotonic() + 60 * self.minutes
        for turn in range(self.rounds):
            if turn > 0 and time.monotonic() > end:
                break
            for step in range(len(names)):
                name = names[(turn + step) % len(names)]
                runs[name].append(self.run(peers[name], work))
                self.tell(f"{work.kind} {work.rows} rows, round {turn + 1}: {peers[name].TITLE}:"
                          f" {runs[name][-1].seconds:.2f} s")
        return {name: (peers[name], runs[name]) for name in names}
