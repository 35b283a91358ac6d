"""The frames of the golden cases: one per family of types, each a list of record batches."""

from __future__ import annotations

import datetime as dt
import struct

import numpy as np
import pyarrow as pa

START = 1_735_689_600_000_000  # 2025-01-01 in micros

TEXTS = [
    "plain",
    "",
    None,
    'x y,z=w\\"\n\r é',
    'h"e\\l\nlo ,=',
    "tab\tand\x01control",
    "漢字🦀",
    "exactly 12 b",  # the longest text that a string view holds itself
    "exactly 13 by",
    "q" * 127 + "\\",
    "long, " * 60,
    '"' * 16,
    "\\",
    " ",
]


def micros(rows: int) -> pa.Array:
    return pa.array([START + 1_000_001 * i for i in range(rows)], pa.timestamp("us"))


def frame(columns: dict[str, pa.Array]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def with_at(columns: dict[str, pa.Array]) -> list[pa.RecordBatch]:
    rows = len(next(iter(columns.values())))
    return [frame({**columns, "at": micros(rows)})]


def dictionary(keys: list[int | None], key_type: pa.DataType, values: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(keys, key_type), values)


def booleans() -> list[pa.RecordBatch]:
    values = [True, False, False, True, True, False, True, False, True, True, False]
    return with_at({"a": pa.array(values), "b": pa.array(values[::-1])})


def null_booleans() -> list[pa.RecordBatch]:
    return with_at({"i": pa.array([1, 2, 3, 4]), "b": pa.array([True, None, False, None])})


def integers() -> list[pa.RecordBatch]:
    columns = {}
    for bits in (8, 16, 32, 64):
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        columns[f"i{bits}"] = pa.array([0, low, high, None, -1, 9, 10, -10, 99, 100], f"int{bits}")
        # The largest `LONG` is the most that can be sent of a uint64.
        high = min(2**bits - 1, 2**63 - 1)
        columns[f"u{bits}"] = pa.array([0, high, None, 1, high - 1, 9, 10, 99, 100, 128], f"uint{bits}")
    digits = [10**k for k in range(0, 19, 2)]
    columns["powers"] = pa.array(digits)
    columns["below"] = pa.array([1 - power for power in digits])
    return with_at(columns)


def from_bits(bits: int) -> float:
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def floats() -> list[pa.RecordBatch]:
    doubles = [1.0, 0.1, 100.0, -0.0, 0.0, 123456789.123, 1e15, 9999999999999998.0, 1e16, 1.2345e16]
    doubles += [123456789012345680.0, 1.7976931348623157e308, 1e-5, 9.9e-6, 1e-6, 1e-7, 1.5e-6, 1.5e300, 5e-324]
    doubles += [2.2250738585072014e-308, 2.225073858507201e-308, 1 / 3, -1e22, 1e23, float("nan"), float("inf")]
    doubles += [float("-inf"), from_bits(0x7FF8_0000_DEAD_BEEF), from_bits(0xFFF8_0000_0000_0001), -2615.54]
    singles = np.array([0.1, 16777217.0, 3.4028235e38, 1e-45, np.nan, -np.inf, -0.0, 2615.54], np.float32)
    halves = np.array([0.1, 65504.0, 6e-8, np.nan, np.inf, -0.0, 1.5, -3.25], np.float16)
    rows = len(doubles)
    return with_at(
        {
            "f64": pa.array(doubles, pa.float64(), from_pandas=False),
            "f64_null": pa.array([None if i % 3 == 1 else value for i, value in enumerate(doubles)], pa.float64()),
            "f32": pa.array(np.resize(singles, rows)),
            "f16": pa.array(np.resize(halves, rows)),
            "i": pa.array(range(rows)),
        }
    )


def strings() -> list[pa.RecordBatch]:
    columns = {"utf8": pa.string(), "large": pa.large_string(), "view": pa.string_view()}
    rows = len(TEXTS)
    arrays = {name: pa.array(TEXTS[i:] + TEXTS[:i], kind) for i, (name, kind) in enumerate(columns.items())}
    return with_at({**arrays, "i": pa.array(range(rows), pa.int8())})


def symbols() -> list[pa.RecordBatch]:
    names = pa.array(["BTC-USD", 'x y,z=w\\"\n\r é', "", "never used", "ETH USD", None, "BTC-USD", "s" * 200])
    keys = [0, 1, 2, None, 4, 5, 6, 7]
    key_types = {
        f"{sign}{bits}": f"{word}{bits}" for sign, word in (("i", "int"), ("u", "uint")) for bits in (8, 32, 64)
    }
    columns = {name: dictionary(keys[i:] + keys[:i], kind, names) for i, (name, kind) in enumerate(key_types.items())}
    columns["large"] = dictionary(keys, pa.int16(), names.cast(pa.large_string()))
    columns["view"] = dictionary(keys, pa.uint16(), names.cast(pa.string_view()))
    columns["plain"] = pa.array(["p", None, "q r", "", "p", "=", ",", "\\"])
    columns["all_null"] = dictionary([None] * 8, pa.int8(), pa.array([], pa.string()))
    columns["f"] = pa.array([0.5 * i for i in range(8)])
    return with_at(columns)


def dictionaries() -> list[pa.RecordBatch]:
    keys = [0, 2, None, 1, 2, 0]
    values = {
        "integer": pa.array([-5, 10**18, None]),
        "small": pa.array([1, 2, 255], pa.uint8()),
        "double": pa.array([0.1, float("inf"), None]),
        "seconds": pa.array([1, -1, None], pa.timestamp("s")),
        "nanos": pa.array([1_999, -1_999, None], pa.timestamp("ns", "UTC")),
        "date": pa.array([dt.date(2025, 1, 1), dt.date(1960, 2, 29), None]),
    }
    columns = {name: dictionary(keys, pa.int8(), array) for name, array in values.items()}
    columns["bool"] = dictionary([0, 1, 0, 1, 1, 0], pa.uint16(), pa.array([True, False]))
    return with_at(columns)


def timestamps() -> list[pa.RecordBatch]:
    values = [0, 1, -1, None, 999, 1_000, -1_000, 1_999, 1_735_689_600, -2_208_988_800]
    wide = [2**63 - 1, -(2**63) + 1, 10**18, 10**18 - 1, -(10**15), 999_999, 1_000_000, None, 0, -999]
    columns = {unit: pa.array(values, pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")}
    columns["s_zoned"] = pa.array(values, pa.timestamp("s", "+05:30"))
    columns["ms_zoned"] = pa.array(values, pa.timestamp("ms", "America/New_York"))
    columns["us_zoned"] = pa.array(wide, pa.timestamp("us", "Europe/Berlin"))
    columns["ns_zoned"] = pa.array(wide, pa.timestamp("ns", "UTC"))
    rows = len(values)
    return [frame({**columns, "at": pa.array([10**k for k in range(rows)], pa.timestamp("ns"))})]


def dates() -> list[pa.RecordBatch]:
    days = [0, 1, -1, None, 20_089, -25_567, 2_932_896, 106_751_991, -106_751_991]
    millis = [None if day is None else day * 86_400_000 for day in days]
    return with_at(
        {
            "d32": pa.array(days, pa.int32()).view(pa.date32()),
            "d64": pa.array(millis, pa.int64()).view(pa.date64()),
            "i": pa.array(range(len(days))),
        }
    )


def nulls() -> list[pa.RecordBatch]:
    """Every place of a null: before and after values, whole columns, rows with symbols only, rows without `at`."""
    return [
        frame(
            {
                "nothing": pa.nulls(6),
                "s": dictionary([None, 0, 1, 0, None, 1], pa.int8(), pa.array(["a", "b"])),
                "i": pa.array([1, None, None, 4, None, None]),
                "f": pa.array([None, None, 0.5, 1.5, None, None]),
                "none": pa.array([None] * 6, pa.string()),
                "t": pa.array([None, None, None, "x", "y", None]),
                "at": pa.array([START, None, START, START, START, None], pa.timestamp("us")),
            }
        )
    ]


def nulls_with_empty_rows() -> list[pa.RecordBatch]:
    return with_at(
        {
            "s": dictionary([None, 0, None, None, 1], pa.int8(), pa.array(["a", None])),
            "i": pa.array([None, None, 3, None, None]),
        }
    )


def names_and_escapes() -> list[pa.RecordBatch]:
    names = ["with space", "a=b", "ünï", "漢字", "n" * 127, " leading", "p;q&r#s|[@]{}$!<>", "\x10\x1f", "9", "`^"]
    columns = {f"s {name}"[:127]: pa.array(["a b", "c,d=e", "\\\n\r"]).dictionary_encode() for name in names[:4]}
    columns |= {name: pa.array([1, None, i]) for i, name in enumerate(names)}
    return with_at(columns)


def chunks() -> list[pa.RecordBatch]:
    (whole,) = with_at(
        {
            "s": dictionary([0, 1, None, 2, 0, 1, 2, 2, 0, None], pa.int32(), pa.array(["a", "b c", "d"])),
            "f": pa.array([None if i == 4 else i / 4 for i in range(10)]),
            "t": pa.array([f"row {i}" for i in range(10)], pa.string_view()),
        }
    )
    return [whole.slice(0, 3), whole.slice(3, 0), whole.slice(3, 1), whole.slice(4, 6), whole.slice(10, 0)]


def empty() -> list[pa.RecordBatch]:
    return with_at({"i": pa.array([], pa.int64())})


def trades() -> list[pa.RecordBatch]:
    """Frame A of the dataframe specification, section 5.3."""
    return [
        frame(
            {
                "sym": dictionary([0, 1, None], pa.int8(), pa.array(["ETH-USD", "BTC USD"])),
                "side": pa.array(["buy", "sell", None]),
                "price": pa.array([2615.54, 39269.98, float("nan")]),
                "n": pa.array([1, None, -3]),
                "ok": pa.array([True, False, True]),
                "t": pa.array([START + 1, START, None], pa.timestamp("us")),
                "ts": pa.array([1735787045678901234, 1735776000000000000, 1735862400000000000], pa.timestamp("ns")),
            }
        )
    ]


def rows_300() -> list[pa.RecordBatch]:
    """More rows than one of the encoder's blocks has, with what is prepared per block: runs, nulls, symbols, text."""
    rows = 300
    numbers = np.arange(rows)
    return [
        frame(
            {
                "s": dictionary([i % 7 if i % 11 else None for i in range(rows)], pa.int8(), pa.array(list("abcdefg"))),
                "f": pa.array(numbers * 0.25),
                "i": pa.array([None if 250 < i < 260 else i * i for i in range(rows)]),
                "t": pa.array(["=" * (i % 5) + '"' * (i % 3) for i in range(rows)]),
                "at": pa.array(START + numbers * 1_000, pa.timestamp("us")),
            }
        )
    ]


def at() -> list[pa.RecordBatch]:
    seconds = [0, 1, 9, 10, 1_735_689_600, 4_102_444_800]
    days = [0, 1, 115, 116, 20_089, 47_482]
    micros = [second * 1_000_000 + i for i, second in enumerate(seconds)]
    return [
        frame(
            {
                "i": pa.array(range(6)),
                "s": pa.array(seconds, pa.timestamp("s")),
                "ms": pa.array([second * 1_000 + 7 for second in seconds], pa.timestamp("ms")),
                "us": pa.array(micros, pa.timestamp("us")),
                "us_zoned": pa.array(micros, pa.timestamp("us", "Asia/Tokyo")),
                "ns": pa.array([micro * 1_000 + 123 for micro in micros], pa.timestamp("ns")),
                "ns_zoned": pa.array([micro * 1_000 + 999 for micro in micros], pa.timestamp("ns", "UTC")),
                "date32": pa.array(days, pa.int32()).view(pa.date32()),
                "date64": pa.array([day * 86_400_000 for day in days]).view(pa.date64()),
            }
        )
    ]


def at_constant() -> list[pa.RecordBatch]:
    return [frame({"i": pa.array([1, 2]), "s": pa.array(["a", "b"]).dictionary_encode()})]


FRAMES = {
    make.__name__: make()
    for make in (
        booleans,
        null_booleans,
        integers,
        floats,
        strings,
        symbols,
        dictionaries,
        timestamps,
        dates,
        nulls,
        nulls_with_empty_rows,
        names_and_escapes,
        chunks,
        empty,
        trades,
        rows_300,
        at,
        at_constant,
    )
}
