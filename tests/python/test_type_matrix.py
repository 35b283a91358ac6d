"""Every type of column, in every library, with every amount of nulls, by every protocol version: against a real server.

The cases are in `type_matrix.py`, what is documented of them in `docs/types.md`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from render_types import DOCUMENT, document, read_table
from type_matrix import (
    CASES,
    FRONTENDS,
    NULLS,
    PANDAS_3,
    REFUSED,
    ROWS,
    SPECIALS,
    VERSIONS,
    Case,
    Form,
    Special,
    filled,
)

import questframe as qf
from questframe import IngressErrorCode as Code

if TYPE_CHECKING:
    from questframe.local import QuestDB


def frame_of(frontend: str, columns: dict[str, Any], rows: int) -> Any:
    """A frame of these columns, `row` and `at`."""
    at = np.arange(rows) * 1_000_000
    if frontend == "polars":
        whole = {"row": pl.Series(range(rows)), "at": pl.Series(at).cast(pl.Datetime("us"))}
        return pl.DataFrame({**columns, **whole})
    if frontend == "pyarrow":
        return pa.table({**columns, "row": list(range(rows)), "at": pa.array(at).cast(pa.timestamp("us"))})
    return pd.DataFrame({**columns, "row": np.arange(rows), "at": at.view("M8[us]")})


def exact(value: Any) -> Any:
    """Told apart to the last bit: 0.0 from -0.0, and 1 from 1.0 and True."""
    if isinstance(value, list):
        return [exact(each) for each in value]
    return (type(value).__name__, value.hex() if isinstance(value, float) else value)


def forms_of(frontend: str) -> list[tuple[Case, int, Form]]:
    """The forms in this library; the number tells those of a case apart."""
    return [(case, n, form) for case in CASES for n, form in enumerate(case.forms) if form.frontend == frontend]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("nulls", NULLS)
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_the_matrix(frontend: str, nulls: str, version: int, server: QuestDB, table: str) -> None:
    columns, expected_types, expected = {}, {}, {}
    for case, number, form in forms_of(frontend):
        if version < case.since or (nulls != "none" and not form.nullable):
            continue
        landing = case.by(version)
        assert len(landing.given) == len(landing.reads) <= ROWS
        name = re.sub(r"\W+", "_", f"{case.name} {number}")
        columns[name] = form.build(filled(landing.given, nulls))
        if nulls == "all" and form.untyped:
            continue
        expected_types[name] = landing.questdb_type
        holes = filled([True], nulls)
        reads = [landing.reads[row % len(landing.reads)] for row in range(ROWS)]
        expected[name] = [case.null if hole is None else value for value, hole in zip(reads, holes, strict=True)]
    # Nothing that has no type.
    none = pl.Series([None] * ROWS, dtype=pl.Null) if frontend == "polars" else pa.nulls(ROWS)
    columns["nothing"] = pd.Series([None] * ROWS, dtype=object) if frontend == "pandas NumPy" else none
    if frontend == "pandas Arrow":
        columns["nothing"] = pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.nulls(ROWS)])))

    data = frame_of(frontend, columns, ROWS)
    report = qf.write_questdb(
        data,
        server.conf,
        table=table,
        at="at",
        protocol_version=version,
        null_bool="omit" if nulls != "none" else "error",
    )
    assert (report.rows, report.created) == (ROWS, True)
    types, found = read_table(server, table, ROWS)
    assert (found.pop("row"), found.pop("at")) == (list(range(ROWS)), [row * 10**6 for row in range(ROWS)])
    assert {name: kind for name, kind in types.items() if name not in {"row", "at"}} == expected_types
    wrong = [
        f"{name}, {frontend}, nulls: {nulls}, v{version}, row {row}: {have!r} and not {want!r}"
        for name, wants in expected.items()
        for row, (want, have) in enumerate(zip(wants, found[name], strict=True))
        if exact(want) != exact(have)
    ]
    assert wrong == []


def one(frontend: str, column: Any) -> Any:
    return frame_of(frontend, {"x": column}, len(column))


def refusal(data: Any, conf: str, table: str, **options: Any) -> qf.IngressError:
    with pytest.raises(qf.IngressError) as caught:
        qf.write_questdb(data, conf, table=table, at="at", **options)
    assert (caught.value.column, caught.value.acked, caught.value.doubtful) == ("x", (), ())
    return caught.value


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_what_a_protocol_version_does_not_have(frontend: str, server: QuestDB, table: str) -> None:
    for case, number, form in forms_of(frontend):
        for version in range(1, case.since):
            for nulls in NULLS[: 2 if form.untyped else 3]:
                data = one(frontend, form.build(filled(case.landing.given, nulls)))
                with pytest.raises(qf.IngressError) as caught:
                    qf.plan(data, server.conf, table=table, at="at", protocol_version=version)
                where = f"{case.name} {number}, v{version}: {caught.value}"
                assert (caught.value.code, caught.value.column) == (Code.ProtocolVersionError, "x"), where
                for words in (f"protocol version {case.since}", f"version {version}"):
                    assert words in str(caught.value), where


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_null_booleans_are_refused(frontend: str, server: QuestDB, table: str) -> None:
    for case, _, form in forms_of(frontend):
        if case.null_refused and form.nullable:
            error = refusal(one(frontend, form.build([True, None])), server.conf, table)
            assert (error.code, error.row) == (Code.BadDataFrame, 1), case.name
            assert "no boolean null" in str(error)


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_values_that_are_refused(frontend: str, server: QuestDB, table: str) -> None:
    for case, number, form in forms_of(frontend):
        for version in VERSIONS:
            for value, says in case.refused + (case.refused_v1 if version == 1 else ()):
                if version < case.since:
                    continue
                try:
                    column = form.build([case.landing.given[0], value])
                except (OverflowError, ValueError, TypeError, KeyError, pa.ArrowInvalid, pl.exceptions.PolarsError):
                    # The library has no room for it either.
                    continue
                where = f"{case.name} {number}, v{version}, {value!r}"
                error = refusal(one(frontend, column), server.conf, table, protocol_version=version)
                assert (error.code, error.row) == (Code.BadDataFrame, 1), f"{where}: {error}"
                assert says in str(error), where


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_types_that_are_refused(case: Any, server: QuestDB, table: str) -> None:
    for frontend, build in case.columns:
        error = refusal(one(frontend, build()), server.conf, table)
        assert error.code is Code.BadDataFrame
        assert case.says in str(error)


@pytest.mark.parametrize("case", SPECIALS, ids=lambda case: f"{case.column} {case.value}")
def test_values_that_columns_do_not_hold(case: Special, server: QuestDB, table: str) -> None:
    server.sql(f'create table "{table}" (x {case.column}, row long, at timestamp) timestamp(at) partition by day wal')
    data = one("pyarrow", case.build)
    if case.says is not None:
        error = refusal(data, server.conf, table)
        assert (error.code, error.row) == (Code.BadDataFrame, 0)
        assert case.says in str(error)
    qf.write_questdb(data, server.conf, table=table, at="at", **case.options)
    types, found = read_table(server, table, 1)
    assert types["x"].upper() == case.column.upper()
    assert exact(found["x"][0]) == exact(case.reads)


@pytest.mark.skipif(not PANDAS_3, reason="docs/types.md names the types of pandas 3")
def test_the_document_says_the_same(server: QuestDB, table: str) -> None:
    assert DOCUMENT.read_text() == document(server, table), "run: python tests/python/render_types.py"


def lines(frontend: str, column: Any) -> bytes:
    return qf.to_ilp(one(frontend, column), table="t", at="at", null_bool="omit")


@pytest.mark.parametrize("nulls", NULLS)
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_slices_and_chunks_are_the_values_that_they_hold(frontend: str, nulls: str) -> None:
    for case, number, form in forms_of(frontend):
        if nulls != "none" and not form.nullable:
            continue
        values = filled(case.landing.given, nulls)
        column = form.build([*values[7:], *values, *values[:5]])
        plain, part = form.build(values), slice(ROWS - 7, 2 * ROWS - 7)
        expected = lines(frontend, plain)
        where = f"{case.name} {number}, nulls: {nulls}"
        if frontend == "polars":
            pieces = [column[part.start : part.start + 1], column[part.start + 1 : part.stop - 4], column[-9:-5]]
            assert lines(frontend, column[part]) == expected, where
            assert lines(frontend, pl.concat(pieces, rechunk=False)) == expected, where
        elif frontend == "pyarrow":
            array = column[part.start : part.stop]
            empty = [array[8:8]]
            if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
                # Refused so far: arrow-rs imports no empty slice of these whose first offset is not 0.
                empty = []
            chunks = [*empty, array[:1], array[1:8], *empty, array[8:]]
            assert lines(frontend, array) == expected, where
            assert lines(frontend, pa.chunked_array(chunks, array.type)) == expected, where
        else:
            assert lines(frontend, column[part].reset_index(drop=True)) == expected, where
            if frontend == "pandas Arrow":
                # Steps are copies there, which pyarrow does not have for every type.
                continue
            backwards = form.build(values[::-1])
            assert lines(frontend, backwards[::-1].reset_index(drop=True)) == expected, where
            doubled = form.build([value for value in values for _ in range(2)])
            assert lines(frontend, doubled[::2].reset_index(drop=True)) == expected, where
