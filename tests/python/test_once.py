"""Iterators that are passed a second time: nothing that the first call has read is passed over without a word."""

from __future__ import annotations

import gc
import itertools
import weakref
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numbered import failure
from servers import answer, stored

import questframe as qf
from questframe import IngressErrorCode as Code
from questframe import _once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import FakeQuestDB

FRAMES = [pl.DataFrame({"n": [start, start + 1]}).with_columns(ts=pl.from_epoch("n")) for start in range(0, 8, 2)]
LINES_V3 = qf.to_ilp(FRAMES, table="t", at="ts")

#: Those of the first two take weak references, those of the others none.
ITERATORS: dict[str, Callable[[], Iterator[Any]]] = {
    "generator": lambda: (frame for frame in FRAMES),
    "pandas": lambda: (frame.to_pandas() for frame in FRAMES),
    "list": lambda: iter(FRAMES),
    "map": lambda: map(pl.DataFrame.lazy, FRAMES),
    "zip": lambda: (frame for (frame,) in zip(FRAMES)),  # noqa: B905
}


def is_whole(fake: FakeQuestDB) -> bool:
    lines = b"".join(fake.writes)
    return [lines.count(b"n=%di" % number) for number in range(8)] == [1] * 8


@pytest.mark.parametrize("form", ITERATORS)
def test_a_plan_leaves_the_first_frame(form: str, fake: FakeQuestDB) -> None:
    frames = ITERATORS[form]()
    assert [column.name for column in qf.plan(frames, table="t", at="ts").columns] == ["n", "ts"]
    assert 'TIMESTAMP("ts")' in qf.TableSpec().sql(frames, table="t", at="ts")
    with qf.connect(fake.conf) as client:
        client.plan(frames, table="t", at="ts")
        assert client.write(frames, table="t", at="ts").rows == 8
    assert is_whole(fake)


@pytest.mark.parametrize("form", ITERATORS)
def test_a_plan_that_fails_leaves_it_too(form: str) -> None:
    frames = ITERATORS[form]()
    assert failure(qf.plan, frames, table="t", at="no").code is Code.InvalidApiCall
    assert qf.to_ilp(frames, table="t", at="ts").count(b"n=") == 8


@pytest.mark.parametrize("form", sorted(ITERATORS.keys() - {"map"}))
def test_a_write_that_sends_nothing_leaves_it(form: str, fake: FakeQuestDB, nobody: str) -> None:
    frames = ITERATORS[form]()
    for conf, options in ((nobody, {"at": "ts"}), (fake.conf, {"at": "no"}), (fake.conf, {"at": "ts", "table": "a?b"})):
        failure(qf.write_questdb, frames, conf, **{"table": "t", **options})
    assert qf.write_questdb(frames, fake.conf, table="t", at="ts").rows == 8
    assert is_whole(fake)


@pytest.mark.parametrize("form", ["generator", "list", "map"])
def test_what_a_failed_write_has_read_is_not_passed_over(form: str, fake: FakeQuestDB) -> None:
    frames = ITERATORS[form]()
    fake.script = [answer(403, b"no grant")]
    with qf.connect(f"{fake.conf}auto_flush_rows=2;connections=1;") as client:
        error = failure(client.write, frames, table="t", at="ts")
        fake.requests.clear()
        again = [
            failure(client.write, frames, table="t", at="ts"),
            failure(client.write, frames, table="t", at="ts", resume=qf.IngressError(Code.ServerFlushError, "another")),
            failure(qf.to_ilp, frames, table="t", at="ts"),
            failure(qf.plan, frames, table="t", at="ts"),
        ]
        assert {found.code for found in again} == {Code.InvalidApiCall}
        assert all("gives its rows once, and an earlier call has read some of them" in str(found) for found in again)
        assert client.write(frames, table="t", at="ts", resume=error).rows == 8
    assert is_whole(fake)


def test_who_wants_the_rest_takes_it() -> None:
    frames = ITERATORS["generator"]()
    failure(qf.to_ilp, itertools.chain([FRAMES[0].rename({"n": "m"})], frames), table="t", at="ts")
    assert qf.to_ilp(frames, table="t", at="ts").count(b"n=") == 6
    frames = itertools.chain(FRAMES[:1], [pl.DataFrame({"x": [1]})], FRAMES[1:])
    failure(qf.to_ilp, frames, table="t", at="ts")
    failure(qf.to_ilp, frames, table="t", at="ts")
    assert qf.to_ilp(itertools.chain(frames), table="t", at="ts").count(b"n=") == 6


def test_a_reader_that_a_failed_write_has_read(fake: FakeQuestDB, nobody: str) -> None:
    table = pl.concat(FRAMES).to_arrow()
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=2))
    failure(qf.write_questdb, reader, nobody, table="t", at="ts")
    failure(qf.write_questdb, reader, fake.conf, table="t", at="no")
    fake.script = [answer(403, b"no grant")]
    error = failure(qf.write_questdb, reader, fake.conf, table="t", at="ts")
    fake.requests.clear()
    assert "gives its rows once" in str(failure(qf.write_questdb, reader, fake.conf, table="t", at="ts"))
    assert qf.write_questdb(reader, fake.conf, table="t", at="ts", resume=error).rows == 8
    assert is_whole(fake)


