"""psql COPY | psql COPY."""
import shlex
import subprocess

from .bench import DATABASE


def copy(*queries):
    """Copies what each query finds into the target, all at the same time."""
    shells = []
    for query in queries:
        out, into = (f"psql -Xq -d {DATABASE} -c {shlex.quote(command)}" for command in (
            f"COPY ({query}) TO STDOUT (FORMAT binary)", "COPY target FROM STDIN (FORMAT binary)"))
        shells.append(subprocess.Popen(["bash", "-c", f"set -o pipefail; {out} | {into}"]))
    if any([shell.wait() for shell in shells]):
        raise RuntimeError(f"a pipe failed: {queries}")
