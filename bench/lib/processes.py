"""Processes in /proc, those of the server and those of the clients: private memory over time, processor time, wake-ups."""
import os
import re
import threading
import time
from pathlib import Path

SAMPLE_SECONDS = 0.01
SETTLE_SECONDS = 10
TICK = 1 / os.sysconf("SC_CLK_TCK")
TITLE = re.compile(rb"^postgres: (?:pg_stride (launcher|scheduler|worker|reader|keeper)|(parallel worker)|\S+ (bench) |.)")
OF_CLIENT = "client"
OF_BACKEND = "backend"
OF_PARALLEL = "parallel worker"
OF_LAUNCHER = "launcher"


def status(pid, field):
    """A number of /proc/<pid>/status; None once the process is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    found = re.search(rf"^{field}:\s+(\d+)", text, re.MULTILINE)
    return int(found.group(1)) if found else None


def private_memory(pid):
    """RssAnon in MB: what is the process's own; None once it is gone."""
    kilobytes = status(pid, "RssAnon")
    return None if kilobytes is None else kilobytes / 1024


def processor_times(pid):
    """Seconds of user and system time: its own, and those of its children that have ended; zeros once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0, 0
    own, children = (TICK * (int(fields[i]) + int(fields[i + 1])) for i in (11, 13))
    return own, children


def children(pid):
    """The processes that it started and that live; none once it is gone."""
    try:
        return [int(text) for path in Path(f"/proc/{pid}/task").glob("*/children") for text in path.read_text().split()]
    except OSError:
        return []


def descendants(pid):
    return [found for child in children(pid) for found in (child, *descendants(child))]


def kind_of(pid):
    """launcher, scheduler, worker, reader, keeper, backend or parallel worker; "" for other processes of the server; None while it has
    no title yet, or no more."""
    try:
        title = TITLE.match(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return None
    if not title:
        return None
    return (title.group(1) or title.group(2) or (title.group(3) and OF_BACKEND.encode()) or b"").decode()


class Family:
    """The processes under a postmaster; each is looked at until it has a title."""

    def __init__(self, postmaster):
        self.postmaster = postmaster
        self.kinds = {}

    def workers(self):
        """pid -> kind of those that live now, without the server's own housekeepers."""
        self.kinds = {pid: self.kinds[pid] if self.kinds.get(pid) is not None else kind_of(pid)
                      for pid in children(self.postmaster)}
        return {pid: kind for pid, kind in self.kinds.items() if kind}

    def ours(self):
        """pid -> kind of the processes of pg_stride that live now."""
        return {pid: kind for pid, kind in self.workers().items() if kind not in (OF_BACKEND, OF_PARALLEL)}

    def processor_time(self):
        """Seconds that backends and workers have used since the server's start: those that live, and those that ended."""
        limit = time.monotonic() + SETTLE_SECONDS
        self.workers()
        # One that is ending has no title any more, until the postmaster counts it with those that ended.
        while None in self.kinds.values() and time.monotonic() < limit:
            time.sleep(SAMPLE_SECONDS / 10)
            self.workers()
        return processor_times(self.postmaster)[1] + sum(processor_times(pid)[0] for pid in self.workers())


class Sampler:
    """Samples the private memory of the processes that work, from `with` to its end: those of the server, and our own
    descendants.  Of those that were there before, only one backend and the launcher are watched.

    series maps (kind, pid) to the list of samples in MB; totals has the sum of all but the launcher's, at each moment.
    """

    def __init__(self, postmaster, backend):
        self.family = Family(postmaster)
        self.idle = {pid for pid, kind in self.family.workers().items() if kind != OF_LAUNCHER and pid != backend}
        self.idle.update(descendants(os.getpid()))
        self.series = {}
        self.totals = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.over.wait(SAMPLE_SECONDS):
            clients = {pid: OF_CLIENT for pid in descendants(os.getpid())}
            self.totals.append(0)
            for pid, kind in {**self.family.workers(), **clients}.items():
                memory = None if pid in self.idle else private_memory(pid)
                if memory is not None:
                    self.series.setdefault((kind, pid), []).append(memory)
                    self.totals[-1] += memory if kind != OF_LAUNCHER else 0

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def of(self, kind):
        return [samples for (found, _), samples in self.series.items() if found == kind]

    def peak(self):
        """The most that all processes that worked had together."""
        return max(self.totals, default=0)
