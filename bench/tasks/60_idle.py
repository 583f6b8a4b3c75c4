"""What an installation costs in which nothing runs."""
import time

from lib.figures import table
from lib.processes import private_memory, processor_times, status

TITLE = "An idle installation"
MINUTES = "1"
SECONDS = 20


def run(bench):
    session = bench.session
    session.rows("DROP TABLE IF EXISTS small; CREATE TABLE small (id bigint PRIMARY KEY, n bigint NOT NULL);"
                 "INSERT INTO small VALUES (1, 0); CALL stride.run('UPDATE small SET n = n + 1', if_exists => 'new')")
    start = time.monotonic()
    bench.wait_until_quiet()
    quiet = time.monotonic() - start

    mine = session.value("SELECT count(*) FROM pg_stat_activity"
                         " WHERE datname = current_database() AND backend_type LIKE 'pg_stride%'")
    held = session.value("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'pg_stride%'"
                         " AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)")
    processes = bench.family.ours()
    (launcher,) = [pid for pid, kind in processes.items() if kind == "launcher"]
    bench.tell(f"watching the launcher for {SECONDS} s")
    before = processor_times(launcher)[0], status(launcher, "voluntary_ctxt_switches")
    time.sleep(SECONDS)
    used = processor_times(launcher)[0] - before[0]
    wakes = status(launcher, "voluntary_ctxt_switches") - before[1]
    return table(["what", "is"], [
        ["our processes in the database", mine],
        ["our processes in the whole cluster", f"{len(processes)}: {', '.join(sorted(processes.values()))}"],
        ["of these, with a transaction or a snapshot", held],
        ["from the end of the last job to that", f"{quiet * 1000:.0f} ms"],
        [f"launcher: processor time in {SECONDS} s", f"{used * 1000:.0f} ms"],
        [f"launcher: wake-ups in {SECONDS} s", wakes],
        ["launcher: private memory", f"{private_memory(launcher):.1f} MB"]])
