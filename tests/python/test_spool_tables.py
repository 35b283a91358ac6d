"""Rows that waited on disk, and a table that is not what they were made for."""

from __future__ import annotations

import socket
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl
import pytest
from servers import HOST

import questframe as qf

if TYPE_CHECKING:
    from pathlib import Path

    from questframe.local import QuestDB


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def nobody() -> str:
    """The configuration for a port where nobody listens."""
    with socket.create_server((HOST, 0)) as listener:
        return f"http::addr={HOST}:{listener.getsockname()[1]};retry_timeout=0;"


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
