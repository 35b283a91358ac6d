"""Columns of a stream of frames that hold nothing at first get their type when values come, and nothing is lost."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import itertools
import time
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numbered import failure
from servers import FakeQuestDB, answer, stored

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from questframe.local import QuestDB

NOON = dt.datetime(2025, 1, 2, 12, tzinfo=dt.timezone.utc)
NONE = float("nan")

#: Values that come late, as a column of pandas, and as they are read back.
LATE: dict[str, tuple[pd.Series, list[Any]]] = {
    "text": (pd.Series(["a", None]), ["a", None]),
    "category": (pd.Series(["a", None], dtype="category"), ["a", None]),
    "float": (pd.Series([1.5, NONE]), [1.5, None]),
    "integer": (pd.Series([7, 8]), [7, 8]),
    "boolean": (pd.Series([True, False]), [True, False]),
    "instant": (pd.Series([NOON, None]), [NOON, None]),
    "decimal": (pd.Series([decimal.Decimal("1.25"), None]), [decimal.Decimal("1.25"), None]),
    "list": (pd.Series([[1.5, 2.5], None]), [[1.5, 2.5], None]),
}

#: A column of two rows without values.
NOTHING: dict[str, Callable[[], pd.Series]] = {
    "nan": lambda: pd.Series([NONE, NONE]),
    "none": lambda: pd.Series([None, None], dtype=object),
}


def piece(values: pd.Series, start: int) -> pd.DataFrame:
    ts = pd.Series(pd.date_range("2025-01-02", periods=len(values), freq="s")) + pd.Timedelta(start, "s")
    return pd.DataFrame({"v": values, "n": range(start, start + len(values)), "ts": ts})


def stored_rows(server: QuestDB, table: str, rows: int) -> list[dict[str, Any]]:
    assert server.wait_visible(table, rows) == rows
    return qf.read_questdb(f'select * from "{table}"', server.conf).to_dicts()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def column(report: qf.WriteReport, name: str) -> qf.ColumnReport:
    return next(column for column in report.columns if column.name == name)


def late(values: pd.Series, nothing: Callable[[], pd.Series]) -> list[pd.DataFrame]:
    """Two frames without values, and one of these."""
    parts = [nothing(), nothing(), values]
    return [piece(part, 2 * number) for number, part in enumerate(parts)]


@pytest.mark.parametrize("kind", LATE)
@pytest.mark.parametrize("nothing", NOTHING)
def test_a_column_gets_its_type_when_values_come(kind: str, nothing: str, server: QuestDB, table: str) -> None:
    values, expected = LATE[kind]
    frames = iter(late(values, NOTHING[nothing]))
    report = qf.write_questdb(frames, server.conf, table=table, at="ts", null_bool="false")
    assert report.rows == 6
    assert report.created
    assert column(report, "v").read_null == 4 + values.isna().sum()
    found = stored_rows(server, table, 6)
    assert [row["n"] for row in found] == list(range(6))
    absent = False if kind == "boolean" else None
    assert [row["v"] for row in found] == [absent] * 4 + expected


@pytest.mark.parametrize("form", ["polars", "pyarrow"])
def test_columns_of_type_null(form: str, server: QuestDB, table: str) -> None:
    """Two of them, which get their types one after the other, the second in the midst of a frame of many batches."""
    sides: list[tuple[list[Any], list[Any]]] = [([None, None], [None, None]), (["x", None], [None, None])]
    frames = []
    for number, (a, b) in enumerate([*sides, (["y", "z"], [1, 2])]):
        ts = [NOON + dt.timedelta(seconds=2 * number + row) for row in range(2)]
        frames.append(pl.DataFrame({"a": a, "b": b, "n": [2 * number, 2 * number + 1], "ts": ts}))
    data: Any = frames if form == "polars" else [frame.to_arrow() for frame in frames]
    report = qf.write_questdb(data, server.conf, table=table, at="ts")
    assert (report.rows, column(report, "a").nulls, column(report, "b").nulls) == (6, 3, 4)
    found = stored_rows(server, table, 6)
    assert [row["a"] for row in found] == [None, None, "x", None, "y", "z"]
    assert [row["b"] for row in found] == [None] * 4 + [1, 2]


def test_a_file_whose_column_begins_late(server: QuestDB, table: str) -> None:
    rows = [f"2025-01-02T00:00:{second:02},{second},{'late' if second > 6 else ''}" for second in range(10)]
    text = "\n".join(["ts,n,note", *rows])
    for made in ("note VARCHAR, ", "note SYMBOL, ", ""):
        server.sql(f'create table "{table}" ({made} n LONG, ts TIMESTAMP_NS) timestamp(ts) partition by day wal')
        chunks = pd.read_csv(io.StringIO(text), chunksize=2, parse_dates=["ts"])
        report = qf.write_questdb(chunks, server.conf, table=table)
        assert (report.rows, report.at) == (10, "ts")
        found = stored_rows(server, table, 10)
        assert [row["note"] for row in found] == [None] * 7 + ["late"] * 3
        server.sql(f'drop table "{table}"')


def test_a_column_that_never_has_a_value(server: QuestDB, table: str) -> None:
    frames = [piece(NOTHING["nan"](), start) for start in (0, 2)]
    report = qf.write_questdb(frames, server.conf, table=table, at="ts")
    assert (report.rows, column(report, "v").role) == (4, "skipped")
    assert stored_rows(server, table, 4) == [{"n": row["n"], "ts": row["ts"]} for row in stored_rows(server, table, 4)]
    # Where it is one of floats it stays one.
    server.sql(f'alter table "{table}" add column v DOUBLE')
    until(lambda: server.sql(f"select count() from table_columns('{table}')").scalar() == 3)
    later = [piece(NOTHING["nan"](), start) for start in (4, 6)]
    report = qf.write_questdb(later, server.conf, table=table, at="ts")
    assert (report.rows, column(report, "v").role, column(report, "v").read_null) == (4, "field", 4)


def csv(*rows: str, chunksize: int = 2, **options: Any) -> Iterator[pd.DataFrame]:
    """A file in pieces; its first column is the row's time, and the others have these names."""
    lines = [f"2025-01-02T00:00:{second:02},{row}" for second, row in enumerate(rows[1:])]
    text = "\n".join([f"ts,{rows[0]}", *lines])
    return pd.read_csv(io.StringIO(text), chunksize=chunksize, parse_dates=["ts"], **options)


