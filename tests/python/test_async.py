"""`await qf.awrite_questdb(...)`: results and errors beside the event loop, and cancellation wherever a write is."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import re
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest
from process import held
from servers import HOST, SETTINGS, FakeQuestDB, a_table, answer, answer_json, eventually, refused, silent, stored

import questframe as qf
from questframe import IngressErrorCode as Code
from questframe import _api

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    from questframe.local import QuestDB

#: A cancelled write looks at its task every 50 ms; the rest is for a busy machine.
SOON = 3.0


def frame(rows: int = 30, start: int = 0) -> pl.DataFrame:
    numbers = range(start, start + rows)
    return pl.DataFrame({"n": numbers, "ts": pl.Series(numbers, dtype=pl.Datetime("us"))})


def rows(ranges: tuple[range, ...]) -> list[int]:
    return [row for each in ranges for row in each]


def covered(error: BaseException | None, total: int) -> qf.IngressError:
    """The error, if its three sets cover the frame and do not overlap."""
    assert isinstance(error, qf.IngressError), error
    assert sorted(rows(error.acked) + rows(error.doubtful) + rows(error.unsent)) == list(range(total))
    return error


class Cancelled:
    """A write whose task is cancelled once `when` holds: how it ended, and how soon."""

    def __init__(self, write: Callable[[], Coroutine[Any, Any, Any]], when: Callable[[], bool], times: int = 1) -> None:
        self.error: BaseException | None = None
        self.took = 0.0
        asyncio.run(self._run(write, when, times))

    async def _run(self, write: Callable[[], Coroutine[Any, Any, Any]], when: Callable[[], bool], times: int) -> None:
        async def writing() -> None:
            try:
                await write()
            # Caught where it is raised: a task hands on a copy in older Pythons.
            except asyncio.CancelledError as error:
                self.error = error
                raise

        task = asyncio.create_task(writing())
        deadline = time.monotonic() + 20
        while not when():
            assert time.monotonic() < deadline
            assert not task.done(), task
            await asyncio.sleep(0.005)
        began = time.monotonic()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([task])
        self.took = time.monotonic() - began
        assert task.cancelled()

    @property
    def cause(self) -> BaseException | None:
        assert isinstance(self.error, asyncio.CancelledError)
        return self.error.__cause__


# --- results and errors ---------------------------------------------------------------------------------------------


def test_it_gives_the_report_of_a_write(fake: FakeQuestDB) -> None:
    report = asyncio.run(qf.awrite_questdb(frame(), fake.conf, table="t"))
    assert (report.rows, report.table) == (30, "t")
    assert b"".join(fake.writes) == qf.to_ilp(frame(), table="t")


def test_a_client_has_it_too(fake: FakeQuestDB) -> None:
    async def work(client: qf.Client) -> list[int]:
        return [(await client.awrite(frame(10), table="t")).rows for _ in range(3)]

    with qf.connect(fake.conf) as client:
        assert asyncio.run(work(client)) == [10, 10, 10]
    with pytest.raises(qf.IngressError, match="closed"):
        asyncio.run(client.awrite(frame(), table="t"))


def test_errors_are_those_of_a_write(fake: FakeQuestDB) -> None:
    fake.script = [stored, refused(4, "table: t, column: n; cast error from x")]
    conf = f"{fake.conf}auto_flush_rows=10;connections=1;"
    with pytest.raises(qf.IngressError) as caught:
        asyncio.run(qf.awrite_questdb(frame(), conf, table="t"))
    error = covered(caught.value, 30)
    assert (error.code, error.row, error.acked) == (Code.ServerFlushError, 13, (range(10),))
    assert asyncio.run(qf.awrite_questdb(frame(), conf, table="t", resume=error)).rows == 20


def test_wrong_calls_name_the_function(fake: FakeQuestDB) -> None:
    with pytest.raises(TypeError, match=r"awrite_questdb\(\) has no option 'tabel'; did you mean 'table'\?"):
        asyncio.run(qf.awrite_questdb(frame(), fake.conf, tabel="t"))  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="progress must be"):
        asyncio.run(qf.awrite_questdb(frame(), fake.conf, table="t", progress="yes"))  # type: ignore[arg-type]
    with pytest.raises(qf.IngressError, match="unknown key"):
        asyncio.run(qf.awrite_questdb(frame(), "http::addr=h;adr=i;", table="t"))
    assert fake.requests == []


def test_the_loop_goes_on_meanwhile(fake: FakeQuestDB) -> None:
    turns = 0

    async def work() -> None:
        nonlocal turns
        task = asyncio.create_task(qf.awrite_questdb(frame(), fake.conf, table="t"))
        while not task.done():
            turns += 1
            await asyncio.sleep(0.001)
        assert task.result().rows == 30

    def reply(exchange: Any) -> None:
        before = turns
        assert eventually(lambda: turns > before + 10)
        stored(exchange)

    fake.script = [reply]
    asyncio.run(work())


def test_many_at_once(server: QuestDB, table: str) -> None:
    """Twice as many as the event loop has threads, through one client of the smallest pool."""
    count, size = 64, 500

    async def work(client: qf.Client) -> None:
        data = (frame(size, number * size) for number in range(count))
        reports = await asyncio.gather(*(client.awrite(each, table=table, at="ts") for each in data))
        assert [report.rows for report in reports] == [size] * count

    with qf.connect(f"{server.conf}pool_bytes=1048576;connections=4;") as client:
        asyncio.run(work(client))
    total = count * size
    assert server.wait_visible(table, total) == total
    found = server.sql(f"select count(), count_distinct(n), min(n), max(n) from {table}")[0]
    assert found == (total, total, 0, total - 1)


# --- progress -------------------------------------------------------------------------------------------------------


def test_progress_is_told_in_the_thread_that_writes(fake: FakeQuestDB) -> None:
    told: list[tuple[int, int | None, int]] = []
    names: set[int] = set()

    def tell(*now: Any) -> None:
        told.append(now)
        names.add(threading.get_ident())

    conf = f"{fake.conf}auto_flush_rows=10;"
    report = asyncio.run(qf.awrite_questdb(frame(), conf, table="t", progress=tell))
    assert told[-1] == (30, 30, report.bytes)
    assert len(names) == 1
    assert threading.get_ident() not in names


@pytest.mark.parametrize("rows_stored", [10, 30], ids=["in_the_middle", "at_the_last_row"])
def test_what_progress_raises_has_the_sets_for_its_cause(rows_stored: int, fake: FakeQuestDB) -> None:
    class Enough(Exception):
        pass

    calls: list[int] = []

    def stop(rows: int, _total: int | None, _bytes: int) -> None:
        calls.append(rows)
        if rows >= rows_stored:
            raise Enough

    conf = f"{fake.conf}auto_flush_rows=10;connections=1;"
    for write in (
        lambda: asyncio.run(qf.awrite_questdb(frame(), conf, table="t", progress=stop)),
        lambda: qf.write_questdb(frame(), conf, table="t", progress=stop),
    ):
        calls.clear()
        with pytest.raises(Enough) as caught:
            write()
        error = covered(caught.value.__cause__, 30)
        assert error.rows_acked >= rows_stored
        assert sum(rows >= rows_stored for rows in calls) == 1, "it is not called again"
        left = 30 - error.rows_acked
        assert qf.write_questdb(frame(), conf, table="t", resume=error, doubtful=False).rows <= left


# --- cancellation ---------------------------------------------------------------------------------------------------


def slow_batches(seconds: float = 0.01) -> pa.RecordBatchReader:
    """A stream that never ends."""
    schema = pa.schema({"n": pa.int64(), "ts": pa.timestamp("us")})

    def each() -> Iterator[pa.RecordBatch]:
        for turn in itertools.count():
            time.sleep(seconds)
            numbers = range(turn * 10, turn * 10 + 10)
            yield pa.record_batch({"n": pa.array(numbers), "ts": pa.array(numbers, pa.timestamp("us"))})

    return pa.RecordBatchReader.from_batches(schema, each())


def test_progress_that_is_at_its_end(fake: FakeQuestDB) -> None:
    """No future takes a StopIteration: the task would wait for ever."""
    none: list[None] = []

    async def main() -> None:
        steps = iter(none)
        await asyncio.wait_for(
            qf.awrite_questdb(frame(), fake.conf, table="t", progress=lambda *_: next(steps)), timeout=30
        )

    with pytest.raises(RuntimeError, match="progress raised StopIteration") as caught:
        asyncio.run(main())
    assert isinstance(caught.value.__cause__, StopIteration)


@pytest.mark.parametrize("path", ["settings", "exec", "write"])
@pytest.mark.parametrize("times", [1, 5], ids=["once", "five_times"])
def test_cancelled_while_the_server_is_silent(path: str, times: int, fake: FakeQuestDB) -> None:
    if path == "write":
        fake.script = [stored, silent]
    else:
        setattr(fake, path, silent)
    with qf.connect(f"{fake.conf}auto_flush_rows=10;connections=1;") as client:
        reached = lambda: len(fake.of(f"/{path}")) == (2 if path == "write" else 1)
        done = Cancelled(lambda: client.awrite(frame(), table="t"), reached, times)
        assert done.took < SOON
        error = covered(done.cause, 30)
        expected = (range(10),), (range(10, 20),), (range(20, 30),)
        assert (error.acked, error.doubtful, error.unsent) == (expected if path == "write" else ((), (), (range(30),)))
        # The client is as good as new, and goes on from there.
        fake.settings, fake.exec = answer_json(200, SETTINGS), a_table
        report = client.write(frame(), table="t", resume=error, doubtful=False)
        assert report.rows == len(rows(error.unsent))


def test_cancelled_in_the_pause_before_a_retry(fake: FakeQuestDB) -> None:
    fake.script = [stored, *[answer(503, b"busy")] * 1000]
    conf = f"{fake.conf}auto_flush_rows=10;connections=1;retry_timeout=60000;retry_max_backoff_millis=30000;"
    with qf.connect(conf) as client:
        done = Cancelled(lambda: client.awrite(frame(), table="t"), lambda: len(fake.writes) > 5)
    assert done.took < SOON
    error = covered(done.cause, 30)
    assert (error.acked, error.doubtful) == ((range(10),), ())


def test_cancelled_while_nobody_listens() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    began = time.monotonic()
    conf = f"http::addr={HOST}:{port};retry_timeout=60000;"
    with qf.connect(conf) as client:
        done = Cancelled(lambda: client.awrite(frame(), table="t"), lambda: time.monotonic() > began + 0.3)
    assert done.took < SOON
    assert covered(done.cause, 30).unsent == (range(30),)


def test_cancelled_while_it_waits_for_buffers(fake: FakeQuestDB) -> None:
    fake.script = [silent] * 100
    data = frame(500_000)
    with qf.connect(f"{fake.conf}pool_bytes=1048576;connections=2;") as client:
        # Of sorted rows two requests are on their way, and no buffer is left for the rest.
        done = Cancelled(lambda: client.awrite(data, table="t"), lambda: len(fake.writes) == 2)
        assert done.took < SOON
        error = covered(done.cause, len(data))
        assert error.acked == ()
        assert 0 < len(rows(error.doubtful)) < 200_000
        # All buffers are back: this takes each of them more than once.
        fake.script = []
        assert client.write(data, table="t").rows == len(data)


def test_cancelled_while_it_encodes(fake: FakeQuestDB) -> None:
    data = frame(3_000_000)
    with qf.connect(f"{fake.conf}pool_bytes=1048576;") as client:
        done = Cancelled(lambda: client.awrite(data, table="t"), lambda: len(fake.writes) >= 3)
        assert done.took < SOON
        error = covered(done.cause, len(data))
        assert 0 < error.rows_acked < len(data)
        sent = len(fake.writes)
        assert qf.write_questdb(data, fake.conf, table="t", resume=error).rows == len(data) - error.rows_acked
    kept = {line for body in fake.writes for line in re.findall(rb"n=(\d+)i", body)}
    assert len(kept) == len(data)
    assert sent < len(fake.writes)


def test_cancelled_while_a_stream_is_read(fake: FakeQuestDB) -> None:
    with qf.connect(f"{fake.conf}auto_flush_rows=10;") as client:
        done = Cancelled(lambda: client.awrite(slow_batches(), table="t"), lambda: len(fake.writes) >= 5)
        assert done.took < SOON
        assert isinstance(done.cause, qf.IngressError)
        assert done.cause.rows_acked >= 30
        total = done.cause.rows_acked + len(rows(done.cause.doubtful)) + len(rows(done.cause.unsent))
        covered(done.cause, total)


def test_cancelled_before_a_thread_was_free(fake: FakeQuestDB) -> None:
    """The event loop's threads are busy with other things, maybe for long: that is not waited for."""
    release = threading.Event()

    async def work() -> tuple[float, BaseException | None]:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(executor)
        busy = loop.run_in_executor(None, release.wait, 30)
        found: list[BaseException] = []

        async def writing() -> None:
            try:
                await qf.awrite_questdb(frame(), fake.conf, table="t")
            except asyncio.CancelledError as error:
                found.append(error)
                raise

        task = asyncio.create_task(writing())
        await asyncio.sleep(0.1)
        began = time.monotonic()
        task.cancel()
        await asyncio.wait([task])
        took = time.monotonic() - began
        release.set()
        await busy
        return took, found[0].__cause__

    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        took, cause = asyncio.run(work())
    assert took < SOON
    assert covered(cause, 30).unsent == (range(30),)
    assert fake.requests == []


