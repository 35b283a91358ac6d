"""Others change the schema while we write, and tables are dropped and made again: no row is lost in silence."""

from __future__ import annotations

import datetime as dt
import decimal
import threading
import time
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest
from servers import Proxy
from together import together

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Exchange

    from questframe.local import QuestDB

D = decimal.Decimal
#: Rows of a request, and of a stream whose middle is interrupted.
PART, ROWS = 50, 1_000


def moments(*values: int) -> pl.Series:
    return pl.Series(values, dtype=pl.Datetime("us"))


def frame(start: int, rows: int, **columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"n": range(start, start + rows), **columns, "ts": moments(*range(start, start + rows))})


def columns_of(server: QuestDB, table: str) -> dict[str, str]:
    return {row[0]: row[1] for row in server.sql(f"show columns from '{table}'")}


def until(holds: Callable[[], bool]) -> None:
    """An ALTER is applied a moment after it was answered."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- new columns ----------------------------------------------------------------------------------------------------

#: A column that ILP makes, and some that take a statement.
NEW: dict[str, tuple[pl.Series, str, Any]] = {
    "plain": (pl.Series([0.5] * 20), "DOUBLE", 0.5),
    "decimal": (pl.Series([D("1.50")] * 20, dtype=pl.Decimal(9, 2)), "DECIMAL(9,2)", "1.50"),
    "symbol": (pl.Series(["s"] * 20, dtype=pl.Categorical), "SYMBOL", "s"),
    "chosen": (pl.Series(["1.2.3.4"] * 20), "IPv4", "1.2.3.4"),
}


@pytest.mark.parametrize("shared", [True, False], ids=["one_client", "eight_clients"])
@pytest.mark.parametrize("kind", NEW)
def test_eight_writers_bring_a_new_column_each(kind: str, shared: bool, server: QuestDB, table: str) -> None:
    values, questdb_type, value = NEW[kind]
    clients = [qf.connect(server.conf) for _ in range(1 if shared else 8)]
    clients[0].write(frame(0, 20), table=table)

    def write(number: int) -> None:
        name = f"c{number}"
        spec = qf.TableSpec(types={name: "IPV4"}) if kind == "chosen" else "auto"
        data = frame(20 * (number + 1), 20).with_columns(values.alias(name))
        assert clients[number % len(clients)].write(data, table=table, create=spec).rows == 20

    together(write, 8)
    assert server.wait_visible(table, 180) == 180
    names = [f"c{number}" for number in range(8)]
    found = columns_of(server, table)
    assert sorted(found) == sorted(["n", "ts", *names])
    assert {found[name] for name in names} == {questdb_type}
    counts = ", ".join(f"count({name})" for name in names)
    assert server.sql(f"select count(), sum(n), {counts} from {table}").rows == [(180, sum(range(180)), *[20] * 8)]
    assert server.sql(f"select c3 from {table} where n = 85").scalar() == value


@pytest.mark.parametrize("kind", NEW)
def test_eight_writers_bring_the_same_new_column(kind: str, server: QuestDB, table: str) -> None:
    values, questdb_type, _ = NEW[kind]
    clients = [qf.connect(server.conf) for _ in range(8)]
    for number, client in enumerate(clients):
        # Each connection knows the table without the column.
        client.write(frame(number, 1), table=table)

    def write(number: int) -> None:
        spec = qf.TableSpec(types={"c": "IPV4"}) if kind == "chosen" else "auto"
        data = frame(20 * (number + 1), 20).with_columns(values.alias("c"))
        assert clients[number].write(data, table=table, create=spec).rows == 20

    together(write, 8)
    assert server.wait_visible(table, 168) == 168
    assert columns_of(server, table) == {"n": "LONG", "ts": "TIMESTAMP", "c": questdb_type}
    assert server.sql(f"select count(c) from {table}").scalar() == 160


def test_of_two_types_for_one_new_column_the_first_wins_and_the_other_is_told(server: QuestDB, table: str) -> None:
    clients = [qf.connect(server.conf) for _ in range(8)]
    clients[0].write(frame(0, 1), table=table)
    outcomes: list[str] = []

    def write(number: int) -> None:
        text = number % 2 == 1
        data = frame(10 * (number + 1), 10).with_columns(
            c=pl.lit("x") if text else pl.lit(D(7), dtype=pl.Decimal(9, 2))
        )
        try:
            clients[number].write(data, table=table)
            outcomes.append("stored")
        except qf.IngressError as error:
            assert (error.acked, error.doubtful) == ((), ()), str(error)
            assert error.column == "c", str(error)
            outcomes.append("refused")

    together(write, 8)
    assert len(outcomes) == 8
    stored = outcomes.count("stored")
    assert stored in (4, 8)
    assert server.wait_visible(table, 1 + 10 * stored) == 1 + 10 * stored
    # A decimal is written into a column of text as text, so that only text can be refused.
    assert columns_of(server, table)["c"] == ("VARCHAR" if stored == 8 else "DECIMAL(9,2)")


def test_each_write_brings_more_columns(server: QuestDB, table: str) -> None:
    """Over the same connections, which know the table as it was; decimals are what they are slow to learn."""
    with qf.connect(f"{server.conf}connections=2;auto_flush_rows=3;") as client:
        data = frame(0, 10)
        for step in range(6):
            data = data.with_columns(
                pl.lit(step).alias(f"i{step}"),
                pl.lit(D(step), dtype=pl.Decimal(10, 1)).alias(f"d{step}"),
                pl.lit(f"t{step}").alias(f"t{step}"),
            )
            report = client.write(data.with_columns(pl.col("ts") + pl.duration(days=step)), table=table)
            assert (report.rows, report.created) == (10, step == 0)
    assert server.wait_visible(table, 60) == 60
    found = columns_of(server, table)
    assert len(found) == 2 + 3 * 6
    for step in range(6):
        assert found[f"d{step}"] == "DECIMAL(10,1)"
        row = server.sql(f"select count(i{step}), count(d{step}), count(t{step}) from {table}").rows
        assert row == [(60 - 10 * step,) * 3]


def test_a_column_that_another_client_added_is_seen(server: QuestDB, table: str) -> None:
    """Each write asks whether the columns are what they were."""
    with qf.connect(server.conf) as client:
        client.write(frame(0, 5), table=table)
        server.sql(f"alter table {table} add column price float")
        report = client.write(frame(5, 5).with_columns(price=pl.lit(0.5)), table=table)
        assert report.rows == 5
        assert server.wait_visible(table, 10) == 10
        assert columns_of(server, table)["price"] == "FLOAT"
        server.sql(f"alter table {table} add column id uuid")
        data = frame(10, 5).with_columns(id=pl.lit("11111111-2222-3333-4444-555555555555"))
        client.write(data, table=table)
        assert server.wait_visible(table, 15) == 15
        assert server.sql(f"select count(id) from {table}").scalar() == 5


@pytest.mark.parametrize(
    ("made", "altered", "before", "value"),
    [
        ("long", "SHORT", 1, 70_000),
        ("long", "DOUBLE", 1, 2**53 + 1),
        ("double", "FLOAT", 0.5, 1e300),
        ("double", "LONG", 1.0, 0.5),
        ("varchar", "UUID", None, "80000000-0000-0000-8000-000000000000"),
        ("varchar", "IPv4", "1.2.3.4", "0.0.0.0"),
        ("timestamp_ns", "TIMESTAMP", None, dt.timedelta(microseconds=1)),
    ],
    ids=str,
)
def test_values_are_checked_against_a_column_that_was_altered(
    made: str, altered: str, before: Any, value: Any, server: QuestDB, table: str
) -> None:
    """By a client that has just written to the table: what the new type does not hold is refused, not altered."""
    server.sql(f"create table {table} (n long, c {made}, ts timestamp) timestamp(ts) partition by day wal")
    kinds = {int: pl.Int64, float: pl.Float64, str: pl.String, dt.timedelta: pl.Datetime("ns")}
    column = lambda cell: pl.Series("c", [cell], dtype=kinds[type(value)], strict=False)
    if made == "timestamp_ns":
        column = lambda cell: pl.Series("c", [None if cell is None else 1_234], dtype=pl.Datetime("ns"))
    with qf.connect(server.conf) as client:
        for row in range(2):
            client.write(frame(row, 1).with_columns(column(before)), table=table)
        server.sql(f"alter table {table} alter column c type {altered.lower()}")
        until(lambda: columns_of(server, table)["c"] == altered)
        with pytest.raises(qf.IngressError) as caught:
            client.write(frame(2, 1).with_columns(column(value)), table=table)
        assert (caught.value.column, caught.value.row, caught.value.unsent) == ("c", 0, (range(1),))
        client.write(frame(2, 1).with_columns(column(before)), table=table)
    assert server.wait_visible(table, 3) == 3
    assert server.sql(f"select n from {table}").column("n") == [0, 1, 2]


def test_a_column_that_was_dropped_is_not_made_again_unasked(server: QuestDB, table: str) -> None:
    with qf.connect(server.conf) as client:
        for row in range(2):
            client.write(frame(row, 1, c=[0.5]), table=table)
        server.sql(f"alter table {table} drop column c")
        until(lambda: "c" not in columns_of(server, table))
        with pytest.raises(qf.IngressError, match="c") as caught:
            client.write(frame(2, 1, c=[0.5]), table=table, create="never")
        assert caught.value.column == "c"
    assert "c" not in columns_of(server, table)


def test_the_statement_of_an_error_helps_at_once(server: QuestDB, table: str) -> None:
    """Though the client has just asked for the table's columns."""
    with qf.connect(server.conf) as client:
        client.write(frame(0, 5).with_columns(c=pl.lit(7)), table=table)
        text = frame(5, 5).with_columns(c=pl.lit("seven"))
        with pytest.raises(qf.IngressError, match="or run: ALTER TABLE") as caught:
            client.write(text, table=table)
        server.sql(str(caught.value).rpartition("or run: ")[2])
        server.wait_visible(table, 5)
        assert client.write(text, table=table).rows == 5
    assert server.wait_visible(table, 10) == 10
    assert server.sql(f"select c from {table} where n in (0, 5)").column("c") == ["7", "seven"]

    server.sql(f"create table {table}_b (n byte, ts timestamp) timestamp(ts) partition by day wal")
    with qf.connect(server.conf) as client:
        with pytest.raises(qf.IngressError, match="row 128 .*BYTE"):
            client.write(frame(0, 200), table=f"{table}_b")
        server.sql(f"alter table {table}_b alter column n type int")
        server.wait_visible(f"{table}_b")
        assert client.write(frame(0, 200), table=f"{table}_b").rows == 200
    assert server.wait_visible(f"{table}_b", 200) == 200


