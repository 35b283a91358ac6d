"""Memory of a write above the caller's frame: its pool and little more, whatever the frame's size.

A process for each case makes a frame, gives back what making it left behind, and sets the kernel's peak to what it
holds then. The client is made, and everything else, after that: so all that a write needs counts, the first touch of
code and libraries among it. The peak (`VmHWM`) when the write is over is compared.

- a million rows of `trades` (`data.py`) of each library into a real QuestDB;
- 50 million rows as a Polars frame of 50 chunks, and as an Arrow stream, into a sink in another process, which
  acknowledges what comes: no server here takes so many in a benchmark's time;
- 10,000 writes of ten rows over one client, which must leave nothing: what is resident after the first thousand is
  compared with what is resident at the end.

Gates: the pool (64 MiB, the default) and 32 MiB; `LEFT_BEHIND` for the small writes. The exit status is 1 when one
fails. Reads Linux's /proc, and says so elsewhere.

    python benches/python/memory.py [CASE ...] [--record] [--no-gates]
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import data
import record
from rich.console import Console

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
LOAD = ROOT / "tests" / "support" / "load.py"
MIB = 1 << 20
POOL = 64 * MIB
SLACK = 32 * MIB
LEFT_BEHIND = 2 * MIB
MILLION = 1_000_000
SMALL_WRITES = 10_000
WARM_UP = 1_000
console = Console()


@dataclass(frozen=True, slots=True)
class Case:
    """What a child writes, and where to."""

    make: str
    rows: int
    real: bool


CASES = {
    "polars": Case("polars", MILLION, real=True),
    "pandas": Case("pandas", MILLION, real=True),
    "arrow": Case("arrow", MILLION, real=True),
    "polars, 50 chunks": Case("polars", 50 * MILLION, real=False),
    "arrow stream": Case("stream", 50 * MILLION, real=False),
    "small writes": Case("small", SMALL_WRITES, real=False),
}


@dataclass(frozen=True, slots=True)
class Peak:
    """What one case needed: bytes of the frame with its library, of the write above it, and the most that it may be."""

    case: str
    rows: int
    frame_bytes: int
    above_bytes: int
    most_bytes: int


def main() -> None:
    """Run the cases asked for, print, record and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"{'; '.join(CASES)} (default all)")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--record", action="store_true", help="append the results to benches/record/")
    parser.add_argument("--no-gates", action="store_true", help="print, but always pass")
    options = parser.parse_args()
    if options.child:
        make, rows, conf = options.child
        print(json.dumps(small_writes(int(rows), conf) if make == "small" else peak(make, int(rows), conf)))
        return
    if not Path("/proc/self/clear_refs").exists():
        console.print("SKIPPED memory: reads Linux's /proc")
        return
    wrong = set(options.cases) - set(CASES)
    if wrong:
        parser.error(f"no such case: {', '.join(sorted(wrong))}")

    chosen = {name: case for name, case in CASES.items() if not options.cases or name in options.cases}
    peaks = []
    if any(case.real for case in chosen.values()):
        with qf.local.QuestDB() as server:
            peaks += [run(name, case, server.conf) for name, case in chosen.items() if case.real]
    if any(not case.real for case in chosen.values()):
        for address in sink():
            conf = f"http::addr={address};"
            peaks += [run(name, case, conf) for name, case in chosen.items() if not case.real]
    failures = sum(each.above_bytes > each.most_bytes for each in peaks)
    if options.record:
        console.print(f"recorded in {record.append_rows('memory', peaks).relative_to(ROOT)}")
    sys.exit(1 if failures and not options.no_gates else 0)


def sink() -> Iterator[str]:
    """Run the sink of the load tests, and give its address."""
    with subprocess.Popen([sys.executable, str(LOAD), "sink"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def run(name: str, case: Case, conf: str) -> Peak:
    """Run a case in a process of its own, print what it needed and judge it."""
    command = [sys.executable, str(Path(__file__).resolve()), "--child", case.make, str(case.rows), conf]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    most = LEFT_BEHIND if case.make == "small" else POOL + SLACK
    found = Peak(name, case.rows, told["frame"], told["above"], most)
    passed = found.above_bytes <= most
    what = f"{case.rows:,} writes of ten rows" if case.make == "small" else f"{case.rows:,} rows of trades"
    console.print(
        f"[bold {'green' if passed else 'red'}]{'PASS' if passed else 'FAIL'}[/] {name}: {what}, frame and library "
        f"{found.frame_bytes / MIB:,.0f} MiB, {found.above_bytes / MIB:.1f} MiB above it (at most {most / MIB:.0f})",
        soft_wrap=True,
    )
    return found


# ------------------------------------------------------------------------------------------------ the child's end


def peak(make: str, rows: int, conf: str) -> dict[str, int]:
    """Write a frame and tell what the write held at most, above what was held before it."""
    before = status("VmRSS:")
    frame = MAKERS[make](rows)
    settle()
    start = status("VmRSS:")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    assert status("VmHWM:") < start + MIB
    with qf.connect(conf) as client:
        report = client.write(frame, table=f"memory_{make}", at=data.AT)
    assert report.rows == rows
    return {"frame": max(0, start - before), "above": status("VmHWM:") - start}


def small_writes(count: int, conf: str) -> dict[str, int]:
    """Write ten rows again and again, and tell by how much the process has grown."""
    frame = data.trades(10).to_polars()
    with qf.connect(conf) as client:
        for number in range(count + WARM_UP):
            if number == WARM_UP:
                settle()
                start = status("VmRSS:")
            client.write(frame, table="memory_small", at=data.AT)
        settle()
        return {"frame": 0, "above": status("VmRSS:") - start}


def settle() -> None:
    """Give freed memory back to the system: what is used again afterwards is to count as new."""
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def status(key: str) -> int:
    """Give a size of this process in bytes, as the kernel tells it."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def polars(rows: int) -> Any:
    """Make a frame of a chunk for each million rows, as a reader of files makes them."""
    import polars as pl

    chunk = data.trades(min(rows, MILLION)).to_polars()
    step = pl.duration(nanoseconds=data.STEP_NS * MILLION)
    chunks = [chunk.with_columns(pl.col(data.AT) + step * number) for number in range(max(1, rows // MILLION))]
    # Only the timestamps are new: the other columns are the same memory in each chunk, as long as nobody joins them.
    return pl.concat(chunks, rechunk=False)


def pandas(rows: int) -> Any:
    """Make a pandas frame."""
    return data.trades(rows).to_pandas()


def arrow(rows: int) -> Any:
    """Make a table of one batch."""
    return data.trades(rows).to_polars().to_arrow()


def stream(rows: int) -> Any:
    """Make a reader of batches that are there: what a producer makes on the way is its own affair, and its memory."""
    import pyarrow as pa

    frame = polars(rows)
    tables = (frame.slice(start, MILLION).to_arrow() for start in range(0, rows, MILLION))
    batches = [batch for table in tables for batch in table.to_batches(max_chunksize=65_536)]
    return pa.RecordBatchReader.from_batches(batches[0].schema, batches)


MAKERS: dict[str, Callable[[int], Any]] = {"polars": polars, "pandas": pandas, "arrow": arrow, "stream": stream}


if __name__ == "__main__":
    main()
