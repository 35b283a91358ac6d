"""Bad configurations and servers, refusals in the middle, and streams that turn bad after a good beginning."""

from __future__ import annotations

import base64
import json
import re
import socket
import time
import traceback
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest
from servers import HOST, FakeQuestDB, answer, answer_json, refused, stored

import questframe as qf
from questframe import IngressErrorCode as Code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from questframe.local import QuestDB


def frame(rows: int = 3) -> pl.DataFrame:
    return pl.DataFrame({"n": range(rows), "ts": pl.Series(range(rows), dtype=pl.Datetime("us"))})


def failure(function: Callable[..., Any], *args: Any, **options: Any) -> qf.IngressError:
    with pytest.raises(qf.IngressError) as caught:
        function(*args, **options)
    return caught.value


def sets(error: qf.IngressError, rows: int) -> tuple[set[int], set[int], set[int]]:
    """The error's three sets of rows; they are disjoint and cover the frame, and every range is in order."""
    found = []
    for ranges in (error.acked, error.doubtful, error.unsent):
        assert list(ranges) == sorted(ranges, key=lambda each: each.start)
        assert all(isinstance(each, range) and len(each) > 0 for each in ranges)
        found.append({row for each in ranges for row in each})
    acked, doubtful, unsent = found
    assert sum(map(len, found)) == rows
    assert acked | doubtful | unsent == set(range(rows))
    assert error.rows_acked == len(acked)
    assert error.in_doubt == bool(doubtful)
    return acked, doubtful, unsent


# --- configuration strings ------------------------------------------------------------------------------------------

CONF = {
    "no_scheme": ("localhost:9000", ["broken at byte 10", "expected '::'"]),
    "one_colon": ("http:addr=localhost;", ["broken at byte 5", "expected '::'"]),
    "no_value": ("http::addr;", ["broken at byte 10", "expected '='"]),
    "space_before_key": ("http::addr=h; table=t;", ["broken at byte 13", "no spaces stand around keys"]),
    "control_character": ("http::addr=h\n;", ["broken at byte 12", "control character"]),
    "empty": ("", ["broken at byte 0", "it is empty"]),
    "duplicate": ("http::addr=h;table=t;table=u;", ['"table" is given twice', "byte 21", "remove one"]),
    "unknown_scheme": ("ftp::addr=h;", ['unknown scheme "ftp"', '"http" or "https"']),
    "tcp_hosts": ("tcp::addr=h:9009,i:9009;", ["names several hosts", '"http" or "https"']),
    "no_addr": ("http::table=t;", ['"addr" is missing', "addr=localhost:9000"]),
    "port": ("http::addr=h:0;", ['"h:0" is not a host and port', "from 1 to 65535"]),
    "url": ("http::addr=http://h:9000;", ["leave out"]),
    "addr_twice": ("http::addr=h:1;addr=i:2;", ['"addr" is given twice', "byte 15", "addr=first:9000,second:9000"]),
    "host_twice": ("http::addr=h:1,i:2,h:1;", ["names h:1 twice"]),
    "no_host": ("http::addr=h:1,,i:2;", ["the host is missing"]),
    "misspelt_backoff": ("http::addr=h;retry_max_backoff=9;", ['did you mean "retry_max_backoff_millis"?']),
    "unknown_key": ("http::addr=h;conections=4;", ['unknown key "conections"; did you mean "connections"?']),
    "bad_number": ("http::addr=h;connections=two;", ['"connections" cannot be "two"', "from 1 to 64"]),
    "number_out_of_range": ("http::addr=h;pool_bytes=5;", ['"pool_bytes" cannot be "5"', "1048576"]),
    "bad_timeout": ("http::addr=h;request_timeout=-1;", ['"request_timeout" cannot be "-1"']),
    "bad_version": ("http::addr=h;protocol_version=4;", ['"protocol_version" cannot be "4"', '"auto", "1", "2", "3"']),
    "password_alone": ("http::addr=h;password=p;", ['"password" is present, but "username" is missing']),
    "username_alone": ("http::addr=h;username=u;", ['"username" is present, but "password" is missing']),
    "both_ways": ("http::addr=h;username=u;password=p;token=t;", ["Inconsistent", "or just"]),
    "tls_without_tls": ("http::addr=h;tls_verify=unsafe_off;", ["TLS is not supported for protocol http", "https"]),
    "no_such_roots": ("https::addr=h;tls_roots=/nowhere/x.pem;", ['"tls_roots" cannot be read', "/nowhere/x.pem"]),
}


