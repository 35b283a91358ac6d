"""A proxy before a real QuestDB that does to chosen requests what networks and servers do on bad days.

It passes bytes on as they come and reads just enough of them to know where requests and answers begin and end. What is
done to a request is a *fault* (see `faults`), chosen by a *plan*; what became of the request is kept as its *fate*.
Each connection of a client has one of its own to the server, since QuestDB keeps state for each.

Why threads: a fault reads as a list of steps, each of which may wait for a socket. Every wait ends when the proxy is
closed, so that its threads can be joined.
"""

from __future__ import annotations

import collections
import select
import socket
import threading
import time
from typing import TYPE_CHECKING

from exchange import Connection, Fate, Request
from wire import HOST, Bell, events_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from exchange import Fault, Plan
    from typing_extensions import Self
    from wire import Head


class FaultProxy:
    """The proxy; see the module.

    Attributes:
        upstream: the server's port.
        plan: chooses the fault of a request; called for one request at a time. Default: none.
        is_reset: whether a connection, by its number, is reset as soon as it is there. Default: none is.
        keep_bodies: whether fates keep their requests' bodies.
        fates: the fates of all requests so far, or of the latest `keep_fates`.
        open: connections of clients that are open now.
        connections: how many there have been.
        faults: how many requests had which fault.
        changed: notified whenever one of these changes.
    """

    def __init__(
        self,
        upstream: int,
        plan: Plan | None = None,
        *,
        keep_bodies: bool = False,
        keep_fates: int | None = None,
        receive_buffer: int | None = None,
    ) -> None:
        """`receive_buffer`: how many bytes of a request the kernel takes while nobody reads; about."""
        self.upstream = upstream
        self.plan: Plan = plan or (lambda _request: None)
        self.is_reset: Callable[[int], bool] = lambda _number: False
        self.keep_bodies = keep_bodies
        self.fates: collections.deque[Fate] = collections.deque(maxlen=keep_fates)
        self.open = 0
        self.connections = 0
        self.faults: collections.Counter[str] = collections.Counter()
        self.changed = threading.Condition(threading.RLock())
        self.closing = False
        self._counts: collections.Counter[tuple[str, str]] = collections.Counter()
        self._under_way = 0
        self._served: dict[Connection, threading.Thread] = {}
        self._receive_buffer = receive_buffer
        # Never listens; so nobody else gets the port while connections are refused.
        self._keeper = self._bound(0)
        self.port: int = self._keeper.getsockname()[1]
        self._listener: socket.socket | None = self._listening()
        self._is_wanted = True
        self._accept_at: float | None = None
        self._bell = Bell()
        self._thread = threading.Thread(target=self._accept, name="proxy-accept", daemon=True)
        self._thread.start()

    @property
    def conf(self) -> str:
        return f"http::addr={HOST}:{self.port};"

    def retarget(self, port: int) -> None:
        """The server is at another port from now on; connections that are there keep theirs."""
        self.upstream = port

    def refuse(self, seconds: float | None = None) -> None:
        """Refuse new connections, until `accept()` or for so long, and reset those that are there."""
        with self.changed:
            self._is_wanted = False
            self._accept_at = None if seconds is None else time.monotonic() + seconds
            self._bell.ring()
            self.changed.wait_for(lambda: self._listener is None or self.closing)
            served = [each for each, thread in self._served.items() if thread is not threading.current_thread()]
            for connection in served:
                connection.interrupt(reset=True)

    def accept(self) -> None:
        """Accept connections again, on the same port."""
        with self.changed:
            self._is_wanted = True
            self._bell.ring()
            self.changed.wait_for(lambda: self._listener is not None or self.closing)

    def is_accepting(self) -> bool:
        """Whether new connections are taken."""
        return self._listener is not None

    def release(self) -> None:
        """Let all go on that wait in a stall."""
        with self.changed:
            for connection in self._served:
                connection.bell.ring()

    def writes(self) -> list[Fate]:
        """The fates of `POST /write` so far."""
        with self.changed:
            return [fate for fate in self.fates if fate.request.is_write]

    def wait_for(self, condition: Callable[[], bool], seconds: float = 10.0) -> bool:
        """Whether the condition came true in time; it is looked at whenever something happens."""
        with self.changed:
            return self.changed.wait_for(condition, seconds)

    def settle(self, seconds: float = 30.0) -> bool:
        """Whether every request so far has come to its end in time: then the fates are final."""
        return self.wait_for(lambda: self._under_way == 0, seconds)

    def stalled(self) -> int:
        """How many requests wait in a stall."""
        with self.changed:
            return sum(each.is_stalled for each in self._served)

    def close(self) -> None:
        """Close all connections, and end all threads."""
        with self.changed:
            self.closing = True
            self._bell.ring()
            self.changed.notify_all()
        self._thread.join(10)
        with self.changed:
            served = dict(self._served)
            for connection in served:
                connection.interrupt(reset=False)
        for thread in served.values():
            thread.join(10)
        left = [thread.name for thread in (self._thread, *served.values()) if thread.is_alive()]
        if left:
            raise RuntimeError(f"threads of the proxy are left: {left}")
        self._keeper.close()
        self._bell.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- for connections ---

    def fate_of(self, head: Head, connection: int) -> Fate:
        method, target, _ = head.first.split()
        path = target.partition("?")[0]
        with self.changed:
            number = self._counts[method, path]
            self._counts[method, path] += 1
            size = int(head.headers.get("content-length", 0))
            fate = Fate(Request(number, connection, method, path, size))
            self.fates.append(fate)
            self._under_way += 1
            self.changed.notify_all()
        return fate

    def choose(self, fate: Fate) -> Fault | None:
        with self.changed:
            fault = self.plan(fate.request)
            if fault is not None:
                fate.fault = str(fault)
                self.faults[fate.fault] += 1
        return fault

    def finish(self, fate: Fate) -> None:
        with self.changed:
            fate.done = True
            self._under_way -= 1
            self.changed.notify_all()

    def forget(self, connection: Connection) -> None:
        with self.changed:
            self._served.pop(connection)
            connection.close()
            self.changed.notify_all()

    # --- accepting ---

    def _bound(self, port: int) -> socket.socket:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if self._receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        sock.bind((HOST, port))
        return sock

    def _listening(self) -> socket.socket:
        sock = self._bound(self.port)
        sock.listen(128)
        return sock

    def _accept(self) -> None:
        """Owns the listener: a socket must not be closed while another thread waits for it."""
        while True:
            watched: dict[Bell | socket.socket, int] = {self._bell: select.POLLIN}
            if self._listener is not None:
                watched[self._listener] = select.POLLIN
            due = self._accept_at
            found = events_of(watched, None if due is None else due - time.monotonic())
            with self.changed:
                if self._bell.fileno() in found:
                    self._bell.quiet()
                if self.closing:
                    if self._listener is not None:
                        self._listener.close()
                    return
                if self._accept_at is not None and time.monotonic() >= self._accept_at:
                    self._accept_at, self._is_wanted = None, True
                if self._is_wanted and self._listener is None:
                    self._listener = self._listening()
                elif not self._is_wanted and self._listener is not None:
                    self._listener.close()
                    self._listener = None
                elif self._listener is not None and self._listener.fileno() in found:
                    self._take(self._listener.accept()[0])
                self.changed.notify_all()

    def _take(self, sock: socket.socket) -> None:
        number = self.connections
        self.connections += 1
        self.open += 1
        connection = Connection(self, sock, number)
        if self.is_reset(number):
            connection.reset_client()
            connection.close()
            return
        thread = threading.Thread(target=connection.serve, name=f"proxy-{number}", daemon=True)
        self._served[connection] = thread
        thread.start()
