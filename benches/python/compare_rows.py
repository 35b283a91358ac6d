"""The drop-in against the official client: `questframe.ingress` beside `questdb.ingress`, one thread.

- `row()`: a million rows of two symbols, three columns and a timestamp (`rows.py`) into a cleared buffer that has
  already grown to size, protocol versions 2 and 1;
- `dataframe()`: the frames of `compare_encode.py` as pandas frames, likewise. `to_ilp` of the same pandas frames, whose
  bytes go nowhere, is shown beside it.

Before anything is timed, the bytes of both are compared. Rounds are interleaved and change their order every time;
medians are compared. Gates: `row()` at least as fast as the official client's, `dataframe()` at least four times.

Order books have a limit of their own: in pandas their arrays are objects, each at three places in memory. NumPy itself,
joining them (`np.concatenate`) into memory that is used again, takes longer than the official client takes for finished
lines, so that four times cannot be. There the gate is to be faster than both.

    python benches/python/compare_rows.py [--rows N] [--rounds N] [--frames NAME...] [--record] [--no-gates]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from typing import TYPE_CHECKING

import data
import numpy as np
import record
import rows
from rounds import OFFICIAL, console, interleave, pin_to_one_core, report, summarise, timed
from worker import Official, Timing

from questframe import to_ilp
from questframe.ingress import Buffer, TimestampNanos

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

OURS = "questframe.ingress"
MAIN = "questframe.to_ilp"
JOINING = "np.concatenate"
# What is run, protocol version: times the official client.
GATES = {
    ("row", 2): 1.0,
    ("row", 1): 1.0,
    ("trades", 2): 4.0,
    ("tsbs", 2): 4.0,
    ("orderbook", 2): 1.0,
    ("decimals", 3): 4.0,
    ("wide", 2): 4.0,
}


def main() -> None:
    """Run everything, print, record and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows (default 1,000,000)")
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds of each contender (default 7)")
    parser.add_argument("--frames", nargs="+", choices=["row", *data.FRAMES], help="only these")
    parser.add_argument("--record", action="store_true", help="append the results to benches/record/")
    parser.add_argument("--no-gates", action="store_true", help="print, but always pass (for small --rows)")
    options = parser.parse_args()

    pin_to_one_core()
    measurements: list[record.Measurement] = []
    failures = 0
    with Official() as official:
        for (name, protocol), gate in GATES.items():
            if options.frames and name not in options.frames:
                continue
            count = options.rows // data.FEWER.get(name, 1)
            timings = compare(official, name, protocol, count, options.rounds)
            measured = summarise("drop-in", name, protocol, count, timings)
            report("row()" if name == "row" else f"dataframe() of {name}", measured, timings)
            measurements += measured
            ratio = measured[0].ratio
            limits = [(ratio, gate, "the official client")]
            if measured[-1].contender == JOINING:
                limits.append((ratio / measured[-1].ratio, 1.0, "NumPy, joining the arrays"))
            for reached, least, limit in limits:
                verdict = "[bold green]PASS[/]" if reached >= least else "[bold red]FAIL[/]"
                console.print(f"{verdict} {name} v{protocol}: {reached:.2f} times {limit} (at least {least:g})")
                failures += reached < least
            console.print()
        if options.record:
            console.print(f"recorded in {record.append(measurements, official.versions)}")
    sys.exit(1 if failures and not options.no_gates else 0)


def compare(official: Official, name: str, protocol: int, count: int, rounds: int) -> dict[str, list[Timing]]:
    """Check that both write the same bytes, then time `rounds` interleaved rounds."""
    buffer = Buffer(protocol)
    if name == "row":

        def write() -> None:
            rows.write(buffer, TimestampNanos, count)

        def theirs() -> Timing:
            return official.rows(count, protocol)

    else:
        frame = data.make(name, count).to_pandas()
        official.load(name, count)

        def write() -> None:
            buffer.dataframe(frame, table_name=name, at=data.AT)

        def main_api() -> int:
            return to_ilp(frame, table=name, at=data.AT, protocol_version=protocol, out=os.devnull)

        def theirs() -> Timing:
            return official.encode(name, protocol)

    def ours() -> Timing:
        buffer.clear()
        timing = timed(write, lambda _: 0)
        return Timing(timing.seconds, timing.cpu_seconds, len(buffer))

    contenders: dict[str, Callable[[], Timing]] = {OURS: ours, OFFICIAL: theirs}
    if name != "row":
        contenders[MAIN] = lambda: timed(main_api, int)
    sizes = {contender: run().size for contender, run in contenders.items()}
    assert official.digest() == hashlib.sha256(bytes(buffer)).hexdigest(), (
        f"{name} v{protocol}: the bytes differ: {sizes}"
    )
    if name == "orderbook":
        contenders[JOINING] = joining(frame, sizes[OURS])
    return interleave(contenders, sizes[OURS], rounds, f"{name} v{protocol}")


def joining(frame: pd.DataFrame, size: int) -> Callable[[], Timing]:
    """NumPy's own way through the arrays of a frame; counted as if it had made the lines, which are longer."""
    columns = [list(column) for _, column in frame.items() if column.dtype == object]
    memory = [np.concatenate(column) for column in columns]

    def join() -> None:
        for column, out in zip(columns, memory, strict=True):
            np.concatenate(column, out=out)

    return lambda: timed(join, lambda _: size)


if __name__ == "__main__":
    main()
