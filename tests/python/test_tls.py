"""HTTPS to the real QuestDB, which speaks plain HTTP itself: behind a proxy that ends TLS."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
import trustme
from conftest import PASSWORD, USER
from servers import HOST, FakeQuestDB, answer
from tls import TlsProxy, context_of

import questframe as qf
from questframe import IngressErrorCode as Code

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from questframe.local import QuestDB


@pytest.fixture(scope="module")
def proxy(locked_server: QuestDB, certified: ssl.SSLContext) -> Iterator[TlsProxy]:
    with TlsProxy(int(locked_server.http_url.rsplit(":", 1)[1].strip("/")), certified) as proxy:
        yield proxy


def conf_of(proxy: TlsProxy, host: str = "localhost") -> str:
    password = PASSWORD.replace(";", ";;")
    return f"https::addr={host}:{proxy.port};username={USER};password={password};"


FRAME = pl.DataFrame({"x": range(1_000)})


def test_roots_from_a_file(proxy: TlsProxy, pem: Path, locked_server: QuestDB, table: str) -> None:
    report = qf.write_questdb(FRAME, f"{conf_of(proxy)}tls_roots={pem};", table=table, at=qf.ServerTimestamp)
    assert report.rows == 1_000
    assert locked_server.wait_visible(table, 1_000) == 1_000
    assert locked_server.sql(f"select sum(x) from {table}").scalar() == 499_500


def test_roots_of_the_system(proxy: TlsProxy, pem: Path, locked_server: QuestDB, table: str) -> None:
    # The system's store is that of OpenSSL, which this variable replaces for one process.
    script = (
        "import polars as pl, questframe as qf, sys\n"
        "frame = pl.DataFrame({'x': range(1_000)})\n"
        "print(qf.write_questdb(frame, sys.argv[1], table=sys.argv[2], at=qf.ServerTimestamp).rows)"
    )
    for roots in ("", "tls_ca=os_roots;", "tls_ca=webpki_and_os_roots;"):
        command = [sys.executable, "-c", script, conf_of(proxy) + roots, table]
        env = {**os.environ, "SSL_CERT_FILE": str(pem)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout.strip() == "1000", (roots, done.stderr)
    assert locked_server.wait_visible(table, 3_000) == 3_000


def test_nobody_is_trusted_without_reason(proxy: TlsProxy, pem: Path, table: str) -> None:
    with pytest.raises(qf.IngressError, match=r"(?i)certificate") as unknown:
        qf.write_questdb(FRAME, f"{conf_of(proxy)}tls_ca=webpki_roots;", table=table, at=qf.ServerTimestamp)
    assert unknown.value.code == qf.IngressErrorCode.TlsError
    assert "tls_roots" in str(unknown.value)
    with pytest.raises(qf.IngressError, match=r"(?i)certificate") as misnamed:
        conf = f"{conf_of(proxy, '127.0.0.1')}tls_roots={pem};"
        qf.write_questdb(FRAME, conf, table=table, at=qf.ServerTimestamp)
    assert misnamed.value.code == qf.IngressErrorCode.TlsError


def test_verification_may_be_turned_off(proxy: TlsProxy, locked_server: QuestDB, table: str) -> None:
    conf = f"{conf_of(proxy, '127.0.0.1')}tls_verify=unsafe_off;"
    assert qf.write_questdb(FRAME, conf, table=table, at=qf.ServerTimestamp).rows == 1_000
    assert locked_server.wait_visible(table, 1_000) == 1_000


def test_a_wrong_password_over_tls(proxy: TlsProxy, pem: Path, table: str) -> None:
    conf = f"https::addr=localhost:{proxy.port};username={USER};password=not it;tls_roots={pem};"
    with pytest.raises(qf.IngressError) as refused:
        qf.write_questdb(FRAME, conf, table=table, at=qf.ServerTimestamp)
    assert refused.value.code == qf.IngressErrorCode.AuthError
    assert "not it" not in str(refused.value)


# --- what is wrong with a certificate ---------------------------------------------------------------------------------


def failure(conf: str, within: float = 5.0, **options: Any) -> qf.IngressError:
    """The error of a write, which comes soon."""
    began = time.monotonic()
    with pytest.raises(qf.IngressError) as caught:
        qf.write_questdb(FRAME, conf, table="t", at=qf.ServerTimestamp, **options)
    assert time.monotonic() - began < within, str(caught.value)
    error = caught.value
    assert (error.acked, error.doubtful, error.unsent) == ((), (), (range(1_000),))
    return error


def days(number: int) -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=number)


#: How a certificate is made, by which name the client calls the server, what it is told, and what helps.
BAD: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "expired": (
        {"not_before": days(-20), "not_after": days(-10)},
        "localhost",
        "certificate expired",
        "renew the server's certificate",
    ),
    "not_yet": ({"not_before": days(10), "not_after": days(20)}, "localhost", "not valid yet", "set the clock"),
    "wrong_host": ({}, HOST, "not valid for name", 'name the host in "addr" as its certificate does'),
    "unknown_authority": ({"authority": trustme.CA()}, "localhost", "UnknownIssuer", '"tls_roots"'),
}


@pytest.fixture
def good(fake: FakeQuestDB, authority: trustme.CA) -> Iterator[TlsProxy]:
    """A scripted server behind a good certificate."""
    with TlsProxy(fake.port, context_of(authority.issue_cert("localhost"))) as proxy:
        yield proxy


@pytest.fixture(params=BAD)
def bad(request: pytest.FixtureRequest, fake: FakeQuestDB, authority: trustme.CA) -> Iterator[tuple[str, TlsProxy]]:
    options = dict(BAD[request.param][0])
    issuer = options.pop("authority", authority)
    with TlsProxy(fake.port, context_of(issuer.issue_cert("localhost", **options))) as proxy:
        yield request.param, proxy


def test_a_bad_certificate_is_told_at_once(bad: tuple[str, TlsProxy], pem: Path, fake: FakeQuestDB) -> None:
    name, proxy = bad
    _, host, reason, cure = BAD[name]
    error = failure(f"https::addr={host}:{proxy.port};tls_roots={pem};")
    assert error.code is Code.TlsError
    assert f"no TLS with {host}:{proxy.port} (" in str(error)
    assert reason in str(error)
    assert cure in str(error)
    assert (proxy.hellos, fake.requests) == (1, []), "a certificate is not better at the second look"
    # Who turns verification off gets what was asked for.
    conf = f"https::addr={host}:{proxy.port};tls_verify=unsafe_off;"
    assert qf.write_questdb(FRAME, conf, table="t", at=qf.ServerTimestamp).rows == 1_000


def test_the_next_host_is_taken(bad: tuple[str, TlsProxy], good: TlsProxy, pem: Path) -> None:
    name, proxy = bad
    with qf.connect(f"https::addr={BAD[name][1]}:{proxy.port},localhost:{good.port};tls_roots={pem};") as client:
        for _ in range(3):
            assert client.write(FRAME, table="t", at=qf.ServerTimestamp).rows == 1_000
    assert proxy.hellos == 1
    assert good.connections == 1


def test_no_host_is_asked_twice_if_all_have_bad_certificates(pem: Path, fake: FakeQuestDB) -> None:
    one, other = (TlsProxy(fake.port, context_of(trustme.CA().issue_cert("localhost"))) for _ in range(2))
    with one, other:
        error = failure(f"https::addr=localhost:{one.port},localhost:{other.port};tls_roots={pem};")
        assert error.code is Code.TlsError
        assert (one.hellos, other.hellos) == (1, 1)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_versions_of_tls(version: ssl.TLSVersion, authority: trustme.CA, pem: Path, fake: FakeQuestDB) -> None:
    context = context_of(authority.issue_cert("localhost"))
    context.minimum_version = context.maximum_version = version
    with TlsProxy(fake.port, context) as proxy:
        conf = f"https::addr=localhost:{proxy.port};tls_roots={pem};"
        assert qf.write_questdb(FRAME, conf, table="t", at=qf.ServerTimestamp).rows == 1_000


# --- the wrong scheme -------------------------------------------------------------------------------------------------


def test_https_to_a_plain_port_of_a_real_server(locked_server: QuestDB) -> None:
    error = failure(locked_server.conf.replace("http:", "https:", 1))
    assert error.code is Code.TlsError
    # Most often it says nothing to a handshake, and is asked over plain HTTP; at times it answers 400 to it.
    assert 'use "http"' in str(error)


@pytest.mark.parametrize(
    "reply", [b"HTTP/1.1 400 Bad request\r\nContent-Length: 0\r\n\r\n", b""], ids=["400", "closed"]
)
def test_https_to_a_plain_port(reply: bytes) -> None:
    with talker(reply) as (port, heard):
        error = failure(f"https::addr={HOST}:{port};tls_ca=webpki_roots;")
    if reply:
        assert (error.code, len(heard)) == (Code.TlsError, 1)
        assert 'use "http"' in str(error)
    else:
        # So ends a handshake with a server that is just going down, too.
        assert error.code is Code.SocketError
        assert "tls handshake eof" in str(error)
    assert all(first[:1] == b"\x16" for first in heard), "nothing but handshakes, no rows and no credentials"


def test_https_to_a_port_that_says_nothing() -> None:
    with talker(None) as (port, heard):
        error = failure(f"https::addr={HOST}:{port};tls_ca=webpki_roots;request_timeout=300;retry_timeout=0;")
        assert 'is this "https" to a port that speaks plain HTTP?' in str(error)
        assert len(heard) == 1


def test_http_to_a_port_that_wants_tls(good: TlsProxy, fake: FakeQuestDB) -> None:
    error = failure(f"http::addr=localhost:{good.port};token=secret;")
    assert error.code is Code.SocketError
    assert 'or only "https"?' in str(error)
    assert fake.requests == []


@contextlib.contextmanager
def talker(reply: bytes | None) -> Iterator[tuple[int, list[bytes]]]:
    """A port that gives this answer to whatever comes, or none."""
    heard: list[bytes] = []
    held: list[socket.socket] = []

    def serve() -> None:
        while True:
            sock, _ = listener.accept()
            held.append(sock)
            if not (first := sock.recv(1 << 16)):
                return
            heard.append(first)
            if reply is not None:
                sock.sendall(reply)
                sock.close()

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], heard
        finally:
            with socket.create_connection(listener.getsockname()):
                pass
            thread.join(10)
            for sock in held:
                sock.close()


# --- retries and connections ------------------------------------------------------------------------------------------


def test_retries_keep_their_connection(good: TlsProxy, pem: Path, fake: FakeQuestDB) -> None:
    fake.script = [answer(503, b"busy")] * 3
    conf = f"https::addr=localhost:{good.port};tls_roots={pem};"
    report = qf.write_questdb(FRAME, conf, table="t", at=qf.ServerTimestamp)
    assert (report.rows, report.retries) == (1_000, 3)
    assert (good.hellos, good.connections) == (1, 1)


def test_the_rest_goes_to_another_host_over_tls(authority: trustme.CA, pem: Path, good: TlsProxy) -> None:
    data = FRAME.with_columns(ts=pl.from_epoch("x"))
    with FakeQuestDB(answer(204), answer(503, b"busy")) as first:
        with TlsProxy(first.port, context_of(authority.issue_cert("localhost"))) as proxy:
            hosts = f"localhost:{proxy.port},localhost:{good.port}"
            conf = f"https::addr={hosts};tls_roots={pem};auto_flush_rows=100;connections=1;"
            report = qf.write_questdb(data, conf, table="t", at="ts")
            assert (report.rows, len(first.writes)) == (1_000, 2)
            assert (proxy.connections, good.connections) == (1, 1)
    assert f"localhost:{proxy.port} did not take all rows" in report.notes[0]


def test_a_handshake_is_made_once_for_each_connection(good: TlsProxy, pem: Path) -> None:
    data = FRAME.with_columns(ts=pl.from_epoch("x"))
    conf = f"https::addr=localhost:{good.port};tls_roots={pem};auto_flush_rows=50;connections=8;"
    with qf.connect(conf) as client:
        for _ in range(5):
            assert client.write(data, table="t", at="ts").requests == 20
    assert 1 <= good.connections <= 8
    assert good.hellos == good.connections
