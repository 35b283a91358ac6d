"""Bad input: each case is one clear error that names what and where, with the cure, before any byte is sent."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import decimal
import enum
import os
import pickle
import typing
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from servers import FakeQuestDB, answer_json

import questframe as qf
from questframe import IngressErrorCode as Code

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLOCK = qf.ServerTimestamp
UTC = dt.timezone.utc


def moments(*values: int | None, unit: str = "us") -> pl.Series:
    return pl.Series("ts", values, dtype=pl.Datetime(unit))


def frame(**columns: Any) -> pl.DataFrame:
    """Three rows: `n`, `ts`, and more."""
    return pl.DataFrame({"n": [1, 2, 3], "ts": moments(1, 2, 3), **columns})


def nothing_sent(fake: FakeQuestDB, data: Any, options: dict[str, Any]) -> qf.IngressError:
    """The error of a write; not a row of it has reached the server, and nothing is said to have."""
    with pytest.raises(qf.IngressError) as caught:
        qf.write_questdb(data, fake.conf, **options)
    assert fake.writes == []
    error = caught.value
    assert (error.acked, error.doubtful) == ((), ())
    # What is refused before there is a frame has no rows; else all of them were not stored.
    if not isinstance(error, TypeError) and isinstance(data, pl.DataFrame):
        assert error.unsent == ((range(len(data)),) if len(data) else ())
    assert (error.rows_acked, error.in_doubt) == (0, False)
    return error


class Case(NamedTuple):
    """A frame and options that cannot be written, and the error they give."""

    data: Callable[[], Any]
    options: dict[str, Any]
    code: Code
    says: list[str]
    column: str | None = None
    row: int | None = None
    value: str | None = None
    table: str | None = "t"


U64 = pl.Series([1, 2**63 + 5, 2**64 - 1], dtype=pl.UInt64)

CASES = {
    # Names.
    "table_empty": Case(frame, {"table": ""}, Code.InvalidName, ["the table name is empty; give it"], table=None),
    "table_character": Case(
        frame,
        {"table": "a?b"},
        Code.InvalidName,
        ['table name "a?b" holds the character \'?\' at byte 1', "rename it"],
        table=None,
    ),
    "table_dot": Case(frame, {"table": "a..b"}, Code.InvalidName, ['"a..b" has a dot at byte 2'], table=None),
    "table_space": Case(frame, {"table": " a"}, Code.InvalidName, ["starts or ends with a space", "strip"], table=None),
    "table_too_long": Case(frame, {"table": "é" * 64}, Code.InvalidName, ["128 bytes", "127", "shorten"], table=None),
    "table_missing": Case(
        frame, {"table": None}, Code.InvalidApiCall, ["no table was given", "`table`", "table=...;"], table=None
    ),
    "column_empty": Case(
        lambda: frame().rename({"n": ""}), {}, Code.InvalidName, ["the column name is empty; give it a name"], ""
    ),
    "column_character": Case(
        lambda: frame(**{"b.c": 1}), {}, Code.InvalidName, ["holds the character '.' at byte 1", "rename it"], "b.c"
    ),
    "column_too_long": Case(
        lambda: frame(**{"x" * 128: 1}), {}, Code.InvalidName, ["128 bytes", "127", "shorten"], "x" * 128
    ),
    "columns_equal_but_for_case": Case(
        lambda: frame(N=1),
        {},
        Code.InvalidApiCall,
        ['equals that of column "n" but for case', "rename one of them"],
        "N",
    ),
    "columns_equal_but_for_umlaut_case": Case(
        lambda: frame(ä=1, Ä=2), {}, Code.InvalidApiCall, ['column "ä"', "rename"], "Ä"
    ),
    "columns_equal": Case(
        lambda: pd.DataFrame([[1, 2]], columns=["a", "a"]), {"at": CLOCK}, Code.InvalidApiCall, ["rename one of"], "a"
    ),
    # at
    "at_no_candidate": Case(
        lambda: frame().drop("ts"), {}, Code.InvalidApiCall, ["no timestamp column", "`at`", "qf.ServerTimestamp"]
    ),
    "at_several_candidates": Case(
        lambda: frame(t2=moments(1, 2, 3)), {}, Code.InvalidApiCall, ['"ts", "t2"', "name one of them with `at`"]
    ),
    "at_unknown": Case(
        frame, {"at": "tss"}, Code.InvalidApiCall, ["`at` names no column", 'did you mean "ts"?', '"n", "ts"'], "tss"
    ),
    "at_of_other_type": Case(frame, {"at": "n"}, Code.BadDataFrame, ["this is Int64; cast it to a timestamp"], "n"),
    "at_null": Case(
        lambda: frame(ts=moments(1, None, None)),
        {},
        Code.InvalidTimestamp,
        ["is null (so is one more row)", 'null_at="server"'],
        "ts",
        1,
    ),
    "at_negative": Case(
        lambda: frame(ts=moments(1, 2, -7)),
        {},
        Code.InvalidTimestamp,
        ["before 1970-01-01", "drop"],
        "ts",
        2,
        "1969-12-31T23:59:59.999993Z",
    ),
    "at_too_large": Case(
        lambda: frame(ts=moments(1, 253_402_300_800_000_000, 3)),
        {},
        Code.InvalidTimestamp,
        ["too large: the most is 9999-12-31T23:59:59.999999Z", "drop or correct"],
        "ts",
        1,
        "253402300800000000",
    ),
    "at_too_large_in_nanoseconds": Case(
        lambda: frame(ts=moments(1000, 2000, 2**63 - 808, unit="ns")),
        {},
        Code.InvalidTimestamp,
        ["2261-12-31T23:59:59.999999999Z", "cast it to microseconds"],
        "ts",
        2,
        "2262-04-11T23:47:16.854775000Z",
    ),
    "at_too_large_in_milliseconds": Case(
        lambda: frame(ts=moments(1, 2, 2**62, unit="ms")), {}, Code.InvalidTimestamp, ["too large"], "ts", 2, str(2**62)
    ),
    "at_constant_before_1970": Case(
        frame, {"at": dt.datetime(1969, 1, 1, tzinfo=UTC)}, Code.InvalidTimestamp, ["out of range", "1970-01-01"]
    ),
    "at_constant_too_large": Case(
        frame, {"at": qf.TimestampNanos(2**63 - 1)}, Code.InvalidTimestamp, ["2261-12-31", str(2**63 - 1)]
    ),
    "at_null_in_pandas": Case(
        lambda: pd.DataFrame({"n": [1, 2], "ts": np.array([1000, "NaT"], "M8[ns]")}),
        {},
        Code.InvalidTimestamp,
        ["is null"],
        "ts",
        1,
    ),
    # symbols
    "symbols_unknown": Case(
        lambda: frame(side="b"), {"symbols": ["sides"]}, Code.InvalidApiCall, ['did you mean "side"?'], "sides"
    ),
    "symbols_of_numbers": Case(
        frame, {"symbols": ["n"]}, Code.BadDataFrame, ["symbols hold strings, not Int64; cast it to a string"], "n"
    ),
    "symbols_with_at": Case(
        frame, {"symbols": ["ts"]}, Code.InvalidApiCall, ["cannot be both", "take it out of `symbols`"], "ts"
    ),
    # Values.
    "unsigned_above_i64": Case(
        lambda: frame(u=U64),
        {},
        Code.BadDataFrame,
        ["above 9223372036854775807", "(so is one more row)", "cast the column to a string or to Float64"],
        "u",
        1,
        str(2**63 + 5),
    ),
    "unsigned_above_i64_in_pandas": Case(
        lambda: pd.DataFrame({"u": np.array([1, 2**63], "u8")}),
        {"at": CLOCK},
        Code.BadDataFrame,
        ["largest LONG"],
        "u",
        1,
        str(2**63),
    ),
    "unsigned_above_i64_in_a_dictionary": Case(
        lambda: pa.table({"u": pa.array([1, 2**63, 1], pa.uint64()).dictionary_encode()}),
        {"at": CLOCK},
        Code.BadDataFrame,
        ["largest LONG"],
        "u",
        1,
        str(2**63),
    ),
    "boolean_null": Case(
        lambda: frame(b=[True, None, None]),
        {},
        Code.BadDataFrame,
        ["no boolean null", 'null_bool="false"', 'null_bool="omit"'],
        "b",
        1,
    ),
    "row_of_nulls": Case(
        lambda: frame(n=[1, None, 3], s=["x", None, "y"]),
        {},
        Code.BadDataFrame,
        ["every symbol and field of the row is null", 'empty_rows="skip"'],
        row=1,
    ),
    "milliseconds_beyond_microseconds": Case(
        lambda: frame(m=moments(1, 2**61, 3, unit="ms")),
        {"at": "ts"},
        Code.BadDataFrame,
        ["does not fit 64-bit microseconds"],
        "m",
        1,
        str(2**61),
    ),
    "nothing_beside_at": Case(
        lambda: frame().drop("n"), {}, Code.BadDataFrame, ["no column to write beside `at`", "at least one"]
    ),
    "only_null_columns": Case(
        lambda: frame(n=[None] * 3), {}, Code.BadDataFrame, ["no column to write beside `at`", "at least one"]
    ),
    "no_columns": Case(pd.DataFrame, {"at": CLOCK}, Code.BadDataFrame, ["no column to write"]),
    "bad_schema_without_rows": Case(
        lambda: frame(s=[{"a": 1}] * 3).clear(), {}, Code.BadDataFrame, ["unnest it"], "s"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_bad_frames_and_options(name: str, fake: FakeQuestDB) -> None:
    case = CASES[name]
    error = nothing_sent(fake, case.data(), {"table": "t", **case.options})
    where = (error.code, error.column, error.row, error.value, error.table)
    assert where == (case.code, case.column, case.row, case.value, case.table), str(error)
    for words in case.says:
        assert words in str(error)
    if error.column:
        assert f'"{error.column}"' in str(error)
    if error.row is not None:
        assert f"row {error.row}" in str(error)
    assert len(error.problems) == 1

    # Without a server it is the same error.
    with pytest.raises(qf.IngressError) as caught:
        qf.to_ilp(case.data(), **{"table": "t", **case.options})
    assert caught.value.code is case.code
    assert str(caught.value) == str(error)


POLARS_TYPES = {
    "List of Int128": (pl.Series([[1]] * 3, dtype=pl.List(pl.Int128)), "List(Int128)", "cast its items to Float64"),
    "Array of UInt128": (pl.Series([[1]] * 3, dtype=pl.Array(pl.UInt128, 1)), "Array(UInt128", "items to Float64"),
    "Struct of Int128": (pl.Series([{"a": 1}] * 3, dtype=pl.Struct({"a": pl.Int128})), "Struct(", "unnest"),
    "Object": (pl.Series([object()] * 3, dtype=pl.Object), "Object", "strings or numbers"),
    "List": (pl.Series([["a"]] * 3), "LargeList", "cast its items to Float64"),
    "Array": (pl.Series([[True]] * 3, dtype=pl.Array(pl.Boolean, 1)), "FixedSizeList", "cast its items to Float64"),
    "Struct": (pl.Series([{"a": 1}] * 3), "Struct", "unnest"),
    "Binary": (pl.Series([b"x"] * 3), "BinaryView", "hex or base64"),
}


@pytest.mark.parametrize("name", POLARS_TYPES)
def test_polars_types_without_a_form_name_the_cast(name: str, fake: FakeQuestDB) -> None:
    series, shown, cure = POLARS_TYPES[name]
    error = nothing_sent(fake, frame(x=series), {"table": "t"})
    assert (error.code, error.column) == (Code.BadDataFrame, "x")
    assert f"type {shown}" in str(error)
    assert "is not supported" in str(error)
    assert cure in str(error)


@pytest.mark.parametrize("dtype", [pl.Int128, pl.UInt128])
def test_integers_of_128_bits_that_do_not_fit_64(dtype: Any, fake: FakeQuestDB) -> None:
    rows = 20_000
    most = pl.Series("x", [2**63 - 1, None], dtype=dtype)
    fits = pl.concat([most, pl.Series("x", range(rows - 2), dtype=dtype)], rechunk=False)
    assert qf.to_ilp(pl.DataFrame({"x": fits, "n": 0}), table="t", at=CLOCK).startswith(
        b"t x=9223372036854775807i,n=0i\n"
    )
    for values, row, value, more in [
        (
            [2**63],
            rows,
            2**63,
            "(value 9223372036854775808): the value is above 9223372036854775807, the largest LONG;",
        ),
        ([1, 2**100, 2**63], rows + 1, 2**100, "the largest LONG (so is one more row); cast the column to a string"),
        ([-(2**63) - 1] * 3, rows, -(2**63) - 1, "below -9223372036854775808"),
    ]:
        if dtype == pl.UInt128 and value < 0:
            continue
        wide = pl.concat([fits, pl.Series("x", values, dtype=dtype)], rechunk=False)
        data = pl.DataFrame({"n": 0, "x": wide})
        error = nothing_sent(fake, data, {"table": "t", "at": CLOCK})
        assert (error.code, error.column, error.row, error.value) == (Code.BadDataFrame, "x", row, str(value))
        assert str(error).startswith(f'table "t", column "x", row {row} (value {value}): the value is ')
        assert more in str(error)
    if dtype == pl.Int128:
        least = pl.DataFrame({"x": pl.Series([-(2**63)], dtype=dtype)})
        assert qf.to_ilp(least, table="t", at=CLOCK, protocol_version=1) == b"t x=-9223372036854775808i\n"


@pytest.mark.skipif(not hasattr(pl, "Extension"), reason="this Polars has no extension types")
@pytest.mark.parametrize(
    ("storage", "values", "line"),
    [
        (pl.Int64, [1, None], b"x=1i,"),
        (pl.Int128, [1, None], b"x=1i,"),
        (pl.Categorical, ["a", None], None),
        (pl.Null, [None, None], b" n=1i"),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore")
def test_polars_extension_types_are_what_they_are_stored_as(
    storage: Any, values: list[Any], line: bytes | None
) -> None:
    column = pl.Series("x", values, dtype=storage).ext.to(pl.Extension("made up", storage))
    data = pl.DataFrame({"x": column, "n": [1, 2]})
    plain = pl.DataFrame({"x": pl.Series(values, dtype=storage), "n": [1, 2]})
    lines = qf.to_ilp(data, table="t", at=CLOCK)
    assert lines == qf.to_ilp(plain, table="t", at=CLOCK)
    assert (line or b"t,x=a n=1i") in lines


def test_lists_of_nulls_of_polars() -> None:
    for dtype, cell in [
        (pl.List(pl.Null), [None]),
        (pl.Array(pl.Null, 1), [None]),
        (pl.List(pl.List(pl.Null)), [[None]]),
        (pl.Array(pl.Null, (1, 1)), [[None]]),
    ]:
        data = pl.DataFrame({"x": pl.Series([cell, None], dtype=dtype), "n": [1, 2]})
        planned = qf.plan(data, table="t", at=CLOCK).columns[0].questdb_type
        assert planned == f"DOUBLE{'[]' * np.ndim(np.array(cell, 'f8'))}"
        assert qf.to_ilp(data, table="t", at=CLOCK).count(b"x==") == 1


@pytest.mark.parametrize(
    ("values", "shown", "cure"),
    [
        (pd.period_range("2025", periods=2), "period[D]", "to_timestamp()"),
        (pd.interval_range(0, 2), "interval[int64, right]", "split it into two columns"),
        (np.array([1, 2], "c16"), "complex128", "split it into two columns"),
        (np.array([1, 2], "longdouble"), "float128", "cast it to float64"),
        (pd.array([["a"], None], dtype=pd.ArrowDtype(pa.list_(pa.string()))), "List(Utf8)", "cast its items"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_pandas_types_without_a_form_name_the_cast(values: Any, shown: str, cure: str, fake: FakeQuestDB) -> None:
    error = nothing_sent(fake, pd.DataFrame({"x": values}), {"table": "t", "at": CLOCK})
    assert (error.code, error.column) == (Code.BadDataFrame, "x")
    assert shown in str(error)
    assert cure in str(error)


@pytest.mark.parametrize(
    ("cells", "row", "value", "says"),
    [
        (["a", None, 5], 2, "5", ["str and int", 'astype("string")']),
        ([None, 1, True], 2, "True", ["int and bool"]),
        ([1, 2.5], 1, "2.5", ["int and float", 'astype("Float64")']),
        ([1, 2**63], 1, "9223372036854775808", ["does not fit 64 bits", "string or to float64"]),
        ([b"x"], 0, "b'x'", ["objects of type bytes", "decode"]),
        ([None, {"x": 1}], 1, "{'x': 1}", ["objects of type dict", "strings or numbers"]),
        (["a", "\ud800"], 1, "'\\ud800'", ["lone surrogates", "repair"]),
        ([["x" * 100]], 0, "['" + "x" * 58 + "...", ["list"]),
    ],
    ids=["str_int", "int_bool", "int_float", "int_too_large", "bytes", "dict", "surrogates", "list"],
)
def test_pandas_object_cells_without_a_form_name_the_row(
    cells: list[Any], row: int, value: str, says: list[str], fake: FakeQuestDB
) -> None:
    data = pd.DataFrame({"n": range(len(cells)), "x": pd.Series(cells, dtype=object)})
    error = nothing_sent(fake, data, {"table": "t", "at": CLOCK})
    assert (error.code, error.column, error.row, error.value) == (Code.BadDataFrame, "x", row, value)
    for words in [f'table "t", column "x", row {row} (value {value}): ', *says]:
        assert words in str(error)


def test_all_columns_of_pandas_without_a_form_are_reported_together(fake: FakeQuestDB) -> None:
    data = pd.DataFrame({
        "a": pd.Series([1, b"x"], dtype=object),
        "b": pd.period_range("2025", periods=2),
        "c": [1.0, 2.0],
        3: [1j, 2j],
        "d": np.array([1, 2], "c16"),
    })  # fmt: skip
    data.columns = pd.Index([*data.columns[:4], "d\ud800"], dtype=object)
    error = nothing_sent(fake, data, {"table": "t", "at": "index"})
    assert (error.code, error.table, error.column, error.row, error.value) == (Code.BadDataFrame, "t", "a", 1, "b'x'")
    assert str(error).startswith('table "t": 5 problems\n  - column "a", row 1 (value b\'x\'): ')
    expected = [
        "objects of type bytes",
        "to_timestamp()",
        "frame.rename(columns=str)",
        "lone surrogates",
        "frame's index",
    ]
    assert len(error.problems) == len(expected)
    for problem, words in zip(error.problems, expected, strict=True):
        assert words in problem
        assert f"\n  - {problem}" in str(error)
    # Where only the configuration names the table; and where nobody does.
    with pytest.raises(qf.IngressError, match='^table "c": 4 problems') as caught:
        qf.write_questdb(data, fake.conf + "table=c;", at=CLOCK)
    assert caught.value.table == "c"
    with pytest.raises(qf.IngressError, match="^4 problems") as caught:
        qf.to_ilp(data, at=CLOCK)
    assert caught.value.table is None


@pytest.mark.parametrize("library", ["polars", "pandas"])
def test_what_has_no_arrow_form_is_told_with_all_else(library: str, fake: FakeQuestDB) -> None:
    """Columns that the frame's own library cannot hand over, and what the plan finds in the others."""
    cells = {"a": [object()], "no?": [1], "ts": [1]}
    if library == "polars":
        data: Any = pl.DataFrame({**cells, "p": [{"x": 1}]})
        own = ["type Object is not supported"]
        other = ["unnest it into one column per field"]
    else:
        data = pd.DataFrame({**cells, "p": pd.period_range("2025", periods=1)})
        own = ["objects of type object have no form", "to_timestamp()"]
        other = []
    spec = qf.TableSpec(types={"a": "LONG"}, dedup_keys=["a"])
    error = nothing_sent(fake, data, {"table": "t", "at": "ts", "symbols": ["zz"], "create": spec})
    assert (error.code, error.table, error.column) == (Code.BadDataFrame, "t", "a")
    expected = [*own, "`at` must be a timestamp", '"a", "no?", "ts", "p"', "holds the character '?'", *other]
    assert len(error.problems) == len(expected)
    for problem, words in zip(error.problems, expected, strict=True):
        assert words in problem
        assert f"\n  - {problem}" in str(error)
    with pytest.raises(qf.IngressError) as caught:
        qf.to_ilp(data[["a", "no?"]], at=CLOCK)
    assert len(caught.value.problems) == 3
    assert caught.value.problems[1].startswith("no table was given")
    # A table may be called like a choice of an option.
    for options in ({"create": "auto"}, {"create": "never"}):
        with pytest.raises(qf.IngressError) as caught:
            qf.plan(data[["a", "no?"]], table="never", at=CLOCK, **options)
        assert len(caught.value.problems) == 2
    # Of a frame that has nothing else this is all that is said.
    with pytest.raises(qf.IngressError) as caught:
        qf.plan(data[["a"]], table="t", at="a")
    assert len(caught.value.problems) == 1


