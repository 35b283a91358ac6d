"""Hostile input on both sides: secrets and names that would break out of a request; servers that answer too much."""

from __future__ import annotations

import base64
import gzip
import itertools
import threading
import time
import urllib.parse
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from process import memory
from servers import HOST, FakeQuestDB, a_table, answer, answer_json, eventually

import questframe as qf
from questframe import IngressErrorCode as Code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Exchange, Reply

    from questframe.local import QuestDB

MIB = 1 << 20


def frame(rows: int = 3) -> pl.DataFrame:
    return pl.DataFrame({"n": range(rows), "ts": pl.Series(range(rows), dtype=pl.Datetime("us"))})


def failure(call: Callable[..., Any], *args: Any, **options: Any) -> qf.IngressError:
    with pytest.raises(qf.IngressError) as caught:
        call(*args, **options)
    return caught.value


# --- numbers out of range -------------------------------------------------------------------------------------------

#: Every numeric key, its least and its greatest value.
RANGES = {
    "auth_timeout": (1, None),
    "auto_flush_bytes": (1, None),
    "auto_flush_rows": (1, None),
    "connections": (1, 64),
    "init_buf_size": (0, None),
    "max_buf_size": (1_024, None),
    "max_name_len": (16, None),
    "pool_bytes": (1 << 20, None),
    "request_min_throughput": (0, None),
    "request_timeout": (1, None),
    "retry_max_backoff_millis": (10, None),
    "retry_timeout": (0, None),
}


@pytest.mark.parametrize("key", RANGES)
def test_numbers_out_of_range(key: str) -> None:
    least, greatest = RANGES[key]
    wrong = ["", "-1", "+5", "1.5", "1e3", "0x10", " 7", "7 ", "7_000", "٣", "ten", str(1 << 64), "9" * 400]
    wrong += [str(least - 1)] if least else []
    wrong += [str(greatest + 1)] if greatest else []
    for value in wrong:
        error = failure(qf.connect, f"http::addr=h;{key}={value};")
        assert error.code is Code.ConfigError
        assert f'"{key}"' in str(error), value
        assert len(str(error)) < 300
    for value in (least, greatest or least + 1):
        qf.connect(f"http::addr=h;{key}={value};").close()


@pytest.mark.parametrize("key", [key for key, (_, greatest) in RANGES.items() if greatest is None])
def test_the_greatest_numbers_do_no_harm(key: str, fake: FakeQuestDB) -> None:
    for value in ((1 << 63) - 1, (1 << 64) - 1):
        conf = f"{fake.conf}{key}={value};"
        if key == "pool_bytes":
            error = failure(qf.write_questdb, frame(), conf, table="t")
            assert (error.code, error.unsent) == (Code.ConfigError, (range(3),))
            assert 'lower "pool_bytes"' in str(error)
        else:
            assert qf.write_questdb(frame(), conf, table="t").rows == 3


# --- secrets in headers ---------------------------------------------------------------------------------------------

CONTROLS = ["\r\n", "\n", "\r", "\0", "\t", "\x1b", "\x7f", "\x85"]


@pytest.mark.parametrize("control", CONTROLS, ids=ascii)
@pytest.mark.parametrize("auth", ["token={};", "username={};password=p;", "username=u;password={};"])
def test_control_characters_in_secrets_are_refused(auth: str, control: str) -> None:
    value = f"hunter{control}X-Injected: yes"
    error = failure(qf.connect, f"http::addr=h;{auth.format(value)}")
    assert error.code is Code.ConfigError
    assert "control character" in str(error)
    assert "hunter" not in str(error)


@pytest.mark.parametrize("secret", ["gr€en tea", "ключ", "a: b, c", '"quoted"', "=?utf-8?q?=0d=0aX:_y?=", "%0d%0aX: y"])
def test_other_characters_arrive_as_they_are(secret: str, fake: FakeQuestDB) -> None:
    raw = secret.encode()
    for auth, header in (
        (f"token={secret};", b"Bearer " + raw),
        (f"username=u;password={secret};", b"Basic " + base64.b64encode(b"u:" + raw)),
    ):
        fake.requests.clear()
        with qf.connect(fake.conf + auth) as client:
            client.write(frame(), table="t")
        (write,) = fake.of("/write")
        assert write.headers["authorization"].encode("latin-1") == header
        known = {"accept", "authorization", "content-length", "content-type", "host", "user-agent"}
        assert set(write.headers) <= known


# --- names in requests ----------------------------------------------------------------------------------------------

REFUSED_NAMES = ["a\r\nX: y", "a\nb", "a\0b", "a?b", "a'b", 'a"b', "a/b", "a\\b", "a%20b", "../a"]


