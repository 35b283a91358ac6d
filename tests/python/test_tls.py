"""HTTPS to the real QuestDB, which speaks plain HTTP itself: behind a proxy that ends TLS."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import polars as pl
import pytest
from conftest import PASSWORD, USER
from servers import TlsProxy

import questframe as qf

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    from questframe.local import QuestDB


@pytest.fixture(scope="module")
def proxy(locked_server: QuestDB, certified: ssl.SSLContext) -> Iterator[TlsProxy]:
    proxy = TlsProxy(int(locked_server.http_url.rsplit(":", 1)[1].strip("/")), certified)
    yield proxy
    proxy.close()


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
