"""Load and leaks, in seconds; `make load` runs the loads at full size."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import json
import subprocess
import sys
import threading
import urllib.parse
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest
from process import held, memory
from servers import HOST, FakeQuestDB, answer, eventually, refused, reset, silent

import questframe as qf
from questframe import _api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from questframe.local import QuestDB

LOAD = Path(__file__).parents[1] / "support" / "load.py"
MIB = 1 << 20

linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's /proc")


def load(*arguments: str, timeout: float = 120) -> dict[str, Any]:
    """Runs a load, which fails by itself if a row is missing, and gives what it measured."""
    command = [sys.executable, str(LOAD), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@linux
def test_64_threads_on_one_client(server: QuestDB) -> None:
    address = urllib.parse.urlsplit(server.http_url).netloc
    told = load("threads", "--writes=3", "--rows=500", f"--pool={MIB}", f"--address={address}")
    assert (told["writes"], told["rows"]) == (192, 96_000)
    # A question or a write each; all are replaced when the table has been made, maybe by several at a time.
    assert told["sockets"][1] <= 64 * 4
    assert told["sockets"][-1] <= 64 + 2


@linux
def test_small_writes(server: QuestDB) -> None:
    address = urllib.parse.urlsplit(server.http_url).netloc
    told = load("small-writes", "--rate=100", "--seconds=1", "--threads=8", f"--address={address}")
    assert told["writes"] == 100


@linux
def test_small_writes_use_up_no_ports() -> None:
    """More threads than `connections`: each keeps its connection all the same."""
    told = load("small-writes", "--sink", "--rate=0", "--seconds=1", "--threads=16", "--connections=1")
    assert told["writes"] > 50
    assert told["ports_used_up"] <= 16
    assert told["sockets"][-1] <= 16 + 2


@linux
def test_a_stream_through_a_small_pool() -> None:
    told = load("stream", "--gigabytes=0.3", f"--pool={4 * MIB}")
    assert told["gigabytes"] >= 0.29
    first, _, most, _ = told["rss_mib"]
    # The batches of the stream are 7 MiB each.
    assert most - first < 4 + 64


@pytest.mark.slow
@linux
def test_a_stream_of_ten_gigabytes_through_the_default_pool() -> None:
    told = load("stream", timeout=600)
    assert told["gigabytes"] >= 9.9
    first, _, most, _ = told["rss_mib"]
    assert most - first < 64 + 64


def test_streams_that_wait_stop_no_other_write(fake: FakeQuestDB) -> None:
    """Each holds a buffer with its first rows, and the client has four of them; more than four wait."""
    go = threading.Event()
    waiting = threading.Semaphore(0)

    def batches() -> Iterator[pa.RecordBatch]:
        yield from FRAME.to_arrow().to_batches()
        waiting.release()
        assert go.wait(60)

    def write(number: int) -> int:
        reader = pa.RecordBatchReader.from_batches(FRAME.to_arrow().schema, batches())
        return client.write(reader, table=f"t{number}").rows

    with qf.connect(fake.conf) as client, ThreadPoolExecutor(6) as threads:
        try:
            streams = [threads.submit(write, number) for number in range(6)]
            for _ in streams:
                assert waiting.acquire(timeout=30)
            assert client.write(FRAME, table="other", deadline=dt.timedelta(seconds=30)).rows == 30
        finally:
            go.set()
        assert [stream.result() for stream in streams] == [30] * 6


def test_clients_of_strings_that_are_not_used_any_more_are_let_go(
    fake: FakeQuestDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_api, "_shared", {})
    often = f"{fake.conf}token=often;"
    clients = []
    for number in range(30):
        for conf in (often, f"{fake.conf}token=secret{number};"):
            qf.write_questdb(FRAME, conf, table="t")
            clients.append(weakref.ref(_api._shared[conf]))
    gc.collect()
    kept = {id(client) for client in (each() for each in clients) if client is not None}
    assert len(kept) == len(_api._shared) == _api._MOST_SHARED
    assert {id(each()) for each in clients[::2]} == {id(_api._shared[often])}


# --- leaks ----------------------------------------------------------------------------------------------------------


FRAME = pl.DataFrame({"n": range(30), "ts": pl.Series(range(30), dtype=pl.Datetime("us"))})
REPLIES = {"503": answer(503, b"busy"), "reset": reset, "400": refused(3, "table: t; bad"), "500": answer(500, b"oops")}


def fail(kind: str, client: qf.Client, fake: FakeQuestDB, times: int) -> None:
    """Writes that fail, so many times."""

    async def cancel() -> None:
        for _ in range(times):
            before = len(fake.requests)
            fake.script = [silent]
            task = asyncio.create_task(client.awrite(FRAME, table="t"))
            while not any(request.path == "/write" for request in fake.requests[before:]):
                await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            fake.requests.clear()

    if kind == "cancel":
        asyncio.run(cancel())
        return
    for _ in range(times):
        fake.script = [REPLIES[kind]] if kind in REPLIES else []
        with pytest.raises(qf.IngressError):
            client.write(FRAME, table="t")
        fake.requests.clear()


@linux
@pytest.mark.parametrize("times", [50, pytest.param(1_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["refused", "400", "500", "503", "reset", "cancel"])
def test_failing_writes_leave_nothing(kind: str, times: int, fake: FakeQuestDB) -> None:
    conf = f"http::addr={HOST}:1;" if kind == "refused" else fake.conf
    with qf.connect(f"{conf}retry_timeout=0;pool_bytes=1048576;") as client:
        fail(kind, client, fake, 10)
        gc.collect()
        before, resident = held(), memory()
        fail(kind, client, fake, times)
        gc.collect()
        assert eventually(lambda: held().sockets <= before.sockets), (before, held())
        assert held().threads == before.threads
        assert memory() - resident < 8 * MIB + times * 4_000
        if kind != "refused":
            # All buffers are there: of 1 MiB this takes each several times.
            fake.script = []
            assert client.write(pl.concat([FRAME] * 4_000), table="t").rows == 120_000


@linux
def test_clients_leave_nothing(fake: FakeQuestDB) -> None:
    """Threads and connections go with the last reference."""
    qf.write_questdb(FRAME, fake.conf, table="t")
    before = held()
    for _ in range(50):
        with qf.connect(fake.conf) as client:
            client.write(FRAME, table="t")
    del client
    assert eventually(lambda: held() == before), (before, held())
