"""What was written is read back as a Polars frame: every value as it is stored."""

from __future__ import annotations

import datetime
import math
import re
import struct
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from conftest import PASSWORD, USER
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numbered import failure
from polars.testing import assert_frame_equal
from servers import FakeQuestDB, answer, answer_json

import questframe as qf
from questframe import IngressErrorCode as Code

if TYPE_CHECKING:
    from questframe.local import QuestDB

UTC = datetime.timezone.utc
INSTANT = datetime.datetime(2025, 1, 2, 3, 4, 5, 123_456, tzinfo=UTC)

#: QuestDB's type, the value as SQL, and as it is read; of types that are never NULL also what is read for it.
TYPES: dict[str, tuple[Any, str, Any, Any]] = {
    "boolean": (pl.Boolean(), "true", True, False),
    "byte": (pl.Int8(), "-128", -128, 0),
    "short": (pl.Int16(), "-32768", -32768, 0),
    "int": (pl.Int32(), "-2147483647", -2147483647, None),
    "long": (pl.Int64(), "9223372036854775807", 2**63 - 1, None),
    "char": (pl.String(), "'€'", "€", None),
    "float": (pl.Float32(), "0.1", struct.unpack("f", struct.pack("f", 0.1))[0], None),
    "double": (pl.Float64(), "0.1", 0.1, None),
    "date": (
        pl.Datetime("ms", "UTC"),
        "'1969-12-31T23:59:59.999Z'",
        INSTANT.replace(1969, 12, 31, 23, 59, 59, 999_000),
        None,
    ),
    "timestamp": (pl.Datetime("us", "UTC"), "'2025-01-02T03:04:05.123456Z'", INSTANT, None),
    "symbol": (pl.Categorical(), "'a symbol'", "a symbol", None),
    "varchar": (pl.String(), "'\"quoted\" \\\\ ünïcode'", '"quoted" \\\\ ünïcode', None),
    "string": (pl.String(), "''", "", None),
    "uuid": (pl.String(), "'11111111-2222-3333-4444-555555555555'", "11111111-2222-3333-4444-555555555555", None),
    "ipv4": (pl.String(), "'1.2.3.4'", "1.2.3.4", None),
    "geohash(20b)": (pl.String(), "#u33d", "u33d", None),
    "long256": (pl.String(), "0x01", "0x01", None),
    "double[]": (pl.List(pl.Float64()), "ARRAY[1.5, 2.0]", [1.5, 2.0], None),
    "double[][]": (pl.List(pl.List(pl.Float64())), "ARRAY[[1.5],[2.0]]", [[1.5], [2.0]], None),
    "decimal(18, 4)": (pl.Decimal(18, 4), "-1.2345m", Decimal("-1.2345"), None),
    "decimal(76, 0)": (pl.Decimal(38, 0), "12m", Decimal(12), None),
}


@pytest.mark.parametrize("kind", TYPES)
def test_every_type(kind: str, server: QuestDB, table: str) -> None:
    dtype, sql, value, null = TYPES[kind]
    server.sql(f'create table "{table}" (v {kind}, ts timestamp) timestamp(ts) partition by day bypass wal')
    server.sql(f"insert into \"{table}\" values ({sql}, '2025-01-01')")
    server.sql(f"insert into \"{table}\" (ts) values ('2025-01-02')")
    if kind == "decimal(76, 0)":
        error = failure(qf.read_questdb, f'select v from "{table}"', server.conf)
        assert error.column == "v"
        assert 'select "v"::varchar' in str(error)
        return
    found = qf.read_questdb(f'select v, ts from "{table}"', server.conf)
    assert found.schema == {"v": dtype, "ts": pl.Datetime("us", "UTC")}
    assert found["v"].to_list() == [value, null]
    assert found["ts"].to_list() == [datetime.datetime(2025, 1, day, tzinfo=UTC) for day in (1, 2)]
    nothing = qf.read_questdb(f'select * from "{table}" where ts < 0', server.conf)
    assert (nothing.schema, nothing.height) == (found.schema, 0)


finite = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.none() | st.integers(-(2**63) + 1, 2**63 - 1),
            st.none() | finite,
            st.none() | texts,
            st.none() | texts.filter(bool),
            st.integers(0, 2**52),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_what_is_written_is_read(rows: list[tuple[Any, ...]], server: QuestDB, table: str) -> None:
    schema = {"n": pl.Int64, "x": pl.Float64, "v": pl.String, "s": pl.Categorical, "ts": pl.Datetime("us", "UTC")}
    numbered = [(*row[:4], row[4]) for row in rows]
    data = pl.DataFrame(numbered, schema={**schema, "ts": pl.Int64, "s": pl.String}, orient="row")
    data = data.select(pl.int_range(pl.len()).alias("row"), *(pl.col(name).cast(kind) for name, kind in schema.items()))
    server.sql(f'drop table if exists "{table}"')
    qf.write_questdb(data, server.conf, table=table, at="ts", wait_visible=30)
    back = qf.read_questdb(f'select * from "{table}" order by row', server.conf)
    assert_frame_equal(back, data, check_exact=True, categorical_as_str=True)
    signs = [[None if x is None else math.copysign(1, x) for x in frame["x"]] for frame in (back, data)]
    assert signs[0] == signs[1]


