"""Streams of frames that failed and are gone on with: nothing that was refused or interrupted is passed over."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numbered import failure, lines, rows
from servers import answer, refused, reset, stored

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Exchange, FakeQuestDB


def frame(rows: int, start: int = 0) -> pl.DataFrame:
    return pl.DataFrame({"n": range(start, start + rows)}).with_columns(ts=pl.from_epoch("n"))


def numbers(fake: FakeQuestDB) -> list[int]:
    """Those that were stored, in order."""
    return [int(found) for body in fake.writes for found in re.findall(rb"n=(\d+)i", body)]


def told(error: qf.IngressError | qf.WriteInterrupted) -> list[int]:
    return sorted(row for rows in (*error.acked, *error.doubtful, *error.unsent) for row in rows)


MISFITS: dict[str, Callable[[], Any]] = {
    "type": lambda: frame(3, 3).with_columns(n=pl.lit("text")),
    "value": lambda: frame(3, 3).with_columns(n=pl.Series([3.0, 4.5, 5.0])),
    "columns": lambda: frame(3, 3).rename({"n": "m"}),
    "no frame": lambda: 5,
    "null instant": lambda: frame(3, 3).with_columns(ts=None),
    "object": lambda: pd.DataFrame({"n": [3, "x", 5], "ts": pd.to_datetime([3, 4, 5], unit="s")}),
}


@pytest.mark.parametrize("misfit", MISFITS)
@pytest.mark.parametrize("form", ["list", "iterator"])
def test_a_refused_frame_is_not_passed_over(misfit: str, form: str, fake: FakeQuestDB) -> None:
    frames = [frame(3), MISFITS[misfit](), frame(3, 6)]
    data: Any = frames if form == "list" else iter(frames)
    with qf.connect(fake.conf) as client:
        error = failure(client.write, data, table="t", at="ts")
        assert error.acked == (range(3),)
        for _ in range(2):
            error = failure(client.write, data, table="t", at="ts", resume=error)
            assert error.acked == (range(3),)
        assert numbers(fake) == [0, 1, 2]
        # Others, from the first on.
        report = client.write(pieces(9), table="t", at="ts", resume=error)
    assert report.rows == 6
    assert numbers(fake) == list(range(9))


def pieces(rows: int) -> list[pl.DataFrame]:
    return [frame(3, start) for start in range(0, rows, 3)]


@pytest.mark.parametrize("misfit", [misfit for misfit in MISFITS if misfit != "null instant"])
def test_a_list_may_be_mended(misfit: str, fake: FakeQuestDB) -> None:
    frames = [frame(3), MISFITS[misfit](), frame(3, 6)]
    with qf.connect(fake.conf) as client:
        error = failure(client.write, frames, table="t", at="ts")
        frames[1] = frame(3, 3)
        assert client.write(frames, table="t", at="ts", resume=error).rows == 6
    assert numbers(fake) == list(range(9))


def test_a_frame_is_gone_on_with_in_its_midst(fake: FakeQuestDB) -> None:
    """Its first rows were taken, and do not come twice."""
    rows = 300_000
    cells: list[Any] = list(range(rows))
    cells[-1] = object()
    frames = [pd.DataFrame({"n": np.arange(-2, 0)}, dtype=object), pd.DataFrame({"n": cells}, dtype=object)]
    with qf.connect(fake.conf) as client:
        error = failure(client.write, frames, table="t", at=qf.ServerTimestamp)
        assert error.row == rows + 1
        frames[1] = pd.DataFrame({"n": [*cells[:-1], rows - 1]}, dtype=object)
        client.write(frames, table="t", at=qf.ServerTimestamp, resume=error)
    assert numbers(fake)[-rows:] == list(range(rows))
    assert b"".join(fake.writes).count(b"\n") == rows + 2


def broken(kind: type[BaseException], forms: str) -> Any:
    def frames() -> Iterator[pl.DataFrame]:
        yield from pieces(6)
        raise kind

    def batches() -> Iterator[pa.RecordBatch]:
        for piece in frames():
            yield piece.to_arrow().to_batches()[0]

    def reader() -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(frame(1).to_arrow().schema, batches())

    return {"generator": frames, "reader": reader, "reader in a list": lambda: [reader(), frame(3, 6)]}[forms]()


@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("form", ["generator", "reader", "reader in a list"])
def test_a_stream_that_ended_where_it_failed_is_not_at_its_end(
    kind: type[BaseException], form: str, fake: FakeQuestDB
) -> None:
    data = broken(kind, form)
    with qf.connect(fake.conf) as client:
        with pytest.raises((qf.IngressError, qf.WriteInterrupted)) as raised:
            client.write(data, table="t", at="ts")
        assert told(raised.value) == list(range(6))
        error: Any = raised.value
        for _ in range(2):
            error = failure(client.write, data, table="t", at="ts", resume=error)
            assert "resume=" in str(error)
            assert "cannot be asked for any more" in str(error)
            assert told(error) == list(range(6))
        report = client.write(iter(pieces(9)), table="t", at="ts", resume=error)
    assert report.rows == 9 - sum(map(len, error.acked))
    assert numbers(fake) == list(range(9))


def test_a_query_that_ended_where_it_failed_is_not_at_its_end(fake: FakeQuestDB) -> None:
    def halve(part: pl.DataFrame) -> pl.DataFrame:
        return part if (part["n"] < 300_000).all() else part.select(1 / 0)

    data = frame(600_000).lazy().map_batches(halve, streamable=True, schema={"n": pl.Int64, "ts": pl.Datetime("us")})
    with qf.connect(fake.conf) as client:
        error = failure(client.write, data, table="t", at="ts")
        again = failure(client.write, data, table="t", at="ts", resume=error)
    assert "cannot be asked for any more" in str(again)


def test_an_iterator_that_raised_may_go_on(fake: FakeQuestDB) -> None:
    class Feed:
        asked = 0

        def __iter__(self) -> Feed:
            return self

        def __next__(self) -> pl.DataFrame:
            self.asked += 1
            if self.asked == 3:
                raise TimeoutError
            if self.asked > 5:
                raise StopIteration
            return frame(3, 3 * (self.asked - (self.asked > 3) - 1))

    feed = Feed()
    with qf.connect(fake.conf) as client:
        error = failure(client.write, feed, table="t", at="ts")
        assert client.write(feed, table="t", at="ts", resume=error).rows == 6
    assert numbers(fake) == list(range(12))


class Interrupted:
    """A frame that Ctrl-C comes upon, the first time that it is read."""

    def __init__(self, data: pl.DataFrame) -> None:
        self.data, self.is_read = data, False

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        if not self.is_read:
            self.is_read = True
            raise KeyboardInterrupt
        return self.data.__arrow_c_stream__(requested_schema)


def test_ctrl_c_passes_no_frame_over(fake: FakeQuestDB) -> None:
    data: Any = iter([frame(3), Interrupted(frame(3, 3)), frame(3, 6)])
    with qf.connect(fake.conf) as client:
        with pytest.raises(qf.WriteInterrupted) as raised:
            client.write(data, table="t", at="ts")
        client.write(data, table="t", at="ts", resume=raised.value)
    assert numbers(fake) == list(range(9))


@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit])
def test_what_ends_a_program_goes_on(kind: type[BaseException], fake: FakeQuestDB) -> None:
    with pytest.raises(kind) as raised:
        qf.write_questdb(broken(kind, "generator"), fake.conf, table="t", at="ts")
    cause = raised.value.__cause__
    assert isinstance(cause, qf.IngressError)
    assert told(cause) == list(range(6))


@pytest.mark.parametrize("misfit", MISFITS)
def test_all_or_nothing_of_a_stream_that_breaks(misfit: str, fake: FakeQuestDB) -> None:
    error = failure(qf.write_questdb, iter([frame(3), MISFITS[misfit]()]), fake.conf, table="t", at="ts", atomic=True)
    assert (error.acked, error.doubtful, fake.writes) == ((), (), [])


@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("form", ["generator", "reader"])
def test_all_or_nothing_of_a_stream_that_raises(kind: type[BaseException], form: str, fake: FakeQuestDB) -> None:
    with pytest.raises((qf.IngressError, qf.WriteInterrupted)) as raised:
        qf.write_questdb(broken(kind, form), fake.conf, table="t", at="ts", atomic=True)
    assert raised.value.acked == ()
    assert fake.writes == []


def test_a_stream_that_takes_its_time_ends_at_the_deadline(fake: FakeQuestDB) -> None:
    ends = threading.Event()

    def feed() -> Iterator[pl.DataFrame]:
        for start in range(2_000):
            if ends.wait(0.02):
                return
            yield frame(1, start)

    began = time.monotonic()
    error = failure(qf.write_questdb, feed(), fake.conf, table="t", at="ts", deadline=0.3)
    ends.set()
    assert "deadline" in str(error)
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("bad", [{5}, {5, 47}, {5, 47, 170}])
@pytest.mark.parametrize("fails_at", [110, 130])
def test_refused_rows_of_a_stream_are_told_at_its_end(bad: set[int], fails_at: int, fake: FakeQuestDB) -> None:
    """Also those of batches that had been let go of when the write failed."""
    texts = pl.format("text number {} long enough", "n")
    frames = iter([frame(20, start).with_columns(v=texts) for start in range(0, 200, 20)])
    fails = [fails_at]

    def server(exchange: Exchange) -> None:
        rows = [int(found) for found in re.findall(rb"n=(\d+)i", exchange.request.body)]
        if fails and fails[0] in rows:
            fails.clear()
            answer(403, b"no grant")(exchange)
            return
        wrong = next((line for line, row in enumerate(rows, 1) if row in bad), None)
        if wrong is None:
            kept.extend(rows)
        (stored if wrong is None else refused(wrong, "it is bad"))(exchange)

    kept: list[int] = []
    fake.script = [server] * 2_000
    options: dict[str, Any] = {"table": "t", "at": "ts", "on_error": "quarantine"}
    with qf.connect(f"{fake.conf}auto_flush_rows=20;connections=1;") as client:
        error = failure(client.write, frames, **options)
        report = client.write(frames, **options, resume=error)
    assert sorted(kept) == [row for row in range(200) if row not in bad]
    rejected = pl.DataFrame(report.rejected)
    assert rejected["rejected_row"].to_list() == sorted(bad)
    assert rejected["n"].to_list() == sorted(bad)


def test_rows_in_doubt_that_one_write_leaves_may_come_with_the_next(fake: FakeQuestDB) -> None:
    """The second write sends only what is not in doubt, and fails; the third sends both."""

    class Frames:
        def __init__(self) -> None:
            self.starts = iter([*range(0, 100, 10), None, *range(100, 120, 10)])

        def __iter__(self) -> Frames:
            return self

        def __next__(self) -> pl.DataFrame:
            start = next(self.starts)
            if start is None:
                msg = "once"
                raise ValueError(msg)
            return frame(10, start)

    frames = Frames()
    fake.script = [stored, reset]
    with qf.connect(f"{fake.conf}auto_flush_rows=10;connections=1;retry_timeout=0;") as client:
        first = failure(client.write, frames, table="t", at="ts")
        assert rows(first.doubtful) == list(range(10, 20))
        before = len(fake.writes)
        second = failure(client.write, frames, table="t", at="ts", resume=first, doubtful=False)
        assert rows(second.doubtful) == list(range(10, 20))
        assert lines(fake, before) == list(range(20, 100))
        assert "once" in str(second)
        client.write(frames, table="t", at="ts", resume=second)
    # Those in doubt twice: that is what it was left to the caller for.
    assert sorted(lines(fake)) == sorted([*range(120), *range(10, 20)])


@pytest.mark.parametrize("bad", [[5], [5, 6], [5, 13], [5, 13, 47, 48, 111]])
def test_refused_rows_are_mended_one_by_one(bad: list[int], fake: FakeQuestDB) -> None:
    """Those of batches that were let go of come again, each under its own number, however far apart they are."""
    frames = iter([frame(20, start) for start in range(0, 200, 20)])
    fails = [130]

    def server(exchange: Exchange) -> None:
        found = [int(number) for number in re.findall(rb"n=(\d+)i", exchange.request.body)]
        if fails and fails[0] in found:
            answer(403, b"no grant")(exchange)
            return
        wrong = next((line for line, row in enumerate(found, 1) if fails and row in bad), None)
        if wrong is None:
            kept.extend(found)
        (stored if wrong is None else refused(wrong, "it is bad"))(exchange)

    kept: list[int] = []
    fake.script = [server] * 2_000
    with qf.connect(f"{fake.conf}auto_flush_rows=20;connections=1;") as client:
        error = failure(client.write, frames, table="t", at="ts", on_error="quarantine")
        # What the server disliked is right by now.
        fails.clear()
        report = client.write(frames, table="t", at="ts", resume=error)
    assert report.rejected is None
    assert sorted(kept) == list(range(200))


def test_what_a_stream_raises_is_told_though_the_server_failed_first(fake: FakeQuestDB) -> None:
    def frames() -> Iterator[pl.DataFrame]:
        yield from (frame(10, start) for start in range(0, 30, 10))
        msg = "the disk of the file failed"
        raise OSError(msg)

    fake.script = [stored, answer(403, b"no grant")]
    data = frames()
    with qf.connect(f"{fake.conf}auto_flush_rows=10;connections=1;") as client:
        first = failure(client.write, data, table="t", at="ts")
        assert "no grant" in str(first)
        second = failure(client.write, data, table="t", at="ts", resume=first)
        assert isinstance(second.__cause__, OSError)
        assert rows(second.acked) == list(range(30))
        third = failure(client.write, data, table="t", at="ts", resume=second)
        assert "it failed before and has ended there" in str(third)