# --- in mid-write ---------------------------------------------------------------------------------------------------


class Interrupted(Proxy):
    """Runs `change` between two requests of a write: when half of its rows are there."""

    def __init__(self, upstream: int, change: Callable[[], None]) -> None:
        self.change = change
        self.once = threading.Lock()
        self.changed_at: int | None = None
        super().__init__(upstream, lambda _body: False)

    def handle(self, exchange: Exchange) -> None:
        with self.once:
            if self.changed_at is None and b"n=500i" in exchange.request.body:
                self.change()
                self.changed_at = len(self.writes)
        super().handle(exchange)


def stream(data: pl.DataFrame) -> pa.RecordBatchReader:
    table = data.to_arrow()
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=100))


def as_rows(ranges: tuple[range, ...]) -> list[int]:
    return [row for found in ranges for row in found]


CHANGES: dict[str, tuple[str, dict[str, str]]] = {
    "add": ("add column extra int", {"n": "LONG", "c": "LONG", "ts": "TIMESTAMP", "extra": "INT"}),
    "drop": ("drop column c", {"n": "LONG", "ts": "TIMESTAMP", "c": "LONG"}),
    "rename": ("rename column c to d", {"n": "LONG", "d": "LONG", "ts": "TIMESTAMP", "c": "LONG"}),
    "widen": ("alter column c type double", {"n": "LONG", "c": "DOUBLE", "ts": "TIMESTAMP"}),
    "to_text": ("alter column c type varchar", {"n": "LONG", "c": "VARCHAR", "ts": "TIMESTAMP"}),
    "to_symbol": ("alter column c type symbol", {"n": "LONG", "c": "SYMBOL", "ts": "TIMESTAMP"}),
    "to_byte": ("alter column c type byte", {"n": "LONG", "c": "BYTE", "ts": "TIMESTAMP"}),
}


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("change", CHANGES)
def test_a_table_altered_in_mid_write_keeps_account_of_every_row(
    change: str, connections: int, server: QuestDB, port: int, table: str
) -> None:
    sql, columns = CHANGES[change]
    data = frame(0, ROWS).with_columns(c=pl.col("n")).select("n", "c", "ts")
    qf.write_questdb(data.clear(), server.conf, table=table)
    server.sql(f"create table {table} (n long, c long, ts timestamp) timestamp(ts) partition by day wal")
    error = None
    with Interrupted(port, lambda: server.sql(f"alter table {table} {sql}") and None) as proxy:
        conf = f"{proxy.conf}connections={connections};auto_flush_rows={PART};"
        try:
            report = qf.write_questdb(stream(data), conf, table=table, at="ts")
            assert report.rows == ROWS
        except qf.IngressError as caught:
            error = caught
        assert proxy.changed_at is not None
    if error is None:
        acked, lost, doubtful = list(range(ROWS)), [], []
    else:
        acked, doubtful, lost = as_rows(error.acked), as_rows(error.doubtful), as_rows(error.unsent)
        assert error.table == table
    known = set(acked) | set(doubtful) | set(lost)
    assert len(known) == len(acked) + len(doubtful) + len(lost)
    # Of a stream the rows behind those that were read are nobody's.
    assert known == set(range(max(known) + 1))
    assert len(known) == ROWS or error is not None
    server.wait_visible(table)
    there = set(server.sql(f"select n from {table}").column("n"))
    assert set(acked) <= there <= set(acked) | set(doubtful)
    assert columns_of(server, table) == columns
    if change in ("add", "drop", "rename", "widen", "to_symbol"):
        assert error is None, str(error)
    if change in ("to_text", "to_byte"):
        # A number is no text to ILP, and 500 no BYTE: refused, and told for these rows.
        assert error is not None
        assert error.column == "c"
        # Of several connections one may have been slow.
        assert error.row is not None and (connections > 1 or error.row >= 450)
    # The next write knows the table as it is.
    assert qf.write_questdb(data.with_columns(c=pl.col("c") % 100), server.conf, table=table, at="ts").rows == ROWS


