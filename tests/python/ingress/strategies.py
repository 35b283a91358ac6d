"""Hypothesis strategies for the arguments of `row()`, in the JSON of `values.py`: what a user writes, and worse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st
from oracle.strategies import DOUBLES, double_bits, integers

from ingress import differences

Json = Any
I64 = 2**63

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]

GOOD_NAMES = [
    "t",
    "price",
    "with space",
    "x=y",
    "ünï",
    "漢字",
    "😀",
    "n" * 127,
    "é" * 63,
    "9",
    "a,b",
    "p;q&r#s|[@]{}$!<>",
]
#: The characters that names may refuse, and all around them.
CHARACTERS = [chr(code) for code in range(0x180)] + ["\ufeff", "\u200b", "\ud800", "\udfff", "\uffff", "\U0010ffff"]
#: What an encoder escapes, and text of every width that Python stores.
TEXTS = [
    "",
    "plain",
    'h"e\\l\nlo ,=',
    "\r\n",
    "\x00",
    "\t",
    "\x7f",
    "ÿ",
    "é" * 200,
    "漢字 =",
    "😀,",
    "\ud83d",
    "a\udc00",
]


def weighted(*strategies: tuple[int, st.SearchStrategy[Json]]) -> st.SearchStrategy[Json]:
    """One of these; the number says how often."""
    return st.sampled_from([strategy for times, strategy in strategies for _ in range(times)]).flatmap(lambda one: one)


def tagged(tag: str, strategy: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return strategy.map(lambda value: {tag: value})


texts = st.sampled_from(TEXTS) | st.text(st.sampled_from(CHARACTERS), max_size=12) | st.text(max_size=20)

strange_names = st.one_of(
    st.sampled_from(
        ["", ".", "-", "a.b", "a..b", ".a", "a.", "a-b", "n" * 128, "é" * 64, "漢" * 43, "\ufeffa", "a\ud800"]
    ),
    st.builds(
        lambda before, character, after: before + character + after,
        st.sampled_from(["", "a", "é"]),
        st.sampled_from(CHARACTERS),
        st.sampled_from(["", "b", "\\"]),
    ),
)
no_names = st.sampled_from([1, None, True, {"bytes": "61"}, {"text": "t"}, {"numpy": ["U1", "t"]}, {"tuple": ["t"]}])


def names(strange: int = 1) -> st.SearchStrategy[Json]:
    """Mostly good ones."""
    return weighted((12, st.sampled_from(GOOD_NAMES)), (strange, strange_names), (1, st.sampled_from("abcdef")))


doubles = (st.sampled_from(DOUBLES) | st.floats()).map(double_bits) | st.integers(0, 2**64 - 1)
floats = tagged("float", doubles.map(lambda bits: f"{bits:016x}"))
whole = integers(-I64, I64 - 1) | st.sampled_from([I64, -I64 - 1, 10**30, -(2**64)])

instants = integers(0, I64 - 1) | st.integers(1_600_000_000_000_000_000, 1_900_000_000_000_000_000)
nanos = tagged("nanos", instants)
micros = tagged("micros", instants | st.integers(0, 253_402_300_799_999_999))


def moments(years: st.SearchStrategy[int]) -> st.SearchStrategy[Json]:
    """Datetimes, naive and aware, but those that the official client corrupts."""
    fields = (
        years,
        st.integers(1, 12),
        st.integers(1, 28) | st.just(25),
        st.integers(0, 23),
        st.integers(0, 59),
        st.integers(0, 59),
        st.sampled_from([0, 1, 999_999, 123_456]) | st.integers(0, 999_999),
        st.sampled_from([0, 1]),
        st.none() | st.sampled_from([*ZONES, 0, 3600, -43200, 20_700, -1, 86_399]),
    )
    made = st.tuples(*fields).map(lambda parts: {"datetime": list(parts)})
    return made.filter(lambda value: not differences.corrupted_moment(value["datetime"]))


datetimes = moments(st.integers(1970, 2037) | st.integers(2, 9998) | st.sampled_from([1969, 1970, 2261, 2262, 2263]))


def unscaled(digits: int) -> st.SearchStrategy[int]:
    return st.integers(-(10**digits), 10**digits)


@st.composite
def decimals(draw: st.DrawFn) -> Json:
    """Decimals of all sizes, but not negative zero, and what is no number."""
    special = draw(st.sampled_from([None] * 12 + ["NaN", "-NaN", "sNaN", "Infinity", "-Infinity", "NaN123"]))
    if special is not None:
        return {"decimal": special}
    edges = st.sampled_from([2**bits + d for bits in range(0, 257, 8) for d in (-1, 0, 1)])
    edges = edges | st.sampled_from([2 ** (bits - 1) + d for bits in range(8, 257, 8) for d in (-1, 0, 1)])
    number = draw(st.integers(1, 78).flatmap(unscaled) | edges | edges.map(lambda value: -value))
    exponent = draw(
        st.sampled_from([0, 0, -1, -2, 1, -75, -76, -77, 75, 76, 77, -999_999, 999_999]) | st.integers(-90, 90)
    )
    tag = draw(st.sampled_from(["decimal", "decimal", "decimal", "money"]))
    return {tag: f"{number}E{exponent}"}


@st.composite
def arrays(draw: st.DrawFn) -> Json:
    """Arrays of every layout over their memory: sliced, turned round, transposed, repeated, empty."""
    dims = draw(st.sampled_from([1, 1, 1, 2, 2, 3, 4, 0, 8]))
    base = [draw(st.integers(0 if draw(st.integers(0, 4)) == 0 else 1, 4 if dims < 4 else 2)) for _ in range(dims)]
    dtype = draw(st.sampled_from(["<f8"] * 10 + ["<f4", "<i8", "|b1", "<u1", "<c16", "<f2"]))
    size = np.dtype(dtype).itemsize
    count = math.prod(base)
    bits = draw(st.lists(doubles, min_size=min(count, 6), max_size=min(count, 6)))
    made = np.resize(np.array(bits or [0], np.uint64).view(np.uint8), count * size).view(dtype).reshape(base)
    view = made
    if dims and draw(st.booleans()):
        view = view[tuple(slice(None, None, draw(st.sampled_from([1, 1, 2, -1, -2, 3]))) for _ in range(dims))]
    if dims > 1 and draw(st.booleans()):
        view = view.transpose(draw(st.permutations(range(dims))))
    if dims == 1 and draw(st.integers(0, 5)) == 0:
        view = np.broadcast_to(view, (2, *view.shape))
    start = view.__array_interface__["data"][0] - made.__array_interface__["data"][0] if view.size else 0
    parts = {"dtype": dtype, "shape": view.shape, "memory": made.tobytes().hex(), "offset": start}
    subclass = {"subclass": True} if draw(st.integers(0, 15)) == 0 else {}
    return {"array": {**parts, "shape": list(view.shape), "strides": list(view.strides), **subclass}}


#: What nobody takes as a value of a column.
strangers = st.sampled_from(
    [
        {"bytes": "61"},
        {"bytearray": "61"},
        {"list": [1]},
        {"tuple": []},
        {"dict": []},
        {"object": None},
        {"complex": "1j"},
        {"date": [2025, 1, 1]},
        {"time": [1, 2]},
        {"timedelta": 5},
        {"text": "x"},
        {"number": 5},
        {"level": 1},
        {"uuid": "12345678123456781234567812345678"},
        {"path": "/tmp"},
        {"numpy": ["int64", 5]},
        {"numpy": ["float64", 1.5]},
        {"numpy": ["bool", True]},
        {"numpy": ["U1", "x"]},
        {"numpy": ["float32", 1.5]},
        {"pandas": "NaT"},
        {"pandas": "NA"},
        {"server": "singleton"},
    ]
)
pandas_moments = st.sampled_from(
    [
        {"pandas": "2025-01-02T03:04:05.678901234"},
        {"pandas": "2025-01-02T03:04:05.678901234+02:00"},
        {"pandas": "1969-12-31T23:59:58"},
    ]
)

cells = weighted(
    (2, st.none()),
    (2, st.booleans()),
    (3, whole),
    (3, floats),
    (4, texts),
    (1, nanos),
    (1, micros),
    (2, datetimes),
    (1, pandas_moments),
    (3, decimals()),
    (3, arrays()),
    (1, strangers),
)
symbols = weighted((8, texts), (2, st.none()), (1, strangers | whole | floats))
ats = weighted(
    (4, nanos),
    (2, micros),
    (3, datetimes),
    (1, pandas_moments),
    (2, st.just({"server": "singleton"})),
    (1, st.sampled_from([{"server": "instance"}, {"server": "class"}, None, 5, "now", {"date": [2025, 1, 1]}])),
    (1, strangers | whole | floats),
)


def tables(keys: st.SearchStrategy[Json], values: st.SearchStrategy[Json], most: int) -> st.SearchStrategy[Json]:
    """A dictionary, or what is none."""
    good = st.lists(st.tuples(keys, values).map(list), max_size=most).map(lambda pairs: {"dict": pairs})
    return weighted((20, good), (2, st.none()), (1, st.sampled_from([{"list": []}, {"tuple": []}, "a", 1])))


@st.composite
def rows(draw: st.DrawFn) -> Json:
    """One call of `row()` on the variable `b`."""
    # One thing at a time: a row with three mistakes says little about the third.
    keys = weighted((40, names()), (1, no_names))
    kwargs = {"at": draw(ats)}
    if draw(st.integers(0, 2)):
        kwargs["symbols"] = draw(tables(keys, symbols, 2))
    if draw(st.integers(0, 5)):
        kwargs["columns"] = draw(tables(keys, cells, 4))
    table = draw(weighted((20, names()), (1, no_names)))
    return {"call": "b.row", "args": [table], "kwargs": kwargs}


#: What may stand between rows.
between = st.sampled_from(
    ["len(b)", "len(b)", "len(b)", "bytes(b)", "b.clear()", "bool(b)", "b.reserve(100)", "b.capacity() >= len(b)"]
)
sequences = st.lists(rows() | between, min_size=1, max_size=6)
