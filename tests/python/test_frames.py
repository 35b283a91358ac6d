"""Every kind of frame gives the same bytes, and no frame is changed by being written."""

from __future__ import annotations

import datetime as dt
import errno
import io
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import polars.testing
import pyarrow as pa
import pytest

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import FakeQuestDB

PANDAS = int(pd.__version__.partition(".")[0])
START = 1_735_689_600_000_000  # 2025-01-01 in microseconds

SYMBOLS = ["a", "b c", "a", None, "d", "a"]
INTEGERS = [1, None, -3, 4, 2**63 - 1, 6]
FLOATS = [0.5, 1.5, float("nan"), -2.25, 1e300, 0.1]
TEXTS = ["x", None, 'q"q', "", "é", "last"]
FLAGS = [True, False, True, True, False, False]
MOMENTS = [START + i for i in range(6)]

# Protocol version 1, since all of it can be read. NaN is a value, a null is none.
EXPECTED = b"""\
t,s=a i=1i,f=0.5,t="x",b=t,d=1735689600000000t 1735689600000000000
t,s=b\\ c f=1.5,b=f,d=1735689600000001t 1735689600000001000
t,s=a i=-3i,f=NaN,t="q\\"q",b=t,d=1735689600000002t 1735689600000002000
t i=4i,f=-2.25,t="",b=t,d=1735689600000003t 1735689600000003000
t,s=d i=9223372036854775807i,f=1e300,t="\xc3\xa9",b=f,d=1735689600000004t 1735689600000004000
t,s=a i=6i,f=0.1,t="last",b=f,d=1735689600000005t 1735689600000005000
"""


def v1(data: Any, **options: Any) -> bytes:
    return qf.to_ilp(data, **{"table": "t", "protocol_version": 1, **options})


def lines(data: Any, **options: Any) -> list[str]:
    """The lines of a frame without timestamps, without the table's name."""
    text = v1(data, at=qf.ServerTimestamp, **options).decode()
    return [line.removeprefix("t").strip() for line in text.splitlines()]


def column(values: Any, **options: Any) -> list[str]:
    """The lines of a pandas column `a`, beside a column that keeps no row empty."""
    frame = pd.DataFrame({"a": values})
    frame["z"] = 0
    return [line.removesuffix("z=0i").rstrip(", ") for line in lines(frame, **options)]


def arrow() -> pa.Table:
    return pa.table(
        {
            "s": pa.array(SYMBOLS).dictionary_encode(),
            "i": pa.array(INTEGERS, pa.int64()),
            "f": pa.array(FLOATS, pa.float64(), from_pandas=False),
            "t": pa.array(TEXTS, pa.string()),
            "b": pa.array(FLAGS),
            "d": pa.array(MOMENTS, pa.timestamp("us")),
            "ts": pa.array(MOMENTS, pa.timestamp("us")),
        }
    )


def polars_frame() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "s": pl.Series(SYMBOLS, dtype=pl.Categorical),
            "i": INTEGERS,
            "f": FLOATS,
            "t": TEXTS,
            "b": FLAGS,
            "d": pl.Series(MOMENTS, dtype=pl.Datetime("us")),
            "ts": pl.Series(MOMENTS, dtype=pl.Datetime("us")),
        }
    )


def pandas_frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "s": pd.Categorical(SYMBOLS),
            "i": pd.array(INTEGERS, dtype="Int64"),
            "f": np.array(FLOATS),
            "t": np.array(TEXTS, dtype=object),
            "b": np.array(FLAGS),
            "d": np.array(MOMENTS, "M8[us]"),
            "ts": np.array(MOMENTS, "M8[us]"),
        },
        index=pd.Index(list("uvwxyz"), name="index"),
    )


def pandas_arrow_frame() -> pd.DataFrame:
    return arrow().to_pandas(types_mapper=pd.ArrowDtype)


def misaligned(frame: pl.DataFrame, *borders: int) -> pl.DataFrame:
    """The frame with other chunk borders in its first column than in all others, which have one chunk."""
    first = frame.to_series(0)
    ends = [0, *borders, frame.height]
    pieces = [first.slice(start, end - start) for start, end in zip(ends, ends[1:], strict=False)]
    chunked = pieces[0].clone()
    for piece in pieces[1:]:
        chunked.append(piece)
    shaped = frame.rechunk().with_columns(chunked)
    assert shaped.n_chunks("all") == [len(borders) + 1] + [1] * (frame.width - 1)
    return shaped


