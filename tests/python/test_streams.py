"""Frames that come one after another: lists, iterators, and what a LazyFrame gives as it becomes ready."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import gc
import io
import itertools
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numbered import failure
from polars.testing import assert_frame_equal
from servers import answer, silent, stored

import questframe as qf
from questframe import IngressErrorCode as Code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import FakeQuestDB

    from questframe.local import QuestDB

CLOCK = qf.ServerTimestamp


def frame(rows: int, start: int = 0) -> pl.DataFrame:
    """Numbers, text, symbols and instants, each with nulls but the last."""
    numbers = pl.int_range(start, start + rows, eager=True)
    return pl.DataFrame({"n": numbers}).select(
        pl.col("n"),
        pl.when(pl.col("n") % 7 != 0).then(pl.col("n")).alias("i"),
        pl.when(pl.col("n") % 5 != 0).then(pl.col("n") / 4).alias("x"),
        pl.when(pl.col("n") % 3 != 0).then(pl.format("text {}", pl.col("n") % 100)).alias("s"),
        pl.when(pl.col("n") % 4 != 0).then(pl.format("tag {}", pl.col("n") % 10)).cast(pl.Categorical).alias("c"),
        pl.from_epoch(pl.col("n") + 1_735_787_045).alias("ts"),
    )


def pieces(data: pl.DataFrame, rows: int) -> list[pl.DataFrame]:
    return [data[start : start + rows] for start in range(0, data.height, rows)]


FORMS: dict[str, Callable[[pl.DataFrame], Any]] = {
    "polars": lambda piece: piece,
    "lazy": lambda piece: piece.lazy(),
    # Of pandas, integers with nulls are floats, and a piece of nulls alone has no type.
    "pandas": lambda piece: piece.select("n", "x", "ts", s=pl.col("s").fill_null("none")).to_pandas(),
    "table": lambda piece: piece.to_arrow(),
    "batch": lambda piece: piece.rechunk().to_arrow().to_batches()[0],
    "reader": lambda piece: pa.RecordBatchReader.from_batches(
        piece.to_arrow().schema, piece.to_arrow().to_batches(max_chunksize=3)
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rows", [1, 13, 5_000])
def test_pieces_are_written_as_the_whole(form: str, rows: int) -> None:
    data = frame(20 if rows < 20 else 11_000)
    whole = FORMS[form](data)
    expected = qf.to_ilp(whole, table="t", at="ts")
    assert expected.count(b"n=") == data.height
    for given_as in (list, tuple, iter, lambda found: dict(enumerate(found)).values()):
        parts = given_as(FORMS[form](piece) for piece in pieces(data, rows))
        assert qf.to_ilp(parts, table="t", at="ts") == expected


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.sampled_from(["polars", "pandas", "table"]))
def test_pieces_of_any_size(sizes: list[int], form: str) -> None:
    ends = list(itertools.accumulate(sizes))
    parts = [frame(size, end - size) for size, end in zip(sizes, ends, strict=True)]
    expected = qf.to_ilp(FORMS[form](frame(ends[-1])), table="t", at="ts")
    assert qf.to_ilp(iter([FORMS[form](part) for part in parts]), table="t", at="ts") == expected


def test_a_lazy_frame_is_written_in_order() -> None:
    data = frame(300_000)
    assert qf.to_ilp(data.lazy(), table="t", at="ts") == qf.to_ilp(data, table="t", at="ts")
    wanted = pl.col("n") % 2 == 0
    file = io.BytesIO()
    written = qf.to_ilp(data.lazy().filter(wanted), table="t", at="ts", out=file)
    assert file.getvalue() == qf.to_ilp(data.filter(wanted), table="t", at="ts")
    assert written == len(file.getvalue())
    assert qf.to_ilp(data.lazy().filter(pl.col("n") < 0), table="t", at="ts") == b""


def test_a_lazy_frame_is_planned_without_being_run() -> None:
    runs = []

    def seen(piece: pl.DataFrame) -> pl.DataFrame:
        runs.append(piece.height)
        return piece

    query = frame(10).lazy().map_batches(seen, schema=frame(10).schema)
    plan = qf.plan(query, table="t")
    assert [column.questdb_type for column in plan.columns] == [
        "LONG",
        "LONG",
        "DOUBLE",
        "VARCHAR",
        "SYMBOL",
        "TIMESTAMP",
    ]
    assert 'TIMESTAMP("ts")' in qf.TableSpec().sql(query, table="t", at="ts")
    assert runs == []
    assert qf.to_ilp(query, table="t", at="ts") == qf.to_ilp(frame(10), table="t", at="ts")
    assert sum(runs) == 10


# --- what a column may be in later frames ---------------------------------------------------------------------------


NOON = datetime.datetime(2025, 1, 2, 12, tzinfo=datetime.timezone.utc)
MIDNIGHT, HOUR = datetime.datetime(2025, 1, 2), datetime.timedelta(hours=1)  # noqa: DTZ001
INT, FLOAT = pl.Int64, pl.Float64

FITS: dict[str, tuple[list[Any], bytes]] = {
    "nulls": ([pl.Series([1]), pl.Series([None], dtype=pl.Null), pl.Series([2])], b"1i  2i"),
    "wider": ([pl.Series([1], dtype=pl.Int8), pl.Series([-128, 127, None], dtype=pl.Int64)], b"1i -128i 127i "),
    "unsigned": ([pl.Series([1], dtype=pl.UInt8), pl.Series([0, 255], dtype=pl.Int16)], b"1i 0i 255i"),
    "whole_floats": ([pl.Series([1]), pl.Series([2.0**62, -3.0])], b"1i 4611686018427387904i -3i"),
    "float32": ([pl.Series([1.5]), pl.Series([2.25], dtype=pl.Float32)], b"1.5 2.25"),
    "into_float32": ([pl.Series([1.5], dtype=pl.Float32), pl.Series([2.25, float("nan")])], b"1.5 2.25 NaN"),
    "integers": ([pl.Series([1.5]), pl.Series([2**53, None])], b"1.5 9007199254740992.0 "),
    "nan_stays": ([pl.Series([1.5]), pl.Series([float("nan")])], b"1.5 NaN"),
    "text": ([pl.Series(["a"]), pa.array(["b", None]), pd.Series(["c"])], b'"a" "b"  "c"'),
    "text_of_categories": (
        [pl.Series(["a"]), pl.Series(["b", None, "b"], dtype=pl.Categorical), pd.Series(["c", "b"], dtype="category")],
        b'"a" "b"  "b" "c" "b"',
    ),
    "no_categories": ([pl.Series(["a"]), pl.Series([None, None], dtype=pl.Categorical)], b'"a"  '),
    "half": ([pl.Series([1.5]), pa.array([2.5, None], type=pa.float16())], b"1.5 2.5 "),
    "units": (
        [pl.Series([NOON]).cast(pl.Datetime("us", "UTC")), pl.Series([NOON]).cast(pl.Datetime("ms")), pa.array([NOON])],
        b"1735819200000000t 1735819200000000t 1735819200000000t",
    ),
    "coarser": (
        [pl.Series([NOON]).cast(pl.Datetime("ms")), pl.Series([NOON]).cast(pl.Datetime("ns"))],
        b"1735819200000000t 1735819200000000t",
    ),
    "dates": (
        [pl.Series([NOON]).cast(pl.Datetime("us")), pl.Series([NOON.date(), None])],
        b"1735819200000000t 1735776000000000t ",
    ),
    "midnights": (
        [pl.Series([NOON.date()]), pl.Series([MIDNIGHT]).cast(pl.Datetime("ns")), pa.array([NOON.date()], pa.date64())],
        b"1735776000000000t 1735776000000000t 1735776000000000t",
    ),
    "durations": ([pl.Series([HOUR]).cast(pl.Duration("ns")), pl.Series([HOUR])], b"3600000000000i 3600000000000i"),
    "times": ([pa.array([1], pa.time64("us")), pa.array([2], pa.time32("s"))], b"1000i 2000000000i"),
    "into_half": (
        [pa.array([1.5], pa.float16()), pl.Series([2.5, 2.0**-24]), pl.Series([3])],
        b"1.5 2.5 5.960464477539063e-8 3.0",
    ),
    "numbers_of_categories": ([pl.Series([1]), pa.array([2, None, 2]).dictionary_encode()], b"1i 2i  2i"),
    "null_first": ([pl.Series([None], dtype=pl.Null), pl.Series([1]), pl.Series([2], dtype=pl.Int8)], b" 1i 2i"),
    "pandas_missing": ([pd.Series([1, 2]), pd.Series([3.0, None])], b"1i 2i 3i "),
    "pandas_nothing": ([pd.Series(["a"]), pd.Series([None, float("nan")], dtype=float)], b'"a"  '),
    "pandas_objects": ([pd.Series([True]), pd.Series([False, True], dtype=object)], b"t f t"),
}


def column_of(values: Any) -> Any:
    """A frame of this column, and of one that is never null."""
    if isinstance(values, pd.Series):
        return pd.DataFrame({"v": values.reset_index(drop=True), "k": [1] * len(values)})
    if isinstance(values, pl.Series):
        return pl.DataFrame({"v": values, "k": [1] * len(values)})
    return pa.table({"v": values, "k": [1] * len(values)})


@pytest.mark.parametrize("name", FITS)
def test_types_that_differ_and_fit(name: str) -> None:
    columns, expected = FITS[name]
    lines = qf.to_ilp([column_of(column) for column in columns], table="t", at=CLOCK, protocol_version=1)
    cells = [
        line.removeprefix(b"t ").removesuffix(b"k=1i").removesuffix(b",").removeprefix(b"v=")
        for line in lines.splitlines()
    ]
    assert cells == expected.split(b" ")


MISFITS: dict[str, tuple[list[Any], int | None, str]] = {
    "fraction": ([pl.Series([1, 2]), pl.Series([3.0, 1.5])], 3, "Float64 here and of type Int64 in the frames before"),
    "too_large": ([pl.Series([1], dtype=pl.Int8), pl.Series([128])], 1, "no place for this value"),
    "inexact": ([pl.Series([0.5]), pl.Series([2**53 + 1])], 1, "no place for this value"),
    "nan_of_polars": ([pl.Series([1]), pl.Series([float("nan")])], 1, "no place for this value"),
    "finer": ([pl.Series([NOON]).cast(pl.Datetime("ms")), pl.Series([1]).cast(pl.Datetime("ns"))], 1, "no place"),
    "far": ([pl.Series([1]).cast(pl.Datetime("ns")), pl.Series([2**62]).cast(pl.Datetime("us"))], 1, "no place"),
    "negative_zero": ([pl.Series([1]), pl.Series([-0.0])], 1, "no place for this value"),
    "text": (
        [pl.Series([1]), pl.Series(["a"])],
        None,
        "it is of type Utf8View, and of type Int64 in the frames before",
    ),
    "number": ([pl.Series(["a"]), pl.Series([1])], None, "give all frames the same types"),
    "instant": ([pl.Series([1]), pl.Series([NOON])], None, "give all frames the same types"),
    "no_midnight": ([pl.Series([NOON.date()]), pl.Series([NOON])], 1, "no place for this value"),
    "too_fine_for_half": ([pa.array([1.5], pa.float16()), pl.Series([0.1])], 1, "no place for this value"),
    "too_fine_a_time": ([pa.array([1], pa.time32("s")), pa.array([1], pa.time64("us"))], 1, "no place for this value"),
    "time_of_day": ([pl.Series([1]), pa.array([1], pa.time64("us"))], None, "give all frames the same types"),
    "duration": ([pa.array([1], pa.time64("us")), pl.Series([HOUR])], None, "give all frames the same types"),
    "null_then_two": (
        [pl.Series([None], dtype=pl.Null), pl.Series([1]), pl.Series(["a"])],
        None,
        "it is of type Utf8View, and of type Int64 in the frames before",
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_types_that_differ_and_do_not_fit(name: str, fake: FakeQuestDB) -> None:
    columns, row, words = MISFITS[name]
    frames = [column_of(column) for column in columns]
    for write in (
        lambda: qf.to_ilp(frames, table="t", at=CLOCK),
        lambda: qf.write_questdb(frames, fake.conf, table="t", at=CLOCK),
    ):
        error = failure(write)
        assert (error.code, error.table, error.column, error.row) == (Code.BadDataFrame, "t", "v", row)
        assert words in str(error)
        if row is None:
            start = sum(map(len, frames[:-1]))
            assert f"in frame {len(frames) - 1}, which starts at row {start}" in str(error)


def test_decimals_of_another_scale() -> None:
    """As pandas' objects have them, whose scale is that of the piece."""
    texts = ["1.25", "-3.5", "7", "100.00"]
    parts = [pl.DataFrame({"d": [decimal.Decimal(text)]}) for text in texts]
    assert len({part["d"].dtype.scale for part in parts}) == 3
    parts += [pl.DataFrame({"d": [5]}), pa.table({"d": pa.array([decimal.Decimal("0.5")], pa.decimal256(60, 1))})]
    scaled = [decimal.Decimal(text) for text in (*texts, "5", "0.5")]
    for kind in (pa.decimal128(38, 2), pa.decimal256(60, 2)):
        first = pa.table({"d": pa.array(scaled[:1], kind)})
        expected = qf.to_ilp(pa.table({"d": pa.array(scaled, kind)}), table="t", at=CLOCK)
        assert qf.to_ilp([first, *parts[1:]], table="t", at=CLOCK) == expected
    for value, told in (("0.125", "0.125"), ("1e36", "1000000000000000000000000000000000000")):
        late = pa.table({"d": pa.array([decimal.Decimal(value)], pa.decimal128(38, 3 if "." in value else 0))})
        error = failure(
            qf.to_ilp, [pa.table({"d": pa.array(scaled[:2], pa.decimal128(38, 2))}), late], table="t", at=CLOCK
        )
        assert (error.column, error.row, error.value) == ("d", 2, told)


