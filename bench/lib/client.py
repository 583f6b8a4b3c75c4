"""Peers outside the server: programs in processes of their own, written as an application would write them.

A file of peers/client that has one defines program(work, gate): it connects, waits at the gate, and does the work.
"""
import hashlib
import multiprocessing
import time
from decimal import Decimal
from pathlib import Path

from .bench import DATABASE, load

CONNECT_SECONDS = 60
DSN = f"dbname={DATABASE}"
READ = "SELECT id, customer, amount, payload, created_at FROM"
PAGE = 1000  # rows a round trip and a commit


def read(work):
    """The rows of the walked table as they are; the program transforms them."""
    return f"{READ} {work.walked}" + (f" WHERE {' AND '.join(work.where)}" if work.where else "")


def transform(row, as_json):
    """What the statement does with a row."""
    key, customer, amount, payload, created_at = row
    return (key, customer.upper(), amount * Decimal("1.19") + 1, payload["sku"],
            hashlib.md5(f"{customer}{key}".encode()).hexdigest(), as_json(payload), created_at)


def child(path, work, gate):
    load(path).program(work, gate)


def run(path, work, processes=1):
    """Starts the programs, each with its part of the work; seconds from when all are connected until all have ended."""
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(processes + 1)
    parts = [work if processes == 1 else work.part(number, processes) for number in range(processes)]
    programs = [context.Process(target=child, args=(Path(path), part, gate)) for part in parts]
    for program in programs:
        program.start()
    gate.wait(CONNECT_SECONDS)
    start = time.perf_counter()
    for program in programs:
        program.join()
    seconds = time.perf_counter() - start
    if any(program.exitcode != 0 for program in programs):
        raise RuntimeError(f"a program of {Path(path).name} failed")
    return seconds