def test_a_decimal_column_dropped_in_mid_write_is_told(server: QuestDB, port: int, table: str) -> None:
    """The server does not make it again by itself."""
    data = frame(0, ROWS).with_columns(c=pl.lit(D("1.5"), dtype=pl.Decimal(9, 2)))
    qf.write_questdb(data[:1], server.conf, table=table)
    with Interrupted(port, lambda: server.sql(f"alter table {table} drop column c") and None) as proxy:
        with pytest.raises(qf.IngressError) as caught:
            qf.write_questdb(data, f"{proxy.conf}connections=2;auto_flush_rows={PART};", table=table)
    error = caught.value
    accounted = sorted(as_rows(error.acked) + as_rows(error.doubtful) + as_rows(error.unsent))
    assert accounted == list(range(ROWS))
    assert error.acked
    server.wait_visible(table)
    there = set(server.sql(f"select n from {table}").column("n"))
    assert set(as_rows(error.acked)) <= there
    assert there <= set(as_rows(error.acked)) | set(as_rows(error.doubtful)) | {0}
    # And then it is made, by a statement.
    with qf.connect(server.conf) as client:
        assert client.write(data, table=table).rows == ROWS
    server.wait_visible(table)
    assert columns_of(server, table)["c"] == "DECIMAL(9,2)"