def test_lists_that_are_empty_at_first() -> None:
    parts: list[list[Any]] = [[[], None], [[1.5, 2.5], []]]
    frames = [pa.table({"a": part, "n": [1, 2]}) for part in parts]
    assert frames[0].schema.field("a").type == pa.list_(pa.null())
    whole = pa.table({"a": parts[0] + parts[1], "n": [1, 2, 1, 2]})
    assert qf.to_ilp(frames, table="t", at=CLOCK) == qf.to_ilp(whole, table="t", at=CLOCK)
    assert qf.to_ilp(frames[::-1], table="t", at=CLOCK).count(b"a=") == 3


def test_categories_of_each_piece_for_itself() -> None:
    """As pandas reads them: codes are as wide as the piece needs."""

    def part(count: int, start: int) -> pd.DataFrame:
        names = [f"name {number}" for number in range(start, start + count)]
        return pd.DataFrame({"c": pd.Categorical(names), "n": range(start, start + count)})

    sizes = [3, 300, 70_000, 1]
    starts = [0, *itertools.accumulate(sizes)]
    lines = qf.to_ilp((part(size, start) for size, start in zip(sizes, starts, strict=False)), table="t", at=CLOCK)
    assert lines.splitlines() == [f"t,c=name\\ {n} n={n}i".encode() for n in range(sum(sizes))]