class Stream:
    """An object of a library we never heard of: it exports a stream and nothing else."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


class Array:
    """The same with a single batch."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        return self._batch.__arrow_c_array__(requested_schema)


def cut_table() -> pa.Table:
    """Batches of several sizes, an empty one among them, each with a dictionary of its own."""
    plain = arrow().set_column(0, "s", pa.array(SYMBOLS))
    pieces = []
    for start, rows in ((0, 2), (2, 0), (2, 1), (3, 3)):
        piece = plain.slice(start, rows)
        pieces.append(piece.set_column(0, "s", piece["s"].combine_chunks().dictionary_encode()))
    table = pa.concat_tables(pieces)
    assert [len(chunk) for chunk in table["i"].chunks] == [2, 0, 1, 3]
    return table


def pandas_arrow_chunks() -> pd.DataFrame:
    """pandas columns in pyarrow's memory whose chunks end at different rows."""
    frame = pandas_frame()
    for name, border in (("i", 2), ("t", 4), ("ts", 4)):
        whole = arrow()[name].combine_chunks()
        chunks = pa.chunked_array([whole[:border], whole[border:border], whole[border:]])
        frame[name] = pd.arrays.ArrowExtensionArray(chunks)
    return frame


KINDS: dict[str, Callable[[], Any]] = {
    "polars": polars_frame,
    "polars_several_chunks": lambda: pl.concat([polars_frame()[:2], polars_frame()[2:3], polars_frame()[3:]]),
    "polars_misaligned_chunks": lambda: misaligned(polars_frame(), 1, 4),
    "polars_slice": lambda: pl.concat([polars_frame()[3:], polars_frame(), polars_frame()[:2]]).slice(3, 6),
    "polars_every_second_row": lambda: polars_frame().gather(np.repeat(np.arange(6), 2)).gather_every(2),
    "polars_enum": lambda: polars_frame().with_columns(pl.col("s").cast(pl.Enum(["zz", "d", "b c", "a"]))),
    "polars_zoned": lambda: polars_frame().with_columns(pl.col("ts").dt.replace_time_zone("UTC")),
    "pandas_numpy": pandas_frame,
    "pandas_arrow": pandas_arrow_frame,
    "pandas_arrow_chunks": pandas_arrow_chunks,
    "pandas_nullable": lambda: pandas_frame().astype({"t": "string[python]", "b": "boolean", "i": "Int64"}),
    # Before pandas 3 "str" is no type of its own: it makes objects, a string of None, too.
    **({"pandas_str": lambda: pandas_frame().astype({"t": "str"})} if PANDAS >= 3 else {}),
    "table": arrow,
    "table_of_batches": cut_table,
    "record_batch": lambda: arrow().combine_chunks().to_batches()[0],
    "reader": lambda: cut_table().to_reader(),
    "reader_of_small_batches": lambda: arrow().to_reader(max_chunksize=1),
    "stream_only": lambda: Stream(cut_table()),
    "array_only": lambda: Array(arrow().combine_chunks().to_batches()[0]),
    "sliced_batch": lambda: pa.concat_tables([arrow(), arrow()]).combine_chunks().to_batches()[0].slice(6),
    "views": lambda: arrow().cast(arrow().schema.set(3, pa.field("t", pa.string_view()))),
    "large_strings": lambda: arrow().cast(arrow().schema.set(3, pa.field("t", pa.large_string()))),
}


def test_nulls_where_a_schema_says_that_there_are_none() -> None:
    """Producers say so of columns that have some. What is in memory is sent all the same."""
    frame = arrow()
    strict = pa.schema([field.with_nullable(False) for field in frame.schema])
    batches = [pa.RecordBatch.from_arrays(batch.columns, schema=strict) for batch in frame.to_batches(max_chunksize=1)]
    assert any(column.null_count for column in frame.columns)
    assert v1(pa.Table.from_batches(batches), at="ts") == EXPECTED
    assert b"".join(v1(batch, at="ts") for batch in batches) == EXPECTED
    # A stream is planned before it is read.
    with pytest.raises(qf.IngressError, match="is null in row 1, and the stream's schema says that it never is"):
        v1(pa.RecordBatchReader.from_batches(strict, batches), at="ts")


