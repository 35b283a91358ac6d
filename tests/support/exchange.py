"""One request through the proxy: its fate, and the steps that a fault is made of. See `proxy`."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from wire import HANGUP, HOST, Bell, Gone, Head, Wire, events_of, push

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy import FaultProxy

#: How finely a drip is divided.
DROP_SECONDS = 0.02


class Request(NamedTuple):
    """A request whose head has been read. `number` counts those of its method and path from 0."""

    number: int
    connection: int
    method: str
    path: str
    size: int

    @property
    def is_write(self) -> bool:
        return (self.method, self.path) == ("POST", "/write")


@dataclass
class Fate:
    """What became of a request.

    Attributes:
        fault: the kind of what was done to it, or None.
        passed: bytes of its body that the server was given.
        whole: whether that was all of it, with its head.
        status: what the server answered.
        sent: bytes that the client's connection took.
        told: the status that the client was sent, made up or the server's own.
        delivered: whether the client's connection took all of an answer.
        done: whether nothing more will change here.
        body: its body, if bodies are kept and it was read at all.
    """

    request: Request
    fault: str | None = None
    passed: int = 0
    whole: bool = False
    status: int | None = None
    sent: int = 0
    told: int | None = None
    delivered: bool = False
    done: bool = False
    body: bytes = b""

    @property
    def stored(self) -> bool | None:
        """Whether the server has stored its rows; None where nobody can know without looking."""
        if not self.whole:
            return False
        if self.status is None or self.status >= 500:
            return None
        return self.status == 204


Fault = Callable[["Exchange"], None]
Plan = Callable[[Request], "Fault | None"]


class Exchange:
    """A request and its answer, as a list of steps for a fault to choose from."""

    def __init__(self, connection: Connection, head: Head, fate: Fate) -> None:
        self.proxy = connection.proxy
        self.request = fate.request
        self.fate = fate
        self.keep = not head.is_last()
        self._connection = connection
        self._client = connection.client
        self._head = head
        self._body = connection.client.body(head)
        self._rest = b""
        self._early = False

    # --- the request ---

    def pass_on(self, most: int | None = None, rate: int | None = None) -> None:
        """Give the server the request, or what is left of it: at most so many bytes of the body, at a rate."""
        server = self._connection.to_server()
        if self._head.raw and not self._early:
            raw, self._head = self._head.raw, self._head._replace(raw=b"")
            self._early = not push(server, raw)
        for piece in self._pieces(most):
            if not self._early:
                for drop in self._drops(piece, rate):
                    self._early = not push(server, drop)
                    if self._early:
                        break
                    self.fate.passed += len(drop)
        # A body in chunks has no size that is known before.
        self.fate.whole = not self._early and (most is None or self.fate.passed == self.request.size)

    def swallow(self, most: int | None = None) -> None:
        """Read what is left of the request, or so many bytes of the body, and pass none of it on."""
        for _ in self._pieces(most):
            pass

    def hold(self) -> None:
        """Read what is left of the request, to pass it on later."""
        self._rest = b"".join(self._pieces(None))

    def _pieces(self, most: int | None) -> Iterator[bytes]:
        while most is None or most > 0:
            piece = self._rest
            if not piece:
                piece = next(self._body, b"")
                if not piece:
                    return
                if self.proxy.keep_bodies:
                    self.fate.body += piece
            piece, self._rest = (piece, b"") if most is None else (piece[:most], piece[most:])
            if most is not None:
                most -= len(piece)
            yield piece

    # --- the answer ---

    def answer(self) -> Iterator[bytes]:
        """The server's answer in pieces, its head first."""
        server = self._connection.to_server()
        self._connection.wait_for_answer()
        head = server.head()
        if head is None:
            raise Gone
        self.fate.status = head.status
        # The server may have given up reading: what comes next on this connection, nobody knows.
        self.keep = self.keep and not self._early and not head.is_last()
        yield head.raw
        yield from server.body(head)

    def relay(self, rate: int | None = None) -> None:
        """Give the client the server's answer."""
        is_there = True
        # Read to its end even if the client has gone.
        for piece in self.answer():
            self.fate.told = self.fate.status
            for drop in self._drops(piece, rate) if is_there else ():
                is_there = is_there and self._send(drop)
        self.fate.delivered = is_there

    def collect(self) -> bytes:
        """The server's answer, kept from the client."""
        return b"".join(self.answer())

    def say(self, raw: bytes, told: int | None = None) -> bool:
        """Send the client this; `told` if it is a whole answer with this status. False if the client has gone."""
        is_there = self._send(raw)
        self.fate.told = told
        self.fate.delivered = is_there and told is not None
        return is_there

    def _send(self, data: bytes) -> bool:
        """A client that has gone is no reason to lose count of what the server does."""
        if not self._connection.is_open:
            return False
        try:
            self._client.sock.sendall(data)
        except OSError:
            self.keep = False
            return False
        self.fate.sent += len(data)
        return True

    # --- the connection ---

    def reset(self) -> None:
        """Reset the client's connection now."""
        self.keep = False
        self._connection.reset_client()

    def hang_up(self) -> None:
        """Close the connection when the fault is done, in order."""
        self.keep = False

    def wait(self, seconds: float | None) -> None:
        """Do nothing for so long, or until the client goes, or until `release()`."""
        self._connection.pause(seconds)

    def _drops(self, piece: bytes, rate: int | None) -> Iterator[bytes]:
        if rate is None:
            yield piece
            return
        size = max(1, int(rate * DROP_SECONDS))
        for at in range(0, len(piece), size):
            yield piece[at : at + size]
            self._connection.pause(size / rate, is_stall=False)


