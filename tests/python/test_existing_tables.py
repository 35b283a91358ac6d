"""An existing table is respected: values go in the form its columns take, or are refused before anything is sent."""

from __future__ import annotations

import datetime as dt
import decimal
import re
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from servers import eventually

import questframe as qf
from questframe import IngressErrorCode as Code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from questframe.local import QuestDB

D = decimal.Decimal
DAY = 86_400_000_000
#: The designated timestamps of three rows.
TS = pa.array([DAY, DAY + 1, DAY + 2], pa.timestamp("us"))
UUIDS = ["01234567-89ab-4cde-8fed-ba9876543210", None, str(uuid.UUID(int=2**128 - 1))]
LONG256 = "0x" + "f" * 63 + "e"


def array(values: list[Any], kind: pa.DataType) -> pa.Array:
    return pa.array(values, kind)


def text(*values: str | None) -> pa.Array:
    return pa.array(values, pa.string_view())


def category(*values: str | None) -> pa.Array:
    return pa.array(values, pa.string()).dictionary_encode()


def moments(unit: str, *values: int | None) -> pa.Array:
    return pa.array(values, pa.timestamp(unit))


def lists(values: list[Any], kind: pa.DataType) -> pa.Array:
    return pa.array(values, kind)


def uuids(*values: str | None) -> pa.Array:
    found = [None if value is None else uuid.UUID(value).bytes for value in values]
    return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(found, pa.binary(16)))


def create(server: QuestDB, table: str, columns: dict[str, str], designated: str = "TIMESTAMP") -> None:
    declared = "".join(f'"{name}" {kind}, ' for name, kind in columns.items())
    server.sql(f'create table "{table}" ({declared}ts {designated}) timestamp(ts) partition by day wal')


def types_of(server: QuestDB, table: str) -> dict[str, str]:
    return {row[0]: row[1] for row in server.sql(f"show columns from '{table}'")}


# --- what goes where, and how it reads back -----------------------------------------------------------------------