def test_what_gives_its_frames_any_number_of_times(fake: FakeQuestDB, nobody: str) -> None:
    lazy = pl.concat(FRAMES).lazy()
    for frames in (FRAMES, tuple(FRAMES), dict(enumerate(FRAMES)).values(), lazy):
        qf.plan(frames, table="t", at="ts")
        failure(qf.write_questdb, frames, nobody, table="t", at="ts")
        fake.script, error = [answer(403, b"no grant")], None
        error = failure(qf.write_questdb, frames, fake.conf, table="t", at="ts")
        fake.requests.clear()
        assert qf.write_questdb(frames, fake.conf, table="t", at="ts").rows == 8
        assert is_whole(fake)
        fake.requests.clear()
        del error


def test_a_first_frame_that_is_refused_is_given_again() -> None:
    bad = pd.DataFrame({"n": [1, object()]})
    frames = iter([bad, *FRAMES])
    for _ in range(2):
        assert failure(qf.to_ilp, frames, table="t", at=qf.ServerTimestamp).column == "n"


def test_nothing_is_held_longer_than_the_iterator() -> None:
    gc.collect()
    before = len(_once._left)
    frame = pd.DataFrame({"n": [1]})
    frames: Any = (part for part in [frame])
    qf.plan(frames, table="t", at=qf.ServerTimestamp)
    assert len(_once._left) == before + 1
    held = weakref.ref(frame)
    del frames, frame
    gc.collect()
    assert len(_once._left) == before
    assert held() is None
    # Of those that take no weak reference the last ones are held, and a frame that is let go of is not forgotten.
    iterators = [iter(FRAMES) for _ in range(9)]
    for frames in iterators:
        qf.plan(frames, table="t", at="ts")
    assert sum(frame is not _once._GONE for _, frame in _once._held.values()) == _once._MOST_FRAMES
    whole = [frames for frames in iterators[-_once._MOST_FRAMES :] if qf.to_ilp(frames, table="t", at="ts") == LINES_V3]
    assert len(whole) == _once._MOST_FRAMES
    for frames in iterators[: -_once._MOST_FRAMES]:
        assert "gives its rows once" in str(failure(qf.to_ilp, frames, table="t", at="ts"))


def bad_reader() -> pa.RecordBatchReader:
    """Of three batches; in the second the designated timestamp is null."""
    batches = [frame.to_arrow().to_batches()[0] for frame in FRAMES[:3]]
    nulls = pa.nulls(2, batches[1].schema.field("ts").type)
    batches[1] = batches[1].set_column(1, "ts", nulls)
    return pa.RecordBatchReader.from_batches(batches[0].schema, batches)


def test_a_reader_that_to_ilp_has_read(fake: FakeQuestDB) -> None:
    reader = bad_reader()
    failure(qf.to_ilp, reader, table="t", at="no")
    assert failure(qf.to_ilp, reader, table="t", at="ts").code is Code.InvalidTimestamp
    assert "gives its rows once" in str(failure(qf.write_questdb, reader, fake.conf, table="t", at="ts"))
    assert fake.writes == []


def test_readers_among_frames(fake: FakeQuestDB) -> None:
    reader = bad_reader()
    frames = [reader, FRAMES[3]]
    with qf.connect(fake.conf) as client:
        error = failure(client.write, frames, table="t", at="ts")
        assert error.acked
        sent = len(fake.writes)
        for again in (frames, [reader], iter([reader]), reader):
            assert "gives its rows once" in str(failure(client.write, again, table="t", at="ts"))
        assert len(fake.writes) == sent
        # Which is refused again, and no row of it is passed over.
        assert failure(client.write, frames, table="t", at="ts", resume=error).row == 2


def test_an_error_that_was_gone_on_with(fake: FakeQuestDB) -> None:
    """A later write has stored more than it says: going on with it once more would send that again."""

    def write(data: Any, **options: Any) -> qf.WriteReport:
        return client.write(data, table="t", at="ts", **options)

    refused = answer(403, b"no grant")
    for form in ("generator", "list", "frames"):
        frames: Any = list(FRAMES) if form == "frames" else ITERATORS[form]()
        fake.script = [stored, refused, stored, refused]
        with qf.connect(f"{fake.conf}auto_flush_rows=2;connections=1;") as client:
            first = failure(write, frames)
            second = failure(write, frames, resume=first)
            assert (first.rows_acked, second.rows_acked) == (2, 4)
            assert "was gone on with before" in str(failure(write, frames, resume=first))
            assert write(frames, resume=second).rows == 4
            for spent in (first, second):
                assert "was gone on with before" in str(failure(write, frames, resume=spent))
        fake.requests.clear()


def test_readers_of_an_iterator_are_let_go_of() -> None:
    held: list[Any] = []

    def readers() -> Iterator[pa.RecordBatchReader]:
        for frame in FRAMES:
            gc.collect()
            assert sum(reference() is not None for reference in held) <= 1
            reader = pa.RecordBatchReader.from_batches(frame.to_arrow().schema, frame.to_arrow().to_batches())
            held.append(weakref.ref(reader))
            yield reader
            del reader

    assert qf.to_ilp(readers(), table="t", at="ts").count(b"n=") == 8
