"""What it costs to begin: the import, the download, and a write of one row.

- `import questframe` in a new interpreter, above one that imports nothing: both by turns, medians of 20 processes each,
  from the start of the process to its end; with compiled files, which an installer makes, and, without a gate, where
  Python neither finds nor writes them, so that it compiles our sources each time;
- the wheel, built as it is released (`--wheel PATH` takes one that is there, `--no-wheel` leaves it out);
- one row into a table that exists in a real QuestDB, until the server has acknowledged it: through a client of
  `connect`, and through `DataFrame.write_questdb` with a configuration string; medians of 20 writes, one after the
  other, and, without a gate, of 20 with a pause before each as between the cells of a notebook, when processor and
  server have gone to sleep. The server has been warmed up, since a Java program compiles itself while it runs; what the
  same two requests (which table is it? and the row) take without any client stands beside them.

Gates: `GATES`. The exit status is 1 when one fails.

    python benches/python/start.py [--no-wheel] [--wheel PATH] [--record] [--no-gates]
"""

from __future__ import annotations

import argparse
import http.client
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import polars as pl
import record
from rich.console import Console

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 20
PAUSE = 0.05
WARM_UP = 500
TABLE = "start"
GATES = {"import": 30.0, "wheel": 6.0, "one row, client": 5.0, "one row, write_questdb": 5.0}
console = Console()


@dataclass(frozen=True, slots=True)
class Cost:
    """One figure; `least` and `most` are those of its rounds."""

    what: str
    value: float
    least: float
    most: float
    unit: str
    rounds: int


def main() -> None:
    """Measure all of it, print, record and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-wheel", action="store_true", help="do not build a wheel, which takes minutes")
    parser.add_argument("--wheel", type=Path, help="a wheel that is there")
    parser.add_argument("--record", action="store_true", help="append the results to benches/record/")
    parser.add_argument("--no-gates", action="store_true", help="print, but always pass")
    options = parser.parse_args()

    costs = [*imported(), *one_row()]
    if options.wheel or not options.no_wheel:
        costs.append(wheel(options.wheel))
    failures = sum(judge(cost) for cost in costs)
    if options.record:
        console.print(f"recorded in {record.append_rows('start', costs).relative_to(ROOT)}")
    sys.exit(1 if failures and not options.no_gates else 0)


def imported() -> Iterator[Cost]:
    """Time interpreters with and without the import, by turns; caches are warm."""
    with tempfile.TemporaryDirectory(prefix="questframe-pyc-") as folder:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        yield import_of("import", {**environment, "PYTHONPYCACHEPREFIX": folder})
        without = {"PYTHONPYCACHEPREFIX": str(Path(folder) / "none"), "PYTHONDONTWRITEBYTECODE": "1"}
        yield import_of("import, nothing compiled", {**environment, **without})


def import_of(what: str, environment: dict[str, str]) -> Cost:
    """Time both kinds of interpreters; the first two do not count."""
    nothing, ours = "pass", "import questframe"
    seconds: dict[str, list[float]] = {nothing: [], ours: []}
    order = [nothing, ours]
    for number in range(ROUNDS + 1):
        for code in order:
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, env=environment)
            if number > 0:
                seconds[code].append(time.perf_counter() - start)
        order.reverse()
    above = [1e3 * (with_it - without) for with_it, without in zip(seconds[ours], seconds[nothing], strict=True)]
    value = 1e3 * (median(seconds[ours]) - median(seconds[nothing]))
    return Cost(what, value, min(above), max(above), "ms", ROUNDS)


def one_row() -> list[Cost]:
    """Time writes of one row into a table that is there."""
    now = datetime.now(timezone.utc)
    frame = pl.DataFrame({"symbol": ["ETH-USD"], "price": [2615.54], "timestamp": [now]})
    frame = frame.with_columns(pl.col("symbol").cast(pl.Categorical))
    with qf.local.QuestDB() as server, qf.connect(server.conf) as client:

        def by_client() -> None:
            assert client.write(frame, table=TABLE, at="timestamp").rows == 1

        def by_function() -> None:
            assert qf.write_questdb(frame, server.conf, table=TABLE, at="timestamp").rows == 1

        connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.http_url).netloc)
        for _ in range(WARM_UP):
            by_client()
        server.wait_visible(TABLE, WARM_UP)
        writes = {"client": by_client, "write_questdb": by_function, "bare requests": lambda: bare_requests(connection)}
        return [
            latency(f"one row, {name}{after}", write, pause)
            for after, pause in (("", 0.0), (", after a pause", PAUSE))
            for name, write in writes.items()
        ]


def bare_requests(connection: http.client.HTTPConnection) -> None:
    """Send what a write sends, over a kept connection."""
    query = urllib.parse.quote(f"select id from tables() where table_name = '{TABLE}'")
    for method, path, body in (("GET", f"/exec?query={query}", None), ("POST", "/write", f"{TABLE} price=1.5\n")):
        connection.request(method, path, body)
        answer = connection.getresponse()
        answer.read()
        assert answer.status in {200, 204}, answer.status


def latency(what: str, write: Callable[[], None], pause: float) -> Cost:
    """Time writes, each after a pause of so many seconds; the first one too, in which a connection may be made."""
    milliseconds = []
    for _ in range(ROUNDS):
        time.sleep(pause)
        start = time.perf_counter()
        write()
        milliseconds.append(1e3 * (time.perf_counter() - start))
    return Cost(what, median(milliseconds), min(milliseconds), max(milliseconds), "ms", ROUNDS)


def wheel(path: Path | None) -> Cost:
    """Weigh a wheel, built here unless one is named."""
    with tempfile.TemporaryDirectory(prefix="questframe-wheel-") as folder:
        if path is None:
            maturin = [str(Path(sys.executable).parent / "maturin"), "build", "--release", "--out", folder]
            # A conda environment makes maturin choose its interpreter.
            environment = {key: value for key, value in os.environ.items() if key != "CONDA_PREFIX"}
            command = [*maturin, "--manifest-path", str(ROOT / "py" / "Cargo.toml")]
            subprocess.run(command, check=True, cwd=ROOT, env=environment, capture_output=True)
            (path,) = Path(folder).glob("*.whl")
        size = path.stat().st_size / 1e6
    return Cost("wheel", size, size, size, "MB", 1)


def judge(cost: Cost) -> bool:
    """Print PASS or FAIL, or that there is no gate, and tell whether it failed."""
    gate = GATES.get(cost.what)
    spread = f", {cost.least:.2f} to {cost.most:.2f} in {cost.rounds} rounds" if cost.rounds > 1 else ""
    figure = f"{cost.what}: {cost.value:.2f} {cost.unit}{spread}"
    if gate is None:
        console.print(f"     {figure}", soft_wrap=True)
        return False
    passed = cost.value <= gate
    verdict = f"[bold {'green' if passed else 'red'}]{'PASS' if passed else 'FAIL'}[/]"
    console.print(f"{verdict} {figure} (at most {gate:g})", soft_wrap=True)
    return not passed


if __name__ == "__main__":
    main()