INT64, FLOAT64 = pa.int64(), pa.float64()
WHOLE = {
    "floats": (array([1.0, float("nan"), -3.0], FLOAT64), [1, None, -3]),
    "nulls": (array([5.0, None, -7.0], pa.float32()), [5, None, -7]),
    "decimals": (array([D("12.00"), None, D("-3.00")], pa.decimal128(9, 2)), [12, None, -3]),
    "booleans": (array([True, None, False], pa.bool_()), [1, None, 0]),
    "dictionary": (array([7, None, 7], pa.int16()).dictionary_encode(), [7, None, 7]),
    "durations": (array([1, None, -2], pa.duration("us")), [1_000, None, -2_000]),
    "times": (array([1, None, 2], pa.time64("us")), [1_000, None, 2_000]),
}
NO_NULL = {
    "floats": (array([1.0, 0.0, -3.0], FLOAT64), [1, 0, -3]),
    "decimals": (array([D(12), D(0), D(-3)], pa.decimal128(9, 0)), [12, 0, -3]),
    "booleans": (array([True, False, True], pa.bool_()), [1, 0, 1]),
    "small": (array([1, 2, 3], pa.uint8()), [1, 2, 3]),
}
AS_TEXT = {
    "text": (text("a b", None, 'é"\n\\'), ["a b", None, 'é"\n\\']),
    "category": (category("x", None, "x"), ["x", None, "x"]),
    "integers": (array([-(2**63) + 1, None, 7], INT64), ["-9223372036854775807", None, "7"]),
    "unsigned": (array([2**63 - 1, None, 0], pa.uint64()), ["9223372036854775807", None, "0"]),
    "booleans": (array([True, None, False], pa.bool_()), ["true", None, "false"]),
    "decimals": (array([D("1.50"), None, D("-0.01")], pa.decimal128(9, 2)), ["1.50", None, "-0.01"]),
    "uuids": (uuids(*UUIDS), UUIDS),
    "dictionary": (array([7, None, 7], pa.int16()).dictionary_encode(), ["7", None, "7"]),
}
ISO = ["1970-01-02T00:00:00.000", None, "2025-06-01T12:30:45.678"]
INSTANT = 1_748_781_045_678
PAIRS: dict[str, dict[str, tuple[pa.Array, list[Any]]]] = {
    "BOOLEAN": {
        "booleans": (array([True, False, True], pa.bool_()), [True, False, True]),
        "integers": (array([0, 1, 1], INT64), [False, True, True]),
        "unsigned": (array([0, 1, 0], pa.uint64()), [False, True, False]),
        "dictionary": (array([1, 0, 1], pa.int8()).dictionary_encode(), [True, False, True]),
    },
    "BYTE": {"ends": (array([-128, 0, 127], INT64), [-128, 0, 127]), **NO_NULL},
    "SHORT": {"ends": (array([-32768, 0, 32767], pa.int32()), [-32768, 0, 32767]), **NO_NULL},
    "INT": {
        "ends": (array([-(2**31) + 1, None, 2**31 - 1], INT64), [-(2**31) + 1, None, 2**31 - 1]),
        "unsigned": (array([0, None, 2**31 - 1], pa.uint32()), [0, None, 2**31 - 1]),
        **WHOLE,
    },
    "LONG": {
        "ends": (array([-(2**63) + 1, None, 2**63 - 1], INT64), [-(2**63) + 1, None, 2**63 - 1]),
        "unsigned": (array([0, None, 2**63 - 1], pa.uint64()), [0, None, 2**63 - 1]),
        "large_floats": (array([2.0**62, None, -(2.0**53)], FLOAT64), [2**62, None, -(2**53)]),
        "large_decimals": (
            array([D(10) ** 18, None, D(-1)], pa.decimal256(60, 4)),
            [10**18, None, -1],
        ),
        **WHOLE,
    },
    "FLOAT": {
        "doubles": (array([0.5, None, -1.5e38], FLOAT64), [0.5, None, -1.5e38]),
        "singles": (array([0.25, None, -2.5], pa.float32()), [0.25, None, -2.5]),
        # The server's JSON rounds what is beyond seven digits.
        "integers": (array([2**24, None, -(2**31)], INT64), [2.0**24, None, -2_147_483_650]),
        "decimals": (array([D("0.25"), None, D("-7.50")], pa.decimal128(9, 2)), [0.25, None, -7.5]),
        "booleans": (array([True, None, False], pa.bool_()), [1, None, 0]),
        "dictionary": (array([0.5, None, 0.5], FLOAT64).dictionary_encode(), [0.5, None, 0.5]),
    },
    "DOUBLE": {
        "singles": (array([0.25, None, -2.5], pa.float32()), [0.25, None, -2.5]),
        "halves": (pa.array([np.float16(0.5), None, np.float16(-2)], pa.float16()), [0.5, None, -2]),
        "integers": (array([2**53, None, -(2**62)], INT64), [2.0**53, None, -(2.0**62)]),
        "decimals": (array([D("0.10"), None, D("-7.33")], pa.decimal128(9, 2)), [0.1, None, -7.33]),
        "booleans": (array([True, None, False], pa.bool_()), [1, None, 0]),
    },
    "DATE": {
        "dates": (array([1, None, 20_000], pa.date32()), [ISO[0] + "Z", None, "2024-10-04T00:00:00.000Z"]),
        "seconds": (moments("s", 86_400, None, 0), [ISO[0] + "Z", None, "1970-01-01T00:00:00.000Z"]),
        "millis": (moments("ms", 86_400_000, None, INSTANT), [ISO[0] + "Z", None, f"{ISO[2]}Z"]),
        "micros": (moments("us", DAY, None, INSTANT * 1_000), [ISO[0] + "Z", None, f"{ISO[2]}Z"]),
        "nanos": (moments("ns", DAY * 1_000, None, INSTANT * 10**6), [ISO[0] + "Z", None, f"{ISO[2]}Z"]),
        "before": (moments("ms", -1, None, 0), ["1969-12-31T23:59:59.999Z", None, "1970-01-01T00:00:00.000Z"]),
        "integers_are_millis": (array([86_400_000, None, INSTANT], INT64), [ISO[0] + "Z", None, f"{ISO[2]}Z"]),
    },
    **{
        kind: {
            "dates": (
                array([1, None, 20_000], pa.date32()),
                [f"{ISO[0]}{more}Z", None, f"2024-10-04T00:00:00.000{more}Z"],
            ),
            "seconds": (moments("s", 86_400, None, 0), [f"{ISO[0]}{more}Z", None, f"1970-01-01T00:00:00.000{more}Z"]),
            "millis": (moments("ms", 86_400_000, None, INSTANT), [f"{ISO[0]}{more}Z", None, f"{ISO[2]}{more}Z"]),
            "micros": (moments("us", DAY, None, INSTANT * 1_000), [f"{ISO[0]}{more}Z", None, f"{ISO[2]}{more}Z"]),
            "nanos": (
                moments("ns", DAY * 1_000, None, INSTANT * 10**6),
                [f"{ISO[0]}{more}Z", None, f"{ISO[2]}{more}Z"],
            ),
            "zoned": (
                array([DAY, None, INSTANT * 1_000], pa.timestamp("us", "Asia/Tokyo")),
                [f"{ISO[0]}{more}Z", None, f"{ISO[2]}{more}Z"],
            ),
            "before": (
                moments("us", -1_000, None, 0),
                [f"1969-12-31T23:59:59.999{more}Z", None, f"1970-01-01T00:00:00.000{more}Z"],
            ),
            "integers_are_its_unit": (
                array([DAY * factor, None, INSTANT * 1_000 * factor], INT64),
                [f"{ISO[0]}{more}Z", None, f"{ISO[2]}{more}Z"],
            ),
        }
        for kind, more, factor in (("TIMESTAMP", "000", 1), ("TIMESTAMP_NS", "000000", 1_000))
    },
    "CHAR": {
        # The JSON of a NULL.
        "text": (text("a", None, "~"), ["a", "", "~"]),
        "category": (category(" ", None, "Z"), [" ", "", "Z"]),
    },
    "VARCHAR": {**AS_TEXT, "empty": (text("", None, " "), ["", None, " "])},
    "STRING": {**AS_TEXT, "empty": (text("", None, " "), ["", None, " "])},
    "SYMBOL": {**AS_TEXT, "empty": (text("", None, " "), ["", None, " "])},
    "UUID": {
        "text": (text(*UUIDS), UUIDS),
        "upper": (
            text(str(uuid.UUID(int=0xABCDEF)).upper(), None, UUIDS[0]),
            [str(uuid.UUID(int=0xABCDEF)), None, UUIDS[0]],
        ),
        "category": (category(*UUIDS), UUIDS),
        "null_in_dictionary": (
            pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int8()), pa.array([UUIDS[0], None])),
            [UUIDS[0], None, UUIDS[0]],
        ),
        "uuids": (uuids(*UUIDS), UUIDS),
    },
    "IPV4": {
        "text": (text("1.2.3.4", None, "255.255.255.255"), ["1.2.3.4", None, "255.255.255.255"]),
        "category": (category("127.0.0.1", None, "0.0.0.1"), ["127.0.0.1", None, "0.0.0.1"]),
    },
    "LONG256": {
        "text": (text("0x1F", None, LONG256), ["0x1f", "", LONG256]),
        "leading_zeros": (text("0x0001", None, "0x00"), ["0x01", "", "0x00"]),
        # The server wants whole bytes, and 0x1 is none.
        "integers": (array([1, None, 2**63 - 1], INT64), ["0x01", "", "0x7fffffffffffffff"]),
        "more_integers": (array([0, None, 256], pa.uint16()), ["0x00", "", "0x0100"]),
    },
    "GEOHASH(5c)": {
        "text": (text("u33d8", None, "zzzzz"), ["u33d8", None, "zzzzz"]),
        "upper": (text("U33D8", None, "00000"), ["u33d8", None, "00000"]),
        "category": (category("u33d8", None, "u33d8"), ["u33d8", None, "u33d8"]),
    },
    "GEOHASH(7b)": {"text": (text("u3", None, "zz"), ["1101000", None, "1111111"])},
    "GEOHASH(12c)": {"text": (text("u33d8b121234", None, "zzzzzzzzzzzz"), ["u33d8b121234", None, "zzzzzzzzzzzz"])},
    "DECIMAL(10,2)": {
        "same": (array([D("12345678.99"), None, D("-0.01")], pa.decimal128(10, 2)), ["12345678.99", None, "-0.01"]),
        "coarser": (array([D("1.5"), None, D(-7)], pa.decimal128(5, 1)), ["1.50", None, "-7.00"]),
        "finer": (array([D("1.5000"), None, D("-7.2500")], pa.decimal128(12, 4)), ["1.50", None, "-7.25"]),
        "wide": (array([D("1.50"), None, D("-7.25")], pa.decimal256(70, 2)), ["1.50", None, "-7.25"]),
        "negative_scale": (array([D("1E+3"), None, D("-2E+3")], pa.decimal128(3, -3)), ["1000.00", None, "-2000.00"]),
        "integers": (array([99_999_999, None, -1], INT64), ["99999999.00", None, "-1.00"]),
        "floats": (array([0.1, float("nan"), -7.25], FLOAT64), ["0.10", None, "-7.25"]),
        "text": (text("1.5", None, "-1e3"), ["1.50", None, "-1000.00"]),
        "more_text": (text("+7", None, ".5"), ["7.00", None, "0.50"]),
    },
    "DECIMAL(76,38)": {
        "same": (
            array([D(1), None, D("-1E-38")], pa.decimal256(76, 38)),
            ["1." + "0" * 38, None, "-0." + "0" * 37 + "1"],
        )
    },
    "DOUBLE[]": {
        "lists": (lists([[1.0, None, -0.5], None, []], pa.list_(FLOAT64)), [[1.0, None, -0.5], None, []]),
        "fixed": (lists([[1.0, 2.0], None, [3.0, 4.0]], pa.list_(FLOAT64, 2)), [[1.0, 2.0], None, [3.0, 4.0]]),
        "singles": (lists([[0.5], None, [1.5]], pa.large_list(pa.float32())), [[0.5], None, [1.5]]),
        "integers": (lists([[1, 2**53], None, [-1]], pa.list_(INT64)), [[1.0, 2.0**53], None, [-1.0]]),
    },
    "DOUBLE[][]": {
        "lists": (
            lists([[[1.0], [2.0]], None, [[3.0, 4.0]]], pa.list_(pa.list_(FLOAT64))),
            [[[1.0], [2.0]], None, [[3.0, 4.0]]],
        )
    },
}

