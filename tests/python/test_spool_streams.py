"""Streams that no server takes: each row of them waits on disk, or is still to come, and the error says which."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING

import polars as pl
import pytest
from numbered import failure, frame, lines, rows, stream
from servers import FakeQuestDB, answer, refused, silent, stored

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from questframe.local import QuestDB

BUSY = answer(503, b"busy")


def conf(fake: FakeQuestDB, folder: Path, more: str = "") -> str:
    return f"{fake.conf}spool_dir={folder};auto_flush_rows=10;connections=1;retry_timeout=0;{more}"


def numbers(fake: FakeQuestDB, folder: Path) -> list[int]:
    """What the server has once all that waited was sent; nobody was to be sent twice."""
    first = len(fake.writes)
    qf.spool.drain(fake.conf, spool_dir=folder)
    return lines(fake, first)


def endless(given: list[int]) -> Iterator[pl.DataFrame]:
    """A row now and then; `given` tells which."""
    for number in itertools.count():
        time.sleep(0.02)
        given.append(number)
        yield frame(1, number)


def unhealthy() -> pl.DataFrame:
    """A frame that no plan takes, since it has no time in one row."""
    return frame(10, 20).with_columns(ts=pl.when(pl.col("n") == 25).then(None).otherwise(pl.col("ts")))


@pytest.mark.parametrize("form", ["iterator", "list"])
def test_a_later_batch_is_refused(form: str, fake: FakeQuestDB, folder: Path) -> None:
    """What was read before it waits on disk, and is not passed over when the stream is gone on with."""
    parts = [frame(10), frame(10, 10), unhealthy(), frame(10, 30)]
    frames = iter(parts) if form == "iterator" else parts
    fake.script = [BUSY]
    error = failure(qf.write_questdb, frames, conf(fake, folder), table="t")
    assert error.row == 25
    assert "20 rows before that wait on disk to be sent, and count as stored" in str(error)
    assert (rows(error.acked), rows(error.unsent)[0]) == (list(range(20)), 20)
    assert numbers(fake, folder) == list(range(20))

    before = len(fake.writes)
    report = qf.write_questdb(frames, conf(fake, folder), table="t", resume=error, null_at="server")
    assert report.rows == 20
    assert sorted(lines(fake, before)) == list(range(20, 40))


def test_a_stream_that_raises(fake: FakeQuestDB, folder: Path) -> None:
    """Who raised what is told, though the server failed, too."""

    def frames() -> Iterator[pl.DataFrame]:
        yield from (frame(10), frame(10, 10))
        msg = "the disk of the file failed"
        raise ValueError(msg)

    fake.script = [BUSY]
    with pytest.raises(qf.IngressError, match="the disk of the file failed") as caught:
        qf.write_questdb(frames(), conf(fake, folder), table="t")
    assert isinstance(caught.value.__cause__, ValueError)
    assert rows(caught.value.acked) == list(range(20))
    assert numbers(fake, folder) == list(range(20))


def test_the_spool_is_full(fake: FakeQuestDB, folder: Path) -> None:
    frames = (frame(10, start) for start in range(0, 1_000, 10))
    fake.script = [BUSY]
    error = failure(qf.write_questdb, frames, conf(fake, folder, "spool_max_bytes=4096;"), table="t")
    assert "is full" in str(error)
    kept = len(rows(error.acked))
    assert 10 <= kept < 1_000
    assert rows(error.acked) == list(range(kept))
    assert numbers(fake, folder) == list(range(kept))
    before = len(fake.writes)
    report = qf.write_questdb(frames, conf(fake, folder), table="t", resume=error)
    assert report.rows == 1_000 - kept
    assert lines(fake, before) == list(range(kept, 1_000))


def test_a_deadline_ends_the_reading(fake: FakeQuestDB, folder: Path) -> None:
    """A second later: what a stream has ready is kept, but it may have no end."""
    taken: list[int] = []
    fake.script = [BUSY] * 10_000
    began = time.monotonic()
    error = failure(qf.write_questdb, endless(taken), conf(fake, folder), table="t", deadline=0.2)
    assert time.monotonic() - began < 10
    assert "deadline" in str(error)
    assert "wait on disk" in str(error)
    assert rows(error.acked) == list(range(len(rows(error.acked))))
    assert len(rows(error.acked)) + len(rows(error.unsent)) == len(taken)
    fake.script = []
    assert numbers(fake, folder) == rows(error.acked)


def test_a_task_is_cancelled_while_rows_are_kept(nobody: str, fake: FakeQuestDB, folder: Path) -> None:
    asked: list[int] = []

    async def main() -> float:
        target = f"{nobody}spool_dir={folder};"
        task = asyncio.ensure_future(qf.awrite_questdb(endless(asked), target, table="t", at="ts"))
        while len(asked) < 10:
            await asyncio.sleep(0.01)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert isinstance(caught.value.__cause__, (qf.IngressError, qf.WriteInterrupted))
        assert "wait on disk" in str(caught.value.__cause__)
        return time.monotonic() - began

    assert asyncio.run(main()) < 5
    kept = numbers(fake, folder)
    assert kept == list(range(len(kept)))
    assert len(kept) >= 1


@pytest.mark.parametrize("form", ["iterator", "list", "reader", "frame"])
def test_refused_rows_and_a_server_that_goes_away(form: str, fake: FakeQuestDB, folder: Path) -> None:
    """The rows that were set aside are told, and nothing is sent twice."""
    parts = [frame(30, start) for start in range(0, 300, 30)]
    data = {"iterator": iter(parts), "list": parts, "reader": stream(pl.concat(parts), 30), "frame": pl.concat(parts)}

    def picky(exchange: object) -> None:
        found = exchange.request.body.decode().splitlines()  # type: ignore[attr-defined]
        bad = [number for number, line in enumerate(found, 1) if "n=3i" in line]
        (refused(bad[0], "table: t, column: n; no") if bad else stored)(exchange)  # type: ignore[arg-type]

    fake.script = [picky] * 6 + [BUSY] * 100
    report = qf.write_questdb(data[form], conf(fake, folder), table="t", on_error="quarantine")
    assert report.rejected is not None
    assert report.rejected.rows == [3]
    assert report.rows + report.rows_spooled == 299
    assert report.rows_spooled > 0
    fake.script = []
    assert qf.spool.drain(fake.conf, spool_dir=folder).rows == report.rows_spooled


def test_rows_left_out_are_counted_where_they_are(fake: FakeQuestDB, folder: Path) -> None:
    """Those on disk are no loss of what was stored."""
    values = [1] * 10 + [None] * 6 + [2] * 4
    data = frame(20).with_columns(n=pl.Series(values, dtype=pl.Int64))
    fake.script = [stored, BUSY]
    report = qf.write_questdb(data, conf(fake, folder), table="t", empty_rows="skip")
    assert (report.rows, report.skipped_rows, report.rows_spooled) == (10, 6, 4)


def test_no_rows_wait_and_none_are_told(fake: FakeQuestDB, folder: Path) -> None:
    fake.script = [BUSY] * 2
    with qf.connect(conf(fake, folder)) as client:
        client.write(frame(10), table="t")
        report = client.write(frame(0), table="t")
    assert (report.rows_spooled, report.notes) == (0, [])


def test_a_deadline_while_others_are_sent_keeps_the_rows(fake: FakeQuestDB, folder: Path) -> None:
    """A server that takes connections and says nothing is the failure that a spool is for."""
    fake.script = [silent] * 3
    with qf.connect(conf(fake, folder)) as client:
        for table in ("t", "t", "u"):
            options = {"table": table, "deadline": 0.3, "retry_in_doubt": True}
            report = client.write(frame(10), **options)  # type: ignore[arg-type]
            assert report.rows_spooled == 10
            assert "deadline" in report.notes[0] or "wait to be sent" in report.notes[0]
    fake.script = []
    assert qf.spool.drain(fake.conf, spool_dir=folder).rows == 30


def test_segments_that_somebody_removed_are_forgotten(fake: FakeQuestDB, folder: Path) -> None:
    """They are told once, and hold up nothing."""
    fake.script = [BUSY]
    with qf.connect(conf(fake, folder)) as client:
        assert client.write(frame(30), table="t").rows_spooled == 30
        for segment in sorted(folder.glob("*/*.seg"))[:2]:
            segment.unlink()
        error = failure(client.write, frame(10, 30), table="u")
        assert "2 segments with 20 rows" in str(error)
        assert "not there any more" in str(error)
        assert error.unsent == (range(10),)
        before = len(fake.writes)
        assert client.write(frame(10, 30), table="u").rows == 10
        assert lines(fake, before) == [*range(20, 30), *range(30, 40)]


def test_a_folder_that_is_not_there_is_told(fake: FakeQuestDB, folder: Path) -> None:
    """A slip in the name of one that a job empties every night."""
    error = failure(qf.spool.drain, fake.conf, spool_dir=folder / "slip")
    assert "there is no spool folder" in str(error)
    assert error.code is qf.IngressErrorCode.ConfigError
    assert not folder.exists()


def test_a_column_whose_late_type_no_table_has(server: QuestDB, nobody: str, folder: Path, table: str) -> None:
    """The plan for the rest fails, and what was read before is kept."""
    late = [frame(10).with_columns(v=pl.lit(None)), frame(10, 10).with_columns(v=pl.lit(b"b"))]
    data = iter(late)
    error = failure(qf.write_questdb, data, nobody, table=table, spool_dir=folder)
    assert error.column == "v"
    assert rows(error.acked) == list(range(10))
    assert "10 rows before that wait on disk" in str(error)
    assert qf.spool.drain(server.conf, spool_dir=folder).rows == 10
    assert server.wait_visible(table, 10) == 10
