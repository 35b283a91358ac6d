"""Retries, deadlines, failover: what a write does about failures that may pass, and what it says of its rows."""

from __future__ import annotations

import datetime as dt
import socket
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest
from numbered import failure, frame, lines, rows, stream
from servers import HOST, SETTINGS, FakeQuestDB, answer, answer_json, raw, refused, reset, silent, stored

import questframe as qf
from questframe import IngressErrorCode as Code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers import Exchange


#: For a server that falls silent. What is answered may take its time on a busy machine.
QUICK = "request_timeout=1500;request_min_throughput=0;"


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
    with qf.connect(f"{keyed.conf}{QUICK if name == 'silent' else ''}") as client:
        report = client.write(frame(), table="t")
    assert (report.rows, report.retries, report.retries_in_doubt) == (30, 1, 1)
    assert keyed.writes[0] == keyed.writes[1]


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_ambiguous_failures_are_not_retried_otherwise(name: str, fake: FakeQuestDB) -> None:
    fake.script = [AMBIGUOUS[name]]
    with qf.connect(f"{fake.conf}{QUICK if name == 'silent' else ''}") as client:
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
        assert time.monotonic() - began < 5
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
    # Not by `write_questdb`: a server before this one may have had the same port, and its client knows the settings.
    with qf.connect(fake.conf) as client:
        assert client.write(frame(), table="t").rows == 30
    assert tries["/settings"] == 4
    assert tries["/exec"] == 4


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
    assert time.monotonic() - began < 5
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


@pytest.mark.parametrize("kept", [False, True], ids=["raised", "spooled"])
def test_what_is_ready_after_the_deadline_is_not_sent(kept: bool, fake: FakeQuestDB, tmp_path: Path) -> None:
    """A stream that gives nothing for a while: its rows are certain not to be there."""

    def slow() -> Iterator[pa.RecordBatch]:
        table = frame().to_arrow()
        yield from table[:10].to_batches()
        time.sleep(0.4)
        yield from table[10:].to_batches()

    reader = pa.RecordBatchReader.from_batches(frame().to_arrow().schema, slow())
    with qf.connect(f"{fake.conf}auto_flush_rows=5;") as client:
        fake.script = [stored] * 9
        options: dict[str, Any] = {"spool_dir": tmp_path} if kept else {}
        if kept:
            report = client.write(reader, table="t", deadline=0.2, **options)
            assert report.rows + report.rows_spooled == 30
            assert report.rows_spooled >= 20
            return
        error = failure(client.write, reader, table="t", deadline=0.2)
    assert "the deadline of 200ms for the whole call has passed" in str(error)
    assert error.doubtful == ()
    assert sum(body.count(b"\n") for body in fake.writes) == error.rows_acked <= 10


@pytest.mark.parametrize("deadline", [0.4, dt.timedelta(milliseconds=400)])
def test_the_deadline_ends_a_call_that_retries(deadline: Any, fake: FakeQuestDB) -> None:
    fake.script = [stored, *[answer(503, b"busy")] * 1000]
    with qf.connect(f"{fake.conf}auto_flush_rows=10;connections=1;") as client:
        began = time.monotonic()
        error = failure(client.write, frame(), table="t", deadline=deadline)
        assert 0.2 <= time.monotonic() - began < 5
    assert error.acked == (range(10),)
    # The end may come while a try is on its way, and then nobody knows what became of it.
    assert (error.doubtful, error.unsent) in [((), (range(10, 30),)), ((range(10, 20),), (range(20, 30),))]


@pytest.mark.parametrize("path", ["settings", "exec", "write"])
def test_the_deadline_ends_a_call_that_is_stuck(path: str, fake: FakeQuestDB) -> None:
    if path == "write":
        fake.script = [silent]
    else:
        setattr(fake, path, silent)
    with qf.connect(fake.conf) as client:
        began = time.monotonic()
        error = failure(client.write, frame(), table="t", deadline=0.3)
        assert time.monotonic() - began < 5
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
        assert time.monotonic() - began < 0.9


@pytest.mark.parametrize("reply", [answer(503, b"busy"), answer(421, b"replica")], ids=["503", "421"])
@pytest.mark.parametrize("one_shot", [False, True], ids=["frame", "stream"])
def test_the_rest_goes_to_the_next_host(reply: Any, one_shot: bool, fake: FakeQuestDB, second: FakeQuestDB) -> None:
    fake.script = [stored, reply]
    with qf.connect(f"{both(fake, second)}auto_flush_rows=10;connections=1;") as client:
        report = client.write(stream(frame()) if one_shot else frame(), table="t")
        assert (report.rows, report.retries) == (30, 1)
        assert lines(fake) == [*range(10), *range(10, 20)]
        assert lines(second) == list(range(10, 30))
        moved, new = report.notes
        assert f"{HOST}:{fake.port} did not take all rows" in moved
        assert new == 'new columns of the table: "n" (LONG)'
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
    with qf.connect(f"{both(fake, second)}auto_flush_rows=10;connections=1;") as client:
        error = failure(client.write, frame(), table="t")
    assert (error.acked, error.doubtful, error.unsent) == ((range(10),), (range(10, 20),), (range(20, 30),))
    assert second.writes == []
    # Who does not mind has it sent again to the same one.
    fake.script = [stored, reset, answer(500, b"no")]
    with qf.connect(f"{both(fake, second)}auto_flush_rows=10;connections=1;") as client:
        report = client.write(frame(), table="t", retry_in_doubt=True)
    assert (report.rows, report.requests, report.retries, report.retries_in_doubt) == (30, 3, 2, 2)
    assert second.writes == []


def test_what_is_sent_to_another_host_counts_as_sent_again(
    fake: FakeQuestDB, second: FakeQuestDB, recwarn: pytest.WarningsRecorder
) -> None:
    with_dedup(fake)
    with_dedup(second)
    fake.script = [stored, reset]
    second.script = [answer(503, b"busy")]
    with qf.connect(f"{both(fake, second)}auto_flush_rows=10;connections=1;") as client:
        report = client.write(frame(), table="t")
    assert (report.rows, report.requests) == (30, 3)
    assert (report.retries, report.retries_in_doubt) == (2, 1)
    assert len(recwarn) <= 1  # once in a process


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