NUMBERS = pa.schema([("n", pa.int64()), ("m", pa.int64()), ("ts", pa.timestamp("us"))])


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (
            {"n": pa.array(range(1000), pa.int16()).cast(pa.int8(), safe=False)},
            'a column "n" of type Int8 where the st',
        ),
        ({"n": pa.array([1.5])}, 'a column "n" of type Float64 where the stream\'s schema has Int64'),
        ({"ts": pa.array([1], pa.timestamp("ns"))}, 'a column "ts" of type Timestamp(ns) where'),
        ({"n": pa.array(["x"])}, 'a column "n" of type Utf8 where'),
    ],
    ids=["int8", "float64", "ns", "string"],
)
def test_streams_whose_batches_are_of_another_schema(other: dict[str, pa.Array], says: str) -> None:
    """pyarrow exports them as if they were of the stream's; read so, they are something else, or not even there."""
    rows = len(next(iter(other.values())))
    columns = {field.name: pa.array([7] * rows).cast(field.type) for field in NUMBERS} | other
    first = pa.record_batch([pa.array([1, 2]).cast(field.type) for field in NUMBERS], schema=NUMBERS)
    for second in (pa.record_batch(columns), pa.record_batch({name: columns[name] for name in ("m", "n", "ts")})):
        reader = pa.RecordBatchReader.from_batches(NUMBERS, iter([first, second]))
        with pytest.raises(qf.IngressError) as caught:
            v1(reader, at="ts")
        swapped = 'has the columns "m", "n", "ts" where the stream\'s schema has "n", "m", "ts"'
        expected = says if second.schema.names == NUMBERS.names else swapped
        assert expected in str(caught.value)
        assert "batch 1, from row 2 on" in str(caught.value)
        assert "make all batches of one schema" in str(caught.value)


def test_what_a_generator_raises_is_the_cause() -> None:
    def batches(raised: BaseException) -> Any:
        yield pa.record_batch([pa.array([1]).cast(field.type) for field in NUMBERS], schema=NUMBERS)
        raise raised

    def failure(raised: BaseException) -> BaseException:
        with pytest.raises(BaseException, match="reading|interrupted") as caught:
            v1(pa.RecordBatchReader.from_batches(NUMBERS, batches(raised)), at="ts")
        return caught.value

    for raised in (ValueError("ended by KeyboardInterrupt; see the log"), OSError(5, "no disk")):
        error = failure(raised)
        assert isinstance(error, qf.IngressError)
        assert error.__cause__ is raised
        assert str(raised) in str(error)
    assert isinstance(failure(KeyboardInterrupt()), qf.WriteInterrupted)


def test_nulls_that_cannot_be_sent_where_a_schema_says_that_there_are_none() -> None:
    schema = pa.schema([pa.field("n", pa.int64(), nullable=False), pa.field("ts", pa.timestamp("us"), nullable=False)])
    for columns, says in [
        ({"n": [1, 2], "ts": [1, None]}, "null"),
        ({"n": [1, None], "ts": [1, 2]}, "every symbol and field of the row is null"),
    ]:
        with pytest.raises(qf.IngressError, match=says) as caught:
            qf.to_ilp(pa.Table.from_pydict(columns, schema=schema), table="t", at="ts")
        assert caught.value.row == 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_frame_gives_the_same_bytes(kind: str) -> None:
    assert v1(KINDS[kind](), at="ts") == EXPECTED


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith(("reader", "stream"))])
def test_a_frame_may_be_read_again(kind: str) -> None:
    frame = KINDS[kind]()
    assert v1(frame, at="ts") == v1(frame, at="ts") == EXPECTED


def test_versions_2_and_3_send_doubles_as_bytes_and_units() -> None:
    frame = pl.DataFrame({"f": [2615.54, float("nan")], "ts": pl.Series([1, 2], dtype=pl.Datetime("ns"))})
    double, nan = struct.pack("<d", 2615.54), struct.pack("<d", float("nan"))
    expected = b"t f==\x10" + double + b" 1n\nt f==\x10" + nan + b" 2n\n"
    assert qf.to_ilp(frame, table="t", at="ts", protocol_version=2) == expected
    assert qf.to_ilp(frame, table="t", at="ts") == expected
    assert v1(frame, at="ts") == b"t f=2615.54 1\nt f=NaN 2\n"


# --- polars ---------------------------------------------------------------------------------------------------------


