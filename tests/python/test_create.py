"""Tables that a write makes: what `create` says is what the server then has, and nothing is made in vain."""

from __future__ import annotations

import datetime as dt
import decimal
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest
from servers import FakeQuestDB, Gate, answer, answer_json, eventually, refused
from together import together

import questframe as qf
from questframe import IngressErrorCode as Code
from questframe import TableSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Exchange

    from questframe.local import QuestDB

D = decimal.Decimal
DAY = 86_400_000_000


def moments(*values: int, unit: str = "us") -> pl.Series:
    return pl.Series(values, dtype=pl.Datetime(unit))


def frame(rows: int = 3) -> pl.DataFrame:
    """Names with capitals and spaces, and the designated timestamp in the middle."""
    return pl.DataFrame(
        {
            "Price": [0.5 + row for row in range(rows)],
            "side of it": pl.Series(["buy", "sell", "buy"] * rows)[:rows].cast(pl.Categorical),
            "event": moments(*range(DAY, DAY + rows)),
            "n": range(rows),
            "note": [f"é{row}" for row in range(rows)],
        }
    )


def shape(server: QuestDB, table: str) -> dict[str, str]:
    """Names and types, in the table's order."""
    return {row[0]: row[1] for row in server.sql(f"show columns from '{table}'")}


def facts(server: QuestDB, table: str) -> dict[str, Any]:
    (row,) = server.sql(f"select * from tables() where table_name = '{table}'").dicts()
    return row


def exists(server: QuestDB, table: str) -> bool:
    return server.sql(f"select count() from tables() where table_name = '{table}'").scalar() == 1


# --- auto -----------------------------------------------------------------------------------------------------------


def test_auto_makes_a_table_of_the_frames_names_and_order(
    server: QuestDB, table: str, read: Callable[..., Any]
) -> None:
    report = qf.write_questdb(frame(), server.conf, table=table)
    assert (report.created, report.at, report.notes, report.requests) == (True, "event", [], 1)
    assert shape(server, table) == {
        "Price": "DOUBLE",
        "side of it": "SYMBOL",
        "event": "TIMESTAMP",
        "n": "LONG",
        "note": "VARCHAR",
    }
    assert list(shape(server, table)) == frame().columns
    found = facts(server, table)
    assert (found["designatedTimestamp"], found["partitionBy"]) == ("event", "DAY")
    assert (found["walEnabled"], found["dedup"], found["ttlValue"]) == (True, False, 0)
    assert read(table, 3)[2] == {
        "Price": 2.5,
        "side of it": "buy",
        "event": "1970-01-02T00:00:00.000002Z",
        "n": 2,
        "note": "é2",
    }
    # The second write finds it.
    again = qf.write_questdb(frame(), server.conf, table=table)
    assert (again.created, again.at) == (False, "event")
    assert server.wait_visible(table, 6) == 6


def test_types_are_those_of_ilp_and_decimals_come_along(server: QuestDB, table: str) -> None:
    data = pa.table(
        {
            "small": pa.array([1], pa.int8()),
            "single": pa.array([1.5], pa.float32()),
            "flag": [True],
            "day": pa.array([1], pa.date32()),
            "nanos": pa.array([5], pa.timestamp("ns")),
            "wide": pa.array([D("1.5")], pa.decimal256(60, 4)),
            "round": pa.array([D("1E+3")], pa.decimal128(3, -3)),
            "list": pa.array([[1.0]]),
            "matrix": pa.array([[[1.0]]]),
            "nothing": pa.nulls(1),
            "ts": pa.array([7], pa.timestamp("ns")),
        }
    )
    report = qf.write_questdb(data, server.conf, table=table, at="ts")
    expected = {
        "small": "LONG",
        "single": "DOUBLE",
        "flag": "BOOLEAN",
        "day": "TIMESTAMP",
        "nanos": "TIMESTAMP_NS",
        "wide": "DECIMAL(60,4)",
        "round": "DECIMAL(6,0)",
        "list": "DOUBLE[]",
        "matrix": "DOUBLE[][]",
        "ts": "TIMESTAMP_NS",
    }
    assert shape(server, table) == expected
    assert {c.name: c.questdb_type for c in report.columns if c.role != "skipped"} == expected
    assert server.wait_visible(table, 1) == 1
    assert server.sql(f"select wide, round, ts::long from {table}").rows == [("1.5000", "1000", 7)]
    # What ILP itself makes of the same frame has the same types.
    plain = data.drop_columns(["wide", "round"])
    qf.write_questdb(plain, server.conf, table=f"{table}_ilp", at="ts", create="server")
    names = {"ts": "timestamp"}
    by_ilp = {names.get(name, name): kind for name, kind in expected.items() if name in plain.column_names}
    assert shape(server, f"{table}_ilp") == by_ilp


@pytest.mark.parametrize(
    "at", [qf.ServerTimestamp, qf.TimestampMicros(DAY), qf.TimestampNanos(DAY * 1000)], ids=["clock", "micros", "nanos"]
)
def test_a_table_without_a_column_for_at_gets_one_called_timestamp(at: Any, server: QuestDB, table: str) -> None:
    report = qf.write_questdb(frame().drop("event"), server.conf, table=table, at=at)
    assert report.created
    kind = "TIMESTAMP_NS" if isinstance(at, qf.TimestampNanos) else "TIMESTAMP"
    assert list(shape(server, table).items())[-1] == ("timestamp", kind)
    assert facts(server, table)["designatedTimestamp"] == "timestamp"
    assert server.wait_visible(table, 3) == 3


