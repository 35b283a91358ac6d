"""The order rule: requests whose timestamps meet do not overtake each other, and all others fly together.

A proxy before the real server keeps the request with row 0 back until another one has been stored, or until none has
come for a while. So whatever may overtake that request does, and the table shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from servers import FakeQuestDB, Proxy, stored

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Exchange

    from questframe.local import QuestDB

FIRST_ROW = b"n=0i"
ROWS = 40
CONF = "auto_flush_rows=10;connections=2;"
# For what comes in any case, though a busy machine may take its time.
LONG = 30.0


@pytest.fixture
def proxy(port: int) -> Iterator[Proxy]:
    with Proxy(port, lambda body: FIRST_ROW in body) as proxy:
        yield proxy


def numbered(times: list[int], **columns: Any) -> pl.DataFrame:
    """Rows numbered in the frame's order, at these seconds."""
    data = pl.DataFrame({**columns, "n": range(len(times)), "ts": times})
    return data.with_columns(pl.from_epoch("ts"))


def interleaved() -> pl.DataFrame:
    """Each request covers all the time, and every key and instant stands in every one of them."""
    times = [row % 5 for row in range(ROWS)]
    return numbered(times, k=pl.Series([f"k{row % 5}" for row in range(ROWS)], dtype=pl.Categorical))


def deduplicated(server: QuestDB, table: str) -> None:
    server.sql(
        f"create table {table} (k symbol, n long, ts timestamp) timestamp(ts) partition by day wal"
        " dedup upsert keys(ts, k)"
    )


def test_the_last_row_of_a_key_wins_under_dedup(server: QuestDB, proxy: Proxy, table: str) -> None:
    deduplicated(server, table)
    report = qf.write_questdb(interleaved(), proxy.conf + CONF, table=table, at="ts")
    assert (report.rows, report.requests, report.in_flight) == (ROWS, 4, 1)
    assert (proxy.most, proxy.overtaken) == (1, False)
    assert server.wait_visible(table, 5) == 5
    assert server.sql(f"select k, n from {table} order by k").rows == [(f"k{i}", 35 + i) for i in range(5)]


def test_without_the_rule_requests_overtake_each_other(server: QuestDB, proxy: Proxy, table: str) -> None:
    """The proof that the proxy would have shown it."""
    deduplicated(server, table)
    proxy.patience = LONG
    data = interleaved()[:20]
    report = qf.write_questdb(data, proxy.conf + CONF, table=table, at="ts", ordered=False)
    assert (report.rows, report.requests, report.in_flight) == (20, 2, 2)
    assert (proxy.most, proxy.overtaken) == (2, True)
    assert server.wait_visible(table, 5) == 5
    # The first request was stored after the second: its rows have won.
    assert server.sql(f"select k, n from {table} order by k").rows == [(f"k{i}", 5 + i) for i in range(5)]


def test_equal_timestamps_keep_the_frames_order(server: QuestDB, proxy: Proxy, table: str, read: Any) -> None:
    report = qf.write_questdb(numbered([7] * ROWS), proxy.conf + CONF, table=table, at="ts")
    assert (report.requests, report.in_flight, proxy.most) == (4, 1, 1)
    assert [row["n"] for row in read(table, ROWS, "n")] == list(range(ROWS))


def test_equal_timestamps_of_an_unsorted_frame_keep_its_order(proxy: Proxy, table: str, read: Any) -> None:
    times = [row % 3 for row in range(ROWS)]
    qf.write_questdb(numbered(times), proxy.conf + CONF, table=table, at="ts")
    assert proxy.most == 1
    expected = sorted(range(ROWS), key=lambda row: (times[row], row))
    assert [row["n"] for row in read(table, ROWS, "n")] == expected


def test_timestamps_that_touch_at_one_end_keep_their_order(proxy: Proxy, table: str, read: Any) -> None:
    # The first request begins where the second ends: rows 0 and 19 share an instant, and nothing else meets.
    times = [*range(9, 19), *range(10)]
    qf.write_questdb(numbered(times), proxy.conf + CONF, table=table, at="ts")
    assert (proxy.most, proxy.overtaken) == (1, False)
    assert [row["n"] for row in read(table, 20, "n")] == [*range(10, 19), 0, 19, *range(1, 10)]


