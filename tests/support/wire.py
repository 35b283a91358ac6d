"""Just enough HTTP/1.1 to know where requests and answers begin and end; the bytes themselves stay what they were."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"
PIECE = 256 << 10
#: The other side has closed its half, or all of it; elsewhere than on Linux only a read tells.
HANGUP: int = getattr(select, "POLLRDHUP", 0)


class Gone(OSError):
    """The other side closed in the middle of something."""


class Head(NamedTuple):
    """The first line and the headers of a message, and their bytes as they came."""

    raw: bytes
    first: str
    headers: dict[str, str]

    @property
    def status(self) -> int:
        return int(self.first.split()[1])

    def is_last(self) -> bool:
        """Whether the connection ends with this message."""
        return self.headers.get("connection", "").lower() == "close" or self.first.startswith("HTTP/1.0")


class Wire:
    """A socket that is read in lines and pieces."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._ahead = bytearray()

    def has_ahead(self) -> bool:
        """Whether bytes have been read that nobody has taken yet."""
        return bool(self._ahead)

    def _more(self) -> bool:
        found = self.sock.recv(PIECE)
        self._ahead += found
        return bool(found)

    def piece(self, most: int) -> bytes:
        """The next bytes, at most so many."""
        if self._ahead:
            found = bytes(self._ahead[:most])
            del self._ahead[: len(found)]
            return found
        # The common way of large bodies, without the copy.
        found = self.sock.recv(min(most, PIECE))
        if not found:
            raise Gone
        return found

    def until(self, end: bytes) -> bytes:
        """Everything up to this mark and with it; nothing if the other side closed before it began."""
        searched = 0
        while (at := self._ahead.find(end, searched)) < 0:
            searched = max(0, len(self._ahead) - len(end))
            if not self._more():
                if self._ahead:
                    raise Gone
                return b""
        found = bytes(self._ahead[: at + len(end)])
        del self._ahead[: len(found)]
        return found

    def head(self) -> Head | None:
        """The next message's head; None at the end of the connection."""
        raw = self.until(b"\r\n\r\n")
        if not raw:
            return None
        first, *lines = raw.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines if line)
        return Head(raw, first, {name.lower(): value.strip() for name, _, value in pairs})

    def counted(self, length: int) -> Iterator[bytes]:
        """A body of this length."""
        while length:
            piece = self.piece(length)
            length -= len(piece)
            yield piece

    def chunked(self) -> Iterator[bytes]:
        """A body in chunks, framing and all."""
        while True:
            line = self.until(b"\r\n")
            if not line:
                raise Gone
            yield line
            size = int(line.split(b";")[0], 16)
            if size:
                yield from self.counted(size + 2)
                continue
            # Trailers, up to an empty line.
            while line != b"\r\n":
                line = self.until(b"\r\n")
                if not line:
                    raise Gone
                yield line
            return

    def body(self, head: Head) -> Iterator[bytes]:
        """The body of the message with this head."""
        if head.headers.get("transfer-encoding", "").lower() == "chunked":
            yield from self.chunked()
        elif "content-length" in head.headers:
            yield from self.counted(int(head.headers["content-length"]))
        elif head.first.startswith("HTTP/") and head.status not in {204, 304} and head.status >= 200:
            # An answer without a length ends with its connection.
            while True:
                try:
                    yield self.piece(PIECE)
                except Gone:
                    return


def push(wire: Wire, data: bytes) -> bool:
    """Send all of it; False if the other side answers, or has closed, before it has read it."""
    poll = select.poll()
    poll.register(wire.sock, select.POLLIN | select.POLLOUT)
    view = memoryview(data)
    while view:
        ((_, events),) = poll.poll()
        if events & ~select.POLLOUT:
            return False
        # Never more than there is room for, or an early answer would go unnoticed.
        view = view[wire.sock.send(view, socket.MSG_DONTWAIT) :]
    return True


class Bell:
    """An event that can be waited for together with sockets."""

    def __init__(self) -> None:
        self._hears, self._rings = os.pipe()
        os.set_blocking(self._hears, False)

    def fileno(self) -> int:
        return self._hears

    def ring(self) -> None:
        os.write(self._rings, b"!")

    def quiet(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._hears, 1 << 10)

    def close(self) -> None:
        os.close(self._hears)
        os.close(self._rings)


def events_of(watched: dict[Bell | socket.socket, int], seconds: float | None = None) -> dict[int, int]:
    """Wait until something happens at one of these (or for so long): which events, by file number."""
    poll = select.poll()
    for each, events in watched.items():
        poll.register(each, events)
    return dict(poll.poll(None if seconds is None else max(0.0, seconds * 1e3)))
