"""Columns of pandas for tests: made of exact cells, and what became of them in Arrow and in lines."""

from __future__ import annotations

import datetime as dt
import decimal
import os
from typing import Any

import hypothesis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import questframe as qf
from questframe import IngressErrorCode as Code
from questframe import _pandas

PANDAS = int(pd.__version__.partition(".")[0])
UTC = dt.timezone.utc
INDEX = {b"questframe:index": b"true"}
NAN = float("nan")
#: Nothing is rounded while values are compared.
EXACT = decimal.Context(prec=200, Emax=10_000, Emin=-10_000)
FULL = os.environ.get("QUESTFRAME_HYPOTHESIS_PROFILE") == "full"
drawn = hypothesis.settings(
    deadline=None, database=None, derandomize=not FULL, max_examples=5_000 if FULL else 100, print_blob=True
)


def objects(*cells: Any) -> pd.Series:
    """An object column of exactly these cells."""
    array = np.empty(len(cells), dtype=object)
    for row, cell in enumerate(cells):
        array[row] = cell
    return pd.Series(array, dtype=object)


def arrow(values: Any, at: Any = None) -> pa.ChunkedArray:
    """What became of a column."""
    table = pa.table(_pandas.columns_of(pd.DataFrame({"x": values}), at))
    table.validate(full=True)
    return table["x"]


def lines(values: Any, **options: Any) -> list[str]:
    """The fields of a column `x`, beside a column that keeps no row empty."""
    frame = pd.DataFrame({"x": values})
    frame["z"] = 0
    text = qf.to_ilp(frame, **{"table": "t", "at": qf.ServerTimestamp, "protocol_version": 1, **options}).decode()
    return [line.removeprefix("t").strip().removesuffix("z=0i").rstrip(", ") for line in text.splitlines()]


def refused(values: Any) -> qf.IngressError:
    frame = pd.DataFrame({"n": range(len(values)), "x": values})
    with pytest.raises(qf.IngressError) as caught:
        qf.to_ilp(frame, table="t", at=qf.ServerTimestamp)
    error = caught.value
    assert (error.code, error.column) == (Code.BadDataFrame, "x")
    assert "column" in str(error) and "x" in str(error)
    return error


def refused_cell(values: Any, row: int, *says: str) -> qf.IngressError:
    error = refused(values)
    assert error.row == row, str(error)
    assert str(error).startswith(f'table "t", column "x", row {row} (value {error.value}): ')
    shown = repr(values.iloc[row])
    assert error.value == shown or error.value == shown[:60] + "..."
    for words in says:
        assert words in str(error)
    return error
