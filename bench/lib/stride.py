"""Running a work as a job, from its statement or as a pipeline, for the peers that do."""


def run(bench, work, **arguments):
    given = "".join(f", {name} => {value}" for name, value in arguments.items())
    bench.session.rows(f"CALL stride.run($job${work.statement}$job${given}, if_exists => 'new')")


def run_pipeline(bench, work, **arguments):
    given = "".join(f", {name} => {value}" for name, value in arguments.items())
    bench.session.rows(f"CALL stride.run_pipeline('target', {work.pipeline}{given}, if_exists => 'new')")


def note(bench):
    """The newest job's chunks, and where its workers' time went, in %."""
    session = bench.session
    columns = [row[0] for row in session.rows(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'stride.jobs'::regclass AND attname LIKE '%\\_ms' ORDER BY attnum")]
    chunks, *times = session.rows(f"SELECT chunks, {', '.join(columns)} FROM stride.jobs ORDER BY job_id DESC LIMIT 1")[0]
    times = {column.removesuffix("_ms"): float(text or 0) for column, text in zip(columns, times)}
    whole = sum(times.values()) or 1
    shares = ", ".join(f"{phase} {100 * part / whole:.0f}" for phase, part in times.items() if part >= whole / 200)
    return f"{chunks} chunks; {shares} %"
