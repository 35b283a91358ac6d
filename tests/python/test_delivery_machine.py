"""Faults of the machine under a real QuestDB: it is killed, its disk is full, a table of it is suspended.

As in `test_delivery_faults`, whatever comes out of a write, what it says of the rows is true once the server is well
again; and then the client works on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import urllib.parse
from typing import TYPE_CHECKING

import faults as f
import oracle_sets as sets
import pytest
from conftest import SMALL
from proxy import FaultProxy
from test_delivery_faults import AGAIN, works_again

import questframe as qf
from questframe.local import QuestDB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from exchange import Exchange, Fault, Request

pytestmark = AGAIN

ROWS = 60
MIB = 1 << 20
CONF = "auto_flush_rows=10;request_timeout=5000;retry_timeout=500;"
#: Tables may be suspended by hand only in this mode.
CONFIG = {**SMALL, "dev.mode.enabled": "true"}


def port_of(server: QuestDB) -> int:
    return urllib.parse.urlsplit(server.http_url).port or 0


@contextlib.contextmanager
def started(folder: Path) -> Iterator[QuestDB]:
    db = QuestDB(folder=folder, config=CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        # A server that dies says why in a file, and that belongs to its own.
        patch.setenv("JDK_JAVA_OPTIONS", f"-XX:TieredStopAtLevel=1 -XX:ErrorFile={folder}/died.log")
        db.start()
        try:
            yield db
        finally:
            db.stop()


@pytest.fixture(scope="module")
def frail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuestDB]:
    """A server of this module's own, which may be killed."""
    with started(tmp_path_factory.mktemp("frail")) as db:
        yield db


@pytest.fixture
def proxy(frail: QuestDB) -> Iterator[FaultProxy]:
    with sets.no_leak(), FaultProxy(port_of(frail), keep_bodies=True) as proxy:
        yield proxy


@pytest.fixture(params=["plain", "dedup"])
def made(request: pytest.FixtureRequest, frail: QuestDB, table: str) -> str:
    sets.create(frail, table, dedup=request.param == "dedup")
    return table


# --- killed -----------------------------------------------------------------------------------------------------------