class Connection:
    """A client's connection and its own one to the server."""

    def __init__(self, proxy: FaultProxy, sock: socket.socket, number: int) -> None:
        self.proxy = proxy
        self.number = number
        self.client = Wire(sock)
        self.bell = Bell()
        self.is_stalled = False
        self._server: Wire | None = None
        self.is_open = True

    def serve(self) -> None:
        try:
            while self._is_request_next() and (head := self.client.head()) is not None:
                exchange = Exchange(self, head, self.proxy.fate_of(head, self.number))
                fault = self.proxy.choose(exchange.fate)
                try:
                    if fault is None:
                        exchange.pass_on()
                        exchange.relay()
                    else:
                        fault(exchange)
                except OSError:
                    # Whichever side broke, the other one sees a connection break.
                    self.reset_client()
                    return
                finally:
                    self.proxy.finish(exchange.fate)
                if not exchange.keep:
                    return
        except OSError:
            # The client went away between requests, or in the middle of a head.
            pass
        finally:
            self.proxy.forget(self)

    def _is_request_next(self) -> bool:
        """Wait for a request; false if the server closes its connection first, as ours has to end then, too."""
        if self.client.has_ahead() or self._server is None:
            return True
        watched = {self.client.sock: select.POLLIN, self._server.sock: select.POLLIN}
        return self.client.sock.fileno() in events_of(watched)

    def to_server(self) -> Wire:
        if self._server is None:
            sock = socket.create_connection((HOST, self.proxy.upstream))
            with self.proxy.changed:
                self._server = Wire(sock)
            if self.proxy.closing:
                raise Gone
        return self._server

    def wait_for_answer(self) -> None:
        """Wait for the server; a client that goes meanwhile no longer counts as connected."""
        server = self.to_server().sock
        while self.is_open:
            found = events_of({self.client.sock: HANGUP, server: select.POLLIN})
            if server.fileno() in found:
                return
            self._leave()

    def pause(self, seconds: float | None, *, is_stall: bool = True) -> None:
        """Wait; a stall ends early when the client goes or on `release()`, a drip drips on."""
        deadline = None if seconds is None else time.monotonic() + seconds
        with self.proxy.changed:
            self.bell.quiet()
            self.is_stalled = is_stall
            self.proxy.changed.notify_all()
        while not self.proxy.closing and (deadline is None or time.monotonic() < deadline):
            if is_stall and not self.is_open:
                break
            watched: dict[Bell | socket.socket, int] = {self.bell: select.POLLIN}
            if self.is_open:
                watched[self.client.sock] = HANGUP
            found = events_of(watched, None if deadline is None else deadline - time.monotonic())
            if self.is_open and self.client.sock.fileno() in found:
                self._leave()
            if self.bell.fileno() in found:
                break
        with self.proxy.changed:
            self.is_stalled = False
            self.proxy.changed.notify_all()

    def _leave(self) -> None:
        with self.proxy.changed:
            if self.is_open:
                self.is_open = False
                self.proxy.open -= 1
                self.proxy.changed.notify_all()

    def reset_client(self) -> None:
        """Reset the connection at once, with what it still holds."""
        self._leave()
        with contextlib.suppress(OSError):
            self.client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.sock.close()

    def interrupt(self, *, reset: bool) -> None:
        """Wake its thread out of every wait, from another thread. Closing a socket would not, and its number may be
        another's a moment later; so its own thread does that.
        """
        with contextlib.suppress(OSError):
            if reset:
                self.client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.client.sock.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            if self._server is not None:
                self._server.sock.shutdown(socket.SHUT_RDWR)
        self.bell.ring()

    def close(self) -> None:
        """By its own thread, with the proxy's lock held."""
        self._leave()
        self.client.sock.close()
        if self._server is not None:
            self._server.sock.close()
        self.bell.close()