def large_polars() -> pl.DataFrame:
    """Many rows of every kind, one chunk."""
    numbers = np.arange(60_000)
    return pl.DataFrame(
        {
            "s": pl.Series([f"s{i % 97}" if i % 11 else None for i in numbers], dtype=pl.Categorical),
            "i": pl.Series([None if i % 7 == 3 else int(i) for i in numbers]),
            "f": numbers * 0.25,
            "t": pl.Series([None if i % 13 == 5 else f"text {i}" for i in numbers]),
            "n": pl.Series([None] * len(numbers)),
            "ts": pl.Series(numbers + START, dtype=pl.Datetime("us")),
        }
    )


# Few chunks are exported one by one, many small ones are put together: both must not show.
@pytest.mark.parametrize("borders", [(1,), (20_000, 40_001), (8_192, 8_193), tuple(range(0, 60_000, 97))[1:]])
def test_chunk_borders_of_large_polars_frames_do_not_show(borders: tuple[int, ...]) -> None:
    whole = large_polars()
    expected = v1(whole, at="ts")
    assert expected.count(b"\n") == 60_000
    shaped = misaligned(whole, *borders)
    chunks = shaped.n_chunks("all")
    assert v1(shaped, at="ts") == expected
    assert shaped.n_chunks("all") == chunks, "the caller's frame was rechunked"


def test_symbols_of_few_rows_are_written_as_those_of_many() -> None:
    """Few are left to Polars' own export."""
    many = large_polars()
    many = many.with_columns(e=pl.col("s").cast(pl.String).cast(pl.Enum([*(f"s{i}" for i in range(97)), "unused"])))
    expected = v1(many, at="ts")
    assert expected.count(b",e=s96") > 500
    pieces = (many.slice(start, 4_096) for start in range(0, 60_000, 4_096))
    assert b"".join(v1(piece, at="ts") for piece in pieces) == expected
    assert b"".join(v1(many.slice(start, 4_097), at="ts") for start in range(0, 60_000, 4_097)) == expected


@pytest.mark.parametrize("distinct", [1, 250, 8_192, 8_193, 60_000])
@pytest.mark.parametrize("kind", ["Categories", "Enum", "nulls"])
def test_symbols_of_many_rows_are_written_as_those_of_few(kind: str, distinct: int) -> None:
    """Where categories are known to be few, codes are taken as they are; few rows are left to Polars' own export."""
    rows = 140_000
    texts = (pl.int_range(rows, eager=True) * 7_919 % distinct).cast(pl.String) + " of"
    every = pl.Series([f"{i} of" for i in range(distinct)])
    if kind == "Enum":
        dtype: Any = pl.Enum(every)
    else:
        # As narrow as it gets: codes of 8, 16 and 32 bits.
        physical = pl.UInt8 if distinct < 255 else pl.UInt16 if distinct < 10_000 else pl.UInt32
        dtype = pl.Categorical(pl.Categories.random(physical=physical))
    symbols = texts.cast(dtype)
    if kind == "nulls":
        symbols = pl.select(pl.when(pl.int_range(rows) % 3 > 0).then(symbols)).to_series()
    frame = pl.DataFrame({"s": symbols, "n": range(rows), "ts": pl.Series(range(rows), dtype=pl.Datetime("us"))})
    keys = [f",s={text}".replace(" ", r"\ ") for text in texts]
    if kind == "nulls":
        keys = [key if row % 3 else "" for row, key in enumerate(keys)]
    written = v1(frame, at="ts")
    assert written.decode().splitlines() == [f"t{key} n={row}i {row * 1_000}" for row, key in enumerate(keys)]
    assert b"".join(v1(frame.slice(start, 4_096), at="ts") for start in range(0, rows, 4_096)) == written


def test_more_small_chunks_than_one_export_takes() -> None:
    rows = 300_000
    whole = pl.DataFrame({"i": range(rows), "ts": pl.Series(range(rows), dtype=pl.Datetime("us"))})
    shaped = misaligned(whole, *range(100, rows, 100))
    assert v1(shaped, at="ts") == v1(whole, at="ts")
    assert shaped.n_chunks("all") == [3_000, 1]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("polars")])
def test_the_callers_polars_frame_stays_as_it_is(kind: str) -> None:
    frame = KINDS[kind]()
    chunks, before = frame.n_chunks("all"), frame.clone()
    v1(frame, at="ts")
    assert frame.n_chunks("all") == chunks
    polars.testing.assert_frame_equal(frame, before)