#: What versions 1 and 2 of the protocol have no form for.
NEEDS = {"decimals": 3, "DECIMAL(76,38)": 3, "DOUBLE[]": 2, "DOUBLE[][]": 2}


@pytest.mark.parametrize("version", [3, 1])
@pytest.mark.parametrize("column_type", PAIRS)
def test_values_go_in_the_form_that_the_column_takes(
    column_type: str, version: int, server: QuestDB, table: str
) -> None:
    pairs = PAIRS[column_type]
    if column_type.startswith("DECIMAL"):
        pairs = {label: pair for label, pair in pairs.items() if version == 3 or not pa.types.is_decimal(pair[0].type)}
    if NEEDS.get(column_type, 1) > version:
        pytest.skip("has no form in this version")
    create(server, table, {**dict.fromkeys(pairs, column_type), "row": "INT"})
    before = types_of(server, table)
    columns = {label: values for label, (values, _) in pairs.items()}
    # A null in every column is no row: there is one without.
    frame = pa.table({**columns, "row": [1, 2, 3], "ts": TS})
    report = qf.write_questdb(frame, server.conf, table=table, at="ts", protocol_version=version, nan="omit")
    assert (report.rows, report.created, report.notes) == (3, False, [])
    assert server.wait_visible(table, 3) == 3
    assert types_of(server, table) == before
    found = server.sql(f'select * from "{table}"')
    for label, (_, expected) in pairs.items():
        assert found.column(label) == expected, (column_type, label)


FLOATS = [0.1, -0.0, 1.0, 1e300, 5e-324, 1 / 3, 123456789.125, 1e21, float("inf")]


@pytest.mark.parametrize("column_type", ["VARCHAR", "SYMBOL"])
def test_floats_as_text_are_the_same_floats(column_type: str, server: QuestDB, table: str) -> None:
    create(server, table, {"x": column_type, "y": column_type})
    frame = pl.DataFrame({"x": FLOATS, "y": FLOATS[:-1] + [float("nan")]}).with_columns(
        ts=pl.from_epoch(pl.int_range(1, pl.len() + 1))
    )
    qf.write_questdb(frame, server.conf, table=table, at="ts")
    assert server.wait_visible(table, len(FLOATS)) == len(FLOATS)
    found = server.sql(f"select x, y from {table}")
    assert [float(value).hex() for value in found.column("x")] == [value.hex() for value in FLOATS]
    assert found.column("y")[2] == "1.0"
    # NaN is no number, and "no number" has a form of its own.
    assert found.column("y")[-1] in (None, "NaN")


# --- refused by value -----------------------------------------------------------------------------------------------

COLUMN_TYPES = {
    "byte": "BYTE",
    "short": "SHORT",
    "int": "INT",
    "long": "LONG",
    "float": "FLOAT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "char": "CHAR",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "nanos": "TIMESTAMP_NS",
    "decimal": "DECIMAL(10,2)",
    "geo": "GEOHASH(5c)",
    "ip": "IPV4",
    "uuid": "UUID",
    "long256": "LONG256",
    "array": "DOUBLE[]",
}


class Refused(NamedTuple):
    """Values of which the second one, in row 1, does not fit the column."""

    column: str
    values: pa.Array
    value: str | None
    says: list[str]