@pytest.mark.parametrize("name", REFUSED_NAMES, ids=ascii)
def test_names_that_questdb_does_not_take_are_never_sent(name: str, fake: FakeQuestDB) -> None:
    data = frame()
    error = failure(qf.write_questdb, data, fake.conf, table=name)
    assert error.code is Code.InvalidName
    assert not {"\r", "\0"} & set(str(error))
    column = failure(qf.write_questdb, data.rename({"n": name}), fake.conf, table="t")
    assert column.code is Code.InvalidName
    assert fake.writes == []
    for asked in fake.of("/exec"):
        assert list(urllib.parse.parse_qs(asked.query, strict_parsing=True)) == ["query"]


@pytest.mark.parametrize("name", ["a&query=drop table t", "a#b;c=d", "a b", "ä€", "a=b&limit=0"], ids=ascii)
def test_other_names_stay_inside_their_place(name: str, server: QuestDB, table: str) -> None:
    """A table whose name would be more than a name in a query string or a statement."""
    victim, name = f"{table}_victim", f"{table} {name}"
    server.sql(f"create table {victim} (n long, ts timestamp) timestamp(ts) partition by day wal")
    data = frame().rename({"n": "n; drop"})
    spec = qf.TableSpec(types={"n; drop": "LONG"})
    for _ in range(2):
        report = qf.write_questdb(data, server.conf, table=name, at="ts", create=spec, wait_visible=30)
        assert (report.rows, report.table) == (3, name)
    assert server.sql(f'select count(), sum("n; drop") from "{name}"')[0] == (6, 6)
    assert server.sql(f"select count() from tables() where table_name = '{victim}'").scalar() == 1


# --- servers that answer too much -----------------------------------------------------------------------------------


class Flood:
    """Answers without an end: for each path a status, and pieces that are sent until the client goes away."""

    def __init__(self, path: str, status: int, *, chunked: bool, kind: str, pause: float = 0.0) -> None:
        self.path, self.status, self.chunked, self.kind, self.pause = path, status, chunked, kind, pause
        self.sent: list[int] = []
        self.ended = threading.Event()

    def __call__(self, exchange: Exchange) -> None:
        piece = b"x" if self.pause else b"[1,2,3],\n" * 8_000
        length = "Transfer-Encoding: chunked" if self.chunked else f"Content-Length: {10**13}"
        exchange.send(f"HTTP/1.1 {self.status} Whatever\r\nContent-Type: {self.kind}\r\n{length}\r\n\r\n".encode())
        self.sent.append(0)
        # As much as a QuestDB would say of itself, and then more.
        piece = b"%x\r\n%b\r\n" % (len(piece), piece) if self.chunked else piece
        try:
            while not exchange.server.closing.wait(self.pause or 0):
                exchange.send(piece)
                self.sent[-1] += len(piece)
        finally:
            self.ended.set()
            exchange.hang_up()


def flooded(fake: FakeQuestDB, path: str, flood: Reply) -> None:
    if path == "write":
        fake.script = [flood] * 100
    else:
        setattr(fake, path, flood)


JSON, TEXT, HTML = "application/json", "text/plain", "text/html"


@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "length"])
@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("write", 400, JSON),
        ("write", 500, TEXT),
        ("write", 200, HTML),
        ("write", 302, HTML),
        ("settings", 200, JSON),
        ("settings", 401, TEXT),
        ("exec", 200, JSON),
        ("exec", 400, JSON),
    ],
)
def test_answers_without_an_end(path: str, status: int, kind: str, chunked: bool, fake: FakeQuestDB) -> None:
    flood = Flood(f"/{path}", status, chunked=chunked, kind=kind)
    flooded(fake, path, flood)
    with qf.connect(f"{fake.conf}retry_timeout=0;connections=1;") as client:
        client.ping()
        before, began = memory(), time.monotonic()
        if (path, status) == ("exec", 400):
            # Who may not look the table up may still write.
            assert client.write(frame(), table="t").rows == 3
        else:
            error = failure(client.write, frame(), table="t")
            assert len(str(error)) < 1_000
            assert len(error.server_message or "") <= 64 << 10
        assert time.monotonic() - began < 10
        assert memory() - before < 64 * MIB
        # The connection is dropped and not read to its end.
        assert flood.ended.wait(10)
        assert sum(flood.sent) < 64 * MIB
        fake.script, fake.exec = [], a_table
        fake.settings = answer_json(200, {"config": {"line.proto.support.versions": [1]}})
        assert client.write(frame(), table="t").rows == 3


