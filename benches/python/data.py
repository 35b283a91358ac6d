"""Seeded frames shared by the benchmarks: the same values as a Polars and as a pandas frame.

- `trades`: categoricals `symbol` (50 values) and `side` (2); floats `price` (two decimals) and `amount` (0 to 1).
- `tsbs`: categoricals `hostname` (4,000 values) and nine more with 10 each; ten floats `usage_*` (0 to 100).
- `orderbook`: the categoricals of `trades`; arrays `bids` and `asks` of 20 floats each.
- `decimals`: the categoricals of `trades`; decimals `price` and `amount` of 18 digits, 4 of them after the point.
- `wide`: 300 columns: 20 categoricals of 10 values, 200 floats, 60 integers of 1 to 7 digits, 20 booleans.
- `strings`: strings of 20 characters, no two the same, one in ten with a quote or a backslash.
- `mixed`: the columns of `trades`, an integer of 1 to 7 digits, a boolean, strings of 10 to 30 characters, likewise.
- all end with `timestamp`: nanoseconds, 1 ms apart, sorted.

Every value is drawn uniformly and independently, with a fixed seed: two processes with the same `rows` hold the same
data, which lets the official client build its frame in an environment of its own. NumPy is the only import at module
level; Polars and pandas are imported by the method that needs them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import polars as pl
    from numpy.typing import NDArray

AT = "timestamp"
START_NS = 1_704_067_200_000_000_000  # 2024-01-01T00:00:00Z
STEP_NS = 1_000_000
DIGITS, SCALE = 18, 4  # of decimals

TSBS_TAGS = ("region", "datacenter", "rack", "os", "arch", "team", "service", "service_version", "service_environment")
TSBS_FIELDS = ("user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")


@dataclass(frozen=True, slots=True)
class Symbols:
    """A dictionary-encoded text column: row `i` reads `labels[codes[i]]`."""

    codes: NDArray[np.int16]
    labels: list[str]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Columns of one frame, in column order; last the timestamp `AT` (nanoseconds since 1970, UTC).

    Arrays have one row of floats for each row of the frame; decimals are whole numbers, sent with `SCALE` zeros.
    """

    name: str
    symbols: Mapping[str, Symbols]
    floats: Mapping[str, NDArray[np.float64]]
    at: NDArray[np.int64]
    integers: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    booleans: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    strings: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    decimals: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.at)

    def shuffled(self, seed: int = 7) -> Dataset:
        """Put the same rows in a random order, whole rows moved together."""
        order = np.random.default_rng(seed).permutation(self.rows)

        def moved(columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
            return {name: values[order] for name, values in columns.items()}

        return replace(
            self,
            symbols={name: Symbols(column.codes[order], column.labels) for name, column in self.symbols.items()},
            floats=moved(self.floats),
            integers=moved(self.integers),
            booleans=moved(self.booleans),
            strings=moved(self.strings),
            decimals=moved(self.decimals),
            arrays=moved(self.arrays),
            at=self.at[order],
        )

    def to_polars(self) -> pl.DataFrame:
        """Build it in one chunk per column: `Categorical`, numbers, strings, `Decimal`, `List`, `Datetime("ns")`."""
        import polars as pl

        symbols = [
            pl.Series(name, column.labels, dtype=pl.Categorical).gather(column.codes)
            for name, column in self.symbols.items()
        ]
        numbers = [
            pl.Series(name, values)
            for columns in (self.floats, self.integers, self.booleans)
            for name, values in columns.items()
        ]
        strings = [pl.Series(name, values.tolist()) for name, values in self.strings.items()]
        decimals = [pl.Series(name, values).cast(pl.Decimal(DIGITS, SCALE)) for name, values in self.decimals.items()]
        arrays = [
            pl.Series(name, values, dtype=pl.Array(pl.Float64, values.shape[1])).arr.to_list()
            for name, values in self.arrays.items()
        ]
        times = pl.Series(AT, self.at).cast(pl.Datetime("ns"))
        return pl.DataFrame([*symbols, *numbers, *strings, *decimals, *arrays, times])

    def to_pandas(self) -> pd.DataFrame:
        """Build it of `category`, NumPy numbers, `str`, Arrow decimals, objects (arrays) and `datetime64[ns]`."""
        import pandas as pd

        symbols = {
            name: pd.Categorical.from_codes(column.codes, categories=pd.Index(column.labels))
            for name, column in self.symbols.items()
        }
        decimals: dict[str, Any] = {}
        if self.decimals:
            import pyarrow as pa

            kind = pa.decimal128(DIGITS, SCALE)
            decimals = {
                name: pd.Series(pa.array(values).cast(pa.decimal128(19)).cast(kind), dtype=pd.ArrowDtype(kind))
                for name, values in self.decimals.items()
            }
        strings = {name: pd.Series(values.tolist(), dtype="str") for name, values in self.strings.items()}
        arrays = {name: pd.Series(list(values), dtype=object) for name, values in self.arrays.items()}
        columns = {**symbols, **self.floats, **self.integers, **self.booleans, **strings, **decimals, **arrays}
        frame: pd.DataFrame = pd.DataFrame({**columns, AT: self.at.view("datetime64[ns]")})
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


def orderbook(rows: int, seed: int = 3) -> Dataset:
    """Make snapshots of an order book, 20 levels a side."""
    rng = np.random.default_rng(seed)
    levels = {side: np.round(rng.uniform(1.0, 70_000.0, (rows, 20)), 2) for side in ("bids", "asks")}
    return replace(trades(rows), name="orderbook", floats={}, arrays=levels)


def decimals(rows: int, seed: int = 4) -> Dataset:
    """Make a tape of trades whose numbers are decimals."""
    rng = np.random.default_rng(seed)
    values = {name: rng.integers(-(10**12), 10**12, rows) for name in ("price", "amount")}
    return replace(trades(rows), name="decimals", floats={}, decimals=values)


def wide(rows: int, seed: int = 5) -> Dataset:
    """Make rows of 300 columns and a timestamp."""
    rng = np.random.default_rng(seed)
    return Dataset(
        name="wide",
        symbols={f"tag_{i}": _symbols(rng, rows, [f"tag{i}_{j}" for j in range(10)]) for i in range(20)},
        floats={f"value_{i}": rng.uniform(0.0, 100.0, rows) for i in range(200)},
        integers={f"count_{i}": _integers(rng, rows) for i in range(60)},
        booleans={f"flag_{i}": rng.random(rows) < 0.5 for i in range(20)},
        at=_sorted_times(rows),
    )


def strings(rows: int, seed: int = 6) -> Dataset:
    """Make rows of a text and a timestamp."""
    texts = _strings(np.random.default_rng(seed), rows, 20, 20)
    return Dataset(name="strings", symbols={}, floats={}, strings={"text": texts}, at=_sorted_times(rows))


def mixed(rows: int, seed: int = 7) -> Dataset:
    """Make a tape of trades with a number, a flag and a note."""
    rng = np.random.default_rng(seed)
    return replace(
        trades(rows),
        name="mixed",
        integers={"count": _integers(rng, rows)},
        booleans={"ok": rng.random(rows) < 0.5},
        strings={"note": _strings(rng, rows, 10, 30)},
    )


FRAMES = {
    "trades": trades,
    "tsbs": tsbs,
    "orderbook": orderbook,
    "decimals": decimals,
    "wide": wide,
    "strings": strings,
    "mixed": mixed,
}

#: Of frames with long rows there are fewer, one in so many.
FEWER = {"orderbook": 4, "decimals": 2, "wide": 50}


def make(name: str, rows: int, *, shuffled: bool = False) -> Dataset:
    """Build the frame called `name`, a key of `FRAMES`, in random row order if `shuffled`."""
    dataset = FRAMES[name](rows)
    return dataset.shuffled() if shuffled else dataset


def _symbols(rng: np.random.Generator, rows: int, labels: list[str]) -> Symbols:
    return Symbols(rng.integers(0, len(labels), rows, dtype=np.int16), labels)


def _integers(rng: np.random.Generator, rows: int) -> NDArray[np.int64]:
    return (10.0 ** rng.uniform(0.0, 7.0, rows)).astype(np.int64)


def _strings(rng: np.random.Generator, rows: int, least: int, most: int) -> NDArray[np.str_]:
    """Strings of letters, so many of them each; one string in ten has a quote or a backslash in it."""
    letters = rng.integers(ord("a"), ord("z") + 1, (rows, most), dtype=np.uint8)
    lengths = rng.integers(least, most + 1, rows)
    escaped = np.flatnonzero(rng.random(rows) < 0.1)
    letters[escaped, rng.integers(0, lengths[escaped])] = rng.choice(np.frombuffer(b'"\\', np.uint8), len(escaped))
    letters[np.arange(most) >= lengths[:, None]] = 0  # NumPy's strings end there
    return letters.view(f"S{most}").ravel().astype(np.str_)


def _sorted_times(rows: int) -> NDArray[np.int64]:
    return START_NS + np.arange(rows, dtype=np.int64) * STEP_NS