def test_server_leaves_the_table_to_ilp(server: QuestDB, table: str) -> None:
    report = qf.write_questdb(frame(), server.conf, table=table, create="server")
    assert (report.created, report.at) == (True, "event")
    # Symbols first, and the timestamp under the server's name.
    assert list(shape(server, table)) == ["side of it", "Price", "n", "note", "timestamp"]
    assert server.wait_visible(table, 3) == 3
    again = qf.write_questdb(frame(), server.conf, table=table, at="event")
    assert again.created is False
    assert server.wait_visible(table, 6) == 6


def test_server_makes_no_decimals(server: QuestDB, table: str) -> None:
    data = pl.DataFrame({"d": pl.Series([D("1.5")], dtype=pl.Decimal(9, 2)), "ts": moments(1)})
    with pytest.raises(qf.IngressError, match=r"does not make DECIMAL\(9,2\) columns by itself; pass create=\"auto\""):
        qf.write_questdb(data, server.conf, table=table, create="server")
    assert not exists(server, table)
    server.sql(f"create table {table} (ts timestamp) timestamp(ts) partition by day wal")
    with pytest.raises(qf.IngressError) as caught:
        qf.write_questdb(data, server.conf, table=table, create="server")
    statement = re.search(r"or run: (ALTER .*)$", str(caught.value))
    assert statement
    server.sql(statement[1])
    # The server shows it a little later.
    assert eventually(lambda: "d" in shape(server, table))
    assert qf.write_questdb(data, server.conf, table=table, create="server").rows == 1


# --- TableSpec ------------------------------------------------------------------------------------------------------


def test_a_specification_is_what_the_server_then_has(server: QuestDB, table: str) -> None:
    spec = TableSpec(
        partition_by="month",
        dedup_keys=["side of it"],
        types={"Price": "FLOAT", "n": "INT", "note": "symbol"},
        ttl="12 months",
        symbol_capacity={"side of it": 1_000, "note": 1},
        symbol_index=["note"],
    )
    report = qf.write_questdb(frame(), server.conf, table=table, create=spec)
    assert report.created
    assert shape(server, table) == {
        "Price": "FLOAT",
        "side of it": "SYMBOL",
        "event": "TIMESTAMP",
        "n": "INT",
        "note": "SYMBOL",
    }
    found = facts(server, table)
    assert (found["partitionBy"], found["dedup"], found["ttlValue"], found["ttlUnit"]) == ("MONTH", True, 1, "YEAR")
    columns = {row["column"]: row for row in server.sql(f"show columns from {table}").dicts()}
    assert columns["side of it"]["symbolCapacity"] == 1_024
    # The least is 2, and it grows with the symbols that are stored.
    assert columns["note"]["indexed"]
    assert columns["note"]["symbolCapacity"] in (2, 4, 8)
    assert [name for name, row in columns.items() if row["upsertKey"]] == ["side of it", "event"]
    created = server.sql(f"show create table {table}").scalar()
    assert "PARTITION BY MONTH TTL 1 YEAR" in created
    assert "DEDUP UPSERT KEYS(" in created
    assert "note SYMBOL INDEX" in created
    # Written again, it is the same three rows.
    qf.write_questdb(frame(), server.conf, table=table)
    assert server.wait_visible(table) == 3


ALL_TYPES: dict[str, tuple[pa.Array, Any]] = {
    "BOOLEAN": (pa.array([1], pa.int8()), True),
    "BYTE": (pa.array([7]), 7),
    "SHORT": (pa.array([7]), 7),
    "CHAR": (pa.array(["c"]), "c"),
    "INT": (pa.array([7]), 7),
    "LONG": (pa.array([7.0]), 7),
    "DATE": (pa.array([86_400_000], pa.timestamp("ms")), "1970-01-02T00:00:00.000Z"),
    "TIMESTAMP": (pa.array([1], pa.date32()), "1970-01-02T00:00:00.000000Z"),
    "TIMESTAMP_NS": (pa.array([DAY], pa.timestamp("us")), "1970-01-02T00:00:00.000000000Z"),
    "FLOAT": (pa.array([0.5]), 0.5),
    "DOUBLE": (pa.array([7]), 7.0),
    "STRING": (pa.array(["s"]), "s"),
    "VARCHAR": (pa.array([7]), "7"),
    "SYMBOL": (pa.array(["s"]), "s"),
    "LONG256": (pa.array(["0x0f"]), "0x0f"),
    "UUID": (pa.array(["11111111-2222-3333-4444-555555555555"]), "11111111-2222-3333-4444-555555555555"),
    "IPv4": (pa.array(["1.2.3.4"]), "1.2.3.4"),
    "GEOHASH(5c)": (pa.array(["u33d8"]), "u33d8"),
    "GEOHASH(7b)": (pa.array(["u3"]), "1101000"),
    "DECIMAL(10,2)": (pa.array(["1.5"]), "1.50"),
    "DECIMAL(76,0)": (pa.array([7]), "7"),
    "DOUBLE[]": (pa.array([[1, 2]]), [1.0, 2.0]),
    "DOUBLE[][]": (pa.array([[[1.5]]]), [[1.5]]),
}


