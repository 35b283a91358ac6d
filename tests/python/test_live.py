"""What is written to a real QuestDB reads back as it was: golden frames value by value, and a frame of some size."""

from __future__ import annotations

import datetime as dt
import json
import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pytest

import questframe as qf

if TYPE_CHECKING:
    from questframe.local import QuestDB

GOLDEN = Path(__file__).parent.parent / "golden"
CASES = json.loads((GOLDEN / "manifest.json").read_text())

MICROS = {"s": 10**6, "ms": 10**3, "us": 1}
MOMENTS = {"TIMESTAMP", "TIMESTAMP_NS"}


def toward_zero(value: int, divisor: int) -> int:
    return abs(value) // divisor * (1 if value >= 0 else -1)


def plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def numbers(column: pa.ChunkedArray, storage: pa.DataType) -> list[int | None]:
    """The integers behind dates and timestamps, untouched by any library's idea of a datetime."""
    return [value for chunk in column.chunks for value in chunk.view(storage).to_pylist()]


def missing(kind: pa.DataType) -> Any:
    """What a null reads back as: there is no boolean null, so what was left out reads as false."""
    return False if pa.types.is_boolean(plain(kind)) else None


def expected_column(column: pa.ChunkedArray, version: int) -> list[Any]:
    """What a column of the frame reads back as: numbers of the server's unit for timestamps."""
    if pa.types.is_dictionary(column.type):
        found: list[Any] = []
        for chunk in column.chunks:
            values = expected_column(pa.chunked_array([chunk.dictionary]), version)
            found += [missing(column.type) if key is None else values[key] for key in chunk.indices.to_pylist()]
        return found
    kind = column.type
    if pa.types.is_timestamp(kind):
        values = numbers(column, pa.int64())
        if kind.unit == "ns":
            return [None if v is None else v if version > 1 else toward_zero(v, 1000) for v in values]
        return [None if v is None else v * MICROS[kind.unit] for v in values]
    if pa.types.is_date32(kind):
        return [None if v is None else v * 86_400_000_000 for v in numbers(column, pa.int32())]
    if pa.types.is_date64(kind):
        return [None if v is None else v * 1_000 for v in numbers(column, pa.int64())]
    values = [missing(kind) if v is None else v for v in column.to_pylist()]
    if pa.types.is_floating(kind):
        # NaN and the infinities are all NULL there.
        return [None if v is None or not math.isfinite(v) else float(v) for v in values]
    if pa.types.is_integer(kind):
        return [None if v == -(2**63) else v for v in values]
    return values


def valid(column: pa.ChunkedArray) -> list[bool]:
    """Where there is a value; a dictionary's key may point to a null."""
    if not pa.types.is_dictionary(column.type):
        return [bool(v) for chunk in column.chunks for v in chunk.is_valid().to_pylist()]
    found = []
    for chunk in column.chunks:
        values = chunk.dictionary.is_valid().to_pylist()
        found += [key is not None and values[key] for key in chunk.indices.to_pylist()]
    return found


def expected_type(name: str, kind: pa.DataType, symbols: Any, version: int) -> str:
    inner = plain(kind)
    if pa.types.is_timestamp(inner) and inner.unit == "ns" and version > 1:
        return "TIMESTAMP_NS"
    if pa.types.is_temporal(inner):
        return "TIMESTAMP"
    if pa.types.is_boolean(inner):
        return "BOOLEAN"
    if pa.types.is_floating(inner):
        return "DOUBLE"
    if pa.types.is_integer(inner):
        return "LONG"
    listed = name in symbols if isinstance(symbols, list) else symbols == "all"
    auto = symbols == "auto" and pa.types.is_dictionary(kind)
    return "SYMBOL" if listed or auto else "VARCHAR"


def exact(value: Any) -> Any:
    """Told apart to the last bit: 0.0 from -0.0, and 1 from 1.0 and True."""
    return (type(value).__name__, value.hex() if isinstance(value, float) else value)