REFUSED = {
    "byte_above": Refused("byte", array([1, 128, 2], INT64), "128", ["does not fit", "BYTE", "widen"]),
    "byte_below": Refused("byte", array([1, -129, 2], INT64), "-129", ["does not fit", "BYTE"]),
    "byte_null": Refused("byte", array([1, None, 2], INT64), None, ["null", "BYTE", "store 0", "fill it"]),
    "byte_fraction": Refused("byte", array([1, 1.5, 2], FLOAT64), "1.5", ["whole numbers", "round"]),
    "byte_nan": Refused("byte", array([1, float("nan"), 2], FLOAT64), None, ["null", "BYTE"]),
    "short_above": Refused("short", array([1, 32768, 2], pa.int32()), "32768", ["does not fit", "SHORT"]),
    "short_unsigned": Refused("short", array([1, 65535, 2], pa.uint16()), "65535", ["does not fit", "SHORT"]),
    "short_null": Refused("short", array([1, None, 2], pa.int8()), None, ["null", "SHORT", "store 0"]),
    "short_null_boolean": Refused("short", array([True, None, False], pa.bool_()), None, ["null", "SHORT"]),
    "int_above": Refused("int", array([1, 2**31, 2], INT64), "2147483648", ["does not fit", "INT"]),
    "int_null_value": Refused("int", array([1, -(2**31), 2], pa.int32()), "-2147483648", ["stores for NULL", "INT"]),
    "int_float_above": Refused("int", array([1, 3e9, 2], FLOAT64), "3000000000", ["does not fit", "INT"]),
    "int_infinity": Refused("int", array([1, float("inf"), 2], FLOAT64), "inf", ["whole numbers"]),
    "int_fraction": Refused("int", array([D("1.0"), D("1.1"), None], pa.decimal128(5, 1)), "1.1", ["whole numbers"]),
    "long_null_value": Refused("long", array([1, -(2**63), 2], INT64), str(-(2**63)), ["stores for NULL", "LONG"]),
    "long_unsigned": Refused("long", array([1, 2**63, 2], pa.uint64()), str(2**63), ["largest LONG"]),
    "long_float_above": Refused(
        "long", array([1, 2.0**63, 2], FLOAT64), "9223372036854776000", ["does not fit 64 bits"]
    ),
    "long_decimal_above": Refused(
        "long",
        array([D(1), D(10) ** 20, D(2)], pa.decimal128(30, 0)),
        "100000000000000000000",
        ["does not fit 64 bits"],
    ),
    "float_beyond": Refused("float", array([1, 1e39, 2], FLOAT64), "1000000", ["3.4e38", "NULL", "DOUBLE"]),
    "float_integer": Refused("float", array([1, 2**24 + 1, 2], pa.int32()), "16777217", ["FLOAT", "digits"]),
    "double_integer": Refused("double", array([1, 2**53 + 1, 2], INT64), str(2**53 + 1), ["DOUBLE", "digits", "LONG"]),
    "double_decimal": Refused(
        "double",
        array([D(1), D("0.1234567890123456789"), D(2)], pa.decimal128(38, 19)),
        "0.1234567890123456789",
        ["digits", "DECIMAL"],
    ),
    "boolean_null": Refused("boolean", array([True, None, False], pa.bool_()), None, ["boolean is null", "null_bool"]),
    "boolean_two": Refused("boolean", array([0, 2, 1], INT64), "2", ["only 0 and 1", "LONG"]),
    "char_long": Refused("char", text("a", "ab", None), '"ab"', ["one ASCII character", "VARCHAR"]),
    "char_not_ascii": Refused("char", text("a", "é", None), '"é"', ["one ASCII character"]),
    "char_empty": Refused("char", category("a", "", None), '""', ["one ASCII character"]),
    "date_micros": Refused(
        "date", moments("us", 1_000, 1_001, None), "1970-01-01T00:00:00.001001Z", ["milliseconds", '"ms"']
    ),
    "date_nanos": Refused(
        "date", moments("ns", 0, 1, None), "1970-01-01T00:00:00.000000001Z", ["milliseconds", "cast"]
    ),
    "date_null_value": Refused("date", array([1, -(2**63), 2], INT64), str(-(2**63)), ["stores for NULL"]),
    "timestamp_nanos": Refused(
        "timestamp", moments("ns", 1_000, 1_001, None), "1970-01-01T00:00:00.000001001Z", ["microseconds", '"us"']
    ),
    "timestamp_before": Refused(
        "timestamp", moments("ns", -1_000, -1, None), "1969-12-31T23:59:59.999999999Z", ["microseconds"]
    ),
    "nanos_overflow": Refused("nanos", moments("us", 1, 2**60, None), None, ["does not fit"]),
    "decimal_scale": Refused(
        "decimal", array([D("1.000"), D("1.001"), None], pa.decimal128(9, 3)), "1.001", ["DECIMAL(10,2)", "round"]
    ),
    "decimal_precision": Refused(
        "decimal", array([D(1), D(10**8), None], pa.decimal128(9, 0)), "100000000", ["DECIMAL(10,2)"]
    ),
    "decimal_integer": Refused("decimal", array([1, 10**8, 2], INT64), "100000000", ["DECIMAL(10,2)"]),
    "decimal_float": Refused("decimal", array([0.25, 0.125, 2], FLOAT64), "0.125", ["DECIMAL(10,2)"]),
    "decimal_infinity": Refused("decimal", array([0.25, float("inf"), 2], FLOAT64), "inf", ["DECIMAL(10,2)"]),
    "decimal_text": Refused("decimal", text("1", "1.005", None), '"1.005"', ["precision and scale"]),
    "decimal_no_number": Refused("decimal", text("1", "one", None), '"one"', ["no decimal number"]),
    "geohash_letter": Refused("geo", text("u33d8", "u33da", None), '"u33da"', ["no geohash", "NULL"]),
    "geohash_short": Refused("geo", text("u33d8", "u33d", None), '"u33d"', ["shorter", "NULL"]),
    "geohash_long": Refused("geo", category("u33d8", "u33d8b", None), '"u33d8b"', ["longer", "cut"]),
    "ip_zero": Refused("ip", text("1.1.1.1", "0.0.0.0", None), '"0.0.0.0"', ["stores for NULL", "VARCHAR"]),
    "ip_empty": Refused("ip", text("1.1.1.1", "", None), '""', ["no IPv4 address"]),
    "ip_six": Refused("ip", category("1.1.1.1", "::1", None), '"::1"', ["no IPv4 address"]),
    "ip_null_word": Refused("ip", text("1.1.1.1", "null", None), '"null"', ["no IPv4 address"]),
    "uuid_braces": Refused("uuid", text(UUIDS[0], "{" + UUIDS[2] + "}", None), '"{' + UUIDS[2] + '}"', ["no UUID"]),  # type: ignore[operator]
    "uuid_empty": Refused("uuid", text(UUIDS[0], "", None), '""', ["no UUID"]),
    "uuid_null_value": Refused(
        "uuid", text(UUIDS[0], "80000000-0000-0000-8000-000000000000"), None, ["stores for NULL"]
    ),
    "long256_decimal": Refused("long256", text("0x01", "10", None), '"10"', ["0x", "hexadecimal"]),
    "long256_odd": Refused(
        "long256", text("0x01", "0x1", None), '"0x1"', ["an even number of hexadecimal digits", "0 in front"]
    ),
    "long256_large": Refused(
        "long256", text("0x01", "0x01" + "0" * 64, None), None, ["hexadecimal digits, at most 64"]
    ),
    "long256_negative": Refused("long256", array([1, -1, 2], INT64), "-1", ["no negative numbers"]),
    "long256_null_value": Refused("long256", text("0x01", "0x" + "8000000000000000" * 4), None, ["stores for NULL"]),
    "array_integer": Refused(
        "array", lists([[1], [2**53 + 1], None], pa.list_(INT64)), str(2**53 + 1), ["exact as DOUBLE"]
    ),
}


class Wall(NamedTuple):
    """An empty table with a column of each type, and a client that has met it."""

    client: qf.Client
    table: str


