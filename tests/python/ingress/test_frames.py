"""The drop-in's `dataframe()` against the official client: the same bytes, classes, codes and words.

The client runs in environments of its own (`frame_oracle.py`): 4.1.0, and 6.0.0 where 4.1.0 is known to be wrong.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle.process import OracleCrashedError
from oracle.recipes import STRINGS, TIMESTAMPS
from oracle.strategies import mixed_frames

import questframe as qf
from ingress.frame_cases import (
    ATS,
    DTYPES,
    FRAME_DIFFERENCES,
    NAMES,
    OBJECTS,
    PANDAS,
    SEVERAL,
    SYMBOLS,
    TABLES,
    WIRE,
    Case,
    Difference,
)
from ingress.frame_lines import NAMES as NAMES_OF_TEXTS
from ingress.frame_lines import FrameOracle, lines, ours
from questframe._questframe import Columns, are_arrays
from questframe.ingress import Buffer, IngressError, TimestampNanos
from questframe.ingress import _frame_cells as cells
from questframe.ingress._frames import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oracle.recipes import Recipe

FULL = os.environ.get("QUESTFRAME_HYPOTHESIS_PROFILE") == "full"

#: Texts of 4.1.0 that say nothing, or not what is wrong; and the beginnings of those that go on otherwise.
GARBLED = ("0", "an integer is required", "Could not convert 'a' with type str", "'utf-8' codec", "Protocol version v")
STEMS = (
    "Must be a datetime64",
    "Must be one of",
    ". Note that Cython",
    "containing bytes.",
    ", not an object of type",
)


@pytest.fixture(scope="module")
def official() -> Iterator[FrameOracle]:
    oracle = FrameOracle("4.1.0")
    yield oracle
    oracle.close()


@pytest.fixture(scope="module")
def newer() -> Iterator[FrameOracle]:
    oracle = FrameOracle("6.0.0")
    yield oracle
    oracle.close()


def row_of(text: str) -> list[str]:
    return re.findall(r" index (\d+)", text)[:1]


def assert_same(got: list[bytes | tuple], expected: list[bytes | tuple], *, several: bool = False) -> None:
    """`several`: of one row's several faults another may be named."""
    for mine, theirs in zip(got, expected, strict=True):
        if isinstance(mine, bytes) or isinstance(theirs, bytes):
            assert mine == theirs
            continue
        assert mine[:2] == theirs[:2], (mine, theirs)
        if several:
            assert row_of(mine[2]) == row_of(theirs[2]), (mine[2], theirs[2])
            continue
        text = re.sub(r"  \[dc=.*| Raise an issue.*", "", theirs[2]).replace("__main__.", "ingress.frame_oracle.")
        if text.startswith(GARBLED[:-1]) or GARBLED[-1] in text:
            continue
        for stem in STEMS:
            text = text.partition(stem)[0]
        # Of a timestamp that is out of range or negative the unit differs; of a null the sort.
        text = re.sub(r"Timestamp (TimestampMicros\()?-?\d+.*|\(nan\).*", "", text)
        assert mine[2].startswith(text), (mine[2], theirs[2])


@pytest.mark.parametrize("case", [*TABLES, *SYMBOLS, *ATS, *NAMES, *OBJECTS, *DTYPES], ids=str)
def test_as_the_official_client(official: FrameOracle, case: Case) -> None:
    assert_same(ours(*case), official.lines(*case))


@pytest.mark.parametrize("case", SEVERAL, ids=str)
def test_of_several_faults_the_first_row_counts(official: FrameOracle, case: Case) -> None:
    assert_same(ours(*case), official.lines(*case), several=True)


@pytest.mark.parametrize("case", WIRE, ids=str)
def test_what_the_compiled_part_takes_for_the_drop_in_alone(official: FrameOracle, case: Case) -> None:
    assert_same(ours(*case), official.lines(*case))