def test_text_among_categories() -> None:
    """Which are symbols where the first frame has categories, and text where it has text."""
    parts = [["a", "b"], ["b", None, "c", "b"]]
    frames = [pl.DataFrame({"c": part, "n": range(len(part))}) for part in parts]
    categories = [part.with_columns(pl.col("c").cast(pl.Categorical)) for part in frames]
    symbols = b"t,c=a n=0i\nt,c=b n=1i\nt,c=b n=0i\nt n=1i\nt,c=c n=2i\nt,c=b n=3i\n"
    assert qf.to_ilp([categories[0], frames[1]], table="t", at=CLOCK) == symbols
    assert qf.to_ilp([categories[0], frames[1][::2], frames[1].to_arrow()[1::2]], table="t", at=CLOCK).count(b"c=") == 5
    text = b't c="a",n=0i\nt c="b",n=1i\nt c="b",n=0i\nt n=1i\nt c="c",n=2i\nt c="b",n=3i\n'
    assert qf.to_ilp([frames[0], categories[1]], table="t", at=CLOCK) == text


def test_a_file_in_pieces() -> None:
    text = "n,s,f\n1,a,1.5\n2,b,2.5\n,,7\n4,c,4.0\n5,,\n"
    lines = qf.to_ilp(pd.read_csv(io.StringIO(text), chunksize=2), table="t", at=CLOCK, protocol_version=1)
    assert lines == b't n=1i,s="a",f=1.5\nt n=2i,s="b",f=2.5\nt f=7.0\nt n=4i,s="c",f=4.0\nt n=5i,f=NaN\n'


