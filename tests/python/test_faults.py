"""Faults on the way: what is known of the rows afterwards, and that client and buffers work on."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
import pytest
from servers import (
    HOST,
    SETTINGS,
    FakeQuestDB,
    after,
    answer,
    answer_json,
    cut_short,
    raw,
    refused,
    reset,
    silent,
    stored,
)

import questframe as qf
from questframe import IngressErrorCode as Code

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Exchange, Reply

    from questframe.local import QuestDB

#: What one try says; what comes of trying again is in test_delivery.py.
LIMITS = "request_timeout=1500;request_min_throughput=0;retry_timeout=0;"
#: For requests that are answered: a busy machine takes its time.
PATIENT = LIMITS.replace("=1500", "=30000")


def frame(rows: int = 30) -> pl.DataFrame:
    return pl.DataFrame({"n": range(rows), "ts": pl.Series(range(rows), dtype=pl.Datetime("us"))})


def failure(client: qf.Client, data: pl.DataFrame | None = None, **options: Any) -> qf.IngressError:
    with pytest.raises(qf.IngressError) as caught:
        client.write(frame() if data is None else data, table="t", **options)
    return caught.value


class Fault(NamedTuple):
    """What a server does with the second of three requests, and what follows."""

    reply: Reply
    code: Code
    stored: str  # "no" or "perhaps"
    says: str


JSON = "application/json; charset=utf-8"
INTERNAL = refused(3, "table: t, column: n; the disk is full", status=500, code="internal error")

FAULTS = {
    "503": Fault(answer(503, b"busy"), Code.ServerFlushError, "no", "(status 503): busy"),
    "507": Fault(answer(507, b"no space"), Code.ServerFlushError, "no", "(status 507): no space"),
    "429": Fault(answer(429, b"slow down"), Code.ServerFlushError, "no", "(status 429): slow down"),
    "400": Fault(refused(1, "table: t; bad"), Code.ServerFlushError, "no", "(status 400, invalid): table: t; bad"),
    "401": Fault(answer(401, b"Unauthorized"), Code.AuthError, "no", "refused the credentials for POST /write"),
    "403": Fault(answer(403, b"no grant"), Code.AuthError, "no", "does not permit POST /write"),
    "404": Fault(answer(404, b"Not Found"), Code.HttpNotSupported, "no", "line.http.enabled"),
    "413": Fault(answer(413, b"too large"), Code.ServerFlushError, "no", "(status 413): too large"),
    "500": Fault(INTERNAL, Code.ServerFlushError, "perhaps", "(status 500, internal error)"),
    "502": Fault(answer(502, b"bad gateway"), Code.ServerFlushError, "perhaps", "(status 502)"),
    "504": Fault(answer(504, b"<html>", content_type="text/html"), Code.ServerFlushError, "perhaps", "(status 504)"),
    "200": Fault(answer(200, b"ok"), Code.ServerFlushError, "perhaps", "is not a QuestDB"),
    "reset": Fault(reset, Code.SocketError, "perhaps", "the connection to {address} broke during POST /write"),
    "closed": Fault(raw(b""), Code.SocketError, "perhaps", "broke during POST /write"),
    "cut_status_line": Fault(raw(b"HTTP/1.1 20"), Code.SocketError, "perhaps", "broke during POST /write"),
    "cut_head": Fault(raw(b"HTTP/1.1 204 No Content\r\nServ"), Code.SocketError, "perhaps", "broke during"),
    "cut_503": Fault(cut_short(503, b"bu"), Code.ServerFlushError, "perhaps", "(status 503)"),
    "cut_400": Fault(cut_short(400, b'{"code":"in', content_type=JSON), Code.ServerFlushError, "no", "(status 400)"),
    "no_http": Fault(raw(b"SSH-2.0-OpenSSH_9\r\n"), Code.SocketError, "perhaps", "does this port not speak HTTP"),
    "silent": Fault(silent, Code.SocketError, "perhaps", 'did not answer POST /write within 1.5s; raise "request_ti'),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_the_middle(name: str, fake: FakeQuestDB) -> None:
    fault = FAULTS[name]
    fake.script = [stored, fault.reply]
    limits = LIMITS if fault.reply is silent else PATIENT
    with qf.connect(f"{fake.conf}auto_flush_rows=10;connections=1;{limits}") as client:
        error = failure(client)
        assert error.code is fault.code
        assert error.table == "t"
        assert fault.says.format(address=f"{HOST}:{fake.port}") in str(error)
        assert error.acked == (range(10),)
        if fault.stored == "no":
            assert (error.doubtful, error.unsent) == ((), (range(10, 30),))
            assert "not stored: rows 10..30" in str(error)
        else:
            assert (error.doubtful, error.unsent) == ((range(10, 20),), (range(20, 30),))
            assert "in doubt: rows 10..20; not stored: rows 20..30" in str(error)
        assert error.in_doubt == (fault.stored == "perhaps")
        assert error.rows_acked == 10
        assert len(fake.writes) == 2, "nothing is sent behind a fault, and nothing twice"

        # The client is as good as new.
        report = client.write(frame(), table="t")
        assert (report.rows, report.requests, report.retries) == (30, 3, 0)
        assert b"".join(fake.writes[2:]) == qf.to_ilp(frame(), table="t")


def test_an_internal_error_names_the_row_in_doubt(fake: FakeQuestDB) -> None:
    fake.script = [INTERNAL]
    with qf.connect(fake.conf) as client:
        error = failure(client)
    assert (error.row, error.column, error.error_id) == (2, "n", "05d46391a354-850")
    assert (error.acked, error.doubtful, error.unsent) == ((), (range(30),), ())


@pytest.mark.parametrize("name", ["503", "reset", "silent", "400"])
def test_faults_lose_no_buffers(name: str, fake: FakeQuestDB) -> None:
    """The smallest pool has a few buffers: were one lost with each fault, a later write would wait forever."""
    # The limit grows with the request: half a second and little for those that fail, twenty for those that must not.
    limits = LIMITS.replace("throughput=0", "throughput=1000")
    wide = frame(300).with_columns(text=pl.lit("x" * 2_000))
    with qf.connect(f"{fake.conf}pool_bytes=1048576;auto_flush_rows=10;{limits}") as client:
        for _ in range(5):
            fake.script = [FAULTS[name].reply] * 2
            failure(client)
            fake.script = []
        before = len(fake.writes)
        assert client.write(wide, table="t").rows == 300
    # Two connections at once: in any order.
    assert sorted(b"".join(fake.writes[before:]).splitlines()) == sorted(qf.to_ilp(wide, table="t").splitlines())


def test_requests_after_a_fault_are_not_started_by_another_connection(fake: FakeQuestDB) -> None:
    fake.script = [answer(503, b"busy"), after(0.1)]
    with qf.connect(f"{fake.conf}auto_flush_rows=1;connections=2;retry_timeout=0;") as client:
        error = failure(client)
    assert len(fake.writes) <= 2
    assert error.rows_acked == len(fake.writes) - 1
    assert sum(len(rows) for rows in (*error.acked, *error.unsent)) == 30


# --- time -----------------------------------------------------------------------------------------------------------


def test_a_slow_answer_within_the_limit_is_an_answer(fake: FakeQuestDB) -> None:
    fake.script = [after(0.3)]
    with qf.connect(f"{fake.conf}request_timeout=5000;") as client:
        assert client.write(frame(), table="t").rows == 30


def test_the_time_limit_is_kept(fake: FakeQuestDB) -> None:
    fake.script = [silent]
    with qf.connect(f"{fake.conf}{LIMITS}") as client:
        client.server_info()
        began = time.monotonic()
        failure(client)
        assert 1.5 <= time.monotonic() - began < 15


def test_the_time_limit_grows_with_the_request(fake: FakeQuestDB) -> None:
    data = frame(1_000)
    size = len(qf.to_ilp(data, table="t"))
    # One second more than the 800 ms that are the limit of a request without a size.
    with qf.connect(f"{fake.conf}request_timeout=800;request_min_throughput={size};") as client:
        fake.script = [after(1.0)]
        assert client.write(data, table="t").rows == 1_000
        fake.script = [after(1.0)]
        assert failure(client, frame(10)).code is Code.SocketError


def test_a_server_that_falls_silent_in_its_settings(fake: FakeQuestDB) -> None:
    fake.settings = silent
    with qf.connect(f"{fake.conf}{LIMITS}") as client:
        error = failure(client)
        assert error.code is Code.SocketError
        assert "did not answer GET /settings within 1.5s" in str(error)
        assert (error.acked, error.doubtful, error.unsent) == ((), (), (range(30),))
        fake.settings = answer_json(200, SETTINGS)
        assert client.write(frame(), table="t").rows == 30


# --- connections ----------------------------------------------------------------------------------------------------


def test_one_connection_serves_all_requests(fake: FakeQuestDB) -> None:
    with qf.connect(f"{fake.conf}auto_flush_rows=10;connections=1;") as client:
        client.ping()
        for _ in range(3):
            client.write(frame(), table="t")
    asked = [request.path for request in fake.requests if request.path != "/exec"]
    assert asked == ["/ping", "/settings", *["/write"] * 9]
    assert fake.connections == 1


def test_the_function_keeps_its_connection_between_calls(fake: FakeQuestDB) -> None:
    for _ in range(3):
        qf.write_questdb(frame(), fake.conf, table="t")
    asked = [request.path for request in fake.requests]
    assert [path for path in asked if path != "/exec"] == ["/settings", "/write", "/write", "/write"]
    # Its columns once, and before each write at most which table the name stands for.
    assert asked[:3] == ["/settings", "/exec", "/write"]
    assert asked.count("/exec") <= 3
    assert fake.connections == 1


class Slow:
    """A frame that takes its time: until `ready`."""

    def __init__(self, ready: Callable[[], object]) -> None:
        self.ready = ready

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        self.ready()
        return frame().__arrow_c_stream__(requested_schema)


#: Longer than a write may follow another without a question.
PAUSE = 0.02


def questions(fake: FakeQuestDB) -> int:
    """How often the fake was asked about tables."""
    return sum(request.path == "/exec" for request in fake.requests)


def test_the_server_is_asked_while_the_frame_is_made(fake: FakeQuestDB) -> None:
    """And not again, unless the frame took so long that the table may be another."""
    with qf.connect(fake.conf) as client:
        client.write(frame(), table="t")

        def asked_in(late: float) -> int:
            time.sleep(PAUSE)
            before = questions(fake)

            def is_asked() -> None:
                assert fake.wait_for(lambda: questions(fake) > before)
                time.sleep(late)

            assert client.write(Slow(is_asked), table="t").rows == 30
            return questions(fake) - before

        # On a busy machine some frames take long.
        counts = [asked_in(late=0) for _ in range(20)]
        assert 1 in counts
        assert max(counts) <= 2
        assert asked_in(late=PAUSE) == 2
        assert fake.connections == 1


def test_a_question_that_fails_while_the_frame_is_made_is_asked_again(fake: FakeQuestDB) -> None:
    with qf.connect(fake.conf) as client:
        client.write(frame(), table="t")
        known, reply = questions(fake), fake.exec
        time.sleep(PAUSE)
        fake.exec = answer(503)

        def is_over() -> None:
            assert fake.wait_for(lambda: questions(fake) > known)
            fake.exec = reply

        assert client.write(Slow(is_over), table="t").rows == 30


def test_a_frame_that_fails_leaves_its_question_behind(fake: FakeQuestDB) -> None:
    with qf.connect(fake.conf) as client:
        client.write(frame(), table="t")
        known = questions(fake)
        time.sleep(PAUSE)
        with pytest.raises(ZeroDivisionError):
            client.write(Slow(lambda: 1 // 0), table="t")
        assert fake.wait_for(lambda: questions(fake) > known)
        for table in ("t", "u", "t"):
            assert client.write(frame(), table=table).rows == 30
        assert len(fake.of("/write")) == 4


def test_a_kept_connection_that_the_server_closed_is_replaced(fake: FakeQuestDB) -> None:
    gone = threading.Event()

    def last(exchange: Exchange) -> None:
        stored(exchange)
        exchange.sock.shutdown(socket.SHUT_WR)
        # The client has seen it when its own side is closed.
        assert exchange.sock.recv(1) == b""
        gone.set()
        exchange.hang_up()

    fake.script = [last]
    with qf.connect(fake.conf) as client:
        client.write(frame(), table="t")
        assert gone.wait(10)
        assert client.write(frame(), table="t").rows == 30
    assert len(fake.writes) == 2
    assert fake.connections == 2


def test_requests_say_who_they_are_from(fake: FakeQuestDB) -> None:
    qf.write_questdb(frame(), fake.conf, table="t")
    (write,) = fake.of("/write")
    assert (write.method, write.query) == ("POST", "precision=n")
    assert write.headers["user-agent"] == f"questframe/{qf.__version__}"
    assert write.headers["content-type"] == "text/plain; charset=utf-8"
    assert write.headers["content-length"] == str(len(write.body))
    assert write.headers["host"] == f"{HOST}:{fake.port}"
    assert write.body == qf.to_ilp(frame(), table="t")


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ("username=alice;password=p;;w€;", "Basic " + base64.b64encode("alice:p;w€".encode()).decode()),
        ("token=abc;;def;", "Bearer abc;def"),
        ("", None),
    ],
    ids=["basic", "bearer", "none"],
)
def test_credentials_go_where_they_are_asked_for_and_nowhere_else(
    auth: str, header: str | None, fake: FakeQuestDB
) -> None:
    with qf.connect(fake.conf + auth) as client:
        client.ping()
        client.write(frame(), table="t")
    sent = {request.path: request.headers.get("authorization") for request in fake.requests}
    assert sent == {"/ping": None, "/settings": None, "/exec": header, "/write": header}


def test_proxies_of_the_environment_are_not_asked(fake: FakeQuestDB) -> None:
    code = "import polars as pl, questframe as qf, sys; print(qf.connect(sys.argv[1]).ping() > 0)"
    environment = {**os.environ, "http_proxy": f"http://{HOST}:1", "HTTP_PROXY": f"http://{HOST}:1", "NO_PROXY": ""}
    done = subprocess.run(
        [sys.executable, "-c", code, fake.conf],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "True\n", done.stderr


# --- old servers ----------------------------------------------------------------------------------------------------


def test_settings_404_with_the_ping_of_a_questdb_is_an_old_one(fake: FakeQuestDB) -> None:
    fake.settings = answer(404, b"Not Found")
    report = qf.write_questdb(frame(1), fake.conf, table="t")
    assert report.protocol_version == 1
    assert fake.writes == [b"t n=0i 0\n"]


@pytest.mark.parametrize("ping", [answer(404), answer(204), answer(200, x_influxdb_version="v2")])
def test_settings_404_with_another_ping_is_no_questdb(ping: Reply, fake: FakeQuestDB) -> None:
    fake.settings, fake.ping = answer(404, b"Not Found"), ping
    with qf.connect(fake.conf) as client:
        error = failure(client)
    assert error.code is Code.ProtocolVersionError
    assert "is not a QuestDB: GET /settings was answered with status 404, and GET /ping as no QuestDB does" in str(
        error
    )
    assert fake.writes == []


def test_settings_without_versions_mean_version_1(fake: FakeQuestDB) -> None:
    fake.settings = answer_json(200, {"config": {"release.version": "8.0"}})
    with qf.connect(fake.conf) as client:
        info = client.server_info()
        assert (info.release, info.protocol_versions, info.max_name_len) == ("8.0", [1], None)
        assert client.write(frame(1), table="t").protocol_version == 1


def test_the_servers_limit_of_names_counts(fake: FakeQuestDB) -> None:
    fake.settings = answer_json(200, {"config": {**SETTINGS["config"], "cairo.max.file.name.length": 20}})
    with qf.connect(fake.conf) as client:
        error = failure(client, frame().rename({"n": "n" * 21}))
    assert error.code is Code.InvalidName
    assert "21 bytes in UTF-8, more than the 20" in str(error)


def test_a_table_that_may_not_be_looked_up_is_written_all_the_same(fake: FakeQuestDB) -> None:
    fake.exec = answer(403, b"no grant")
    with qf.connect(fake.conf) as client:
        report = client.write(frame(), table="t")
        assert (report.rows, report.created) == (30, False)
        assert client.write(frame(), table="u", check=False).rows == 30
    assert len(fake.of("/exec")) == 1


@pytest.mark.parametrize("name", ["table_name", "name"])
def test_an_older_server_is_asked_in_its_own_words(name: str, fake: FakeQuestDB) -> None:
    def table(*names: str, rows: list[list[object]]) -> Reply:
        columns = [{"name": name, "type": "STRING"} for name in names]
        return answer_json(200, {"query": "", "columns": columns, "dataset": rows, "count": len(rows)})

    def by_query(exchange: Exchange) -> None:
        query = exchange.request.query
        if "table_type" in query or f"lower%28{name}%29" not in query and "SHOW" not in query:
            reply = answer_json(400, {"query": "", "error": "Invalid column: table_type", "position": 7})
        elif "SHOW" in query:
            reply = table("column", "type", "designated", rows=[["when", "TIMESTAMP", True], ["n", "SHORT", False]])
        else:
            reply = table("id", name, "walEnabled", "dedup", rows=[[7, "t", True, False]])
        reply(exchange)

    fake.exec = by_query
    with qf.connect(fake.conf) as client:
        report = client.write(frame(), table="t")
        assert (report.rows, report.created) == (30, False)
        # Its columns are known: a SHORT is not made of what it has no room for.
        error = failure(client, frame().with_columns(n=pl.lit(1 << 20)))
    assert (error.column, error.row) == ("n", 0)
    assert "SHORT" in str(error)


# --- threads ----------------------------------------------------------------------------------------------------


def test_threads_share_a_client(server: QuestDB, table: str) -> None:
    rows, writes, workers = 1_000, 5, 8
    failures: list[BaseException] = []
    gate = threading.Barrier(workers)

    def work(client: qf.Client, number: int) -> None:
        try:
            gate.wait(30)
            for turn in range(writes):
                data = pl.DataFrame(
                    {
                        "w": [number] * rows,
                        "n": range(turn * rows, (turn + 1) * rows),
                        "ts": pl.Series(range(turn * rows, (turn + 1) * rows), dtype=pl.Datetime("us")),
                    }
                )
                report = client.write(data, table=f"{table}_{number}", at="ts")
                assert report.rows == rows
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    with qf.connect(f"{server.conf}auto_flush_rows=300;pool_bytes=1048576;") as client:
        threads = [threading.Thread(target=work, args=(client, number)) for number in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert failures == []
    total = rows * writes
    for number in range(workers):
        assert server.wait_visible(f"{table}_{number}", total) == total
        found = server.sql(f"select count(), count_distinct(n), sum(n), min(w), max(w) from {table}_{number}")
        assert found[0] == (total, total, total * (total - 1) // 2, number, number)


# --- progress -------------------------------------------------------------------------------------------------------


def test_progress_is_told_up_to_the_last_row(fake: FakeQuestDB) -> None:
    told: list[tuple[int, int | None, int]] = []
    report = qf.write_questdb(
        frame(), f"{fake.conf}auto_flush_rows=10;", table="t", progress=lambda *now: told.append(now)
    )
    assert told[-1] == (30, 30, report.bytes)
    assert told == sorted(told)
    assert {rows % 10 for rows, _, _ in told} == {0}


def test_progress_knows_the_total_before_the_server_has_answered(fake: FakeQuestDB) -> None:
    told: list[tuple[int, int | None, int]] = []

    def late(exchange: Exchange) -> None:
        assert fake.wait_for(lambda: bool(told))
        answer_json(200, SETTINGS)(exchange)

    def tell(*now: Any) -> None:
        with fake.changed:
            told.append(now)
            fake.changed.notify_all()

    fake.settings = late
    qf.write_questdb(frame(), fake.conf, table="t", progress=tell)
    assert told[0] == (0, 30, 0)


def test_what_progress_raises_ends_the_write(fake: FakeQuestDB) -> None:
    class Enough(Exception):
        pass

    def stop(rows: int, total: int | None, bytes_: int) -> None:
        if rows >= 10:
            raise Enough

    conf = f"{fake.conf}auto_flush_rows=10;connections=1;"
    with pytest.raises(Enough):
        qf.write_questdb(frame(1_000), conf, table="t", progress=stop)
    assert len(fake.writes) < 100
    assert qf.write_questdb(frame(), conf, table="t").rows == 30
