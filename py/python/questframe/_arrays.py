"""Cells that are arrays, for the compiled part: NumPy arrays and lists as numbers that float64 holds exactly.

Every ValueError raised here becomes the error of its row, so its text says what is wrong and what to do.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, SupportsInt

import numpy as np
import pandas as pd

from questframe._pandas import memory_of

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Integers up to here are all in float64.
_EXACT = 2**53
_NULLS: tuple[type, ...] = (type(None), type(pd.NA))
_INTEGERS: tuple[type, ...] = (int, np.integer)
_NUMBERS: tuple[type, ...] = (*_INTEGERS, float, np.floating)
#: Kinds of numbers to Python that are none to us, or would be rounded.
_REFUSED: tuple[type, ...] = (bool, np.bool_, np.longdouble)
_RAGGED = "the list holds lists of different lengths; QuestDB's arrays are rectangular: fill the shorter ones with NaN"


def numbers(cell: Any) -> tuple[np.ndarray[Any, Any], bool]:
    """The cell as an array of numbers, and whether its dimensions are only the least it may have.

    The latter is so for lists that are empty: `[]` may stand for no numbers or for no rows of numbers.

    Raises:
        ValueError: for what is no array of numbers, has no dimensions, or holds what float64 does not.
    """
    if isinstance(cell, np.ndarray) and cell.dtype.kind != "O":
        if isinstance(cell, np.ma.MaskedArray):
            msg = "a masked array has no form in ILP; fill it, as with cell.astype(float).filled(numpy.nan)"
            raise ValueError(msg)
        array, least = np.asarray(cell), False
    else:
        array = _of_list(cell)
        least = array.size == 0
    if array.ndim == 0:
        msg = "an array without dimensions is a number; store it as one with cell.item(), or use cell.reshape(1)"
        raise ValueError(msg)
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind not in "iuf" or (kind == "f" and size > 8):  # noqa: PLR2004
        msg = f"arrays of {array.dtype} have no form in ILP; cast them, as with cell.astype('float64')"
        raise ValueError(msg)
    if kind in "iu" and size == 8 and array.size and (array.max() > _EXACT or array.min() < -_EXACT):  # noqa: PLR2004
        _check_exact(array.ravel().tolist())
    return array, least


def join(arrays: list[np.ndarray[Any, Any]]) -> tuple[int, int, int, object]:
    """All their numbers, row by row in C order, as one float64 array's memory."""
    flat = [array.ravel() for array in arrays]
    return memory_of(np.concatenate(flat, dtype="f8", casting="unsafe") if flat else np.empty(0))


def _of_list(cell: Any) -> np.ndarray[Any, Any]:
    """The array of a list of numbers, or of lists of these; None in it is NaN, as QuestDB's arrays have no nulls."""
    try:
        array = np.array(cell)
    except ValueError as error:
        raise ValueError(_RAGGED) from error
    leaves: Any = [cell]
    for _ in range(array.ndim):
        leaves = itertools.chain.from_iterable(leaves)
    leaves = list(leaves)
    kinds = set(map(type, leaves))
    if np.ndarray in kinds:
        # Nested lists of pyarrow become arrays of arrays in pandas, and NumPy does not look into these.
        return _of_list(_plain(cell))
    for kind in kinds:
        if issubclass(kind, (list, tuple)):
            raise ValueError(_RAGGED)  # noqa: TRY004
        if issubclass(kind, _REFUSED) or not issubclass(kind, (*_NUMBERS, *_NULLS)):
            msg = f"the list holds objects of type {kind.__name__}; only lists of int or float have a form in ILP"
            raise ValueError(msg)  # noqa: TRY004
    integers = any(issubclass(kind, _INTEGERS) for kind in kinds)
    mixed = array.dtype.kind == "f" and integers and bool(np.any(np.abs(array) >= _EXACT))
    if array.dtype.kind in "iuf" and not mixed:
        return array
    # Integers beside floats have become floats.
    exact: list[Any] = [leaf for leaf in leaves if isinstance(leaf, _INTEGERS)]
    _check_exact(exact)
    values = [math.nan if isinstance(leaf, _NULLS) else leaf for leaf in leaves]
    return np.array(values, dtype="f8").reshape(array.shape)


def _plain(cell: Any) -> Any:
    """Lists instead of arrays, all the way down."""
    if isinstance(cell, np.ndarray):
        return _plain(cell.tolist())
    return [_plain(item) for item in cell] if isinstance(cell, (list, tuple)) else cell


def _check_exact(integers: Iterable[SupportsInt]) -> None:
    for integer in map(int, integers):
        try:
            exact = int(float(integer)) == integer
        except OverflowError:
            exact = False
        if not exact:
            msg = (
                f"the integer {integer} does not fit the float64 of QuestDB's arrays exactly; if the nearest number "
                f"will do, cast the array, as with numpy.array(cell, dtype='float64')"
            )
            raise ValueError(msg)
