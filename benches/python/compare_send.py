"""End to end, until the rows can be queried: questframe's `client.write` against the official `Sender.dataframe`.

Both write the same rows over HTTP into one embedded QuestDB, each into a fresh table made beforehand with the same
statement, with its own defaults, over a connection opened beforehand. The clock runs from the call until the server
counts every row. Then rows, sums, times and symbols are checked in SQL against the frame, and the table is dropped.

The frames are `trades` and `tsbs` (`data.py`), sorted by time, and `trades` in random order. The rounds are interleaved
after one warm-up round and change their order every time; medians are compared. Gate: at least 1.6 times the official
client on both sorted frames (the server, not the client, limits both); the unsorted frame is only reported. The exit
status is 1 when a gate fails. Bytes are those of our requests; the official client writes the same rows in the same
bytes (`compare_encode.py` asserts that).

    python benches/python/compare_send.py [--rows N] [--rounds N] [--frames NAME ...] [--record] [--no-gates]
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import data
import numpy as np
import record
from rich.console import Console
from rich.progress import track
from rich.table import Table
from worker import VERSION, Official

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

OURS, OFFICIAL = "questframe", f"official {VERSION}"
GATE = 1.6
FRAMES = {"trades": ("trades", False), "tsbs": ("tsbs", False), "trades, unsorted": ("trades", True)}
GATED = ("trades", "tsbs")
VISIBLE_TIMEOUT = 300.0
console = Console()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rounds of one contender on one frame."""

    seconds: list[float]
    request_bytes: int
    protocol: int
    note: str


def main() -> None:
    """Run all frames against one server, print, record and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of each frame (default 1,000,000)")
    parser.add_argument("--rounds", type=int, default=6, help="timed rounds of each contender (default 6)")
    parser.add_argument("--frames", nargs="+", choices=FRAMES, default=list(FRAMES), help="which frames (default all)")
    parser.add_argument("--record", action="store_true", help="append the results to benches/record/")
    parser.add_argument("--no-gates", action="store_true", help="print, but always pass (for small --rows)")
    options = parser.parse_args()

    measurements: list[record.Measurement] = []
    failures = 0
    with qf.local.QuestDB() as server, Official() as official, qf.connect(server.conf) as client:
        protocol = official.connect(server.conf)
        for label in options.frames:
            name, shuffled = FRAMES[label]
            dataset = data.make(name, options.rows, shuffled=shuffled)
            official.load(name, options.rows, shuffled=shuffled)
            outcomes = compare(
                server,
                client,
                official,
                dataset,
                prefix=f"{name}_any" if shuffled else name,
                official_protocol=protocol,
                rounds=options.rounds,
            )
            measured = summarise(label, options.rows, outcomes)
            report(measured, outcomes)
            measurements += measured
            failures += judge(measured[0])
        if options.record:
            console.print(f"recorded in {record.append(measurements, official.versions)}")
    sys.exit(1 if failures and not options.no_gates else 0)


def compare(
    server: qf.local.QuestDB,
    client: qf.Client,
    official: Official,
    dataset: data.Dataset,
    *,
    prefix: str,
    official_protocol: int,
    rounds: int,
) -> dict[str, Outcome]:
    """Time `rounds` interleaved rounds, every one into a table of its own, every one checked.

    No table name is used twice: QuestDB 9.3.4 acknowledges and loses the first rows that a kept connection sends to a
    table dropped and made again under the same name.
    """
    frame = dataset.to_polars()
    reports: list[qf.WriteReport] = []

    def ours(table: str) -> None:
        reports.append(client.write(frame, table=table, at=data.AT))

    contenders: dict[str, Callable[[str], object]] = {OURS: ours, OFFICIAL: official.send}
    seconds: dict[str, list[float]] = {contender: [] for contender in contenders}
    order = list(contenders)
    for number in track(range(rounds + 1), prefix, console=console, transient=True):
        for contender in order:
            table = f"{prefix}_{'q' if contender == OURS else 'o'}{number:02}"  # equally long: equal bytes
            taken = write_and_check(server, contenders[contender], table, dataset)
            if number > 0:  # the first round only warms up
                seconds[contender].append(taken)
        order.reverse()
    last = reports[-1]
    note = f"{last.requests} requests, {sum(report.retries for report in reports)} retries in all rounds"
    return {
        OURS: Outcome(seconds[OURS], last.bytes, last.protocol_version, note),
        OFFICIAL: Outcome(seconds[OFFICIAL], last.bytes, official_protocol, "a request every 75,000 rows or 1 s"),
    }


def write_and_check(
    server: qf.local.QuestDB, write: Callable[[str], object], table: str, dataset: data.Dataset
) -> float:
    """Measure the seconds from the call until all rows are visible; the table is made and dropped outside of them."""
    server.sql(create_table(table, dataset))
    start = time.perf_counter()
    write(table)
    wait_visible(server, table, dataset.rows)
    taken = time.perf_counter() - start
    check(server, table, dataset)
    server.sql(f"DROP TABLE {table}")
    return taken


def wait_visible(server: qf.local.QuestDB, table: str, rows: int) -> None:
    """Ask for the row count every 5 ms (`server.wait_visible` asks ever less often, which would blur the times)."""
    deadline = time.monotonic() + VISIBLE_TIMEOUT
    while server.sql(f"SELECT count() FROM {table}").scalar() < rows:
        if time.monotonic() > deadline:
            server.wait_visible(table, rows=rows, timeout=1)  # raises, and says why
        time.sleep(0.005)


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


def summarise(label: str, rows: int, outcomes: dict[str, Outcome]) -> list[record.Measurement]:
    """Take the median of each contender, ours first, and say how many times the official client's they are."""
    seconds = {contender: median(outcome.seconds) for contender, outcome in outcomes.items()}
    return [
        record.Measurement(
            bench="send until visible",
            frame=label,
            protocol=outcome.protocol,
            contender=contender,
            rows=rows,
            rows_per_second=rows / seconds[contender],
            bytes_per_second=outcome.request_bytes / seconds[contender],
            ratio=seconds[OFFICIAL] / seconds[contender],
            rounds=len(outcome.seconds),
        )
        for contender, outcome in outcomes.items()
    ]


