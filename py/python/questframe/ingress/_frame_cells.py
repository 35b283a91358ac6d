"""Columns of Python objects, by the official rules: the first value decides, and classes are exact.

What 4.1.0 does wrong with them is as in 6.0.0: datetimes are microseconds, NaT is missing, and arrays and decimals may
be missing and are told from other objects.
"""

from __future__ import annotations

import datetime as dt
import decimal
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from questframe._questframe import are_arrays
from questframe.ingress._frame_errors import bad_cell, bad_column, not_text
from questframe.ingress._texts import name_of

if TYPE_CHECKING:
    from questframe.exceptions import IngressError

__all__ = ["Cells", "array_cell", "array_or_none", "decimal_cell", "decimal_cells"]

_NA = type(pd.NA)
_NAT = type(pd.NaT)
_EXACT: dict[type, str] = {bool: "bool", int: "int", float: "float", str: "str", np.ndarray: "array"}
_LEAST, _MOST = -(2**63), 2**63 - 1
_MOST_DIMENSIONS = 32
_LONGEST_DIMENSION = 2**32 - 1
_MOST_SCALE = 76
_MOST_BYTES = 32
_NAIVE_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - naive cells are UTC
_EPOCH = _NAIVE_EPOCH.replace(tzinfo=dt.timezone.utc)
_MICROSECOND = dt.timedelta(microseconds=1)


def _is_null(cell: object) -> bool:
    kind = type(cell)
    return cell is None or kind is _NA or kind is _NAT or (kind is float and cell != cell)  # noqa: PLR0124 - NaN


def _kind_of(cell: object) -> str | None:
    kind = _EXACT.get(type(cell))
    if kind is None and isinstance(cell, decimal.Decimal):
        return "decimal"
    if kind is None and isinstance(cell, dt.datetime):
        return "instant"
    return kind


