"""End to end, until the rows can be queried: `client.write` against replays and the official `Sender.dataframe`.

All write the same rows over HTTP into one embedded QuestDB, each into a fresh table made beforehand with the same
statement, over connections opened beforehand, both clients with their own defaults. The clock runs from the call until
the server counts every row. Then rows, sums, times and symbols are checked in SQL against the frame, and the table is
dropped. The replays (`replay.py`) send bytes that are ready, and so show what the server takes:

- *same cut*: in the requests that our client makes, over as many connections as it has in flight at once;
- *best*: of requests of 1 to 32 MiB over 1, 2 and 4 connections, the fastest of a sweep that comes first and is
  printed (`--replay MIB CONNECTIONS` takes it as known), timed again among the others.

The frames are `trades` and `tsbs` (`data.py`), sorted by time, and `trades` in random order, whose requests the order
rule sends one at a time. The rounds are interleaved after one warm-up round (`--no-warm-up`, for frames that take
minutes) and change their order so that each follows each other equally often; medians are compared. Gates on both
sorted frames: at least 90 % of the speed of the same cut, 85 % of the best, and twice the official client's; the
unsorted frame is only reported. The exit status is 1 when a gate fails. Bytes are those of our requests; the official
client writes the same rows in the same bytes (`compare_encode.py` asserts that).

    python benches/python/compare_send.py [--rows N] [--rounds N] [--frames NAME ...] [--record] [--no-gates]
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

import data
import record
import visible
from replay import Lines, Replay, even, port_of, recorded
from rich.console import Console
from rich.progress import track
from rich.table import Table
from worker import VERSION, Official

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

OURS, OFFICIAL, SAME, BEST = "questframe", f"official {VERSION}", "replay, same cut", "replay, best"
GATES = {SAME: 0.9, BEST: 0.85, OFFICIAL: 2.0}
FRAMES = {"trades": ("trades", False), "tsbs": ("tsbs", False), "trades, unsorted": ("trades", True)}
GATED = ("trades", "tsbs")
SIZES = (1, 2, 4, 8, 16, 32)
CONNECTIONS = (1, 2, 4)
console = Console()


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to write the frame into a table: `open` makes ready and gives what is timed."""

    open: Callable[[], Callable[[str], object]]
    table: str
    note: str
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Course:
    """Where they run: a server, and a frame in both forms."""

    server: qf.local.QuestDB
    client: qf.Client
    dataset: data.Dataset
    frame: pl.DataFrame
    prefix: str
    ordered: bool

    def time(self, contender: Contender, number: int) -> float:
        """Time one write, into a table that no other had over a kept connection.

        QuestDB 9.3.4 acknowledges and loses the first rows that a kept connection sends to a table dropped and made
        again under the same name. The names of one frame are equally long: equal bytes.
        """
        return visible.write_and_check(
            self.server, contender.open(), contender.table.format(number=number), self.dataset
        )

    def replay(self, lines: Lines, ends: Sequence[int], connections: int) -> Contender:
        """Give a contender that sends requests which are ready; one at a time unless the frame is sorted."""
        connections = connections if self.ordered else 1
        port = port_of(self.server)

        def ready() -> Callable[[str], object]:
            replay = Replay(port, lines, ends, connections)
            return lambda _table: replay.run()

        mib = ends[0] / (1 << 20)
        return Contender(
            ready, lines.table, f"{len(ends)} requests, the first {mib:.1f} MiB; {connections} connections"
        )


