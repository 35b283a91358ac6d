"""Faults for the proxy, and plans that choose among them.

Each fault says what the client sees and what the server has, since that is what a test has to know. A fault of which
`may_store` is true leaves the client unable to tell whether its rows were stored.
"""

from __future__ import annotations

import collections
import json
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wire import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exchange import Exchange, Fault, Plan, Request

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
REASONS = {200: "OK", 204: "No Content", 302: "Found", 503: "Service Unavailable"}


def head(status: int, length: int | None, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Made Up')}"]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Named:
    """Faults are counted by these names."""

    def __str__(self) -> str:
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()


# --- connections ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refuse(Named):
    """Reset every connection, and refuse new ones for so long, or until `accept()`. Nothing is passed on."""

    seconds: float | None = 0.1

    def __call__(self, exchange: Exchange) -> None:
        exchange.proxy.refuse(self.seconds)
        exchange.reset()


@dataclass(frozen=True)
class ResetUnread(Named):
    """Reset the connection when no more than the head has been read. Nothing is passed on."""

    def __call__(self, exchange: Exchange) -> None:
        exchange.reset()


@dataclass(frozen=True)
class ResetInBody(Named):
    """Reset the connection when part of the body has been read, and passed on or not: half of it, or so many bytes.

    The last byte is never read, so the server has no whole request.
    """

    after: int | None = None
    pass_on: bool = True

    def __call__(self, exchange: Exchange) -> None:
        size = exchange.request.size
        part = min(size // 2 if self.after is None else self.after, size - 1)
        if self.pass_on:
            exchange.pass_on(part)
        else:
            exchange.swallow(part)
        exchange.reset()


@dataclass(frozen=True)
class LoseRequest(Named):
    """Reset the connection when all of the request has been read, none of it passed on."""

    def __call__(self, exchange: Exchange) -> None:
        exchange.swallow()
        exchange.reset()


@dataclass(frozen=True)
class LoseAnswer(Named):
    """Reset the connection when the server has been given the whole request: after its answer, or before it."""

    wait: bool = True

    def __call__(self, exchange: Exchange) -> None:
        exchange.pass_on()
        if self.wait:
            exchange.collect()
            exchange.reset()
        else:
            exchange.reset()
            exchange.collect()


# --- time -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StallRequest(Named):
    """Stop reading after so many bytes of the body, for so long or until `release()`; then go on as if nothing was."""

    after: int = 0
    seconds: float | None = None

    def __call__(self, exchange: Exchange) -> None:
        exchange.pass_on(min(self.after, exchange.request.size - 1))
        exchange.wait(self.seconds)
        exchange.pass_on()
        exchange.relay()


@dataclass(frozen=True)
class StallAnswer(Named):
    """Keep the answer back for so long, or until `release()`; then deliver it. With `pass_on=False` the server is
    given the request only then.
    """

    seconds: float | None = None
    pass_on: bool = True

    def __call__(self, exchange: Exchange) -> None:
        if self.pass_on:
            exchange.pass_on()
            answer = exchange.collect()
            exchange.wait(self.seconds)
            exchange.say(answer, exchange.fate.status)
        else:
            exchange.hold()
            exchange.wait(self.seconds)
            exchange.pass_on()
            exchange.relay()


@dataclass(frozen=True)
class Drip(Named):
    """Pass request or answer, or both, on at so many bytes a second."""

    request: int | None = None
    answer: int | None = None

    def __call__(self, exchange: Exchange) -> None:
        exchange.pass_on(rate=self.request)
        exchange.relay(rate=self.answer)


# --- answers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Status(Named):
    """Answer with this status. The server has nothing, or with `pass_on` has answered something else.

    `early`: the answer comes before the body is read. `hang_up`: the connection is closed afterwards.
    """

    status: int
    body: bytes = b"made up"
    content_type: str = TEXT
    pass_on: bool = False
    early: bool = False
    hang_up: bool = False

    def __str__(self) -> str:
        return f"status_{self.status}" + ("_stored" if self.pass_on else "")

    def __call__(self, exchange: Exchange) -> None:
        raw = head(self.status, None if self.status == 204 else len(self.body), content_type=self.content_type)
        if self.early:
            exchange.say(raw + self.body, self.status)
        if self.pass_on:
            exchange.pass_on()
            exchange.collect()
        else:
            exchange.swallow()
        if not self.early:
            exchange.say(raw + self.body, self.status)
        if self.hang_up:
            exchange.hang_up()


@dataclass(frozen=True)
class Redirect(Named):
    """Send the client to another port. The server has nothing."""

    port: int

    def __call__(self, exchange: Exchange) -> None:
        exchange.swallow()
        target = f"http://{HOST}:{self.port}{exchange.request.path}"
        exchange.say(head(302, 0, location=target), 302)


@dataclass(frozen=True)
class Raw(Named):
    """Send exactly this and close the connection. The server has nothing, or with `pass_on` has answered."""

    text: bytes = b"\x00\xff SSH-2.0-OpenSSH_9\r\n\r\n"
    pass_on: bool = True
    name: str = "garbage"

    def __str__(self) -> str:
        return self.name

    def __call__(self, exchange: Exchange) -> None:
        if self.pass_on:
            exchange.pass_on()
            exchange.collect()
        else:
            exchange.swallow()
        exchange.say(self.text)
        exchange.hang_up()


@dataclass(frozen=True)
class CutHead(Named):
    """Deliver half of the head of the server's own answer, and close the connection."""

    def __call__(self, exchange: Exchange) -> None:
        exchange.pass_on()
        answer = exchange.collect()
        exchange.say(answer[: answer.index(b"\r\n\r\n") // 2])
        exchange.hang_up()


def cut_body(status: int, body: bytes = b"half of", missing: int = 10, *, pass_on: bool = True) -> Raw:
    """Answer with this status and more body announced than sent, and close the connection."""
    return Raw(head(status, len(body) + missing, content_type=TEXT) + body, pass_on, f"cut_body_{status}")


@dataclass(frozen=True)
class Doubled(Named):
    """Deliver the server's answer twice: the second one must not be taken for that of the next request."""

    def __call__(self, exchange: Exchange) -> None:
        exchange.pass_on()
        exchange.say(exchange.collect() * 2, exchange.fate.status)


@dataclass(frozen=True)
class Flood(Named):
    """Answer with a body of gigabytes, until the client has enough of it. The server has nothing."""

    status: int = 500
    size: int = 4 << 30
    content_type: str = TEXT
    text: bytes = b"blah "

    def __call__(self, exchange: Exchange) -> None:
        exchange.swallow()
        piece = (self.text * ((1 << 20) // len(self.text) + 1))[: 1 << 20]
        is_there = exchange.say(head(self.status, self.size, content_type=self.content_type))
        left = self.size
        while is_there and left:
            is_there = exchange.say(piece[:left])
            left -= len(piece[:left])
        if is_there:
            exchange.say(b"", self.status)


def settings(**config: object) -> Status:
    """The answer of a server with these settings."""
    return Status(200, json.dumps({"config": config}).encode(), JSON)


# --- plans ------------------------------------------------------------------------------------------------------------


def script(*faults: Fault | None, path: str = "/write") -> Plan:
    """These faults for the requests to a path from now on, one after the other; then none."""
    left = collections.deque(faults)
    return lambda request: left.popleft() if request.path == path and left else None


def numbered(faults: dict[int, Fault]) -> Plan:
    """Faults for the writes with these numbers."""
    return lambda request: faults.get(request.number) if request.is_write else None


def always(fault: Fault, path: str = "/write") -> Plan:
    """The same fault for all requests to a path."""
    return lambda request: fault if request.path == path else None


def dice(seed: int, faults: Sequence[Fault], share: float, applies: Callable[[Request], bool] = lambda _: True) -> Plan:
    """For this share of the requests that it applies to, one of the faults. The same for the same seed and order."""
    generator = random.Random(seed)
    return lambda request: generator.choice(faults) if applies(request) and generator.random() < share else None


def first_of(*plans: Plan) -> Plan:
    """The fault of the first plan that has one."""
    return lambda request: next((fault for plan in plans if (fault := plan(request)) is not None), None)