def cancelled_late(monkeypatch: pytest.MonkeyPatch, call: Callable[[], Coroutine[Any, Any, Any]]) -> qf.IngressError:
    """What a write tells that had ended when its task was cancelled, before the loop had heard of it."""
    go, ended = threading.Event(), threading.Event()
    write = _api._write

    def noted(*arguments: Any) -> Any:
        assert go.wait(20)
        try:
            return write(*arguments)
        finally:
            ended.set()

    async def work() -> BaseException | None:
        async def writing() -> None:
            try:
                await call()
            except asyncio.CancelledError as error:
                found.append(error.__cause__)
                raise

        found: list[BaseException | None] = []
        task = asyncio.create_task(writing())
        # It starts its thread, and from here on the loop stands still.
        await asyncio.sleep(0.01)
        go.set()
        assert ended.wait(20)
        time.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        return found[0]

    monkeypatch.setattr(_api, "_write", noted)
    error = asyncio.run(work())
    assert isinstance(error, qf.IngressError)
    assert error.report is not None
    assert str(error.report) in str(error)
    return error


def test_cancelled_after_the_last_row(monkeypatch: pytest.MonkeyPatch, fake: FakeQuestDB) -> None:
    """Too late for the write, which is stored whole; the task is cancelled all the same, and says so."""
    error = cancelled_late(monkeypatch, lambda: qf.awrite_questdb(frame(), fake.conf, table="t"))
    assert covered(error, 30).acked == (range(30),)