@pytest.mark.parametrize("state", ["new_table", "new_columns"])
def test_every_type_can_be_chosen(state: str, server: QuestDB, table: str) -> None:
    names = {f"c{number}": kind for number, kind in enumerate(ALL_TYPES)}
    data = pa.table(
        {**{name: ALL_TYPES[kind][0] for name, kind in names.items()}, "ts": pa.array([1], pa.timestamp("us"))}
    )
    # As people write them.
    spec = TableSpec(types={name: kind.lower().replace(",", " , ") for name, kind in names.items()})
    total = 1
    with qf.connect(server.conf) as client:
        if state == "new_columns":
            # The connection has written to the table: a new DECIMAL column would be unknown to it.
            client.write(pl.DataFrame({"n": [1], "ts": moments(0)}), table=table)
            total = 2
        report = client.write(data, table=table, at="ts", create=spec)
    assert report.created == (state == "new_table")
    # What was added is shown a little later.
    assert server.wait_visible(table, total) == total
    found = {name: kind for name, kind in shape(server, table).items() if name in names}
    assert found == names
    rows = server.sql(f"select * from {table}").dicts()
    for name, kind in names.items():
        assert rows[-1][name] == ALL_TYPES[kind][1], kind


@pytest.mark.parametrize(("designated", "unit"), [("TIMESTAMP_NS", "us"), ("TIMESTAMP", "ns")])
def test_the_designated_timestamps_type_can_be_chosen(designated: str, unit: str, server: QuestDB, table: str) -> None:
    data = pl.DataFrame({"n": [1, 2], "ts": moments(3_000, 5_000, unit=unit)})
    spec = TableSpec(types={"ts": designated}, dedup_keys=["ts", "n", "n"])
    qf.write_questdb(data, server.conf, table=table, create=spec)
    assert shape(server, table)["ts"] == designated
    assert server.wait_visible(table, 2) == 2
    stored = {"TIMESTAMP_NS": [(3_000_000,), (5_000_000,)], "TIMESTAMP": [(3,), (5,)]}[designated]
    assert server.sql(f"select ts::long from {table}").rows == stored
    with pytest.raises(qf.IngressError, match="TIMESTAMP or TIMESTAMP_NS for the designated timestamp"):
        qf.write_questdb(data, server.conf, table=f"{table}_x", create=TableSpec(types={"ts": "DATE"}))


def test_narrow_types(server: QuestDB, table: str) -> None:
    kinds = {
        "i8": pa.int8(), "i16": pa.int16(), "i32": pa.int32(), "i64": pa.int64(),
        "u8": pa.uint8(), "u16": pa.uint16(), "u32": pa.uint32(), "f32": pa.float32(), "f64": pa.float64(),
    }  # fmt: skip
    present = pa.table(
        [
            *[pa.array([1], kind) for kind in kinds.values()],
            pa.array([1], pa.date32()),
            pa.array([1], pa.timestamp("us")),
        ],
        schema=pa.schema(
            [
                *[pa.field(name, kind, nullable=False) for name, kind in kinds.items()],
                pa.field("d", pa.date32()),
                pa.field("ts", pa.timestamp("us")),
            ]
        ),
    )
    nullable = present.cast(pa.schema([pa.field(field.name, field.type) for field in present.schema]))
    expected = {
        "i8": "BYTE", "i16": "SHORT", "i32": "INT", "i64": "LONG", "u8": "SHORT", "u16": "INT", "u32": "LONG",
        "f32": "FLOAT", "f64": "DOUBLE", "d": "DATE", "ts": "TIMESTAMP",
    }  # fmt: skip
    for name, data in ((table, present), (f"{table}_nullable", nullable)):
        qf.write_questdb(data, server.conf, table=name, at="ts", create=TableSpec(narrow=True))
        # A BYTE and a SHORT have no NULL.
        if data is nullable:
            expected.update(i8="INT", i16="INT", u8="INT")
        assert shape(server, name) == expected
        assert server.wait_visible(name, 1) == 1
        assert server.sql(f"select i8, i16, i32, u8, u16, u32, f32 from {name}").rows == [(1,) * 6 + (1.0,)]
    # A chosen type comes before a narrow one.
    spec = TableSpec(narrow=True, types={"i8": "SYMBOL"})
    assert '"i8" SYMBOL' in spec.sql(present, table="t", at="ts")


def test_sql_only_tells(server: QuestDB, table: str) -> None:
    spec = TableSpec(partition_by="hour", ttl="2 d", dedup_keys=["id"], types={"id": "uuid"}, symbol_index=["s"])
    expected = (
        f'CREATE TABLE IF NOT EXISTS "{table}" ("id" UUID, "s" SYMBOL INDEX, "ts" TIMESTAMP) TIMESTAMP("ts")'
        ' PARTITION BY HOUR TTL 2 DAYS WAL DEDUP UPSERT KEYS("ts", "id")'
    )
    data = pl.DataFrame({"id": ["x"], "s": ["a"], "ts": moments(1)}, schema_overrides={"s": pl.Categorical})
    schemas = [data, data.schema, data.clear(), data.to_arrow(), data.to_arrow().schema, data.to_pandas()]
    for schema in schemas[:-1]:
        assert spec.sql(schema, table=table, at="ts") == expected, type(schema)
    # pandas 3 and this polars keep the unit.
    assert spec.sql(schemas[-1], table=table, at="ts") == expected
    assert not exists(server, table)
    # And it runs.
    server.sql(expected)
    assert facts(server, table)["partitionBy"] == "HOUR"
    with pytest.raises(qf.IngressError) as caught:
        TableSpec(partition_by="minute", ttl="soon", types={"id": "TEXT"}, dedup_keys=["idd"]).sql(
            data, table="t?", at="ts"
        )
    assert len(caught.value.problems) == 5


