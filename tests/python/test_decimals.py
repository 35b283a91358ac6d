"""Random decimals through the real server and back, digit by digit."""

from __future__ import annotations

import decimal
import itertools
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import questframe as qf

if TYPE_CHECKING:
    from questframe.local import QuestDB

# More digits than any decimal here has, so that arithmetic in this file rounds nothing.
CONTEXT = decimal.Context(prec=200)

#: Arrow's widths in bits, and the most digits each holds.
WIDTHS = {32: 9, 64: 18, 128: 38, 256: 76}

_tables = itertools.count()


#: Width, precision, scale and unscaled values.
Column: TypeAlias = "tuple[int, int, int, list[int | None]]"


@st.composite
def columns(draw: st.DrawFn) -> Column:
    """Width, precision, scale and unscaled values, the extremes among them more often than chance has it."""
    width = draw(st.sampled_from(sorted(WIDTHS)))
    precision = draw(st.integers(1, WIDTHS[width]))
    scale = draw(st.integers(0, precision))
    most = 10**precision - 1
    value = st.integers(-most, most) | st.sampled_from([most, -most, 0, 1, -1, min(10**scale, most)])
    values = draw(st.lists(st.none() | value, min_size=1, max_size=12).filter(any))
    return width, precision, scale, values


def scaled(values: list[int | None], scale: int) -> list[decimal.Decimal | None]:
    return [None if v is None else decimal.Decimal(v).scaleb(-scale, CONTEXT) for v in values]


def read_back(server: QuestDB, table: str, rows: int) -> list[decimal.Decimal | None]:
    assert server.wait_visible(table, rows) == rows
    # As text, so that nothing on the way makes floats of them.
    found = server.sql(f"select cast(d as varchar) d from {table} order by n").column("d")
    return [None if v is None else decimal.Decimal(v) for v in found]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(column=columns())
@example(column=(256, 76, 0, [10**76 - 1, -(10**76 - 1), 0, None]))
@example(column=(256, 76, 76, [10**76 - 1, 1, None]))
@example(column=(32, 9, 9, [-999_999_999, 1]))
def test_arrow_decimals_read_back_digit_by_digit(
    server: QuestDB, column: tuple[int, int, int, list[int | None]]
) -> None:
    width, precision, scale, values = column
    expected = scaled(values, scale)
    kind = getattr(pa, f"decimal{width}")(precision, scale)
    with decimal.localcontext(CONTEXT):
        array = pa.array(expected, type=kind)
    frame = pa.table({"d": array, "n": range(len(values))})
    table = f"decimals_{next(_tables)}"
    report = qf.write_questdb(frame, server.conf, table=table, at=qf.ServerTimestamp)
    assert report.columns[0].questdb_type == f"DECIMAL({precision},{scale})"
    assert read_back(server, table, len(values)) == expected


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(
        st.none() | st.decimals(allow_nan=True, allow_infinity=True) | st.decimals(-(10**20), 10**20, places=6),
        min_size=1,
        max_size=8,
    )
)
def test_python_decimals_read_back_or_are_refused(server: QuestDB, cells: list[Any]) -> None:
    frame = pd.DataFrame({"d": pd.Series(cells, dtype=object), "n": range(len(cells))})
    expected = [None if c is None or not c.is_finite() else c for c in cells]
    table = f"decimals_{next(_tables)}"
    try:
        report = qf.write_questdb(frame, server.conf, table=table, at=qf.ServerTimestamp)
    except qf.IngressError as error:
        # Only what no DECIMAL holds is refused, with the row.
        assert error.column == "d"
        if error.row is not None and cells[error.row].is_infinite():
            assert "no infinity" in str(error)
            return
        assert any(c is not None and len(c.as_tuple().digits) + abs(int(c.as_tuple().exponent)) > 70 for c in expected)
        return
    assert not any(c is not None and c.is_infinite() for c in cells)
    if report.columns[0].role == "skipped":
        assert expected == [None] * len(cells)
        return
    assert read_back(server, table, len(cells)) == expected


@pytest.mark.parametrize("version", [1, 2])
def test_older_protocols_have_no_decimals(server: QuestDB, table: str, version: Any) -> None:
    frame = pa.table({"d": pa.array([decimal.Decimal("1.5")])})
    with pytest.raises(qf.IngressError) as caught:
        qf.write_questdb(frame, server.conf, table=table, at=qf.ServerTimestamp, protocol_version=version)
    assert caught.value.code is qf.IngressErrorCode.ProtocolVersionError
    assert "protocol version 3" in str(caught.value)
