"""pandas frames: which columns the drop-in takes, and what they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from questframe import _pandas
from questframe._questframe import Columns
from questframe.exceptions import IngressError, IngressErrorCode
from questframe.ingress._frame_cells import Cells, decimal_cells
from questframe.ingress._frame_errors import bad_column
from questframe.ingress._frames import Column
from questframe.ingress._texts import name_of

_MOST_BYTES = 8
_UNITS = {"s", "ms", "us", "ns"}
_KINDS = {"null": "null", "str": "strings"}


class PandasSource:
    """A pandas frame; see `_frames.Source`."""

    def __init__(self, frame: pd.DataFrame) -> None:
        """Look at labels, then at dtypes, and at the first value of object columns.

        Raises:
            IngressError: InvalidApiCall for labels that are no strings, BadDataFrame for dtypes that are not supported.
        """
        for label in frame.columns:
            _check_label(label)
        # Each looked up once: that takes longer than most columns take to encode.
        self._series = [series for _, series in frame.items()]
        self.rows = len(frame)
        index = frame.index
        self.default_table: object = None if isinstance(index, pd.MultiIndex) else index.name
        self.columns = [_column(label, series) for label, series in zip(frame.columns, self._series, strict=True)]

    def names(self, position: int) -> list[str | None]:
        """The strings of a column."""
        series = self._series[position]
        missing = series.isna().to_numpy()
        cells = series.astype(object).tolist()
        return [None if is_missing else text for text, is_missing in zip(cells, missing, strict=True)]

    def problem(self, position: int) -> IngressError | None:
        """The first row of an object column that cannot be written."""
        data = self.columns[position].data
        return data.check() if isinstance(data, Cells) else None

    def is_costly(self, position: int) -> bool:
        """Of arrays."""
        data = self.columns[position].data
        return isinstance(data, Cells) and data.kind == "array"

    def take(self, positions: list[tuple[int, str]], rows: int) -> object:
        """The first rows of these columns, under these names."""
        columns = Columns(rows)
        for position, name in positions:
            data = self.columns[position].data
            if not isinstance(data, Cells):
                series = self._series[position]
                _pandas._add(columns, name, series if rows == self.rows else series.iloc[:rows])  # noqa: SLF001
                continue
            values = data.values(rows)
            if data.kind == "array":
                columns.arrays(name, values)
            elif isinstance(values, np.ndarray):
                _pandas._add_numpy(columns, name, values, None)  # noqa: SLF001
            elif isinstance(values, tuple):
                columns.numbers(name, "f8", _pandas.memory_of(values[0]), _pandas.memory_of(values[1]))
            elif data.kind == "decimal":
                columns.decimals(name, decimal_cells(values))
            else:
                columns.objects(name, values)
        return columns


def _check_label(label: object) -> None:
    if type(label) is str:
        return
    found = type(label).__name__
    text = f"Argument 'name' has incorrect type (expected str, got {found})"
    if label is None:
        text = f"Expected a str object, not an object of type {found}"
    raise IngressError(IngressErrorCode.InvalidApiCall, text, column=str(label))


def _unsupported(label: str, what: str) -> IngressError:
    return bad_column(label, f"Unsupported {what} for column {label!r}.")


def _column(label: str, series: pd.Series[Any]) -> Column:
    dtype: Any = series.dtype
    kind, data = _kind(label, series, dtype)
    return Column(label, str(dtype), kind, data)


def _kind(label: str, series: pd.Series[Any], dtype: Any) -> tuple[str, Any]:
    if isinstance(dtype, np.dtype):
        return _numpy(label, series, dtype)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return "instants", None
    if isinstance(dtype, pd.StringDtype):
        return "strings", None
    if isinstance(dtype, pd.CategoricalDtype):
        return _categories(label, series), None
    if isinstance(dtype, pd.ArrowDtype):
        from questframe.ingress._frame_arrow import kind_of

        kind = kind_of(dtype.pyarrow_dtype)
        if kind is None:
            raise _unsupported(label, f"arrow type {dtype.pyarrow_dtype}")
        return kind, None
    if hasattr(dtype, "numpy_dtype"):
        return "other", None
    raise _unsupported(label, f"dtype {dtype}")


def _numpy(label: str, series: pd.Series[Any], dtype: np.dtype[Any]) -> tuple[str, Any]:
    if dtype.kind == "O":
        cells = Cells(label, series.to_numpy())
        return ("null" if not cells.has_values() else _KINDS.get(cells.kind, "other")), cells
    if dtype.kind == "M" and np.datetime_data(dtype)[0] in _UNITS:
        return "instants", None
    if dtype.kind == "m" and np.datetime_data(dtype)[0] in _UNITS:
        return "other", None
    if dtype.kind in "biuf" and dtype.itemsize <= _MOST_BYTES:
        return "other", None
    if dtype.kind == "S":
        text = "Unsupported object column containing bytes. If this is a string column, decode it first."
        raise bad_column(label, f"Bad column {label!r}: {text}")
    raise _unsupported(label, f"dtype {dtype}")


def _categories(label: str, series: pd.Series[Any]) -> str:
    categories = series.cat.categories
    texts = [category for category in categories if isinstance(category, str)]
    if not len(categories):
        return "null"
    if len(texts) == len(categories):
        # Refused before any row, also where no row has it.
        "".join(texts).encode()
        return "categories"
    if texts:
        other = next(category for category in categories if not isinstance(category, str))
        text = f"Bad column {label!r}: Expected a category of strings, got one of {name_of(type(other))}, too"
        raise bad_column(label, text, IngressErrorCode.InvalidApiCall)
    text = f"Bad column {label!r}: Expected a category of strings, got a category of {categories.dtype}."
    raise bad_column(label, text)