@pytest.mark.parametrize("made", ["", "note VARCHAR, ", "note SYMBOL, "])
@pytest.mark.parametrize("chunksize", [1, 2, 3, 8])
def test_gaps_beside_a_column_that_begins_late(made: str, chunksize: int, server: QuestDB, table: str) -> None:
    """Rows whose other value is a NaN that is sent have something to be sent."""
    if made:
        server.sql(f'create table "{table}" ({made} temp DOUBLE, ts TIMESTAMP_NS) timestamp(ts) partition by day wal')
    rows = [f"{'' if second in {2, 3} else 1.5 + second},{'late' if second > 4 else ''}" for second in range(8)]
    chunks = csv("temp,note", *rows, chunksize=chunksize)
    assert qf.write_questdb(chunks, server.conf, table=table, at="ts").rows == 8
    found = stored_rows(server, table, 8)
    assert [row["note"] for row in found] == [None] * 5 + ["late"] * 3
    assert [row["temp"] for row in found] == [1.5, 2.5, None, None, 5.5, 6.5, 7.5, 8.5]


def test_another_instant_is_enough_for_a_row(server: QuestDB, table: str) -> None:
    chunks = csv("opened,note", *["2025-01-01,"] * 3, "2025-01-01,late")
    frames = (chunk.assign(opened=pd.to_datetime(chunk["opened"])) for chunk in chunks)
    assert qf.write_questdb(frames, server.conf, table=table, at="ts").rows == 4
    assert [row["note"] for row in stored_rows(server, table, 4)] == [None] * 3 + ["late"]


def test_an_empty_row_beside_a_real_null(server: QuestDB, table: str) -> None:
    """A nullable float that is null is not sent as a NaN: then the NaN of the other column is what the row has."""
    other = pd.Series([1.5, None], dtype="Float64")
    frames = [piece(NOTHING["nan"](), 0).assign(n=other), piece(pd.Series([2.5, 3.5]), 2).assign(n=other)]
    for options in ({}, {"empty_rows": "skip"}):
        report = qf.write_questdb(frames, server.conf, table=table, at="ts", **options)
        assert (report.rows, report.skipped_rows) == (4, 0)
    assert server.wait_visible(table, 8) == 8