def test_columns_in_another_order() -> None:
    frames = [pl.DataFrame({"a": [1], "b": ["x"]}), pl.DataFrame({"b": ["y"], "a": [2]})]
    assert qf.to_ilp(frames, table="t", at=CLOCK) == b't a=1i,b="x"\nt a=2i,b="y"\n'


@pytest.mark.parametrize(
    ("later", "words"),
    [
        ({"a": [1]}, 'it lacks "b", which the first frame has'),
        ({"a": [1], "b": [1], "c": [1], "d": [1]}, 'it has "c", "d", which the first frame has not'),
        ({"a": [1], "B": [1]}, 'it has "B" where the first frame has "b"'),
    ],
)
def test_other_columns(later: dict[str, list[int]], words: str) -> None:
    error = failure(qf.to_ilp, [pl.DataFrame({"a": [1], "b": [1]}), pl.DataFrame(later)], table="t", at=CLOCK)
    assert error.code is Code.BadDataFrame
    assert f"in frame 1, which starts at row 1: {words}; give all frames the same columns" in str(error)


# --- what is no frame, and what cannot be read ----------------------------------------------------------------------


def test_no_frames() -> None:
    for data in ([], (), iter([]), (part for part in [])):
        error = failure(qf.to_ilp, data, table="t", at=CLOCK)
        assert (error.code, error.table) == (Code.BadDataFrame, "t")
        assert f"{type(data).__qualname__} gives no frame" in str(error)
    for data in ([1], iter([1]), range(3), [[pl.DataFrame()]], ["frame.csv"]):
        error = failure(qf.to_ilp, data, table="t", at=CLOCK)
        assert type(error) is qf.IngressTypeError
        assert f"builtins.{type(data).__qualname__} is no frame, since its item 0 is none" in str(error)
    error = failure(qf.to_ilp, iter([frame(3), frame(2), 7]), table="t", at="ts")
    assert type(error) is qf.IngressTypeError
    assert "its item 2 is none: an object of type builtins.int" in str(error)