@pytest.fixture(scope="module")
def wall(server: QuestDB) -> Iterator[Wall]:
    create(server, "wall", COLUMN_TYPES)
    with qf.connect(server.conf) as client:
        yield Wall(client, "wall")
    assert server.wait_visible("wall", 0) == 0
    assert server.sql("select count() from wall").scalar() == 0


def padded(values: pa.Array, rows: int = 3) -> pa.Array:
    """Of so many rows: nulls do no harm, where the column has a NULL."""
    return values if len(values) == rows else pa.concat_arrays([values, pa.nulls(rows - len(values), values.type)])


@pytest.mark.parametrize("name", REFUSED)
def test_a_value_that_does_not_fit_is_refused_before_sending(name: str, wall: Wall) -> None:
    case = REFUSED[name]
    # `n` is new: a table is not altered for a frame that is refused.
    frame = pa.table({case.column: padded(case.values), "n": [1, 2, 3], "ts": TS})
    with pytest.raises(qf.IngressError) as caught:
        wall.client.write(frame, table=wall.table, at="ts")
    error = caught.value
    assert (error.code, error.table, error.column, error.row) == (Code.BadDataFrame, wall.table, case.column, 1)
    assert (error.acked, error.doubtful, error.unsent) == ((), (), (range(3),))
    if case.value is not None:
        assert (error.value or "").startswith(case.value), error.value
    for words in (f'table "{wall.table}"', f'column "{case.column}"', "row 1", *case.says):
        assert words in str(error)


def test_all_values_that_do_not_fit_are_told_at_once(wall: Wall) -> None:
    first = {case.column: case for case in reversed(REFUSED.values())}
    frame = pa.table({**{name: padded(case.values) for name, case in first.items()}, "ts": TS})
    with pytest.raises(qf.IngressError) as caught:
        wall.client.write(frame, table=wall.table, at="ts")
    problems = caught.value.problems
    for name, case in first.items():
        found = [p for p in problems if p.startswith(f'column "{name}", row 1') and all(s in p for s in case.says)]
        assert len(found) == 1, (name, problems)
    # The check is no prediction: the server is as it was.
    assert "n" not in {column.name for column in wall.client.plan(frame, table=wall.table, at="ts").columns}


def test_the_first_bad_row_and_their_number_are_told(wall: Wall) -> None:
    values = [5] * 70_000
    for row in (66_666, 66_667, 69_999):
        values[row] = 300
    frame = pl.DataFrame({"byte": values}).with_columns(ts=pl.from_epoch(pl.int_range(pl.len())))
    pieces = pl.concat([frame[:30_000], frame[30_000:]], rechunk=False)
    for data in (frame, pieces, pieces.to_arrow()):
        with pytest.raises(qf.IngressError, match=r"row 66666 \(value 300\).*so are 2 more rows") as caught:
            wall.client.write(data, table=wall.table)
        assert caught.value.row == 66_666


def test_columns_are_the_same_but_for_case(server: QuestDB, table: str) -> None:
    create(server, table, {"Price": "INT", "ΟΔΟΣ": "SYMBOL"})
    frame = pl.DataFrame({"pRICE": [7], "οδοσ": ["x"], "Ts": pl.Series([DAY], dtype=pl.Datetime("us"))})
    qf.write_questdb(frame, server.conf, table=table.upper())
    assert server.wait_visible(table, 1) == 1
    found = server.sql(f"select * from {table}")
    assert found.columns == ("Price", "ΟΔΟΣ", "ts")
    assert found.rows == [(7, "x", "1970-01-02T00:00:00.000000Z")]


# --- refused by type, and the cure ----------------------------------------------------------------------------------

KINDS: dict[str, pa.Array] = {
    "boolean": array([True], pa.bool_()),
    "integer": array([1], INT64),
    "float": array([1.5], FLOAT64),
    "text": text("x"),
    "category": category("x"),
    "instant": moments("us", 5),
    "nanos": moments("ns", 5),
    "date": array([1], pa.date32()),
    "time": array([5], pa.time64("us")),
    "decimal": array([D("1.5")], pa.decimal128(5, 1)),
    "lists": lists([[1.0]], pa.list_(FLOAT64)),
    "uuid": uuids(UUIDS[0]),
}
#: Types, and a value of each in SQL.
TARGETS = {
    "BOOLEAN": "true",
    "BYTE": "7",
    "SHORT": "7",
    "INT": "7",
    "LONG": "7",
    "FLOAT": "0.5",
    "DOUBLE": "0.5",
    "CHAR": "'c'",
    "DATE": "7",
    "TIMESTAMP": "7",
    "TIMESTAMP_NS": "7",
    "VARCHAR": "'v'",
    "STRING": "'v'",
    "SYMBOL": "'v'",
    "UUID": f"'{UUIDS[0]}'",
    "IPV4": "'1.2.3.4'",
    "LONG256": "'0x01'",
    "BINARY": "null",
    "GEOHASH(5c)": "'u33d8'",
    "DECIMAL(10,2)": "null",
    "DOUBLE[]": "array[1.0]",
    "DOUBLE[][]": "null",
}
CURE = re.compile(r", or run: (.*)$")


@pytest.mark.parametrize("kind", KINDS)
def test_the_statement_that_an_error_proposes_runs_and_helps(kind: str, server: QuestDB, table: str) -> None:
    """Also: it keeps what the column holds, and where no statement does all that none is proposed."""
    names = {f"c{number}": target for number, target in enumerate(TARGETS)}
    create(server, table, names)
    values = ", ".join(TARGETS[target] for target in names.values())
    server.sql(f"insert into {table} values ({values}, 1)")
    assert server.wait_visible(table, 1) == 1
    frame = pa.table({**dict.fromkeys(names, KINDS[kind]), "ts": TS[:1]})
    with qf.connect(server.conf) as client:
        with pytest.raises(qf.IngressError) as caught:
            client.plan(frame, table=table, at="ts")
    refused = {}
    for problem in caught.value.problems:
        named = re.match(r'column "(c\d+)": the table\'s column is (\S+) and the frame\'s \S.*: ', problem)
        assert named, problem
        assert names[named[1]] == named[2]
        cure = CURE.search(problem)
        refused[named[1]] = cure[1] if cure else None
        # What to do with the frame is always said.
        assert re.search(r"(cast|parse|format|reshape|write|make it)", problem), problem
    assert refused
    for name, statement in refused.items():
        if statement is not None:
            before = server.sql(f"select {name}::varchar from {table} limit 1").scalar()
            server.sql(statement)
            # Applied in the background.
            server.sql(f"insert into {table}(ts) values (2)")
            server.wait_visible(table)
            after = server.sql(f"select {name}::varchar from {table} limit 1").scalar()
            assert (before is None) == (after is None), (names[name], statement)
    cured = [name for name, statement in refused.items() if statement is not None]
    if cured:
        with qf.connect(server.conf) as client:
            client.write(pa.table({**dict.fromkeys(cured, KINDS[kind]), "ts": TS[:1]}), table=table, at="ts")
    # Nothing is lost by giving up: text, at least, is cured wherever the server can.
    if kind == "text":
        assert {names[name] for name in cured} == {
            "BOOLEAN", "BYTE", "SHORT", "INT", "LONG", "FLOAT", "DOUBLE", "DATE", "TIMESTAMP", "TIMESTAMP_NS"
        }  # fmt: skip


