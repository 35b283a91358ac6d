"""Senders that log in and encrypt, against real servers: every transport, with passwords and keys."""

from __future__ import annotations

import socket
import threading
import time
import urllib.parse
from typing import TYPE_CHECKING, Any

import pytest
from conftest import PASSWORD, USER
from servers import HOST
from test_tcp import KEY_ID, OTHER_D, OTHER_X, OTHER_Y, D, X, Y, keyed
from tls import TlsProxy

from questframe.ingress import IngressError, IngressErrorCode, Protocol, Sender, TimestampMicros, TlsCa

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from questframe.local import QuestDB

__all__ = ["keyed"]

KEY = {"username": KEY_ID, "token": D, "token_x": X, "token_y": Y}
LOGIN = {"username": USER, "password": PASSWORD}


def http_port(server: QuestDB) -> int:
    return urllib.parse.urlsplit(server.http_url).port or 0


def add(sender: Sender, table: str, rows: int = 10) -> None:
    for row in range(rows):
        sender.row(table, symbols={"s": "a"}, columns={"n": row}, at=TimestampMicros(10**15 + row))


def flush_until_noticed(sender: Sender, table: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        add(sender, table, 1)
        sender.flush()
        time.sleep(0.01)


@pytest.mark.parametrize("version", [1, 2, 3, "auto"])
def test_http_with_a_password(version: Any, locked_server: QuestDB, table: str) -> None:
    with Sender("http", HOST, http_port(locked_server), protocol_version=version, **LOGIN) as sender:
        add(sender, table)
    assert locked_server.wait_visible(table, 10) == 10
    with Sender("http", HOST, http_port(locked_server), username=USER, password="wrong") as sender:
        add(sender, table)
        with pytest.raises(IngressError, match="Could not flush buffer") as caught:
            sender.flush()
        assert caught.value.code is IngressErrorCode.AuthError
        assert caught.value.pending is not None
        assert PASSWORD not in str(caught.value)


def test_https(locked_server: QuestDB, certified: ssl.SSLContext, pem: Path, table: str) -> None:
    with TlsProxy(http_port(locked_server), certified) as proxy:
        for options in ({"tls_roots": pem}, {"tls_verify": False}):
            with Sender(Protocol.Https, "localhost", proxy.port, **LOGIN, **options) as sender:  # type: ignore[arg-type]
                add(sender, table)
        assert locked_server.wait_visible(table, 20) == 20
        stranger = Sender("https", "localhost", proxy.port, tls_ca=TlsCa.WebpkiRoots, **LOGIN)
        with pytest.raises(IngressError, match="Could not detect server's line protocol version") as caught:
            stranger.establish()
        assert caught.value.code is IngressErrorCode.ProtocolVersionError
        stranger = Sender("https", "localhost", proxy.port, tls_ca="webpki_roots", protocol_version=2, **LOGIN)
        stranger.establish()
        add(stranger, table)
        with pytest.raises(IngressError) as caught:
            stranger.flush()
        assert caught.value.code is IngressErrorCode.TlsError


@pytest.mark.parametrize("version", [None, 1, 2, 3])
def test_tcp(version: Any, server: QuestDB, table: str) -> None:
    with Sender("tcp", HOST, server.ilp_tcp_port, protocol_version=version) as sender:
        assert sender.protocol_version == (version or 1)
        add(sender, table, 1_000)
        sender.flush()
        add(sender, table, 10)
    assert server.wait_visible(table, 1_010) == 1_010


def test_tcp_with_a_key(keyed: QuestDB) -> None:  # noqa: F811 - a fixture
    with Sender("tcp", HOST, keyed.ilp_tcp_port, **KEY) as sender:
        add(sender, "signed_rows")
    assert keyed.wait_visible("signed_rows", 10) == 10
    other = {"username": KEY_ID, "token": OTHER_D, "token_x": OTHER_X, "token_y": OTHER_Y}
    sender = Sender("tcp", HOST, keyed.ilp_tcp_port, **other)
    # The server only closes the connection, a moment after it has seen the signature.
    with pytest.raises(IngressError):
        sender.establish()
        flush_until_noticed(sender, "unsigned_rows")
    assert keyed.sql("select count() from tables() where table_name = 'unsigned_rows'").scalar() == 0


def test_tcps(
    server: QuestDB,
    keyed: QuestDB,  # noqa: F811 - a fixture
    certified: ssl.SSLContext,
    pem: Path,
    table: str,
) -> None:
    for target, key in ((server, {}), (keyed, KEY)):
        with TlsProxy(target.ilp_tcp_port, certified) as proxy:
            with Sender("tcps", "localhost", proxy.port, tls_roots=str(pem), **key) as sender:
                add(sender, table)
            assert target.wait_visible(table, 10) == 10
            stranger = Sender("tcps", "localhost", proxy.port, **key)
            with pytest.raises(IngressError) as caught:
                stranger.establish()
            assert caught.value.code is IngressErrorCode.TlsError


def test_a_bad_row_over_tcp_is_noticed(server: QuestDB, table: str) -> None:
    """The server only closes the connection; the official client does not look."""
    server.sql(f"create table {table} (n long, ts timestamp) timestamp(ts) partition by day wal")
    sender = Sender("tcp", HOST, server.ilp_tcp_port)
    sender.establish()
    sender.row(table, columns={"n": "no number"}, at=TimestampMicros(1))
    with pytest.raises(IngressError) as caught:
        sender.flush()
        flush_until_noticed(sender, table)
    assert caught.value.code is IngressErrorCode.SocketError
    assert "http" in str(caught.value)
    sender.close()


def test_what_the_server_disliked_last_is_told_by_close() -> None:
    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1 << 16)

    with socket.create_server((HOST, 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        sender = Sender("tcp", HOST, listener.getsockname()[1])
        sender.establish()
        add(sender, "t")
        with pytest.raises(IngressError) as caught:
            sender.close()
        assert caught.value.code is IngressErrorCode.SocketError
        server.join(10)
    sender.close()
