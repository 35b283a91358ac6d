"""Rows that the server refuses are set aside; atomic writes; rows that are waited for."""

from __future__ import annotations

import datetime as dt
import re
import time
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pytest
from numbered import failure, frame, rows, stream
from servers import SETTINGS, FakeQuestDB, after, answer_json, refused, reset, silent, stored

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Exchange

    from questframe.local import QuestDB


def picky(bad: set[int]) -> Callable[[Exchange], None]:
    def reply(exchange: Exchange) -> None:
        for number, line in enumerate(exchange.request.body.decode().splitlines(), 1):
            if int(line.split("n=")[1].split("i")[0]) in bad:
                refused(number, "table: t, column: n; cast error from protocol type: X to column type: Y")(exchange)
                return
        stored(exchange)

    return reply


@pytest.mark.parametrize("one_shot", [False, True], ids=["frame", "stream"])
@pytest.mark.parametrize("bad", [set(), {5}, {0, 1, 2}, {997, 998, 999}, {3, 500, 501, 900}], ids=str)
def test_refused_rows_are_set_aside(bad: set[int], one_shot: bool, fake: FakeQuestDB) -> None:
    data = frame(1_000).with_columns(note=pl.col("n").cast(pl.String)).select("note", "n", "ts")
    data = data.with_columns(note=pl.lit('a\n"b" c')).select("n", "note", "ts").drop("note")
    fake.script = [picky(bad)] * 1_000
    report = qf.write_questdb(
        stream(data, 64) if one_shot else data, fake.conf, table="t", on_error="quarantine", max_rejected=10
    )
    assert report.rows == 1_000 - len(bad)
    assert report.requests <= 2 * len(bad) + 2
    requests = fake.of("/write")
    assert sum(request.size for request in requests) <= 3 * len(qf.to_ilp(data, table="t"))
    # What has not been sent in vain goes as it is.
    compressed = [request for request in requests if "content-encoding" in request.headers]
    assert requests[0] not in compressed
    assert bool(compressed) == bool(bad)
    if not bad:
        assert report.rejected is None
        return
    rejected = report.rejected
    assert rejected is not None
    assert (len(rejected), rejected.rows) == (len(bad), sorted(bad))
    assert all("cast error from protocol type: X" in reason for reason in rejected.reasons)
    assert "Rejected(" in repr(rejected)
    back = pl.DataFrame(rejected)
    assert back.columns == ["n", "ts", "rejected_row", "rejected_reason"]
    assert back["n"].to_list() == sorted(bad)
    assert pa.table(rejected).num_rows == len(bad)


def test_older_servers_are_sent_nothing_compressed(fake: FakeQuestDB) -> None:
    config = {**SETTINGS["config"], "release.version": "9.0.3"}
    fake.settings = answer_json(200, {"config": config})
    fake.script = [picky({3, 500})] * 1_000
    report = qf.write_questdb(frame(1_000), fake.conf, table="t", on_error="quarantine")
    assert (report.rows, len(report.rejected or ())) == (998, 2)
    assert not any("content-encoding" in request.headers for request in fake.of("/write"))


def test_a_mistake_in_a_whole_column_ends_soon(fake: FakeQuestDB) -> None:
    fake.script = [picky(set(range(100_000)))] * 1_000
    data = frame(100_000)
    error = failure(qf.write_questdb, data, fake.conf, table="t", on_error="quarantine")
    assert re.search(r"refused 1[12] of the 1[12] rows it has looked at, more than may be set aside", str(error))
    assert (error.row, error.column, error.acked, error.unsent) == (0, "n", (), (range(100_000),))
    # Eleven, and what the other connection had sent by then.
    assert len(fake.writes) <= 13
    # Each request once as a whole, at most, and then next to nothing.
    assert sum(map(len, fake.writes)) < 1.1 * len(qf.to_ilp(data, table="t"))


def test_other_failures_end_a_quarantine(fake: FakeQuestDB) -> None:
    fake.script = [picky({5}), reset]
    error = failure(qf.write_questdb, frame(100), fake.conf, table="t", on_error="quarantine")
    assert error.in_doubt
    assert set(rows(error.acked)) | set(rows(error.doubtful)) | set(rows(error.unsent)) == set(range(100))
    assert 5 in rows(error.unsent)


