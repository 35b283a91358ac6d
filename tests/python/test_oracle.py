"""pandas frames against the official client 4.1.0: the same bytes for every dtype that it takes.

The client runs in an environment of its own (`oracle/process.py`). Values are drawn by hypothesis, with a fixed seed;
`QUESTFRAME_HYPOTHESIS_PROFILE=full` draws many more, at random.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle.client import Oracle
from oracle.process import OracleCrashedError, OracleMissingError
from oracle.recipes import CATEGORIES, DTYPES, PLAIN_STRINGS, STRINGS, TIMESTAMPS, build
from oracle.strategies import ROWS, anchor, at_values, columns, frames_of, mixed_frames, texts

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from oracle.recipes import Recipe

FULL = os.environ.get("QUESTFRAME_HYPOTHESIS_PROFILE") == "full"

VERSIONS = (1, 2, 3)
NANOS = 1_735_787_045_678_901_234


def drawn(examples: int) -> settings:
    """So many examples, the same ones each time; in the full run thirty times as many, always others."""
    return settings(
        max_examples=examples * 30 if FULL else examples,
        derandomize=not FULL,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    try:
        oracle = Oracle()
    except OracleMissingError as missing:
        pytest.fail(str(missing))
    yield oracle
    oracle.close()


def ours(frame: pd.DataFrame, version: int, *, at: str | int | None, **options: Any) -> bytes:
    source = qf.ServerTimestamp if at is None else qf.TimestampNanos(at) if isinstance(at, int) else at
    return qf.to_ilp(frame, at=source, protocol_version=version, **options)


def assert_same(
    oracle: Oracle,
    recipe: Recipe,
    *,
    at: str | int | None = "at",
    table: str = "t",
    symbols: str | bool | list[str] = "auto",
) -> None:
    frame = build(recipe)
    for version, expected in zip(VERSIONS, oracle.lines(recipe, at=at, table=table, symbols=symbols), strict=True):
        assert isinstance(expected, bytes), f"the official client refuses this frame: {expected}"
        # Its rule for nulls in `at`; ours is stricter unless told so.
        got = ours(frame, version, at=at, table=table, symbols=symbols, null_at="server")
        assert got == expected, f"protocol version {version}"


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_has_the_official_bytes(oracle: Oracle, dtype: str) -> None:
    @drawn(12)
    @given(frames_of(dtype))
    def check(recipe: Recipe) -> None:
        assert_same(oracle, recipe)

    check()


@pytest.mark.parametrize("dtype", TIMESTAMPS)
def test_every_dtype_of_at_has_the_official_bytes(oracle: Oracle, dtype: str) -> None:
    @drawn(20)
    @given(ROWS.flatmap(lambda rows: at_values(dtype, rows)))
    def check(values: list[int | None]) -> None:
        assert_same(oracle, {"columns": [{"name": "at", "dtype": dtype, "values": values}, anchor(len(values))]})

    check()


@pytest.mark.parametrize("dtype", STRINGS)
def test_strings_are_symbols_by_the_official_rules(oracle: Oracle, dtype: str) -> None:
    @drawn(10)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        rows = data.draw(ROWS)
        without_nul = st.lists(st.none() | texts(nul=False), min_size=rows, max_size=rows)
        parts = [
            {"name": name, "dtype": kind, "values": ["first", *data.draw(without_nul)]}
            for name, kind in (("c", dtype), ("d", data.draw(st.sampled_from(STRINGS))))
        ]
        symbols = data.draw(st.sampled_from(["auto", True, False, ["c"], ["d"], ["d", "c"]]))
        assert_same(oracle, {"columns": [*parts, anchor(rows + 1)]}, at=None, symbols=symbols)

    check()


@pytest.mark.parametrize("at", [None, 0, NANOS])
def test_at_without_a_column_has_the_official_bytes(oracle: Oracle, at: int | None) -> None:
    assert_same(oracle, {"columns": [anchor(3)]}, at=at)


@pytest.mark.parametrize("table", ["t", "my table", "a-b.c", "x=y", "ünï 漢字", "n" * 127])
def test_table_names_have_the_official_bytes(oracle: Oracle, table: str) -> None:
    assert_same(oracle, {"columns": [anchor(2)]}, at=None, table=table)


def test_mixed_frames_have_the_official_bytes(oracle: Oracle) -> None:
    @drawn(60)
    @given(mixed_frames(), st.sampled_from(["auto", True, False]))
    def check(recipe: Recipe, symbols: str | bool) -> None:
        assert_same(oracle, recipe, symbols=symbols)

    check()


@pytest.mark.parametrize("rows", [255, 257, 2_047, 2_048, 2_049])
def test_rows_around_our_blocks_have_the_official_bytes(oracle: Oracle, rows: int) -> None:
    instants = [NANOS + row * 1_000 for row in range(rows)]
    cities = [None if row % 11 == 0 else f"city {row % 7}" for row in range(rows)]
    notes = [None if row % 13 == 0 else "=" * (row % 5) for row in range(rows)]
    parts = [
        {"name": "city", "dtype": "category:int8", "values": cities},
        {"name": "note", "dtype": "string[python]", "values": notes},
        {"name": "n", "dtype": "Int64", "values": [None if 250 < row < 260 else row * row for row in range(rows)]},
        anchor(rows),
        {"name": "at", "dtype": "arrow:timestamp[ns]", "values": instants},
    ]
    # Two chunks whose border is not one of our blocks'.
    assert_same(oracle, {"columns": parts, "splits": [100]})


@pytest.mark.parametrize(
    ("part", "at"),
    [
        pytest.param({"dtype": "uint64", "values": [1, 2**63]}, None, id="above the largest LONG"),
        pytest.param({"dtype": "UInt64", "values": [1, 2**63]}, None, id="nullable, above the largest LONG"),
        pytest.param({"dtype": "boolean", "values": [True, None]}, None, id="null boolean"),
        pytest.param({"dtype": "arrow:bool", "values": [True, None]}, None, id="null Arrow boolean"),
        pytest.param({"dtype": "datetime64[ns]", "values": [1, -1]}, "c", id="negative at"),
        pytest.param({"dtype": "arrow:timestamp[us]", "values": [1, -1]}, "c", id="negative Arrow at"),
    ],
)
def test_refused_by_both(oracle: Oracle, part: dict[str, Any], at: str | None) -> None:
    recipe = {"columns": [anchor(2), {"name": "c", **part}]}
    for version, official in zip(VERSIONS, oracle.lines(recipe, at=at), strict=True):
        assert isinstance(official, str), f"the official client takes it: {official!r}"
        with pytest.raises(qf.IngressError) as refused:
            ours(build(recipe), version, at=at, table="t")
        assert (refused.value.column, refused.value.row) == ("c", 1)


def test_rows_of_nulls_are_refused_by_both(oracle: Oracle) -> None:
    recipe = {"columns": [{"name": "c", "dtype": "Int64", "values": [1, None]}]}
    for version, official in zip(VERSIONS, oracle.lines(recipe, at=None), strict=True):
        assert isinstance(official, str), f"the official client takes it: {official!r}"
        with pytest.raises(qf.IngressError) as refused:
            ours(build(recipe), version, at=None, table="t")
        assert refused.value.row == 1


@pytest.mark.parametrize("dtype", PLAIN_STRINGS + CATEGORIES)
def test_columns_of_nulls_are_left_out(oracle: Oracle, dtype: str) -> None:
    values: list[str | None] = [None, None]
    recipe = {"columns": [anchor(2), {"name": "c", "dtype": dtype, "values": values}]}
    expected = b"t anchor=0i\nt anchor=1i\n"
    # The official client refuses a category without names.
    if not dtype.startswith("category"):
        assert oracle.lines(recipe, at=None) == [expected] * 3
    assert ours(build(recipe), 3, at=None, table="t") == expected


def test_the_oracle_comes_back_after_a_crash(oracle: Oracle) -> None:
    recipe = {"columns": [anchor(1)]}
    official = oracle.lines(recipe, at=None)
    oracle.process.kill()
    with pytest.raises(OracleCrashedError):
        oracle.lines(recipe, at=None)
    assert oracle.lines(recipe, at=None) == official


def test_columns_strategy_covers_nulls() -> None:
    """A strategy that never draws a null would prove nothing."""
    seen: set[bool] = set()

    @settings(max_examples=50, derandomize=True, database=None)
    @given(columns("Int64", "c", 4))
    def look(part: dict[str, Any]) -> None:
        seen.update(value is None for value in part["values"])

    look()
    assert seen == {True, False}