@pytest.mark.parametrize("name", CONF)
@pytest.mark.parametrize("function", ["connect", "write_questdb", "plan"])
def test_bad_configuration_strings(name: str, function: str) -> None:
    conf, says = CONF[name]
    if function == "connect":
        error = failure(qf.connect, conf)
    else:
        error = failure(getattr(qf, function), frame(), conf, table="t")
    assert error.code is Code.ConfigError
    for words in says:
        assert words in str(error)


def test_no_configuration_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QDB_CLIENT_CONF", raising=False)
    for function in (lambda: qf.connect(), lambda: qf.write_questdb(frame(), table="t")):
        error = failure(function)
        assert error.code is Code.ConfigError
        assert "QDB_CLIENT_CONF is not set" in str(error)


def test_the_environment_and_the_string_may_name_everything(fake: FakeQuestDB, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDB_CLIENT_CONF", f"{fake.conf}table=from_env;at=ts;")
    report = frame().write_questdb()  # type: ignore[attr-defined]
    assert (report.table, report.at, report.rows) == ("from_env", "ts", 3)
    assert qf.connect().write(frame(), table="other").table == "other"
    assert [body[:8] for body in fake.writes] == [b"from_env", b"other n="]


def test_keys_of_other_transports_are_one_warning() -> None:
    with pytest.warns(UserWarning) as warned:
        client = qf.connect("http::addr=h;sf_dir=/x;zone=z;")
    client.close()
    assert len(warned) == 1
    assert "sf_dir" in str(warned[0].message)
    assert "zone" in str(warned[0].message)
    assert warned[0].filename == __file__


# --- servers that are none ------------------------------------------------------------------------------------------


def test_an_unreachable_server() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    for function in (
        lambda: qf.write_questdb(frame(), f"http::addr={HOST}:{port};", table="t"),
        lambda: qf.connect(f"http::addr={HOST}:{port};").ping(),
        lambda: qf.connect(f"http::addr={HOST}:{port};").server_info(),
    ):
        error = failure(function)
        assert error.code is Code.SocketError
        assert f"no connection to {HOST}:{port}" in str(error)
        assert "is QuestDB running there" in str(error)
        assert (error.acked, error.doubtful) == ((), ())


def test_a_host_without_an_address() -> None:
    # A name that no resolver needs to be asked about: its label is too long.
    host = "x" * 64 + ".invalid"
    error = failure(qf.write_questdb, frame(), f"http::addr={host}:9000;", table="t")
    assert error.code is Code.CouldNotResolveAddr
    assert f"{host}:9000 has no address" in str(error)


NOT_QUESTDB = {
    "web_page": answer(200, b"<!doctype html><title>Hello</title>", content_type="text/html"),
    "empty": answer(200),
    "other_json": answer_json(200, {"status": "ok"}),
    "list": answer_json(200, [1]),
    "text": answer(200, b"OK", content_type="text/plain"),
    "redirect": answer(302, location="http://elsewhere.example/login?session=abc"),
    "not_found": answer(404, b"nothing here"),
}


@pytest.mark.parametrize("name", NOT_QUESTDB)
def test_a_server_that_is_no_questdb(name: str, fake: FakeQuestDB) -> None:
    fake.settings = fake.exec = NOT_QUESTDB[name]
    fake.ping = answer(200, b"pong")
    error = failure(qf.write_questdb, frame(), fake.conf, table="t")
    assert error.code is Code.ProtocolVersionError
    assert f"what answers at http://{HOST}:{fake.port}/ is not a QuestDB" in str(error)
    assert '"addr"' in str(error)
    assert "session=abc" not in str(error)
    assert fake.writes == []


def test_only_204_means_stored(fake: FakeQuestDB) -> None:
    for status, code in ((200, Code.ServerFlushError), (202, Code.ServerFlushError), (302, Code.ServerFlushError)):
        fake.script = [answer(status, b"fine", location="/elsewhere")]
        error = failure(qf.write_questdb, frame(), fake.conf, table="t")
        assert error.code is code
        assert "is not a QuestDB: POST /write was answered with" in str(error)
        assert error.acked == ()
    assert fake.of("/elsewhere") == []


def test_a_server_without_a_common_protocol_version(fake: FakeQuestDB) -> None:
    fake.settings = answer_json(200, {"config": {"line.proto.support.versions": [7, 8]}})
    error = failure(qf.write_questdb, frame(), fake.conf, table="t")
    assert error.code is Code.ProtocolVersionError
    assert "[7, 8]" in str(error)
    assert '"protocol_version"' in str(error)
    assert qf.write_questdb(frame(), fake.conf, table="t", protocol_version=1).protocol_version == 1


# --- secrets --------------------------------------------------------------------------------------------------------

SECRET = "hunter2;S3cr€t"
CONF_SECRET = SECRET.replace(";", ";;")


def told(error: BaseException) -> str:
    """All that an error may show: message, repr, attributes, traceback, causes."""
    shown = [str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))]
    if isinstance(error, qf.IngressError):
        shown.append(repr((error.server_message, error.problems, error.args)))
    return "\n".join(shown)