def main() -> None:
    """Run all frames against one server, print, record and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of each frame (default 1,000,000)")
    parser.add_argument("--rounds", type=int, default=6, help="timed rounds of each contender (default 6)")
    parser.add_argument("--sweep-rounds", type=int, default=2, help="timed rounds of each replay swept (default 2)")
    parser.add_argument("--frames", nargs="+", choices=FRAMES, default=list(FRAMES), help="which frames (default all)")
    parser.add_argument("--replay", nargs=2, type=int, metavar=("MIB", "CONNECTIONS"), help="the best, if known")
    parser.add_argument("--no-warm-up", action="store_true", help="time the first round, too")
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
            prefix = f"{name}_any" if shuffled else name
            course = Course(server, client, dataset, dataset.to_polars(), prefix, not shuffled)
            contenders, report = line_up(course, official, options.replay, options.sweep_rounds)
            interleave(course, contenders, options.rounds, warms_up=not options.no_warm_up)
            versions = {**dict.fromkeys(contenders, report.protocol_version), OFFICIAL: protocol}
            measured = summarise(label, report.rows, report.bytes, versions, contenders)
            show(measured, contenders, report.bytes)
            measurements += measured
            failures += judge(measured)
        if options.record:
            console.print(f"recorded in {record.append(measurements, official.versions)}")
    sys.exit(1 if failures and not options.no_gates else 0)


def line_up(
    course: Course, official: Official, best: tuple[int, int] | None, sweep_rounds: int
) -> tuple[dict[str, Contender], qf.WriteReport]:
    """Make all contenders ready. The report is that of a write of the frame, which also opens our connections."""
    first, replayed = f"{course.prefix}_q00", f"{course.prefix}_r00"
    for table in (first, replayed):
        course.server.sql(visible.create_table(table, course.dataset))
    report = course.client.write(course.frame, table=first, at=data.AT)
    lines, ends = recorded(course.server, course.frame, data.AT, replayed)
    for table in (first, replayed):
        visible.wait(course.server, table, report.rows)
        course.server.sql(f"DROP TABLE {table}")

    mib, connections = best or sweep(course, lines, sweep_rounds)
    contenders = {
        OURS: Contender(
            lambda: lambda table: course.client.write(course.frame, table=table, at=data.AT),
            f"{course.prefix}_q{{number:02}}",
            f"{report.requests} requests",
        ),
        OFFICIAL: Contender(
            lambda: official.send, f"{course.prefix}_o{{number:02}}", "a request every 75,000 rows or 1 s"
        ),
        SAME: course.replay(lines, ends, report.in_flight),
        BEST: course.replay(lines, even(lines, mib << 20), connections),
    }
    return contenders, report


def sweep(course: Course, lines: Lines, rounds: int) -> tuple[int, int]:
    """Time replays of every size (in MiB) and number of connections, print them, and give the fastest."""
    sizes = [size for size in SIZES if size == SIZES[0] or size << 19 < len(lines.body)]  # larger would be the same
    taken: dict[tuple[int, int], list[float]] = {}
    for _ in track(range(rounds), f"{course.prefix}, replays", console=console, transient=True):
        for connections in CONNECTIONS if course.ordered else CONNECTIONS[:1]:
            for size in sizes:
                contender = course.replay(lines, even(lines, size << 20), connections)
                taken.setdefault((size, connections), []).append(course.time(contender, 0))
    speeds = {key: course.dataset.rows / median(seconds) / 1e6 for key, seconds in taken.items()}
    table = Table(title=f"{course.prefix}: replays, M rows/s by request size", title_justify="left")
    for heading in ("connections", *(f"{size} MiB" for size in sizes)):
        table.add_column(heading, justify="right")
    for connections in sorted({connections for _, connections in speeds}):
        table.add_row(str(connections), *(f"{speeds[size, connections]:.3f}" for size in sizes))
    console.print(table)
    return max(speeds, key=lambda key: speeds[key])


def interleave(course: Course, contenders: dict[str, Contender], rounds: int, *, warms_up: bool) -> None:
    """Time `rounds` interleaved rounds, every one into a table of its own, every one checked."""
    warm_up = [0] if warms_up else []
    for number in track([*warm_up, *range(1, rounds + 1)], course.prefix, console=console, transient=True):
        for contender in in_turn(list(contenders.values()), number):
            taken = course.time(contender, number + 1)
            if number > 0:
                contender.seconds.append(taken)


def in_turn(contenders: Sequence[Contender], number: int) -> list[Contender]:
    """Give the order of a round: of an even number, within as many rounds each follows each other once.

    What a server still does for one write (it clears away a table, say) slows the next, and so must not always be that
    of the same contender. The orders are rows of a balanced Latin square.
    """
    count = len(contenders)
    zigzag = [(place + 1) // 2 if place % 2 else -(place // 2) for place in range(count)]
    return [contenders[(place + number) % count] for place in zigzag]


def summarise(
    label: str, rows: int, size: int, versions: dict[str, int], contenders: dict[str, Contender]
) -> list[record.Measurement]:
    """Take the median of each contender, ours first, and say how many times the official client's they are."""
    seconds = {name: median(contender.seconds) for name, contender in contenders.items()}
    return [
        record.Measurement(
            bench="send until visible",
            frame=label,
            protocol=versions[name],
            contender=name,
            rows=rows,
            rows_per_second=rows / seconds[name],
            bytes_per_second=size / seconds[name],
            ratio=seconds[OFFICIAL] / seconds[name],
            rounds=len(contender.seconds),
        )
        for name, contender in contenders.items()
    ]


def show(measured: list[record.Measurement], contenders: dict[str, Contender], size: int) -> None:
    """Print one table: medians, and the slowest and fastest round of each contender."""
    first = measured[0]
    table = Table(
        title=f"{first.frame}: {first.rows:,} rows, {size / 1e6:,.1f} MB, until visible, "
        f"medians of {first.rounds} interleaved rounds",
        title_justify="left",
    )
    headings = ("contender", "protocol", "M rows/s", "MB/s", "M rows/s, slowest to fastest", "ours is", "note")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in {"contender", "note"} else "right")
    for result in measured:
        speeds = sorted(result.rows / seconds / 1e6 for seconds in contenders[result.contender].seconds)
        table.add_row(
            result.contender,
            f"v{result.protocol}",
            f"{result.rows_per_second / 1e6:.3f}",
            f"{result.bytes_per_second / 1e6:,.0f}",
            f"{speeds[0]:.3f} to {speeds[-1]:.3f}",
            f"{first.ratio / result.ratio:.2f} times",
            contenders[result.contender].note,
        )
    console.print(table)


def judge(measured: list[record.Measurement]) -> int:
    """Print PASS or FAIL for each gate, where the frame has them. Gives the number of FAILs."""
    ours, *others = measured
    failures = 0
    for other in others:
        least, reached = GATES[other.contender], ours.ratio / other.ratio
        passed = reached >= least
        gated = ours.frame in GATED
        verdict = (
            f"[bold {'green' if passed else 'red'}]{'PASS' if passed else 'FAIL'}[/]" if gated else "[dim]no gate[/]"
        )
        console.print(f"{verdict} {ours.frame}: {reached:.2f} times {other.contender} (at least {least:g})")
        failures += gated and not passed
    console.print()
    return failures


if __name__ == "__main__":
    main()