# --- the drop trap --------------------------------------------------------------------------------------------------

ROUNDS = [pytest.param(20, id="20"), pytest.param(200, id="200", marks=pytest.mark.slow)]


@pytest.fixture
def client(request: pytest.FixtureRequest, server: QuestDB) -> Iterator[qf.Client]:
    with qf.connect(f"{server.conf}connections={request.param};auto_flush_rows=25;") as client:
        yield client


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("again", ["by_us", "by_others", "by_the_server"])
@pytest.mark.parametrize("client", [1, 4], indirect=True)
def test_rows_written_after_a_drop_are_all_there(
    again: str, rounds: int, client: qf.Client, server: QuestDB, table: str
) -> None:
    """The server acknowledges and loses what comes over a connection that has written to the table that was dropped."""
    create: Any = "server" if again == "by_the_server" else "auto"
    client.write(frame(0, 100), table=table, create=create)
    for number in range(rounds):
        assert server.wait_visible(table, 100) == 100, number
        server.sql(f"drop table {table}")
        if again == "by_others":
            server.sql(f"create table {table} (n long, ts timestamp) timestamp(ts) partition by day wal")
        report = client.write(frame(number, 100), table=table, at="ts", create=create)
        assert (report.rows, report.created) == (100, again != "by_others")
    assert server.wait_visible(table, 100) == 100
    assert server.sql(f"select sum(n) from {table}").scalar() == sum(range(rounds - 1, rounds + 99))