@pytest.mark.parametrize("difference", FRAME_DIFFERENCES, ids=lambda difference: str(difference.case))
def test_differences(official: FrameOracle, newer: FrameOracle, difference: Difference) -> None:
    version = (3 if "D(" in difference.case.frame else 2,)
    answers = [ours(*difference.case, version)[0]]
    if difference.as_60:
        answers.append(newer.lines(*difference.case, version)[0])
    for answer in answers:
        if isinstance(difference.ours, bytes) or isinstance(answer, bytes):
            assert answer == difference.ours
        else:
            assert answer[1] == difference.ours[0]
            assert difference.ours[1] in answer[2]
    # With pandas 2 some frames are others.
    if "f8(1), " not in difference.case.frame and PANDAS >= (3, 0):
        # Where 4.1.0 does not crash, this is no difference unless it does something else. It crashes at random where it
        # reads stray memory.
        with contextlib.suppress(OracleCrashedError):
            assert official.lines(*difference.case, version)[0] != answers[0]


CHUNKS = {
    "offset": "pa.chunked_array([pa.array([None, 1, 2, None, 4], pa.int64())]).slice(1, 4)",
    "empty": "pa.chunked_array([pa.array([], pa.int64()), pa.array([1], pa.int64()), pa.array([None], pa.int64())])",
    "text": "pa.chunked_array([pa.array(['a', None, 'b'], pa.large_string())]).slice(1)",
    "bool": "pa.chunked_array([pa.array([True, False, True])]).slice(1)",
    "time": "pa.chunked_array([pa.array([1, 2, None], pa.timestamp('ns'))]).slice(1)",
}


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)
def test_slices_and_empty_chunks_are_as_in_6(newer: FrameOracle, chunks: str) -> None:
    case = Case(f"beside(pd.Series(pd.arrays.ArrowExtensionArray({chunks})))")
    assert_same(ours(*case), newer.lines(*case))


FRAME_A = """pd.DataFrame({
    'sym': pd.Categorical(['ETH-USD', 'BTC USD', None], categories=pd.Index(['ETH-USD', 'BTC USD'], dtype=object)),
    'side': pd.Series(['buy', 'sell', None], dtype=object),
    'price': [2615.54, 39269.98, float('nan')],
    'n': pd.array([1, None, -3], dtype='Int64'),
    'ok': [True, False, True],
    't': np.array(['2025-01-01T00:00:00.000001', '2025-01-01', 'NaT'], 'M8[us]'),
    'ts': np.array(['2025-01-02T03:04:05.678901234', '2025-01-02', '2025-01-03'], 'M8[ns]'),
})"""


def test_the_frame_of_the_specification(official: FrameOracle) -> None:
    arguments = "table_name='trades', at='ts', symbols=['sym', 'side']"
    made = ours(FRAME_A, arguments)
    assert made == official.lines(FRAME_A, arguments)
    assert made[0] == (
        b"trades,sym=ETH-USD,side=buy price=2615.54,n=1i,ok=t,t=1735689600000001t 1735787045678901234\n"
        b"trades,sym=BTC\\ USD,side=sell price=39269.98,ok=f,t=1735689600000000t 1735776000000000000\n"
        b"trades price=NaN,n=-3i,ok=t 1735862400000000000\n"
    )
    assert made[1] == made[2]
    auto = "table_name='trades', at='ts'"
    assert ours(FRAME_A, auto) == official.lines(FRAME_A, auto)


#: Types of which a null, or as `at` a negative value, is refused.
REFUSED_NULLS = ("boolean", "arrow:bool", "object:bool", *TIMESTAMPS)


