"""Retries, failover, resuming, quarantine, limits: what a write does about failures, and what it says of its rows."""

from __future__ import annotations

import datetime as dt
import re
import socket
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest
from servers import HOST, SETTINGS, FakeQuestDB, after, answer, answer_json, raw, refused, reset, silent, stored

import questframe as qf
from questframe import IngressErrorCode as Code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Exchange

    from questframe.local import QuestDB

QUICK = "request_timeout=300;request_min_throughput=0;"


def frame(rows: int = 30, start: int = 0) -> pl.DataFrame:
    numbers = range(start, start + rows)
    return pl.DataFrame({"n": numbers, "ts": pl.Series(numbers, dtype=pl.Datetime("us"))})


def stream(data: pl.DataFrame, rows: int = 10) -> pa.RecordBatchReader:
    table = data.to_arrow()
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=rows))


def failure(call: Callable[..., Any], *args: Any, **options: Any) -> qf.IngressError:
    with pytest.raises(qf.IngressError) as caught:
        call(*args, **options)
    return caught.value


def lines(fake: FakeQuestDB, start: int = 0) -> list[int]:
    """The rows posted from request `start` on, in order."""
    text = b"".join(fake.writes[start:]).decode()
    return [int(line.split("n=")[1].split("i")[0]) for line in text.splitlines()]


def rows(ranges: tuple[range, ...]) -> list[int]:
    return [row for each in ranges for row in each]


def with_dedup(fake: FakeQuestDB, dedup: bool = True) -> FakeQuestDB:
    """A table that is there: the answer to every question about it."""
    names = [{"name": name, "type": "STRING"} for name in ("id", "dedup", "column", "type", "designated")]
    row = [1, dedup, "ts", "TIMESTAMP", True]
    fake.exec = answer_json(200, {"query": "", "columns": names, "dataset": [row]})
    return fake


@pytest.fixture
def keyed(fake: FakeQuestDB) -> FakeQuestDB:
    return with_dedup(fake)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The warning about requests that were sent twice has a test of its own."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*sent again though they may have been stored")
        yield


# --- retries --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 429, 503, 507, 509, 529])
def test_clean_failures_are_retried_with_the_same_bytes(status: int, fake: FakeQuestDB) -> None:
    fake.script = [stored, answer(status, b"later"), answer(status, b"later")]
    with qf.connect(f"{fake.conf}auto_flush_rows=10;connections=1;") as client:
        report = client.write(frame(), table="t")
    assert (report.rows, report.requests, report.retries, report.retries_in_doubt) == (30, 3, 2, 0)
    assert fake.writes[1] == fake.writes[2] == fake.writes[3]
    assert b"".join([fake.writes[0], *fake.writes[3:]]) == qf.to_ilp(frame(), table="t")


