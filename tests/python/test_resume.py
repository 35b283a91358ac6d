"""A failed write is gone on with, from its error: frames, and streams that can be read once."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import pickle
import socket
import sys
import threading
from typing import TYPE_CHECKING

import polars as pl
import pytest
from numbered import failure, frame, lines, stream
from servers import SETTINGS, FakeQuestDB, answer, answer_json, refused, reset, stored

import questframe as qf
from questframe import IngressErrorCode as Code

if TYPE_CHECKING:
    from servers import Exchange


def gap(fake: FakeQuestDB) -> qf.IngressError:
    """The second of three requests is refused while the third is acknowledged."""
    seen = threading.Event()

    def by_row(exchange: Exchange) -> None:
        if b"n=10i" in exchange.request.body:
            assert seen.wait(10)
            answer(403, b"no grant")(exchange)
            return
        stored(exchange)
        if b"n=20i" in exchange.request.body:
            seen.set()

    fake.script = [by_row] * 3
    with qf.connect(f"{fake.conf}auto_flush_rows=10;connections=2;") as client:
        error = failure(client.write, frame(), table="t")
    assert (error.acked, error.doubtful, error.unsent) == ((range(10), range(20, 30)), (), (range(10, 20),))
    return error


def test_a_deadline_that_passes_before_there_is_an_answer_names_the_table(fake: FakeQuestDB) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        conf = f"http::addr=127.0.0.1:{silent.getsockname()[1]};"
        error = failure(qf.write_questdb, frame(), conf, table="t", deadline=0.3)
    assert (error.table, error.unsent) == ("t", (range(30),))
    assert str(error).startswith('table "t": the deadline')
    assert qf.write_questdb(frame(), fake.conf, table="t", resume=error).rows == 30


def test_a_failed_write_is_gone_on_with(fake: FakeQuestDB) -> None:
    error = gap(fake)
    report = qf.write_questdb(frame(), fake.conf, table="t", resume=error)
    assert (report.rows, report.requests) == (10, 1)
    assert lines(fake, 3) == list(range(10, 20))


def test_an_error_comes_from_another_process(fake: FakeQuestDB) -> None:
    error = gap(fake)
    there = pickle.loads(pickle.dumps(error))
    assert type(there) is qf.IngressError
    assert (str(there), there.code, there.args) == (str(error), error.code, error.args)
    assert vars(there) == vars(error)
    assert qf.write_questdb(frame(), fake.conf, table="t", resume=there).rows == 10
    interrupted = qf.WriteInterrupted("stopped", table="t", unsent=(range(3),))
    there = pickle.loads(pickle.dumps(interrupted))
    assert (str(there), there.table, there.unsent) == ("stopped", "t", (range(3),))
    wrong = pickle.loads(pickle.dumps(qf.IngressTypeError(Code.InvalidApiCall, "no")))
    assert isinstance(wrong, TypeError)


def test_a_report_comes_from_another_process(fake: FakeQuestDB) -> None:
    fake.script = [refused(2, "table: t, column: n; bad"), stored, refused(1, "table: t, column: n; bad"), stored]
    data = frame().with_columns(s=pl.Series(["a", None, "c"] * 10, dtype=pl.Categorical))
    report = qf.write_questdb(data, fake.conf, table="t", on_error="quarantine", max_rejected=9)
    there = pickle.loads(pickle.dumps(report))
    assert type(there) is qf.WriteReport
    names = [name for name in dir(report) if not name.startswith("_") and name not in {"columns", "rejected"}]
    assert len(names) == 16
    for name in names:
        assert getattr(there, name) == getattr(report, name), name
    assert (repr(there), repr(there.columns), there._repr_html_()) == (
        repr(report), repr(report.columns), report._repr_html_()
    )  # fmt: skip
    assert report.rejected is not None
    assert there.rejected is not None
    assert len(report.rejected) > 0
    assert pl.DataFrame(there.rejected).equals(pl.DataFrame(report.rejected))
    assert repr(copy.deepcopy(report.columns[0])) == repr(report.columns[0])


def test_refused_rows_come_from_another_process_without_pyarrow(
    fake: FakeQuestDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.script = [refused(2, "table: t, column: n; bad"), stored, refused(1, "table: t, column: n; bad"), stored]
    data = frame().with_columns(s=pl.Series(["a", None, "c"] * 10, dtype=pl.Categorical), nothing=None)
    report = qf.write_questdb(data, fake.conf, table="t", on_error="quarantine", max_rejected=9)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    there = pickle.loads(pickle.dumps(report))
    assert report.rejected is not None
    assert there.rejected is not None
    assert (there.rejected.rows, there.rejected.reasons) == (report.rejected.rows, report.rejected.reasons)
    assert len(there.rejected.reasons) > 0
    assert repr(there.rejected) == repr(report.rejected)
    assert pl.DataFrame(there.rejected).equals(pl.DataFrame(report.rejected))


def test_errors_of_connections_name_the_table() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        conf = f"http::addr=127.0.0.1:{closed.getsockname()[1]};retry_timeout=0;"
    for error in (
        failure(qf.write_questdb, frame(), conf, table="t"),
        failure(qf.write_questdb, frame(), conf + "table=t;"),
        failure(qf.plan, frame(), conf, table="t"),
    ):
        assert error.table == "t"
        assert str(error).startswith('table "t": no connection to ')


@pytest.mark.parametrize("way", ["shorter", "table", "types", "option", "closed", "cancelled"])
def test_a_write_that_does_not_begin_forgets_nothing(way: str, fake: FakeQuestDB) -> None:
    """A loop that goes on from the latest error sends no row twice."""
    error = gap(fake)
    assert (error.acked, error.unsent) == ((range(10), range(20, 30)), (range(10, 20),))
    client = qf.connect(fake.conf)
    if way == "shorter":
        again = failure(client.write, frame(5), table="t", resume=error)
    elif way == "table":
        again = failure(client.write, frame(), table="u", resume=error)
    elif way == "types":
        strange = frame().with_columns(x=pl.Series([object()] * 30, dtype=pl.Object))
        again = failure(client.write, strange, table="t", resume=error)
    elif way == "option":
        again = failure(client.write, frame(), table="t", tabel="t", resume=error)
    elif way == "closed":
        client.close()
        again = failure(client.write, frame(), table="t", resume=error)
    else:
        wanted = frame()

        async def cancelled() -> None:
            task = asyncio.ensure_future(qf.awrite_questdb(wanted, fake.conf, table="t", resume=error))
            task.cancel()
            await task

        with pytest.raises(asyncio.CancelledError) as caught:
            asyncio.run(cancelled())
        cause = caught.value.__cause__
        if cause is None:  # It had not even been looked at.
            return
        assert isinstance(cause, qf.IngressError)
        again = cause
    assert (again.table, again.acked, again.doubtful, again.unsent) == ("t", error.acked, (), error.unsent)
    assert len(fake.writes) == 3
    assert qf.write_questdb(frame(), fake.conf, table="t", resume=again).rows == 10
    assert lines(fake, 3) == list(range(10, 20))


@pytest.mark.parametrize("bad", [range(0, 10, 2), range(-5, 2), range(2**64), (0, 10)], ids=str)
def test_what_is_no_range_of_rows_is_refused(bad: object, fake: FakeQuestDB) -> None:
    error = gap(fake)
    error.acked = (bad,)  # type: ignore[assignment]
    with pytest.raises(qf.IngressTypeError, match="acked must be ranges of rows"):
        qf.write_questdb(frame(), fake.conf, table="t", resume=error)


def test_it_may_fail_again_and_the_rows_keep_their_numbers(fake: FakeQuestDB) -> None:
    error = gap(fake)
    fake.script = [reset]
    again = failure(qf.write_questdb, frame(), fake.conf, table="t", resume=error)
    assert (again.acked, again.doubtful, again.unsent) == ((range(10), range(20, 30)), (range(10, 20),), ())
    # Rows in doubt are sent again unless they are to be left.
    assert qf.write_questdb(frame(), fake.conf, table="t", resume=again, doubtful=False).rows == 0
    assert qf.write_questdb(frame(), fake.conf, table="t", resume=again).rows == 10
    fake.script = [refused(4, "table: t, column: n; bad")]
    third = failure(qf.write_questdb, frame(), fake.conf, table="t", resume=again)
    assert (third.row, third.column, third.value) == (13, "n", "13i")
    assert 'column "n", row 13 (value 13i)' in str(third)
    fake.script = [answer(403)]
    left = failure(qf.write_questdb, frame(40), fake.conf, table="t", resume=again, doubtful=False)
    assert (left.doubtful, left.unsent) == ((range(10, 20),), (range(30, 40),))


def test_rows_that_were_stored_before_are_waited_for(fake: FakeQuestDB) -> None:
    """Also by a write that has nothing left to store."""

    def asks() -> int:
        return sum("wal_tables" in request.query for request in fake.of("/exec"))

    fake.script = [stored, reset]
    with qf.connect(f"{fake.conf}auto_flush_rows=10;connections=1;retry_timeout=0;") as client:
        error = failure(client.write, frame(20), table="t", at="ts")
        assert (error.acked, error.doubtful, asks()) == ((range(10),), (range(10, 20),), 0)
        with contextlib.suppress(qf.IngressError):
            client.write(frame(20), table="t", at="ts", resume=error, doubtful=False, wait_visible=0.1)
    assert asks() > 0
    assert len(fake.writes) == 2


def test_resume_must_fit(fake: FakeQuestDB) -> None:
    error = gap(fake)
    for data, options, words in (
        (frame(20), {"table": "t"}, "saw 30 rows and this frame has 20"),
        (frame(), {"table": "u"}, 'into table "t", and this is one into "u"'),
    ):
        found = failure(qf.write_questdb, data, fake.conf, resume=error, **options)
        assert found.code is Code.InvalidApiCall
        assert words in str(found)
    assert qf.write_questdb(frame(), fake.conf, table="T", resume=error).rows == 10
    with pytest.raises(TypeError, match="resume must be the exception of a failed write, not str"):
        qf.write_questdb(frame(), fake.conf, table="t", resume="error")  # type: ignore[arg-type]


def test_an_error_before_the_first_row_resumes_with_all(fake: FakeQuestDB) -> None:
    fake.settings = answer(404, b"x")
    fake.ping = answer(404)
    error = failure(qf.write_questdb, frame(), f"{fake.conf}retry_timeout=0;", table="t")
    assert error.unsent == (range(30),)
    fake.settings = answer_json(200, SETTINGS)
    assert qf.write_questdb(frame(), fake.conf, table="t", resume=error).rows == 30


@pytest.mark.parametrize("same", [True, False], ids=["the_same_object", "opened_again"])
def test_a_stream_is_gone_on_with(same: bool, fake: FakeQuestDB) -> None:
    fake.script = [stored, answer(403, b"no grant")]
    conf = f"{fake.conf}auto_flush_rows=10;connections=1;"
    reader = stream(frame(50), 7)
    error = failure(qf.write_questdb, reader, conf, table="t")
    assert error.acked == (range(10),)
    assert error.unsent[0].start == 10
    report = qf.write_questdb(reader if same else stream(frame(50), 7), conf, table="t", resume=error)
    assert report.rows == 40
    assert lines(fake, 2) == list(range(10, 50))


@pytest.mark.parametrize("is_stream", [False, True], ids=["frame", "stream"])
def test_rows_of_small_batches_keep_their_numbers(is_stream: bool, fake: FakeQuestDB) -> None:
    """Many of them are encoded as one, and requests end inside."""
    data = frame(2_000)
    batches = stream(data, rows=7)
    rows = batches if is_stream else batches.read_all()
    fake.script = [stored, stored, answer(503, b"busy"), answer(503, b"busy")]
    with qf.connect(f"{fake.conf}auto_flush_rows=301;connections=1;retry_timeout=0;") as client:
        error = failure(client.write, rows, table="t")
        assert (error.acked, error.doubtful, error.unsent[0].start) == ((range(602),), (), 602)
        sent = len(fake.writes)
        again = failure(client.write, rows, table="t", resume=error)
        assert (again.acked, again.unsent[0].start) == ((range(602),), 602)
        client.write(rows, table="t", resume=again)
    assert lines(fake)[:602] == list(range(602))
    assert lines(fake, sent + 1) == list(range(602, 2_000))


def test_a_stream_that_was_read_in_part_is_not_mistaken_for_a_new_one(fake: FakeQuestDB) -> None:
    fake.script = [answer(403, b"no grant")]
    reader = stream(frame(50), 7)
    error = failure(qf.write_questdb, reader, fake.conf, table="t")
    assert error.unsent[-1].stop <= 50
    fake.script = [answer(403, b"no grant")]
    again = failure(qf.write_questdb, reader, fake.conf, table="t", resume=error)
    assert qf.write_questdb(reader, fake.conf, table="t", resume=again).rows == 50
    assert lines(fake, 2) == list(range(50))