SPECS = {
    "partition": (TableSpec(partition_by="NONE"), 'partition_by="NONE" is not one; it is HOUR, DAY', None),
    "ttl": (TableSpec(ttl="5 minutes"), 'ttl="5 minutes" is not one', None),
    "type": (TableSpec(types={"n": "BIGINT"}), 'types="BIGINT" is not one', "n"),
    "type_of_no_column": (TableSpec(types={"m": "INT"}), "`types` names no column", "m"),
    "key_of_no_column": (TableSpec(dedup_keys=["notes"]), 'did you mean "note"?', "notes"),
    "capacity_of_no_symbol": (TableSpec(symbol_capacity={"n": 10}), "it will be LONG", "n"),
    "index_of_no_symbol": (TableSpec(symbol_index=["note"]), "it will be VARCHAR; list it in `symbols`", "note"),
    "conflict": (TableSpec(types={"note": "DOUBLE"}), "column is DOUBLE and the frame's", "note"),
    "value": (TableSpec(types={"note": "IPV4"}), "no IPv4 address", "note"),
}


@pytest.mark.parametrize("name", SPECS)
def test_a_wrong_specification_makes_nothing(name: str, server: QuestDB, table: str) -> None:
    spec, words, column = SPECS[name]
    with pytest.raises(qf.IngressError) as caught:
        qf.write_questdb(frame(), server.conf, table=table, create=spec)
    assert words in str(caught.value)
    assert (caught.value.column, caught.value.table) == (column, table)
    assert caught.value.code in (Code.InvalidApiCall, Code.BadDataFrame)
    assert not exists(server, table)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (TableSpec(ttl="1 hour"), "TTL value must be an integer multiple of partition size"),
        (TableSpec(types={"Price": "DOUBLE", "n": "INT"}, dedup_keys=["vector"]), "ARRAY"),
    ],
    ids=["ttl", "array_key"],
)
def test_what_only_the_server_knows_to_be_wrong_is_told_with_the_statement(
    spec: TableSpec, words: str, server: QuestDB, table: str
) -> None:
    data = frame().with_columns(vector=pl.Series([[1.0]] * 3))
    with pytest.raises(qf.IngressError) as caught:
        qf.write_questdb(data, server.conf, table=table, create=spec)
    error = caught.value
    assert words.lower() in str(error).lower()
    assert "the statement was: CREATE TABLE" in str(error)
    assert (error.table, error.acked, error.doubtful) == (table, (), ())
    assert not exists(server, table)


def test_wrong_specifications_in_python() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"dedup_keys": "id"}, "dedup_keys must be a list of column names"),
        ({"symbol_index": [1]}, "symbol_index must be a list of column names"),
        ({"types": {"a": int}}, "types must be a dict"),
        ({"symbol_capacity": {"a": True}}, "symbol_capacity must be a dict"),
        ({"symbol_capacity": {"a": 0}}, "from 1 to 33554432, not 0"),
        ({"symbol_capacity": {"a": 1 << 26}}, "from 1 to 33554432"),
        ({"ttl": 30}, "ttl must be a str, not int"),
        ({"partition_by": None}, "partition_by must be a str, not NoneType"),
        ({"narrow": 1}, "narrow must be True or False"),
    ]
    for given, words in wrong:
        with pytest.raises(qf.IngressTypeError, match="TableSpec: ") as caught:
            TableSpec(**given)
        assert words in str(caught.value)


# --- nothing in vain ------------------------------------------------------------------------------------------------


def test_no_table_is_made_for_an_empty_frame(server: QuestDB, table: str) -> None:
    for data in (frame().clear(), frame().clear().to_arrow(), frame().clear().to_pandas()):
        for create in ("auto", "server", TableSpec()):
            report = qf.write_questdb(data, server.conf, table=table, at="event", create=create)
            assert (report.rows, report.requests, report.created) == (0, 0, False)
    assert not exists(server, table)


def test_no_table_or_column_is_made_when_a_value_is_refused(server: QuestDB, table: str) -> None:
    bad = frame().with_columns(event=moments(1, -5, 3), d=pl.Series([D(1)] * 3, dtype=pl.Decimal(9, 2)))
    for create in ("auto", TableSpec(partition_by="YEAR")):
        with pytest.raises(qf.IngressError, match="before 1970"):
            qf.write_questdb(bad, server.conf, table=table, create=create)
        assert not exists(server, table)
    qf.write_questdb(frame(), server.conf, table=table)
    with pytest.raises(qf.IngressError, match="before 1970"):
        qf.write_questdb(bad, server.conf, table=table)
    assert "d" not in shape(server, table)
    assert server.wait_visible(table, 3) == 3


def test_a_stream_is_looked_at_before_its_table_is_made(server: QuestDB, table: str) -> None:
    data = frame().to_arrow()
    bad = data.set_column(2, "event", pa.array([1, None, 3], pa.timestamp("us")))

    def stream(*tables: pa.Table) -> pa.RecordBatchReader:
        batches = [batch for found in tables for batch in found.to_batches()]
        return pa.RecordBatchReader.from_batches(tables[0].schema, batches)

    with pytest.raises(qf.IngressError, match="is null"):
        qf.write_questdb(stream(bad, bad), server.conf, table=table, at="event")
    assert not exists(server, table)
    assert qf.write_questdb(stream(data, data), server.conf, table=table, at="event").rows == 6
    assert server.wait_visible(table, 6) == 6