def test_the_row_of_a_failure_is_that_of_the_frame(fake: FakeQuestDB) -> None:
    """The server counts lines within the piece that it was sent."""

    def fails(exchange: Exchange) -> None:
        lines = exchange.request.body.decode().splitlines()
        numbers = [int(line.split("n=")[1].split("i")[0]) for line in lines]
        if 5 in numbers:
            refused(numbers.index(5) + 1, "table: t, column: n; cast error from X")(exchange)
        elif 70 in numbers:
            line = numbers.index(70) + 1
            answer_json(500, {"code": "internal error", "message": "table: t, column: n; no", "line": line})(exchange)
        else:
            stored(exchange)

    fake.script = [fails] * 100
    conf = f"{fake.conf}retry_timeout=0;"
    error = failure(qf.write_questdb, frame(100), conf, table="t", on_error="quarantine")
    assert (error.column, error.row) == ("n", 70)
    assert len(fake.writes) > 1


def test_quarantine_against_a_real_server(server: QuestDB, table: str) -> None:
    """Strings into a UUID column, unchecked, so that the server has to say which are none; v3 has binary floats."""
    server.sql(f"create table {table} (n long, u uuid, x double, ts timestamp) timestamp(ts) partition by day wal")
    good = "11111111-2222-3333-4444-555555555555"
    bad = {0, 17, 18, 400, 999}
    data = frame(1_000).with_columns(
        u=pl.Series(['\n \\ "' if row in bad else good for row in range(1_000)]),
        x=pl.Series([float(row) if row % 7 else None for row in range(1_000)]),
    )
    report = qf.write_questdb(
        data, server.conf, table=table, at="ts", check=False, on_error="quarantine", max_rejected=20, wait_visible=30
    )
    assert report.rows == 995
    assert report.rejected is not None
    assert set(report.rejected.rows) == bad
    assert "cast error from protocol type: STRING to column type: UUID" in report.rejected.reasons[0]
    found = server.sql(f"select n from {table}").column("n")
    assert sorted(found) == sorted(set(range(1_000)) - bad)
    assert pl.DataFrame(report.rejected)["x"].to_list() == [data["x"][row] for row in sorted(bad)]


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical], ids=str)
def test_a_symbol_with_a_nul_is_told_with_its_cure(kind: type[pl.DataType], server: QuestDB, table: str) -> None:
    data = frame(5).with_columns(s=pl.Series(["a", "b", "c\0d\x1b", "", "e"], dtype=kind))
    error = failure(qf.write_questdb, data, server.conf, table=table, symbols=["s"])
    assert (error.table, error.column, error.row, error.acked) == (table, "s", 2, ())
    assert "(value c\\u{0}d\\u{1b})" in str(error)
    assert "a SYMBOL takes no NUL character: remove it, or write the column as a string (`symbols`)" in str(error)
    report = qf.write_questdb(data, server.conf, table=table, symbols=["s"], on_error="quarantine", max_rejected=1)
    assert (report.rows, report.rejected and report.rejected.rows) == (4, [2])
    # The cure, into a column of another type.
    mended = data.rename({"s": "text"})
    assert qf.write_questdb(mended, server.conf, table=table, symbols=False, wait_visible=30).rows == 5
    assert "c\0d\x1b" in server.sql(f"select text from {table}").column("text")


# --- atomic ---------------------------------------------------------------------------------------------------------


def test_atomic_is_one_request(fake: FakeQuestDB) -> None:
    data = frame(100_000)
    conf = f"{fake.conf}auto_flush_rows=10;pool_bytes=1048576;"
    assert qf.write_questdb(data, conf, table="t").requests == 10_000
    report = qf.write_questdb(data, conf, table="t", atomic=True)
    assert (report.rows, report.requests) == (100_000, 1)
    assert fake.writes[-1] == qf.to_ilp(data, table="t")
    assert qf.write_questdb(stream(data, 1_000), conf, table="t", atomic=True).requests == 1


def test_atomic_is_refused_whole(fake: FakeQuestDB) -> None:
    for data in (frame(100_000), stream(frame(100_000), 1_000)):
        error = failure(qf.write_questdb, data, f"{fake.conf}max_buf_size=1000000;", table="t", atomic=True)
        assert "one request holds max_buf_size=1000000; nothing was sent" in str(error)
        assert (error.acked, error.doubtful) == ((), ())
        assert fake.writes == []