def test_refused_rows_of_a_write_that_had_ended(monkeypatch: pytest.MonkeyPatch, server: QuestDB, table: str) -> None:
    data = frame(3).with_columns(s=pl.Series(["a", "x\0y", "b"], dtype=pl.Categorical))
    options: dict[str, Any] = {"table": table, "at": "ts", "on_error": "quarantine"}
    error = cancelled_late(monkeypatch, lambda: qf.awrite_questdb(data, server.conf, **options))
    assert (error.acked, error.doubtful, error.unsent) == ((range(1), range(2, 3)), (), (range(1, 2),))
    assert "; 1 row refused by the server and set aside" in repr(error.report)
    assert error.report is not None
    assert error.report.rejected is not None
    assert error.report.rejected.rows == [1]


def test_rows_on_disk_of_a_write_that_had_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    conf = f"http::addr={HOST}:1;retry_timeout=0;"
    with qf.connect(conf) as client:
        error = cancelled_late(monkeypatch, lambda: client.awrite(frame(), table="t", spool_dir=tmp_path))
    # They are not to be sent again, but from there.
    assert (error.acked, error.unsent) == ((range(30),), ())
    assert "0 rows into" in str(error)
    assert "; 30 rows waiting on disk" in str(error)


def test_streams_of_a_write_that_had_ended(monkeypatch: pytest.MonkeyPatch, fake: FakeQuestDB) -> None:
    """Of a stream the rows before count, and those that held nothing."""
    batches = [frame(10, start).to_arrow().to_batches()[0] for start in range(0, 30, 10)]
    reader = pa.RecordBatchReader.from_batches(batches[0].schema, iter(batches))
    fake.script = [stored, answer(403)]
    with qf.connect(f"{fake.conf}auto_flush_rows=10;connections=1;") as client:
        with pytest.raises(qf.IngressError) as failed:
            client.write(reader, table="t")
        assert failed.value.acked == (range(10),)
        error = cancelled_late(monkeypatch, lambda: client.awrite(reader, table="t", resume=failed.value))
        assert (error.acked, error.unsent) == ((range(30),), ())
        columns = {"n": [1, None, 3], "ts": pa.array([1, 2, 3], pa.timestamp("us"))}
        gaps = pa.table(columns).to_reader()
        error = cancelled_late(monkeypatch, lambda: client.awrite(gaps, table="t", at="ts", empty_rows="skip"))
        assert (error.acked, error.unsent) == ((range(3),), ())
        assert "2 rows into" in str(error)
        assert "; 1 row held nothing and left out" in str(error)