def test_a_thousand_problems_are_told_by_the_first() -> None:
    binary = {f"c{i}": [b"x"] for i in range(1_000)}
    for data, problems in (
        (pa.table(binary), 1_000),
        (pd.DataFrame({name: np.array([1], "c16") for name in binary}), 1_000),
        (pd.DataFrame(np.zeros((1, 1_000))), 0),
    ):
        with pytest.raises(qf.IngressError) as caught:
            qf.to_ilp(data, table="t", at=CLOCK)
        text = str(caught.value)
        assert len(text) < 4_000
        if problems:
            assert text.count("\n") == 21
            assert text.endswith("\n  - and 980 more")
            assert len(caught.value.problems) == problems
        else:
            assert "column 0 at position 0 has a name of type int (so have 999 more); " in text


def test_names_in_errors_do_nothing_to_a_terminal() -> None:
    name = 'a"\\\n\x1b[31mb\0'
    for data in (pd.DataFrame({name: [1j]}), pl.DataFrame({name[:-1]: pl.Series([object()], dtype=pl.Object)})):
        with pytest.raises(qf.IngressError) as caught:
            qf.to_ilp(data, table='t"', at=CLOCK)
        assert str(caught.value).startswith('table "t\\"", column "a\\"\\\\\\n\\u{1b}[31mb')


