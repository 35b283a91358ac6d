"""Pandas frames from recipes: plain JSON that the test and the oracle's process both build the same frame from.

Recipes rather than pickles, since the two environments may hold different versions of pandas. Floats are written as
their bits, so that NaN payloads and the sign of zero survive.

    {"columns": [{"name": "a", "dtype": "Int8", "values": [1, null]}, ...], "index": "default", "splits": []}
"""

from __future__ import annotations

import itertools
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

Recipe = dict[str, Any]

NAT: Final = -(2**63)

NUMPY_INTEGERS: Final = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
NULLABLE_INTEGERS: Final = ["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"]
ARROW_INTEGERS: Final = ["arrow:int8", "arrow:int16", "arrow:int32", "arrow:int64"]
FLOATS: Final = ["float32", "float64", "Float32", "Float64", "arrow:float", "arrow:double", "object:float"]
BOOLEANS: Final = ["bool", "boolean", "arrow:bool", "object:bool"]
# Before pandas 3 "str" is no type of its own: it makes objects, a string of None, too.
STR: Final = ["str"] if int(pd.__version__.partition(".")[0]) >= 3 else []
PLAIN_STRINGS: Final = ["object:str", *STR, "string[python]", "string[pyarrow]", "arrow:large_string"]
# After the colon: the width of the codes, or what holds the categories' names.
CATEGORIES: Final = ["category:int8", "category:int16", "category:int32", "category:string[python]", "category:arrow"]
STRINGS: Final = [*PLAIN_STRINGS, *CATEGORIES]
TIMESTAMPS: Final = [
    "datetime64[us]",
    "datetime64[ns]",
    "datetime64[ns, Europe/Berlin]",
    "arrow:timestamp[us]",
    "arrow:timestamp[ns]",
    "arrow:timestamp[us, tz=UTC]",
    "arrow:timestamp[ns, tz=America/New_York]",
]
INTEGERS: Final = [*NUMPY_INTEGERS, *NULLABLE_INTEGERS, *ARROW_INTEGERS, "object:int64"]
DTYPES: Final = [*INTEGERS, *FLOATS, *BOOLEANS, *STRINGS, *TIMESTAMPS]

ARROW_TYPES: Final = {
    "float": pa.float32(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "large_string": pa.large_string(),
    "timestamp[us]": pa.timestamp("us"),
    "timestamp[ns]": pa.timestamp("ns"),
    "timestamp[us, tz=UTC]": pa.timestamp("us", "UTC"),
    "timestamp[ns, tz=America/New_York]": pa.timestamp("ns", "America/New_York"),
    **{f"int{bits}": getattr(pa, f"int{bits}")() for bits in (8, 16, 32, 64)},
}

# How many categories make pandas choose this width of codes.
ENOUGH_CATEGORIES: Final = {"int8": 0, "int16": 200, "int32": 33_000}


def is_nullable(dtype: str) -> bool:
    """Whether a column of this type may hold nulls that the official client takes."""
    return dtype not in NUMPY_INTEGERS and dtype not in BOOLEANS and dtype not in ("float32", "float64")


def is_single(dtype: str) -> bool:
    return dtype in ("float32", "Float32", "arrow:float")


def numbers(dtype: str, values: list[int | None]) -> np.ndarray:
    """The values as NumPy numbers, something arbitrary where they are null."""
    if dtype in FLOATS:
        bits, floats = (np.uint32, np.float32) if is_single(dtype) else (np.uint64, np.float64)
        return np.array([value or 0 for value in values], bits).view(floats)
    integer = dtype.partition(":")[2] or dtype.lower()
    return np.array([value or 0 for value in values], integer)


def categories(kind: str, values: list[str | None]) -> pd.Series:
    names = sorted({value for value in values if value is not None})
    names += [f"unused {i}" for i in range(ENOUGH_CATEGORIES.get(kind, 0))]
    if kind == "string[python]":
        index = pd.Index(names, dtype=pd.StringDtype("python"))
    elif kind == "arrow":
        index = pd.Index(names, dtype=pd.ArrowDtype(pa.string()))
    else:
        index = pd.Index(names, dtype=object)
    places = {name: place for place, name in enumerate(names)}
    codes = [-1 if value is None else places[value] for value in values]
    series = pd.Series(pd.Categorical.from_codes(codes, categories=index))
    assert kind not in ENOUGH_CATEGORIES or series.cat.codes.dtype == kind
    return series


def arrow_column(kind: str, values: list[Any], splits: list[int]) -> pd.Series:
    """An Arrow-backed column, in several chunks if there are `splits`; none is empty and none has an offset."""
    arrow_type = ARROW_TYPES[kind]
    borders = [0, *(split for split in splits if 0 < split < len(values)), len(values)]
    chunks = []
    for start, end in itertools.pairwise(borders):
        part = values[start:end]
        if kind in ("bool", "large_string") or "timestamp" in kind:
            chunks.append(pa.array(part, arrow_type))
        else:
            mask = np.array([value is None for value in part], bool)
            chunks.append(pa.array(numbers(f"arrow:{kind}", part), arrow_type, mask=mask, from_pandas=False))
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array(chunks, arrow_type)))


def object_column(kind: str, values: list[Any]) -> pd.Series:
    """Python's own objects, `None` where they are null."""
    if kind == "float":
        floats = numbers("object:float", values).tolist()
        values = [None if value is None else number for value, number in zip(values, floats, strict=True)]
    return pd.Series(values, dtype=object)


def column(dtype: str, values: list[Any], splits: list[int]) -> pd.Series:
    family, _, kind = dtype.partition(":")
    mask = np.array([value is None for value in values], bool)
    if family == "arrow":
        return arrow_column(kind, values, splits)
    if family == "category":
        return categories(kind, values)
    if family == "object":
        return object_column(kind, values)
    if dtype in PLAIN_STRINGS:
        return pd.Series(pd.array(values, dtype=dtype))
    if dtype in NULLABLE_INTEGERS:
        return pd.Series(pd.arrays.IntegerArray(numbers(dtype, values), mask))
    if dtype in ("Float32", "Float64"):
        return pd.Series(pd.arrays.FloatingArray(numbers(dtype, values), mask))
    if dtype == "boolean":
        return pd.Series(pd.arrays.BooleanArray(np.array([bool(value) for value in values]), mask))
    if dtype == "bool":
        return pd.Series(np.array(values, bool))
    if dtype.startswith("datetime64"):
        unit, _, zone = dtype[len("datetime64[") : -1].partition(", ")
        instants = np.array([NAT if value is None else value for value in values], np.int64)
        series = pd.Series(instants.view(f"datetime64[{unit}]"))
        return series.dt.tz_localize("UTC").dt.tz_convert(zone) if zone else series
    return pd.Series(numbers(dtype, values))


def build(recipe: Recipe) -> pd.DataFrame:
    """The frame of a recipe. `index` is there because no index may ever be written."""
    columns = {
        part["name"]: column(part["dtype"], part["values"], recipe.get("splits", [])) for part in recipe["columns"]
    }
    frame = pd.DataFrame(columns)
    rows = len(frame)
    match recipe.get("index", "default"):
        case "strings":
            frame.index = pd.Index([f"row {row}" for row in range(rows)], name="named")
        case "reversed":
            frame.index = pd.Index(range(rows, 0, -1))
        case "instants":
            frame.index = pd.date_range("2025-01-01", periods=rows, freq="s", name="when")
    return frame