@st.composite
def calls(draw: st.DrawFn) -> tuple[Recipe, str]:
    """A frame of any types, and arguments that name its columns in any way."""
    recipe = draw(mixed_frames())
    rows = len(recipe["columns"][0]["values"])
    if draw(st.booleans()):
        # Rows in which nothing is written, null booleans, negative timestamps: refused by both.
        recipe["columns"] = [part for part in recipe["columns"] if part["name"] != "anchor"]
        for part in recipe["columns"]:
            if draw(st.integers(0, 5)) == 0 and part["dtype"] in REFUSED_NULLS:
                part["values"][draw(st.integers(0, rows - 1))] = -5 if part["name"] == "at" else None
    if draw(st.booleans()):
        tables = st.sampled_from(["t", "u v", "x=y"])
        names = draw(st.lists(tables, min_size=rows, max_size=rows))
        recipe["columns"].append({"name": "tables", "dtype": draw(st.sampled_from(STRINGS)), "values": names})
    labels = [part["name"] for part in recipe["columns"]]
    kinds = {part["name"]: part["dtype"] for part in recipe["columns"]}

    def named(label: str) -> str | int:
        place = labels.index(label)
        return draw(st.sampled_from([label, place, place - len(labels)]))

    table = f"table_name_col={named('tables')!r}" if "tables" in labels else "table_name='t'"
    at = named("at") if draw(st.booleans()) else None
    free = [label for label in labels if kinds[label] in STRINGS and label != "tables"]
    # All-null object columns are refused as symbols by 4.1.0.
    free = [
        label for label in free if any(value is not None for value in recipe["columns"][labels.index(label)]["values"])
    ]
    symbols: Any = draw(st.sampled_from(["auto", False]))
    if free and draw(st.booleans()):
        symbols = [named(label) for label in draw(st.lists(st.sampled_from(free), max_size=3))]
    constant = draw(
        st.sampled_from(["ServerTimestamp", "TimestampNanos(5)", "dt.datetime(2025, 1, 2, 3, 4, 5, 6, UTC)"])
    )
    return (
        recipe,
        f"{table}, at={at!r}, symbols={symbols!r}"
        if at is not None
        else f"{table}, at={constant}, symbols={symbols!r}",
    )