def test_what_else_is_no_unicode() -> None:
    index = pd.DatetimeIndex(["2025-01-01"], name="i\ud800")
    with pytest.raises(qf.IngressError, match=r'column "i\\u\{d800\}": the name holds lone surrogates'):
        qf.to_ilp(pd.DataFrame({"x": [1]}, index=index), table="t", at=CLOCK)
    with pytest.raises(qf.IngressError, match="TableSpec=.* holds lone surrogates"):
        qf.TableSpec(dedup_keys=["a\ud800"]).sql(frame(), table="t")
    with pytest.raises(qf.IngressTypeError, match="conf must be a str, not int"):
        qf.connect(5)  # type: ignore[arg-type]
    with pytest.raises(qf.IngressError, match="a configuration string .*table's name") as caught:
        qf.to_ilp(frame(), table="https::addr=h;password=s3cret;", at=CLOCK)
    assert "s3cret" not in str(caught.value)
    with pytest.raises(qf.IngressTypeError, match="conf must be a str, not DataFrame"):
        qf.write_questdb("http::addr=h;", frame())  # type: ignore[arg-type]
    with pytest.raises(qf.IngressError, match="configuration string holds lone surrogates") as caught:
        qf.connect("http::addr=h;password=s3cret\ud800;")
    assert caught.value.code == Code.ConfigError
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{"table": "a\ud800"}, {"table": "t", "at": "\ud800"}, {"table": "t", "symbols": ["n", "s\ud800"]}],
    ids=str,
)
def test_names_that_are_no_unicode(options: dict[str, Any], fake: FakeQuestDB) -> None:
    with pytest.raises(qf.IngressError, match=r"(table|at|symbols)='.?\\ud800' holds lone surrogates") as caught:
        qf.write_questdb(frame(), fake.conf, **options)
    assert caught.value.code == Code.InvalidUtf8
    assert fake.writes == []