def test_each_polars_slice_has_a_dictionary_of_its_own() -> None:
    pieces = [
        pl.DataFrame(
            {"s": pl.Series([f"{name}{i % 5}" for i in range(9_000)], dtype=pl.Categorical), "n": range(9_000)}
        )
        for name in "abc"
    ]
    frame = pl.concat(pieces, rechunk=False)
    assert frame.n_chunks() == 3
    expected = [f",s={name}{i % 5} n={i}i" for name in "abc" for i in range(9_000)]
    assert lines(frame) == expected
    assert lines(frame.slice(8_998, 4)) == [",s=a3 n=8998i", ",s=a4 n=8999i", ",s=b0 n=0i", ",s=b1 n=1i"]
    assert frame.n_chunks() == 3


def test_polars_null_columns_are_left_out_wherever_they_stand() -> None:
    frame = pl.DataFrame({"n0": [None, None], "a": [1, 2], "n1": [None, None], "b": ["x", None], "n2": [None, None]})
    assert frame.dtypes == [pl.Null, pl.Int64, pl.Null, pl.String, pl.Null]
    assert lines(frame) == ['a=1i,b="x"', "a=2i"]
    assert frame.dtypes[0] == pl.Null
    plan = qf.plan(frame, table="t", at=qf.ServerTimestamp)
    assert [(column.role, column.arrow_type) for column in plan.columns][0] == ("skipped", "Null")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pl.Series([1, -128], dtype=pl.Int8), ["a=1i", "a=-128i"]),
        (pl.Series([0, 2**32 - 1], dtype=pl.UInt32), ["a=0i", "a=4294967295i"]),
        (pl.Series([0, 2**63 - 1], dtype=pl.UInt64), ["a=0i", "a=9223372036854775807i"]),
        (pl.Series([0.1, None], dtype=pl.Float32), ["a=0.10000000149011612", ""]),
        (pl.Series([dt.date(1969, 12, 31), None]), ["a=-86400000000t", ""]),
        (pl.Series([1, -1], dtype=pl.Datetime("ms")), ["a=1000t", "a=-1000t"]),
        (pl.Series([1_999, -1_999], dtype=pl.Datetime("ns")), ["a=1t", "a=-1t"]),
        (pl.Series(["x", None], dtype=pl.Enum(["y", "x"])), [",a=x", ""]),
    ],
    ids=lambda value: str(value.dtype) if isinstance(value, pl.Series) else "",
)
def test_polars_types(values: pl.Series, expected: list[str]) -> None:
    frame = pl.DataFrame({"a": values, "z": [0, 0]})
    assert [line.removesuffix("z=0i").rstrip(", ") for line in lines(frame)] == expected


# --- zero rows ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*KINDS, "no_batches"])
def test_zero_rows_give_zero_bytes(kind: str) -> None:
    if kind == "no_batches":
        frame: Any = pa.RecordBatchReader.from_batches(arrow().schema, [])
    else:
        frame = KINDS[kind]()
        if isinstance(frame, (Stream, pa.RecordBatchReader)):
            frame = Stream(arrow().slice(0, 0))
        elif isinstance(frame, Array):
            frame = Array(pa.RecordBatch.from_pylist([], arrow().schema))
        else:
            frame = frame[:0]
    assert v1(frame, at="ts") == b""


# --- pandas ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [f"{sign}{size}" for sign in "iu" for size in (1, 2, 4, 8)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_pandas_integers(kind: str, order: str) -> None:
    dtype = np.dtype(order + kind)
    limits = np.iinfo(dtype)
    values = [limits.min, 0, 7, min(limits.max, 2**63 - 1)]
    assert column(np.array(values, dtype)) == [f"a={value}i" for value in values]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_pandas_floats_nan_stays_nan(kind: str, order: str) -> None:
    values = np.array([0.5, np.nan, -np.inf, -2.0], order + kind)
    assert column(values) == ["a=0.5", "a=NaN", "a=-Infinity", "a=-2.0"]
    assert column(values, nan="omit") == ["a=0.5", "", "a=-Infinity", "a=-2.0"]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("unit", "factor"), [("s", 10**6), ("ms", 10**3), ("us", 1)])
def test_pandas_datetimes(unit: str, factor: int, order: str) -> None:
    moments = np.array([1, "NaT", -5], f"{order}M8[{unit}]")
    assert column(moments) == [f"a={factor}t", "", f"a={-5 * factor}t"]


def test_pandas_nanoseconds_keep_every_digit() -> None:
    moments = np.array([1_735_787_045_678_901_234, "NaT"], "M8[ns]")
    assert column(moments, protocol_version=3) == ["a=1735787045678901234n", ""]
    assert column(moments) == ["a=1735787045678901t", ""]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata"])