def assert_no_secret(text: str, *secrets: str) -> None:
    for secret in secrets or (SECRET, CONF_SECRET, "hunter2", "S3cr"):
        for form in (secret, base64.b64encode(secret.encode()).decode(), secret.encode("unicode_escape").decode()):
            assert form not in text


@pytest.mark.parametrize("auth", [f"username=bob;password={CONF_SECRET};", f"token={CONF_SECRET};"])
@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_not_in_the_message(auth: str, status: int, fake: FakeQuestDB) -> None:
    fake.script = [answer(status, b"Unauthorized\r\n", content_type="text/plain")]
    with qf.connect(fake.conf + auth) as client:
        error = failure(client.write, frame(), table="t")
        assert_no_secret(repr(client) + str(client))
        assert "bob" in repr(client) or "token" in auth
    assert error.code is Code.AuthError
    assert error.unsent == (range(3),)
    assert "check " in str(error)
    assert '"password"' in str(error)
    secret = base64.b64encode(f"bob:{SECRET}".encode()).decode()
    assert_no_secret(told(error))
    assert_no_secret(told(error), secret)
    assert fake.of("/write")[0].headers["authorization"] != ""


@pytest.mark.parametrize(
    "conf",
    [
        f"http::addr=h;password={CONF_SECRET};",
        f"http::addr=h;token={CONF_SECRET};token={CONF_SECRET};",
        f"http::addr=h;username=u;password={CONF_SECRET};token=t;",
        f"http::addr=h;username=u;password={CONF_SECRET};connections=x;",
        f"http::addr=h;username=u;password={SECRET};",
        f"http::addr=h;username=u;password={SECRET}=1;",
        f"http::addr=h;username=u;password={CONF_SECRET}\x01;",
        f"http::addr=u:{CONF_SECRET}@h:9000;",
        "http::addr=127.0.0.1:1,token=hunter2;",
        "http::addr=h:1 username=u password=hunter2",
        f"https::addr=h;username=u;password={CONF_SECRET};tls_roots=/nowhere;",
        f"tcp::addr=h;username=u;token={CONF_SECRET};token_x={CONF_SECRET};token_y={CONF_SECRET};",
    ],
)
def test_secrets_in_bad_configuration_strings_are_not_shown(conf: str) -> None:
    error = failure(qf.connect, conf)
    assert error.code is (Code.AuthError if conf.startswith("tcp") else Code.ConfigError)
    shown = "\n".join([str(error), repr(error), repr(vars(error))])
    assert_no_secret(shown)