@pytest.mark.timeout(3600 if FULL else 240)
@settings(
    max_examples=10_000 if FULL else 60,
    derandomize=not FULL,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
@given(calls())
def test_any_frame_and_arguments(official: FrameOracle, call: tuple[Recipe, str]) -> None:
    recipe, arguments = call
    case = Case(f"build({recipe!r})", arguments)
    assert_same(ours(*case), official.lines(*case), several=True)


@pytest.mark.parametrize(
    "cell",
    ["D('1.10')", "D('-7')", "D('1E+76')", "D('1E-76')", "D(127)", "D(128)", "D('-128.00')", "D('-129')", "D('0E+5')"]
    + ["D('-0')", "D(2)**254", "D('12345678901234567890')", "f8(1, 2)", "np.zeros((0, 3))", "np.zeros((3, 0))", "f8()"]
    + ["f8(1, 2, 3, 4).reshape(2, 2).T", "np.arange(6.)[::2]"],
)
def test_cells_that_arrow_has_no_form_for(official: FrameOracle, cell: str) -> None:
    """What the compiled part can write as it is."""
    value = eval(cell, NAMES_OF_TEXTS)
    made = cells.array_cell(value) if isinstance(value, np.ndarray) else cells.decimal_cell(value)
    expected = official.lines(f"objects({cell})", "table_name='t', at=TimestampNanos(1)", (3,))
    assert expected == [b"t a=" + (made or b"") + b",k=0i 1n\n"]


def objects(cells: list[Any]) -> np.ndarray[Any, Any]:
    """An array of these objects."""
    made = np.empty(len(cells), object)
    made[:] = pd.Series(cells, dtype=object)
    return made


@pytest.mark.parametrize(
    "arrays",
    [
        [np.arange(4.0), np.arange(4.0)[::-1], np.arange(8.0)[::2], np.arange(4.0).astype(">f8")],
        [np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(3, 2).T, np.ones((2, 3), order="F")],
        [np.zeros((0, 3)), np.zeros((0, 3))],
        [np.zeros((3, 0))],
        [None, np.arange(2.0), np.nan, np.arange(3.0), pd.NA, pd.NaT, None],
        [np.zeros((1,) * 32)],
        [np.frombuffer(bytes(range(1, 18)), "<f8", 2, 1), np.frombuffer(bytes(range(1, 34)), "<f8", 4, 1)[::2]],
        [np.ones(3, [("n", "i4"), ("x", "f8")])["x"], np.broadcast_to(np.array([7.0]), (2, 3)), np.arange(3.0)[::-1]],
        [np.full(row % 7, row, "f8") for row in range(9_000)],
        [np.full(20_000, row, "f8") if row % 5 else None for row in range(40)],
    ],
    ids=["a dimension", "two", "no rows", "no columns", "missing", "32", "not aligned", "any steps", "many", "long"],
)
def test_arrays_are_written_as_one_by_one(arrays: list[Any]) -> None:
    columns = Columns(len(arrays))
    column = objects(arrays)
    columns.arrays("a", column)
    columns.objects("n", list(range(len(arrays))))
    table = pa.table(columns)
    assert table["n"].to_pylist() == list(range(len(arrays)))
    assert table["a"].to_pylist() == [cells.array_or_none(cell) for cell in arrays]
    assert are_arrays(column) == all(
        cell is None or (type(cell) is np.ndarray and cell.dtype == np.dtype("f8")) for cell in arrays
    )


@pytest.mark.parametrize(
    "cell",
    [
        np.array(1.0),
        np.zeros((1,) * 33),
        np.zeros((2**32, 0)),
        np.zeros(1, "f4"),
        np.zeros(1, "i8"),
        np.ma.masked_array([1.0]),
        [1.0],
        1.0,
    ],
)
def test_what_is_no_array_gets_another_look(cell: Any) -> None:
    assert are_arrays(objects([np.zeros(1), None]))
    assert not are_arrays(objects([np.zeros(1), None, cell]))


@pytest.mark.parametrize("step", [1, 2, 3, -1, -2])
def test_arrays_of_every_other_row(step: int) -> None:
    columns = {
        name: [np.full(row % 5, row, "f8") for row in range(start, start + 400)] for name, start in (("a", 0), ("b", 7))
    }
    frame = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()})[::step]
    expected = [
        b"t " + b",".join(name.encode() + b"=" + cells.array_cell(columns[name][row]) for name in columns) + b" 1n\n"
        for row in range(400)[::step]
    ]
    assert bytes(Buffer(2).dataframe(frame, table_name="t", at=TimestampNanos(1))) == b"".join(expected)


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({"a": 5}, "column 'a' at row index 5"),
        ({"a": 5, "n": 4}, "column 'n' at row index 4"),
        ({"a": 5, "n": 6}, "column 'a' at row index 5"),
        ({"a": 1, "n": 1}, "column 'a' at row index 1"),
        ({"a": 3, "b": 3}, "column 'a' at row index 3"),
        ({"a": 3, "b": 2}, "column 'b' at row index 2"),
        ({"b": 4, "ts": 5}, "column 'b' at row index 4"),
        ({"b": 5, "ts": 4}, "row index 4"),
        ({"ts": 0}, "row index 0"),
    ],
)
def test_of_several_bad_cells_the_first_is_told_and_nothing_written(bad: dict[str, int], told: str) -> None:
    """Also where arrays are not looked at before they are written."""
    values: dict[str, Any] = {"a": np.zeros(1, "f4"), "b": "text", "n": 1.5, "ts": -1}
    columns: dict[str, list[Any]] = {
        "a": [np.arange(float(row)) for row in range(9)],
        "b": [np.zeros((1, 2))] * 9,
        "n": [1] * 9,
        "ts": [1] * 9,
    }
    for name, row in bad.items():
        columns[name][row] = values[name]
    frame = pd.DataFrame({name: objects(columns[name]) for name in ("a", "b", "n")})
    frame["ts"] = np.array(columns["ts"], "M8[ns]")
    buffer = Buffer(2).row("t", columns={"x": 1}, at=TimestampNanos(1))
    before = bytes(buffer)
    with pytest.raises(IngressError) as raised:
        buffer.dataframe(frame, table_name="t", at="ts")
    assert told in str(raised.value)
    assert bytes(buffer) == before


