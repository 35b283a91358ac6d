"""A link between a client and a server: as it is, far away, or with one slow connection; and what went over it.

Bytes are passed on as they come, by threads, each connection of the client over one of its own to the server. `delay`
is the time that each byte is under way, in each direction, so a round trip takes twice as long; making the connection
does not. `slow` is the rate of one connection, the first that carries more than questions. At most `WINDOW` bytes of a
connection are under way, as much as Linux' own buffers would hold, so a far link limits its connections as real ones
do.

The link costs processor time of its own: compare only what went over one.
"""

from __future__ import annotations

import contextlib
import queue
import re
import socket
import threading
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "127.0.0.1"
CHUNK = 64 << 10
WINDOW = 4 << 20
OPENING = 1 << 10


@dataclass(slots=True)
class Recorded:
    """A request that went over a link: its head, and of its body size, checksum and the first bytes."""

    head: bytes
    size: int
    crc: int = 0
    opening: bytes = b""


class Recorder:
    """Takes the bytes of one connection apart into requests, each with a `Content-Length` or without a body."""

    def __init__(self, keep: Callable[[Recorded], None]) -> None:
        """`keep` is called with each request once all of it has come."""
        self._keep = keep
        self._head = b""
        self._request: Recorded | None = None
        self._left = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        while chunk:
            if self._request is None:
                head, end, chunk = (self._head + chunk).partition(b"\r\n\r\n")
                if not end:
                    self._head = head
                    return
                self._head = b""
                found = re.search(rb"(?im)^content-length: *(\d+)", head)
                self._left = int(found[1]) if found else 0
                self._request = Recorded(head + end, self._left)
            request, body, chunk = self._request, chunk[: self._left], chunk[self._left :]
            request.crc = zlib.crc32(body, request.crc)
            request.opening += body[: OPENING - len(request.opening)]
            self._left -= len(body)
            if not self._left:
                self._keep(request)
                self._request = None


class Link:
    """The link; leaving it as a context manager closes it. `writes` has the writes that it passed on, if it records."""

    def __init__(
        self,
        upstream: int,
        *,
        delay: float = 0.0,
        slow: float | None = None,
        records: bool = False,
    ) -> None:
        """`upstream`: the server's port. `delay` in seconds, `slow` in bytes a second."""
        self.writes: list[Recorded] = []
        self._upstream = upstream
        self._delay = delay
        self._slow = slow
        self._lock = threading.Lock()
        self._records = records
        self._open: list[socket.socket] = []
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener is closed to end this
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection((HOST, self._upstream))
                self._open += [client, server]
                recorder = Recorder(self._keep) if self._records else None
                self._carry(client, server, recorder)
                self._carry(server, client)

    def _keep(self, request: Recorded) -> None:
        if request.head.startswith(b"POST /write"):
            self.writes.append(request)

    def _claim_slow(self) -> float | None:
        with self._lock:
            slow, self._slow = self._slow, None
        return slow

    def _carry(self, source: socket.socket, sink: socket.socket, recorder: Recorder | None = None) -> None:
        sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        under_way: queue.Queue[tuple[float, bytes]] = queue.Queue(WINDOW // CHUNK)

        def take() -> None:
            chunk = b"-"
            while chunk:
                try:
                    chunk = source.recv(CHUNK)
                except OSError:
                    chunk = b""
                if recorder is not None:
                    recorder.feed(chunk)
                under_way.put((time.monotonic() + self._delay, chunk))

        def give() -> None:
            rate: float | None = None
            carried, free = 0, 0.0
            with contextlib.suppress(OSError):
                while True:
                    due, chunk = under_way.get()
                    pause = max(due, free) - time.monotonic()
                    if pause > 0:
                        time.sleep(pause)
                    if not chunk:
                        break
                    sink.sendall(chunk)
                    carried += len(chunk)
                    if rate is None and carried > CHUNK:
                        rate = self._claim_slow()
                    if rate is not None:
                        free = max(free, time.monotonic()) + len(chunk) / rate
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

        for work in (take, give):
            threading.Thread(target=work, daemon=True).start()
