"""Every type of column that a frame can have: how each library builds it, where it lands, what it reads back as.

One list, `CASES`, and one of what has no form, `REFUSED`. `test_type_matrix.py` runs them against a real server and
`render_types.py` makes `docs/types.md` of them, so that the document says what the tests have seen.
"""

from __future__ import annotations

import datetime as dt
import decimal
import ipaddress
import math
import struct
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

#: What a frame is made of: a polars frame, pandas on NumPy and on pandas' own nullable arrays, pandas on pyarrow's
#: memory, a pyarrow table.
FRONTENDS = ("polars", "pandas NumPy", "pandas Arrow", "pyarrow")
#: Where the nulls are.
NULLS = ("none", "some", "all")
VERSIONS = (1, 2, 3)
#: Rows of each frame: more than any case has values.
ROWS = 12
#: Those that are null where some are: ends, neighbours, one alone.
HOLES = frozenset({0, 4, 5, 8, 11})

NAN, INF = math.nan, math.inf
MICROS = {"s": 10**6, "ms": 10**3, "us": 1}
NANOS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
LEAST, MOST = -(2**63), 2**63 - 1


class Form(NamedTuple):
    """A way to hold a type of column.

    Attributes:
        frontend: one of `FRONTENDS`.
        build: makes a column of values, None for null.
        nullable: whether it can hold a null.
        untyped: whether it has no type where all is null; such a column is not written.
    """

    frontend: str
    build: Callable[[Sequence[Any]], Any]
    nullable: bool = True
    untyped: bool = False


class Landing(NamedTuple):
    """Where values land, and what each reads back as."""

    questdb_type: str
    given: list[Any]
    reads: list[Any]


class Case(NamedTuple):
    """A type of column.

    Attributes:
        name: as the documentation calls it.
        landing: by the newest protocol version.
        forms: the ways to hold it.
        since: the least protocol version.
        v1: by protocol version 1, where that is another.
        null: what an omitted value reads back as.
        null_refused: whether a null is an error by default.
        refused: values that are refused before a byte is sent, and what the error says.
        refused_v1: the same by protocol version 1 alone.
        remark: what the rest does not say.
    """

    name: str
    landing: Landing
    forms: list[Form]
    since: int = 1
    v1: Landing | None = None
    null: Any = None
    null_refused: bool = False
    refused: tuple[tuple[Any, str], ...] = ()
    refused_v1: tuple[tuple[Any, str], ...] = ()
    remark: str = ""

    def by(self, version: int) -> Landing:
        """Where it lands by this protocol version."""
        return self.v1 if version == 1 and self.v1 else self.landing


class Refused(NamedTuple):
    """Columns that have no form in ILP, and what the error says of them."""

    name: str
    columns: list[tuple[str, Callable[[], Any]]]
    says: str
    cure: str


def filled(values: Sequence[Any], nulls: str) -> list[Any]:
    """`ROWS` values: these over and over, with the nulls in their places."""
    if nulls == "all":
        return [None] * ROWS
    return [None if nulls == "some" and row in HOLES else values[row % len(values)] for row in range(ROWS)]


def same(questdb_type: str, values: list[Any]) -> Landing:
    """Values that read back as they are."""
    return Landing(questdb_type, values, values)


# --- how columns are built -----------------------------------------------------------------------------------------


def polars(dtype: Any, of: Any = None) -> list[Form]:
    """`of`: the type that the values are, brought to `dtype` by a cast."""

    def build(values: Sequence[Any]) -> pl.Series:
        series = pl.Series("x", values, dtype=dtype if of is None else of)
        return series if of is None else series.cast(dtype)

    return [Form("polars", build)]


def pandas_of(array: pa.Array) -> pd.Series:
    """A column of pyarrow's memory, as it is."""
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([array])))


def arrow(*types: pa.DataType, of: Callable[[Sequence[Any], pa.DataType], pa.Array] | None = None) -> list[Form]:
    """Arrow's own type, in pyarrow and in pandas."""

    def forms(kind: pa.DataType) -> list[Form]:
        def build(values: Sequence[Any]) -> pa.Array:
            return pa.array(values, kind) if of is None else of(values, kind)

        return [Form("pyarrow", build), Form("pandas Arrow", lambda values: pandas_of(build(values)))]

    return [form for kind in types for form in forms(kind)]