@pytest.mark.parametrize(
    "cell", [np.ma.masked_array([1.0], [True]), np.zeros(1).view(np.recarray), np.float64(1.0), [1.0], "text"], ids=type
)
def test_what_is_not_exactly_an_array_is_refused_also_where_it_is_not_looked_at_before(cell: Any) -> None:
    frame = pd.DataFrame({"a": objects([np.zeros(1), cell])})
    with pytest.raises(IngressError, match="Expected an object of type numpy.ndarray, got an object of type"):
        Buffer(2).dataframe(frame, table_name="t", at=TimestampNanos(1))


def test_a_dimension_that_32_bits_do_not_tell() -> None:
    frame = pd.DataFrame({"a": pd.Series([np.zeros(1), np.zeros((2**32, 0))], dtype=object)})
    with pytest.raises(qf.IngressError, match="row index 1.*dimension too long"):
        Buffer(2).dataframe(frame, table_name="t", at=qf.TimestampNanos(1))


def frames() -> dict[str, Any]:
    table = pa.table({"s": ["x", "y", "x"], "n": [1, 2, None], "at": pa.array([1, None, 3], pa.timestamp("us"))})
    frame = pl.DataFrame(table).with_columns(pl.col("s").cast(pl.Categorical))
    return {
        "polars": frame,
        "lazy": frame.lazy(),
        "table": table.set_column(0, "s", table["s"].dictionary_encode()),
        "batch": table.set_column(0, "s", table["s"].dictionary_encode()).combine_chunks().to_batches()[0],
        "reader": table.set_column(0, "s", table["s"].dictionary_encode()).to_reader(),
        "stream": type(
            "Stream", (), {"__arrow_c_stream__": lambda self, requested_schema=None: frame.__arrow_c_stream__()}
        )(),
    }


@pytest.mark.parametrize("kind", frames())
def test_other_frames(kind: str) -> None:
    made = lines(frames()[kind], protocol_version=2, table_name="t", at="at")
    assert made == b"t,s=x n=1i 1t\nt,s=y n=2i\nt,s=x 3t\n"
    made = lines(frames()[kind], protocol_version=2, table_name="t", at=-1, symbols=False)
    assert made == b't s="x",n=1i 1t\nt s="y",n=2i\nt s="x" 3t\n'


def test_rows_of_nulls_in_other_frames() -> None:
    frame = pl.DataFrame({"s": ["x"] * 3, "n": [1, 2, None]})
    with pytest.raises(qf.IngressError, match="Bad dataframe row at index 2: All values are nulls") as refused:
        lines(frame, protocol_version=2, table_name_col="s", at=qf.ServerTimestamp)
    assert refused.value.code is qf.IngressErrorCode.BadDataFrame


@pytest.mark.parametrize("kind", frames())
def test_tables_of_other_frames(kind: str) -> None:
    frame = frames()[kind]
    assert lines(frames()[kind], protocol_version=2, table_name_col=0, at=qf.TimestampNanos(7)) == (
        b"x n=1i,at=1t 7n\ny n=2i 7n\nx at=3t 7n\n"
    )
    prepared = prepare(frame, table_name_col="s", at="at")
    assert prepared is not None
    assert prepared.tables == ([0, 1, 0], ["x", "y"])
    assert prepared.table is None
    assert prepared.rows == 3


def test_a_transaction_gives_the_table() -> None:
    frame = pd.DataFrame({"a": [1]})
    prepared = prepare(frame, at=qf.ServerTimestamp, table="t")
    assert prepared is not None
    assert (prepared.table, prepared.tables) == ("t", None)


def test_errors_have_the_row_and_their_cause() -> None:
    frame = pd.DataFrame({"a": np.array([1, 2**63], "u8")}, index=["x", "y"])
    with pytest.raises(qf.IngressError) as refused:
        lines(frame, protocol_version=2, table_name="t", at=qf.ServerTimestamp)
    assert refused.value.row == 1
    assert isinstance(refused.value.__cause__, qf.IngressError)