def test_pandas_zoned_datetimes_are_the_same_instants(unit: str, zone: str) -> None:
    moments = pd.Series(pd.to_datetime(["2025-07-01T12:00:00Z", None]).as_unit(unit).tz_convert(zone))
    suffix = {"ns": "1751371200000000000n"}.get(unit, "1751371200000000t")
    assert column(moments, protocol_version=2) == [f"a={suffix}", ""]


def test_a_zoned_pandas_column_may_be_at() -> None:
    moments = pd.to_datetime(["2025-07-01T12:00:00Z"]).as_unit("ms").tz_convert("America/New_York")
    frame = pd.DataFrame({"a": [1], "ts": moments})
    assert v1(frame) == b"t a=1i 1751371200000000000\n"


def many_categories() -> pd.Categorical:
    """So many that their codes take two bytes."""
    names = [f"c{i}" for i in range(701)]
    names[1], names[700] = "x", "y z"
    return pd.Categorical.from_codes([1, -1, 700, 1], names)


@pytest.mark.parametrize(
    "categories",
    [
        pd.Categorical(["x", None, "y z", "x"]),
        pd.Categorical(["x", None, "y z", "x"], categories=pd.Index(["unused", "y z", "x"], dtype=object)),
        pd.Categorical(["x", None, "y z", "x"], categories=["y z", "x"], ordered=True),
        many_categories(),
    ],
    ids=["str", "object", "ordered", "int16_codes"],
)
def test_pandas_categories_are_symbols(categories: pd.Categorical) -> None:
    assert column(categories) == [",a=x", "", ",a=y\\ z", ",a=x"]
    assert column(categories, symbols=False) == ['a="x"', "", 'a="y z"', 'a="x"']


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, None, 4], ["a=3i", "", "a=4i"]),
        ([1.5, None], ["a=1.5", ""]),
        (pd.to_datetime(["2025-01-01", None]), ["a=1735689600000000t", ""]),
        ([None, None], ["", ""]),
    ],
    ids=["int", "float", "datetime", "none"],
)
def test_pandas_categories_of_other_types_are_what_they_stand_for(values: Any, expected: list[str]) -> None:
    assert column(pd.Categorical(values)) == expected


def test_strided_pandas_columns_are_read_where_they_are() -> None:
    block = np.arange(24.0).reshape(6, 4)
    frame = pd.DataFrame(block, columns=list("abcd"), copy=False)
    assert lines(frame[["b"]].iloc[::2]) == ["b=1.0", "b=9.0", "b=17.0"]
    assert lines(frame[["d"]].iloc[::-3]) == ["d=23.0", "d=11.0"]
    flags = pd.DataFrame(block % 3 == 0, columns=list("abcd"), copy=False)
    assert lines(flags[["a", "d"]].iloc[:2]) == ["a=t,d=t", "a=f,d=f"]
    assert column(np.arange(6, dtype="i2")[::-2]) == ["a=5i", "a=3i", "a=1i"]


def test_read_only_pandas_columns() -> None:
    values = np.array([1.5, 2.5])
    values.flags.writeable = False
    assert column(pd.Series(values, copy=False)) == ["a=1.5", "a=2.5"]
    moments = np.array([1, 2], "M8[us]")
    moments.flags.writeable = False
    assert column(pd.Series(moments, copy=False)) == ["a=1t", "a=2t"]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["x", None, float("nan"), pd.NA, ""], ['a="x"', "", "", "", 'a=""']),
        ([None, 7, pd.NA, -(2**63)], ["", "a=7i", "", "a=-9223372036854775808i"]),
        ([1.5, None, float("nan")], ["a=1.5", "", "a=NaN"]),
        ([True, False], ["a=t", "a=f"]),
        ([dt.datetime(2025, 1, 1), None, pd.NaT], ["a=1735689600000000t", "", ""]),
        ([dt.datetime(2025, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))], ["a=1735686000000000t"]),
        ([dt.date(1970, 1, 2)], ["a=86400000000t"]),
        ([None, pd.NA], ["", ""]),
    ],
    ids=["str", "int", "float", "bool", "datetime", "zoned", "date", "nothing"],
)
def test_pandas_object_columns(cells: list[Any], expected: list[str]) -> None:
    assert column(pd.Series(cells, dtype=object)) == expected


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pd.array([1, None, -3], dtype="Int64"), ["a=1i", "", "a=-3i"]),
        (pd.array([1, None, 255], dtype="UInt8"), ["a=1i", "", "a=255i"]),
        (pd.array([1.5, None], dtype="Float64"), ["a=1.5", ""]),
        (pd.array([0.5, None], dtype="Float32"), ["a=0.5", ""]),
        (pd.array([True, False], dtype="boolean"), ["a=t", "a=f"]),
        (pd.array(["x", None], dtype="string[python]"), ['a="x"', ""]),
        (pd.array(["x", None], dtype="string[pyarrow]"), ['a="x"', ""]),
        pytest.param(
            pd.array(["x", None], dtype="str"),
            ['a="x"', ""],
            marks=pytest.mark.skipif(PANDAS < 3, reason="a type of pandas 3"),
        ),
        (pd.array(["x", None], dtype=pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string()))), [",a=x", ""]),
        (pd.array([1, None], dtype=pd.ArrowDtype(pa.uint64())), ["a=1i", ""]),
    ],
    ids=lambda value: str(value.dtype).replace("<", "_") if hasattr(value, "dtype") else "",
)
def test_pandas_nullable_columns_leave_missing_values_out(array: Any, expected: list[str]) -> None:
    assert column(array) == expected