# --- wide frames ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["c", pytest.param("a column of some length ", marks=pytest.mark.slow)])
def test_two_thousand_columns(name: str, server: QuestDB, table: str) -> None:
    """More than one statement takes. Keys, and the timestamp at the very end, are in the first."""
    names = [f"{name}{number:x}" for number in range(1_998)]
    data = pl.DataFrame({**{name: [i] for i, name in enumerate(names)}, "key": ["k"], "ts": moments(1)})
    spec = TableSpec(dedup_keys=["key"], types={"key": "SYMBOL"})
    statements = qf.plan(data, table=table, create=spec).statements
    assert len(statements) > 1
    assert statements[0].startswith("CREATE TABLE")
    assert all(statement.startswith("ALTER TABLE") for statement in statements[1:])
    report = qf.write_questdb(data, server.conf, table=table, create=spec)
    assert (report.created, report.rows) == (True, 1)
    assert server.wait_visible(table, 1, timeout=120) == 1
    assert set(shape(server, table)) == set(data.columns)
    assert [name for name in shape(server, table) if name in set(names)] == names
    assert facts(server, table)["dedup"] is True
    (row,) = server.sql(f'select "{names[0]}", "{names[1000]}", "{names[-1]}", key from {table}').rows
    assert row == (0, 1_000, 1_997, "k")


# --- many at once ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [True, False], ids=["one_client", "eight_clients"])
@pytest.mark.parametrize("create", ["auto", "server", "decimal"])
def test_eight_threads_make_the_same_table(create: str, shared: bool, server: QuestDB, table: str) -> None:
    data = frame()
    if create == "decimal":
        data = data.with_columns(d=pl.Series([D("1.5")] * 3, dtype=pl.Decimal(9, 2)))
    option: Any = "auto" if create == "decimal" else create
    clients = [qf.connect(server.conf) for _ in range(1 if shared else 8)]

    for name in (table, f"{table}_again"):

        def write(number: int, name: str = name) -> None:
            clients[number % len(clients)].write(data, table=name, create=option)

        together(write, 8)
        assert server.wait_visible(name, 24) == 24
        assert server.sql(f"select count(), sum(n) from {name}").rows == [(24, 24)]


WRITER = """
import sys
import polars as pl
import questframe as qf
conf, table = sys.argv[1:]
rows = range(1_000)
data = pl.DataFrame({"n": rows, "event": pl.Series(rows, dtype=pl.Datetime("us"))})
print("ready", flush=True)
sys.stdin.readline()
print(qf.write_questdb(data, conf, table=table, create=qf.TableSpec(types={"n": "INT"})).rows)
"""


def test_four_processes_make_the_same_table(server: QuestDB, table: str) -> None:
    command = [sys.executable, "-c", WRITER, server.conf, table]
    pipe = subprocess.PIPE
    writers = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.communicate(timeout=60)[0] for writer in writers] == ["1000\n"] * 4
    assert server.wait_visible(table, 4_000) == 4_000
    assert shape(server, table)["n"] == "INT"


# --- where /exec is closed ------------------------------------------------------------------------------------------

NOTE = 'its designated timestamp is then called "timestamp"'


FORBIDDEN = answer_json(403, {"query": "...", "error": "Access denied [HTTP SQL]", "position": 0})


@pytest.fixture(params=["all_forbidden", "writes_forbidden", "not_found"])
def gate(request: pytest.FixtureRequest, port: int) -> Iterator[Gate]:
    everything = lambda _query: True  # noqa: E731
    closed, reply = {
        "all_forbidden": (everything, FORBIDDEN),
        "writes_forbidden": (lambda query: query.startswith(("query=CREATE", "query=ALTER")), FORBIDDEN),
        "not_found": (everything, answer(404, b"Not Found")),
    }[request.param]
    with Gate(port, closed, reply) as gate:
        yield gate


def test_where_statements_are_forbidden_the_server_makes_the_table(gate: Gate, server: QuestDB, table: str) -> None:
    data = frame(40)
    report = qf.write_questdb(data, f"{gate.conf}auto_flush_rows=10;connections=4;", table=table)
    assert report.rows == 40
    assert len(report.notes) == 1
    assert '"timestamp"' in report.notes[0]
    assert server.wait_visible(table, 40) == 40
    assert list(shape(server, table)) == ["side of it", "Price", "n", "note", "timestamp"]
    assert server.sql(f"select sum(n), min(timestamp) from {table}").rows == [(780, "1970-01-02T00:00:00.000000Z")]
    # The next write goes into the same table.
    assert qf.write_questdb(data, gate.conf, table=table, at="event").rows == 40
    assert server.wait_visible(table, 80) == 80


def test_the_first_request_is_small_and_alone_where_the_server_makes_the_table(fake: FakeQuestDB) -> None:
    fake.exec = FORBIDDEN
    held = threading.Event()
    alone: list[int] = []

    def first(exchange: Exchange) -> None:
        held.wait(0.3)
        alone.append(len(exchange.server.of("/write")))
        exchange.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    fake.script = [first]
    report = qf.write_questdb(frame(200_000), f"{fake.conf}connections=4;", table="t")
    assert alone == [1]
    assert len(fake.writes[0]) * 10 < max(map(len, fake.writes))
    assert report.requests > 2
    assert report.notes
    assert "designated timestamp" in report.notes[0]


