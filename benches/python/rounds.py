"""Rounds of contenders on one thread: interleaved, timed, summarised by medians, printed as a table."""

from __future__ import annotations

import os
import time
from statistics import median
from typing import TYPE_CHECKING, TypeVar

import record
from rich.console import Console
from rich.progress import track
from rich.table import Table
from worker import VERSION, Timing

if TYPE_CHECKING:
    from collections.abc import Callable

OFFICIAL = f"official {VERSION}"
console = Console()
T = TypeVar("T")


def pin_to_one_core() -> None:
    """Keep this thread, and the threads and processes it starts from now on, on one core (where the system can)."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def timed(run: Callable[[], T], size: Callable[[T], int]) -> Timing:
    """Time `run` alone, in wall time and in processor time of all threads of this process."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Timing(wall, cpu, size(result))


def interleave(
    contenders: dict[str, Callable[[], Timing]],
    size: int,
    rounds: int,
    label: str,
    *,
    cold: frozenset[str] = frozenset(),
) -> dict[str, list[Timing]]:
    """Time `rounds` rounds, each in the other direction than the one before; all must write `size` bytes.

    Each run follows an untimed one of the same contender, but for those that are `cold`, so that it finds the caches as
    it leaves them itself: as in the middle of a large frame, and not as another contender leaves them.
    """
    timings: dict[str, list[Timing]] = {contender: [] for contender in contenders}
    order = list(contenders)
    for number in track(range(rounds + 1), label, console=console, transient=True):
        for contender in order:
            if contender not in cold:
                contenders[contender]()
            timing = contenders[contender]()
            assert timing.size == size, f"{contender} wrote {timing.size} bytes instead of {size}"
            if number > 0:  # the first round only warms up
                timings[contender].append(timing)
        order.reverse()
    return timings


def summarise(
    bench: str, name: str, protocol: int, rows: int, timings: dict[str, list[Timing]]
) -> list[record.Measurement]:
    """Take the median of each contender, and say how many times the official client's they are."""
    seconds = {contender: median(run.seconds for run in runs) for contender, runs in timings.items()}
    return [
        record.Measurement(
            bench=bench,
            frame=name,
            protocol=protocol,
            contender=contender,
            rows=rows,
            rows_per_second=rows / seconds[contender],
            bytes_per_second=runs[0].size / seconds[contender],
            ratio=seconds[OFFICIAL] / seconds[contender],
            rounds=len(runs),
        )
        for contender, runs in timings.items()
    ]


def report(what: str, measured: list[record.Measurement], timings: dict[str, list[Timing]]) -> None:
    """Print one table: medians, and the fastest and slowest round of each contender."""
    first = measured[0]
    width = timings[first.contender][0].size / first.rows
    table = Table(
        title=f"{what}, protocol v{first.protocol}: {first.rows:,} rows of {width:.1f} bytes, one thread, medians of "
        f"{first.rounds} interleaved rounds",
        title_justify="left",
    )
    for heading in ("contender", "M rows/s", "MB/s", "ns/row", "M rows/s, slowest to fastest", "times official"):
        table.add_column(heading, justify="left" if heading == "contender" else "right")
    for result in measured:
        speeds = sorted(result.rows / run.seconds / 1e6 for run in timings[result.contender])
        table.add_row(
            result.contender,
            f"{result.rows_per_second / 1e6:.2f}",
            f"{result.bytes_per_second / 1e6:,.0f}",
            f"{1e9 / result.rows_per_second:.1f}",
            f"{speeds[0]:.2f} to {speeds[-1]:.2f}",
            f"{result.ratio:.2f}",
        )
    console.print(table)