def test_pandas_nullable_booleans_may_be_made_false() -> None:
    array = pd.array([True, None], dtype="boolean")
    assert column(array, null_bool="false") == ["a=t", "a=f"]
    assert column(array, null_bool="omit") == ["a=t", ""]


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([7, 8], name="idx"),
        pd.DatetimeIndex(["2025-01-01", "2025-01-02"], name="when"),
        pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["p", "q"]),
    ],
    ids=["named", "datetime", "multi"],
)
def test_the_pandas_index_is_never_written(index: pd.Index) -> None:
    frame = pd.DataFrame({"a": [1, 2]}, index=index)
    assert lines(frame) == ["a=1i", "a=2i"]
    assert [column.name for column in qf.plan(frame, table="t", at=qf.ServerTimestamp).columns] == ["a"]


@pytest.mark.parametrize(
    ("index", "told"),
    [
        (pd.Index([7, 8], name="idx"), '"idx"'),
        (pd.Index(["x", "y"], name=5), "5"),
        (pd.Index(["x", "y"], name="\ud800"), "d800"),
        (pd.DatetimeIndex(["2025-01-01", "2025-01-02"], name="when"), '"when"'),
        (pd.DatetimeIndex(["2025-01-01", "2025-01-02"]), '"index"'),
        (pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["p", "q"]), '"p", "q"'),
        (pd.MultiIndex.from_tuples([("x", 1), ("y", 2)]), "2 levels"),
        (pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["a", None]), "2 levels"),
        (pd.Index([7, 8]), None),
        (pd.Index([7, 8], name="a"), None),
    ],
    ids=[
        "named",
        "number",
        "surrogate",
        "datetime",
        "datetime_unnamed",
        "multi",
        "multi_unnamed",
        "multi_one",
        "unnamed",
        "column",
    ],
)
def test_that_a_named_pandas_index_is_not_written_is_told(index: pd.Index, told: str | None, fake: FakeQuestDB) -> None:
    frame = pd.DataFrame({"a": [1, 2]}, index=index)
    for data in (frame, [frame, frame], iter([frame])):
        report = qf.write_questdb(data, fake.conf, table="t", at=qf.ServerTimestamp)
        notes = [note for note in report.notes if "index" in note]
        assert len(notes) == (told is not None), report.notes
        if told is not None:
            assert told in notes[0]
            assert "frame.reset_index()" in notes[0]
    assert ("reset_index" in str(qf.plan(frame, table="t", at=qf.ServerTimestamp))) == (told is not None)


def test_an_index_of_times_beside_a_column_called_index_is_told() -> None:
    frame = pd.DataFrame({"index": [1]}, index=pd.DatetimeIndex(["2025-01-01"]))
    assert "index (times) is not written" in str(qf.plan(frame, table="t", at=qf.ServerTimestamp))


def test_a_pandas_index_that_is_at_is_not_told_to_be_missing(fake: FakeQuestDB) -> None:
    frame = pd.DataFrame({"a": [1]}, index=pd.DatetimeIndex(["2025-01-01"], name="when"))
    for at in ("when", "index"):
        assert not any("index" in note for note in qf.write_questdb(frame, fake.conf, table="t", at=at).notes)