def test_all_problems_of_a_schema_are_reported_together(fake: FakeQuestDB) -> None:
    data = frame(N=1, x=[{"a": 1}] * 3, **{"b.c": 1, "d-e": 2})
    error = nothing_sent(fake, data, {"table": "a?", "at": "tz", "symbols": ["n", "q"]})
    assert str(error).startswith("8 problems\n")
    whole = [
        ("table name", "'?'"),
        ('column "tz"', "`at` names no column"),
        ('column "q"', "`symbols` names no column"),
        ('column "N"', 'equals that of column "n"'),
        ('column "n"', "symbols hold strings"),
        ('column "x"', "unnest"),
        ('column "b.c"', "'.'"),
        ('column "d-e"', "'-'"),
    ]
    assert len(error.problems) == len(whole)
    for where, what in whole:
        assert any(problem.startswith(where) and what in problem for problem in error.problems), (where, error.problems)
    for problem in error.problems:
        assert f"\n  - {problem}" in str(error)


def test_all_problems_of_the_values_are_reported_together(fake: FakeQuestDB) -> None:
    data = frame(ts=moments(None, 2, -3), u=U64, b=[True, None, True])
    error = nothing_sent(fake, data, {"table": "t"})
    assert str(error).startswith('table "t": 4 problems\n')
    expected = {('"ts"', 0, "is null"), ('"ts"', 2, "before 1970"), ('"u"', 1, "largest LONG"), ('"b"', 1, "boolean")}
    for column, row, what in expected:
        found = [p for p in error.problems if p.startswith(f"column {column}, row {row}") and what in p]
        assert len(found) == 1, error.problems
    assert len(error.problems) == len(expected)


