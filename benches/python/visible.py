"""What is timed until visible: a fresh table, rows written into it, all of them counted by the server, and checked."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import data
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import questframe as qf

TIMEOUT = 300.0
PAUSE = 0.005


def write_and_check(
    server: qf.local.QuestDB, write: Callable[[str], object], table: str, dataset: data.Dataset
) -> float:
    """Measure the seconds from the call until all rows are visible; the table is made and dropped outside of them."""
    server.sql(create_table(table, dataset))
    start = time.perf_counter()
    write(table)
    wait(server, table, dataset.rows)
    taken = time.perf_counter() - start
    check(server, table, dataset)
    server.sql(f"DROP TABLE {table}")
    return taken


def wait(server: qf.local.QuestDB, table: str, rows: int) -> None:
    """Ask for the row count every 5 ms (`server.wait_visible` asks ever less often, which would blur the times)."""
    deadline = time.monotonic() + TIMEOUT
    while server.sql(f"SELECT count() FROM {table}").scalar() < rows:
        if time.monotonic() > deadline:
            server.wait_visible(table, rows=rows, timeout=1)  # raises, and says why
        time.sleep(PAUSE)


def create_table(table: str, dataset: data.Dataset) -> str:
    """Write the statement for the table that ILP itself would make for this frame."""
    columns = [f"{name} SYMBOL" for name in dataset.symbols] + [f"{name} DOUBLE" for name in dataset.floats]
    return (
        f"CREATE TABLE {table} ({', '.join(columns)}, {data.AT} TIMESTAMP_NS) TIMESTAMP({data.AT}) PARTITION BY DAY WAL"
    )


def check(server: qf.local.QuestDB, table: str, dataset: data.Dataset) -> None:
    """Assert that the table holds the frame.

    Compared are rows, first and last time, and the sum of each float column, in total and for each value of each
    symbol column (so that values that landed in another row show).
    """
    sums = ", ".join(f"ksum({name})" for name in dataset.floats)
    times = f"count(), min({data.AT})::LONG, max({data.AT})::LONG"
    totals = [dataset.rows, dataset.at.min(), dataset.at.max(), *(values.sum() for values in dataset.floats.values())]
    same(table, server.sql(f"SELECT {times}, {sums} FROM {table}")[0], totals)
    for name, column in dataset.symbols.items():
        counts = np.bincount(column.codes, minlength=len(column.labels))
        weights = [np.bincount(column.codes, values, len(column.labels)) for values in dataset.floats.values()]
        wanted = dict(zip(column.labels, zip(counts, *weights, strict=True), strict=True))
        for label, *found in server.sql(f"SELECT {name}, count(), {sums} FROM {table}"):
            same(f"{table} {name}={label}", found, wanted.pop(label))
        assert not any(count for count, *_ in wanted.values()), f"{table}: no rows with {name} in {list(wanted)}"


def same(what: str, found: Iterable[float], wanted: Iterable[float]) -> None:
    """Assert equal numbers: integers exactly, sums of floats to 1e-9 of their size (the order of addition differs)."""
    for left, right in zip(found, wanted, strict=True):
        equal = math.isclose(left, right, rel_tol=1e-9) if isinstance(left, float) else left == right
        assert equal, f"{what}: {left} instead of {right}"