def test_a_bad_batch_of_an_atomic_stream_sends_nothing(fake: FakeQuestDB) -> None:
    data = frame(50).with_columns(ts=pl.when(pl.col("n") == 33).then(None).otherwise(pl.col("ts")))
    error = failure(qf.write_questdb, stream(data), fake.conf, table="t", at="ts", atomic=True)
    assert (error.row, fake.writes) == (33, [])


# --- visible --------------------------------------------------------------------------------------------------------


def test_visible_rows_can_be_selected(server: QuestDB, table: str) -> None:
    with qf.connect(server.conf) as client:
        for count in range(1, 6):
            client.write(frame(1_000, 1_000 * count), table=table, wait_visible=30)
            assert server.sql(f"select count() from {table}").scalar() == 1_000 * count


def test_a_suspended_table_is_told(server: QuestDB, table: str) -> None:
    qf.write_questdb(frame(), server.conf, table=table, wait_visible=30)
    server.sql(f"alter table {table} suspend wal with 24, 'disk is broken'")
    error = failure(qf.write_questdb, frame(), server.conf, table=table, wait_visible=30)
    assert error.acked == (range(30),)
    assert "is suspended" in str(error)
    assert "disk is broken" in str(error)
    assert "RESUME WAL" in str(error)
    server.sql(f"alter table {table} resume wal")
    server.wait_visible(table)
    assert server.sql(f"select count() from {table}").scalar() == 60


def test_visibility_has_a_limit(fake: FakeQuestDB) -> None:
    names = [
        {"name": name, "type": "LONG"} for name in ("id", "column", "type", "designated", "writerTxn", "sequencerTxn")
    ]
    row = [1, "ts", "TIMESTAMP", True, 4, 7]
    fake.exec = answer_json(200, {"query": "", "columns": names, "dataset": [row]})
    began = time.monotonic()
    error = failure(qf.write_questdb, frame(), fake.conf, table="t", wait_visible=0.3)
    assert 0.3 <= time.monotonic() - began < 10
    assert "transaction 4 of 7 is applied" in str(error)
    assert error.acked == (range(30),)


def test_a_server_that_does_not_tell_is_not_waited_for_any_longer(fake: FakeQuestDB) -> None:
    known = fake.exec

    def exec_of(exchange: Exchange) -> None:
        (silent if "wal_tables" in exchange.request.query else known)(exchange)

    fake.exec = exec_of
    began = time.monotonic()
    error = failure(qf.write_questdb, frame(), fake.conf, table="t", wait_visible=0.3)
    assert time.monotonic() - began < 5
    assert "did not tell within 300ms" in str(error)
    assert error.acked == (range(30),)


def test_all_or_none_and_all_but_some_are_not_asked_for_together(fake: FakeQuestDB) -> None:
    error = failure(qf.write_questdb, frame(), fake.conf, table="t", atomic=True, on_error="quarantine")
    assert "leave out one of them" in str(error)
    assert (error.code, error.unsent) == (qf.IngressErrorCode.InvalidApiCall, (range(30),))
    assert fake.writes == []


def test_options_of_time_and_number_are_judged() -> None:
    for options, words in (
        ({"deadline": 0}, "deadline must be a positive number of seconds or a timedelta, not 0"),
        ({"deadline": "5"}, "not '5'"),
        ({"wait_visible": True}, "not True"),
        ({"wait_visible": dt.timedelta(seconds=-1)}, "wait_visible must be a positive"),
        ({"deadline": float("nan")}, "not nan"),
        ({"max_rejected": -1}, "max_rejected must be an int of at least 0"),
        ({"on_error": "skip"}, "on_error must be 'raise' or 'quarantine', not 'skip'"),
        ({"atomic": 1}, "atomic must be True or False"),
    ):
        with pytest.raises(TypeError) as caught:
            qf.write_questdb(frame(), "http::addr=h;", table="t", **options)
        assert words in str(caught.value)


def test_a_slow_server_is_not_given_up_by_the_deadline_of_another_call(fake: FakeQuestDB) -> None:
    fake.script = [after(0.4)]
    with qf.connect(fake.conf) as client:
        assert client.write(frame(), table="t", deadline=5).rows == 30
