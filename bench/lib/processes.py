"""Our processes in /proc: their private memory over time, their processor time and their wake-ups."""
import re
import threading
import time
from pathlib import Path

SAMPLE_SECONDS = 0.01
LOOK_SECONDS = 0.05  # how often new processes are looked for

KINDS = re.compile(rb"pg_stride (launcher|scheduler|worker|reader)")


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


def ours(postmaster):
    """pid -> kind of our processes under a postmaster, by their titles."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            title = KINDS.search(path.read_bytes())
        except OSError:
            continue
        if title and status(path.parent.name, "PPid") == postmaster:
            found[int(path.parent.name)] = title.group(1).decode()
    return found


class Sampler:
    """Samples the private memory of our processes, and of one more if given, from `with` to its end.

    series maps (kind, pid) to the list of samples in MB.
    """

    def __init__(self, postmaster, backend):
        self.postmaster = postmaster
        self.known = {backend: "backend"}
        self.series = {}
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        next_look = 0
        while not self.over.wait(SAMPLE_SECONDS):
            if time.monotonic() >= next_look:
                self.known.update(ours(self.postmaster))
                next_look = time.monotonic() + LOOK_SECONDS
            for pid, kind in list(self.known.items()):
                memory = private_memory(pid)
                if memory is None:
                    del self.known[pid]
                else:
                    self.series.setdefault((kind, pid), []).append(memory)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def of(self, kind):
        return [samples for (found, _), samples in self.series.items() if found == kind]
