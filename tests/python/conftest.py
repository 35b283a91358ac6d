"""What the Python tests share: one real QuestDB, servers by script, and a name for each test's table."""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import urllib.parse
from typing import TYPE_CHECKING

import pytest
import trustme
from servers import HOST, FakeQuestDB
from tls import context_of

import questframe as qf

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from questframe.local import QuestDB

USER, PASSWORD = "alice", "p;ss=w€rd"

#: A column of a small table takes 16 MiB of disk by default, and there are many.
SMALL = {
    "cairo.writer.data.append.page.size": "256k",
    "cairo.writer.data.index.value.append.page.size": "256k",
    "cairo.wal.writer.data.append.page.size": "64k",
    # Tables can be suspended.
    "dev.mode.enabled": "true",
}

_numbers = itertools.count()


def run(
    config: dict[str, str] | None = None, version: str = qf.local.VERSION, folder: Path | None = None
) -> Iterator[QuestDB]:
    """A real server, started in half the time at the price of throughput."""
    db = qf.local.QuestDB(config={**SMALL, **(config or {})}, version=version, folder=folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
        db.start()
    try:
        yield db
    finally:
        db.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where rows wait on disk; not there at first."""
    return tmp_path / "spool"


@pytest.fixture
def nobody() -> str:
    """The configuration for a port where nobody listens."""
    with socket.create_server((HOST, 0)) as listener:
        return f"http::addr={HOST}:{listener.getsockname()[1]};retry_timeout=0;"


@pytest.fixture(scope="session")
def server() -> Iterator[QuestDB]:
    """A real QuestDB for all tests."""
    yield from run()


@pytest.fixture(scope="session")
def locked_server() -> Iterator[QuestDB]:
    """A real QuestDB that wants a password."""
    yield from run({"http.user": USER, "http.password": PASSWORD})


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who signs the certificates of servers with TLS."""
    return trustme.CA()


@pytest.fixture(scope="session")
def certified(authority: trustme.CA) -> ssl.SSLContext:
    """What a server called "localhost" speaks TLS with."""
    return context_of(authority.issue_cert("localhost"))


@pytest.fixture
def pem(authority: trustme.CA, tmp_path: Path) -> Path:
    """The authority's certificate, in a file."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def port(server: QuestDB) -> int:
    """The HTTP port of the real server."""
    return urllib.parse.urlsplit(server.http_url).port or 0


@pytest.fixture
def table(request: pytest.FixtureRequest) -> Iterator[str]:
    """A table's name that no other test has. What is called so, or has it for a beginning, is dropped afterwards."""
    name = re.sub(r"\W+", "_", request.node.name)[:80]
    name = f"{name}_{next(_numbers)}"
    yield name
    if "server" in request.fixturenames:
        # A server holds files of every column of every table open, and has no more than some thousand.
        server: QuestDB = request.getfixturevalue("server")
        for made in server.sql(f"select table_name from tables() where table_name like '{name}%'").column("table_name"):
            # Views are no tables, and go with the server.
            with contextlib.suppress(qf.local.QuestDBError):
                server.sql(f'drop table "{made}"')


@pytest.fixture
def fake() -> Iterator[FakeQuestDB]:
    """A scripted server."""
    with FakeQuestDB() as fake:
        yield fake


@pytest.fixture
def read(server: QuestDB) -> Callable[..., list[dict[str, object]]]:
    """Read a table back, in its storage order, once `rows` rows are visible: a dictionary a row."""

    def read(table: str, rows: int, columns: str = "*") -> list[dict[str, object]]:
        assert server.wait_visible(table, rows) == rows
        return server.sql(f'select {columns} from "{table}"').dicts()

    return read