def test_never_cannot_look_where_exec_is_closed(fake: FakeQuestDB) -> None:
    fake.exec = FORBIDDEN
    with pytest.raises(qf.IngressError, match="needs to look the table up") as caught:
        qf.write_questdb(frame(), fake.conf, table="t", create="never")
    assert caught.value.code is Code.InvalidApiCall
    assert fake.writes == []


def test_wrong_credentials_are_no_reason_to_go_on(fake: FakeQuestDB) -> None:
    fake.exec = answer(401, b"Unauthorized\r\n")
    with pytest.raises(qf.IngressError, match="credentials") as caught:
        qf.write_questdb(frame(), fake.conf, table="t")
    assert caught.value.code is Code.AuthError
    assert fake.writes == []


def test_a_statement_that_fails_otherwise_is_an_error(port: int, server: QuestDB, table: str) -> None:
    broken = answer_json(500, {"query": "...", "error": "no space left on device", "position": 0})
    with Gate(port, lambda query: query.startswith("query=CREATE"), broken) as gate:
        with pytest.raises(qf.IngressError, match="no space left on device") as caught:
            qf.write_questdb(frame(), gate.conf, table=table)
        assert "the statement was: CREATE TABLE" in str(caught.value)
        wide = frame().with_columns(**{f"column_{i}": pl.lit(1.0) for i in range(800)})
        with pytest.raises(qf.IngressError, match=r"TIMESTAMP, .*…; not stored") as caught:
            qf.write_questdb(wide, gate.conf, table=table)
        assert len(str(caught.value)) < 1_000
        assert gate.writes == []
    assert not exists(server, table)


def test_a_readonly_server_says_so(table: str) -> None:
    """Both ways are closed: the error is that of the write, and nothing hangs."""
    message = {"query": "...", "error": "Could not create table, Write permission denied", "position": 13}
    names = [{"name": "table_name", "type": "STRING"}, {"name": "id", "type": "INT"}]
    missing = answer_json(200, {"query": "", "columns": names, "dataset": [], "count": 0})
    with FakeQuestDB(
        refused(0, "this instance cannot receive writes", status=421, code="not accepting writes")
    ) as fake:
        reply = {True: answer_json(400, message), False: missing}
        fake.exec = lambda exchange: reply[exchange.request.query.startswith("query=CREATE")](exchange)
        with pytest.raises(qf.IngressError, match="cannot receive writes") as caught:
            qf.write_questdb(frame(), fake.conf, table=table)
    assert caught.value.rows_acked == 0


# --- names that look like SQL ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "a; drop table victim",
        "a -- b",
        "select",
        "a`b",
        "[a]",
        "a{b}",
        "1st",
        "a=b",
        "é日本",
        "${x}",
        "a|b",
        "$$a$$",
        "a&b#c",
    ],
)
def test_names_are_only_names(name: str, server: QuestDB, table: str) -> None:
    server.sql("create table if not exists victim (n long, ts timestamp) timestamp(ts) partition by day wal")
    column = name.replace("-", "_")
    tables = f"{table[:20]} {name}".strip()
    data = pl.DataFrame({column: ["x"], "d": pl.Series([D(1)], dtype=pl.Decimal(5, 0)), f"ts {column}": moments(1)})
    spec = TableSpec(dedup_keys=[column], types={column: "SYMBOL"}, symbol_index=[column])
    report = qf.write_questdb(data, server.conf, table=tables, create=spec)
    assert (report.created, report.at) == (True, f"ts {column}")
    assert list(shape(server, tables)) == data.columns
    more = data.with_columns(pl.lit(D(2), dtype=pl.Decimal(5, 0)).alias(f"{column} 2"))
    assert qf.write_questdb(more, server.conf, table=tables, create="auto").created is False
    assert server.wait_visible(tables, 1) == 1
    assert f"{column} 2" in shape(server, tables)
    assert exists(server, "victim")


INJECTIONS = ['a"; drop table victim; --', "a'); drop table victim; --", "a\\", "a)", "a/*b*/", "a\nb", "a\x00b"]


@pytest.mark.parametrize("name", INJECTIONS)
def test_names_that_would_end_a_name_are_refused(name: str, server: QuestDB, table: str) -> None:
    server.sql("create table if not exists victim (n long, ts timestamp) timestamp(ts) partition by day wal")
    column = pl.DataFrame({name: ["x"], "n": [1], "ts": moments(1)})
    with pytest.raises(qf.IngressError, match="holds the character") as caught:
        qf.write_questdb(column, server.conf, table=table)
    assert caught.value.code is Code.InvalidName
    with pytest.raises(qf.IngressError, match="holds the character"):
        qf.write_questdb(column.drop(name), server.conf, table=name)
    with pytest.raises(qf.IngressError, match="holds the character"):
        qf.plan(column, server.conf, table=name, create="never")
    at = pl.DataFrame({"n": [1], name: moments(1)})
    with pytest.raises(qf.IngressError, match="holds the character"):
        qf.write_questdb(at, server.conf, table=table, at=name)
    assert not exists(server, table)
    assert exists(server, "victim")


@pytest.mark.parametrize(
    "text", ["DAY; drop table victim", 'LONG, "x" LONG', "5 d) --", "SYMBOL CAPACITY 4", "DAY WAL"]
)
def test_values_of_a_specification_are_no_sql(text: str, server: QuestDB, table: str) -> None:
    wrong = [
        TableSpec(partition_by=text),
        TableSpec(ttl=text),
        TableSpec(types={"n": text}),
        TableSpec(types={"event": text}),
        TableSpec(dedup_keys=[text]),
        TableSpec(symbol_index=[text]),
        TableSpec(symbol_capacity={text: 1}),
        TableSpec(types={text: "INT"}),
    ]
    for spec in wrong:
        with pytest.raises(qf.IngressError) as caught:
            qf.write_questdb(frame(), server.conf, table=table, create=spec)
        assert caught.value.code is Code.InvalidApiCall
        with pytest.raises(qf.IngressError):
            spec.sql(frame(), table=table, at="event")
    assert not exists(server, table)


