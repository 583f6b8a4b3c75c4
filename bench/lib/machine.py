"""The machine, the versions and the settings, as a Markdown table."""
import os
import platform
import re
import subprocess
from pathlib import Path

from .figures import table

SETTINGS = ("shared_buffers", "max_wal_size", "wal_level", "fsync", "synchronous_commit", "full_page_writes", "autovacuum",
            "jit", "stride.chunk_time")


def line(path, pattern):
    """The first match's group in a file of /proc."""
    found = re.search(pattern, Path(path).read_text(), re.MULTILINE)
    return found.group(1).strip() if found else "unknown"


def fsync_time(scratch):
    """Microseconds of a write of 8 kB with fdatasync."""
    answer = subprocess.run(["pg_test_fsync", "-s", "1", "-f", f"{scratch}/pg_test_fsync"], capture_output=True, text=True)
    found = re.search(r"^\s*fdatasync .*?(\d+) usecs/op", answer.stdout, re.MULTILINE)
    return f"{found.group(1)} µs" if found else "unknown"


def file_system(path):
    answer = subprocess.run(["findmnt", "-n", "-o", "FSTYPE", "-T", path], capture_output=True, text=True)
    return answer.stdout.strip()


def describe(bench, given):
    bench.tell("== the machine")
    memory = int(line("/proc/meminfo", r"^MemTotal:\s+(\d+)")) // 1024
    processor = line("/proc/cpuinfo", r"^model name\s*:(.*)")
    settings = [f"{name} {bench.session.value(f'SHOW {name}')}" for name in SETTINGS]
    return table(["what", "is"], [
        ["processor", f"{os.cpu_count()} x {processor}"],
        ["memory", f"{memory} MB"],
        ["disk", f"{file_system(given.scratch)}, write of 8 kB and fdatasync: {fsync_time(given.scratch)}"],
        ["load average", f"{os.getloadavg()[0]:.2f}"],
        ["kernel", platform.release()],
        ["PostgreSQL", bench.session.value("SHOW server_version")],
        ["compiler", given.compiler],
        ["pg_stride", f"{bench.session.value('SELECT extversion FROM pg_extension WHERE extname = $$pg_stride$$')},"
                      f" revision {given.revision}"],
        ["settings", ", ".join(settings)],
        ["rounds", f"{given.rounds}, interleaved"]])
