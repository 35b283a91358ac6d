"""How the encoder's cost grows: with rows, columns and chunks; and which kernels the instructions are spent in.

Each part runs `benches/growth.rs` with one shape a process:

- `instructions`: callgrind's instructions per row of `trades` from 10^5 to 5*10^6 rows, for scalar code and AVX2,
  within 10 %. They do not depend on what else the machine does;
- `rows`: time per row of `trades` from 10^5 to 5*10^7 rows (2 GB), within 30 %: each frame is in memory and not in the
  caches, which a million rows streamed fifty times would be;
- `columns`: time per cell of 5 to 2,000 columns, ten million cells, within 1.5 times;
- `chunks`: time per row of a million rows in 1 to 10,000 batches, within 1.5 times;
- `kernels`: instructions per row of `trades`, `tsbs` and `mixed` by kernel, as `docs/performance.md` has them.

`instructions` and `kernels` are skipped, and say so, where valgrind is missing. Times are medians of rounds, in
three turns of all shapes of a series, which are compared with its cheapest one. The exit status is 1 when a gate fails.

    python benches/python/growth.py [PART ...] [--record] [--no-gates]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import callgrind
import record
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("instructions", "rows", "columns", "chunks", "kernels")
GATES = {"instructions": 1.1, "rows": 1.3, "columns": 1.5, "chunks": 1.5}
SIMD = ("scalar", "avx2")
VERSIONS = (1, 2)
ROWS = (100_000, 1_000_000, 5_000_000)
MANY_ROWS = 50_000_000
COLUMNS = (5, 20, 100, 500, 2_000)
CELLS = 10_000_000
CHUNKS = (1, 10, 100, 1_000, 10_000)
MILLION = 1_000_000
TURNS = 3
console = Console()


@dataclass(frozen=True, slots=True)
class Point:
    """One shape's cost: instructions or nanoseconds, for each row or each cell."""

    part: str
    frame: str
    protocol: int
    simd: str
    rows: int
    columns: int
    chunks: int
    kernel: str
    cost: float
    unit: str


def main() -> None:
    """Measure the parts asked for, print, record and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default all)")
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds of each shape, in each turn (default 7)")
    parser.add_argument("--record", action="store_true", help="append the results to benches/record/")
    parser.add_argument("--no-gates", action="store_true", help="print, but always pass")
    options = parser.parse_args()
    wrong = set(options.parts) - set(PARTS)
    if wrong:
        parser.error(f"no such part: {', '.join(sorted(wrong))}")

    binary = build()
    failures = 0
    for part in options.parts or PARTS:
        if part in {"instructions", "kernels"} and not callgrind.available():
            console.print(f"SKIPPED {part}: needs valgrind and addr2line (Debian: valgrind, binutils)")
            continue
        points = measure(part, binary, options.rounds)
        report(part, points)
        failures += judge(part, points)
        if options.record:
            console.print(f"recorded in {record.append_rows('growth', points).relative_to(ROOT)}")
    sys.exit(1 if failures and not options.no_gates else 0)


def build() -> Path:
    """Build the benchmark as it is released, but with the lines that `addr2line` needs; give its path."""
    environment = {**os.environ, "CARGO_PROFILE_BENCH_STRIP": "none", "CARGO_PROFILE_BENCH_DEBUG": "line-tables-only"}
    command = ["cargo", "bench", "--bench", "growth", "--no-run", "--message-format=json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    messages = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    built = [
        message["executable"]
        for message in messages
        if message.get("reason") == "compiler-artifact" and message["target"]["name"] == "growth"
    ]
    return Path(built[-1])


def measure(part: str, binary: Path, rounds: int) -> list[Point]:
    """Measure all shapes of a part."""
    if part == "instructions":
        return [counted(binary, simd, protocol, rows) for simd in SIMD for protocol in VERSIONS for rows in ROWS]
    if part == "kernels":
        return [
            point
            for frame in ("trades", "tsbs", "mixed")
            for protocol in VERSIONS
            for simd in SIMD
            for point in by_kernel(binary, simd, frame, protocol)
        ]
    shapes: dict[str, list[dict[str, Any]]] = {
        "rows": [{"rows": rows} for rows in (*ROWS, MANY_ROWS)],
        "columns": [{"frame": "columns", "columns": count, "rows": CELLS // count} for count in COLUMNS],
        "chunks": [{"rows": MILLION, "chunks": chunks} for chunks in CHUNKS],
    }
    return [point for protocol in VERSIONS for point in timed(part, binary, shapes[part], protocol, rounds)]


def counted(binary: Path, simd: str, protocol: int, rows: int) -> Point:
    """Count the instructions of one encoding of `trades`."""
    found = callgrind.count(binary, [f"version={protocol}", f"rows={rows}", "rounds=1"], simd)
    return Point(
        "instructions", "trades", protocol, simd, rows, 5, 1, "all", found.instructions / rows, "instructions per row"
    )


def by_kernel(binary: Path, simd: str, frame: str, protocol: int, rows: int = 100_000) -> list[Point]:
    """Count the instructions of one encoding, by kernel."""
    arguments = [f"frame={frame}", f"version={protocol}", f"rows={rows}", "rounds=1"]
    found = callgrind.count(binary, arguments, simd)
    costs = {"all": found.instructions, **found.kernels}
    columns = found.told["columns"]
    return [
        Point("kernels", frame, protocol, simd, rows, columns, 1, kernel, cost / rows, "instructions per row")
        for kernel, cost in costs.items()
    ]


def timed(part: str, binary: Path, shapes: list[dict[str, Any]], protocol: int, rounds: int) -> list[Point]:
    """Time these shapes, turn by turn, since the machine's speed changes by the minute; medians of all rounds."""
    told: list[list[dict[str, Any]]] = [[] for _ in shapes]
    for _ in range(TURNS):
        for runs, shape in zip(told, shapes, strict=True):
            runs.append(run(binary, {**shape, "version": protocol}, rounds))
    return [combined(part, runs) for runs in told]


