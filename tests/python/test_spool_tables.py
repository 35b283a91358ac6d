"""Rows that waited on disk, and a table that is not what they were made for."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest
from servers import HOST, Gate, answer_json, eventually

import questframe as qf

if TYPE_CHECKING:
    from pathlib import Path

    from questframe.local import QuestDB


def times(count: int, unit: str = "us") -> pl.Series:
    return pl.Series(range(1, count + 1), dtype=pl.Datetime(unit))


def keep(nobody: str, folder: Path, data: pl.DataFrame, table: str, **options: object) -> None:
    """Have a client that has never seen the table keep the rows."""
    with qf.connect(nobody) as client:
        report = client.write(data, table=table, spool_dir=folder, **options)
    assert report.rows_spooled == len(data)
    assert "set aside when they are sent" in report.notes[1]


def drain(server: QuestDB, folder: Path) -> list[str]:
    """Send what waits; give the reasons for what was not."""
    drained = qf.spool.drain(server.conf, spool_dir=folder)
    assert drained.segments_waiting == 0
    return [path.with_suffix(".reason.txt").read_text() for path in drained.rejected]


def test_values_that_a_column_would_alter_are_set_aside(server: QuestDB, nobody: str, folder: Path, table: str) -> None:
    server.sql(f"create table {table} (n short, ts timestamp) timestamp(ts) partition by day wal")
    keep(nobody, folder, pl.DataFrame({"n": [1, 70_000], "ts": times(2)}), table, at="ts")
    keep(nobody, folder, pl.DataFrame({"n": [5, -7], "ts": times(2)}), table, at="ts")
    (reason,) = drain(server, folder)
    assert reason.startswith(f'2 rows of table "{table}", protocol version 3, not sent, since the table is not what')
    assert f'table "{table}", column "n", row 1 (value 70000): the value does not fit the table' in reason
    assert "SHORT" in reason
    # What fits is stored.
    server.wait_visible(table, 2)
    assert server.sql(f"select n from {table}").column("n") == [5, -7]


def test_rows_are_encoded_anew_for_the_types_that_are_there(
    server: QuestDB, nobody: str, folder: Path, table: str
) -> None:
    server.sql(
        f"create table {table} (i varchar, f long, s symbol, d decimal(10,2), u uuid, a double[], b boolean,"
        " t timestamp_ns, time timestamp) timestamp(time) partition by day wal"
    )
    data = pl.DataFrame(
        {
            "i": [1, None],
            "f": [2.0, 3.0],
            "s": ["x y", None],
            "d": pl.Series([Decimal("1.50"), None], dtype=pl.Decimal(20, 4)),
            "u": ["3b241101-e2bb-4255-8caf-4136c566a962", None],
            "a": [[1.0, 2.5], None],
            "b": [True, False],
            "t": pl.Series([5, None], dtype=pl.Datetime("us")),
            "time": times(2),
        }
    )
    keep(nobody, folder, data, table, at="time")
    assert drain(server, folder) == []
    server.wait_visible(table, 2)
    found = server.sql(f"select * from {table} order by time")
    assert found.rows[0][:7] == (
        "1",
        2,
        "x y",
        "1.50",
        "3b241101-e2bb-4255-8caf-4136c566a962",
        [1.0, 2.5],
        True,
    )
    assert found.rows[1][:7] == (None, 3, None, None, None, None, False)


def test_a_field_is_not_taken_for_the_time(server: QuestDB, nobody: str, folder: Path, table: str) -> None:
    server.sql(f"create table {table} (n long, seen timestamp) timestamp(seen) partition by day wal")
    data = pl.DataFrame({"n": [1], "seen": times(1), "ts": pl.Series([99], dtype=pl.Datetime("us"))})
    keep(nobody, folder, data, table, at="ts")
    (reason,) = drain(server, folder)
    assert '"seen"' in reason
    assert server.sql(f"select count() c from {table}").column("c") == [0]


def test_nanoseconds_are_not_cut(server: QuestDB, nobody: str, folder: Path, table: str) -> None:
    server.sql(f"create table {table} (n long, ts timestamp) timestamp(ts) partition by day wal")
    keep(nobody, folder, pl.DataFrame({"n": [1], "ts": pl.Series([1_001], dtype=pl.Datetime("ns"))}), table, at="ts")
    keep(nobody, folder, pl.DataFrame({"n": [2], "ts": pl.Series([2_000], dtype=pl.Datetime("ns"))}), table, at="ts")
    (reason,) = drain(server, folder)
    assert "microseconds" in reason
    server.wait_visible(table, 1)
    assert server.sql(f"select n from {table}").column("n") == [2]


@pytest.mark.parametrize("options", [{}, {"create": "never"}], ids=["auto", "never"])
def test_fields_that_version_1_cannot_carry_are_not_kept(
    nobody: str, folder: Path, table: str, options: dict[str, Any]
) -> None:
    """Kept lines have microseconds, and nobody could tell any more that there were nanoseconds."""
    data = pl.DataFrame({"n": pl.Series([2_000, 1_001], dtype=pl.Datetime("ns")), "ts": times(2)})
    with qf.connect(f"{nobody}protocol_version=1;") as client:
        with pytest.raises(qf.IngressError, match='row 1 .* beyond the microseconds that .*"us"') as caught:
            client.write(data, table=table, at="ts", spool_dir=folder, **options)
        assert client.write(data[:1], table=table, at="ts", spool_dir=folder, **options).rows_spooled == 1
    assert (caught.value.column, caught.value.row) == ("n", 1)


def test_never_makes_nothing(server: QuestDB, nobody: str, folder: Path, table: str) -> None:
    data = pl.DataFrame({"n": [1], "ts": times(1)})
    keep(nobody, folder, data, table, at="ts", create="never")
    (reason,) = drain(server, folder)
    assert f'there is no table "{table}"' in reason
    server.sql(f"create table {table} (m long, ts timestamp) timestamp(ts) partition by day wal")
    keep(nobody, folder, data, table, at="ts", create="never")
    (reason,) = drain(server, folder)
    assert 'the table has no column "n"' in reason
    # And with all columns there it is an ordinary table.
    keep(nobody, folder, data.rename({"n": "m"}), table, at="ts", create="never")
    assert drain(server, folder) == []


def test_a_new_column_is_of_the_type_that_was_planned(server: QuestDB, nobody: str, folder: Path, table: str) -> None:
    server.sql(f"create table {table} (n long, ts timestamp) timestamp(ts) partition by day wal")
    data = pl.DataFrame({"d": pl.Series([Decimal("1.25")], dtype=pl.Decimal(9, 3)), "k": ["x"], "ts": times(1)})
    keep(nobody, folder, data, table, at="ts", create=qf.TableSpec(types={"k": "SYMBOL"}))
    assert drain(server, folder) == []
    server.wait_visible(table, 1)
    types = dict(server.sql(f"select \"column\", type from table_columns('{table}')").rows)
    assert (types["d"], types["k"]) == ("DECIMAL(9,3)", "SYMBOL")
    assert server.sql(f"select d, k from {table}").rows == [("1.250", "x")]


def test_a_column_whose_type_was_changed_meanwhile(server: QuestDB, port: int, folder: Path, table: str) -> None:
    """Also of a table that the client has seen."""
    server.sql(f"create table {table} (n long, ts timestamp) timestamp(ts) partition by day wal")
    data = pl.DataFrame({"n": [70_000], "ts": times(1)})
    with qf.connect(f"http::addr={HOST}:{port};retry_timeout=0;") as client:
        client.write(data, table=table, at="ts")
        server.wait_visible(table, 1)
        report = client.write(data, table=table, at="ts", spool_dir=folder, deadline=1e-9)
    assert report.rows_spooled == 1
    server.sql(f"alter table {table} alter column n type short")
    server.wait_visible(table, 1)
    (reason,) = drain(server, folder)
    assert "70000" in reason


def test_whoever_sends_what_waits_hears_of_what_was_set_aside(
    server: QuestDB, nobody: str, folder: Path, table: str
) -> None:
    server.sql(f"create table {table} (n byte, ts timestamp) timestamp(ts) partition by day wal")
    data = pl.DataFrame({"n": [500], "ts": times(1)})
    keep(nobody, folder, data, table, at="ts")
    with pytest.warns(UserWarning, match=r"refused and set aside, with the reasons: .*rejected"):
        qf.connect(f"{server.conf}spool_dir={folder};").close()
    keep(nobody, folder, data, table, at="ts")
    with qf.connect(server.conf) as client:
        report = client.write(data.with_columns(n=5), table=table, at="ts", spool_dir=folder)
    assert report.rows == 1
    assert "had waited on disk were refused and set aside" in report.notes[0]


# --- what is stored in the end is what an online write stores, or refuses ---------------------------------------------

MOMENTS = pa.array([1, 2], pa.timestamp("us"))


def outcome(server: QuestDB, table: str) -> list[Any]:
    server.wait_visible(table, 2)
    return list(server.sql(f"select x from {table} order by ts").rows)


@pytest.mark.parametrize(
    ("kind", "values", "options"),
    [
        ("boolean", pa.array([1, None]), {}),
        ("boolean", pa.array([1, None]), {"null_bool": "false"}),
        ("boolean", pa.array([None, None], pa.int64()), {}),
        ("short", pa.array([None, None], pa.int64()), {}),
        ("byte", pa.array([None, None], pa.string()), {}),
        ("long", pa.array([None, None], pa.float64()), {}),
        ("uuid", pa.array([None, None], pa.float64()), {}),
        ("double[]", pa.array([None, None], pa.list_(pa.float64())), {}),
        ("varchar", pa.array([True, False]), {}),
        ("timestamp", pa.array([1, 0], pa.duration("s")), {}),
        ("long", pa.array([1, 0], pa.duration("s")), {}),
        ("varchar", pa.array([1, 0], pa.duration("ms")), {}),
        ("long", pa.array([1, 0], pa.time32("s")), {}),
        ("date", pa.array([1, 0], pa.time64("ns")), {}),
        ("varchar", pa.array([7, None]), {}),
        ("symbol", pa.array([1.5, None]), {}),
        ("decimal(10,2)", pa.array([Decimal("1.50"), None]), {}),
        ("decimal(10,1)", pa.array([Decimal("1.25"), None]), {}),
        ("long256", pa.array([7, None]), {}),
        ("char", pa.array(["x", "yz"]), {}),
        ("timestamp_ns", pa.array([1, None], pa.timestamp("us")), {}),
    ],
)
@pytest.mark.parametrize("version", [1, 3])
def test_as_an_online_write(  # noqa: PLR0917
    server: QuestDB, nobody: str, folder: Path, table: str, kind: str, values: pa.Array, options: Any, version: int
) -> None:
    if version == 1 and (kind.startswith("double[") or pa.types.is_decimal(values.type)):
        pytest.skip("no such values in this version")
    data = pa.table({"x": values, "pad": pa.array([1, 2]), "ts": MOMENTS})
    for name in (table, f"{table}_kept"):
        server.sql(f"create table {name} (x {kind}, pad int, ts timestamp) timestamp(ts) partition by day wal")
    options = {**options, "protocol_version": version, "at": "ts"}
    try:
        qf.write_questdb(data, server.conf, table=table, **options)
    except qf.IngressError as error:
        refused = error
    else:
        refused = None
    with qf.connect(nobody) as client:
        assert client.write(data, table=f"{table}_kept", spool_dir=folder, **options).rows_spooled == 2
    reasons = drain(server, folder)
    if refused is None:
        assert reasons == []
        assert outcome(server, f"{table}_kept") == outcome(server, table)
    else:
        assert len(reasons) == 1
        assert refused.column == "x"
        assert '"x"' in reasons[0]


def test_false_that_was_null_is_not_taken_for_false(server: QuestDB, nobody: str, folder: Path, table: str) -> None:
    server.sql(f"create table {table} (x varchar, ts timestamp) timestamp(ts) partition by day wal")
    keep(nobody, folder, pl.DataFrame({"x": [True, None], "ts": times(2)}), table, at="ts", null_bool="false")
    (reason,) = drain(server, folder)
    assert (
        'column "x" was BOOLEAN when its values were brought into the form of that type, and is VARCHAR now' in reason
    )
    # Where there were none it can be told.
    keep(nobody, folder, pl.DataFrame({"x": [True, False], "ts": times(2)}), table, at="ts", null_bool="false")
    assert drain(server, folder) == []
    server.wait_visible(table, 2)
    assert server.sql(f"select x from {table} order by ts").column("x") == ["true", "false"]


def test_a_field_is_not_taken_for_times_that_are_all_null(
    server: QuestDB, nobody: str, folder: Path, table: str
) -> None:
    server.sql(f"create table {table} (x short, seen timestamp) timestamp(seen) partition by day wal")
    data = pl.DataFrame({"x": [1], "seen": times(1), "ts": pl.Series([None], dtype=pl.Datetime("us"))})
    keep(nobody, folder, data, table, at="ts", null_at="server")
    (reason,) = drain(server, folder)
    assert 'the table\'s designated timestamp is called "seen"' in reason


def kept_by_one_who_saw_it(server: QuestDB, folder: Path, data: pl.DataFrame, table: str, **options: Any) -> None:
    """Write rows, and have the same ones kept."""
    with qf.connect(f"{server.conf}retry_timeout=0;") as client:
        client.write(data, table=table, at="ts", **options)
        server.wait_visible(table, len(data))
        report = client.write(data, table=table, at="ts", spool_dir=folder, deadline=1e-9, **options)
    assert report.rows_spooled == len(data)


def test_a_table_that_was_dropped_is_made_as_it_was(server: QuestDB, folder: Path, table: str) -> None:
    data = pl.DataFrame({
        "n": [1], "u": ["3b241101-e2bb-4255-8caf-4136c566a962"], "d": [Decimal("1.25")], "later": [None], "ts": times(1)
    })  # fmt: skip
    spec = qf.TableSpec(types={"u": "UUID", "later": "SYMBOL"}, dedup_keys=["n"], partition_by="MONTH")
    kept_by_one_who_saw_it(server, folder, data, table, create=spec)
    before = server.sql(f"show create table {table}").rows
    server.sql(f"drop table {table}")
    assert drain(server, folder) == []
    server.wait_visible(table, 1)
    assert server.sql(f"show create table {table}").rows == before
    assert server.sql(f"select n, d from {table}").rows == [(1, "1.25")]


def test_a_column_that_was_dropped_is_made_again(server: QuestDB, folder: Path, table: str) -> None:
    server.sql(f"create table {table} (d decimal(9,2), n long, ts timestamp) timestamp(ts) partition by day wal")
    data = pl.DataFrame({"d": [Decimal("1.25")], "n": [1], "ts": times(1)})
    kept_by_one_who_saw_it(server, folder, data, table)
    server.sql(f"alter table {table} drop column d")
    assert eventually(lambda: "d" not in server.sql(f"show columns from {table}").column("column"))
    assert drain(server, folder) == []
    assert eventually(lambda: server.sql(f"select n from {table} where n = 1").column("n") == [1, 1])
    assert dict(server.sql(f"select \"column\", type from table_columns('{table}')").rows)["d"] == "DECIMAL(9,2)"


def test_a_table_that_ilp_cannot_write_says_what_helps(server: QuestDB, nobody: str, folder: Path, table: str) -> None:
    server.sql(f"create table {table} (n long, ts timestamp) timestamp(ts) partition by day bypass wal")
    keep(nobody, folder, pl.DataFrame({"n": [1], "ts": times(1)}), table, at="ts")
    (reason,) = drain(server, folder)
    assert "SET TYPE WAL" in reason


def test_what_was_set_aside_is_told_also_by_an_error(server: QuestDB, nobody: str, folder: Path, table: str) -> None:
    server.sql(f"create table {table} (n short, ts timestamp) timestamp(ts) partition by day wal")
    keep(nobody, folder, pl.DataFrame({"n": [70_000], "ts": times(1)}), table, at="ts")
    data = pl.DataFrame({"n": [80_000], "ts": times(1)})
    with (
        qf.connect(server.conf) as client,
        pytest.raises(qf.IngressError, match=r"80000.*; rows that had waited on disk were refused and set aside: "),
    ):
        client.write(data, table=table, at="ts", spool_dir=folder)


def test_who_wants_no_check_gets_none(server: QuestDB, nobody: str, folder: Path, table: str) -> None:
    server.sql(f"create table {table} (n float, ts timestamp) timestamp(ts) partition by day wal")
    with qf.connect(nobody) as client:
        data = pl.DataFrame({"n": [16_777_217], "ts": times(1)})
        assert client.write(data, table=table, at="ts", check=False, spool_dir=folder).rows_spooled == 1
    assert drain(server, folder) == []
    server.wait_visible(table, 1)
    assert server.sql(f"select n from {table}").column("n") == [16_777_216.0]


def test_rows_are_told_by_the_first_of_them(server: QuestDB, nobody: str, folder: Path, table: str) -> None:
    server.sql(f"create table {table} (n short, ts timestamp) timestamp(ts) partition by day wal")
    data = pl.DataFrame({"n": [0] * 25 + [70_000, 1], "ts": times(27)})
    keep(f"{nobody}auto_flush_rows=10;", folder, data, table, at="ts")
    (reason,) = drain(server, folder)
    assert "row 0 is row 20 of the frame" in reason
    assert "row 5 (value 70000)" in reason


@pytest.mark.parametrize(
    ("before", "after", "values"),
    [
        ("boolean", "varchar", pl.Series([1])),
        ("long256", "varchar", pl.Series([7])),
        ("long", "timestamp", pl.Series([2.0])),
        ("double", "varchar", pl.Series([Decimal("1.50")])),
    ],
)
def test_what_was_cast_for_another_type_is_not_cast_again(
    server: QuestDB, folder: Path, table: str, before: str, after: str, values: pl.Series
) -> None:
    server.sql(f"create table {table} (x {before}, ts timestamp) timestamp(ts) partition by day wal")
    kept_by_one_who_saw_it(server, folder, pl.DataFrame({"x": values, "ts": times(1)}), table)
    server.sql(f"drop table {table}")
    server.sql(f"create table {table} (x {after}, ts timestamp) timestamp(ts) partition by day wal")
    (reason,) = drain(server, folder)
    assert f'column "x" was {before.upper()} when its values were brought into the form of that type' in reason


def test_a_later_segment_brings_a_new_decimal_column(server: QuestDB, nobody: str, folder: Path, table: str) -> None:
    server.sql(f"create table {table} (n long, ts timestamp) timestamp(ts) partition by day wal")
    data = pl.DataFrame({"n": [1], "ts": times(1)})
    keep(nobody, folder, data, table, at="ts")
    keep(nobody, folder, data.with_columns(d=Decimal("-1.25")), table, at="ts")
    keep(nobody, folder, data.with_columns(d=Decimal("2.50"), e=Decimal("0.5")), table, at="ts")
    assert drain(server, folder) == []
    assert eventually(lambda: server.sql(f"select count() c from {table}").column("c") == [3])
    assert server.sql(f"select d from {table} order by d").column("d")[-2:] == ["-1.25", "2.50"]


@pytest.mark.parametrize("is_readable", [True, False])
def test_a_server_that_runs_no_statements_makes_the_table_itself(
    server: QuestDB, port: int, nobody: str, folder: Path, table: str, is_readable: bool
) -> None:
    data = pl.DataFrame({"n": [1], "ts": times(1)})
    keep(nobody, folder, data, table, at="ts")
    # The server calls the designated timestamp so, and would take this field for it.
    keep(nobody, folder, data.with_columns(timestamp=pl.Series([99], dtype=pl.Datetime("us"))), table, at="ts")
    keep(nobody, folder, data, f"{table}_never", at="ts", create="never")
    closed = (lambda query: query.startswith(("query=CREATE", "query=ALTER"))) if is_readable else lambda _query: True
    with Gate(port, closed, answer_json(403, {"query": "...", "error": "Access denied [HTTP SQL]"})) as gate:
        drained = qf.spool.drain(gate.conf, spool_dir=folder)
    assert (drained.segments, drained.segments_waiting) == (1, 0)
    field, never = (path.with_suffix(".reason.txt").read_text() for path in drained.rejected)
    assert '"timestamp"' in field
    assert "never" in never
    server.wait_visible(table, 1)
    assert server.sql(f"select n, timestamp from {table}").rows == [(1, "1970-01-01T00:00:00.000001Z")]
    assert server.sql(f"select table_name from tables() where table_name = '{table}_never'").rows == []


@pytest.mark.parametrize("bad", [None, 10_000])
def test_rows_of_many_columns_are_read_back_in_pieces(
    server: QuestDB, nobody: str, folder: Path, table: str, bad: int | None
) -> None:
    """Each row has two values of 300 columns: some 7,000 rows are a piece."""
    names = [f"c{i}" for i in range(300)]
    columns = ", ".join(f"{name} double" for name in names)
    server.sql(f"create table {table} (n short, {columns}, ts timestamp) timestamp(ts) partition by day wal")
    rows = 20_000
    numbers = pl.Series([70_000 if row == bad else row % 100 for row in range(rows)])
    nothing = [pl.lit(None, dtype=pl.Float64).alias(name) for name in names[1:]]
    data = pl.DataFrame({"n": numbers, "c0": [0.5] * rows, "ts": times(rows)}).with_columns(nothing)
    # In one segment.
    keep(nobody, folder, data, table, at="ts", atomic=True)
    reasons = drain(server, folder)
    if bad is None:
        assert reasons == []
        assert server.wait_visible(table, rows) == rows
        found = server.sql(f"select sum(n), sum(c0), count_distinct(ts) from {table}").rows
        assert found == [(numbers.sum(), rows / 2, rows)]
    else:
        (reason,) = reasons
        assert "row 10000 (value 70000)" in reason