@pytest.mark.parametrize("before", [0, 1, 2])
def test_what_an_iterator_raises_is_the_cause(before: int) -> None:
    def frames() -> Iterator[pl.DataFrame]:
        yield from [frame(3)] * before
        msg = "no more"
        raise RuntimeError(msg)

    error = failure(qf.to_ilp, frames(), table="t", at="ts")
    assert (error.code, error.table) == (Code.BadDataFrame, "t")
    assert "reading the frame failed: RuntimeError: no more" in str(error)
    assert isinstance(error.__cause__, RuntimeError)


def test_what_a_query_raises_is_the_cause() -> None:
    for query in (pl.scan_csv("/no/such/file.csv"), frame(1).lazy().select("nothing")):
        for use in (qf.to_ilp, qf.plan):
            error = failure(use, query, table="t", at="ts")
            assert (error.code, error.table) == (Code.BadDataFrame, "t")
            assert str(error).startswith('table "t": reading the frame failed: ')
            assert error.__cause__ is not None


def test_errors_tell_the_row_of_the_stream(fake: FakeQuestDB) -> None:
    objects = pd.DataFrame({"v": [1, 2, object()]})
    frames = [pd.DataFrame({"v": [1, 2]}), pd.DataFrame({"v": [3]}), objects]
    error = failure(qf.write_questdb, frames, fake.conf, table="t", at=CLOCK)
    assert (error.table, error.column, error.row) == ("t", "v", 5)
    assert 'in frame 2, which starts at row 3: column "v", row 2' in str(error)
    nulls = [frame(4), frame(2).with_columns(ts=pl.when(pl.col("n") == 1).then(pl.col("ts")))]
    error = failure(qf.write_questdb, nulls, fake.conf, table="t", at="ts")
    assert (error.table, error.column, error.row) == ("t", "ts", 4)
    # Also of a query among several.
    wide = [pl.LazyFrame({"v": values}, schema={"v": pl.Int128}) for values in ([1, 2, 3], [4, 2**70])]
    error = failure(qf.write_questdb, iter(wide), fake.conf, table="t", at=CLOCK)
    assert (error.table, error.column, error.row) == ("t", "v", 4)
    # A first frame's own problems are told as those of a frame are.
    error = failure(qf.write_questdb, iter([objects]), fake.conf, table="t", at=CLOCK)
    assert (error.table, error.column, error.row) == ("t", "v", 2)
    assert str(error).startswith('table "t", column "v", row 2')


