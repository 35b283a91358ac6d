"""pandas columns of every type, exactly: what they become in Arrow, and the lines of those that are scalars.

Runs on pandas 2.2 and 3. Values are drawn with a fixed seed; `QUESTFRAME_HYPOTHESIS_PROFILE=full` draws many more, at
random. pyarrow only reads what came of a frame.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import ipaddress
import math
import subprocess
import sys
import textwrap
import uuid
from decimal import Decimal
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas_columns import EXACT, INDEX, NAN, PANDAS, UTC, arrow, drawn, lines, objects, refused, refused_cell

import questframe as qf
from questframe import IngressErrorCode as Code
from questframe import _pandas

# --- decimals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1.5", "-2.25", "3"], pa.decimal128(3, 2)),
        (["1E+3", "0.1"], pa.decimal128(5, 1)),
        (["1E+3", "-7"], pa.decimal128(4, 0)),
        (["0.001"], pa.decimal128(3, 3)),
        (["0"], pa.decimal128(1, 0)),
        (["-0.00", "0E+5"], pa.decimal128(2, 2)),
        (["-0", "00012.500"], pa.decimal128(5, 3)),
        (["9" * 38], pa.decimal128(38, 0)),
        (["-" + "9" * 39], pa.decimal256(39, 0)),
        (["9" * 38, "0.1"], pa.decimal256(39, 1)),
        (["0." + "1" * 38], pa.decimal128(38, 38)),
        (["0." + "1" * 39], pa.decimal256(39, 39)),
        (["9" * 76], pa.decimal256(76, 0)),
        (["-" + "9" * 36 + "." + "9" * 40], pa.decimal256(76, 40)),
        (["1E-76"], pa.decimal256(76, 76)),
        (["1E+75"], pa.decimal256(76, 0)),
        (["1234567890123456789012345678901234567890.5E-3"], pa.decimal256(41, 4)),
    ],
)  # fmt: skip
def test_decimals_have_one_scale_and_the_least_precision(texts: list[str], kind: pa.DataType) -> None:
    with decimal.localcontext(EXACT):
        values = [Decimal(text) for text in texts]
        became = arrow(objects(*values))
        assert became.type == kind
        assert became.to_pylist() == values


def test_decimals_without_a_number_are_missing() -> None:
    cells = objects(
        None, Decimal("1.5"), pd.NA, NAN, Decimal("NaN"), Decimal("sNaN"), Decimal("-NaN123"), pd.NaT,
        Decimal(2),
    )  # fmt: skip
    became = arrow(cells)
    assert became.type == pa.decimal128(2, 1)
    assert became.to_pylist() == [None, Decimal("1.5"), *[None] * 6, Decimal(2)]
    nothing = arrow(objects(Decimal("NaN"), None))
    assert (nothing.type, nothing.null_count) == (pa.decimal128(1, 0), 2)


def test_decimals_of_a_subclass_that_prints_otherwise() -> None:
    class Money(Decimal):
        def __str__(self) -> str:
            return f"EUR {super().__str__()}"

    assert arrow(objects(Money("12.50"), Decimal(1))).to_pylist() == [Decimal("12.50"), Decimal("1.00")]


@pytest.mark.parametrize(
    ("cells", "row", "says"),
    [
        ([Decimal(1), Decimal("9" * 77)], 1, ["at most 76 digits", "round it", "string"]),
        ([Decimal("1E+76")], 0, ["at most 76 digits"]),
        ([Decimal("1E+999999")], 0, ["at most 76 digits"]),
        ([None, Decimal("1E-77")], 1, ["at most 76 fractional digits", "decimal.Context(prec=76).plus(value)"]),
        ([Decimal("0E-100")], 0, ["at most 76 fractional digits"]),
        ([Decimal("0." + "1" * 77)], 0, ["at most 76 fractional digits"]),
        # Each fits, but not at the scale of the other.
        ([Decimal("1E-40"), Decimal(1), Decimal("1E+40")], 2, ["column's 40 fractional digits", "81"]),
        ([Decimal(1), 1], 1, ["Decimal and int"]),
        ([Decimal(1), 1.5], 1, ["Decimal and float"]),
        ([Decimal("NaN"), "x"], 1, ["Decimal and str"]),
        (["x", Decimal(1)], 1, ["str and Decimal"]),
    ],
)  # fmt: skip
def test_decimals_that_do_not_fit_name_the_row(cells: list[Any], row: int, says: list[str]) -> None:
    refused_cell(objects(*cells), row, *says)


decimals = st.builds(
    lambda sign, digits, exponent: Decimal((sign, digits, exponent)),
    st.integers(0, 1),
    st.lists(st.integers(0, 9), min_size=1, max_size=40).map(tuple),
    st.integers(-30, 6),
)


@drawn
@hypothesis.given(st.lists(st.one_of(st.none(), decimals, st.just(Decimal("NaN"))), min_size=1, max_size=12))
def test_any_decimals_come_through_exactly(cells: list[Any]) -> None:
    there = [cell for cell in cells if cell is not None and cell.is_finite()]
    scale = max((max(-cell.as_tuple().exponent, 0) for cell in there), default=0)
    with decimal.localcontext(EXACT):
        whole = [abs(int(cell.scaleb(scale))) for cell in there]
        precision = max([1, scale, *(len(str(each)) for each in whole if each)])
        if precision > 76:
            refused(objects(*cells))
            return
        became = arrow(objects(*cells))
        if any(cell is not None for cell in cells):
            assert (became.type.precision, became.type.scale) == (precision, scale)
            assert pa.types.is_decimal128(became.type) == (precision <= 38)
        assert became.to_pylist() == [cell if cell in there else None for cell in cells]


# --- other objects --------------------------------------------------------------------------------------------------


def test_uuids_are_sixteen_bytes_known_as_such() -> None:
    first, second = uuid.UUID(int=0), uuid.UUID("123e4567-e89b-12d3-a456-426614174000")
    table = pa.table(_pandas.columns_of(pd.DataFrame({"x": objects(None, first, second, NAN)}), None))
    kind = table.schema.field("x").type
    if isinstance(kind, pa.BaseExtensionType):
        assert kind.extension_name == "arrow.uuid"
        storage = table["x"].combine_chunks().storage
    else:
        assert table.schema.field("x").metadata[b"ARROW:extension:name"] == b"arrow.uuid"
        storage = table["x"]
    assert storage.type == pa.binary(16)
    assert storage.to_pylist() == [None, first.bytes, second.bytes, None]
    refused_cell(objects(first, str(second)), 1, "UUID and str")


def test_ip_addresses_are_text() -> None:
    cells = objects(
        ipaddress.IPv4Address("10.0.0.1"), None, pd.NA, ipaddress.IPv4Address("255.255.255.255"),
        ipaddress.IPv6Address("2001:db8::1"),
    )  # fmt: skip
    assert lines(cells) == ['x="10.0.0.1"', "", "", 'x="255.255.255.255"', 'x="2001:db8::1"']
    refused_cell(objects(ipaddress.IPv4Address(1), "10.0.0.1"), 1, "IP address and str")
    refused_cell(objects(ipaddress.IPv4Network("10.0.0.0/8")), 0, "ipaddress.IPv4Network")


def test_times_of_day_are_nanoseconds() -> None:
    cells = objects(dt.time(), None, dt.time(23, 59, 59, 999_999), pd.NaT, dt.time(1, 2, 3, 4))
    became = arrow(cells)
    assert became.type == pa.time64("ns")
    assert became.cast(pa.int64()).to_pylist() == [0, None, 86_399_999_999_000, None, 3_723_000_004_000]
    refused_cell(objects(dt.time(1), dt.time(1, tzinfo=UTC)), 1, "time zone", "replace(tzinfo=None)")


def test_durations_are_exact() -> None:
    cells = [dt.timedelta(days=-1, microseconds=1), None, dt.timedelta(days=100_000_000), pd.Timedelta("3us"), pd.NaT]
    became = arrow(objects(*cells))
    assert became.type == pa.duration("us")
    micros = [-86_399_999_999, None, 8_640_000_000_000_000_000, 3, None]
    assert became.cast(pa.int64()).to_pylist() == micros
    fine = arrow(objects(pd.Timedelta(-1), dt.timedelta(microseconds=2), pd.Timedelta(2**63 - 1), pd.Timedelta.min))
    assert fine.type == pa.duration("ns")
    assert fine.cast(pa.int64()).to_pylist() == [-1, 2000, 2**63 - 1, pd.Timedelta.min.value]
    refused_cell(objects(dt.timedelta(1), dt.timedelta(days=999_999_999)), 1, "64-bit microseconds")
    refused_cell(objects(dt.timedelta(days=200_000), pd.Timedelta(1)), 0, "64-bit nanoseconds", "round")
    refused_cell(objects(dt.timedelta(1), 5), 1, "timedelta and int")


def test_durations_in_columns_of_their_own_keep_their_unit() -> None:
    for unit in ("s", "ms", "us", "ns"):
        became = arrow(np.array([1, "NaT", -5], f"m8[{unit}]"))
        assert became.type == pa.duration(unit)
        assert became.cast(pa.int64()).to_pylist() == [1, None, -5]


def test_timestamp_objects_keep_nanoseconds_where_there_are_any() -> None:
    fine = pd.Timestamp(1_735_787_045_678_901_234)
    zoned = pd.Timestamp("2025-07-01T12:00:00.000000001", tz="Asia/Kolkata")
    cells = [fine, dt.datetime(2025, 1, 1), zoned, None, pd.NaT, pd.Timestamp(-1), pd.Timestamp.min, pd.Timestamp.max]
    became = arrow(objects(*cells))
    assert became.type == pa.timestamp("ns")
    expected = [1_735_787_045_678_901_234, 1_735_689_600_000_000_000, 1_751_351_400_000_000_001, None, None, -1]
    assert became.cast(pa.int64()).to_pylist() == [*expected, pd.Timestamp.min.value, 2**63 - 1]
    coarse = arrow(objects(pd.Timestamp("2025-01-01T00:00:00.000001"), dt.datetime(2025, 1, 1)))
    assert coarse.type == pa.timestamp("us")
    assert coarse.cast(pa.int64()).to_pylist() == [1_735_689_600_000_001, 1_735_689_600_000_000]


def test_instants_at_the_ends_of_the_calendar() -> None:
    east, west = dt.timezone(dt.timedelta(hours=14)), dt.timezone(dt.timedelta(hours=-12))
    cells = [
        dt.datetime.min, dt.datetime.max, dt.datetime.min.replace(tzinfo=east), dt.datetime.max.replace(tzinfo=west),
        pd.Timestamp("9999-12-31T23:59:59").as_unit("s").tz_localize(west), pd.Timestamp("0001-01-01").as_unit("ms"),
    ]  # fmt: skip
    least, most = -62_135_596_800_000_000, 253_402_300_799_999_999
    hours = 3_600_000_000
    micros = [least, most, least - 14 * hours, most + 12 * hours, most - 999_999 + 12 * hours, least]
    assert arrow(objects(*cells)).cast(pa.int64()).to_pylist() == micros
    refused_cell(objects(dt.datetime(2263, 1, 1), pd.Timestamp(1)), 0, "64-bit nanoseconds", "round")
    refused_cell(objects(pd.Timestamp(1), dt.date(2025, 1, 1)), 1, "datetime and date")


def test_a_time_zone_that_does_not_know_its_offset() -> None:
    class Nowhere(dt.tzinfo):
        def utcoffset(self, when: dt.datetime | None) -> dt.timedelta | None:
            return None

    refused_cell(objects(dt.datetime(2025, 1, 1, tzinfo=Nowhere())), 0, "naive and")


def test_dates_are_dates() -> None:
    became = arrow(objects(dt.date(1970, 1, 2), None, dt.date.min, dt.date.max))
    assert became.type == pa.date32()
    assert became.to_pylist() == [dt.date(1970, 1, 2), None, dt.date.min, dt.date.max]


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (b"x", ["type bytes", 'str.decode("utf-8")']),
        (np.complex64(1), ["numpy.complex64", "infer_objects"]),
        (np.longdouble(1), ["numpy.longdouble"]),
        (pd.Period("2025"), ["Period"]),
        (pd.Interval(0, 1), ["Interval"]),
        ({"a": 1}, ["type dict"]),
        ({1}, ["type set"]),
        (1j, ["type complex"]),
        (object, ["type type"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_objects_without_a_form(cell: Any, says: list[str]) -> None:
    refused_cell(objects(None, cell), 1, *says)


def test_numpy_instants_and_durations_in_objects() -> None:
    # As of what they stand for, whatever they count, and beside Python's own and pandas'.
    units = ["2025", "2025-03", "2025-03-05", "2025-03-05T06", "2025-03-05T06:07", "2025-03-05T06:07:08.009"]
    cells = [np.datetime64(text) for text in units]
    became = arrow(objects(*cells, None, np.datetime64("NaT"), np.datetime64(3, "W"), np.datetime64(2, "25s")))
    expected = [*(cell.astype("M8[us]").item() for cell in cells), None, None, dt.datetime(1970, 1, 22)]
    assert became.type == pa.timestamp("us")
    assert became.to_pylist() == [*expected, dt.datetime(1970, 1, 1, 0, 0, 50)]
    fine = arrow(objects(np.datetime64(-1, "ns"), dt.datetime(1970, 1, 1), pd.Timestamp(7), np.datetime64(8000, "ps")))
    assert (fine.type, fine.cast(pa.int64()).to_pylist()) == (pa.timestamp("ns"), [-1, 0, 7, 8])
    became = arrow(objects(np.timedelta64(3, "W"), dt.timedelta(1), np.timedelta64("NaT"), np.timedelta64(-5, "ms")))
    assert (became.type, became.cast(pa.int64()).to_pylist()) == (
        pa.duration("us"),
        [21 * 86_400_000_000, 86_400_000_000, None, -5000],
    )
    # NaT of either kind is missing, as pandas' own.
    missing = [np.datetime64("NaT"), np.timedelta64("NaT"), pd.NaT, None]
    assert arrow(objects("a", *missing, "b")).to_pylist() == ["a", *[None] * 4, "b"]
    assert arrow(objects(*missing)).type == pa.null()

    far = [
        np.datetime64(2**40, "Y"),
        np.datetime64(2**62, "D"),
        np.datetime64(300_000, "Y"),
        np.timedelta64(2**62, "W"),
    ]
    for cell in far:
        refused_cell(objects(None, cell), 1, "64-bit", "correct it")
    for cell, says in [
        (np.timedelta64(1, "M"), "not all months"),
        (np.timedelta64(1), "no unit"),
        (np.datetime64(1, "as"), "finer than nanoseconds"),
    ]:
        refused_cell(objects(None, cell), 1, says)
    refused_cell(objects(np.datetime64("2025"), np.timedelta64(1, "s")), 1, "datetime and timedelta")


def test_numpy_scalars_in_objects() -> None:
    # By way of NumPy's own columns, the null would make floats of them.
    exact = 2**60 + 1
    became = arrow(objects(np.int64(exact), None, 7, np.uint8(8)))
    assert (became.type, became.to_pylist()) == (pa.int64(), [exact, None, 7, 8])
    refused_cell(objects(np.uint64(2**63)), 0, "does not fit 64 bits")
    became = arrow(objects(np.float32(0.1), 0.5, None, np.float16(1.5), np.float64(2.5)))
    assert (became.type, became.to_pylist()) == (pa.float64(), [float(np.float32(0.1)), 0.5, None, 1.5, 2.5])
    became = arrow(objects(np.float32("nan"), np.int8(1)))
    assert (became.type, became.to_pylist()) == (pa.int64(), [None, 1])
    became = arrow(objects(enum.IntEnum("Colour", "red green").green, None, 3))
    assert (became.type, became.to_pylist()) == (pa.int64(), [2, None, 3])
    became = arrow(objects(np.bool_(True), None, False))
    assert (became.type, became.to_pylist()) == (pa.bool_(), [True, None, False])


def test_decimals_have_no_infinity() -> None:
    for infinite in ("Infinity", "-Infinity"):
        refused_cell(objects(Decimal(1), Decimal(infinite)), 1, "no infinity", "float64")
    assert arrow(objects(Decimal(1), Decimal("NaN"))).to_pylist() == [Decimal(1), None]


@pytest.mark.parametrize(
    "cells",
    [
        ["x", "", "é\0"],
        [1, -(2**63), 2**63 - 1],
        [0.1, -0.0, math.inf],
        [True, False],
        [uuid.UUID(int=5)],
        [Decimal("1.50")],
        [dt.time(1)],
        [dt.timedelta(1)],
        [dt.date(2025, 1, 1)],
        [dt.datetime(2025, 1, 1)],
        [np.array([1.0])],
    ],
    ids=lambda cells: type(cells[0]).__name__,
)
def test_every_kind_of_object_beside_what_is_missing(cells: list[Any]) -> None:
    alone = arrow(objects(*cells))
    mixed = arrow(objects(None, *cells, pd.NA, pd.NaT))
    assert mixed.type == alone.type
    assert mixed.slice(1, len(cells)).combine_chunks().equals(alone.combine_chunks())
    assert mixed.null_count == 3
    assert arrow(objects(*cells)[:0]).type == pa.null()


# --- NaN and what is missing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "size"), [("Float64", "f8"), ("Float32", "f4")])
def test_nan_and_na_side_by_side(kind: str, size: str) -> None:
    values = np.array([0.5, NAN, 7.0, NAN, -np.inf], size)
    array = pd.arrays.FloatingArray(values, np.array([False, False, True, True, False]))
    assert str(array.dtype) == kind
    assert lines(array) == ["x=0.5", "x=NaN", "", "", "x=-Infinity"]
    assert lines(array, nan="omit") == ["x=0.5", "", "", "", "x=-Infinity"]
    # Strided, as in a slice.
    assert lines(array[::2]) == ["x=0.5", "", "x=-Infinity"]
    assert arrow(array).null_count == 2


def test_nan_that_came_of_a_division() -> None:
    divided = pd.Series(pd.array([0.0, 1.0, None], dtype="Float64")) / 0
    missing = divided.array._mask.tolist()
    expected = ["x=NaN", "x=Infinity", ""] if missing == [False, False, True] else ["", "x=Infinity", ""]
    assert lines(divided) == expected


def test_nan_and_null_in_pyarrows_memory() -> None:
    array = pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array([0.5, NAN, None], from_pandas=False)]))
    assert lines(array) == ["x=0.5", "x=NaN", ""]


def test_nan_and_none_in_objects() -> None:
    assert lines(objects(0.5, NAN, None, pd.NA)) == ["x=0.5", "x=NaN", "", ""]
    assert lines(objects("a", NAN, None, pd.NA, pd.NaT)) == ['x="a"', "", "", "", ""]
    assert lines(objects(NAN, NAN)) == ["", ""]


STRINGS = ["string[python]"]
if PANDAS >= 3:
    STRINGS += ["str", pd.StringDtype("python", na_value=np.nan), pd.StringDtype("pyarrow", na_value=np.nan)]


@pytest.mark.parametrize("kind", [*STRINGS, "string[pyarrow]"], ids=repr)
def test_strings_of_every_storage(kind: Any) -> None:
    series = pd.Series(["a", None, "", "é"], dtype=kind)
    assert lines(series) == ['x="a"', "", 'x=""', 'x="é"']
    assert lines(series[::-2]) == ['x="é"', ""]
    assert lines(series, symbols=["x"]) == [",x=a", "", ",x=", ",x=é"]


def test_nothing_of_this_needs_pyarrow() -> None:
    script = """
        import sys

        class NoPyarrow:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] == "pyarrow":
                    raise ModuleNotFoundError(name)

        sys.meta_path.insert(0, NoPyarrow())
        import datetime as dt, decimal, uuid
        import numpy as np, pandas as pd, questframe as qf
        from questframe import _pandas

        frame = pd.DataFrame({
            "s": pd.Series(["a", None], dtype=sys.argv[1]), "i": pd.array([1, None], dtype="Int64"),
            "f": [0.5, float("nan")], "b": [True, False], "c": pd.Categorical(["x", None]),
            "t": pd.to_datetime(["2025-01-01", None]), "o": np.array(["y", None], dtype=object),
            "p": pd.arrays.SparseArray([0, 2]),
        })
        blob = qf.to_ilp(frame, table="t", at=qf.ServerTimestamp, protocol_version=1)
        assert blob.startswith(b't,c=x s="a",i=1i,f=0.5,b=t,t=1735689600000000t,o="y",p=0i'), blob
        assert b'\\nt f=NaN,b=f,p=2i' in blob, blob
        odd = pd.DataFrame({
            "d": [decimal.Decimal("1.5")], "u": [uuid.UUID(int=1)], "a": [np.zeros((2, 2))], "w": [dt.time(1)],
        }, index=pd.DatetimeIndex(["2025-01-01"], tz="UTC"))
        _pandas.columns_of(odd, None)
        assert not {"polars", "pyarrow"} & set(sys.modules)
    """
    for kind in ("string[python]", "str") if PANDAS >= 3 else ("string[python]", "object"):
        subprocess.run([sys.executable, "-c", textwrap.dedent(script), kind], check=True)


# --- the index ------------------------------------------------------------------------------------------------------


MOMENTS = np.array(["2025-01-01", "2025-01-02T03:04:05.000006"], "M8[us]")


def table_of(frame: pd.DataFrame, at: Any = None) -> pa.Table:
    return pa.table(_pandas.columns_of(frame, at))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
@pytest.mark.parametrize("name", [None, "when", ""])
def test_a_datetime_index_is_the_last_field_and_marked(unit: str, zone: str | None, name: str | None) -> None:
    index = pd.DatetimeIndex(MOMENTS, name=name).as_unit(unit).tz_localize(zone)
    table = table_of(pd.DataFrame({"a": [1, 2], "b": [3, 4]}, index=index))
    assert table.column_names == ["a", "b", name or "index"]
    assert [field.metadata for field in table.schema] == [None, None, INDEX]
    assert table.schema.field(2).type == pa.timestamp(unit, zone)
    assert table[2].cast(pa.int64()).to_pylist() == index.asi8.tolist()


def test_a_datetime_index_with_odd_names() -> None:
    index = pd.DatetimeIndex(MOMENTS)
    for name in (5, ("a", "b"), 1.5):
        assert table_of(pd.DataFrame({"a": [1, 2]}, index=index.rename(name))).column_names == ["a", "index"]


def test_a_column_goes_before_an_index_of_its_name() -> None:
    frame = pd.DataFrame({"ts": MOMENTS, "a": [1, 2]}).set_index("ts", drop=False)
    assert table_of(frame).column_names == ["ts", "a"]
    # Only when it is asked for by the other name.
    assert table_of(frame, "ts").column_names == ["ts", "a"]
    assert table_of(frame, "index").column_names == ["ts", "a", "index"]
    taken = pd.DataFrame({"index": [1, 2]}, index=pd.DatetimeIndex(MOMENTS))
    assert table_of(taken, "index").column_names == ["index"]


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(2, name="i"),
        pd.Index(["a", "b"], name="i"),
        pd.period_range("2025", periods=2, freq="D", name="i"),
        pd.timedelta_range("1s", periods=2, name="i"),
        pd.MultiIndex.from_arrays([pd.DatetimeIndex(MOMENTS), [1, 2]], names=["i", "j"]),
    ],
    ids=lambda index: type(index).__name__,
)
def test_an_index_of_another_type_is_left_alone_and_is_no_at(index: pd.Index) -> None:
    frame = pd.DataFrame({"a": [1, 2]}, index=index)
    assert table_of(frame).column_names == ["a"]
    for at in ("index", "i"):
        for call in (qf.to_ilp, qf.plan):
            with pytest.raises(qf.IngressError) as caught:
                call(frame, table="t", at=at)
            error = caught.value
            assert (error.code, error.column) == (Code.InvalidApiCall, at)
            for words in (f"is a {type(index).__name__}", "reset_index()", "to_datetime()"):
                assert words in str(error)
    # A column of the name is what is meant.
    frame["index"] = MOMENTS
    assert qf.to_ilp(frame, table="t", at="index", protocol_version=1).startswith(b"t a=1i 1735689600000000000\n")
    with pytest.raises(qf.IngressError, match="names no column"):
        qf.to_ilp(pd.DataFrame({"a": [1, 2]}), table="t", at="i")


# --- types of columns -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pd.arrays.SparseArray([0, 5, 0]), ["x=0i", "x=5i", "x=0i"]),
        (pd.arrays.SparseArray([NAN, 0.5, NAN]), ["x=NaN", "x=0.5", "x=NaN"]),
        (pd.arrays.SparseArray([True, False], fill_value=False), ["x=t", "x=f"]),
        (pd.arrays.SparseArray(np.array(["a", None, "a"], dtype=object)), ['x="a"', "", 'x="a"']),
        (pd.arrays.SparseArray(np.array([1, "NaT"], "M8[us]")), ["x=1t", ""]),
        (pd.arrays.SparseArray(np.array([7, 7], "u1"), fill_value=7), ["x=7i", "x=7i"]),
    ],
    ids=lambda value: str(value.dtype) if hasattr(value, "dtype") else "",
)
def test_sparse_columns_are_their_dense_values(array: Any, expected: list[str]) -> None:
    assert lines(array) == expected


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (pd.period_range("2025", periods=2, freq="D"), ["period[D]", "series.dt.to_timestamp()"]),
        (pd.interval_range(0, 2), ["interval[int64, right]", "pandas.IntervalIndex(series).left"]),
        (np.array([1, 2], "c16"), ["complex128", ".real", ".imag"]),
        (np.array([1, 2], "c8"), ["complex64"]),
        (np.array([1, 2], "longdouble"), [str(np.dtype("longdouble")), "astype('float64')"]),
        (pd.Categorical([1j, 2j]), ["complex128"]),
    ],
    ids=lambda value: str(value.dtype) if hasattr(value, "dtype") else "",
)
def test_types_without_a_form_say_what_to_do(values: Any, says: list[str]) -> None:
    if str(getattr(values, "dtype", "")) == "float64":
        pytest.skip("no such type here")
    error = refused(values)
    assert error.row is None
    for words in says:
        assert words in str(error)
    cures = {
        "period[D]": lambda series: series.dt.to_timestamp(),
        "interval[int64, right]": lambda series: pd.Series(pd.IntervalIndex(series).left),
        "complex128": lambda series: pd.Series(series.to_numpy().real),
    }
    if says[0] in cures and not isinstance(values, pd.Categorical):
        assert len(lines(cures[says[0]](pd.Series(values)))) == 2


def test_bytes_are_refused_however_they_come() -> None:
    series = pd.Series(np.array([b"ab", b"c"], "S2"))
    assert "decode" in str(refused(series))
    assert lines(series.astype(object).str.decode("utf-8")) == ['x="ab"', 'x="c"']
    assert lines(pd.Series(np.array(["ab", "c"], "U2"))) == ['x="ab"', 'x="c"']


@pytest.mark.parametrize(
    "categories",
    [
        [Decimal("1.5"), Decimal(2)],
        [dt.date(2025, 1, 1), dt.date(2025, 1, 2)],
        [True, False],
        [2**53 + 1, 2**63 - 1],
        [0.1, -0.0],
        [dt.timedelta(1), dt.timedelta(2)],
        [pd.Timestamp("2025", tz="UTC"), pd.Timestamp("2026", tz="UTC")],
    ],
    ids=lambda each: type(each[0]).__name__,
)
def test_categories_of_other_types(categories: list[Any]) -> None:
    array = pd.Categorical.from_codes([1, -1, 0], categories=pd.Index(categories))
    became = arrow(array)
    assert became.type == arrow(pd.Series(pd.Index(categories))).type
    assert became.to_pylist() == [categories[1], None, categories[0]]


def test_categories_with_lone_surrogates() -> None:
    array = pd.Categorical.from_codes([0], categories=pd.Index(["\ud800"], dtype=object))
    assert "lone surrogates" in str(refused(array))


# --- memory ---------------------------------------------------------------------------------------------------------


KINDS = ["b1", *(f"{sign}{size}" for sign in "iu" for size in (1, 2, 4, 8)), "f2", "f4", "f8"]
KINDS += [f"{kind}8[{unit}]" for kind in "mM" for unit in ("s", "ms", "us", "ns")]


def numbers(kind: str, order: str, rows: int) -> np.ndarray:
    values = np.arange(rows * 3).reshape(rows, 3) * 5 - 7
    if kind[0] == "u" or kind == "b1":
        values = abs(values) % (2 if kind == "b1" else 256)
    if kind == "i1":
        values %= 100
    return values.astype(f"{order}{kind}")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", KINDS)
def test_memory_of_every_shape_gives_the_same_values(kind: str, order: str) -> None:
    block = numbers(kind, order, 12)
    expected = arrow(block[:, 1].astype(block.dtype.newbyteorder("=")))
    assert len(expected) == 12
    frame = pd.DataFrame(block, columns=list("abc"), copy=False)
    locked = block.copy()
    locked.flags.writeable = False
    frames = {
        "block in C order": (frame, slice(None)),
        "block in Fortran order": (
            pd.DataFrame(np.asfortranarray(block), columns=list("abc"), copy=False),
            slice(None),
        ),
        "every second row": (frame.iloc[::2], slice(None, None, 2)),
        "backwards": (frame.iloc[::-3], slice(None, None, -3)),
        "read only": (pd.DataFrame(locked, columns=list("abc"), copy=False), slice(None)),
        "a part": (frame.iloc[3:7], slice(3, 7)),
    }
    for name, (shaped, rows) in frames.items():
        before = shaped.copy(deep=True)
        table = table_of(shaped)
        assert table["b"].type == expected.type, name
        assert table["b"].to_pylist() == expected.to_pylist()[rows], name
        pd.testing.assert_frame_equal(shaped, before)


def test_unaligned_memory() -> None:
    values = np.frombuffer(b"\0" + np.arange(4.0).tobytes(), "f8", offset=1)
    assert not values.flags.aligned
    assert lines(pd.Series(values, copy=False)) == ["x=0.0", "x=1.0", "x=2.0", "x=3.0"]


def test_fields_of_records_are_strided_and_unaligned() -> None:
    records = np.array([(1, 0.5, 10), (2, 1.5, 20), (3, 2.5, 30)], dtype="i1,<f8,>M8[us]")
    frame = pd.DataFrame({"a": pd.Series(records["f0"], copy=False), "b": pd.Series(records["f1"], copy=False)})
    frame["c"] = records["f2"]
    table = table_of(frame)
    assert table["a"].to_pylist() == [1, 2, 3]
    assert table["b"].to_pylist() == [0.5, 1.5, 2.5]
    assert table["c"].cast(pa.int64()).to_pylist() == [10, 20, 30]


@pytest.mark.parametrize("kind", ["Int8", "UInt32", "Int64", "Float32", "Float64", "boolean"])
def test_strided_and_read_only_nullable_columns(kind: str) -> None:
    array = pd.array([1, None, 0, 1, None, 0], dtype=kind)
    series = pd.Series(array)
    plain = arrow(series).to_pylist()
    assert plain == [1, None, 0, 1, None, 0]
    assert arrow(series[::2]).to_pylist() == plain[::2]
    assert arrow(series[::-1]).to_pylist() == plain[::-1]
    array._data.flags.writeable = False
    array._mask.flags.writeable = False
    assert arrow(pd.Series(array, copy=False)).to_pylist() == plain


def test_the_memory_of_a_frame_outlives_it() -> None:
    columns = _pandas.columns_of(pd.DataFrame({"x": np.arange(100_000), "y": np.arange(200_000.0)[::2]}), None)
    other = [np.full(100_000, -1) for _ in range(8)]
    table = pa.table(columns)
    del columns
    assert table["x"].to_pylist() == list(range(100_000))
    assert table["y"].to_pylist() == [2.0 * row for row in range(100_000)]
    assert len(other) == 8
