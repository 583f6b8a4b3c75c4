"""Running a work as a job, for the peers that do."""
PHASES = ("plan_ms", "read_ms", "write_ms", "checkpoint_ms", "commit_ms")


def run(bench, work, **arguments):
    given = "".join(f", {name} => {value}" for name, value in arguments.items())
    bench.session.rows(f"CALL stride.run($job${work.statement}$job${given}, if_exists => 'new')")


def note(bench):
    """The newest job's chunks, and where its workers' time went."""
    row = bench.session.rows(f"SELECT chunks, {', '.join(PHASES)} FROM stride.jobs ORDER BY job_id DESC LIMIT 1")[0]
    times = [float(text) for text in row[1:]]
    shares = " / ".join(f"{100 * part / sum(times):.1f}" for part in times)
    return f"{row[0]} ({shares})"
