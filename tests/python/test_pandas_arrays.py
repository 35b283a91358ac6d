"""Arrays in object columns of pandas: what they become in Arrow, exactly, and which are refused.

Runs on pandas 2.2 and 3, as `test_pandas.py`."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas_columns import NAN, arrow, drawn, objects, refused_cell

from questframe import _pandas


def nested(depth: int) -> pa.DataType:
    kind: pa.DataType = pa.float64()
    for _ in range(depth):
        kind = pa.large_list(pa.field("item", kind, nullable=False))
    return kind


def check_arrays(cells: list[Any], depth: int) -> None:
    """Every cell comes back as it was, NaN for NaN, None for None."""
    became = arrow(objects(*cells))
    assert became.type == nested(depth)
    for cell, got in zip(cells, became.to_pylist(), strict=True):
        if cell is None or cell is pd.NA or isinstance(cell, float):
            assert got is None
        else:
            # Of dimensions behind one of length 0 nothing is left.
            np.testing.assert_array_equal(np.array(got, "f8").ravel(), np.asarray(cell, "f8").ravel(), strict=True)
            for _, length in zip(range(depth), np.shape(cell), strict=True):
                assert len(got) == length
                if length == 0:
                    break
                got = got[0]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
def test_arrays_of_every_number(kind: str, order: str) -> None:
    array = np.array([[0, 1, 2], [100, 7, 127]], order + kind)
    check_arrays([array, None, array[:1], array.T, array[::-1, ::2]], 2)


def test_arrays_keep_nan_and_miss_what_is_missing() -> None:
    cells = [np.array([1.5, NAN, -0.0]), None, pd.NA, NAN, np.array([np.inf, -np.inf]), np.array([])]
    check_arrays(cells, 1)
    assert math.copysign(1, arrow(objects(*cells))[0][2].as_py()) == -1


class Odd(np.ndarray):
    """Like numpy.matrix, which has two dimensions come what may."""

    def ravel(self, order: Any = "C") -> Any:
        return self


def test_arrays_of_any_memory() -> None:
    base = np.arange(2.0 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    locked = base[0].copy()
    locked.flags.writeable = False
    odd = np.frombuffer(b"\0" + np.arange(24.0).tobytes(), "f8", offset=1).reshape(2, 3, 4)
    assert not odd.flags.aligned
    cells = [
        base[1], base[0, ::-1], base[:, 1], base[:, :, ::2, 3], base[0].T, np.asfortranarray(base[1]), locked, odd,
        np.broadcast_to(np.array([1.0, 2.0]), (3, 4, 2)), base[0].astype(">f4"), base[1].view(Odd),
    ]  # fmt: skip
    assert {cell.ndim for cell in cells} == {3}
    check_arrays(cells, 3)


@pytest.mark.parametrize("depth", [1, 2, 5, 31, 32])
def test_arrays_of_many_dimensions(depth: int) -> None:
    cells = [np.full((1,) * depth, 2.5), np.arange(2.0).reshape((1,) * (depth - 1) + (2,))]
    check_arrays(cells, depth)


def test_empty_arrays_keep_what_lists_can_say() -> None:
    cells = objects(np.zeros((2, 0)), np.zeros((0, 3)), np.ones((1, 2)), None, np.zeros((0, 0)))
    assert arrow(cells).to_pylist() == [[[], []], [], [[1.0, 1.0]], None, []]
    cells = objects(np.zeros((2, 0, 3)), np.zeros((2, 1, 0)))
    assert arrow(cells).to_pylist() == [[[], []], [[[]], [[]]]]


@pytest.mark.parametrize("dimensions", [1, 2, 3, 32])
@drawn
@hypothesis.given(data=st.data())
def test_arrays_are_read_in_place_as_they_are_one_by_one(dimensions: int, data: st.DataObject) -> None:
    """With and without a list among them, which sends all of them another way."""
    lengths = st.tuples(*[st.integers(0, 3 if dimensions < 4 else 1)] * dimensions)  # noqa: PLR2004
    shapes = data.draw(st.lists(st.none() | lengths, min_size=1, max_size=60))
    values = iter(range(10_000))
    cells = [None if shape is None else np.fromiter(values, "f8", math.prod(shape)).reshape(shape) for shape in shapes]
    cells.append(np.ones((1,) * dimensions))
    step = data.draw(st.sampled_from([1, 2, -1]))
    column = objects(*cells)[::step]
    kept = list(column)
    if all(cell is None for cell in kept):
        return
    in_place, one_by_one = _pandas.Columns(len(kept)), _pandas.Columns(len(kept))
    assert in_place.lists("x", column.to_numpy())
    one_by_one.objects("x", kept)
    made, expected = pa.table(in_place), pa.table(one_by_one)
    made.validate(full=True)
    assert made["x"].to_pylist() == expected["x"].to_pylist()
    # The type of what is read later is known before.
    assert made.schema == expected.schema


@pytest.mark.parametrize(
    "cells",
    [
        [None, None],
        [],
        [np.zeros(1), np.zeros((1, 1))],
        [np.zeros(1), [1.0]],
        [np.zeros(1), NAN],
        [np.zeros(1), pd.NA],
        [np.zeros(1), np.zeros(1, "f4")],
        [np.zeros(1), np.zeros(1, ">f8")],
        [np.zeros(1), np.zeros(4)[::2]],
        [np.zeros((2, 2)), np.zeros((2, 2), order="F")],
        [np.zeros(1), np.ma.masked_array([1.0])],
        [np.zeros(1), np.array(1.0)],
        [np.zeros((2**28, 0))],
        ["text"],
    ],
)
def test_what_is_not_read_in_place(cells: list[Any]) -> None:
    columns = _pandas.Columns(len(cells))
    assert not columns.lists("x", objects(*cells).to_numpy())
    assert pa.table(columns).num_columns == 0


@pytest.mark.parametrize("other", ["text", np.zeros(3, "f4"), np.zeros((1, 1)), np.zeros(4)[::2]], ids=str)
def test_arrays_that_change_while_they_are_read(other: Any) -> None:
    cells = objects(*[np.zeros(3)] * 50).to_numpy().copy()
    columns = _pandas.Columns(50)
    assert columns.lists("x", cells)
    cells[40] = other
    with pytest.raises(ValueError, match="changed while it was read"):
        pa.table(columns)
    cells.resize(30, refcheck=False)
    with pytest.raises(ValueError, match="became shorter while it was read"):
        pa.table(columns)


def test_lists_and_tuples_of_numbers_are_arrays() -> None:
    check_arrays([[1, 2.5], (3,), [], [np.float32(0.5), np.int8(3)], np.array([1.0]), None, [2**53, -(2**53)]], 1)
    check_arrays([[[1, 2], [3, 4]], ((5, 6),), [np.array([1.0, 2.0]), (3, 4)], np.zeros((1, 1))], 2)
    became = arrow(objects([1.0, None, NAN, pd.NA], [None])).to_pylist()
    assert [[str(leaf) for leaf in row] for row in became] == [["1.0", "nan", "nan", "nan"], ["nan"]]


def test_empty_lists_have_the_dimensions_of_the_others() -> None:
    # `[]` says nothing of dimensions within.
    assert arrow(objects([], [[1.0]], [[], []])).to_pylist() == [[], [[1.0]], [[], []]]
    assert arrow(objects([], [[]])).to_pylist() == [[], [[]]]
    assert arrow(objects([])).type == nested(1)
    # An array does.
    refused_cell(objects(np.zeros((1, 1)), np.zeros(0)), 1, "has 1 dimensions, those above have 2")


def test_nested_lists_of_pyarrow_are_arrays_of_arrays() -> None:
    rows = [[[1.0, 2.0], [3.0, 4.0]], None, [], [[5.0]], [[]]]
    kind = pa.list_(pa.list_(pa.float64()))
    frame = pa.table({"x": pa.array(rows, kind)}).to_pandas()
    assert frame["x"][0].dtype == object
    assert arrow(frame["x"]).to_pylist() == rows
    deep = [[[[1.0], [2.0]], [[3.0], [4.0]]]]
    frame = pa.table({"x": pa.array(deep, pa.list_(kind))}).to_pandas()
    assert arrow(frame["x"]).to_pylist() == deep
    ragged = pa.table({"x": pa.array([[[1.0]], [[1.0, 2.0], [3.0]]], kind)}).to_pandas()
    refused_cell(ragged["x"], 1, "different lengths")


@pytest.mark.parametrize("value", [2**53, -(2**53), 2**53 + 2, -(2**62), 2**63, 2**64 - 2**11, 2**70])
def test_large_integers_that_float64_holds(value: int) -> None:
    cells: list[Any] = [[0, value], [value, 0.5], [None, value]]
    if -(2**63) <= value < 2**63:
        cells.append(np.array([value, 1], "i8"))
    if 0 <= value < 2**64:
        cells.append(np.array([value, 1], ">u8"))
    for cell in cells:
        (got,) = arrow(objects(cell)).to_pylist()
        assert value in [int(leaf) for leaf in got if leaf == leaf]


@pytest.mark.parametrize(
    "cell",
    [
        np.array([1, 2**53 + 1], "i8"),
        np.array([[-(2**53) - 1]], ">i8"),
        np.array([2**64 - 1], "u8"),
        np.array([2**63 - 1], "i8"),
        [2**53 + 1],
        [2**53 + 1, 0.5],
        [2**53 + 1, 0.5, NAN],
        [2**53 + 1, None],
        [2**64 + 1],
        [-(2**63) - 1, 1],
        [2**63 + 1, -1],
        [[1], [10**400]],
    ],
    ids=repr,
)
def test_large_integers_that_float64_rounds_name_the_row(cell: Any) -> None:
    first = np.zeros((1,) * np.ndim(cell))
    leaves = cell.ravel().tolist() if isinstance(cell, np.ndarray) else cell
    value = next(each for leaf in leaves if isinstance(each := leaf[0] if isinstance(leaf, list) else leaf, int)
                 and abs(each) > 2**53)  # fmt: skip
    refused_cell(objects(first, None, cell), 2, f"integer {value} does not fit", "float64")


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (np.array([True]), ["arrays of bool", "astype('float64')"]),
        (np.array([1j]), ["arrays of complex128"]),
        (np.array([1.5], "longdouble"), ["arrays of float128", "astype('float64')"]),
        (np.array(["a"]), ["arrays of <U1"]),
        (np.array([b"a"]), ["arrays of |S1"]),
        (np.array(["2025"], "M8[s]"), ["arrays of datetime64[s]"]),
        (np.array([(1, 2.0)], "i4,f8"), ["arrays of"]),
        (np.array(5.0), ["without dimensions", "cell.item()", "reshape(1)"]),
        (np.ma.masked_array([1.0, 2.0], [False, True]), ["masked array", "filled"]),
        (np.array([1.0, "x"], dtype=object), ["objects of type str"]),
        (["x"], ["objects of type str", "int or float"]),
        ([1.0, True], ["objects of type bool"]),
        ([[True]], ["objects of type bool"]),
        ([Decimal(1)], ["objects of type Decimal"]),
        ([1j], ["objects of type complex"]),
        ([{"a": 1}], ["objects of type dict"]),
        ([[1.0], [2.0, 3.0]], ["different lengths", "fill the shorter"]),
        ([1.0, [2.0]], ["different lengths"]),
        ([[[1], [2]], [[3], [4, 5]]], ["different lengths"]),
        ([np.zeros(2), np.zeros(3)], ["different lengths"]),
        ([np.zeros((2, 3)), np.zeros((2, 4))], ["different lengths"]),
        (np.zeros((1, 1)), ["has 2 dimensions, those above have 1"]),
        ([[1.0]], ["has 2 dimensions, those above have 1"]),
        (np.empty((2**28, 0)), ["at most 268435455 elements"]),
        (np.empty((2**20, 2**20, 0)), ["at most 268435455 elements"]),
        ("x", ["array and str"]),
        (1.5, ["array and float"]),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_cells_that_are_no_arrays_name_the_row(cell: Any, says: list[str]) -> None:
    if np.dtype("longdouble").itemsize == 8 and "float128" in says[0]:
        pytest.skip("no such type here")
    refused_cell(objects(np.zeros(1), None, cell), 2, *says)


@pytest.mark.skipif(int(np.__version__.partition(".")[0]) < 2, reason="NumPy 1 has 32 dimensions itself")
def test_more_dimensions_than_32() -> None:
    refused_cell(objects(np.zeros((1,) * 33)), 0, "at most 32 dimensions")


@drawn
@hypothesis.given(st.data())
def test_any_arrays_come_through(data: st.DataObject) -> None:
    depth = data.draw(st.integers(1, 4))
    cells: list[Any] = []
    for _ in range(data.draw(st.integers(1, 6))):
        if data.draw(st.booleans()):
            cells.append(None)
            continue
        shape = data.draw(st.lists(st.integers(0, 4), min_size=depth, max_size=depth))
        array = np.arange(np.prod(shape, dtype=int) * 2.0).reshape([*shape[:-1], shape[-1] * 2])
        step = data.draw(st.sampled_from([1, 2, -1, -2]))
        array = array[..., ::step].astype(data.draw(st.sampled_from(["<f8", ">f8", "<f4", ">i4", "<i8"])))
        cells.append(data.draw(st.sampled_from([array, array.T, array[::-1]])))
    hypothesis.assume(any(cell is not None for cell in cells))
    check_arrays(cells, depth)