def test_rows_of_problems_count_over_the_whole_frame(fake: FakeQuestDB) -> None:
    rows = 50_000
    pieces = [frame().select("ts").clear(), *[pl.DataFrame({"ts": moments(*range(rows)), "n": range(rows)})] * 3]
    data = pl.concat(pieces[1:], rechunk=False)
    bad = data.with_columns(ts=pl.when(pl.int_range(pl.len()) == 123_456).then(None).otherwise("ts"))
    for shape in (bad, bad.to_arrow(), bad.to_pandas()):
        error = nothing_sent(fake, shape, {"table": "t"})
        assert (error.column, error.row, error.code) == ("ts", 123_456, Code.InvalidTimestamp)


# --- the table's designated timestamp -----------------------------------------------------------------------------


def test_a_field_named_like_the_timestamp_of_a_table_to_be_created(fake: FakeQuestDB) -> None:
    data = frame(Timestamp=moments(7, 8, 9))
    error = nothing_sent(fake, data, {"table": "t", "at": "ts"})
    assert (error.code, error.column) == (Code.InvalidApiCall, "Timestamp")
    assert 'pass at="Timestamp"' in str(error)
    assert "rename" in str(error)
    # Bytes that go nowhere override nothing, and as `at` the column is right.
    assert qf.to_ilp(data, table="t", at="ts").count(b"Timestamp=") == 3
    assert qf.write_questdb(data.drop("ts"), fake.conf, table="t", at="Timestamp").rows == 3