def test_credentials_that_a_server_shows_are_not_shown(fake: FakeQuestDB) -> None:
    """What fails may show the request's headers."""
    for auth in (f"username=bob;password={CONF_SECRET};", "token=hunter2hunter2;"):
        with qf.connect(fake.conf + auth) as client:
            fake.script = [stored]
            client.write(frame(), table="t")
            header = fake.of("/write")[-1].headers["authorization"]
            fake.script = [
                answer(400, f"bad request\r\nauthorization: {header}\r\n".encode(), content_type="text/plain")
            ]
            error = failure(client.write, frame(), table="t")
            assert "authorization: Basic ***" in str(error) or "authorization: Bearer ***" in str(error)
            assert_no_secret(told(error), header.split()[1])


@pytest.mark.parametrize("status", [200, 400])
def test_credentials_are_not_shown_whatever_json_makes_of_them(status: int, fake: FakeQuestDB) -> None:
    """PHP writes a slash behind a backslash, Gson an equals sign by its number."""
    token = "hunter2/hunter2=="
    text = json.dumps({"query": "q", "error": f"you sent Bearer {token}", "position": 0})
    for written in (text, text.replace("/", "\\/"), text.replace("=", "\\u003d")):
        fake.exec = answer(status, written.encode(), content_type="application/json")
        fake.script = [answer(400, written.replace("error", "message").encode(), content_type="application/json")]
        with qf.connect(f"{fake.conf}token={token};") as client:
            errors = [
                failure(client.write, frame(), table="t", check=False),
                failure(qf.read_questdb, "select 1", f"{fake.conf}token={token};"),
                failure(client.write, frame(), table="t", create="never", wait_visible=1)
                if status == 200
                else failure(client.write, frame(), table="t", at="nothing"),
            ]
        for error in errors:
            assert_no_secret(told(error), token)
        assert "Bearer ***" in str(errors[0])


def test_a_password_in_a_redirect_is_not_shown(fake: FakeQuestDB) -> None:
    for location in ("https://u:hunter2@h:1/x?hunter2", "//u:hunter2@h/x", "u:hunter2@h/x#hunter2"):
        fake.script = [answer(302, location=location)]
        error = failure(qf.write_questdb, frame(), fake.conf, table="t")
        assert "a redirect to " in str(error)
        assert "h" in str(error)
        assert_no_secret(told(error))


@pytest.mark.parametrize(("status", "cure"), [(413, "pool_bytes"), (429, "too many"), (502, "behind"), (404, "addr")])
def test_pages_of_a_proxy_say_what_to_do(status: int, cure: str, fake: FakeQuestDB) -> None:
    fake.script = [answer(status, b"<html>nginx</html>", content_type="text/html")] * 100
    with qf.connect(f"{fake.conf}retry_timeout=0;") as client:
        error = failure(client.write, frame(), table="t")
    assert f"a web page (status {status}); " in str(error)
    assert cure in str(error).partition("a web page")[2]


def test_secrets_are_not_shown_when_no_server_is_there() -> None:
    conf = f"http::addr={HOST}:1;username=bob;password={CONF_SECRET};"
    error = failure(qf.write_questdb, frame(), conf, table="t")
    assert error.code is Code.SocketError
    assert_no_secret("\n".join([str(error), repr(error), repr(vars(error))]))


def test_a_wrong_password_at_a_real_server(locked_server: QuestDB) -> None:
    good = locked_server.conf
    wrong = re.sub(r"password=.*;$", f"password={CONF_SECRET};", good)
    assert wrong != good
    for conf in (wrong, re.sub(r"username=.*$", f"token={CONF_SECRET};", good), re.sub(r"username=.*$", "", good)):
        error = failure(qf.write_questdb, frame(), conf, table="guarded")
        assert error.code is Code.AuthError
        assert re.search(r"refused the credentials for (GET /exec|POST /write) \(status 401\)", str(error))
        assert (error.acked, error.doubtful) == ((), ())
        assert_no_secret("\n".join([str(error), repr(error), repr(vars(error))]))
    assert locked_server.sql("select count() from tables() where table_name = 'guarded'").scalar() == 0
    report = qf.write_questdb(frame(), good, table="guarded")
    assert (report.rows, locked_server.wait_visible("guarded", 3)) == (3, 3)


# --- refusals in the middle -----------------------------------------------------------------------------------------