def test_a_designated_timestamp_is_never_to_be_altered(server: QuestDB, table: str) -> None:
    create(server, table, {"n": "LONG"})
    frame = pl.DataFrame({"ts": ["2025-01-01"], "n": [1], "when": pl.Series([1], dtype=pl.Datetime("us"))})
    with pytest.raises(qf.IngressError) as caught:
        qf.write_questdb(frame, server.conf, table=table, at="when")
    assert caught.value.column == "ts"
    assert "ALTER" not in str(caught.value)


# --- tables that ILP cannot write into ------------------------------------------------------------------------------

NOT_WRITABLE = {
    "no_wal": ("create table {t} (n long, ts timestamp) timestamp(ts) partition by day bypass wal", "write-ahead log"),
    "no_partitions": ("create table {t} (n long, ts timestamp) timestamp(ts)", "without partitions"),
    "no_designated": ("create table {t} (n long, moment timestamp)", "without a designated timestamp"),
    "no_timestamp": ("create table {t} (n long)", "without a designated timestamp"),
    "no_free_name": ('create table {t} (n long, "timestamp" varchar)', "without a designated timestamp"),
}


@pytest.mark.parametrize("name", NOT_WRITABLE)
def test_a_table_that_ilp_cannot_write_into_is_refused_with_a_statement_that_runs(
    name: str, server: QuestDB, table: str
) -> None:
    sql, words = NOT_WRITABLE[name]
    server.sql(sql.format(t=table))
    columns = server.sql(f"select * from {table} limit 0").columns
    values = {"ts": "1", "moment": "1", "n": "1", "timestamp": "'x'"}
    server.sql(f"insert into {table} values ({', '.join(values[column] for column in columns)})")
    frame = pl.DataFrame({"n": [1], "ts": pl.Series([DAY], dtype=pl.Datetime("us"))})
    with pytest.raises(qf.IngressError) as caught:
        qf.write_questdb(frame, server.conf, table=table, at="ts")
    error = caught.value
    assert (error.code, error.table) == (Code.InvalidApiCall, table)
    assert f"ILP cannot write into a table {words}" in str(error) or words in str(error)
    if name == "no_wal":
        statement = re.search(r"run: (ALTER TABLE .* SET TYPE WAL)", str(error))
        assert statement
        server.sql(statement[1])
        return
    statement = re.search(r"(CREATE TABLE .* WAL)", str(error))
    assert statement
    server.sql(statement[1])
    report = qf.write_questdb(frame, server.conf, table=f"{table}_wal", at="ts")
    assert report.created is False
    assert server.wait_visible(f"{table}_wal", 2) == 2
    assert server.sql(f"select count() from {table}").scalar() == 1


def test_views_are_refused(server: QuestDB, table: str) -> None:
    create(server, table, {"n": "LONG"})
    server.sql(f"create view {table}_v as (select n, ts from {table})")
    server.sql(
        f"create materialized view {table}_m as (select ts, sum(n) n from {table} sample by 1h) partition by day"
    )
    frame = pl.DataFrame({"n": [1], "ts": pl.Series([DAY], dtype=pl.Datetime("us"))})
    for suffix, words in (("v", "a view"), ("m", "a materialized view")):
        with pytest.raises(qf.IngressError, match=f"ILP cannot write into {words}; write into the table") as caught:
            qf.write_questdb(frame, server.conf, table=f"{table}_{suffix}", at="ts")
        assert caught.value.code is Code.InvalidApiCall
    assert server.sql(f"select count() from {table}").scalar() == 0


# --- the designated timestamp ---------------------------------------------------------------------------------------


def test_version_1_does_not_cut_nanoseconds(server: QuestDB, table: str) -> None:
    server.sql(f"create table {table} (n timestamp_ns, ts timestamp) timestamp(ts) partition by day wal")
    frame = pa.table({"n": moments("ns", 1_000, 1_001), "ts": moments("us", 1, 2)})
    conf = f"{server.conf}protocol_version=1;"
    with pytest.raises(qf.IngressError, match="beyond the microseconds that protocol version 1 carries") as caught:
        qf.write_questdb(frame, conf, table=table, at="ts")
    assert (caught.value.column, caught.value.row) == ("n", 1)
    assert "use protocol version 2 or later, or cast" in str(caught.value)
    qf.write_questdb(frame[:1], conf, table=table, at="ts")
    qf.write_questdb(frame[1:], server.conf, table=table, at="ts")
    # Nobody looks at the table: as the official client, but the plan says so.
    (first, _) = qf.plan(frame, conf, table=table, at="ts", check=False).columns
    assert first.note == "cut to microseconds, since protocol version 1 carries no more"
    server.wait_visible(table, 2)
    assert server.sql(f"select cast(n as long) n from {table}").column("n") == [1_000, 1_001]