def run(binary: Path, shape: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Time one shape in a process of its own; fewer rounds of what takes long. The first round only warms up."""
    rounds = 2 if shape.get("rows") == MANY_ROWS else rounds
    words = [f"{key}={value}" for key, value in {**shape, "rounds": rounds + 1}.items()]
    done = subprocess.run([str(binary), *words], stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def combined(part: str, runs: list[dict[str, Any]]) -> Point:
    """Give the cost of one shape from all of its turns."""
    told = runs[0]
    rows, columns = told["rows"], told["columns"]
    per = rows * columns if part == "columns" else rows
    seconds = median(second for each in runs for second in each["seconds"][1:])
    return Point(
        part,
        told["frame"],
        told["version"],
        "best",
        rows,
        columns,
        told["chunks"],
        "all",
        seconds / per * 1e9,
        "ns per cell" if part == "columns" else "ns per row",
    )


def report(part: str, points: list[Point]) -> None:
    """Print what was measured, a line a shape; kernels as the table of the documentation."""
    if part == "kernels":
        for frame in dict.fromkeys(point.frame for point in points):
            print(kernel_table([point for point in points if point.frame == frame]), end="\n\n")
        return
    table = Table(title=f"{part}: {points[0].unit}", title_justify="left")
    for heading in ("frame", "protocol", "code", "rows", "columns", "chunks", "cost"):
        table.add_column(heading, justify="left" if heading in {"frame", "code"} else "right")
    for point in points:
        sizes = (f"{point.rows:,}", f"{point.columns:,}", f"{point.chunks:,}")
        table.add_row(point.frame, f"v{point.protocol}", point.simd, *sizes, f"{point.cost:.2f}")
    console.print(table)


def kernel_table(points: list[Point]) -> str:
    """Give a table in Markdown, a line a kernel; what is below half a per cent everywhere is left out."""
    series = list(dict.fromkeys((point.frame, point.protocol, point.simd) for point in points))
    costs = {(point.kernel, (point.frame, point.protocol, point.simd)): point.cost for point in points}
    sums = {point.kernel: sum(costs.get((point.kernel, each), 0.0) for each in series) for point in points}
    kernels = sorted(sums, key=lambda kernel: -sums[kernel])
    lines = [[f"`{points[0].frame}`", *(f"v{protocol}, {simd}" for _, protocol, simd in series)]]
    lines.append(["---", *("---:" for _ in series)])
    for kernel in kernels:
        shares = [(costs.get((kernel, each), 0.0), costs["all", each]) for each in series]
        if any(cost >= 0.005 * whole for cost, whole in shares):
            lines.append([kernel, *(f"{cost:.1f}" if cost >= 0.005 * whole else "" for cost, whole in shares)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def judge(part: str, points: list[Point]) -> int:
    """Print PASS or FAIL for each series of the part and give the number of FAILs."""
    if part not in GATES:
        return 0
    series: dict[str, list[float]] = defaultdict(list)
    for point in points:
        series[f"{part}, {point.frame} v{point.protocol}, {point.simd} code"].append(point.cost)
    failures = 0
    for name, costs in series.items():
        spread = max(costs) / min(costs)
        passed = spread <= GATES[part]
        failures += not passed
        console.print(
            f"[bold {'green' if passed else 'red'}]{'PASS' if passed else 'FAIL'}[/] {name}: the dearest shape costs "
            f"{spread:.2f} times the cheapest (at most {GATES[part]:g})",
            soft_wrap=True,
        )
    console.print()
    return failures


if __name__ == "__main__":
    main()