def test_a_frame_with_two_columns_of_one_name_is_refused() -> None:
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(qf.IngressError, match="more than one column of this name") as caught:
        v1(frame, at=qf.ServerTimestamp)
    assert caught.value.column == "a"


@pytest.mark.parametrize("label", [0, ("a", "b"), None, 1.5], ids=repr)
def test_pandas_column_names_that_are_not_strings_are_refused(label: Any) -> None:
    frame = pd.DataFrame({"a": [1], label: [2]})
    with pytest.raises(qf.IngressError) as caught:
        v1(frame, at=qf.ServerTimestamp)
    assert caught.value.code is qf.IngressErrorCode.InvalidName
    assert caught.value.column == str(frame.columns[1])
    assert "rename(columns=str)" in str(caught.value)


def test_pandas_columns_of_several_levels_and_the_cure() -> None:
    frame = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")]))
    with pytest.raises(qf.IngressError) as caught:
        v1(frame, at=qf.ServerTimestamp)
    cure = 'frame.columns = ["_".join(map(str, name)) for name in frame.columns]'
    assert cure in str(caught.value)
    exec(cure, {"frame": frame})  # noqa: S102 - the cure has to run
    assert lines(frame) == ["a_x=1i,a_y=2i"]


def test_the_callers_pandas_frame_stays_as_it_is() -> None:
    frame = pandas_frame()
    before = frame.copy(deep=True)
    v1(frame, at="ts")
    pd.testing.assert_frame_equal(frame, before)


# --- out= -----------------------------------------------------------------------------------------------------------


def test_out_takes_a_path(tmp_path: Path) -> None:
    for path in (tmp_path / "as_path.ilp", str(tmp_path / "as_str.ilp")):
        assert v1(polars_frame(), at="ts", out=path) == len(EXPECTED)
        assert Path(path).read_bytes() == EXPECTED


def test_out_takes_a_binary_file(tmp_path: Path) -> None:
    path = tmp_path / "file.ilp"
    for buffering in (-1, 0):
        with path.open("wb", buffering=buffering) as file:
            file.write(b"# ")
            assert v1(pandas_frame(), at="ts", out=file) == len(EXPECTED)
        assert path.read_bytes() == b"# " + EXPECTED
    memory = io.BytesIO()
    assert v1(arrow(), at="ts", out=memory) == len(EXPECTED)
    assert memory.getvalue() == EXPECTED


def test_out_takes_a_raw_file_that_writes_a_little_at_a_time() -> None:
    class Slow(io.RawIOBase):
        taken = b""

        def write(self, data: Any, /) -> int:
            self.taken += bytes(data[:7])
            return len(data[:7])

    slow = Slow()
    assert v1(polars_frame(), at="ts", out=slow) == len(EXPECTED)
    assert slow.taken == EXPECTED


def test_out_streams_large_frames_to_the_same_bytes() -> None:
    frame = large_polars()
    memory = io.BytesIO()
    expected = v1(frame, at="ts")
    assert v1(frame, at="ts", out=memory) == len(expected) == v1(frame, at="ts", out=os.devnull)
    assert memory.getvalue() == expected


def test_out_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: .*missing"):
        v1(polars_frame(), at="ts", out=tmp_path / "missing" / "x")
    with pytest.raises(TypeError, match="path or a binary file"):
        v1(polars_frame(), at="ts", out=5)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_out_on_a_full_disk() -> None:
    with pytest.raises(OSError, match="No space left on device") as caught:
        v1(polars_frame(), at="ts", out="/dev/full")
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("error", [OSError(28, "the disk is full"), ValueError("closed"), KeyboardInterrupt()])
def test_what_out_raises_reaches_the_caller(error: BaseException) -> None:
    class Broken:
        def write(self, data: bytes) -> int:
            raise error

    with pytest.raises(type(error)) as caught:
        v1(polars_frame(), at="ts", out=Broken())
    assert caught.value is error


@pytest.mark.parametrize("at", ["ts", None])
def test_the_table_of_a_frame(at: str | None) -> None:
    data = pl.DataFrame({"n": [1], "ts": pl.Series([1], dtype=pl.Datetime("us"))})
    for frame in (data, data.to_pandas(), data.to_pandas().set_index("ts"), data.to_arrow()):
        sql = qf.TableSpec().sql(frame, table="t", at=at)
        assert sql.startswith('CREATE TABLE IF NOT EXISTS "t" ("n" LONG, "ts" TIMESTAMP) TIMESTAMP("ts")'), sql