def viewed(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """A type whose memory is that of 32-bit or 64-bit integers."""
    return pa.array(values, pa.int32() if kind.bit_width == 32 else pa.int64()).view(kind)


def numpy(kind: str) -> list[Form]:
    """A NumPy array: without nulls, but for floats, which have NaN, and datetimes, which have NaT."""

    def build(values: Sequence[Any]) -> pd.Series:
        if kind[0] == "f":
            return pd.Series(np.array([NAN if value is None else value for value in values], kind), copy=False)
        if kind[0] in "mM":
            return pd.Series(np.array([LEAST if value is None else value for value in values], "i8").view(kind))
        return pd.Series(np.array(values, kind), copy=False)

    return [Form("pandas NumPy", build, nullable=kind[0] in "fmM")]


def zoned(unit: str, zone: str) -> list[Form]:
    (plain,) = numpy(f"M8[{unit}]")
    return [
        Form("pandas NumPy", lambda values: plain.build(values).dt.tz_localize("UTC").dt.tz_convert(zone)),
    ]


def nullable(dtype: str) -> list[Form]:
    """One of pandas' own types of numbers."""
    kind = pd.api.types.pandas_dtype(dtype)

    def build(values: Sequence[Any]) -> pd.Series:
        # Pandas itself takes a detour over floats.
        data = np.array([0 if value is None else value for value in values], kind.numpy_dtype)
        return pd.Series(kind.construct_array_type()(data, np.array([value is None for value in values])))

    return [Form("pandas NumPy", build)]


def text(dtype: str, frontend: str = "pandas NumPy", *, untyped: bool = False) -> Form:
    """One of pandas' types of text."""
    return Form(frontend, lambda values: pd.Series(pd.array(list(values), dtype=dtype)), untyped=untyped)


def sparse(kind: str) -> list[Form]:
    return [Form("pandas NumPy", lambda values: pd.Series(pd.arrays.SparseArray(np.array(values, kind))), False)]


def objects(of: Callable[[Any], Any] = lambda value: value) -> list[Form]:
    """Python objects, made of the values by `of`."""

    def build(values: Sequence[Any]) -> pd.Series:
        array = np.empty(len(values), dtype=object)
        for row, value in enumerate(values):
            array[row] = None if value is None else of(value)
        return pd.Series(array, dtype=object)

    return [Form("pandas NumPy", build, untyped=True)]


def category(dtype: Any, values: list[Any]) -> list[Form]:
    categories = pd.Index(values, dtype=dtype)

    def build(values: Sequence[Any]) -> pd.Series:
        # By codes: pandas looks integers with nulls up as floats.
        codes = [-1 if value is None else categories.get_loc(value) for value in values]
        return pd.Series(pd.Categorical.from_codes(codes, categories=categories))

    return [Form("pandas NumPy", build)]


def dictionary(keys: pa.DataType, items: pa.DataType) -> list[Form]:
    def build(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
        distinct = list(dict.fromkeys(value for value in values if value is not None))
        codes = pa.array([None if value is None else distinct.index(value) for value in values], kind.index_type)
        return pa.DictionaryArray.from_arrays(codes, pa.array(distinct, kind.value_type))

    return arrow(pa.dictionary(keys, items), of=build)


def runs(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    ends = pa.array(range(1, len(values) + 1), kind.run_end_type)
    return pa.RunEndEncodedArray.from_arrays(ends, pa.array(values, kind.value_type))


def uuids(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    cells = [None if value is None else uuid.UUID(value).bytes for value in values]
    return pa.ExtensionArray.from_storage(kind, pa.array(cells, pa.binary(16)))


def decimals(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    return pa.array([None if value is None else Decimal(value) for value in values], kind)


def polars_decimals(precision: int, scale: int) -> list[Form]:
    dtype = pl.Decimal(precision, scale)
    return [
        Form("polars", lambda values: pl.Series("x", [None if v is None else Decimal(v) for v in values], dtype=dtype))
    ]


# --- numbers -------------------------------------------------------------------------------------------------------


def floats(values: Iterable[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]


def single(value: float) -> float:
    """The nearest 32-bit float."""
    return struct.unpack("f", struct.pack("f", value))[0]


#: Too much for a LONG, and what is said of it.
BEYOND = ((2**63, "above 9223372036854775807"), (2**64 - 1, "above 9223372036854775807"))
NULLS_OWN = "the value is what QuestDB stores for NULL"


def signed(bits: int) -> Case:
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return Case(
        f"int{bits}",
        same("LONG", [0, 1, -1, max(least, LEAST + 1), most]),
        [
            *polars(getattr(pl, f"Int{bits}")),
            *numpy(f"i{bits // 8}"),
            *(numpy(f">i{bits // 8}") if bits > 8 else []),
            *nullable(f"Int{bits}"),
            *(sparse("i8") if bits == 64 else []),
            *(objects() if bits == 64 else []),
            *(category("int64", [0, 1, -1, LEAST + 1, MOST]) if bits == 64 else []),
            *arrow(getattr(pa, f"int{bits}")()),
            *(dictionary(pa.int8(), pa.int64()) if bits == 64 else []),
            *(arrow(pa.run_end_encoded(pa.int32(), pa.int64()), of=runs) if bits == 64 else []),
        ],
        refused=((LEAST, NULLS_OWN),) if bits == 64 else (),
    )


def unsigned(bits: int) -> Case:
    most = min(2**bits - 1, MOST)
    return Case(
        f"uint{bits}",
        same("LONG", [0, 1, most]),
        [
            *polars(getattr(pl, f"UInt{bits}")),
            *numpy(f"u{bits // 8}"),
            *nullable(f"UInt{bits}"),
            *arrow(getattr(pa, f"uint{bits}")()),
        ],
        refused=BEYOND if bits == 64 else (),
    )


def wide() -> list[Case]:
    """Integers of 128 bits, which only Polars has."""
    unsigned, signed = same("LONG", [0, 1, MOST]), same("LONG", [0, -1, MOST, LEAST + 1])
    return [
        Case(
            "int128",
            signed,
            polars(pl.Int128),
            refused=((LEAST - 1, "below -9223372036854775808"), (LEAST, NULLS_OWN), *BEYOND),
        ),
        Case("uint128", unsigned, polars(pl.UInt128), refused=BEYOND),
    ]


def floating(bits: int) -> Case:
    values = {
        16: [0.0, -0.0, 1.5, 65504.0, 2.0**-24, NAN, INF, -INF],
        32: [0.0, -0.0, single(0.1), single(3.4e38), 2.0**-149, NAN, INF, -INF],
        64: [0.0, -0.0, 0.1, 1.7976931348623157e308, 5e-324, 2.0**60, NAN, INF, -INF],
    }[bits]
    kind: pa.DataType = {16: pa.float16(), 32: pa.float32(), 64: pa.float64()}[bits]
    return Case(
        f"float{bits}",
        Landing("DOUBLE", values, floats(values)),
        [
            *polars(getattr(pl, f"Float{bits}")),
            *numpy(f"f{bits // 8}"),
            *(numpy(">f8") if bits == 64 else []),
            *(nullable(f"Float{bits}") if bits > 16 else []),
            *(sparse("f8") if bits == 64 else []),
            *(objects() if bits == 64 else []),
            *arrow(kind),
        ],
        remark="exactly",
    )


# --- text ----------------------------------------------------------------------------------------------------------

PANDAS_3 = int(pd.__version__.partition(".")[0]) >= 3

TEXTS = ["a", "", "é€😀", 'quote " back \\ slash', "comma, space =\n\r\t", "x" * 300]

STRINGS = Case(
    "string",
    same("VARCHAR", TEXTS),
    [
        *polars(pl.String),
        # Before pandas 3 this is no type of its own, and makes text of None.
        *([text("str")] if PANDAS_3 else []),
        text("string[python]", untyped=True),
        *objects(),
        *arrow(pa.string(), pa.large_string(), pa.string_view()),
        *arrow(pa.run_end_encoded(pa.int16(), pa.string()), of=runs),
        text("string[pyarrow]", "pandas Arrow"),
    ],
    remark="SYMBOL if named in `symbols`",
)

CATEGORIES = Case(
    "categorical",
    same("SYMBOL", TEXTS),
    [
        *polars(pl.Categorical),
        *polars(pl.Enum(TEXTS)),
        *category("str", TEXTS),
        *category(object, TEXTS),
        *dictionary(pa.int8(), pa.string()),
        *dictionary(pa.uint32(), pa.large_string()),
    ],
    remark="VARCHAR with `symbols=False`; codes of other types are as their values",
)

# --- instants ------------------------------------------------------------------------------------------------------

SECONDS = [0, -1, 1_700_000_000, -86_400 * 365 * 200]


def instants(unit: str) -> Case:
    """Without a zone; and where the library has no other limit, up to the ends."""
    per = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    end = MOST // MICROS[unit] if unit != "ns" else MOST
    values = [value * per for value in SECONDS] + [1, end, -end]
    forms = [
        *(polars(pl.Datetime(unit), pl.Int64) if unit != "s" else []),
        *numpy(f"M8[{unit}]"),
        *arrow(pa.timestamp(unit), of=viewed),
    ]
    name = f"timestamp, {unit}"
    if unit == "ns":
        whole = [0, -1_000, 1_700_000_000 * 10**9 + 123_000, MOST // 1_000 * 1_000]
        by_micros = Landing("TIMESTAMP", whole, [value // 1_000 for value in whole])
        return Case(
            name,
            same("TIMESTAMP_NS", values),
            forms,
            v1=by_micros,
            refused_v1=((1, "microseconds"),),
        )
    beyond = ((end + 1, "microseconds"),) if unit != "us" else ()
    return Case(name, Landing("TIMESTAMP", values, [value * MICROS[unit] for value in values]), forms, refused=beyond)


def with_zone(unit: str) -> Case:
    per = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    values = [value * per for value in SECONDS]
    forms = [
        *(polars(pl.Datetime(unit, "America/New_York"), pl.Int64) if unit != "s" else []),
        *zoned(unit, "America/New_York"),
        *arrow(pa.timestamp(unit, "America/New_York"), pa.timestamp(unit, "+01:00"), of=viewed),
    ]
    if unit == "ns":
        micros = Landing("TIMESTAMP", values, [value // 1_000 for value in values])
        return Case(f"timestamp with zone, {unit}", same("TIMESTAMP_NS", values), forms, v1=micros, remark="in UTC")
    reads = [value * MICROS[unit] for value in values]
    return Case(f"timestamp with zone, {unit}", Landing("TIMESTAMP", values, reads), forms, remark="in UTC")


EPOCH = dt.datetime(1970, 1, 1)
UTC = dt.timezone.utc
DAYS = [0, -1, 20_000, dt.date.min.toordinal() - EPOCH.toordinal(), dt.date.max.toordinal() - EPOCH.toordinal()]
DAY = 86_400_000_000
OBJECT_MICROS = [0, -1, 1_700_000_000_123_456, DAYS[3] * DAY, DAYS[4] * DAY + 5]

# --- spans ---------------------------------------------------------------------------------------------------------


def times(unit: str) -> Case:
    per = NANOS[unit]
    values = [0, 1, 86_399_999_999_999 // per]
    kind = pa.time32(unit) if unit in {"s", "ms"} else pa.time64(unit)
    forms = arrow(kind, of=viewed)
    if unit == "us":
        forms += objects(lambda value: (EPOCH + dt.timedelta(microseconds=value)).time())
    if unit == "ns":
        forms = [*polars(pl.Time, pl.Int64), *forms]
    reads = [value * per for value in values]
    return Case(f"time, {unit}", Landing("LONG", values, reads), forms, remark="nanoseconds since midnight")


def durations(unit: str) -> Case:
    per = NANOS[unit]
    end = MOST // per
    values = [0, 1, -1, end, -end]
    forms = [
        *(polars(pl.Duration(unit), pl.Int64) if unit != "s" else []),
        *numpy(f"m8[{unit}]"),
        *arrow(pa.duration(unit), of=viewed),
    ]
    if unit == "us":
        forms += objects(lambda value: dt.timedelta(microseconds=value))
    beyond = ((end + 1, ""),) if unit != "ns" else ()
    reads = [value * per for value in values]
    return Case(f"duration, {unit}", Landing("LONG", values, reads), forms, refused=beyond, remark="nanoseconds")


# --- arrays --------------------------------------------------------------------------------------------------------

FLAT: list[Any] = [[1.5, -0.0, 0.1], [], [NAN, INF, -INF, 1e300], [None, 2.0]]
FLAT_READS: list[Any] = [[1.5, -0.0, 0.1], [], [None, None, None, 1e300], [None, 2.0]]
PAIRS: list[Any] = [[1.5, -0.0], [NAN, 2.0]]
PAIRS_READS: list[Any] = [[1.5, -0.0], [None, 2.0]]
DEEP: list[Any] = [[[1.0, 2.0], [3.0, 4.0]], [[0.5]]]
SQUARES: list[Any] = [[[1.0, 2.0], [3.0, 4.0]], [[0.5, NAN], [0.0, -1.0]]]
SQUARES_READS: list[Any] = [[[1.0, 2.0], [3.0, 4.0]], [[0.5, None], [0.0, -1.0]]]


def without_none(value: list[Any]) -> list[Any]:
    return [NAN if item is None else item for item in value]


def lists_of(kinds: dict[str, tuple[Any, pa.DataType]], name: str, values: list[Any], refused: Any = ()) -> Case:
    """Lists of other numbers."""
    forms: list[Form] = []
    for np_kind, (dtype, kind) in kinds.items():
        forms += [*polars(pl.List(dtype)), *arrow(pa.list_(kind))]
        if values[0]:
            forms += objects(lambda value, np_kind=np_kind: np.array(value, np_kind))
    reads = [[float(item) for item in value] for value in values]
    return Case(name, Landing("DOUBLE[]", values, reads), forms, since=2, refused=refused)


ARRAYS = [
    Case(
        "list of float64",
        Landing("DOUBLE[]", FLAT, FLAT_READS),
        [
            *polars(pl.List(pl.Float64)),
            *objects(lambda value: np.array(without_none(value), "f8")),
            *objects(),
            *arrow(*(make(pa.float64()) for make in (pa.list_, pa.large_list, pa.list_view, pa.large_list_view))),
        ],
        since=2,
        remark="a null inside is sent as NaN, and reads NULL",
    ),
    Case(
        "list of fixed length",
        Landing("DOUBLE[]", PAIRS, PAIRS_READS),
        [*polars(pl.Array(pl.Float64, 2)), *arrow(pa.list_(pa.float64(), 2))],
        since=2,
    ),
    Case(
        "list of lists",
        same("DOUBLE[][]", DEEP),
        [
            *polars(pl.List(pl.List(pl.Float64))),
            *objects(np.array),
            *objects(),
            *arrow(pa.list_(pa.list_(pa.float64())), pa.large_list(pa.list_view(pa.float64()))),
        ],
        since=2,
        refused=(([[1.0], [2.0, 3.0]], ""),),
        remark="up to 32 dimensions, of equal lengths within a row",
    ),
    Case(
        "list of lists of fixed length",
        Landing("DOUBLE[][]", SQUARES, SQUARES_READS),
        [*polars(pl.Array(pl.Float64, (2, 2))), *arrow(pa.list_(pa.list_(pa.float64(), 2), 2))],
        since=2,
    ),
    lists_of(
        {"f4": (pl.Float32, pa.float32()), "f2": (pl.Float16, pa.float16())}, "list of other floats", [[1.5, -0.0], [2]]
    ),
    lists_of(
        {
            f"{sign[0].lower()}{bits // 8}": (getattr(pl, f"{sign}{bits}"), getattr(pa, f"{sign.lower()}{bits}")())
            for sign in ("Int", "UInt")
            for bits in (8, 16, 32)
        },
        "list of small integers",
        [[1, 127], [0]],
    ),
    lists_of(
        {"i8": (pl.Int64, pa.int64()), "u8": (pl.UInt64, pa.uint64())},
        "list of 64-bit integers",
        [[1, 2**53], [0]],
        (([2**53 + 1], str(2**53 + 1)),),
    ),
]

# --- decimals ------------------------------------------------------------------------------------------------------


def decimal_of(kind: Any, values: list[str], more: list[Form], lands: str = "") -> Case:
    name = f"decimal, {kind}"
    return Case(
        name,
        same(lands or f"DECIMAL({kind.precision},{kind.scale})", values),
        [*more, *arrow(kind, of=decimals)],
        since=3,
    )


def decimal_objects(value: str) -> Decimal:
    with decimal.localcontext(decimal.Context(prec=100)):
        return Decimal(value)


DECIMALS = [
    decimal_of(pa.decimal32(9, 2), ["0.00", "1.50", "-9999999.99", "9999999.99"], polars_decimals(9, 2)),
    decimal_of(pa.decimal64(18, 3), ["0.000", "-0.001", "999999999999999.999"], polars_decimals(18, 3)),
    decimal_of(
        pa.decimal128(38, 10), ["0.0000000000", "-1.5000000000", "9" * 28 + "." + "9" * 10], polars_decimals(38, 10)
    ),
    decimal_of(pa.decimal256(76, 20), ["0." + "0" * 20, "-" + "9" * 56 + "." + "9" * 20], []),
    decimal_of(pa.decimal128(5, -2), ["0", "1500", "-9999900"], [], "DECIMAL(7,0)"),
    Case(
        "decimal, objects",
        same("DECIMAL(42,2)", ["0.00", "-1.50", "9" * 40 + ".25"]),
        objects(decimal_objects),
        since=3,
        remark="of the finest scale and the most digits in the column",
    ),
]

# --- the whole -----------------------------------------------------------------------------------------------------

UUIDS = ["00000000-0000-0000-0000-000000000001", "ffffffff-ffff-ffff-ffff-ffffffffffff"]
ADDRESSES = ["1.2.3.4", "255.255.255.255", "::1"]

CASES = [
    Case(
        "bool",
        same("BOOLEAN", [True, False]),
        [
            *polars(pl.Boolean),
            *numpy("bool"),
            *nullable("boolean"),
            *objects(),
            *arrow(pa.bool_()),
        ],
        null=False,
        null_refused=True,
        remark='with `null_bool="false"` or `"omit"` a null reads false',
    ),
    *(signed(bits) for bits in (8, 16, 32, 64)),
    *(unsigned(bits) for bits in (8, 16, 32, 64)),
    *wide(),
    *(floating(bits) for bits in (16, 32, 64)),
    STRINGS,
    CATEGORIES,
    *(instants(unit) for unit in ("s", "ms", "us", "ns")),
    *(with_zone(unit) for unit in ("s", "ms", "us", "ns")),
    Case(
        "datetime objects",
        same("TIMESTAMP", OBJECT_MICROS),
        [
            *objects(lambda value: EPOCH + dt.timedelta(microseconds=value)),
            *objects(lambda value: EPOCH.replace(tzinfo=UTC) + dt.timedelta(microseconds=value)),
        ],
    ),
    Case(
        "date, days",
        Landing("TIMESTAMP", DAYS, [day * DAY for day in DAYS]),
        [
            *polars(pl.Date, pl.Int32),
            *objects(lambda value: dt.date.fromordinal(EPOCH.toordinal() + value)),
            *arrow(pa.date32(), of=viewed),
        ],
        remark="midnight UTC",
    ),
    Case(
        "date, ms",
        Landing("TIMESTAMP", [day * DAY // 1000 for day in DAYS], [day * DAY for day in DAYS]),
        arrow(pa.date64(), of=viewed),
        remark="midnight UTC",
    ),
    *(times(unit) for unit in ("s", "ms", "us", "ns")),
    *(durations(unit) for unit in ("s", "ms", "us", "ns")),
    *DECIMALS,
    *ARRAYS,
    Case("uuid", same("UUID", UUIDS), [*objects(uuid.UUID), *arrow(pa.uuid(), of=uuids)]),
    Case("IP address", same("VARCHAR", ADDRESSES), objects(ipaddress.ip_address), remark="as text"),
]


def pandas_refused(values: Any) -> tuple[str, Callable[[], Any]]:
    return "pandas NumPy", lambda: pd.Series(values)


def arrow_refused(*columns: tuple[list[Any], pa.DataType]) -> list[tuple[str, Callable[[], Any]]]:
    found: list[tuple[str, Callable[[], Any]]] = []
    for values, kind in columns:
        (in_arrow, in_pandas) = arrow(kind)
        found += [("pyarrow", lambda build=in_arrow.build, values=values: build(values))]
        found += [("pandas Arrow", lambda build=in_pandas.build, values=values: build(values))]
    return found


def polars_refused(*columns: tuple[list[Any], Any]) -> list[tuple[str, Callable[[], Any]]]:
    return [
        ("polars", lambda values=values, dtype=dtype: pl.Series("x", values, dtype=dtype)) for values, dtype in columns
    ]


REFUSED = [
    Refused(
        "binary",
        [
            *polars_refused(([b"x"], pl.Binary)),
            ("pandas NumPy", lambda: objects()[0].build([b"x"])),
            *arrow_refused(
                *(([b"x"], kind) for kind in (pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(1)))
            ),
        ],
        "",
        "hex or base64 text",
    ),
    Refused(
        "struct",
        [
            *polars_refused(([{"a": 1}], pl.Struct({"a": pl.Int64}))),
            ("pandas NumPy", lambda: objects()[0].build([{"a": 1}])),
            *arrow_refused(([{"a": 1}], pa.struct([("a", pa.int64())]))),
        ],
        "",
        "one column per field",
    ),
    Refused(
        "map",
        arrow_refused(([[("a", 1)]], pa.map_(pa.string(), pa.int64()))),
        "one column per key",
        "one column per key",
    ),
    Refused(
        "interval",
        [
            *arrow_refused(([(1, 2, 3)], pa.month_day_nano_interval())),
            pandas_refused(pd.interval_range(0, 1)),
        ],
        "",
        "numbers or text",
    ),
    Refused(
        "period", [pandas_refused(pd.period_range("2025", periods=1))], "to_timestamp()", "`series.dt.to_timestamp()`"
    ),
    Refused("complex", [pandas_refused(np.array([1], kind)) for kind in ("c8", "c16")], "two columns", "two columns"),
    Refused(
        "list of other than numbers",
        [
            *polars_refused(([["a"]], pl.List(pl.String)), ([[True]], pl.List(pl.Boolean))),
            ("pandas NumPy", lambda: objects()[0].build([["a"]])),
            *arrow_refused(([["a"]], pa.list_(pa.string())), ([[True]], pa.list_(pa.bool_()))),
        ],
        "",
        "lists of numbers",
    ),
    Refused("objects", polars_refused(([object()], pl.Object)), "strings or numbers", "strings or numbers"),
]


# --- values that another reads back for, or none -------------------------------------------------------------------


class Special(NamedTuple):
    """A value that a column of a type cannot hold, or not as it is.

    Attributes:
        column: the type of a column that is there already.
        value: as the documentation calls it.
        build: the value in a frame's column.
        says: what the error says by default; None if the value is sent.
        reads: what it reads back as where it is sent, by default or with `options`.
        options: what sends it in spite of the error.
    """

    column: str
    value: str
    build: pa.Array
    says: str | None
    reads: Any
    options: dict[str, Any]


def special(column: str, value: str, array: pa.Array, says: str | None, reads: Any, **options: Any) -> Special:
    return Special(column, value, array, says, reads, options or ({} if says is None else {"check": False}))


SPECIALS = [
    special("BOOLEAN", "null", pa.array([None], pa.bool_()), "no boolean null", False, null_bool="omit"),
    special("BYTE", "null", pa.array([None], pa.int8()), "has no NULL", 0),
    special("SHORT", "null", pa.array([None], pa.int16()), "has no NULL", 0),
    special("INT", "-2147483648, the least", pa.array([-(2**31)], pa.int32()), NULLS_OWN, None),
    special("LONG", "-9223372036854775808, the least", pa.array([LEAST]), NULLS_OWN, None),
    *(special("DOUBLE", str(value), pa.array([value]), None, None) for value in (NAN, INF, -INF)),
    special(
        "DOUBLE", "9007199254740993, an integer above 2^53", pa.array([2**53 + 1]), "does not hold all digits", 2.0**53
    ),
    special("FLOAT", "1e300", pa.array([1e300]), "holds 3.4e38 at most", None),
    special("FLOAT", "0.1 of 64 bits", pa.array([0.1]), None, single(0.1)),
    special("DOUBLE[]", "[1.5, NaN, null, inf]", pa.array([[1.5, NAN, None, INF]]), None, [1.5, None, None, None]),
    special("VARCHAR", "the empty string", pa.array([""]), None, ""),
    special("SYMBOL", "the empty string", pa.array([""]), None, ""),
    special(
        "UUID",
        "80000000-0000-0000-8000-000000000000",
        pa.ExtensionArray.from_storage(
            pa.uuid(), pa.array([uuid.UUID("80000000-0000-0000-8000-000000000000").bytes], pa.binary(16))
        ),
        "is what QuestDB stores for NULL",
        None,
    ),
    special("IPV4", "0.0.0.0", pa.array(["0.0.0.0"]), "is what QuestDB stores for NULL", None),
    special("GEOHASH(5c)", "abc, which is no geohash", pa.array(["abc"]), "geohash", None),
    special("TIMESTAMP", "1.999 us", pa.array([1_999], pa.timestamp("ns")), "microseconds", 1),
    special("DATE", "1.999 ms", pa.array([1_999], pa.timestamp("us")), "milliseconds", 1),
]

# --- what goes into which column -----------------------------------------------------------------------------------

COLUMN_TYPES = (
    "BOOLEAN BYTE SHORT INT LONG FLOAT DOUBLE DECIMAL(10,2) CHAR STRING VARCHAR SYMBOL DATE TIMESTAMP TIMESTAMP_NS"
    " UUID IPV4 LONG256 GEOHASH(5c) BINARY DOUBLE[] DOUBLE[][]"
).split()

#: Kinds of columns and values of each that tell types of columns apart; no nulls, and nothing that reads as NULL.
KINDS: dict[str, tuple[list[Any], Callable[[list[Any]], pa.Array]]] = {
    "boolean": ([True, False], pa.array),
    "integer": ([0, 1, 7, 300, -70_000, 2**31, 2**53 + 1, MOST, LEAST + 1], pa.array),
    "float": ([0.0, 1.0, 2.5, -0.125, 0.1, 1e300], pa.array),
    "decimal": (
        [Decimal(text) for text in ("1.50", "2.00", "0.00", "0.10", "123456789012345678901234567890.1234")],
        lambda values: pa.array(values, pa.decimal128(38, 4)),
    ),
    "string": (["a", "é", "", "1.2.3.4", UUIDS[0], "0x1234", "1.5", "9q8yy"], pa.array),
    "categorical": (
        ["a", "é", "", "1.2.3.4", UUIDS[0], "0x1234", "1.5", "9q8yy"],
        lambda values: pa.array(values).dictionary_encode(),
    ),
    "date": (
        [0, 20_000 * DAY * 1_000, -DAY * 1_000],
        lambda values: pa.array(values, pa.timestamp("ns")).cast("date32"),
    ),
    "timestamp, us": (
        [0, 1_700_000_000_123_456_000, -1_000],
        lambda values: pa.array(values, pa.timestamp("ns")).cast(pa.timestamp("us")),
    ),
    "timestamp, ns": ([0, 1_700_000_000_123_456_789, -1], lambda values: pa.array(values, pa.timestamp("ns"))),
    "time": ([0, 100, 86_399_999_999_999], lambda values: pa.array(values, pa.time64("ns"))),
    "duration": ([0, 100, -(2**40)], lambda values: pa.array(values, pa.duration("ns"))),
    "list of numbers": ([[1.5, 2.0], []], lambda values: pa.array(values, pa.list_(pa.float64()))),
    "list of lists": ([[[1.5, 2.0]], [[3.0], [0.5]]], pa.array),
    "uuid": (UUIDS, lambda values: uuids(values, pa.uuid())),
}

#: Nanoseconds of the unit in which a column of a type counts.
COUNTS = {"DATE": 10**6, "TIMESTAMP": 10**3, "TIMESTAMP_NS": 1}
#: What shows every digit of a type.
READ_AS = {"TIMESTAMP": "long", "TIMESTAMP_NS": "long", "DATE": "long", "FLOAT": "double"}


def is_kept(kind: str, column_type: str, given: Any, read: Any) -> bool:
    """Whether a value of `KINDS` reads back as itself, in the form that a column of this type gives it."""
    if read is None:
        return False
    if column_type in COUNTS and kind in {"date", "timestamp, us", "timestamp, ns"}:
        return bool(read * COUNTS[column_type] == given)
    if column_type in {"STRING", "VARCHAR", "SYMBOL"} and kind == "boolean":
        return bool(read == str(given).lower())
    if column_type in {"STRING", "VARCHAR", "SYMBOL"} and kind in {"integer", "float", "decimal"}:
        return bool(type(given)(read) == given)
    if column_type == "LONG256":
        return int(read, 16) == (int(given, 16) if isinstance(given, str) else given)
    if column_type.startswith("DECIMAL"):
        return Decimal(read) == Decimal(str(given))
    if column_type == "DOUBLE" and kind == "decimal":
        return Decimal(repr(read)) == given
    return bool(read == given)