def test_a_refusal_in_the_middle_names_the_row_of_the_frame(fake: FakeQuestDB) -> None:
    fake.script = [stored, stored, refused(4, "table: t, column: n; cast error from protocol type: LONG to STRING")]
    conf = f"{fake.conf}auto_flush_rows=10;connections=1;"
    error = failure(qf.write_questdb, frame(50), conf, table="t")
    assert (error.code, error.table, error.row, error.column) == (Code.ServerFlushError, "t", 23, "n")
    assert sets(error, 50) == (set(range(20)), set(), set(range(20, 50)))
    assert (error.acked, error.unsent) == ((range(20),), (range(20, 50),))
    assert error.error_id == "05d46391a354-850"
    assert "error in line 4: table: t, column: n; cast error" in (error.server_message or "")
    for words in ("row 23", "stored: rows 0..20", "not stored: rows 20..50", "05d46391a354-850"):
        assert words in str(error)
    assert len(fake.writes) == 3, "nothing is sent after a refusal"


def test_left_out_rows_do_not_shift_the_row_of_a_refusal(fake: FakeQuestDB) -> None:
    # Rows 2, 3 and 7 have no line, so line 5 is row 6, and in the second request line 1 is row 12.
    values = [None if row in {2, 3, 7, 10, 11} else row for row in range(20)]
    data = frame(20).with_columns(n=pl.Series(values))
    conf = f"{fake.conf}auto_flush_rows=10;connections=1;"
    for script, line, row in (([], 5, 6), ([], 6, 8), ([stored], 1, 12), ([stored], 3, 14)):
        fake.script = [*script, refused(line, "table: t, column: n; cast error from x")]
        error = failure(qf.write_questdb, data, conf, table="t", empty_rows="skip")
        assert error.row == row
    report = qf.write_questdb(data, conf, table="t", empty_rows="skip")
    assert (report.rows, report.skipped_rows) == (15, 5)


def test_a_refusal_of_a_whole_request_names_no_row(fake: FakeQuestDB) -> None:
    fake.script = [refused(0, "unsupported precision", code="not supported")]
    error = failure(qf.write_questdb, frame(), fake.conf, table="t")
    assert (error.row, error.column, error.unsent) == (None, None, (range(3),))


def test_refusals_of_requests_in_parallel(fake: FakeQuestDB) -> None:
    """The second of four fails while the first is on its way, which then is stored after all."""
    both = lambda: len(fake.writes) >= 2

    def late(exchange: Any) -> None:
        assert fake.wait_for(both)
        # The refusal of the other is out before this answer.
        assert fake.wait_for(lambda: answered != [])
        stored(exchange)

    answered: list[int] = []

    def refuse(exchange: Any) -> None:
        refused(2, "table: t, column: n; cast error from x")(exchange)
        answered.append(1)
        with fake.changed:
            fake.changed.notify_all()

    def by_rows(exchange: Any) -> None:
        late(exchange) if b"n=0i" in exchange.request.body else refuse(exchange)

    fake.script = [by_rows, by_rows]
    error = failure(qf.write_questdb, frame(40), f"{fake.conf}auto_flush_rows=10;connections=2;", table="t")
    assert error.row == 11
    assert sets(error, 40) == (set(range(10)), set(), set(range(10, 40)))
    assert len(fake.writes) == 2


def test_a_real_server_refuses_in_the_middle(server: QuestDB, table: str) -> None:
    server.sql(f"create table {table} (n byte, ts timestamp) timestamp(ts) partition by day wal")
    # 300 does not fit a BYTE: without the table's columns only the server finds out, at row 34.
    data = frame(60).with_columns(n=pl.Series([300 if row == 34 else row for row in range(60)]))
    conf = f"{server.conf}auto_flush_rows=10;connections=1;"
    error = failure(qf.write_questdb, data, conf, table=table, at="ts", check=False)
    assert (error.code, error.table, error.row, error.column) == (Code.ServerFlushError, table, 34, "n")
    assert (error.acked, error.doubtful, error.unsent) == ((range(30),), (), (range(30, 60),))
    sets(error, 60)
    assert server.wait_visible(table, 30) == 30
    assert server.sql(f"select max(n) from {table}").scalar() == 29
    # What was not stored goes in after the repair.
    rest = data[error.unsent[0].start :].with_columns(n=pl.col("n").clip(0, 100))
    assert qf.write_questdb(rest, conf, table=table, at="ts").rows == 30
    assert server.wait_visible(table, 60) == 60