def test_a_field_named_like_the_timestamp_of_an_existing_table(fake: FakeQuestDB) -> None:
    names = [{"name": name, "type": "STRING"} for name in ("column", "type", "designated")]
    rows = [["n", "LONG", False], ["when", "TIMESTAMP", True]]
    fake.exec = answer_json(200, {"query": "", "columns": names, "dataset": rows, "count": 2})
    error = nothing_sent(fake, frame(when=moments(7, 8, 9)), {"table": "t", "at": "ts"})
    assert (error.code, error.column, error.table) == (Code.InvalidApiCall, "when", "t")
    assert 'is called "when"' in str(error)
    assert 'pass at="when"' in str(error)
    # A column called `timestamp` is one like any other there; and the table's own is taken without being named.
    assert qf.write_questdb(frame(timestamp=1), fake.conf, table="t", at="ts").rows == 3
    report = qf.write_questdb(frame(when=moments(7, 8, 9)), fake.conf, table="t")
    assert report.at == "when"


def existing(fake: FakeQuestDB, *columns: tuple[str, str]) -> None:
    """The table is there; the first of its columns is the designated timestamp."""
    names = [{"name": name, "type": "STRING"} for name in ("column", "type", "designated")]
    rows = [[name, kind, name == columns[0][0]] for name, kind in columns]
    fake.exec = answer_json(200, {"query": "", "columns": names, "dataset": rows, "count": len(rows)})


NANOS = 1_704_067_200_123_456_789


@pytest.mark.parametrize(
    "at", [qf.TimestampNanos(NANOS), pd.Timestamp(NANOS, tz="Europe/Rome")], ids=["nanos", "pandas"]
)
def test_a_constant_of_nanoseconds_is_not_cut(at: Any, fake: FakeQuestDB) -> None:
    data = pl.DataFrame({"n": [1]})
    line = b"t n=1i %dn\n" % NANOS
    assert qf.to_ilp(data, table="t", at=at) == line
    existing(fake, ("ts", "TIMESTAMP"), ("n", "LONG"))
    error = nothing_sent(fake, data, {"table": "t", "at": at})
    assert (error.code, error.table) == (Code.InvalidTimestamp, "t")
    assert "digits beyond the microseconds" in str(error)
    existing(fake, ("ts", "TIMESTAMP_NS"), ("n", "LONG"))
    with qf.connect(fake.conf) as client:
        assert client.write(data, table="t", at=at).rows == 1
    assert fake.writes == [line]
    # Whole microseconds fit anywhere.
    existing(fake, ("ts", "TIMESTAMP"), ("n", "LONG"))
    with qf.connect(fake.conf) as client:
        assert client.write(data, table="t", at=qf.TimestampNanos(NANOS - 789)).rows == 1


def test_constants_that_the_table_has_no_room_for(fake: FakeQuestDB) -> None:
    existing(fake, ("ts", "TIMESTAMP_NS"), ("n", "LONG"))
    late = {"table": "t", "at": dt.datetime(2500, 1, 1, tzinfo=UTC)}
    error = nothing_sent(fake, pl.DataFrame({"n": [1]}), late)
    assert (error.code, "out of range" in str(error)) == (Code.InvalidTimestamp, True)
    with pytest.raises(qf.IngressTypeError, match="at must be an instant, not NaT"):
        qf.to_ilp(pl.DataFrame({"n": [1]}), table="t", at=pd.NaT)


def test_a_field_that_is_the_rows_time_is_checked_as_such(fake: FakeQuestDB) -> None:
    """The server takes a column named as the designated one though `at` is its clock."""
    existing(fake, ("ts", "TIMESTAMP"), ("n", "LONG"))
    for values, row, code in (((1, -5, None), 1, Code.InvalidTimestamp), ((2**62, 1, 2), 0, Code.InvalidTimestamp)):
        error = nothing_sent(fake, frame(ts=moments(*values)), {"table": "t", "at": CLOCK})
        assert (error.code, error.column, error.row) == (code, "ts", row)
    plan = qf.plan(frame(), fake.conf, table="t", at=CLOCK)
    assert "the row's time" in str(plan)
    assert qf.write_questdb(frame(ts=moments(1, None, 2)), fake.conf, table="t", at=CLOCK).rows == 3


def test_an_index_that_is_named_as_a_column_but_for_case(fake: FakeQuestDB) -> None:
    index = pd.DatetimeIndex(["2025-01-01"], name="Price")
    error = nothing_sent(fake, pd.DataFrame({"price": [1.0]}, index=index), {"table": "t", "at": "index"})
    assert (error.code, error.column) == (Code.InvalidApiCall, "Price")
    assert (
        qf.to_ilp(pd.DataFrame({"price": [1.0]}, index=index), table="t", at=CLOCK)
        == b"t price==\x10\0\0\0\0\0\0\xf0?\n"
    )


def test_a_struct_with_a_null_in_it_is_told_with_its_column(fake: FakeQuestDB) -> None:
    data = pl.DataFrame(
        {"n": [1], "x": [{"a": None}], "y": [[{"b": None}]], "o": pl.Series([object()], dtype=pl.Object)}
    )
    error = nothing_sent(fake, data, {"table": "t", "at": CLOCK})
    assert (error.column, len(error.problems)) == ("x", 3)
    assert "unnest it" in str(error)


def test_lines_go_into_a_file_only_if_they_can_be_made(tmp_path: Path) -> None:
    path = tmp_path / "lines.ilp"
    path.write_bytes(b"kept")
    with pytest.raises(qf.IngressError):
        qf.to_ilp(frame(), table="t", at="nope", out=path)
    with pytest.raises(qf.IngressError):
        qf.to_ilp(frame(ts=moments(-1, 2, 3)), table="t", out=path)
    assert path.read_bytes() == b"kept"
    assert qf.to_ilp(frame().clear(), table="t", out=path) == 0
    assert path.read_bytes() == b""