# --- what was stored ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["iterator", "reader", "reader_in_iterator"])
def test_the_error_of_another_write_stays_as_it_is(form: str, fake: FakeQuestDB, nobody: str) -> None:
    """A generator may write, too; what becomes of its rows is not what becomes of those it gives."""

    def frames(count: int) -> Iterator[pl.DataFrame]:
        for start in range(count):
            yield frame(10, 10 * start)
        qf.write_questdb(frame(3), nobody, table="inner", at="ts")

    def reader(count: int) -> pa.RecordBatchReader:
        schema = frame(1).to_arrow().schema
        return pa.RecordBatchReader.from_batches(
            schema, (batch for part in frames(count) for batch in part.to_arrow().to_batches())
        )

    for count in (1, 3) if form == "iterator" else (0, 1, 3):
        data = {"iterator": frames, "reader": reader, "reader_in_iterator": lambda count: iter([reader(count)])}[form](
            count
        )
        error = failure(qf.write_questdb, data, fake.conf, table="outer", at="ts")
        assert error.table == "outer"
        told = (*error.acked, *error.doubtful, *error.unsent)
        assert sorted(row for rows in told for row in rows) == list(range(10 * count))
        inner = error.__cause__
        assert isinstance(inner, qf.IngressError)
        assert (inner.table, inner.acked, inner.unsent) == ("inner", (), (range(3),))


