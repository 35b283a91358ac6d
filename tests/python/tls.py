"""TLS in front of a server that speaks plain HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trustme
    from typing_extensions import Self


def context_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """The server's side of TLS with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


class TlsProxy:
    """Decrypts what arrives on `port` and passes it on to a plain port, and back.

    Attributes:
        port: where it listens.
        hellos: how many handshakes were begun.
        connections: how many were completed.
    """

    def __init__(self, target: int, context: ssl.SSLContext) -> None:
        self.port = self.hellos = self.connections = 0
        context.sni_callback = self._hello
        self._target, self._context = target, context
        self._transports: set[asyncio.WriteTransport] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._started.wait(10)

    async def _run(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._ended.wait()
        server.close()
        for transport in self._transports:
            transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _hello(self, *_: object) -> None:
        self.hellos += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        to_server, from_server = await asyncio.open_connection("127.0.0.1", self._target)
        self._transports |= {writer.transport, from_server.transport}
        with contextlib.suppress(OSError):
            await asyncio.gather(pump(reader, from_server), pump(to_server, writer))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