def test_a_pipe_that_does_not_block_loses_nothing() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with open(reading, "rb"), open(writing, "wb", buffering=0) as out:  # noqa: PTH123
        with pytest.raises(BlockingIOError, match="takes no more for now"):
            qf.to_ilp(pl.DataFrame({"n": range(100_000)}), table="t", at=CLOCK, out=out)


# --- cures that are code --------------------------------------------------------------------------------------------


def test_cures_of_object_cells_work() -> None:
    def written(values: Any) -> bytes:
        return qf.to_ilp(pd.DataFrame({"n": 1, "x": values}), table="t", at=CLOCK, protocol_version=3)

    def cured(values: Any, cure: str) -> str:
        with pytest.raises(qf.IngressError) as caught:
            written(values)
        assert cure in str(caught.value)
        return cure

    def run(values: Any, cure: str, **names: Any) -> Any:
        return eval(cured(values, cure), {"pandas": pd, "numpy": np, "decimal": decimal, **names})  # noqa: S307

    value = Decimal("0." + "1" * 80)
    rounded = run(pd.Series([value], dtype=object), "decimal.Context(prec=76).plus(value)", value=value)
    assert b"x=" in written(pd.Series([rounded], dtype=object))
    series = pd.Series([dt.datetime(9999, 1, 1), pd.Timestamp(NANOS)], dtype=object)
    cure = 'series.map(lambda cell: pandas.Timestamp(cell).round("us"))'
    assert b"x=253370764800000000t" in written(run(series, cure, series=series))
    for series in (pd.Series(pd.interval_range(0, 2)), pd.Series(pd.cut([1, 2, 3], 2))):
        cured(series, "pandas.IntervalIndex(series).left and .right")
        assert written(pd.IntervalIndex(series).left).count(b"x=") == len(series)
    cell = np.ma.masked_array([1, 2], [True, False])
    filled = run(pd.Series([cell], dtype=object), "cell.astype(float).filled(numpy.nan)", cell=cell)
    assert b"x==" in written(pd.Series([filled], dtype=object))
    mixed = pd.Series([1, 2.5, pd.NA], dtype=object)
    cured(mixed, 'astype("Float64")')
    assert written(mixed.astype("Float64")).count(b"x=") == 2
    text = pd.Series([1, "a", None], dtype=object)
    cured(text, 'astype("string")')
    assert written(text.astype("string")).count(b"x=") == 2


# --- wrong arguments ------------------------------------------------------------------------------------------------


NO_FRAMES = {
    "None": (None, "polars or pandas DataFrame"),
    "int": (5, "polars or pandas DataFrame"),
    "dict": ({"a": [1]}, "polars or pandas DataFrame"),
    "list": ([1], "polars or pandas DataFrame"),
    "str": ("frame.csv", "polars or pandas DataFrame"),
    "numpy": (np.zeros(3), "polars or pandas DataFrame"),
    "polars_series": (pl.Series([1]), "series.to_frame()"),
    "pandas_series": (pd.Series([1]), "series.to_frame()"),
    "pyarrow_array": (pa.array([1]), "pyarrow.table"),
    "pyarrow_chunked_array": (pa.chunked_array([[1]]), "pyarrow.table"),
}


@pytest.mark.parametrize("name", NO_FRAMES)
def test_an_object_that_is_no_frame(name: str, fake: FakeQuestDB) -> None:
    data, cure = NO_FRAMES[name]
    error = nothing_sent(fake, data, {"table": "t", "at": CLOCK})
    assert type(error) is qf.IngressTypeError
    assert isinstance(error, TypeError)
    assert error.code is Code.InvalidApiCall
    kind = type(data)
    assert f"{kind.__module__}.{kind.__qualname__} is no frame" in str(error)
    assert cure in str(error)
    assert fake.requests == []


class Scalars:
    """Exports an array that is no record batch."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        return pa.array([1, 2]).__arrow_c_array__(requested_schema)


class Nonsense:
    """Exports no capsule at all."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return "stream"


@pytest.mark.parametrize("data", [Scalars(), Nonsense()], ids=["scalars", "nonsense"])
def test_an_object_that_exports_no_frame(data: Any, fake: FakeQuestDB) -> None:
    error = nothing_sent(fake, data, {"table": "t", "at": CLOCK})
    assert isinstance(error, TypeError)
    assert type(data).__name__ in str(error)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tabel": "t"}, ["write_questdb() has no option 'tabel'", "did you mean 'table'?"]),
        ({"symbol": []}, ["did you mean 'symbols'?"]),
        ({"protocol": 2}, ["did you mean 'protocol_version'?"]),
        ({"xyzzy": 1}, ["it takes at, atomic, check, connections, create"]),
        ({"at": 5}, ["at must be", "not int"]),
        ({"at": dt.datetime(2025, 1, 1)}, ["no time zone", "tzinfo"]),
        ({"table": 5}, ["table must be a str, not int"]),
        ({"symbols": "side"}, ["symbols must be 'auto', True, False or a list", "not 'side'"]),
        ({"symbols": ["a", 5]}, ["list of column names"]),
        ({"null_at": "now"}, ["null_at must be 'error' or 'server', not 'now'"]),
        ({"null_bool": True}, ["null_bool must be 'error' or 'false' or 'omit', not True"]),
        ({"empty_rows": "drop"}, ["'error' or 'skip'"]),
        ({"nan": "null"}, ["'send' or 'omit'"]),
        ({"create": "always"}, ["create must be 'auto', 'server', 'never' or a TableSpec, not 'always'"]),
        ({"check": 1}, ["check must be True or False, not 1"]),
        ({"ordered": "yes"}, ["ordered must be True or False"]),
        ({"connections": 0}, ["connections must be an int from 1 to 64, not 0"]),
        ({"connections": 65}, ["not 65"]),
        ({"connections": True}, ["not True"]),
        ({"protocol_version": 4}, ["protocol_version must be 1, 2 or 3, not 4"]),
        ({"protocol_version": 3.0}, ["protocol_version must be 1, 2 or 3, not 3.0"]),
        ({"progress": "bar"}, ["progress must be True, False or a callable, not str"]),
    ],
    ids=lambda value: "_".join(f"{k}" for k in value) if isinstance(value, dict) else "",
)
def test_wrong_options(options: dict[str, Any], says: list[str], fake: FakeQuestDB) -> None:
    error = nothing_sent(fake, frame(), {"table": "t", **options})
    assert isinstance(error, TypeError)
    assert error.code is Code.InvalidApiCall
    for words in says:
        assert words in str(error)
    assert fake.requests == []