@pytest.mark.parametrize("designated", ["TIMESTAMP", "TIMESTAMP_NS"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_at_goes_to_the_designated_timestamp_of_any_name_and_unit(
    unit: str, designated: str, server: QuestDB, table: str
) -> None:
    name = "The time = ü"
    server.sql(f'create table {table} (n long, "{name}" {designated}) timestamp("{name}") partition by day wal')
    factor = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    frame = pa.table({"n": [1, 2], "event": pa.array([86_400 * factor, 86_401 * factor], pa.timestamp(unit))})
    plan = qf.plan(frame, server.conf, table=table, at="event")
    at = plan.columns[1]
    assert (at.role, at.questdb_type, at.state) == ("designated timestamp", designated, "exists")
    assert name in at.note
    for data in (frame, frame.rename_columns(["n", name.upper()])):
        qf.write_questdb(data, server.conf, table=table, at=data.column_names[1])
    assert server.wait_visible(table, 4) == 4
    more = "000" if designated == "TIMESTAMP" else "000000"
    assert server.sql(f"select * from {table}").rows == [
        (1, f"1970-01-02T00:00:00.000{more}Z"),
        (1, f"1970-01-02T00:00:00.000{more}Z"),
        (2, f"1970-01-02T00:00:01.000{more}Z"),
        (2, f"1970-01-02T00:00:01.000{more}Z"),
    ]


def test_at_with_digits_beyond_the_designated_timestamp_is_refused(server: QuestDB, table: str) -> None:
    create(server, table, {"n": "LONG"})
    frame = pa.table({"n": [1, 2, 3], "ts": moments("ns", 1_000, 2_000, 2_001)})
    with pytest.raises(qf.IngressError) as caught:
        qf.write_questdb(frame, server.conf, table=table)
    error = caught.value
    assert (error.column, error.row, error.value) == ("ts", 2, "1970-01-01T00:00:00.000002001Z")
    assert "microseconds" in str(error)
    assert 'cast the frame\'s column to microseconds ("us")' in str(error)
    # As told: cast, and it goes.
    cast = frame.set_column(1, "ts", frame["ts"].cast(pa.timestamp("us"), safe=False))
    assert qf.write_questdb(cast, server.conf, table=table).rows == 3
    create(server, f"{table}_ns", {"n": "LONG"}, "TIMESTAMP_NS")
    assert qf.write_questdb(frame, server.conf, table=f"{table}_ns").rows == 3
    assert server.wait_visible(f"{table}_ns", 3) == 3
    assert server.sql(f"select ts::long from {table}_ns").rows == [(1_000,), (2_000,), (2_001,)]


@pytest.mark.parametrize("version", [None, 1])
@pytest.mark.parametrize("unit", ["s", "ns"])
def test_at_beyond_what_the_designated_timestamp_holds_is_refused(
    unit: str, version: Any, server: QuestDB, table: str
) -> None:
    create(server, table, {"n": "LONG"}, "TIMESTAMP_NS")
    late = int(dt.datetime(2262, 1, 1, tzinfo=dt.timezone.utc).timestamp())
    late *= 10**9 if unit == "ns" else 1
    frame = pa.table({"n": [1, 2], "ts": moments(unit, 1, late)})
    with pytest.raises(qf.IngressError, match=r"too large: the most is 2261-12-31.*TIMESTAMP_NS") as caught:
        qf.write_questdb(frame, server.conf, table=table, protocol_version=version)
    assert (caught.value.code, caught.value.row) == (Code.InvalidTimestamp, 1)


def test_a_field_of_the_table_beside_at(server: QuestDB, table: str) -> None:
    """A frame's `at` that is named like another column of the table goes to the designated timestamp all the same."""
    create(server, table, {"event": "TIMESTAMP", "n": "LONG"})
    frame = pl.DataFrame({"n": [1], "event": pl.Series([DAY], dtype=pl.Datetime("us"))})
    qf.write_questdb(frame, server.conf, table=table, at="event")
    assert server.wait_visible(table, 1) == 1
    assert server.sql(f"select * from {table}").rows == [(None, 1, "1970-01-02T00:00:00.000000Z")]


# --- the plan -------------------------------------------------------------------------------------------------------


def test_a_plan_shows_what_each_column_becomes_and_makes_nothing(server: QuestDB, table: str) -> None:
    create(server, table, {"id": "UUID", "flag": "BOOLEAN", "size": "SHORT", "name": "VARCHAR"})
    before = types_of(server, table)
    frame = pa.table(
        {
            "id": text(*UUIDS),
            "flag": array([1, 0, 1], pa.int8()),
            "size": array([1.0, 2.0, 3.0], FLOAT64),
            "name": array([1, None, 3], INT64),
            "fresh": category("a", None, "a"),
            "money": array([D("1.50"), None, D("2.50")], pa.decimal128(9, 2)),
            "nothing": pa.nulls(3),
            "ts": TS,
        }
    )
    plan = qf.plan(frame, server.conf, table=table)
    rows = {c.name: (c.arrow_type, c.role, c.wire, c.questdb_type, c.state, c.nulls) for c in plan.columns}
    omitted, error = "omitted, reads NULL", "error, naming the row"
    assert rows == {
        "id": ("Utf8View", "field", "string", "UUID", "exists", omitted),
        "flag": ("Int8", "field", "boolean", "BOOLEAN", "exists", error),
        "size": ("Float64", "field", "integer", "SHORT", "exists", error),
        "name": ("Int64", "field", "string", "VARCHAR", "exists", omitted),
        "fresh": ("Dictionary(Int32, Utf8)", "symbol", "symbol", "SYMBOL", "new", omitted),
        "money": ("Decimal128(9, 2)", "field", "decimal", "DECIMAL(9,2)", "new", omitted),
        "nothing": ("Null", "skipped", "", "", "", "holds nothing else"),
        "ts": ("Timestamp(µs)", "designated timestamp", "timestamp us", "TIMESTAMP", "exists", error),
    }
    assert plan.statements == [f'ALTER TABLE "{table}" ADD COLUMN IF NOT EXISTS "money" DECIMAL(9,2)']
    shown = str(plan)
    assert f'table "{table}" (exists, designated timestamp "ts"), protocol' in shown
    assert f"runs first: {plan.statements[0]}" in shown
    for words in ("whole numbers only", "of 0 and 1", "as text", "the table's designated timestamp"):
        assert words in shown
    # Nothing was made or written, and what was planned is what is done.
    assert types_of(server, table) == before
    assert server.wait_visible(table) == 0
    report = qf.write_questdb(frame, server.conf, table=table)
    assert [(c.name, c.questdb_type) for c in report.columns] == [(c.name, c.questdb_type) for c in plan.columns]
    assert server.wait_visible(table, 3) == 3
    assert types_of(server, table) == {**before, "fresh": "SYMBOL", "money": "DECIMAL(9,2)"}


def test_a_plan_gathers_all_conflicts_with_their_statements(server: QuestDB, table: str) -> None:
    create(server, table, {"a": "LONG", "b": "UUID", "c": "DOUBLE[]"})
    frame = pl.DataFrame(
        {"a": ["x"], "b": [1.5], "c": [[["deep"]]], "d.e": [1], "ts": pl.Series([DAY], dtype=pl.Datetime("us"))}
    )
    with pytest.raises(qf.IngressError) as caught:
        qf.plan(frame, server.conf, table=table)
    problems = caught.value.problems
    assert len(problems) == 4
    assert str(caught.value).startswith(f'table "{table}": 4 problems')
    assert problems[0].endswith(f'or run: ALTER TABLE "{table}" ALTER COLUMN "a" TYPE VARCHAR')
    assert "UUID" in problems[1] and "ALTER" not in problems[1]
    assert server.wait_visible(table) == 0


@pytest.mark.parametrize("create_option", ["auto", "server"])
def test_a_plan_of_a_missing_table_makes_none(create_option: Any, server: QuestDB, table: str) -> None:
    frame = pl.DataFrame({"n": [1], "when": pl.Series([DAY], dtype=pl.Datetime("us"))})
    plan = qf.plan(frame, server.conf, table=table, create=create_option)
    assert [(c.name, c.state) for c in plan.columns] == [("n", "new"), ("when", "new")]
    words = "new, created first" if create_option == "auto" else "new, the server creates it"
    assert f'table "{table}" ({words})' in str(plan)
    assert bool(plan.statements) == (create_option == "auto")
    assert server.sql(f"select count() from tables() where table_name = '{table}'").scalar() == 0


# --- create="never" -------------------------------------------------------------------------------------------------


def test_never_makes_nothing_and_says_what_would_have_to_be_made(
    server: QuestDB, table: str, read: Callable[..., Any]
) -> None:
    frame = pl.DataFrame({"price": [1.5], "n": [1], "when": pl.Series([DAY], dtype=pl.Datetime("us"))})
    with pytest.raises(qf.IngressError, match=r"does not exist and create=\"never\" forbids making it") as caught:
        qf.write_questdb(frame, server.conf, table=table, create="never")
    assert caught.value.code is Code.InvalidApiCall
    assert server.sql(f"select count() from tables() where table_name = '{table}'").scalar() == 0
    statement = re.search(r"or run: (CREATE TABLE .*)$", str(caught.value))
    assert statement
    server.sql(statement[1])
    qf.write_questdb(frame, server.conf, table=table, create="never")

    more = frame.with_columns(prize=pl.lit(2.5), kind=pl.lit("x"))
    with pytest.raises(qf.IngressError) as caught:
        qf.write_questdb(more, server.conf, table=table, create="never")
    assert len(caught.value.problems) == 2
    assert 'did you mean "price"?' in caught.value.problems[0]
    assert list(types_of(server, table)) == ["price", "n", "when"]
    for problem in caught.value.problems:
        statement = re.search(r"or run: (ALTER TABLE .*)$", problem)
        assert statement
        server.sql(statement[1])
    # The server shows them a little later.
    assert eventually(lambda: {"prize", "kind"} <= set(types_of(server, table)))
    qf.write_questdb(more, server.conf, table=table, create="never")
    assert [row["prize"] for row in read(table, 2)] == [None, 2.5]


@pytest.mark.parametrize(("kind", "reads"), [("BOOLEAN", False), ("BYTE", 0), ("SHORT", 0), ("LONG", None)])
def test_nulls_alone_where_a_column_has_none_are_told(kind: str, reads: object, server: QuestDB, table: str) -> None:
    server.sql(f"create table {table} (v {kind}, k long, ts timestamp) timestamp(ts) partition by day wal")
    data = pl.DataFrame({"v": [None, None], "k": [1, 2]})
    report = qf.write_questdb(data, server.conf, table=table, at=qf.ServerTimestamp)
    said = (
        f'column "v" holds nulls only and is not written: the table\'s column is {kind}, which has no NULL, and reads '
    )
    assert [note.startswith(said) for note in report.notes] == [True] * (reads is not None)
    server.wait_visible(table, 2)
    assert server.sql(f"select v from {table}").rows == [(reads,)] * 2


def test_what_is_beside_a_misfit_is_no_null(server: QuestDB, table: str) -> None:
    """A value that cannot be sent is told once, and not as a null as well."""
    server.sql(f"create table {table} (v boolean, b byte, f float, ts timestamp) timestamp(ts) partition by day wal")
    data = pl.DataFrame({"v": [5, 1, None], "b": [1.0, 0.5, 2.0]})
    with pytest.raises(qf.IngressError) as caught:
        qf.write_questdb(data, server.conf, table=table, at=qf.ServerTimestamp)
    problems = caught.value.problems
    assert len(problems) == 3, problems
    assert 'column "v", row 0 (value 5)' in problems[0]
    assert 'column "v", row 2' in problems[1]
    assert 'column "b", row 1 (value 0.5)' in problems[2]


def test_the_largest_values_of_a_float(server: QuestDB, table: str) -> None:
    server.sql(f"create table {table} (f float, ts timestamp) timestamp(ts) partition by day wal")
    most = 3.4028235677973366e38
    fit = [3.4028235e38, np.nextafter(most, 0), -3.4028235e38]
    qf.write_questdb(pl.DataFrame({"f": fit}), server.conf, table=table, at=qf.ServerTimestamp)
    server.wait_visible(table, 3)
    assert server.sql(f"select count() from {table} where abs(f) > 3.4e38").scalar() == 3
    for value in (most, -most):
        with pytest.raises(qf.IngressError, match="row 0"):
            qf.write_questdb(pl.DataFrame({"f": [value]}), server.conf, table=table, at=qf.ServerTimestamp)


def test_a_column_that_gives_the_rows_time_is_told(server: QuestDB, table: str) -> None:
    server.sql(f"create table {table} (n long, ts timestamp) timestamp(ts) partition by day wal")
    data = pl.DataFrame({"n": [1], "ts": pl.Series([5], dtype=pl.Datetime("us"))})
    (note,) = qf.write_questdb(data, server.conf, table=table, at=qf.ServerTimestamp).notes
    assert note.startswith("column \"ts\" gives the rows' time where it is not null, and not the server's clock")


@pytest.mark.parametrize("kind", ["varchar", "string", "symbol"])
def test_nan_as_text_is_left_out_if_that_is_wanted(kind: str, server: QuestDB, table: str) -> None:
    server.sql(f"create table {table} (v {kind}, k long, ts timestamp) timestamp(ts) partition by day wal")
    for start, nan in ((0, "send"), (10, "omit")):
        data = pl.DataFrame({"v": [1.5, float("nan"), None], "k": [start, start + 1, start + 2]})
        qf.write_questdb(data, server.conf, table=table, at=qf.ServerTimestamp, nan=nan)
    server.wait_visible(table, 6)
    rows = server.sql(f"select k, v from {table} order by k").rows
    assert rows == [(0, "1.5"), (1, "NaN"), (2, None), (10, "1.5"), (11, None), (12, None)]