def test_names_that_differ_only_in_case(server: QuestDB, table: str) -> None:
    for one, other in (("price", "PRICE"), ("É", "é"), ("ΟΔΟΣ", "οδοσ"), ("İ", "i")):
        data = pl.DataFrame({one: [1], other: [2], "ts": moments(1)})
        with pytest.raises(qf.IngressError, match="but for case") as caught:
            qf.write_questdb(data, server.conf, table=table)
        assert caught.value.column == other
    assert not exists(server, table)


@pytest.mark.parametrize(("name", "other"), [("Straße Σ", "straße σ"), ("ΟΔΟΣ", "οδοσ"), ("İx", "ix"), ("Tbl", "tBL")])
def test_a_table_is_found_by_its_name_in_any_case(name: str, other: str, server: QuestDB, table: str) -> None:
    """As the server has it, so that a table that was dropped is missed as well."""
    name, other = f"{table[:12]} {name}", f"{table[:12]} {other}"
    with qf.connect(server.conf) as client:
        assert client.write(frame(), table=name).created is True
        assert client.write(frame(), table=name).created is False
        assert client.write(frame(), table=other).created is False
        assert server.wait_visible(name, 9) == 9
        server.sql(f'drop table "{name}"')
        assert client.write(frame(), table=name).created is True
    assert server.wait_visible(name, 3) == 3


def test_a_date_is_no_moment_by_itself(server: QuestDB, table: str) -> None:
    """`at` may be a date, under its own name, and its column is a TIMESTAMP."""
    data = pl.DataFrame({"n": [1], "day": [dt.date(2025, 6, 1)]})
    qf.write_questdb(data, server.conf, table=table, at="day", create=TableSpec(narrow=True))
    assert shape(server, table) == {"n": "LONG", "day": "TIMESTAMP"}
    assert server.wait_visible(table, 1) == 1
    assert server.sql(f"select day from {table}").scalar() == "2025-06-01T00:00:00.000000Z"


def test_a_column_of_nulls_is_made_if_it_has_a_type(server: QuestDB, table: str) -> None:
    data = pl.DataFrame({"n": [1, 2], "later": [None, None], "ts": [1, 2]}).with_columns(pl.from_epoch("ts"))
    spec = qf.TableSpec(types={"later": "UUID"}, dedup_keys=["later"])
    planned = {column.name: column for column in qf.plan(data, server.conf, table=table, at="ts", create=spec).columns}
    assert (planned["later"].role, planned["later"].questdb_type, planned["later"].state) == ("skipped", "UUID", "new")
    data.write_questdb(server.conf, table=table, at="ts", create=spec)
    server.wait_visible(table, 2)
    assert server.sql(f"select n, later from {table}").rows == [(1, None), (2, None)]
    # Also in a table that is there.
    more = data.with_columns(more=None)
    more.write_questdb(server.conf, table=table, at="ts", create=qf.TableSpec(types={"more": "SYMBOL"}))
    assert eventually(lambda: shape(server, table).get("more") == "SYMBOL")
    assert shape(server, table)["later"] == "UUID"


def test_what_a_table_that_is_there_does_not_have_is_told(server: QuestDB, table: str) -> None:
    """A specification is for new tables. That second copies of rows stay nobody should find out by counting."""
    data = pl.DataFrame({"n": [1], "k": ["a"], "ts": moments(1)})
    assert data.write_questdb(server.conf, table=table, at="ts").notes == []
    spec = qf.TableSpec(dedup_keys=["k"], types={"k": "VARCHAR", "n": "SYMBOL"})
    report = data.write_questdb(server.conf, table=table, at="ts", create=spec)
    sql = f'ALTER TABLE "{table}" DEDUP ENABLE UPSERT KEYS("ts", "k")'
    said = f"the table was there and has no deduplication keys, and dedup_keys are given to a new one only; {sql}"
    assert report.notes == [said]
    planned = qf.plan(data, server.conf, table=table, at="ts", create=spec)
    assert f"note: {said}" in str(planned)
    assert [column.note for column in planned.columns] == ["LONG as the table has it, and not SYMBOL", "", ""]
    server.wait_visible(table, 2)
    server.sql(sql)
    # Which is in force a moment later.
    assert eventually(lambda: data.write_questdb(server.conf, table=table, at="ts", create=spec).notes == [])
    # By other keys others are copies, and rows that are none are replaced.
    same, other = qf.TableSpec(dedup_keys=["k", "ts", "k"]), qf.TableSpec(dedup_keys=["n"])
    with qf.connect(server.conf) as client:
        assert client.write(data, table=table, at="ts", create=same).notes == []
        sql = f'ALTER TABLE "{table}" DEDUP ENABLE UPSERT KEYS("ts", "n")'
        keys = 'the deduplication keys "k", "ts"'
        said = f"the table was there and has {keys}, and dedup_keys are given to a new one only; {sql}"
        assert client.write(data, table=table, at="ts", create=other).notes == [said]
        server.sql(sql)
        assert eventually(lambda: client.write(data, table=table, at="ts", create=other).notes == [])


