"""What is written to an older QuestDB reads back as it was, as far as that server can hold it."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
import pytest
from conftest import run

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from questframe.local import QuestDB

pytestmark = pytest.mark.slow


class Traits(NamedTuple):
    """What a server can do."""

    protocol: int
    nanoseconds: bool = True
    long_rows: bool = True
    arrays: bool = True
    decimals: bool = False


SERVERS = {
    "7.4.2": Traits(1, nanoseconds=False, long_rows=False, arrays=False),
    "8.2.0": Traits(1, nanoseconds=False, long_rows=False, arrays=False),
    "9.0.3": Traits(2, nanoseconds=False),
    "9.1.1": Traits(2),
    "9.2.3": Traits(3, decimals=True),
}

MICROS = 1_700_000_000_000_000
FRAME = pl.DataFrame(
    {
        "sym": ["a", "b ,=\\", None, "é"],
        "int": [1, -(2**63) + 1, None, 2**63 - 1],
        "float": [0.1 + 0.2, -1.5e300, None, 5e-324],
        "bool": [True, False, True, False],
        "text": ["x", 'quote " back \\ line \n', None, "€😀"],
        "when": pl.Series([0, 1, None, MICROS], dtype=pl.Datetime("us")),
        "ts": pl.Series([MICROS + n for n in range(4)], dtype=pl.Datetime("us")),
    }
)
SHOWN = "2023-11-14T22:13:20.00000{}Z"
ROWS = [
    ("a", 1, 0.1 + 0.2, True, "x", "1970-01-01T00:00:00.000000Z", SHOWN.format(0)),
    (
        "b ,=\\",
        -(2**63) + 1,
        -1.5e300,
        False,
        'quote " back \\ line \n',
        "1970-01-01T00:00:00.000001Z",
        SHOWN.format(1),
    ),
    (None, None, None, True, None, None, SHOWN.format(2)),
    ("é", 2**63 - 1, 5e-324, False, "€😀", SHOWN.format(0), SHOWN.format(3)),
]


@pytest.fixture(scope="module", params=SERVERS)
def version(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def server(version: str) -> Iterator[QuestDB]:
    """In place of the newest one; the fixtures that read from it read from this one."""
    yield from run(version=version)


@pytest.fixture
def traits(version: str) -> Traits:
    return SERVERS[version]


@pytest.fixture
def conf(server: QuestDB) -> str:
    return server.conf


def check(server: QuestDB, table: str) -> None:
    assert server.wait_visible(table, len(ROWS)) == len(ROWS)
    found = server.sql(f'select * from "{table}"')
    assert found.columns == ("sym", "int", "float", "bool", "text", "when", "ts")
    assert found.types == ("SYMBOL", "LONG", "DOUBLE", "BOOLEAN", "VARCHAR", "TIMESTAMP", "TIMESTAMP")
    assert found.rows == ROWS


def test_write(server: QuestDB, traits: Traits, table: str) -> None:
    report = FRAME.write_questdb(server.conf, table=table, at="ts", symbols=["sym"])
    assert (report.rows, report.protocol_version) == (4, traits.protocol)
    check(server, table)


def test_server_info(server: QuestDB, version: str, traits: Traits) -> None:
    with qf.connect(server.conf) as client:
        info = client.server_info()
    assert max(info.protocol_versions) == traits.protocol
    assert info.release in {version, None}


def test_write_in_protocol_version_1(server: QuestDB, traits: Traits, table: str) -> None:
    conf = f"{server.conf}protocol_version=1;"
    report = FRAME.write_questdb(conf, table=table, at="ts", symbols=["sym"])
    assert (report.rows, report.protocol_version) == (4, 1)
    check(server, table)


def test_floats_are_exact(conf: str, table: str, read: Callable[..., list[dict[str, Any]]]) -> None:
    rng = random.Random(7)
    values = [math.ldexp(rng.random() - 0.5, rng.randrange(-1073, 1024)) for _ in range(5_000)]
    values += [rng.randrange(10**9) / 100 for _ in range(5_000)]
    pl.DataFrame({"x": values}).write_questdb(conf, table=table, at=qf.TimestampMicros(MICROS))
    found = [row["x"] for row in read(table, len(values), "x")]
    assert list(map(float.hex, found)) == list(map(float.hex, values))


def test_nanoseconds(
    conf: str, table: str, traits: Traits, server: QuestDB, read: Callable[..., list[dict[str, Any]]]
) -> None:
    frame = pl.DataFrame({"ts": pl.Series([MICROS * 1000 + 1234], dtype=pl.Datetime("ns"))}).with_columns(when="ts")
    if traits.nanoseconds:
        shown, expected = SHOWN.format("1234"), "TIMESTAMP_NS"
    else:
        # Nothing is cut off without a word.
        with pytest.raises(qf.IngressError, match="digits beyond the microseconds"):
            frame.write_questdb(conf, table=table, at="ts")
        frame = frame.with_columns(pl.all().dt.truncate("1us"))
        shown, expected = SHOWN.format("1"), "TIMESTAMP"
    frame.write_questdb(conf, table=table, at="ts")
    assert read(table, 1, '"when", ts') == [{"when": shown, "ts": shown}]
    assert server.sql(f'select * from "{table}"').types == (expected, expected)


def test_arrays_and_decimals(conf: str, table: str, traits: Traits, read: Callable[..., list[dict[str, Any]]]) -> None:
    at = qf.TimestampMicros(MICROS)
    arrays = pl.DataFrame({"a": [[1.5, 2.0], []]})
    decimals = pl.DataFrame({"d": pl.Series(["1.25"]).cast(pl.Decimal(10, 2))})
    for frame, there in ((arrays, traits.arrays), (decimals, traits.decimals)):
        if not there:
            with pytest.raises(qf.IngressError, match="need protocol version"):
                frame.write_questdb(conf, table=table, at=at)
    if traits.arrays:
        arrays.write_questdb(conf, table=table, at=at)
        assert [row["a"] for row in read(table, 2, "a")] == [[1.5, 2.0], []]
    if traits.decimals:
        decimals.write_questdb(conf, table=f"{table}_d", at=at)
        assert [row["d"] for row in read(f"{table}_d", 1, "d")] == ["1.25"]


def test_a_table_that_is_there(
    conf: str, table: str, server: QuestDB, read: Callable[..., list[dict[str, Any]]]
) -> None:
    server.sql(
        f"create table {table} (time timestamp, id symbol, price double, size int, made date, uid uuid, ip ipv4)"
        " timestamp(time) partition by day wal dedup upsert keys(time, id)"
    )
    row = {
        "id": "a",
        "price": 1.5,
        "size": 7,
        "made": "2023-11-14T22:13:20.123Z",
        "uid": "123e4567-e89b-12d3-a456-426614174000",
        "ip": "10.0.0.1",
    }
    frame = pl.DataFrame(row).with_columns(pl.col("made").str.to_datetime(time_unit="ms", time_zone="UTC"))
    time = qf.TimestampMicros(MICROS)
    with qf.connect(conf) as client:
        assert not client.write(frame, table=table, at=time, symbols=["id"]).created
        client.write(frame.with_columns(price=2.5), table=table, at=time, symbols=["id"])
        assert read(table, 1) == [{"time": SHOWN.format(0), **row, "price": 2.5}]
        with pytest.raises(qf.IngressError, match=f'table "{table}", column "size"'):
            client.write(frame.with_columns(size=pl.lit("many")), table=table, at=time, symbols=["id"])


def test_a_table_without_wal(conf: str, table: str, server: QuestDB) -> None:
    server.sql(f"create table {table} (v double, ts timestamp) timestamp(ts) partition by day bypass wal")
    with pytest.raises(qf.IngressError, match="without a write-ahead log"):
        pl.DataFrame({"v": [1.0]}).write_questdb(conf, table=table, at=qf.TimestampMicros(MICROS))


def test_long_rows(conf: str, table: str, traits: Traits, server: QuestDB) -> None:
    at = qf.TimestampMicros(MICROS)
    pl.DataFrame({"s": ["x" * 1_000_000]}).write_questdb(conf, table=table, at=at)
    longer = pl.DataFrame({"s": ["x" * 1_100_000]})
    if traits.long_rows:
        longer.write_questdb(conf, table=table, at=at)
    else:
        with pytest.raises(qf.IngressError, match=r"413.*ILP line does not fit QuestDB ILP buffer size.*rows 0\.\.1"):
            longer.write_questdb(conf, table=table, at=at)
    assert server.wait_visible(table) == 1 + traits.long_rows


def test_many_rows(conf: str, table: str, server: QuestDB) -> None:
    """Several requests on two connections."""
    count = 200_000
    n = pl.int_range(count, eager=True)
    frame = pl.DataFrame(
        {
            "s": (n % 100).cast(pl.String).cast(pl.Categorical),
            "n": n,
            "x": n * 0.1,
            "ts": (n + MICROS).cast(pl.Datetime("us")),
        }
    )
    report = frame.write_questdb(conf, table=table, at="ts")
    assert (report.rows, report.requests > 1) == (count, True)
    assert server.wait_visible(table, count) == count
    query = f"select count(), count_distinct(s), sum(n), min(x), max(x), max(ts) from {table} where x = n * 0.1"
    total = count * (count - 1) // 2
    assert server.sql(query).rows == [(count, 100, total, 0.0, (count - 1) * 0.1, "2023-11-14T22:13:20.199999Z")]