def report(measured: list[record.Measurement], outcomes: dict[str, Outcome]) -> None:
    """Print one table: medians, and the slowest and fastest round of each contender."""
    first = measured[0]
    table = Table(
        title=f"{first.frame}: {first.rows:,} rows, {outcomes[OURS].request_bytes / 1e6:,.1f} MB, until visible, "
        f"medians of {first.rounds} interleaved rounds",
        title_justify="left",
    )
    headings = ("contender", "protocol", "M rows/s", "MB/s", "M rows/s, slowest to fastest", "times official", "note")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in {"contender", "note"} else "right")
    for result in measured:
        speeds = sorted(result.rows / seconds / 1e6 for seconds in outcomes[result.contender].seconds)
        table.add_row(
            result.contender,
            f"v{result.protocol}",
            f"{result.rows_per_second / 1e6:.3f}",
            f"{result.bytes_per_second / 1e6:,.0f}",
            f"{speeds[0]:.3f} to {speeds[-1]:.3f}",
            f"{result.ratio:.2f}",
            outcomes[result.contender].note,
        )
    console.print(table)


def judge(ours: record.Measurement) -> int:
    """Print PASS or FAIL where the frame has a gate. Gives the number of FAILs."""
    if ours.frame not in GATED:
        console.print(f"[dim]no gate[/] {ours.frame}: {ours.ratio:.2f} times the official client\n")
        return 0
    passed = ours.ratio >= GATE
    verdict = f"[bold {'green' if passed else 'red'}]{'PASS' if passed else 'FAIL'}[/]"
    console.print(f"{verdict} {ours.frame}: {ours.ratio:.2f} times the official client (at least {GATE:g})\n")
    return 0 if passed else 1


if __name__ == "__main__":
    main()
