"""Encoding, one thread: questframe's `to_ilp` against the official client's `Buffer.dataframe`.

Both turn the same frame (`data.py`) into the same ILP rows, in one run on one core:

- `questframe`: `to_ilp(polars frame, out=os.devnull)`, through its recycled buffers;
- `questframe, new bytes`: `to_ilp(polars frame)` into a new `bytes` object, first touch of its memory included;
- `official 6.0.0`: `Buffer.dataframe(pandas frame)` into a cleared buffer that has already grown to size;
- `questframe, cold`: as `questframe`, right behind another contender, which leaves the caches full of its own;
- `memcpy`: copying the finished rows into memory touched before, the machine's limit for writing that many bytes.

Before anything is timed, the rows of both contenders are compared byte for byte, on both of our paths. The rounds are
interleaved and change their order every time, each run behind an untimed one of the same contender; medians are
compared. Gates: `GATES`, and one thread means one thread.
The exit status is 1 when one fails.

    python benches/python/compare_encode.py [--rows N] [--rounds N] [--frames NAME...] [--record] [--no-gates]
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Literal, TypeAlias

import data
import numpy as np
import record
from rounds import OFFICIAL, console, interleave, pin_to_one_core, report, summarise, timed
from worker import Official, Timing

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

OURS, OURS_NEW, OURS_COLD, MEMCPY = "questframe", "questframe, new bytes", "questframe, cold", "memcpy"
Version: TypeAlias = Literal[1, 2, 3]
# Frame and protocol version: times the official client.
GATES: dict[tuple[str, Version], float] = {
    ("trades", 2): 12.0,
    ("trades", 1): 7.0,
    ("tsbs", 2): 14.0,
    ("tsbs", 1): 8.0,
    ("mixed", 2): 8.0,
    ("strings", 2): 4.0,
    ("orderbook", 2): 3.0,
    ("decimals", 3): 3.0,
    ("wide", 2): 2.5,
}
ONE_THREAD = 1.15  # processor seconds per wall second that still count as one thread


def main() -> None:
    """Run all frames and protocol versions, print, record and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="rows of each frame (default 1,000,000; long rows: fewer)"
    )
    parser.add_argument("--rounds", type=int, default=9, help="timed rounds of each contender (default 9)")
    parser.add_argument("--frames", nargs="+", choices=data.FRAMES, help="only these frames")
    parser.add_argument("--record", action="store_true", help="append the results to benches/record/")
    parser.add_argument("--no-gates", action="store_true", help="print, but always pass (for small --rows)")
    options = parser.parse_args()

    pin_to_one_core()
    measurements: list[record.Measurement] = []
    failures = 0
    with Official() as official:
        for name, protocol in GATES:
            if options.frames and name not in options.frames:
                continue
            rows = options.rows // data.FEWER.get(name, 1)
            timings = compare(official, name, protocol, rows, options.rounds)
            measured = summarise("encode", name, protocol, rows, timings)
            report(name, measured, timings)
            measurements += measured
            failures += judge(measured, timings)
        if options.record:
            console.print(f"recorded in {record.append(measurements, official.versions)}")
    sys.exit(1 if failures and not options.no_gates else 0)


def compare(official: Official, name: str, protocol: Version, rows: int, rounds: int) -> dict[str, list[Timing]]:
    """Check that both contenders write the same bytes, then time `rounds` interleaved rounds."""
    frame = data.make(name, rows).to_polars()
    official.load(name, rows)
    blob = same_bytes(official, frame, name, protocol)
    source, target = np.frombuffer(blob, np.uint8), np.zeros(len(blob), np.uint8)

    def to_devnull() -> int:
        return qf.to_ilp(frame, table=name, at=data.AT, protocol_version=protocol, out=os.devnull)

    def to_bytes() -> bytes:
        return qf.to_ilp(frame, table=name, at=data.AT, protocol_version=protocol)

    contenders: dict[str, Callable[[], Timing]] = {
        OURS: lambda: timed(to_devnull, int),
        OFFICIAL: lambda: official.encode(name, protocol),
        OURS_NEW: lambda: timed(to_bytes, len),
        OURS_COLD: lambda: timed(to_devnull, int),
        MEMCPY: lambda: timed(lambda: np.copyto(target, source), lambda _: len(target)),
    }
    return interleave(contenders, len(blob), rounds, f"{name} v{protocol}", cold=frozenset({OURS_COLD}))


def same_bytes(official: Official, frame: pl.DataFrame, name: str, protocol: Version) -> bytes:
    """Give the frame as ILP, once asserted equal between both contenders and between both of our paths."""
    blob = qf.to_ilp(frame, table=name, at=data.AT, protocol_version=protocol)
    stream = io.BytesIO()
    written = qf.to_ilp(frame, table=name, at=data.AT, protocol_version=protocol, out=stream)
    assert written == len(blob), f"to_ilp(out=...) reports {written} bytes, to_ilp gives {len(blob)}"
    assert stream.getbuffer() == blob, "to_ilp(out=...) and to_ilp differ"
    official.encode(name, protocol)
    if official.digest() != hashlib.sha256(blob).hexdigest():
        with tempfile.TemporaryDirectory() as folder:
            official.dump(Path(folder) / "official.ilp")
            raise AssertionError(first_difference(blob, (Path(folder) / "official.ilp").read_bytes()))
    return blob


def first_difference(ours: bytes, theirs: bytes) -> str:
    """Say where two ILP texts part, showing both there (v2 floats may hold any byte, so no line is cut out)."""
    size = min(len(ours), len(theirs))
    differs = np.flatnonzero(np.frombuffer(ours, np.uint8, size) != np.frombuffer(theirs, np.uint8, size))
    at = int(differs[0]) if differs.size else size
    around = slice(max(0, at - 100), at + 60)
    return f"bytes differ at {at}:\nquestframe {ours[around]!r}\nofficial   {theirs[around]!r}"


def judge(measured: list[record.Measurement], timings: dict[str, list[Timing]]) -> int:
    """Print PASS or FAIL for each gate of this frame and give the number of FAILs."""
    ours = next(result for result in measured if result.contender == OURS)
    threads = median(run.cpu_seconds / run.seconds for run in timings[OURS])
    gate = next(gate for (name, version), gate in GATES.items() if (name, version) == (ours.frame, ours.protocol))
    what = f"{ours.frame} v{ours.protocol}"
    verdicts = [
        (ours.ratio >= gate, f"{what}: {ours.ratio:.2f} times the official client (at least {gate:g})"),
        (threads <= ONE_THREAD, f"one thread: {threads:.2f} processor seconds a second (at most {ONE_THREAD:g})"),
    ]
    for passed, text in verdicts:
        console.print(f"[bold {'green' if passed else 'red'}]{'PASS' if passed else 'FAIL'}[/] {text}")
    console.print()
    return sum(not passed for passed, _ in verdicts)


if __name__ == "__main__":
    main()