@pytest.mark.parametrize("client", [1, 4], indirect=True)
@pytest.mark.parametrize("first", ["other spelling", "unchecked"])
def test_a_table_dropped_after_writes_that_nobody_looked_up(
    first: str, client: qf.Client, server: QuestDB, table: str
) -> None:
    """The server takes all spellings for one, and connections remember the table whoever wrote over them."""
    options: dict[str, Any]
    name, options = (table.upper(), {}) if first == "other spelling" else (table, {"check": False})
    make = f"create table {table} (n long, ts timestamp) timestamp(ts) partition by day wal"
    for _ in range(3):
        server.sql(make)
        for _ in range(3):
            client.write(frame(0, 100), table=name, at="ts", **options)
        server.wait_visible(table, 300)
        server.sql(f"drop table {table}")
        server.sql(make)
        client.write(frame(0, 50), table=table)
        assert server.wait_visible(table, 50) == 50
        server.sql(f"drop table {table}")


@pytest.mark.parametrize("client", [4], indirect=True)
def test_a_table_dropped_and_made_with_other_columns(client: qf.Client, server: QuestDB, table: str) -> None:
    """What was known of its columns goes with it."""
    for number in range(10):
        client.write(frame(0, 100).with_columns(c=pl.lit(7)), table=table)
        server.wait_visible(table)
        server.sql(f"drop table {table}")
        kind, value = (("varchar", "7"), ("uuid", None), ("double", 7.0))[number % 3]
        server.sql(f'create table {table} (c {kind}, "when" timestamp, n long) timestamp("when") partition by hour wal')
        data = frame(0, 100)
        if kind == "uuid":
            with pytest.raises(qf.IngressError, match="column is UUID"):
                client.write(data.with_columns(c=pl.lit(7)), table=table)
        else:
            data = data.with_columns(c=pl.lit(7))
        assert client.write(data, table=table).at == "ts"
        assert server.wait_visible(table, 100) == 100
        assert server.sql(f"select c, count() from {table}").rows == [(value, 100)]
        server.sql(f"drop table {table}")


@pytest.mark.parametrize("client", [2], indirect=True)
def test_a_table_renamed_and_truncated(client: qf.Client, server: QuestDB, table: str) -> None:
    client.write(frame(0, 100), table=table)
    for number in range(5):
        server.wait_visible(table, 100)
        server.sql(f"rename table {table} to {table}_{number}")
        client.write(frame(0, 100), table=table)
        assert server.wait_visible(table, 100) == 100
        assert server.sql(f"select count() from {table}_{number}").scalar() == 100
    server.sql(f"truncate table {table}")
    client.write(frame(0, 50), table=table)
    server.wait_visible(table)
    assert server.sql(f"select count() from {table}").scalar() == 50


def test_threads_that_share_a_client_survive_a_drop(server: QuestDB, table: str) -> None:
    """Each thread's own table is dropped and written again, while the others write."""
    with qf.connect(f"{server.conf}connections=4;auto_flush_rows=25;") as client:

        def work(number: int) -> None:
            name = f"{table}_{number}"
            for round_ in range(5):
                client.write(frame(round_, 100), table=name)
                assert server.wait_visible(name, 100) == 100, (number, round_)
                server.sql(f"drop table {name}")
            client.write(frame(0, 100), table=name)
            assert server.wait_visible(name, 100) == 100

        together(work, 6)


@pytest.mark.slow
def test_many_writers_and_statements_at_once(server: QuestDB, table: str) -> None:
    """A minute's worth of everything: new columns, decimals, and a third party that alters."""
    clients = [qf.connect(server.conf) for _ in range(8)]
    clients[0].write(frame(0, 1), table=table)

    def work(number: int) -> None:
        for step in range(25):
            if number == 7:
                server.sql(f"alter table {table} add column if not exists x{step} int")
                continue
            data = frame(1 + number * 1_000 + step * 10, 10).with_columns(
                pl.lit(step).alias(f"i{number}_{step}"),
                pl.lit(D(step), dtype=pl.Decimal(9, 1)).alias(f"d{step}"),
            )
            assert clients[number].write(data, table=table).rows == 10

    together(work, 8)
    total = 1 + 7 * 25 * 10
    assert server.wait_visible(table, total, timeout=120) == total
    found = columns_of(server, table)
    assert len(found) == 2 + 7 * 25 + 25 + 25
    assert {found[f"d{step}"] for step in range(25)} == {"DECIMAL(9,1)"}