@pytest.mark.parametrize("made", ["SYMBOL", "VARCHAR", "STRING", "UUID", "CHAR", None])
def test_unchecked_writes_send_no_nan_for_a_column_that_begins_late(
    made: str | None, server: QuestDB, table: str
) -> None:
    texts = {"UUID": ["11111111-2222-3333-4444-555555555555"] * 2, "CHAR": ["a", "b"]}.get(made or "", ["one", "two"])
    if made is not None:
        columns = f"v {made}, n LONG, ts TIMESTAMP_NS"
        server.sql(f'create table "{table}" ({columns}) timestamp(ts) partition by day wal')
    frames = late(pd.Series(texts), NOTHING["nan"])
    assert qf.write_questdb(iter(frames), server.conf, table=table, at="ts", check=False).rows == 6
    server.wait_visible(table, 6)
    assert server.sql(f'select v::string v from "{table}"').column("v") == [None] * 4 + texts


def test_a_late_boolean_is_one_with_nulls(server: QuestDB, table: str) -> None:
    """QuestDB has no boolean null, so that rows without a value read false: no row does so that was not asked about."""
    for values in (NOTHING["nan"], NOTHING["none"]):
        frames = iter(late(pd.Series([True, False]), values))
        with qf.connect(server.conf) as client:
            error = failure(client.write, frames, table=table, at="ts")
            assert (error.column, error.acked) == ("v", (range(4),))
            assert "QuestDB has no boolean null" in str(error)
            client.write(frames, table=table, at="ts", resume=error, null_bool="false")
        found = stored_rows(server, table, 6)
        assert [row["v"] for row in found] == [False] * 4 + [True, False]
        server.sql(f'drop table "{table}"')
    # Where there is a value from the beginning the nulls are told by row, as ever.
    first = piece(pd.Series([True, False]), 0)
    assert qf.write_questdb([first, piece(pd.Series([True, True]), 2)], server.conf, table=table, at="ts").rows == 4


@pytest.mark.parametrize("made", [None, "DOUBLE", "FLOAT"])
def test_floats_that_begin_with_whole_numbers(made: str | None, server: QuestDB, table: str) -> None:
    if made is not None:
        server.sql(f'create table "{table}" (price {made}, ts TIMESTAMP_NS, n LONG) timestamp(ts) partition by day wal')
    rows = [",0", ",1", "2,2", "3,3", "4.5,4", ",5"]
    assert qf.write_questdb(csv("price,n", *rows), server.conf, table=table, at="ts").rows == 6
    assert [row["price"] for row in stored_rows(server, table, 6)] == [None, None, 2.0, 3.0, 4.5, None]


def test_dates_that_begin_late_and_are_finer(server: QuestDB, table: str) -> None:
    """A piece without any is read as one of seconds."""
    rows = ["1,", "2,", "3,2025-01-01T00:00:01.5", "4,", "5,2025-01-01T00:00:02.25", "6,"]
    chunks = (chunk.assign(d=pd.to_datetime(chunk["d"])) for chunk in csv("n,d", *rows))
    assert qf.write_questdb(chunks, server.conf, table=table, at="ts").rows == 6
    found = pl.Series([row["d"] for row in stored_rows(server, table, 6)])
    second = dt.datetime(2025, 1, 1, 0, 0, 1, 500_000, tzinfo=dt.timezone.utc)
    assert (found[2], found.null_count()) == (second, 4)
    # Of polars the type says so.
    parts = [pl.Series([None]).cast(pl.Datetime(unit)) for unit in ("ms", "us")]
    frames = [pl.DataFrame({"d": part, "n": 1}) for part in (*parts, pl.Series([second]).cast(pl.Datetime("us")))]
    assert qf.to_ilp(frames, table="t", at=qf.ServerTimestamp).count(b"d=1735689601500000t") == 1


def test_decimals_of_objects_have_room(server: QuestDB, table: str) -> None:
    pieces = [["1.50", "2.25"], ["100.00", "2.5"], ["-123456.7", None]]
    frames = [
        piece(pd.Series([None if text is None else decimal.Decimal(text) for text in texts], dtype=object), 2 * number)
        for number, texts in enumerate(pieces)
    ]
    for made in (False, True):
        if made:
            columns = "v DECIMAL(18, 3), n LONG, ts TIMESTAMP_NS"
            server.sql(f'create table "{table}" ({columns}) timestamp(ts) partition by day wal')
        assert qf.write_questdb(iter(frames), server.conf, table=table, at="ts").rows == 6
        found = [row["v"] for row in stored_rows(server, table, 6)]
        assert found == [None if text is None else decimal.Decimal(text) for texts in pieces for text in texts]
        server.sql(f'drop table "{table}"')


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_nullable_types_of_pandas(backend: Any, server: QuestDB, table: str) -> None:
    rows = ["1,", "2,", "3,late", "4,"]
    assert qf.write_questdb(csv("n,note", *rows, dtype_backend=backend), server.conf, table=table, at="ts").rows == 4
    assert [row["note"] for row in stored_rows(server, table, 4)] == [None, None, "late", None]
    category = [piece(pd.Series([None], dtype="category"), 0), piece(pd.Series([7], dtype="category"), 1)]
    assert qf.write_questdb(category, server.conf, table=f"{table}_c", at="ts").rows == 2
    assert [row["v"] for row in stored_rows(server, f"{table}_c", 2)] == [None, 7]


