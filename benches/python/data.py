"""Seeded frames shared by the benchmarks: the same values as a Polars and as a pandas frame.

- `trades`: categoricals `symbol` (50 values) and `side` (2); floats `price` (two decimals) and `amount` (0 to 1).
- `tsbs`: categoricals `hostname` (4,000 values) and nine more with 10 each; ten floats `usage_*` (0 to 100).
- both end with `timestamp`: nanoseconds, 1 ms apart, sorted.

Every value is drawn uniformly and independently, with a fixed seed: two processes with the same `rows` hold the same
data, which lets the official client build its frame in an environment of its own. NumPy is the only import at module
level; Polars and pandas are imported by the method that needs them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import polars as pl
    from numpy.typing import NDArray

AT = "timestamp"
START_NS = 1_704_067_200_000_000_000  # 2024-01-01T00:00:00Z
STEP_NS = 1_000_000

TSBS_TAGS = ("region", "datacenter", "rack", "os", "arch", "team", "service", "service_version", "service_environment")
TSBS_FIELDS = ("user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")


@dataclass(frozen=True, slots=True)
class Symbols:
    """A dictionary-encoded text column: row `i` reads `labels[codes[i]]`."""

    codes: NDArray[np.int16]
    labels: list[str]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Columns of one frame, in column order: symbols, floats, then the timestamp `AT` (nanoseconds since 1970, UTC)."""

    name: str
    symbols: Mapping[str, Symbols]
    floats: Mapping[str, NDArray[np.float64]]
    at: NDArray[np.int64]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.at)

    def shuffled(self, seed: int = 7) -> Dataset:
        """Put the same rows in a random order, whole rows moved together."""
        order = np.random.default_rng(seed).permutation(self.rows)
        return replace(
            self,
            symbols={name: Symbols(column.codes[order], column.labels) for name, column in self.symbols.items()},
            floats={name: values[order] for name, values in self.floats.items()},
            at=self.at[order],
        )

    def to_polars(self) -> pl.DataFrame:
        """Build it in one chunk per column: `Categorical`, `Float64`, `Datetime("ns")`."""
        import polars as pl

        symbols = [
            pl.Series(name, column.labels, dtype=pl.Categorical).gather(column.codes)
            for name, column in self.symbols.items()
        ]
        floats = [pl.Series(name, values) for name, values in self.floats.items()]
        return pl.DataFrame([*symbols, *floats, pl.Series(AT, self.at).cast(pl.Datetime("ns"))])

    def to_pandas(self) -> pd.DataFrame:
        """Build it of `category`, `float64` and `datetime64[ns]` columns over NumPy memory."""
        import pandas as pd

        symbols = {
            name: pd.Categorical.from_codes(column.codes, categories=pd.Index(column.labels))
            for name, column in self.symbols.items()
        }
        frame: pd.DataFrame = pd.DataFrame({**symbols, **self.floats, AT: self.at.view("datetime64[ns]")})
        return frame


def trades(rows: int, seed: int = 1) -> Dataset:
    """Make a tape of trades, sorted by time."""
    rng = np.random.default_rng(seed)
    return Dataset(
        name="trades",
        symbols={
            "symbol": _symbols(rng, rows, [f"C{i:02}-USD" for i in range(50)]),
            "side": _symbols(rng, rows, ["buy", "sell"]),
        },
        floats={"price": np.round(rng.uniform(1.0, 70_000.0, rows), 2), "amount": rng.random(rows)},
        at=_sorted_times(rows),
    )


def tsbs(rows: int, seed: int = 2) -> Dataset:
    """Make the shape of the Time Series Benchmark Suite's `cpu` table, sorted by time."""
    rng = np.random.default_rng(seed)
    tags = {"hostname": _symbols(rng, rows, [f"host_{i}" for i in range(4_000)])}
    tags |= {tag: _symbols(rng, rows, [f"{tag[:4]}_{i}" for i in range(10)]) for tag in TSBS_TAGS}
    return Dataset(
        name="tsbs",
        symbols=tags,
        floats={f"usage_{field}": rng.uniform(0.0, 100.0, rows) for field in TSBS_FIELDS},
        at=_sorted_times(rows),
    )


FRAMES = {"trades": trades, "tsbs": tsbs}


def make(name: str, rows: int, *, shuffled: bool = False) -> Dataset:
    """Build the frame called `name` ("trades" or "tsbs"), in random row order if `shuffled`."""
    dataset = FRAMES[name](rows)
    return dataset.shuffled() if shuffled else dataset


def _symbols(rng: np.random.Generator, rows: int, labels: list[str]) -> Symbols:
    return Symbols(rng.integers(0, len(labels), rows, dtype=np.int16), labels)


def _sorted_times(rows: int) -> NDArray[np.int64]:
    return START_NS + np.arange(rows, dtype=np.int64) * STEP_NS