# --- one-shot streams -----------------------------------------------------------------------------------------------


def batches(*spans: range, null: int | None = None) -> pa.RecordBatchReader:
    """A stream of these rows, one of them without a timestamp."""

    def each() -> Iterator[pa.RecordBatch]:
        for span in spans:
            times = pa.array([None if row == null else row for row in span], pa.timestamp("us"))
            yield pa.record_batch({"n": pa.array(span, pa.int64()), "ts": times})

    schema = pa.schema({"n": pa.int64(), "ts": pa.timestamp("us")})
    return pa.RecordBatchReader.from_batches(schema, each())


def test_a_good_stream_is_written_whole(fake: FakeQuestDB) -> None:
    report = qf.write_questdb(batches(range(5), range(5, 9)), fake.conf, table="t")
    assert (report.rows, report.requests) == (9, 1)


def test_a_stream_with_a_bad_batch_tells_what_was_stored(fake: FakeQuestDB) -> None:
    conf = f"{fake.conf}auto_flush_rows=10;"
    error = failure(qf.write_questdb, batches(range(25), range(25, 50), null=30), conf, table="t")
    assert (error.code, error.column, error.row) == (Code.InvalidTimestamp, "ts", 30)
    rows = [int(row) for body in fake.writes for row in re.findall(rb"n=(\d+)i", body)]
    assert sorted(rows) == list(range(error.rows_acked))
    assert error.acked == (range(error.rows_acked),)
    assert 20 <= error.rows_acked <= 25, "not a row of the bad batch"
    assert f"stored: rows 0..{error.rows_acked}" in str(error)
    assert error.doubtful == ()


def test_the_batch_before_a_bad_one_is_stored_also_if_it_fills_no_request(fake: FakeQuestDB) -> None:
    error = failure(qf.write_questdb, batches(range(10), range(10, 20), null=12), fake.conf, table="t")
    assert error.row == 12
    assert error.acked == (range(10),)
    assert [body.count(b"\n") for body in fake.writes] == [10]


def test_the_bad_batch_itself_counts_as_not_stored(fake: FakeQuestDB) -> None:
    conf = f"{fake.conf}auto_flush_rows=10;"
    error = failure(qf.write_questdb, batches(range(25), range(25, 50), null=30), conf, table="t")
    assert sets(error, 50)[2] >= set(range(25, 50))


def test_a_stream_whose_first_batch_is_bad_sends_nothing(fake: FakeQuestDB) -> None:
    error = failure(qf.write_questdb, batches(range(10), null=3), f"{fake.conf}auto_flush_rows=2;", table="t")
    assert (error.row, error.acked, error.doubtful) == (3, (), ())
    assert fake.writes == []


def test_a_stream_that_breaks_tells_what_was_stored(fake: FakeQuestDB) -> None:
    def breaks() -> Iterator[pa.RecordBatch]:
        yield from batches(range(25))
        raise RuntimeError("the source went away")

    reader = pa.RecordBatchReader.from_batches(batches().schema, breaks())
    error = failure(qf.write_questdb, reader, f"{fake.conf}auto_flush_rows=10;", table="t")
    assert error.code is Code.BadDataFrame
    assert "the source went away" in str(error)
    assert error.acked[0].start == 0
    assert error.rows_acked == sum(body.count(b"\n") for body in fake.writes) >= 20


def test_a_closed_client_says_so(fake: FakeQuestDB) -> None:
    client = qf.connect(fake.conf)
    client.close()
    client.close()
    for call in (client.ping, client.server_info, lambda: client.write(frame(), table="t")):
        error = failure(call)
        assert error.code is Code.InvalidApiCall
        assert "closed" in str(error)
    assert repr(client) == "Client(closed)"
    assert fake.requests == []


def test_an_unreachable_server_is_told_at_once() -> None:
    began = time.monotonic()
    failure(qf.write_questdb, frame(), f"http::addr={HOST}:1;", table="t")
    assert time.monotonic() - began < 5