@pytest.mark.parametrize(
    "at",
    [qf.ServerTimestamp, qf.TimestampMicros(5_000_000), qf.TimestampNanos(5_000_000_000)],
    ids=["server", "micros", "nanos"],
)
def test_rows_without_timestamps_of_their_own_keep_their_order(at: Any, proxy: Proxy, table: str, read: Any) -> None:
    data = pl.DataFrame({"n": range(20)})
    report = qf.write_questdb(data, proxy.conf + CONF, table=table, at=at)
    assert (report.requests, report.in_flight, proxy.most) == (2, 1, 1)
    assert [row["n"] for row in read(table, 20, "n")] == list(range(20))


def test_a_null_among_the_timestamps_orders_its_request(proxy: Proxy, table: str) -> None:
    data = numbered(list(range(20))).with_columns(ts=pl.when(pl.col("n") == 4).then(None).otherwise("ts"))
    report = qf.write_questdb(data, proxy.conf + CONF, table=table, at="ts", null_at="server")
    assert (report.rows, report.requests, report.in_flight, proxy.most) == (20, 2, 1, 1)


@pytest.mark.parametrize("name", ["ascending", "descending"])
def test_a_sorted_frame_has_two_requests_in_flight(name: str, proxy: Proxy, table: str, read: Any) -> None:
    times = list(range(ROWS)) if name == "ascending" else list(range(ROWS))[::-1]
    proxy.patience = LONG
    report = qf.write_questdb(numbered(times), proxy.conf + CONF, table=table, at="ts")
    assert (report.rows, report.requests, report.in_flight) == (ROWS, 4, 2)
    assert (proxy.most, proxy.overtaken) == (2, True)
    expected = list(range(ROWS)) if name == "ascending" else list(range(ROWS))[::-1]
    assert [row["n"] for row in read(table, ROWS, "n")] == expected


def test_one_connection_sends_one_request_at_a_time(proxy: Proxy, table: str) -> None:
    conf = proxy.conf + "auto_flush_rows=10;connections=1;"
    report = qf.write_questdb(numbered(list(range(ROWS))), conf, table=table, at="ts")
    assert (report.requests, report.in_flight, proxy.most) == (4, 1, 1)


def test_the_option_goes_before_the_configuration_string(proxy: Proxy, table: str) -> None:
    conf = proxy.conf + CONF
    report = qf.write_questdb(numbered(list(range(ROWS))), conf, table=table, at="ts", connections=1)
    assert (report.in_flight, proxy.most) == (1, 1)


def waits_for_another(fake: FakeQuestDB) -> Callable[[Exchange], None]:
    """Stores a request once a second one is there."""

    def reply(exchange: Exchange) -> None:
        fake.wait_for(lambda: len(fake.of("/write")) > 1, LONG)
        stored(exchange)

    return reply


# Requests end where `at` changes, if that is within a tenth of their size: runs of equal instants cost a sorted frame
# nothing. 7 divides none of the sizes.
@pytest.mark.parametrize("conf", ["auto_flush_rows=5000;", "auto_flush_rows=1000;", "auto_flush_bytes=20000;"])
def test_a_sorted_frame_with_runs_of_equal_instants_loses_nothing(conf: str, fake: FakeQuestDB) -> None:
    fake.script = [waits_for_another(fake)]
    data = numbered([row // 7 for row in range(20_000)])
    report = qf.write_questdb(data, fake.conf + conf, table="t", at="ts")
    assert report.in_flight == 2
    ends = [(body.split()[2], body.split()[-1]) for body in fake.writes]
    assert len({instant for pair in ends for instant in pair}) == 2 * len(ends), "an instant is in two requests"


def test_requests_are_cut_by_rows_and_bytes(fake: FakeQuestDB) -> None:
    data = numbered(list(range(10_000)))
    bytes_ = len(qf.to_ilp(data, table="t"))
    report = qf.write_questdb(data, f"{fake.conf}auto_flush_rows=999;", table="t")
    assert sorted(body.count(b"\n") for body in fake.writes) == [10] + [999] * 10
    assert (report.requests, report.rows, report.bytes) == (11, 10_000, bytes_)
    assert b"".join(sorted(fake.writes, key=lambda body: int(body.split(b"=")[1].split(b"i")[0]))) == qf.to_ilp(
        data, table="t"
    )
    fake.requests.clear()
    report = qf.write_questdb(data, f"{fake.conf}auto_flush_bytes=50000;", table="t")
    assert report.requests == len(fake.writes)
    assert bytes_ // 50_000 < len(fake.writes) <= bytes_ // 20_000
    assert max(map(len, fake.writes)) <= 50_000
    assert sum(body.count(b"\n") for body in fake.writes) == 10_000