def read_back(server: QuestDB, table: str, rows: int) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Types and rows of a table in its storage order, timestamps as numbers."""
    assert server.wait_visible(table, rows) == rows
    shape = server.sql(f'select * from "{table}" limit 0')
    types = dict(zip(shape.columns, shape.types, strict=True))
    columns = [f'cast("{name}" as long) "{name}"' if kind in MOMENTS else f'"{name}"' for name, kind in types.items()]
    found = server.sql(f'select {", ".join(columns)} from "{table}"').rows
    # By position: the server shortens long names of what is computed.
    return types, [dict(zip(types, row, strict=True)) for row in found]


def at_of(case: dict[str, Any]) -> Any:
    at = case["at"]
    if isinstance(at, dict):
        return qf.TimestampNanos(at["nanos"]) if "nanos" in at else qf.TimestampMicros(at["micros"])
    return qf.ServerTimestamp if at == "server" else at


def expected_moments(case: dict[str, Any], frame: pa.Table, version: int) -> tuple[list[int | None], str]:
    """The designated timestamp of each row, None for the server's clock; and the column's type."""
    at = case["at"]
    if isinstance(at, dict):
        if "nanos" in at and version > 1:
            return [at["nanos"]] * frame.num_rows, "TIMESTAMP_NS"
        return [at["nanos"] // 1000 if "nanos" in at else at["micros"]] * frame.num_rows, "TIMESTAMP"
    if at == "server":
        return [None] * frame.num_rows, "TIMESTAMP"
    return expected_column(frame[at], version), expected_type(at, frame[at].type, "none", version)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_golden_frames_read_back_as_they_were(case: dict[str, Any], server: QuestDB) -> None:
    check_golden(case, server, server.conf, (1, 3))


def check_golden(case: dict[str, Any], server: QuestDB, conf: str, versions: tuple[int, ...], **more: Any) -> None:
    """Write a golden frame in each of these protocol versions and read it back."""
    frame = pa.ipc.open_file(GOLDEN / case["frame"]).read_all()
    options = {key: case[key] for key in ("null_at", "null_bool", "empty_rows", "nan")}
    symbols = {"auto": "auto", "all": True, "none": False}.get(str(case["symbols"]), case["symbols"])
    written = {}
    for version in versions:
        # The case's own name may be strange, and stays.
        table = f"{case['table']} {case['name']} {version}"
        report = qf.write_questdb(
            frame,
            conf,
            table=table,
            at=at_of(case),
            symbols=symbols,
            protocol_version=version,
            # The bytes as they are, and the table that ILP itself makes of them.
            check=False,
            create="server",
            **options,
            **more,
        )
        written[version] = (table, report)

    fields = [name for name in frame.column_names if name != case["at"]]
    there = {name: valid(frame[name]) for name in fields}
    kept = [row for row in range(frame.num_rows) if any(there[name][row] for name in fields)]
    for version, (table, report) in written.items():
        assert report.rows == len(kept)
        if not kept:
            assert report.requests == 0
            assert server.sql(f"select count() from tables() where table_name = '{table}'").scalar() == 0
            continue
        types, rows = read_back(server, table, len(kept))
        moments, at_type = expected_moments(case, frame, version)
        assert types.pop("timestamp") == at_type
        # A column without a value is never heard of.
        present = [name for name in fields if any(there[name])]
        assert types == {name: expected_type(name, frame[name].type, case["symbols"], version) for name in present}

        columns = {name: expected_column(frame[name], version) for name in present}
        # In the order of time; rows with the server's clock come last, since the frames are of the past.
        order = sorted(kept, key=lambda row: (moments[row] is None, moments[row] or 0, row))
        for found, row in zip(rows, order, strict=True):
            moment = found.pop("timestamp")
            if moments[row] is None:
                assert abs(moment / 1e6 - dt.datetime.now(dt.timezone.utc).timestamp()) < 600 or at_type != "TIMESTAMP"
            else:
                assert moment == moments[row]
            assert {name: exact(value) for name, value in found.items()} == {
                name: exact(column[row]) for name, column in columns.items()
            }


# --- a frame of some size -------------------------------------------------------------------------------------------

ROWS = 50_000


def flights() -> pl.DataFrame:
    """Like a year of flights: several an hour, with cancelled ones. Sums are exact, being of quarters."""
    row = pl.int_range(ROWS)
    carriers = pl.Series("carrier", [("UA", "B6", "EV", "DL", "AA", "9E ")[i % 6] for i in range(ROWS)])
    cancelled = row % 41 == 7
    return pl.DataFrame({"carrier": carriers.cast(pl.Categorical)}).select(
        "carrier",
        tailnum=pl.when(row % 13 == 5).then(None).otherwise(pl.format('N{}"é', row % 4_000)),
        flight=(row * 7919 % 8_500).cast(pl.Int32),
        dep_delay=pl.when(cancelled).then(None).otherwise((row * 31 % 1_500).cast(pl.Float64) / 4 - 40),
        air_time=pl.when(cancelled | (row % 97 == 0)).then(None).otherwise(row % 600 + 20),
        on_time=row % 3 != 0,
        arrived=pl.when(cancelled).then(None).otherwise(pl.lit(1_357_000_000_000) + row * 631_000).cast(
            pl.Datetime("ms", "America/New_York")
        ),
        remark=pl.lit(None),
        time_hour=(pl.lit(1_357_016_400_000_000) + row // 6 * 3_600_000_000).cast(pl.Datetime("us", "UTC")),
    )  # fmt: skip


def test_a_frame_of_some_size_has_its_counts_sums_and_nulls(server: QuestDB, table: str) -> None:
    frame = flights()
    report = frame.write_questdb(f"{server.conf}auto_flush_rows=7000;", table=table, at="time_hour")  # type: ignore[attr-defined]
    assert (report.rows, report.table, report.at, report.created) == (ROWS, table, "time_hour", True)
    assert report.requests >= 8
    nulls = {column.name: column.nulls for column in report.columns}
    assert nulls == {**{name: frame[name].null_count() for name in frame.columns}, "remark": 0}
    assert [(column.name, column.role, column.questdb_type) for column in report.columns][7:] == [
        ("remark", "skipped", ""),
        ("time_hour", "designated timestamp", "TIMESTAMP"),
    ]

    assert server.wait_visible(table, ROWS) == ROWS
    (totals,) = server.sql(
        "select count(), count(carrier), count(tailnum), count(dep_delay), count(air_time), count(arrived),"
        " sum(flight), sum(dep_delay), sum(air_time), sum(cast(arrived as long)), count_distinct(tailnum),"
        f" min(time_hour), max(time_hour) from {table}"
    )
    present = [ROWS - frame[name].null_count() for name in ("carrier", "tailnum", "dep_delay", "air_time", "arrived")]
    sums = [
        frame[name].cast(pl.Float64 if name == "dep_delay" else pl.Int64).sum()
        for name in ("flight", "dep_delay", "air_time")
    ]
    assert list(totals) == [
        ROWS,
        *present,
        *sums,
        frame["arrived"].dt.epoch("us").sum(),
        frame["tailnum"].drop_nulls().n_unique(),
        "2013-01-01T05:00:00.000000Z",
        "2013-12-14T10:00:00.000000Z",
    ]  # fmt: skip
    by_carrier = server.sql(f"select carrier, on_time, count() from {table} order by carrier, on_time")
    counts = frame.group_by("carrier", "on_time").len().cast({"carrier": pl.String}).sort("carrier", "on_time")
    assert by_carrier.rows == counts.rows()
    assert "remark" not in server.sql(f"select * from {table} limit 0").columns


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("nan", ["send", "omit"])
@pytest.mark.parametrize("width", [1, 120])
def test_the_report_counts_what_reads_back_as_null(
    server: QuestDB, table: str, width: int, nan: Literal["send", "omit"], version: Literal[1, 2]
) -> None:
    """Nulls, also those with something under them; and values that QuestDB stores for NULL; in wide frames, too."""
    # The last is null, and NaN is what lies under it.
    values = struct.pack("<5d", 1.5, math.nan, math.inf, -math.inf, math.nan)
    buffers = [pa.py_buffer(bytes([0b01111])), pa.py_buffer(values)]
    frame = pa.table(
        {
            "f": pa.Array.from_buffers(pa.float64(), 5, buffers),
            "i": pa.array([-(2**63), 1, None, 3, 4], pa.int64()),
            "s": pa.array(["a", None, "", "b", "c"]),
            "ts": pa.array(range(5), pa.timestamp("us")),
        }
    )
    assert frame["f"].null_count == 1
    # All in one segment where there are no strings, which is how wide frames are written.
    wide = frame.drop_columns(["i", "s"])
    wide = wide.append_column("g", pa.array([1.5, math.nan, math.inf, -math.inf, 0.0]))
    for place in range(width):
        wide = wide.append_column(f"w{place}", pa.array([0.5 * place] * 5))
    report = qf.write_questdb(wide, server.conf, table=f"{table}_wide", at="ts", nan=nan, protocol_version=version)
    assert {column.name: (column.nulls, column.read_null) for column in report.columns if column.read_null} == {
        "f": (1, 4),
        "g": (0, 3),
    }
    assert server.wait_visible(f"{table}_wide", 5) == 5
    stored = server.sql(f'select f, g from "{table}_wide" order by ts').rows
    assert stored == [(1.5, 1.5), (None, None), (None, None), (None, None), (None, 0.0)]
    report = qf.write_questdb(frame.drop_columns("i"), server.conf, table=table, at="ts", protocol_version=version)
    assert {column.name: (column.nulls, column.read_null) for column in report.columns} == {
        "f": (1, 4),
        "s": (1, 1),
        "ts": (0, 0),
    }
    assert server.wait_visible(table, 5) == 5
    stored = server.sql(f'select f, s from "{table}" order by ts').rows
    assert stored == [(1.5, "a"), (None, None), (None, ""), (None, "b"), (None, "c")]
    # The least integer is refused where it is checked.
    unchecked = qf.write_questdb(frame.drop_columns("f"), server.conf, table=table, at="ts", check=False)
    assert [(column.nulls, column.read_null) for column in unchecked.columns] == [(1, 2), (1, 1), (0, 0)]


def test_more_rows_go_into_the_same_table(server: QuestDB, table: str) -> None:
    frame = flights()[:100]
    first = qf.write_questdb(frame, server.conf, table=table, at="time_hour")
    later = frame.with_columns(pl.col("time_hour") + dt.timedelta(days=400)).drop("arrived")
    # The table's own timestamp is known now, and the frame has a column of its name.
    second = qf.write_questdb(later.to_pandas(use_pyarrow_extension_array=True), server.conf, table=table)
    assert (first.created, second.created, second.at) == (True, False, "time_hour")
    assert server.wait_visible(table, 200) == 200
    found = server.sql(f"select sum(flight), count(arrived) from {table}").rows
    assert found == [(2 * frame["flight"].sum(), 100 - frame["arrived"].null_count())]


def test_a_plan_is_checked_against_the_servers_table(server: QuestDB, table: str) -> None:
    frame = pl.DataFrame({"b": [1], "s": ["x"], "when": pl.Series([1], dtype=pl.Datetime("us")), "x": [0.5]})
    missing = qf.plan(frame, server.conf, table=table)
    assert [(c.name, c.role, c.questdb_type) for c in missing.columns] == [
        ("b", "field", "LONG"),
        ("s", "field", "VARCHAR"),
        ("when", "designated timestamp", "TIMESTAMP"),
        ("x", "field", "DOUBLE"),
    ]
    server.sql(f"create table {table} (b byte, s symbol, when timestamp_ns) timestamp(when) partition by day wal")
    with qf.connect(server.conf) as client:
        plan = client.plan(frame, table=table)
        assert [(c.name, c.questdb_type) for c in plan.columns] == [
            ("b", "BYTE"),
            ("s", "SYMBOL"),
            ("when", "TIMESTAMP_NS"),
            ("x", "DOUBLE"),
        ]
        assert (plan.at, plan.table, plan.protocol_version) == ("when", table, 3)
        assert client.write(frame, table=table).rows == 1
    types, rows = read_back(server, table, 1)
    assert types == {"b": "BYTE", "s": "SYMBOL", "when": "TIMESTAMP_NS", "x": "DOUBLE"}
    assert rows == [{"b": 1, "s": "x", "when": 1_000, "x": 0.5}]


def test_what_the_server_says_of_itself(server: QuestDB) -> None:
    with qf.connect(server.conf) as client:
        info = client.server_info()
        assert (info.release, info.protocol_versions, info.max_name_len) == ("9.3.4", [1, 2, 3], 127)
        assert 0 < client.ping() < 10