def test_nanoseconds(server: QuestDB, table: str) -> None:
    data = pl.DataFrame({"n": [1], "ts": pl.Series([1_735_787_045_123_456_789]).cast(pl.Datetime("ns", "UTC"))})
    qf.write_questdb(data, server.conf, table=table, at="ts", wait_visible=30)
    assert_frame_equal(qf.read_questdb(f'"{table}"', server.conf), data)


def test_what_the_server_tells_wrong_is_refused(server: QuestDB, table: str) -> None:
    """Instants of nanoseconds outside of their years, and characters that its JSON does not escape."""
    server.sql(f"create table {table} (ns timestamp_ns, c char, ts timestamp) timestamp(ts) partition by year wal")
    server.sql(f"insert into {table} values (cast(-9220000000000000000 as timestamp_ns), '\"', 0)")
    assert server.wait_visible(table, 1) == 1
    error = failure(qf.read_questdb, f"select ns from {table}", server.conf)
    assert error.column == "ns"
    assert "between 1678 and 2261" in str(error)
    found = qf.read_questdb(f'select "ns"::long "ns" from {table}', server.conf)
    assert found.rows() == [(-9_220_000_000_000_000_000,)]
    error = failure(qf.read_questdb, f"select c from {table}", server.conf)
    assert "CHAR" in str(error)
    assert qf.read_questdb(f'select "c"::varchar "c" from {table}', server.conf).rows() == [('"',)]


def test_what_is_no_query(server: QuestDB, table: str) -> None:
    assert qf.read_questdb(f'create table "{table}" (n int)', server.conf).shape == (0, 0)
    error = failure(qf.read_questdb, "select nothing", server.conf)
    assert error.code is Code.ServerFlushError
    assert "the server refused the query" in str(error)
    assert "nothing" in (error.server_message or "")
    error = failure(qf.read_questdb, "select rnd_bin() b from long_sequence(1)", server.conf)
    assert (error.code, error.column) == (Code.BadDataFrame, "b")
    assert qf.read_questdb("select base64(rnd_bin(), 1000) b from long_sequence(1)", server.conf).height == 1


def test_wrong_arguments(nobody: str) -> None:
    for sql in (5, None, "select '\ud800'"):
        assert type(failure(qf.read_questdb, sql, nobody)) is qf.IngressTypeError
    for timeout in (0, -1, math.nan, "5", True, None):
        with pytest.raises(TypeError, match="timeout must be a number of seconds above 0"):
            qf.read_questdb("select 1", nobody, timeout=timeout)  # type: ignore[arg-type]
    assert failure(qf.read_questdb, "select 1", "tcp::addr=localhost:9009;").code is Code.InvalidApiCall


def test_other_hosts_and_passwords(locked_server: QuestDB, nobody: str) -> None:
    address = locked_server.http_url.removeprefix("http://")
    dead = nobody.removeprefix("http::addr=").split(";")[0]
    conf = f"http::addr={dead},{address};username={USER};password={PASSWORD.replace(';', ';;')};"
    assert qf.read_questdb("select 1 x", conf)["x"].to_list() == [1]
    error = failure(qf.read_questdb, "select 1", f"http::addr={address};username={USER};password=wrong;")
    assert error.code is Code.AuthError
    assert "wrong" not in str(error)


def test_answers_that_no_questdb_gives(fake: FakeQuestDB) -> None:
    for body, words in (
        (b'{"columns":[{"name":"a","type":"INT"}],"dataset":[[1],', "is no JSON"),
        (b"[]", "list in place of an answer"),
        (b'{"error":"out of memory","position":7}', "out of memory (at position 7)"),
        (b'{"columns":[{"name":"a","type":"INT"}],"dataset":[[1,2]]}', "2 values a row for 1 columns"),
        (b'{"columns":[{"name":"a","type":"INT"}],"dataset":[["x"]]}', 'column "a": its values are no INT'),
        (b'{"columns":[{"name":"a","type":"TIMESTAMP"}],"dataset":[["x"]]}', 'column "a": its values are no TIMESTAMP'),
    ):
        fake.exec = answer(200, body, content_type="application/json")
        error = failure(qf.read_questdb, "select 1", fake.conf)
        assert words in str(error), body
    fake.exec = answer_json(200, {"columns": [{"name": "a", "type": "NEW"}], "dataset": [[1], [None]]})
    assert qf.read_questdb("select 1", fake.conf)["a"].to_list() == ["1", None]


def test_a_slow_answer(server: QuestDB) -> None:
    slow = "select sum(rnd_double()) from long_sequence(20000000000)"
    error = failure(qf.read_questdb, slow, server.conf, timeout=0.2)
    assert error.code is Code.SocketError
    assert "give it more time (`timeout`)" in str(error)


@pytest.mark.parametrize("letter", ["a", "é"])
@pytest.mark.parametrize("size", [33_000, 70_000])
def test_a_query_that_is_too_long(letter: str, size: int, server: QuestDB) -> None:
    """Which servers end the connection at, and say nothing."""
    error = failure(qf.read_questdb, f"select '{letter * (size // len(letter.encode()))}'", server.conf)
    assert re.search(r"the query has \d{5,6} bytes as it is encoded in a URL, and servers take some 32000", str(error))