def test_a_key_that_begins_late(server: QuestDB, table: str) -> None:
    frames = late(pd.Series(["a", "b"]), NOTHING["nan"])
    spec = qf.TableSpec(types={"v": "VARCHAR"}, dedup_keys=["v"])
    assert qf.write_questdb(frames, server.conf, table=table, at="ts", create=spec).rows == 6
    assert [row["v"] for row in stored_rows(server, table, 6)] == [None] * 4 + ["a", "b"]


def test_rows_of_nan_alone_are_rows(server: QuestDB, table: str) -> None:
    """A row that holds but NaN is sent, in a frame and in one of many: its column is one of floats then."""
    frame = piece(NOTHING["nan"](), 0).assign(n=pd.Series(["a", None]))
    frames = [frame, piece(pd.Series([1.5, 2.5]), 2).assign(n="b")]
    assert qf.write_questdb(frames, server.conf, table=table, at="ts").rows == 4
    assert [(row["v"], row["n"]) for row in stored_rows(server, table, 4)] == [
        (None, "a"),
        (None, None),
        (1.5, "b"),
        (2.5, "b"),
    ]
    # Later frames may be so, too.
    later = [piece(NOTHING["nan"](), 0).assign(n="c"), frame, frames[1]]
    assert qf.write_questdb(later, server.conf, table=f"{table}_b", at="ts").rows == 6
    assert server.wait_visible(f"{table}_b", 6) == 6


def test_the_lines_of_pieces_are_those_of_the_whole() -> None:
    whole = piece(pd.Series([NONE, NONE, NONE, 1.5, NONE]), 0)
    expected = qf.to_ilp(whole, table="t", at="ts")
    for size in (1, 2, 3):
        pieces = (whole[start : start + size].reset_index(drop=True) for start in range(0, 5, size))
        assert qf.to_ilp(pieces, table="t", at="ts") == expected
    texts = late(pd.Series(["a", None]), NOTHING["none"])
    lines = qf.to_ilp(iter(texts), table="t", at="ts", protocol_version=1).splitlines()
    assert [line.count(b'v="a"') for line in lines] == [0, 0, 0, 0, 1, 0]
    assert qf.to_ilp(texts, table="t", at="ts", protocol_version=1).splitlines() == lines


def test_the_designated_timestamp_stays_what_it_was(server: QuestDB, table: str) -> None:
    """The second column of instants would leave it open which is the designated timestamp."""
    frames = late(pd.Series([NOON, NOON]), NOTHING["none"])
    report = qf.write_questdb(frames, server.conf, table=table)
    assert report.at == "ts"
    assert [row["v"] for row in stored_rows(server, table, 6)] == [None] * 4 + [NOON] * 2


def test_an_atomic_write_begins_anew(server: QuestDB, table: str) -> None:
    frames = late(pd.Series(["a", "b"]), NOTHING["none"])
    report = qf.write_questdb(iter(frames), server.conf, table=table, at="ts", atomic=True)
    assert (report.rows, report.requests) == (6, 1)
    assert [row["v"] for row in stored_rows(server, table, 6)] == [None] * 4 + ["a", "b"]


def test_over_tcp(server: QuestDB, table: str) -> None:
    frames = late(pd.Series(["a", "b"]), NOTHING["nan"])
    conf = f"tcp::addr=127.0.0.1:{server.ilp_tcp_port};"
    report = qf.write_questdb(iter(frames), conf, table=table, at="ts", unacknowledged=True)
    assert report.rows == 6
    assert server.wait_visible(table, 6) == 6
    assert [row["v"] for row in stored_rows(server, table, 6)] == [None] * 4 + ["a", "b"]