def killed_in_body(exchange: Exchange, server: QuestDB) -> None:
    exchange.pass_on(exchange.request.size // 2)
    os.kill(server.pid, signal.SIGKILL)
    exchange.pass_on()
    exchange.relay()


def killed_before_its_answer(exchange: Exchange, server: QuestDB) -> None:
    exchange.pass_on()
    os.kill(server.pid, signal.SIGKILL)
    exchange.relay()


def killed_after_its_answer(exchange: Exchange, server: QuestDB) -> None:
    exchange.pass_on()
    answer = exchange.collect()
    os.kill(server.pid, signal.SIGKILL)
    exchange.say(answer, exchange.fate.status)


@pytest.mark.parametrize("killed", [killed_in_body, killed_before_its_answer, killed_after_its_answer])
@pytest.mark.parametrize("comes_back", ["at_once", "later"])
def test_a_server_is_killed_and_started_again(
    comes_back: str, killed: Callable[[Exchange, QuestDB], None], frail: QuestDB, proxy: FaultProxy, table: str
) -> None:
    """Two writers, into a plain table and one with dedup keys. Where it comes back at once they wait for it, as each
    question and write of theirs is held up until it is there.
    """
    is_killed, is_back = threading.Event(), threading.Event()

    def plan(request: Request) -> Fault | None:
        if request.is_write and request.number == 11:
            return kill
        return hold if is_killed.is_set() and not is_back.is_set() and comes_back == "at_once" else None

    def kill(exchange: Exchange) -> None:
        is_killed.set()
        killed(exchange, frail)

    def hold(exchange: Exchange) -> None:
        exchange.hold()
        is_back.wait(60)
        exchange.pass_on()
        exchange.relay()

    tables = {f"{table}_plain": [], f"{table}_dedup": []}
    enough = threading.Event()

    def write(name: str, told: list[sets.Told]) -> None:
        conf = proxy.conf + CONF.replace("request_timeout=5000", "request_timeout=30000")
        with qf.connect(conf) as client:
            while not enough.is_set():
                told.append(sets.attempt(client, name, ROWS, len(told) * ROWS))
                if told[-1].error is not None:
                    # Nothing else is heard for seconds.
                    is_back.wait(0.1)
            works_again(client, name, told)

    for name in tables:
        sets.create(frail, name, dedup=name.endswith("dedup"))
    proxy.plan = plan
    writers = [threading.Thread(target=write, args=each) for each in tables.items()]
    for writer in writers:
        writer.start()
    assert is_killed.wait(30)
    if comes_back == "later":
        proxy.refuse()
    frail.stop()
    frail.start()
    proxy.retarget(port_of(frail))
    is_back.set()
    proxy.accept()
    after = len(proxy.writes())
    assert proxy.wait_for(lambda: len(proxy.writes()) > after + 30, 60)
    enough.set()
    for writer in writers:
        writer.join(60)
        assert not writer.is_alive()
    assert proxy.settle()
    for name, told in tables.items():
        found = sets.counts(frail, name)
        assert [wrong for each in told for wrong in each.wrong(found)] == []
        assert sum(each.error is None for each in told) > 1
        frail.sql(f"drop table {name}")


# --- suspended --------------------------------------------------------------------------------------------------------


def test_a_table_is_suspended(made: str, frail: QuestDB, proxy: FaultProxy) -> None:
    """The server takes what it will show later."""
    told: list[sets.Told] = []

    def suspend(exchange: Exchange) -> None:
        # It is forgotten if transactions wait to be applied.
        frail.wait_visible(made)
        frail.sql(f"alter table {made} suspend wal")
        exchange.pass_on()
        exchange.relay()

    with qf.connect(f"{proxy.conf}{CONF}connections=1;") as client:
        told.append(sets.attempt(client, made, ROWS))
        proxy.plan = f.numbered({8: suspend})
        told.extend(sets.attempt(client, made, ROWS, turn * ROWS) for turn in range(1, 4))
        with pytest.raises(qf.local.QuestDBError, match="suspended"):
            frail.wait_visible(made)
        frail.sql(f"alter table {made} resume wal")
        works_again(client, made, told)
    sets.check(frail, made, proxy, told)


# --- a full disk ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB."""
    if sys.platform != "linux":
        pytest.skip("small file systems are made on Linux only")
    path = tmp_path / "small"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        pytest.skip(f"small file systems cannot be mounted here: {done.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], timeout=20, check=True)


def fill(path: Path, left: int) -> None:
    """Take all of the space but this."""
    stat = os.statvfs(path.parent)
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, stat.f_bavail * stat.f_frsize - left)


def stored_in(proxy: FaultProxy, table: str) -> dict[int, int]:
    """How often each row of this table was in a request that the server answered with success."""
    ours = [fate for fate in proxy.writes() if sets.lines_of(fate.body).startswith(f"{table},".encode())]
    return sets.stored_by(ours)[0]


def test_a_disk_is_full(small_disk: Path, table: str) -> None:
    """While requests are written, and then from the first one on; into tables of both kinds, and into a new one.

    The server writes through mapped memory: it answers with errors for a while, and may die of SIGBUS in the end, at
    once or when it applies later what it has taken. What it answered for with success it may have lost then or, without
    a death, it has other values there (seen: a page of `n` with the numbers of the symbols). So such rows are held
    against its answers, and only the others against the table.
    """
    filler = small_disk / "filler"
    rows = 10_000
    tables: dict[str, list[sets.Told]] = {f"{table}_plain": [], f"{table}_dedup": [], f"{table}_new": []}
    with (
        started(small_disk / "data") as db,
        FaultProxy(port_of(db), keep_bodies=True) as proxy,
        qf.connect(proxy.conf + CONF.replace("rows=10;", "rows=2000;")) as client,
    ):

        def write(name: str) -> bool:
            told = tables[name]
            told.append(sets.attempt(client, name, rows, len(told) * rows))
            return told[-1].error is None

        def recover(name: str) -> None:
            try:
                suspended = db.sql(f"select suspended from wal_tables() where name = '{name}'").rows == [(True,)]
            except qf.local.LocalServerError:
                db.stop()
                db.start()
                proxy.retarget(port_of(db))
                suspended = db.sql(f"select suspended from wal_tables() where name = '{name}'").rows == [(True,)]
            if suspended:
                db.sql(f"alter table {name} resume wal")

        for name in list(tables)[:2]:
            sets.create(db, name, dedup=name.endswith("dedup"))
            assert write(name)
            db.wait_visible(name)
        fill(filler, left=700 << 10)
        failed = 0
        for _ in range(8):
            failed += sum(not write(name) for name in tables)
        assert failed, "the disk was not full"

        filler.unlink()
        for name, told in tables.items():
            for _ in range(10):
                recover(name)
                if write(name):
                    break
            assert told[-1].error is None
        for name, told in tables.items():
            recover(name)
            found = dict.fromkeys(sets.counts(db, name), 1) | stored_in(proxy, name)
            assert [wrong for each in told for wrong in each.wrong(found)] == []