@pytest.mark.parametrize("kind", [pa.list_, pa.large_list, lambda item: pa.list_(item, 2)])
def test_lists_whose_items_have_another_name_or_may_be_null(kind: Callable[[pa.Field], pa.DataType]) -> None:
    def table(name: str, nullable: bool) -> pa.Table:  # noqa: FBT001
        item = pa.field(name, pa.float64(), nullable=nullable)
        return pa.table({"l": pa.array([[1.0, 2.5]], kind(item)), "ll": pa.array([[[3.0]]], pa.list_(pa.list_(item)))})

    tables = [table("item", False), table("element", True), table("item", True), table("element", False)]  # noqa: FBT003
    lines = qf.to_ilp(tables, table="t", at=CLOCK)
    assert lines == 4 * qf.to_ilp(tables[1], table="t", at=CLOCK)


def test_an_error_of_a_reader_in_a_list_tells_its_frame() -> None:
    schema = pa.schema([pa.field("n", pa.int64(), nullable=False)])
    batch = pa.record_batch({"n": pa.array([5, None])}, schema=schema)
    reader = pa.RecordBatchReader.from_batches(schema, [batch])
    error = failure(qf.to_ilp, [pa.table({"n": [1, 2, 3]}), reader], table="t", at=CLOCK)
    assert "in frame 1, which starts at row 3" in str(error)
    assert "null in row 1" in str(error)


@pytest.mark.parametrize("form", ["list", "generator", "lazy"])
def test_a_failed_write_is_gone_on_with(form: str, fake: FakeQuestDB) -> None:
    asked = []

    def part(start: int) -> pl.DataFrame:
        asked.append(start)
        return frame(10, start)

    whole = frame(60)
    data: Any = {
        "list": lambda: [frame(10, start) for start in range(0, 60, 10)],
        "generator": lambda: (part(start) for start in range(0, 60, 10)),
        "lazy": whole.lazy,
    }[form]()
    fake.script = [stored, answer(403, b"no grant")]
    with qf.connect(f"{fake.conf}auto_flush_rows=10;connections=1;") as client:
        error = failure(client.write, data, table="t", at="ts")
        assert error.acked == (range(10),)
        assert error.unsent[0].start == 10
        report = client.write(data, table="t", at="ts", resume=error)
    assert report.rows == 50
    assert b"".join([fake.writes[0], *fake.writes[2:]]) == qf.to_ilp(whole, table="t", at="ts", protocol_version=2)
    assert asked == ([*range(0, 60, 10)] if form == "generator" else [])


def test_a_failure_tells_what_was_stored_before_it(fake: FakeQuestDB) -> None:
    def frames() -> Iterator[pl.DataFrame]:
        for start in range(0, 200, 10):
            yield frame(10, start)
        yield frame(10).drop("x")

    with qf.connect(f"{fake.conf}auto_flush_rows=10;connections=1;") as client:
        error = failure(client.write, frames(), table="t", at="ts")
    assert "in frame 20, which starts at row 200" in str(error)
    assert error.table == "t"
    told = sorted(row for rows in (*error.acked, *error.doubtful, *error.unsent) for row in rows)
    assert told == list(range(200))
    assert sum(map(len, error.acked)) == sum(body.count(b"n=") for body in fake.writes)


def test_ctrl_c_in_an_iterator(fake: FakeQuestDB) -> None:
    def frames() -> Iterator[pl.DataFrame]:
        yield frame(10)
        raise KeyboardInterrupt

    with pytest.raises(qf.WriteInterrupted) as raised:
        qf.write_questdb(frames(), fake.conf, table="t", at="ts")
    assert raised.value.table == "t"
    told = (*raised.value.acked, *raised.value.doubtful, *raised.value.unsent)
    assert sorted(row for rows in told for row in rows) == list(range(10))