AMBIGUOUS = {
    "500": answer(500, b"oops"),
    "502": answer(502, b"bad gateway"),
    "504": answer(504, b"<html>", content_type="text/html"),
    "523": answer(523),
    "reset": reset,
    "closed": raw(b""),
    "cut_answer": raw(b"HTTP/1.1 204 No"),
    "silent": silent,
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_ambiguous_failures_are_retried_if_keys_make_it_harmless(name: str, keyed: FakeQuestDB) -> None:
    keyed.script = [AMBIGUOUS[name]]
    with qf.connect(f"{keyed.conf}{QUICK}") as client:
        report = client.write(frame(), table="t")
    assert (report.rows, report.retries, report.retries_in_doubt) == (30, 1, 1)
    assert keyed.writes[0] == keyed.writes[1]


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_ambiguous_failures_are_not_retried_otherwise(name: str, fake: FakeQuestDB) -> None:
    fake.script = [AMBIGUOUS[name]]
    with qf.connect(f"{fake.conf}{QUICK}") as client:
        error = failure(client.write, frame(), table="t")
        assert (error.doubtful, error.unsent, len(fake.writes)) == ((range(30),), (), 1)
        fake.script = [AMBIGUOUS[name]]
        report = client.write(frame(), table="t", retry_in_doubt=True)
        assert (report.rows, report.retries_in_doubt) == (30, 1)


def test_keys_do_not_help_rows_that_the_server_stamps(keyed: FakeQuestDB) -> None:
    for options in ({"at": qf.ServerTimestamp}, {"at": "ts", "null_at": "server"}):
        keyed.script = [reset]
        error = failure(qf.write_questdb, frame(), keyed.conf, table="t", **options)
        assert error.in_doubt
    keyed.script = [reset]
    at = dt.datetime(2025, 1, 1, tzinfo=dt.timezone.utc)
    assert qf.write_questdb(frame().drop("ts"), keyed.conf, table="t", at=at).retries_in_doubt == 1


def test_a_refusal_is_not_retried(keyed: FakeQuestDB) -> None:
    for reply in (refused(1, "table: t; bad"), answer(401), answer(403), answer(404), answer(413), answer(302)):
        keyed.script = [reply]
        failure(qf.write_questdb, frame(), keyed.conf, table="t")
        assert len(keyed.script) == 0
    assert len(keyed.writes) == 6


def test_a_refused_second_try_says_nothing_of_the_first(keyed: FakeQuestDB) -> None:
    keyed.script = [reset, refused(1, "table: t; bad")]
    error = failure(qf.write_questdb, frame(), keyed.conf, table="t")
    assert (error.doubtful, error.unsent) == ((range(30),), ())


def test_bad_data_that_gets_500_is_not_hammered(keyed: FakeQuestDB) -> None:
    known = "write error: t, errno: -1, error: designated timestamp beyond 9999-12-31 is not allowed"
    keyed.script = [refused(3, known, status=500, code="internal error")] * 100
    error = failure(qf.write_questdb, frame(), keyed.conf, table="t")
    assert (len(keyed.writes), error.row, error.unsent) == (1, 2, (range(30),))
    # Words nobody has heard before, about the same line each time.
    keyed.script = [refused(3, "table: t, column: n; strange", status=500, code="internal error")] * 100
    error = failure(qf.write_questdb, frame(), keyed.conf, table="t")
    assert (len(keyed.writes), error.row, error.column) == (4, 2, "n")
    assert "(tried 3 times in " in str(error)


def test_retries_end_with_their_budget(fake: FakeQuestDB) -> None:
    fake.script = [answer(503, b"busy")] * 1000
    with qf.connect(f"{fake.conf}retry_timeout=500;retry_max_backoff_millis=50;") as client:
        began = time.monotonic()
        error = failure(client.write, frame(), table="t")
        assert time.monotonic() - began < 2
    tries = len(fake.writes)
    assert 5 <= tries <= 40
    assert f"(tried {tries} times in 0." in str(error)
    assert (error.unsent, error.in_doubt) == ((range(30),), False)


def test_no_budget_no_retry(fake: FakeQuestDB) -> None:
    fake.script = [answer(503, b"busy")]
    error = failure(qf.write_questdb, frame(), f"{fake.conf}retry_timeout=0;", table="t")
    assert (len(fake.writes), error.unsent) == (1, (range(30),))


def test_the_look_up_is_retried_too(fake: FakeQuestDB) -> None:
    tries: dict[str, int] = {}

    def busy_first(path: str, then: Callable[[Exchange], None]) -> Callable[[Exchange], None]:
        def reply(exchange: Exchange) -> None:
            tries[path] = tries.get(path, 0) + 1
            (answer(503, b"busy") if tries[path] < 4 else then)(exchange)

        return reply

    fake.settings = busy_first("/settings", fake.settings)
    fake.exec = busy_first("/exec", fake.exec)
    assert qf.write_questdb(frame(), fake.conf, table="t").rows == 30
    assert tries["/settings"] == 4
    assert tries["/exec"] >= 5


def test_a_server_that_comes_back_is_waited_for(fake: FakeQuestDB) -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]

    def start() -> None:
        time.sleep(0.7)
        started.append(FakeQuestDB(port=port))

    started: list[FakeQuestDB] = []
    thread = threading.Thread(target=start)
    thread.start()
    try:
        conf = f"http::addr={HOST}:{port};retry_timeout=10000;"
        assert qf.write_questdb(frame(), conf, table="t").rows == 30
    finally:
        thread.join()
        started[0].close()


def test_an_address_where_nobody_ever_answered_is_told_after_a_second() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    began = time.monotonic()
    error = failure(qf.write_questdb, frame(), f"http::addr={HOST}:{port};", table="t")
    assert time.monotonic() - began < 2
    assert "no connection to" in str(error)
    assert "tried" in str(error)
    assert error.unsent == (range(30),)


