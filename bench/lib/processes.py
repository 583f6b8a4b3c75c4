"""Our processes in /proc: their private memory over time, their processor time and their wake-ups."""
import re
import threading
from pathlib import Path

SAMPLE_SECONDS = 0.01
TITLE = re.compile(rb"^postgres: (?:pg_stride (launcher|scheduler|worker|reader)|.)")


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


def processor_time(pid):
    """Clock ticks of user and system time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def kind_of(pid):
    """launcher, scheduler, worker or reader; "" for a process of others; None while it has no title yet, or no more."""
    try:
        title = TITLE.match(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return None
    return (title.group(1) or b"").decode() if title else None


class Family:
    """The processes under a postmaster; each is looked at until it has a title."""

    def __init__(self, postmaster):
        self.children = Path(f"/proc/{postmaster}/task/{postmaster}/children")
        self.kinds = {}

    def ours(self):
        """pid -> kind of the processes of pg_stride that live now."""
        alive = [int(text) for text in self.children.read_text().split()]
        self.kinds = {pid: self.kinds[pid] if self.kinds.get(pid) is not None else kind_of(pid) for pid in alive}
        return {pid: kind for pid, kind in self.kinds.items() if kind}


class Sampler:
    """Samples the private memory of our processes, and of one backend, from `with` to its end.

    series maps (kind, pid) to the list of samples in MB.
    """

    def __init__(self, postmaster, backend):
        self.family = Family(postmaster)
        self.backend = backend
        self.series = {}
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.over.wait(SAMPLE_SECONDS):
            for pid, kind in [(self.backend, "backend"), *self.family.ours().items()]:
                memory = private_memory(pid)
                if memory is not None:
                    self.series.setdefault((kind, pid), []).append(memory)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def of(self, kind):
        return [samples for (found, _), samples in self.series.items() if found == kind]
