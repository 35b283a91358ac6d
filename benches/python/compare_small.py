"""Small frames: how long a call takes until its rows are acknowledged, from the second call on.

Frames of 1 to 1,000 rows of `trades` (`data.py`) are written over and over over HTTP into one embedded QuestDB, each
contender into a table of its own: by `client.write`, by the official `Sender.dataframe` and `flush`, and as one request
that is ready (`replay.post`), which is the least that a call can take. Calls follow each other at once, and again with
a pause of 20 ms before each, in which somebody else could have dropped the table: then our client asks for it first.

Blocks of calls are interleaved and change their order every time; the first block only warms up. Medians of calls are
compared. Gates: at every size, with and without pauses, no slower than the official client. The exit status is 1 when
one fails.

    python benches/python/compare_small.py [--rounds N] [--record] [--no-gates]
"""

from __future__ import annotations

import argparse
import socket
import sys
import time
from statistics import median, quantiles
from typing import TYPE_CHECKING

import data
import record
import visible
from link import HOST
from replay import head_for, port_of, post, recorded
from rich.console import Console
from rich.progress import track
from rich.table import Table
from worker import VERSION, Official

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Callable

    Calls = Callable[[int, float], list[float]]

OURS, OFFICIAL, RAW = "questframe", f"official {VERSION}", "one request, ready"
SIZES = (1, 10, 100, 1_000)
PAUSES = {0.0: 200, 0.02: 25}  # seconds, and calls in a block
console = Console()


def main() -> None:
    """Run all sizes against one server, print, record and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6, help="timed blocks of calls of each contender (default 6)")
    parser.add_argument("--record", action="store_true", help="append the results to benches/record/")
    parser.add_argument("--no-gates", action="store_true", help="print, but always pass")
    options, _ = parser.parse_known_args()  # `make bench` hands --rows to all

    measurements: list[record.Measurement] = []
    failures = 0
    with qf.local.QuestDB() as server, Official() as official, qf.connect(server.conf) as client:
        protocol = official.connect(server.conf)
        table = heading()
        for pause in PAUSES:
            for rows in SIZES:
                contenders, size = line_up(server, client, official, rows, f"small_{rows}_{round(pause * 1000)}")
                seconds = interleave(contenders, pause, options.rounds)
                measured = summarise(rows, size, pause, protocol, seconds)
                add(table, measured, seconds)
                measurements += measured
                failures += measured[0].ratio < 1
        console.print(table)
        passed = not failures
        verdict = f"[bold {'green' if passed else 'red'}]{'PASS' if passed else 'FAIL'}[/]"
        console.print(f"{verdict} at every size no slower than the official client\n")
        if options.record:
            console.print(f"recorded in {record.append(measurements, official.versions)}")
    sys.exit(1 if failures and not options.no_gates else 0)


def line_up(
    server: qf.local.QuestDB, client: qf.Client, official: Official, rows: int, prefix: str
) -> tuple[dict[str, Calls], int]:
    """Make all contenders ready, each with a table of its own; gives the bytes of the frame, too."""
    dataset = data.make("trades", rows)
    frame = dataset.to_polars()
    tables = {contender: f"{prefix}_{letter}" for contender, letter in ((OURS, "q"), (OFFICIAL, "o"), (RAW, "r"))}
    for table in tables.values():
        server.sql(visible.create_table(table, dataset))
    lines, _ = recorded(server, frame, data.AT, tables[RAW])
    head, body = head_for(lines.head, len(lines.body)), memoryview(lines.body)
    connection = socket.create_connection((HOST, port_of(server)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    official.load("trades", rows)
    contenders: dict[str, Calls] = {
        OURS: lambda count, pause: each(lambda: client.write(frame, table=tables[OURS], at=data.AT), count, pause),
        OFFICIAL: lambda count, pause: official.calls(tables[OFFICIAL], count, pause),
        RAW: lambda count, pause: each(lambda: post(connection, head, body), count, pause),
    }
    return contenders, len(lines.body)


def each(call: Callable[[], object], count: int, pause: float) -> list[float]:
    """Make so many calls, a pause before each; gives the seconds of each."""
    seconds = []
    for _ in range(count):
        time.sleep(pause)
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


def interleave(contenders: dict[str, Calls], pause: float, rounds: int) -> dict[str, list[float]]:
    """Run blocks of calls in turn; the seconds of each call but those of the first blocks."""
    seconds: dict[str, list[float]] = {contender: [] for contender in contenders}
    order = list(contenders)
    for number in track(range(rounds + 1), "small frames", console=console, transient=True):
        for contender in order:
            taken = contenders[contender](PAUSES[pause], pause)
            if number > 0:
                seconds[contender] += taken
        order.reverse()
    return seconds


def summarise(
    rows: int, size: int, pause: float, protocol: int, seconds: dict[str, list[float]]
) -> list[record.Measurement]:
    """Take the median of each contender's calls, ours first."""
    medians = {contender: median(calls) for contender, calls in seconds.items()}
    return [
        record.Measurement(
            bench="small frames, a pause before each call" if pause else "small frames",
            frame="trades",
            protocol=protocol,
            contender=contender,
            rows=rows,
            rows_per_second=rows / taken,
            bytes_per_second=size / taken,
            ratio=medians[OFFICIAL] / taken,
            rounds=len(seconds[contender]),
            unit="median of calls, per second",
        )
        for contender, taken in medians.items()
    ]


def heading() -> Table:
    """Give the table without rows."""
    table = Table(title="Small frames of trades, milliseconds from call to acknowledgement", title_justify="left")
    for name in ("rows", "pause", "contender", "median", "quartiles", "of one request", "times official"):
        table.add_column(name, justify="left" if name == "contender" else "right")
    return table


def add(table: Table, measured: list[record.Measurement], seconds: dict[str, list[float]]) -> None:
    """Add the rows of one size."""
    floor = measured[-1].rows_per_second
    for result in measured:
        low, middle, high = (1000 * quartile for quartile in quantiles(seconds[result.contender]))
        table.add_row(
            f"{result.rows:,}",
            "20 ms" if "pause" in result.bench else "none",
            result.contender,
            f"{middle:.3f}",
            f"{low:.3f} to {high:.3f}",
            f"{floor / result.rows_per_second:.2f}",
            f"{result.ratio:.2f}",
            end_section=result is measured[-1],
        )


if __name__ == "__main__":
    main()
