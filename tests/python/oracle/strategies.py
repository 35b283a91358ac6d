"""Hypothesis strategies for recipes: values that are likely to break an encoder, for each dtype."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from oracle.recipes import BOOLEANS, DTYPES, FLOATS, STRINGS, TIMESTAMPS, is_nullable, is_single

if TYPE_CHECKING:
    from oracle.recipes import Recipe

# What both sides take: the server refuses later nanoseconds, and version 1 cannot say later microseconds.
MAX_AT = {"ns": 9_214_646_399_999_999_999, "us": 9_214_646_399_999_999}

DOUBLES = [0.0, -0.0, 1.0, 0.1, 100.0, 1e15, 9999999999999998.0, 1e16, 1.2345e16, 1.7976931348623157e308, 1e-5, 9.9e-6]
DOUBLES += [1e-7, 1.5e300, 5e-324, 2.2250738585072014e-308, 1 / 3, float("inf"), float("-inf"), float("nan"), 2615.54]

NAMES = st.sampled_from(
    ["with space", "a=b", "ünï", "漢字", "n" * 127, " leading", "p;q&r#s|[@]{}$!<>", "\x10\x1f", "9"]
)


def powers(low: int, high: int) -> list[int]:
    """Where the number of digits or of bits changes, within these limits."""
    near = [sign * 10**k + d for k in range(20) for d in (-1, 0, 1) for sign in (-1, 1)]
    return sorted({value for value in [*near, 0, low, high, low + 1, high - 1] if low <= value <= high})


def integers(low: int, high: int) -> st.SearchStrategy[int]:
    return st.sampled_from(powers(low, high)) | st.integers(low, high) | st.integers(max(low, -100), min(high, 1000))


def integers_of(dtype: str) -> st.SearchStrategy[int]:
    word = dtype.partition(":")[2] or dtype.lower()
    bits = int(word.removeprefix("u").removeprefix("int"))
    if word.startswith("u"):
        # The largest LONG is the most that can be sent.
        return integers(0, min(2**bits - 1, 2**63 - 1))
    return integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def double_bits(value: float) -> int:
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def single_bits(value: float) -> int:
    return struct.unpack("<I", struct.pack("<f", value))[0]


def floats_of(dtype: str) -> st.SearchStrategy[int]:
    """Floats as their bits."""
    prices = st.integers(0, 10**9).map(lambda cents: cents / 100)
    if is_single(dtype):
        known = st.sampled_from([0.0, -0.0, 0.1, 16777216.0, 3.4028234663852886e38, 1e-45, float("nan"), float("-inf")])
        # Quiet NaNs only: what becomes of a signalling one is the processor's choice.
        quiet = st.integers(0x7FC0_0000, 0x7FFF_FFFF)
        return (known | st.floats(width=32, allow_nan=False)).map(single_bits) | quiet
    any_bits = st.integers(0, 2**64 - 1)
    payloads = st.integers(0x7FF8_0000_0000_0000, 0x7FFF_FFFF_FFFF_FFFF)
    return (st.sampled_from(DOUBLES) | prices | st.floats()).map(double_bits) | any_bits | payloads


def texts(*, nul: bool = True) -> st.SearchStrategy[str]:
    """The server refuses NUL in a symbol, so strings that become one come without."""
    blacklist = "" if nul else "\0"
    anything = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=blacklist), max_size=40)
    special = st.text(st.sampled_from([*' ,=\n\r\\"', "a", "é", "🦀"]), max_size=40)
    around = st.builds(
        lambda length, place, char: "q" * (place % length) + char + "q" * (length - place % length - 1),
        st.sampled_from([7, 8, 12, 13, 15, 16, 17, 31, 32, 33, 64, 127, 128, 129, 300]),
        st.integers(0, 300),
        st.sampled_from([*' ,=\n\r\\"', "q"]),
    )
    return st.sampled_from(["", "a", "BTC-USD"]) | special | anything | around


def value_of(dtype: str) -> st.SearchStrategy[Any]:
    if dtype in BOOLEANS:
        return st.booleans()
    if dtype in FLOATS:
        return floats_of(dtype)
    if dtype in STRINGS:
        return texts(nul=not dtype.startswith("category"))
    if dtype in TIMESTAMPS:
        # The smallest is the null of NumPy.
        return integers(-(2**63) + 1, 2**63 - 1)
    return integers_of(dtype)


def values_of(dtype: str, rows: int) -> st.SearchStrategy[list[Any]]:
    """A column's values: some, none or all of them null where the dtype has nulls."""
    value = value_of(dtype)
    some = st.lists(value, min_size=rows, max_size=rows)
    if not is_nullable(dtype):
        return some
    holes = st.lists(st.none() | value, min_size=rows, max_size=rows)
    # The official client refuses a category without any name.
    return some | holes if dtype.startswith("category") else some | holes | st.just([None] * rows)


@st.composite
def columns(draw: st.DrawFn, dtype: str, name: str, rows: int) -> dict[str, Any]:
    values = draw(values_of(dtype, rows))
    if dtype.startswith("category") and all(value is None for value in values):
        values = ["a", *values[1:]]
    return {"name": name, "dtype": dtype, "values": values}


def anchor(rows: int) -> dict[str, Any]:
    """A column without nulls: a row of nulls only is an error, which is not what is looked at."""
    return {"name": "anchor", "dtype": "int64", "values": list(range(rows))}


def at_values(dtype: str, rows: int) -> st.SearchStrategy[list[int | None]]:
    """Timestamps in order, in disorder, equal, of every length, and null here and there."""
    instants = integers(0, MAX_AT["us" if "[us" in dtype else "ns"])
    disordered = st.lists(instants, min_size=rows, max_size=rows)
    equal = instants.map(lambda instant: [instant] * rows)
    holes = st.lists(st.none() | instants, min_size=rows, max_size=rows)
    return disordered | disordered.map(sorted) | equal | holes


ROWS = st.integers(1, 12)
SPLITS = st.lists(st.integers(1, 11), max_size=2).map(sorted).map(lambda splits: list(dict.fromkeys(splits)))


@st.composite
def frames_of(draw: st.DrawFn, dtype: str) -> Recipe:
    """A column of this type between two others."""
    rows = draw(ROWS)
    column = draw(columns(dtype, draw(st.just("c") | NAMES), rows))
    at = {"name": "at", "dtype": "datetime64[ns]", "values": draw(at_values("datetime64[ns]", rows))}
    return {"columns": [anchor(rows), column, at], "splits": draw(SPLITS)}


@st.composite
def mixed_frames(draw: st.DrawFn) -> Recipe:
    """Columns of any types in any order, with any index."""
    rows = draw(ROWS)
    dtypes = draw(st.lists(st.sampled_from(DTYPES), min_size=1, max_size=10))
    parts = [draw(columns(dtype, f"c{i}", rows)) for i, dtype in enumerate(dtypes)]
    at_type = draw(st.sampled_from(TIMESTAMPS))
    parts += [anchor(rows), {"name": "at", "dtype": at_type, "values": draw(at_values(at_type, rows))}]
    return {
        "columns": draw(st.permutations(parts)),
        "index": draw(st.sampled_from(["default", "strings", "reversed", "instants"])),
        "splits": draw(SPLITS),
    }