@pytest.mark.parametrize("function", ["to_ilp", "plan", "write"])
def test_unknown_options_name_the_function(function: str, fake: FakeQuestDB) -> None:
    with qf.connect(fake.conf) as client:
        call = {"to_ilp": qf.to_ilp, "plan": qf.plan, "write": client.write}[function]
        with pytest.raises(
            qf.IngressTypeError, match=rf"^{function}\(\) has no option 'sybols'; did you mean 'symbols'"
        ):
            call(frame(), table="t", sybols=[])


@pytest.mark.parametrize("function", [qf.to_ilp, qf.plan])
def test_options_of_writes_are_told_as_such(function: Any) -> None:
    for option in ("atomic", "resume", "wait_visible"):
        with pytest.raises(qf.IngressTypeError, match=f"'{option}' is an option of writes"):
            function(frame(), table="t", **{option: None})


@pytest.mark.parametrize(
    "names",
    [pd.Index(["side", "venue"]), np.array(["side", "venue"]), pl.Series(["side", "venue"]), {"side": 1, "venue": 2}],
    ids=["index", "array", "series", "keys"],
)
def test_symbols_may_come_in_any_collection(names: Any) -> None:
    lines = qf.to_ilp(frame(side="b", venue="v"), table="t", symbols=names)
    assert lines.startswith(b"t,side=b,venue=v ")


def test_symbols_may_be_of_a_class_of_texts() -> None:
    side = enum.Enum("Column", {"SIDE": "side"}, type=str)
    assert qf.to_ilp(frame(side="b"), table="t", symbols=list(side)).startswith(b"t,side=b ")
    with pytest.raises(qf.IngressError, match="lone surrogates"):
        qf.to_ilp(frame(), table="t", symbols={"\ud800"})


def test_numbers_may_be_those_of_numpy(fake: FakeQuestDB) -> None:
    options: Any = {"connections": np.int64(2), "deadline": np.int32(60), "protocol_version": np.uint8(2)}
    assert qf.write_questdb(frame(), fake.conf, table="t", **options).protocol_version == 2


def test_a_table_spec_tells_what_is_none_and_what_its_types_are() -> None:
    for name in ("dedup_keys", "types", "symbol_capacity", "symbol_index"):
        with pytest.raises(qf.IngressTypeError, match=f"{name} must be"):
            qf.TableSpec(**{name: None})
    with pytest.raises(qf.IngressTypeError, match="dedup_keys must be a list"):
        qf.TableSpec(dedup_keys=(name for name in ["n"]))  # type: ignore[arg-type]
    assert set(typing.get_type_hints(qf.TableSpec)) == {field.name for field in dataclasses.fields(qf.TableSpec)}


@pytest.mark.parametrize("kind", [qf.TimestampNanos, qf.TimestampMicros])
def test_instants_go_to_other_processes(kind: Any) -> None:
    for there in (pickle.loads(pickle.dumps(kind(5))), copy.deepcopy(kind(5))):
        assert (type(there), there.value) == (kind, 5)
    own = type("Own", (kind,), {})
    assert type(copy.copy(own(5))) is own


def test_options_that_are_none_are_as_if_left_out(fake: FakeQuestDB) -> None:
    options: Any = {"at": None, "protocol_version": None, "progress": None}
    assert qf.write_questdb(frame(), fake.conf, table="t", **options).at == "ts"


@pytest.mark.parametrize("other", ["null", "wide", "nulls", "codes", "taken"])
def test_a_polars_column_without_a_name_gets_none(other: str, fake: FakeQuestDB) -> None:
    others = {
        "null": pl.Series("x", [None] * 3),
        "wide": pl.Series("x", [1, 2, 3], dtype=pl.Int128),
        "nulls": pl.Series("x", [[None]] * 3, dtype=pl.List(pl.Null)),
        "codes": pl.Series("column_1", ["a", "b", "c"], dtype=pl.Categorical),
        "taken": pl.Series("column_2", [1, 2, 3]),
    }
    more = {"": pl.Series(["d", "e", "f"], dtype=pl.Categorical), others[other].name: others[other]}
    many = frame(**more)[[0, 1, 2] * 2_000]
    for data in (frame(**more), many):
        error = nothing_sent(fake, data, {"table": "t", "at": "ts"})
        assert (error.code, error.column) == (Code.InvalidName, "")
        assert "the column name is empty" in str(error)
