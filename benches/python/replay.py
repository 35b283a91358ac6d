"""Replays of ready-made requests: what the server takes from a client that does nothing but send.

The lines of a frame are rendered once (`questframe.to_ilp`); a *cut* says where each request ends. Sent they are by raw
sockets, head and body as they are, each connection by a thread that takes the next request in row order as soon as its
last one was acknowledged: as our client does with a frame sorted by time. So no replay spends time on a frame, and none
sends a row before an earlier request has left.

`recorded` finds the cut that our client makes, by a link that records it; `even` makes one of any other size, at the
ends of lines. The head is always the one that our client sent.
"""

from __future__ import annotations

import re
import socket
import threading
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from link import HOST, Link

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a frame into `table`, and the head of a request with them."""

    table: str
    body: bytes
    head: bytes


def recorded(server: qf.local.QuestDB, frame: pl.DataFrame, at: str, table: str) -> tuple[Lines, list[int]]:
    """Write a frame by our client, with its defaults, into `table`, which must be there; give its lines and its cut.

    What went over the wire must be what `to_ilp` renders: a replay then sends our client's bytes.
    """
    with Link(port_of(server), records=True) as link, qf.connect(f"http::addr={HOST}:{link.port};") as client:
        report = client.write(frame, table=table, at=at)
        writes = list(link.writes)
    body = qf.to_ilp(frame, table=table, at=at, protocol_version=report.protocol_version)
    view = memoryview(body)
    ends: list[int] = []
    start = 0
    while start < len(body):
        found = next(write for write in writes if body.startswith(write.opening, start))
        assert zlib.crc32(view[start : start + found.size]) == found.crc, "to_ilp renders other bytes than were sent"
        start += found.size
        ends.append(start)
    assert len(ends) == len(writes) == report.requests
    return Lines(table, body, writes[0].head), ends


def port_of(server: qf.local.QuestDB) -> int:
    """Give the port that the server takes requests at."""
    return urlsplit(server.http_url).port or 80


def even(lines: Lines, size: int) -> list[int]:
    """Cut into requests of at most `size` bytes, each as large as whole lines make it."""
    body = lines.body
    opening = b"\n%s," % lines.table.encode()  # a newline alone may be a byte of a float
    ends = [0]
    while len(body) - ends[-1] > size:
        ends.append(body.rindex(opening, ends[-1], ends[-1] + size) + 1)
    return [*ends[1:], len(body)]


class Replay:
    """Requests that are ready, over connections that are open; `run` sends them, once.

    The connections are new, since a kept one loses rows of a table that was dropped and made again (QuestDB 9.3.4).
    """

    def __init__(self, port: int, lines: Lines, ends: Sequence[int], connections: int) -> None:
        """Connect."""
        view = memoryview(lines.body)
        starts = (0, *ends[:-1])
        bodies = [view[start:end] for start, end in zip(starts, ends, strict=True)]
        self._requests = iter([(head_for(lines.head, len(body)), body) for body in bodies])
        self._sockets = [socket.create_connection((HOST, port)) for _ in range(connections)]
        for sock in self._sockets:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lock = threading.Lock()
        self._failures: list[BaseException] = []

    def run(self) -> None:
        """Send all; return when all are acknowledged."""
        threads = [threading.Thread(target=self._serve, args=(sock,)) for sock in self._sockets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def _serve(self, sock: socket.socket) -> None:
        try:
            with sock:
                while True:
                    with self._lock:
                        request = next(self._requests, None)
                    if request is None:
                        return
                    post(sock, *request)
        except BaseException as failure:  # noqa: BLE001 - raised by `run`
            self._failures.append(failure)


def head_for(head: bytes, size: int) -> bytes:
    """Give the head for a body of another size."""
    return re.sub(rb"(?im)^(content-length: *)\d+", rb"\g<1>%d" % size, head)


def post(sock: socket.socket, head: bytes, body: memoryview) -> None:
    """Send one request and wait until it is acknowledged."""
    sent = sock.sendmsg([head, body])
    if sent < len(head):
        sock.sendall(head[sent:])
    sock.sendall(body[max(sent - len(head), 0) :])
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        more = sock.recv(1 << 16)
        answer += more
        if not more or not answer.startswith(b"HTTP/1.1 204"[: len(answer)]):
            raise RuntimeError(f"a request of the replay was not stored: {answer[:500]!r}")