def test_partitions_and_ttl_that_a_table_that_is_there_does_not_have_are_told(server: QuestDB, table: str) -> None:
    data = pl.DataFrame({"n": [1], "ts": moments(1)})
    spec = qf.TableSpec(partition_by="day", ttl="14 days")
    assert data.write_questdb(server.conf, table=table, at="ts", create=spec).notes == []
    # Which are told by the server as it likes.
    for same in (spec, qf.TableSpec(ttl="2w"), qf.TableSpec(ttl="336 hours"), qf.TableSpec(partition_by="DAY")):
        assert data.write_questdb(server.conf, table=table, at="ts", create=same).notes == []
    said = "the table was there and is partitioned by DAY, and partition_by is given to a new one only"
    other = qf.TableSpec(partition_by="MONTH")
    assert data.write_questdb(server.conf, table=table, at="ts", create=other).notes == [said]
    assert f"note: {said}" in str(qf.plan(data, server.conf, table=table, at="ts", create=other))
    for has, wanted in (("a TTL of 2 WEEKS", "12 MONTHS"), ("no TTL", "1 YEAR")):
        sql = f'ALTER TABLE "{table}" SET TTL {wanted}'
        said = f"the table was there and has {has}, and ttl is given to a new one only; {sql}"
        # What a client has asked it believes for a minute.
        with qf.connect(server.conf) as client:
            assert client.write(data, table=table, at="ts", create=qf.TableSpec(ttl=wanted)).notes == [said]
        ttl = f"select ttlValue || ' ' || ttlUnit from tables() where table_name = '{table}'"
        server.sql(sql)
        assert eventually(lambda ttl=ttl: server.sql(ttl).scalar() == "1 YEAR")
        with qf.connect(server.conf) as client:
            assert client.write(data, table=table, at="ts", create=qf.TableSpec(ttl=wanted)).notes == []
        server.sql(f'ALTER TABLE "{table}" SET TTL 0h')
        assert eventually(lambda ttl=ttl: server.sql(ttl).scalar()[0] == "0")


def test_new_columns_of_a_table_that_is_there_are_told(server: QuestDB, table: str) -> None:
    """Else a name that was misspelled makes one without a word."""
    data = pl.DataFrame({"price": [1.5], "size": [1], "ts": moments(1)})
    assert data.write_questdb(server.conf, table=table, at="ts").notes == []
    wrong = data.rename({"price": "pirce"}).with_columns(venue=pl.lit("x"), nothing=None)
    said = 'new columns of the table: "pirce" (DOUBLE; it has "price", which the frame has not), "venue" (VARCHAR)'
    assert f"note: {said}" in str(qf.plan(wrong, server.conf, table=table, at="ts"))
    with qf.connect(server.conf) as client:
        assert client.write(wrong, table=table, at="ts").notes == [said]
        server.wait_visible(table, 2)
        assert client.write(wrong, table=table, at="ts").notes == []
        # Without a value none is made.
        blank = data.with_columns(blank=pl.lit(None, dtype=pl.Float64))
        assert client.write(blank, table=table, at="ts").notes == []
        assert client.write(data.with_columns(other=pl.lit(1)).head(0), table=table, at="ts").notes == []
    # Of the rest of a stream for which a table was made as well as of one into a table that was there.
    parts = [
        pl.DataFrame({"v": [None], "n": [1], "ts": moments(1)}),
        pl.DataFrame({"v": ["a"], "n": [1], "ts": moments(1)}),
    ]
    assert qf.write_questdb(parts, server.conf, table=f"{table}_b", at="ts").notes == []
    told = qf.write_questdb(parts, server.conf, table=table, at="ts").notes
    like = '; it has "venue", which the frame has not'
    assert told == [f'new columns of the table: "n" (LONG), "v" (VARCHAR{like})']
    many = data.with_columns(**{f"c{number:02}": pl.lit(number) for number in range(14)})
    (note,) = many.write_questdb(server.conf, table=table, at="ts").notes
    assert note.endswith('"c11" (LONG), and 2 more')


@pytest.mark.parametrize("create", ["never", qf.TableSpec(dedup_keys=["n"]), "auto", "server"], ids=repr)
def test_without_a_look_at_the_table_nothing_is_made_or_missed(create: Any, server: QuestDB, table: str) -> None:
    data = pl.DataFrame({"n": [1], "ts": moments(1)})
    options: dict[str, Any] = {"table": table, "at": "ts", "create": create, "check": False}
    if create in ("auto", "server"):
        assert data.write_questdb(server.conf, **options).rows == 1
        return
    for call in (qf.write_questdb, qf.plan):
        with pytest.raises(
            qf.IngressError, match=r"with `check=False` the table is not looked up, and so is.*leave out"
        ):
            call(data, server.conf, **options)
    assert server.sql(f"select count() from tables() where table_name = '{table}'").scalar() == 0


@pytest.mark.parametrize("part", [{"dedup_keys": ["no"]}, {"symbol_capacity": {"no": 5}}, {"symbol_index": ["no"]}])
def test_a_column_of_nulls_without_a_type_cannot_be_listed(part: dict[str, Any]) -> None:
    data = pl.DataFrame({"n": [1], "no": [None], "ts": [1]}).with_columns(pl.from_epoch("ts"))
    with pytest.raises(qf.IngressError, match=r'column "no": `\w+` lists this column, whose type is Null') as caught:
        qf.plan(data, table="t", at="ts", create=qf.TableSpec(**part))
    assert caught.value.column == "no"