def test_values_that_the_table_has_no_place_for(server: QuestDB, table: str) -> None:
    server.sql(f'create table "{table}" (v LONG, n LONG, ts TIMESTAMP_NS) timestamp(ts) partition by day wal')
    frames = iter(late(pd.Series(["a", "b"]), NOTHING["nan"]))
    with qf.connect(server.conf) as client:
        error = failure(client.write, frames, table=table, at="ts")
        assert (error.table, error.column, error.acked) == (table, "v", (range(4),))
        assert "LONG" in str(error)
        # Who makes a place goes on with the same stream.
        server.wait_visible(table, 4)
        server.sql(f'alter table "{table}" alter column v type VARCHAR')
        until(lambda: server.sql(f"select type from table_columns('{table}') limit 1").scalar() == "VARCHAR")
        report = client.write(frames, table=table, at="ts", resume=error)
    assert report.rows == 2
    assert [row["v"] for row in stored_rows(server, table, 6)] == [None] * 4 + ["a", "b"]


@pytest.mark.parametrize("failing", [1, 2, 3])
@pytest.mark.parametrize("form", ["list", "iterator"])
def test_a_failed_write_is_gone_on_with(failing: int, form: str, fake: FakeQuestDB) -> None:
    frames = late(pd.Series(["a", "b"]), NOTHING["none"])
    fake.script = [stored] * (failing - 1) + [answer(403, b"no grant")]
    data: Any = frames if form == "list" else iter(frames)
    with qf.connect(f"{fake.conf}auto_flush_rows=2;connections=1;") as client:
        error = failure(client.write, data, table="t", at="ts")
        assert error.acked == ((range(2 * (failing - 1)),) if failing > 1 else ())
        report = client.write(data, table="t", at="ts", resume=error)
    assert report.rows == 6 - 2 * (failing - 1)
    sent = [*fake.writes[: failing - 1], *fake.writes[failing:]]
    assert b"".join(sent) == qf.to_ilp(frames, table="t", at="ts", protocol_version=2)


def test_another_server_takes_over() -> None:
    frames = late(pd.Series(["a", "b"]), NOTHING["none"])
    with FakeQuestDB(stored, answer(503, b"busy")) as first, FakeQuestDB() as second:
        hosts = f"http::addr=127.0.0.1:{first.port},127.0.0.1:{second.port};auto_flush_rows=2;connections=1;"
        with qf.connect(f"{hosts}retry_timeout=2000;") as client:
            assert client.write(iter(frames), table="t", at="ts").rows == 6
        sent = first.writes[:1] + second.writes
    assert b"".join(sent) == qf.to_ilp(frames, table="t", at="ts", protocol_version=2)


def test_refused_rows_of_before_are_given_back(server: QuestDB, table: str) -> None:
    """A row that is set aside before the column has a type is handed back as one of the later type."""
    server.sql(f'create table "{table}" (n LONG, u UUID, ts TIMESTAMP_NS) timestamp(ts) partition by day wal')
    frames = late(pd.Series(["a", "b"]), NOTHING["none"])
    good = "11111111-2222-3333-4444-555555555555"
    frames[0] = frames[0].assign(u=[good, "none"])
    frames[1] = frames[1].assign(u=good)
    frames[2] = frames[2].assign(u=["neither", good])
    report = qf.write_questdb(iter(frames), server.conf, table=table, at="ts", on_error="quarantine", check=False)
    assert report.rows == 4
    rejected = pl.DataFrame(report.rejected)
    assert rejected.select("v", "n", "rejected_row").rows() == [(None, 1, 1), ("a", 4, 4)]
    assert [row["n"] for row in stored_rows(server, table, 4)] == [0, 2, 3, 5]


