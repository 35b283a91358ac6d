"""Keeps benchmark results: `benches/record/<cpu model>/<date>.csv`, one row for each measurement.

Measurements of other shapes than a comparison's have files of their own beside it: `<date>.growth.csv` and so on.

A record says what the machine is (processor model, cores, kernel's major and minor version, Python) and which versions
were compared. It never holds a host name, a user name or a path.
"""

from __future__ import annotations

import csv
import os
import platform
import re
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RECORDS = Path(__file__).resolve().parents[1] / "record"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One contender on one frame. `ratio` is its speed divided by the official client's in the same run."""

    bench: str
    frame: str
    protocol: int
    contender: str
    rows: int
    rows_per_second: float
    bytes_per_second: float
    ratio: float
    rounds: int
    unit: str = "median of rounds, per second"


def append(
    measurements: Iterable[Measurement], versions: Mapping[str, str] | None = None, records: Path = RECORDS
) -> Path:
    """Append one CSV row per measurement to today's file (UTC) of this processor and give the file's path.

    `versions` names the software compared, beside questframe and Polars. A new file gets a header row.
    """
    rows = []
    for measurement in measurements:
        row = asdict(measurement)
        for speed in ("rows_per_second", "bytes_per_second"):
            row[speed] = round(row[speed])
        row["ratio"] = round(row["ratio"], 3)
        rows.append(row)
    return _append("", rows, versions or {}, records)


def append_rows(kind: str, measured: Iterable[Any], records: Path = RECORDS) -> Path:
    """Append measurements of another shape, dataclasses of one kind, to `<date>.<kind>.csv`; give the file's path."""
    rows = [
        {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(each).items()}
        for each in measured
    ]
    return _append(f".{kind}", rows, {}, records)


def _append(suffix: str, rows: Iterable[Mapping[str, object]], versions: Mapping[str, str], records: Path) -> Path:
    now = datetime.now(timezone.utc)
    machine = {
        "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "cpu": cpu_model(),
        "cores": os.cpu_count() or 0,
        "kernel": kernel(),
        "python": platform.python_version(),
        "versions": _versions(versions),
    }
    path = records / _slug(cpu_model()) / f"{now:%Y-%m-%d}{suffix}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="", encoding="utf-8") as file:
        writer: csv.DictWriter[str] | None = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(file, [*machine, *row])
                if file.tell() == 0:
                    writer.writeheader()
            writer.writerow({**machine, **row})
    return path


def cpu_model() -> str:
    """Give the processor's model name as the system tells it, or its architecture where it does not."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def kernel() -> str:
    """Give system and first two parts of its version: the rest often names a provider or a build host."""
    return " ".join([platform.system(), ".".join(re.findall(r"\d+", platform.release())[:2])])


def _slug(model: str) -> str:
    plain = re.sub(r"\((r|tm)\)|\bcpu\b|@.*", " ", model.lower())
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "unknown"


def _versions(others: Mapping[str, str]) -> str:
    own = {name: version(name) for name in ("questframe", "polars")}
    return " ".join(f"{name}={number}" for name, number in {**own, **others}.items())