@pytest.mark.parametrize("path", ["write", "settings", "exec"])
def test_answers_that_drip(path: str, fake: FakeQuestDB) -> None:
    """A byte now and then keeps no request alive beyond its time limit."""
    status = 200 if path == "exec" else 400
    flooded(fake, path, Flood(f"/{path}", status, chunked=True, kind=TEXT, pause=0.02))
    with qf.connect(f"{fake.conf}request_timeout=300;request_min_throughput=0;retry_timeout=0;") as client:
        began = time.monotonic()
        error = failure(client.write, frame(), table="t")
        assert time.monotonic() - began < 10
    assert error.unsent == (range(3),)


def test_headers_without_an_end(fake: FakeQuestDB) -> None:
    def heads(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 204 No Content\r\n")
        for number in itertools.count():
            exchange.send(b"X-%d: %b\r\n" % (number, b"y" * 1_000))

    fake.script = [heads]
    before, began = memory(), time.monotonic()
    error = failure(qf.write_questdb, frame(), fake.conf, table="t")
    assert time.monotonic() - began < 10
    assert memory() - before < 32 * MIB
    assert (error.code, error.doubtful) == (Code.SocketError, (range(3),))


@pytest.mark.parametrize("path", ["write", "settings", "exec"])
def test_compressed_answers_are_not_unpacked(path: str, fake: FakeQuestDB) -> None:
    bomb = gzip.compress(b'{"message": "' + b"a" * (100 * MIB) + b'"}')
    flooded(fake, path, answer(200 if path == "exec" else 400, bomb, content_type=JSON, content_encoding="gzip"))
    before = memory()
    error = failure(qf.write_questdb, frame(), f"{fake.conf}retry_timeout=0;", table="t")
    assert memory() - before < 16 * MIB
    assert "aaaa" not in str(error)
    assert all("accept-encoding" not in request.headers for request in fake.requests)


def test_control_characters_of_a_server_do_not_reach_a_terminal(fake: FakeQuestDB) -> None:
    words = "bad \x1b[31mred\x1b]0;title\x07 \x00\x08\x9b2J end"
    for reply in (
        answer_json(400, {"code": "invalid\x1b[1m", "message": words, "line": 0, "errorId": "id\x1b[2J"}),
        answer(400, words.encode(), content_type=TEXT),
        answer(302, b"", location="http://h/\x1b[31m"),
    ):
        fake.script = [reply]
        error = failure(qf.write_questdb, frame(), fake.conf, table="t")
        shown = str(error)
        assert not [c for c in shown if ord(c) < 32 or 127 <= ord(c) < 160], ascii(shown)
    # What the server said is there in full for who asks for it.
    fake.script = [answer_json(400, {"code": "invalid", "message": words, "line": 0})]
    assert failure(qf.write_questdb, frame(), fake.conf, table="t").server_message == words


# --- redirects ------------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere() -> Iterator[FakeQuestDB]:
    with FakeQuestDB() as elsewhere:
        yield elsewhere


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("path", ["settings", "exec", "write", "ping"])
def test_a_redirect_is_never_followed(path: str, status: int, fake: FakeQuestDB, elsewhere: FakeQuestDB) -> None:
    target = f"http://{HOST}:{elsewhere.port}/{path}?session=abc"
    flooded(fake, path, answer(status, b"", location=target))
    with qf.connect(f"{fake.conf}username=alice;password=s3cret;") as client:
        if path == "exec":
            # Who may not look the table up may still write.
            (told,) = [note for note in client.write(frame(), table="t").notes if "look" in note]
        else:
            told = str(failure(client.ping) if path == "ping" else failure(client.write, frame(), table="t"))
            assert "redirect" in told
            assert f"{HOST}:{elsewhere.port}/{path}" in told
    assert "session=abc" not in told
    assert "s3cret" not in told
    assert (elsewhere.requests, elsewhere.connections) == ([], 0)


def test_credentials_go_to_hosts_of_the_configuration_only(fake: FakeQuestDB, elsewhere: FakeQuestDB) -> None:
    """All hosts of `addr` get them, one after the other; nobody else does."""
    fake.script = [answer(503, b"busy")]
    with qf.connect(f"http::addr={HOST}:{fake.port},{HOST}:{elsewhere.port};token=secret;") as client:
        assert client.write(frame(), table="t").rows == 3
    for one in (fake, elsewhere):
        sent = {request.path: request.headers.get("authorization") for request in one.requests}
        assert sent == {"/settings": None, "/exec": "Bearer secret", "/write": "Bearer secret"}


def test_a_server_that_is_gone_leaves_no_socket(fake: FakeQuestDB) -> None:
    """The client's end of a flood is closed, too."""
    from process import held

    flood = Flood("/write", 400, chunked=True, kind=TEXT)
    fake.script = [flood]
    with qf.connect(fake.conf) as client:
        client.ping()
        before = held().sockets
        failure(client.write, frame(), table="t")
        assert eventually(lambda: held().sockets <= before)