def test_the_warning_about_requests_in_doubt_comes_once(keyed: FakeQuestDB, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("questframe._api._warned", False)
    keyed.script = [reset]
    with pytest.warns(UserWarning, match="1 requests into 't' were sent again though they may have been") as warned:
        qf.write_questdb(frame(), keyed.conf, table="t")
    assert warned[0].filename == __file__
    keyed.script = [reset]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert qf.write_questdb(frame(), keyed.conf, table="t").retries_in_doubt == 1


# --- deadline -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deadline", [0.4, dt.timedelta(milliseconds=400)])
def test_the_deadline_ends_a_call_that_retries(deadline: Any, fake: FakeQuestDB) -> None:
    fake.script = [stored, *[answer(503, b"busy")] * 1000]
    with qf.connect(f"{fake.conf}auto_flush_rows=10;connections=1;") as client:
        began = time.monotonic()
        error = failure(client.write, frame(), table="t", deadline=deadline)
        assert 0.2 <= time.monotonic() - began < 1.5
    assert (error.acked, error.doubtful, error.unsent) == ((range(10),), (), (range(10, 30),))


@pytest.mark.parametrize("path", ["settings", "exec", "write"])
def test_the_deadline_ends_a_call_that_is_stuck(path: str, fake: FakeQuestDB) -> None:
    if path == "write":
        fake.script = [silent]
    else:
        setattr(fake, path, silent)
    with qf.connect(fake.conf) as client:
        began = time.monotonic()
        error = failure(client.write, frame(), table="t", deadline=0.3)
        assert time.monotonic() - began < 1.5
        assert error.code is Code.SocketError
        assert error.in_doubt == (path == "write")
        assert sorted(rows(error.doubtful) + rows(error.unsent)) == list(range(30))


# --- failover -------------------------------------------------------------------------------------------------------


@pytest.fixture
def second() -> Iterator[FakeQuestDB]:
    with FakeQuestDB() as second:
        yield second


def both(*servers: FakeQuestDB) -> str:
    return "http::addr=" + ",".join(f"{HOST}:{server.port}" for server in servers) + ";"


def test_the_next_host_is_taken_when_one_is_not_there(second: FakeQuestDB) -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    with qf.connect(f"http::addr={HOST}:{port},{HOST}:{second.port};") as client:
        assert f"{HOST}:{port},{HOST}:{second.port}" in repr(client)
        assert client.write(frame(), table="t").rows == 30
        assert client.ping() > 0
        assert client.server_info().release == "9.3.4"
        # It stays with the one that works.
        began = time.monotonic()
        client.write(frame(), table="t")
        assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("reply", [answer(503, b"busy"), answer(421, b"replica")], ids=["503", "421"])
@pytest.mark.parametrize("one_shot", [False, True], ids=["frame", "stream"])
def test_the_rest_goes_to_the_next_host(reply: Any, one_shot: bool, fake: FakeQuestDB, second: FakeQuestDB) -> None:
    fake.script = [stored, reply]
    with qf.connect(f"{both(fake, second)}auto_flush_rows=10;connections=1;") as client:
        report = client.write(stream(frame()) if one_shot else frame(), table="t")
        assert (report.rows, report.retries) == (30, 0)
        assert lines(fake) == [*range(10), *range(10, 20)]
        assert lines(second) == list(range(10, 30))
        assert len(report.notes) == 1
        assert f"{HOST}:{fake.port} did not take all rows" in report.notes[0]
        # The settings of the next host were read first.
        assert [request.path for request in second.requests][0] == "/settings"
        client.write(frame(5), table="t")
        assert len(fake.writes) == 2, "sticky"


@pytest.mark.parametrize("one_shot", [False, True], ids=["frame", "stream"])
def test_rows_are_encoded_again_for_a_host_of_an_older_version(
    one_shot: bool, fake: FakeQuestDB, second: FakeQuestDB
) -> None:
    second.settings = answer_json(200, {"config": {**SETTINGS["config"], "line.proto.support.versions": [1]}})
    data = frame().with_columns(x=pl.col("n") / 8).select("n", "x", "ts")
    fake.script = [stored, answer(503, b"busy")]
    with qf.connect(f"{both(fake, second)}auto_flush_rows=10;connections=1;") as client:
        report = client.write(stream(data, 7) if one_shot else data, table="t")
    assert report.rows == 30
    assert report.protocol_version == 1
    assert fake.writes[0] == qf.to_ilp(data[:10], table="t")
    assert b"".join(second.writes) == qf.to_ilp(data[10:], table="t", protocol_version=1)
    counted = {column.name: column.nulls for column in report.columns}
    assert counted == {"n": 0, "x": 0, "ts": 0}


def test_an_ambiguous_request_goes_to_no_other_host_without_keys(fake: FakeQuestDB, second: FakeQuestDB) -> None:
    fake.script = [stored, reset]
    for options in ({}, {"retry_in_doubt": True}):
        fake.script = [stored, reset]
        with qf.connect(f"{both(fake, second)}auto_flush_rows=10;connections=1;") as client:
            error = failure(client.write, frame(), table="t", **options)
        assert (error.acked, error.doubtful, error.unsent) == ((range(10),), (range(10, 20),), (range(20, 30),))
        assert second.writes == []


def test_with_keys_it_does(fake: FakeQuestDB, second: FakeQuestDB) -> None:
    with_dedup(fake)
    with_dedup(second)
    fake.script = [stored, reset]
    with qf.connect(f"{both(fake, second)}auto_flush_rows=10;connections=1;") as client:
        assert client.write(frame(), table="t").rows == 30
    assert lines(second) == list(range(10, 30))
    # But not where the other host's table has none.
    with_dedup(second, False)
    fake.script = [reset]
    with qf.connect(f"{both(fake, second)}") as client:
        error = failure(client.write, frame(), table="t")
    assert error.doubtful == (range(30),)
    assert len(second.writes) == 2


def test_all_hosts_are_tried_again_and_again(fake: FakeQuestDB, second: FakeQuestDB) -> None:
    fake.script = [answer(503, b"busy")] * 3
    second.script = [answer(503, b"busy")] * 3
    with qf.connect(both(fake, second)) as client:
        assert client.write(frame(), table="t").rows == 30
    assert len(fake.writes) + len(second.writes) == 7
    fake.script = second.script = [answer(503, b"busy")] * 1000
    with qf.connect(f"{both(fake, second)}retry_timeout=300;") as client:
        error = failure(client.write, frame(), table="t")
    assert (error.unsent, "tried" in str(error)) == ((range(30),), True)


def test_credentials_of_one_host_do_not_follow_a_redirect(fake: FakeQuestDB, second: FakeQuestDB) -> None:
    target = f"http://{HOST}:{second.port}/write"
    fake.script = [answer(307, b"", location=target), answer(302, b"", location=target)]
    with qf.connect(f"{fake.conf}username=alice;password=secret;") as client:
        for _ in range(2):
            error = failure(client.write, frame(), table="t")
            assert "redirect" in str(error)
            assert "secret" not in str(error)
    assert second.requests == []


# --- resuming -------------------------------------------------------------------------------------------------------


def gap(fake: FakeQuestDB) -> qf.IngressError:
    """The second of three requests is refused while the third is acknowledged."""
    seen = threading.Event()

    def by_row(exchange: Exchange) -> None:
        if b"n=10i" in exchange.request.body:
            assert seen.wait(10)
            answer(403, b"no grant")(exchange)
            return
        stored(exchange)
        if b"n=20i" in exchange.request.body:
            seen.set()

    fake.script = [by_row] * 3
    with qf.connect(f"{fake.conf}auto_flush_rows=10;connections=2;") as client:
        error = failure(client.write, frame(), table="t")
    assert (error.acked, error.doubtful, error.unsent) == ((range(10), range(20, 30)), (), (range(10, 20),))
    return error


def test_a_failed_write_is_gone_on_with(fake: FakeQuestDB) -> None:
    error = gap(fake)
    report = qf.write_questdb(frame(), fake.conf, table="t", resume=error)
    assert (report.rows, report.requests) == (10, 1)
    assert lines(fake, 3) == list(range(10, 20))


def test_it_may_fail_again_and_the_rows_keep_their_numbers(fake: FakeQuestDB) -> None:
    error = gap(fake)
    fake.script = [reset]
    again = failure(qf.write_questdb, frame(), fake.conf, table="t", resume=error)
    assert (again.acked, again.doubtful, again.unsent) == ((range(10), range(20, 30)), (range(10, 20),), ())
    # Rows in doubt are sent again unless they are to be left.
    assert qf.write_questdb(frame(), fake.conf, table="t", resume=again, doubtful=False).rows == 0
    assert qf.write_questdb(frame(), fake.conf, table="t", resume=again).rows == 10
    fake.script = [refused(4, "table: t, column: n; bad")]
    third = failure(qf.write_questdb, frame(), fake.conf, table="t", resume=again)
    assert (third.row, third.column, third.value) == (13, "n", "13i")
    assert 'column "n", row 13 (value 13i)' in str(third)
    fake.script = [answer(403)]
    left = failure(qf.write_questdb, frame(40), fake.conf, table="t", resume=again, doubtful=False)
    assert (left.doubtful, left.unsent) == ((range(10, 20),), (range(30, 40),))


def test_resume_must_fit(fake: FakeQuestDB) -> None:
    error = gap(fake)
    for data, options, words in (
        (frame(20), {"table": "t"}, "saw 30 rows and this frame has 20"),
        (frame(), {"table": "u"}, 'into table "t", and this is one into "u"'),
    ):
        found = failure(qf.write_questdb, data, fake.conf, resume=error, **options)
        assert found.code is Code.InvalidApiCall
        assert words in str(found)
    assert qf.write_questdb(frame(), fake.conf, table="T", resume=error).rows == 10
    with pytest.raises(TypeError, match="resume must be the exception of a failed write, not str"):
        qf.write_questdb(frame(), fake.conf, table="t", resume="error")  # type: ignore[arg-type]


def test_an_error_before_the_first_row_resumes_with_all(fake: FakeQuestDB) -> None:
    fake.settings = answer(404, b"x")
    fake.ping = answer(404)
    error = failure(qf.write_questdb, frame(), f"{fake.conf}retry_timeout=0;", table="t")
    assert error.unsent == (range(30),)
    fake.settings = answer_json(200, SETTINGS)
    assert qf.write_questdb(frame(), fake.conf, table="t", resume=error).rows == 30


@pytest.mark.parametrize("same", [True, False], ids=["the_same_object", "opened_again"])
def test_a_stream_is_gone_on_with(same: bool, fake: FakeQuestDB) -> None:
    fake.script = [stored, answer(403, b"no grant")]
    conf = f"{fake.conf}auto_flush_rows=10;connections=1;"
    reader = stream(frame(50), 7)
    error = failure(qf.write_questdb, reader, conf, table="t")
    assert error.acked == (range(10),)
    assert error.unsent[0].start == 10
    report = qf.write_questdb(reader if same else stream(frame(50), 7), conf, table="t", resume=error)
    assert report.rows == 40
    assert lines(fake, 2) == list(range(10, 50))


def test_a_stream_that_was_read_in_part_is_not_mistaken_for_a_new_one(fake: FakeQuestDB) -> None:
    fake.script = [answer(403, b"no grant")]
    reader = stream(frame(50), 7)
    error = failure(qf.write_questdb, reader, fake.conf, table="t")
    assert error.unsent[-1].stop <= 50
    fake.script = [answer(403, b"no grant")]
    again = failure(qf.write_questdb, reader, fake.conf, table="t", resume=error)
    assert qf.write_questdb(reader, fake.conf, table="t", resume=again).rows == 50
    assert lines(fake, 2) == list(range(50))


# --- quarantine -----------------------------------------------------------------------------------------------------


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
    assert sum(map(len, fake.writes)) <= 3 * len(qf.to_ilp(data, table="t"))
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


def test_a_mistake_in_a_whole_column_ends_soon(fake: FakeQuestDB) -> None:
    fake.script = [picky(set(range(100_000)))] * 1_000
    data = frame(100_000)
    error = failure(qf.write_questdb, data, fake.conf, table="t", on_error="quarantine")
    assert re.search(r"refused 1[12] of the 1[12] rows it has looked at, more than may be set aside", str(error))
    assert (error.row, error.column, error.acked, error.unsent) == (0, "n", (), (range(100_000),))
    # Eleven, and what the other connection had sent by then.
    assert len(fake.writes) <= 13
    assert sum(map(len, fake.writes)) < len(qf.to_ilp(data, table="t"))


def test_other_failures_end_a_quarantine(fake: FakeQuestDB) -> None:
    fake.script = [picky({5}), reset]
    error = failure(qf.write_questdb, frame(100), fake.conf, table="t", on_error="quarantine")
    assert error.in_doubt
    assert set(rows(error.acked)) | set(rows(error.doubtful)) | set(rows(error.unsent)) == set(range(100))
    assert 5 in rows(error.unsent)


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
    assert 0.3 <= time.monotonic() - began < 2
    assert "transaction 4 of 7 is applied" in str(error)
    assert error.acked == (range(30),)


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