@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("fails_from", [0, 1, 2])
def test_rows_that_wait_on_disk(fails_from: int, atomic: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """Whether no server is there at first, or from the midst on: all rows arrive, and once."""
    expected = qf.to_ilp(late(pd.Series(["a", "b"]), NOTHING["none"]), table="t", at="ts", protocol_version=2)
    frames = late(pd.Series(["a", "b"]), NOTHING["nan"])
    with FakeQuestDB(*[stored] * fails_from, *[answer(503, b"busy")] * 20) as busy:
        conf = f"{busy.conf}spool_dir={tmp_path};auto_flush_rows=2;connections=1;retry_timeout=0;"
        report = qf.write_questdb(iter(frames), conf, table="t", at="ts", atomic=atomic)
        stored_rows = 2 * fails_from if not atomic else 6 * (fails_from > 0)
        assert (report.rows, report.rows_spooled) == (stored_rows, 6 - stored_rows)
        sent, port = busy.writes[:fails_from], busy.port
    with FakeQuestDB(port=port) as fake, qf.connect(conf) as client:
        # The client has begun by itself.
        assert client.drain_spool().rejected == []
        assert b"".join([*sent, *fake.writes]) == expected


def test_a_column_typed_by_a_table_spec(server: QuestDB, table: str) -> None:
    """Then it is made with the table, and what comes late goes into it."""
    spec = qf.TableSpec(types={"v": "SYMBOL"})
    frames = late(pd.Series(["a", "b"]), NOTHING["nan"])
    report = qf.write_questdb(frames, server.conf, table=table, at="ts", create=spec)
    assert column(report, "v").questdb_type == "SYMBOL"
    assert [row["v"] for row in stored_rows(server, table, 6)] == [None] * 4 + ["a", "b"]


@pytest.mark.parametrize("empty", ["no types", "integers", "floats", "polars"])
def test_empty_frames_first(empty: str, server: QuestDB, table: str) -> None:
    """As queries give that found nothing: their types are none that anything has to fit."""
    columns = {
        "no types": pd.DataFrame(columns=["v", "n", "ts"]),
        "integers": pd.DataFrame({"v": [], "n": [], "ts": []}, dtype="int64"),
        "floats": pd.DataFrame({"v": [], "n": [], "ts": []}, dtype="float64"),
        "polars": pl.DataFrame({"v": [], "n": [], "ts": []}, schema={"v": pl.String, "n": pl.String, "ts": pl.String}),
    }
    frames = (frame for frame in [columns[empty], columns[empty], piece(pd.Series([1.5, 2.5]), 0)])
    # A plan reads on to the first that has rows, and leaves that.
    assert [column.questdb_type for column in qf.plan(frames, server.conf, table=table, at="ts").columns][:2] == [
        "DOUBLE",
        "LONG",
    ]
    report = qf.write_questdb(frames, server.conf, table=table)
    assert (report.rows, report.at) == (2, "ts")
    assert [(row["v"], row["n"]) for row in stored_rows(server, table, 2)] == [(1.5, 0), (2.5, 1)]
    # Who gives no others is not waited for without end.
    endless = itertools.repeat(columns["polars"].with_columns(ts=pl.lit(None, dtype=pl.Datetime)).head(0))
    error = failure(qf.write_questdb, endless, server.conf, table=f"{table}_e", at="ts", deadline=0.3)
    assert "deadline" in str(error)
    # Those alone are a frame without rows.
    typed = [pl.DataFrame({"v": pl.Series([], dtype=pl.Float64), "ts": pl.Series([], dtype=pl.Datetime)})] * 2
    assert qf.write_questdb(typed, server.conf, table=table, at="ts").rows == 0


@pytest.mark.parametrize("form", ["lazy", "list", "iterator"])
def test_nothing_makes_no_table(form: str, server: QuestDB, table: str) -> None:
    empty = pl.DataFrame({"v": pl.Series([], dtype=pl.Float64), "ts": pl.Series([], dtype=pl.Datetime)})
    data = {"lazy": empty.lazy(), "list": [empty] * 2, "iterator": iter([empty] * 50)}[form]
    report = qf.write_questdb(data, server.conf, table=table, at="ts")
    assert (report.rows, report.created) == (0, False)
    assert server.sql(f"select count() from tables() where table_name = '{table}'").scalar() == 0


def test_many_frames(server: QuestDB, table: str) -> None:
    """More rows than are in flight at a time, over several connections, each column from another frame on."""
    rows, frames, count = 20_000, 12, 4

    def parts() -> Iterator[pa.Table]:
        for number in range(frames):
            numbers = pa.array(range(number * rows, (number + 1) * rows))
            columns = {
                f"c{late}": numbers.cast(pa.string()) if number > 3 * late else pa.nulls(rows) for late in range(count)
            }
            yield pa.table({**columns, "n": numbers, "ts": numbers.cast(pa.timestamp("us"))})

    with qf.connect(f"{server.conf}pool_bytes=4194304;") as client:
        report = client.write(parts(), table=table, at="ts")
    assert (report.rows, [column(report, f"c{number}").nulls for number in range(count)]) == (
        rows * frames,
        [rows * (3 * number + 1) for number in range(count)],
    )
    assert server.wait_visible(table, rows * frames) == rows * frames
    checks = ", ".join(f"count(c{late}), sum(c{late}::long - n)" for late in range(count))
    found = server.sql(f'select {checks} from "{table}"').rows[0]
    assert list(found) == list(
        itertools.chain.from_iterable((rows * (frames - 3 * late - 1), 0) for late in range(count))
    )