class Cells:
    """A column of objects.

    Attributes:
        kind: `null` (nothing but missing values), `bool`, `int`, `float`, `str`, `array`, `decimal` or `instant`.
    """

    def __init__(self, label: str, cells: np.ndarray[Any, Any]) -> None:
        """Look at the first value of an array of objects.

        Raises:
            IngressError: BadDataFrame if no column is made of its like.
        """
        self._label = label
        first = next((cell for cell in cells if not _is_null(cell)), None)
        kind = "null" if first is None else _kind_of(first)
        if kind is None and isinstance(first, bytes):
            text = "Unsupported object column containing bytes. If this is a string column, decode it first."
            raise bad_column(label, f"Bad column {label!r}: {text}")
        if kind is None:
            text = f"Unsupported object column containing an object of type {name_of(type(first))}."
            raise bad_column(label, f"Bad column {label!r}: {text}")
        if isinstance(first, np.ndarray) and not _is_double(first):
            text = f"containing a numpy array of an unsupported element type {first.dtype}."
            raise bad_column(label, f"Bad column {label!r}: Unsupported object column {text}")
        self.kind = kind
        # A list is faster to walk in Python; arrays are walked in the compiled part, where the objects lie.
        self._cells: Any = cells if kind == "array" else cells.tolist()

    def check(self) -> IngressError | None:
        """The first row that cannot be written; None if all can."""
        if self.kind == "null":
            return None
        if self._is_fine():
            return None
        for row, cell in enumerate(self._cells):
            cause = self._cause(cell)
            if cause is not None:
                return bad_cell(self._label, row, cell, cause)
        return None

    def _is_fine(self) -> bool:  # noqa: PLR0911 - one answer a kind
        """Whether a look at all cells together finds nothing wrong, which is much faster than one at a time."""
        if self.kind == "array":
            return are_arrays(self._cells)
        cells, kinds = self._cells, set(map(type, self._cells))
        if self.kind == "bool":
            return kinds == {bool}
        kinds -= {type(None), _NA, _NAT}
        if float in kinds and self.kind != "float" and all(cell != cell for cell in cells if type(cell) is float):  # noqa: PLR0124
            kinds.remove(float)
        if self.kind == "float":
            return kinds == {float}
        if self.kind == "int" and kinds == {int}:
            integers = [cell for cell in cells if type(cell) is int]
            return min(integers) >= _LEAST and max(integers) <= _MOST
        if self.kind == "str" and kinds == {str}:
            try:
                "".join([cell for cell in cells if type(cell) is str]).encode()
            except UnicodeEncodeError:
                return False
            return True
        return False

    def _cause(self, cell: Any) -> str | None:  # noqa: PLR0911 - one answer a kind
        """What is wrong with a cell."""
        kind, found = self.kind, name_of(type(cell))
        if _is_null(cell):
            return "Cannot insert null values into a boolean column." if kind == "bool" else None
        if _kind_of(cell) != kind:
            if kind == "bool":
                return f"Expected an object of type bool, got a {found}."
            expected = {
                "str": "a string",
                "decimal": "an object of type Decimal",
                "instant": "an object of type datetime",
                "array": "an object of type numpy.ndarray",
            }.get(kind, f"an object of type {kind}")
            return f"Expected {expected}, got an object of type {found}."
        if kind == "int":
            return None if _LEAST <= cell <= _MOST else "int too big to convert"
        if kind == "str":
            return not_text(cell)
        try:
            if kind == "decimal":
                decimal_cell(cell)
            elif kind == "array":
                _check_array(cell)
            elif kind == "instant":
                _micros(cell)
        except ValueError as error:
            return str(error)
        return None

    def values(self, rows: int) -> list[Any] | np.ndarray[Any, Any] | tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The first rows: objects, instants in microseconds, or floats and their mask.

        All but arrays have been checked. Objects are a list, arrays an array of objects.
        """
        cells: list[Any] | np.ndarray[Any, Any] = self._cells if rows == len(self._cells) else self._cells[:rows]
        if self.kind == "float":
            # NaN is a value here, also where the first rows hold nothing else.
            mask = np.array([type(cell) is not float for cell in cells], bool)
            return np.array([cell if type(cell) is float else 0.0 for cell in cells], "f8"), mask
        if self.kind != "instant":
            return cells
        least = np.iinfo("i8").min
        return np.array([least if _is_null(cell) else _micros(cell) for cell in cells], "i8").view("M8[us]")

    def has_values(self) -> bool:
        """Whether anything is written: decimals that are no numbers are missing, too."""
        if self.kind == "decimal":
            return any(isinstance(cell, decimal.Decimal) and cell.is_finite() for cell in self._cells)
        return self.kind != "null"


def _micros(cell: dt.datetime) -> int:
    """Microseconds since the epoch, nanoseconds dropped; a naive datetime is UTC.

    Raises:
        ValueError: if Python's datetimes end before.
    """
    if isinstance(cell, pd.Timestamp):
        cell = cell.to_pydatetime(warn=False)
    return (cell - (_NAIVE_EPOCH if cell.tzinfo is None else _EPOCH)) // _MICROSECOND


def _is_double(array: np.ndarray[Any, Any]) -> bool:
    return bool(array.dtype.kind == "f" and array.dtype.itemsize == np.dtype("f8").itemsize)


def _check_array(array: np.ndarray[Any, Any]) -> None:
    if not _is_double(array):
        msg = f"Only float64 numpy arrays are supported, got dtype: {array.dtype}"
        raise ValueError(msg)
    if array.ndim == 0:
        msg = "Zero-dimensional arrays are not supported"
        raise ValueError(msg)
    if array.ndim > _MOST_DIMENSIONS:
        msg = f"Array dimension mismatch: expected at most {_MOST_DIMENSIONS} dimensions, but got {array.ndim}"
        raise ValueError(msg)
    if max(array.shape) > _LONGEST_DIMENSION:
        msg = f"Array dimension too long: at most {_LONGEST_DIMENSION} elements, but got {max(array.shape)}"
        raise ValueError(msg)


def array_cell(array: np.ndarray[Any, Any]) -> bytes:
    """An array of float64 as it stands on the wire behind `name=`, every dimension kept.

    Raises:
        ValueError: with the official client's words.
    """
    _check_array(array)
    shape = struct.pack(f"<{array.ndim}I", *array.shape)
    # Columns may hold arrays in any memory order and of either byte order.
    return b"=\x0e\n" + bytes([array.ndim]) + shape + array.astype("<f8").tobytes("C")


def decimal_cell(value: decimal.Decimal) -> bytes | None:
    """A decimal as it stands on the wire behind `name=`, in its own scale and the fewest bytes; None if no number.

    Raises:
        ValueError: with the official client's words, beyond 76 fractional digits or 32 bytes.
    """
    if not value.is_finite():
        return None
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return None
    scale = max(0, -exponent)
    if scale > _MOST_SCALE:
        msg = f"Decimal scale {scale} exceeds the maximum supported scale of {_MOST_SCALE}"
        raise ValueError(msg)
    too_large = "Decimal mantissa too large; maximum supported size is 32 bytes."
    if exponent > _MOST_SCALE:
        raise ValueError(too_large)
    unscaled: int = int("".join(map(str, digits))) * 10 ** max(0, exponent)
    if sign:
        unscaled = -unscaled
    bits = (unscaled if unscaled >= 0 else ~unscaled).bit_length()
    length = max(2, bits // 8 + 1)
    if sign and unscaled == 0:
        # A quirk of the official client, of the same value.
        length = _MOST_BYTES
    if length > _MOST_BYTES:
        raise ValueError(too_large)
    return b"=\x17" + bytes([scale, length]) + unscaled.to_bytes(length, "big", signed=True)


def array_or_none(cell: Any) -> bytes | None:
    """A cell of a column of arrays, looked at or not, as it stands on the wire; None if it is missing.

    Raises:
        ValueError: if it is neither; with the official client's words if it is an array.
    """
    if _is_null(cell):
        return None
    if _kind_of(cell) != "array":
        # Classes are exact: a masked array would be written without its mask.
        msg = f"no array: {name_of(type(cell))}"
        raise ValueError(msg)
    return array_cell(cell)


def decimal_cells(cells: list[Any]) -> list[bytes | None]:
    """Decimals, which have been checked, as they stand on the wire."""
    return [None if _is_null(cell) else decimal_cell(cell) for cell in cells]