def test_timeouts_of_asyncio(fake: FakeQuestDB) -> None:
    fake.script = [silent] * 2

    async def work() -> BaseException | None:
        try:
            await asyncio.wait_for(qf.awrite_questdb(frame(), fake.conf, table="t"), 0.2)
        except asyncio.TimeoutError as error:
            first = error
        else:
            return None
        if hasattr(asyncio, "timeout"):
            with pytest.raises(TimeoutError) as second:
                async with asyncio.timeout(0.2):
                    await qf.awrite_questdb(frame(), fake.conf, table="t")
            assert isinstance(second.value.__cause__, asyncio.CancelledError)
            assert covered(second.value.__cause__.__cause__, 30).doubtful == (range(30),)
        return first

    began = time.monotonic()
    assert isinstance(asyncio.run(work()), TimeoutError if hasattr(asyncio, "timeout") else asyncio.TimeoutError)
    assert time.monotonic() - began < 0.4 + 2 * SOON
    assert qf.write_questdb(frame(), fake.conf, table="t").rows == 30


def test_nothing_is_left_of_cancelled_writes(fake: FakeQuestDB) -> None:
    """Threads, sockets and buffers are those of a client that was never cancelled."""
    with qf.connect(f"{fake.conf}pool_bytes=1048576;connections=2;auto_flush_rows=5;") as client:
        client.write(frame(), table="t")

        stuck = lambda: len(fake.writes) > already
        before, open_before = held(), fake.open
        for turn in range(10):
            fake.script = [silent] * 2
            already = len(fake.writes)
            done = Cancelled(lambda: client.awrite(frame(), table="t"), stuck)
            covered(done.cause, 30)
            fake.script = []
            assert client.write(frame(10), table="t").rows == 10, turn
        # Two for rows and one for questions; one or two of them are kept, so the number before says nothing.
        assert fake.wait_for(lambda: fake.open <= 3)
        assert eventually(lambda: held().sockets <= before.sockets + 2 * (fake.open - open_before)), (before, held())
        assert held().threads == before.threads
        assert client.write(frame(100_000), table="t").rows == 100_000


def test_one_of_many_is_cancelled(fake: FakeQuestDB) -> None:
    """The others through the same client do not notice."""

    def by_table(exchange: Any) -> None:
        (silent if exchange.request.body.startswith(b"stuck") else stored)(exchange)

    async def work(client: qf.Client) -> None:
        stuck = asyncio.create_task(client.awrite(frame(), table="stuck"))
        others = [asyncio.create_task(client.awrite(frame(1_000), table=f"t{number}")) for number in range(10)]
        while not any(body.startswith(b"stuck") for body in fake.writes):
            await asyncio.sleep(0.005)
        stuck.cancel()
        await asyncio.wait([stuck])
        assert [report.rows for report in await asyncio.gather(*others)] == [1_000] * 10

    fake.script = [by_table] * 100
    with qf.connect(fake.conf) as client:
        asyncio.run(work(client))