def test_a_query_stops_when_its_write_fails(fake: FakeQuestDB) -> None:
    runs = []

    def seen(piece: pl.DataFrame) -> pl.DataFrame:
        runs.append(piece.height)
        return piece

    numbers = pl.select(n=pl.int_range(10_000_000))
    data = numbers.lazy().map_batches(seen, streamable=True, schema={"n": pl.Int64})
    fake.script = [answer(403, b"no grant")]
    error = failure(qf.write_questdb, data, f"{fake.conf}auto_flush_rows=100;connections=1;", table="t", at=CLOCK)
    assert error.unsent
    del error
    gc.collect()
    assert sum(runs) < 10_000_000


def test_beside_an_event_loop(fake: FakeQuestDB) -> None:
    report = asyncio.run(qf.awrite_questdb(frame(50).lazy(), fake.conf, table="t", at="ts"))
    assert report.rows == 50
    report = asyncio.run(qf.awrite_questdb(iter([frame(20), frame(30, 20)]), fake.conf, table="t", at="ts"))
    assert report.rows == 50


def test_sinks_of_lazy_frames(server: QuestDB, table: str) -> None:
    data = frame(250_000)
    report = data.lazy().sink_questdb(server.conf, table=table, at="ts", wait_visible=30)  # type: ignore[attr-defined]
    assert (report.rows, report.created) == (250_000, True)
    query = f'select count() rows, sum(n) n, sum(i) i, sum(x) x, count_distinct(c) c, max(ts) ts from "{table}"'
    ((*found, last),) = server.sql(query).rows
    assert found == [250_000, data["n"].sum(), data["i"].sum(), data["x"].sum(), data["c"].drop_nulls().n_unique()]
    assert str(last).startswith(data["ts"].max().isoformat())  # type: ignore[union-attr]
    report = qf.write_questdb(
        iter([data[:10].to_pandas(), data[10:20].to_pandas()]), server.conf, table=table, wait_visible=30
    )
    assert report.rows == 20
    assert server.sql(f'select count() from "{table}"').rows[0][0] == 250_020


def test_relations_of_duckdb(server: QuestDB, table: str) -> None:
    """Through the Arrow stream interface, each vector of rows a batch."""
    source = duckdb.connect().sql("""
        select range n, range / 4 x, 'text ' || range % 100 s,
            (['buy', 'sell'])[1 + range % 2]::enum('buy', 'sell') side,
            (range / 8)::decimal(12, 3) d, [range, 0.5]::double[] l, if(range % 3 = 0, null, range) i,
            timestamp '2025-01-02' + interval (range) second ts
        from range(10000)
    """)
    report = qf.write_questdb(source, server.conf, table=table, at="ts", wait_visible=30)
    assert report.rows == 10_000
    back = qf.read_questdb(f'select * from "{table}"', server.conf)
    utc = pl.col("ts").dt.replace_time_zone("UTC")
    assert_frame_equal(back, source.pl().with_columns(utc), categorical_as_str=True, check_dtypes=False)
    parts = [source.filter("n < 4000"), source.filter("n >= 4000")]
    assert qf.to_ilp(parts, table="t", at="ts") == qf.to_ilp(source, table="t", at="ts")


@pytest.mark.parametrize("conf", ["pool_bytes=1048576;", ""], ids=["small buffers", "default"])
def test_long_rows_wait_for_a_server_that_takes_its_time(conf: str, fake: FakeQuestDB) -> None:
    """Each has a buffer of its own, and only so many of them are on their way as the pool has buffers."""
    text = "x" * (300_000 if conf else 9_000_000)
    taken = []

    def frames() -> Iterator[pl.DataFrame]:
        for number in range(100):
            taken.append(number)
            yield pl.DataFrame({"s": [text], "ts": pl.Series([number], dtype=pl.Datetime("us"))})

    fake.script = [silent] * 100
    error = failure(qf.write_questdb, frames(), fake.conf + conf, table="t", at="ts", deadline=1.5)
    assert "deadline" in str(error)
    assert 4 <= len(taken) <= 8
    fake.script = []
    assert qf.write_questdb(frames(), fake.conf + conf, table="t", at="ts").rows == 100
