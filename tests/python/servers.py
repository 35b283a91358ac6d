"""Servers that tests put in the place of a QuestDB: one that answers by script, and a proxy before a real one.

Plain sockets and threads: a test has to see on which connection a request came, and to answer badly in every way.
"""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

HOST = "127.0.0.1"
SETTINGS = {
    "config": {"release.version": "9.3.4", "line.proto.support.versions": [1, 2, 3], "cairo.max.file.name.length": 127}
}


class Request(NamedTuple):
    """A request as it came; `connection` counts the connections of the server from 0.

    A compressed body is shown as it was before; `size` is that of the bytes that came.
    """

    connection: int
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    size: int


class Exchange:
    """A request that waits for its answer."""

    def __init__(self, server: HttpServer, request: Request, sock: socket.socket) -> None:
        self.server = server
        self.request = request
        self.sock = sock
        self.keep = True

    def send(self, raw: bytes) -> None:
        self.sock.sendall(raw)

    def hang_up(self) -> None:
        """Close the connection after the answer, in order."""
        self.keep = False

    def reset(self) -> None:
        """Close the connection at once, with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.keep = False


Reply = Callable[[Exchange], None]


def head(status: int, length: int | None, headers: dict[str, str]) -> bytes:
    if length is not None:
        headers = {"Content-Length": str(length), **headers}
    lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, 'Strange')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer(status: int, body: bytes = b"", **headers: str) -> Reply:
    """Answer in full; `content_type="text/html"` and so on are headers."""
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    # A 204 has no length, and a client that keeps the connection knows it.
    length = None if status == 204 else len(body)
    return lambda exchange: exchange.send(head(status, length, named) + body)


def answer_json(status: int, value: object) -> Reply:
    return answer(status, json.dumps(value).encode(), content_type="application/json; charset=utf-8")


stored = answer(204)


def refused(line: int, message: str, *, status: int = 400, code: str = "invalid") -> Reply:
    """Refuse a line of the request in the words of QuestDB 9.3.4."""
    text = f"failed to parse line protocol:errors encountered on line(s):\nerror in line {line}: {message}"
    return answer_json(status, {"code": code, "message": text, "line": line, "errorId": "05d46391a354-850"})


def cut_short(status: int, body: bytes, missing: int = 10, **headers: str) -> Reply:
    """Announce more than is sent, then close."""
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}

    def reply(exchange: Exchange) -> None:
        exchange.send(head(status, len(body) + missing, named) + body)
        exchange.hang_up()

    return reply


def raw(text: bytes) -> Reply:
    """Send exactly this, then close."""

    def reply(exchange: Exchange) -> None:
        exchange.send(text)
        exchange.hang_up()

    return reply


def reset(exchange: Exchange) -> None:
    """Reset the connection once the whole request is there."""
    exchange.reset()


def silent(exchange: Exchange) -> None:
    """Never answer: wait until the client goes, or the server is closed."""
    exchange.sock.settimeout(None)
    try:
        while exchange.sock.recv(1024):
            pass
    except OSError:
        pass
    exchange.hang_up()


def after(seconds: float, reply: Reply = stored) -> Reply:
    """Answer late."""

    def late(exchange: Exchange) -> None:
        exchange.server.closing.wait(seconds)
        reply(exchange)

    return late


class HttpServer(ABC):
    """Reads requests, one thread a connection, and lets `handle` answer them. Every request is kept."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.changed = threading.Condition()
        self.closing = threading.Event()
        self._listener = socket.create_server((HOST, port))
        self._sockets: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def conf(self) -> str:
        return f"http::addr={HOST}:{self.port};"

    @abstractmethod
    def handle(self, exchange: Exchange) -> None:
        """Answer one request."""

    def of(self, path: str) -> list[Request]:
        """The requests to this path so far."""
        with self.changed:
            return [request for request in self.requests if request.path == path]

    @property
    def writes(self) -> list[bytes]:
        """The bodies posted so far."""
        return [request.body for request in self.of("/write")]

    @property
    def open(self) -> int:
        """The connections that are open."""
        with self.changed:
            return len(self._sockets)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 10.0) -> bool:
        """Whether the condition came true in time; it is looked at whenever something happens."""
        with self.changed:
            return self.changed.wait_for(condition, seconds)

    def close(self) -> None:
        self.closing.set()
        with self.changed:
            self.changed.notify_all()
        # Wakes `accept`, which a closed socket would leave asleep.
        with socket.create_connection((HOST, self.port)):
            pass
        self._threads[0].join(10)
        for sock in list(self._sockets):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads[1:]:
            thread.join(10)
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self.closing.is_set():
                sock.close()
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.changed:
                number = self.connections
                self.connections += 1
                self._sockets.add(sock)
            thread = threading.Thread(target=self._serve, args=(sock, number), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            with sock, sock.makefile("rb") as reader:
                while (request := read_request(reader, number)) is not None:
                    with self.changed:
                        self.requests.append(request)
                        self.changed.notify_all()
                    exchange = Exchange(self, request, sock)
                    self.handle(exchange)
                    if not exchange.keep:
                        return
        except OSError:
            # The client went away, or a test is over.
            pass
        finally:
            with self.changed:
                self._sockets.discard(sock)
                self.changed.notify_all()


def read_request(reader: object, connection: int) -> Request | None:
    """The next request of a connection, or None at its end."""
    readline, read = reader.readline, reader.read  # type: ignore[attr-defined]
    line = readline()
    if not line:
        return None
    method, target, _ = line.decode("latin-1").split()
    headers = {}
    while (line := readline().decode("latin-1").strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    path, _, query = target.partition("?")
    body = read(int(headers.get("content-length", 0)))
    size = len(body)
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    return Request(connection, method, path, query, headers, body, size)


#: A table that is there: the answer to every question about it.
a_table = answer_json(
    200,
    {
        "query": "",
        "columns": [{"name": name, "type": "STRING"} for name in ("id", "column", "type", "designated")],
        "dataset": [[1, "timestamp", "TIMESTAMP", True]],
    },
)


class FakeQuestDB(HttpServer):
    """Answers as a QuestDB with no tables, but for what a test scripts.

    Attributes:
        script: the replies to `POST /write`, one after the other; then every write is stored.
        settings: the reply to `GET /settings`.
        ping: the reply to `GET /ping`.
        exec: the reply to `GET /exec`.
    """

    def __init__(self, *script: Reply, port: int = 0) -> None:
        self.script = list(script)
        self.settings = answer_json(200, SETTINGS)
        self.ping = answer(204, x_influxdb_version="v2.7.4")
        self.exec = a_table
        super().__init__(port)

    def handle(self, exchange: Exchange) -> None:
        request = exchange.request
        known = {
            ("GET", "/settings"): self.settings,
            ("GET", "/ping"): self.ping,
            ("GET", "/exec"): self.exec,
        }
        if (request.method, request.path) == ("POST", "/write"):
            with self.changed:
                reply = self.script.pop(0) if self.script else stored
        else:
            reply = known.get((request.method, request.path), answer(404, b"Not Found"))
        reply(exchange)


class Proxy(HttpServer):
    """Passes requests on to a real server; may hold one write back.

    The write whose body satisfies `hold` is kept until another one has been answered by the server, or until none has
    come for `patience` seconds: so whatever may overtake it does. Where something is to overtake it, `patience` must
    be long: machines may be busy.

    Attributes:
        most: the most writes that were unanswered at once.
    """

    def __init__(self, upstream: int, hold: Callable[[bytes], bool], patience: float = 0.25) -> None:
        self.upstream = upstream
        self.hold = hold
        self.patience = patience
        self.most = 0
        self.overtaken = False
        self._unanswered = 0
        self._answered = 0
        super().__init__()

    def handle(self, exchange: Exchange) -> None:
        if exchange.request.path != "/write":
            self._pass_on(exchange)
            return
        with self.changed:
            self._unanswered += 1
            self.most = max(self.most, self._unanswered)
            answered = self._answered
            self.changed.notify_all()
        if self.hold(exchange.request.body):
            self._wait_to_be_overtaken(answered)
        status, headers, body = self._ask(exchange.request)
        with self.changed:
            self._unanswered -= 1
            self._answered += 1
            self.changed.notify_all()
        exchange.send(head(status, None if status == 204 else len(body), headers) + body)

    def _wait_to_be_overtaken(self, answered: int) -> None:
        with self.changed:
            # First a second write must come at all; then the server's answer to it is only a matter of time.
            if self.changed.wait_for(lambda: self._unanswered > 1 or self._answered > answered, self.patience):
                self.overtaken = self.changed.wait_for(lambda: self._answered > answered, 30)

    def _pass_on(self, exchange: Exchange) -> None:
        status, headers, body = self._ask(exchange.request)
        exchange.send(head(status, None if status == 204 else len(body), headers) + body)

    def _ask(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(HOST, self.upstream, timeout=60)
        try:
            target = request.path + (f"?{request.query}" if request.query else "")
            kept = {name: value for name, value in request.headers.items() if name not in {"host", "connection"}}
            connection.request(request.method, target, request.body or None, kept)
            response = connection.getresponse()
            headers = {"Content-Type": response.headers.get("Content-Type", "text/plain")}
            return response.status, headers, response.read()
        finally:
            connection.close()


class Gate(Proxy):
    """A proxy that lets some statements through and forbids the others."""

    def __init__(self, upstream: int, closed: Callable[[str], bool], reply: Reply) -> None:
        self.closed = closed
        self.reply = reply
        super().__init__(upstream, lambda _body: False)

    def handle(self, exchange: Exchange) -> None:
        if exchange.request.path == "/exec" and self.closed(exchange.request.query):
            self.reply(exchange)
        else:
            super().handle(exchange)


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
