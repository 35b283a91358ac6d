"""Frames and arguments as Python text (see `frame_oracle.py`), and where ours differs from 4.1.0 on purpose."""

from __future__ import annotations

from typing import Final, NamedTuple

import pandas as pd

#: Version of pandas, as older ones make other frames of some texts.
PANDAS: Final = tuple(int(part) for part in pd.__version__.split(".")[:2])
NAS: Final = ("pd.NA", "np.nan") if PANDAS >= (2, 3) else ()
AT: Final = "at=TimestampNanos(1)"
T: Final = f"table_name='t', {AT}"


class Case(NamedTuple):
    """A call of `dataframe()`."""

    frame: str
    arguments: str = T


def _with(frame: str, *arguments: str) -> list[Case]:
    return [Case(frame, text) for text in arguments]


TABLES: Final = [
    *_with(
        "mixed()", *(f"table_name={name!r}, {AT}" for name in ["t", "a b", "a=b", "1", "é", "", ".a", "a.", "a..b"])
    ),
    *_with("mixed()", *(f"table_name={name!r}, {AT}" for name in ["a?", "?.", ".?", "a'b", 'a"b', "a\nb", "\ufeffx"])),
    *_with("mixed()", *(f"table_name={name!r}, {AT}" for name in ["n" * 127, "n" * 128, "\ud800", "\x7f", "\x10"])),
    *_with("mixed()", f"table_name=3, {AT}", f"table_name=True, {AT}", f"table_name=Str('x'), {AT}"),
    *_with("mixed()", f"table_name='t', table_name_col='s', {AT}", AT),
    *_with("mixed()", *(f"table_name_col={column}, {AT}" for column in ["'s'", "1", "-2", "-3", "True", "'c'", "'o'"])),
    *_with("mixed()", *(f"table_name_col={column}, {AT}" for column in ["'zz'", "99", "-99", "1.5", "('a',)", "b's'"])),
    *_with("mixed()", *(f"table_name_col={column}, {AT}" for column in ["'a'", "'ts'", "np.int64(1)", "'n'"])),
    *(Case(f"named_index({name!r})", AT) for name in ["idx", "", 5, ("a", "b"), None, "bad?", "a b"]),
    Case("mixed().set_index(['a', 's'])", AT),
    Case("named_index('idx')", T),
    *(
        Case(f"objects('x', {name})", f"table_name_col='a', {AT}")
        for name in ["'x'", "None", "'b?'", "''", "'n' * 128"]
    ),
    Case("objects('x', 'y', 'x', 'y')", f"table_name_col='a', {AT}"),
    Case("objects('x', 5)", f"table_name_col='a', {AT}"),
    Case("arrow(['x', 'y', 'y'], pa.large_string())", f"table_name_col='a', {AT}"),
    Case("beside(pd.array(['x', 'y'], dtype='string[python]'))", f"table_name_col='a', {AT}"),
    Case("category(['a', None], ['a'])", f"table_name_col='a', {AT}"),
    Case("pd.DataFrame({'a.b': ['t'], 'k': 1})", f"table_name_col='a.b', {AT}"),
]

SYMBOLS: Final = [
    *_with(
        "mixed()", *(f"{T}, symbols={given}" for given in ["'auto'", "True", "False", "['s']", "['o']", "[1]", "[]"])
    ),
    *_with(
        "mixed()", *(f"{T}, symbols={given}" for given in ["[-2]", "[True]", "('s', 's')", "['c']", "['s', 'o', 'c']"])
    ),
    *_with(
        "mixed()", *(f"{T}, symbols={given}" for given in ["'s'", "None", "{'s'}", "3", "np.bool_(True)", "['zz']"])
    ),
    *_with("mixed()", *(f"{T}, symbols={given}" for given in ["[99]", "[-99]", "[1.5]", "['a']", "['ts']", "[None]"])),
    *_with("mixed()", *(f"table_name='t', at='ts', symbols={given}" for given in ["'auto'", "True", "['ts']", "[2]"])),
    *_with(
        "mixed()", *(f"table_name_col='s', {AT}, symbols={given}" for given in ["'auto'", "True", "['s']", "False"])
    ),
    *_with("mixed()", f"table_name_col='c', {AT}, symbols='auto'", f"table_name_col='c', {AT}, symbols=True"),
]

ATS: Final = [
    *_with(
        "mixed()", *(f"table_name='t', at={at}" for at in ["ServerTimestamp", "TimestampNanos(5)", "'ts'", "2", "-4"])
    ),
    *_with(
        "mixed()", *(f"table_name='t', at={at}" for at in ["dt.datetime(2020, 1, 1, 5, 6, 7, 8, UTC)", "'a'", "'s'"])
    ),
    *_with("mixed()", *(f"table_name='t', at={at}" for at in ["dt.datetime(2020, 1, 1)", "dt.datetime(2260, 4, 11)"])),
    *_with(
        "mixed()", *(f"table_name='t', at={at}" for at in ["pd.Timestamp(1005, tz='UTC')", "pd.NaT", "None", "'zz'"])
    ),
    *_with(
        "mixed()", *(f"table_name='t', at={at}" for at in ["dt.datetime(1950, 1, 1, tzinfo=UTC)", "99", "-99", "True"])
    ),
    *_with("mixed()", *(f"table_name='t', at={at}" for at in ["np.datetime64(1, 'ns')", "dt.date(2020, 1, 1)", "1.5"])),
    *_with(
        "mixed()", *(f"table_name='t', at={at}" for at in ["ServerTimestampType", "np.int64(2)", "'n'", "'c'", "-1"])
    ),
    *_with("mixed()", "table_name_col='s', at='s'", "table_name=3, at=None"),
    Case("mixed()[['ts']]", "table_name='t', at='ts'"),
    Case("mixed()[['ts', 'n']]", "table_name='t', at='ts'"),
    *(
        Case(f"beside(np.array([1, {value}], 'M8[{unit}]'))", "table_name='t', at='a'")
        for unit in ("us", "ns")
        for value in ("5", "'NaT'", "-1")
    ),
    *(
        Case(f"arrow([1, None, 7], pa.timestamp({unit}))", "table_name='t', at='a'")
        for unit in ("'us'", "'ns'", "'us', 'UTC'", "'ns', 'Europe/Berlin'")
    ),
    Case("beside(pd.Series(np.array([1, 2], 'M8[ns]')).dt.tz_localize('Europe/Berlin'))", "table_name='t', at='a'"),
]

NAMES: Final = [
    *(
        Case(f"labelled('z', {name!r})")
        for name in ["a.b", "a-b", "", "n" * 127, "n" * 128, " a", "a=b", "\x01", "\x1f"]
    ),
    *(
        Case(f"labelled('z', {name!r})")
        for name in ["\ufeff", "\ud800", "a'b", 'a"b', "é,", "a\\b", "a\tb", "\x7f", "é=;|[@&$#!<"]
    ),
    *(Case(f"labelled('z', {label!r})") for label in [5, ("x", "y"), None, b"a", 1.5]),
    Case("labelled('z', Str('x'))"),
    Case("pd.DataFrame({'b': [1j], 5: [1]})"),
    Case("pd.DataFrame({'a': [1j]})", f"table_name='?', {AT}"),
    Case("pd.DataFrame({'a': [1]})", "table_name='?', at='zz'"),
    Case("pd.DataFrame({'a': [1]})", "table_name='t', at='zz', symbols=['zz']"),
    Case("pd.DataFrame({'a.b': [1]})", f"{T}, symbols=['zz']"),
    Case("pd.DataFrame({'a.b': [1], 'c-d': [1]})"),
    Case("pd.DataFrame({'a.b': np.array([1], 'M8[ns]'), 'c': 1})", "table_name='t', at='a.b'"),
    Case("pd.DataFrame({'a.b': pd.Series([None], dtype=object), 'c': 1})"),
    Case("pd.DataFrame({'c': pd.Series([True, None], dtype=object), 'a.b': 1})"),
    Case("pd.DataFrame({'a' * 128: pd.array([None, 1], dtype='Int64'), 'c': 1})"),
    *_with("pd.DataFrame([[1, 2]], columns=['a', 'a'])", "table_name='t', at='a'", f"{T}, symbols=['a']"),
    *_with("mixed()[:0]", f"table_name='?', {AT}", "table_name='t', at='zz'", "at=3, symbols=3", "table_name=3, at=3"),
    *_with("mixed()[:0]", "table_name='t', at=None"),
    *_with("mixed()[[]]", f"table_name='?', {AT}", "table_name='t', at='zz'"),
    *_with("5", T),
    *_with("pd.Series([1])", T),
]

#: Object columns.
OBJECTS: Final = [
    Case(f"objects({cells})")
    for cells in (
        *("True, False", "True, None", "True, pd.NA", "True, float('nan')", "True, 1", "True, 'x'", "None, True"),
        *("1, None, pd.NA, float('nan')", "1, True", "1, 1.5", "1, 2**63", "1, -2**63", "1, -2**63 - 1", "Int(1)"),
        *("1, Int(1)", "np.int64(1)", "1, np.int64(1)", "1, float('inf')", "1, Float('nan')", "1, np.float64('nan')"),
        *(
            "1.5, None, pd.NA, float('nan')",
            "float('nan'), 1.5",
            "None, float('nan'), pd.NA, 1.5",
            "1.5, 1",
            "Float(1.5)",
        ),
        *("np.float64(1.5)", "1.5, np.float64(1)", "np.float64('nan'), None", "float('nan'), 1", "None, None", "pd.NA"),
        *("'a', None, pd.NA, float('nan')", "'a', 1", "Str('a')", "'a', Str('b')", "np.str_('a')", "'a', np.str_('b')"),
        *(
            "'a', '\\ud800'",
            "'a', b'x'",
            "'a', D(1)",
            "''",
            "b'a'",
            "dt.date(2020, 1, 1)",
            "dt.time(1)",
            "[1.0]",
            "(1.0,)",
        ),
        *("dt.timedelta(1)", "pd.Timedelta(1)", "{}", "{1}", "uuid.UUID(int=5)", "np.datetime64(1, 'ns')"),
        *("np.bool_(True)", "f8(1, 2), f8(3)", "f8(), f8(1)", "f8(1, 2, 3, 4).reshape(2, 2).T", "np.arange(6.)[::2]"),
        *("np.array(1.5)", "f8(1), np.array(1.5)", "np.zeros((1,) * 33)", "np.zeros((1,) * 32)", "f8(1).view(MyArray)"),
        *("D('nan'), None, D('inf')", "D('1E-77')", "D(1), D('1E+77')", "D(10)**77", "D('0E+99')"),
        "True, True, None, True",
    )
]

_CAST = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64", "bool"]
_NULLABLE = ["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64", "boolean"]

#: A type each, section 3 of the specification.
DTYPES: Final = [
    *(Case(f"beside(np.array([1, 0, 7]).astype({dtype!r}))") for dtype in _CAST),
    *(Case(f"beside(pd.array([1, 0, 1], dtype={dtype!r}))") for dtype in _NULLABLE),
    *(Case(f"beside(pd.array([1, None, 0], dtype={dtype!r}))") for dtype in _NULLABLE),
    Case("beside(np.array([1, 2**63], 'u8'))"),
    Case("beside(pd.array([1, 2**63], dtype='UInt64'))"),
    Case("pd.DataFrame({'a': pd.array([1, None], dtype='Int64')})"),
    *(Case(f"beside(np.array([1, 2]).astype({dtype!r}))") for dtype in ["f16", "c16", "S2", "U2", "M8[us]", "M8[ns]"]),
    Case("beside(np.array([1, 'NaT', -7], 'M8[ns]'))"),
    Case("beside(pd.period_range('2020', periods=2, freq='D').to_series().reset_index(drop=True))"),
    Case("beside(pd.arrays.IntervalArray.from_breaks([0, 1, 2]))"),
    Case("beside(pd.arrays.SparseArray([0, 1]))"),
    *(
        Case(
            f"beside(pd.array(['', None, 'a b'], dtype=pd.StringDtype({storage!r}, na_value={na})))",
            f"{T}, symbols={s}",
        )
        for storage in ("python", "pyarrow")
        for na in NAS
        for s in (True, False)
    ),
    *_with("category(['a', None, ''], ['a', '', 'unused'])", f"{T}, symbols='auto'", f"{T}, symbols=False"),
    *(Case(f"category({values})") for values in ["[1, 2]", "[1.5, 2]", "[True, False]", "['a', 1]", "[b'a']"]),
    Case("category([1, 2], [1, 2])"),
    Case("category(pd.to_datetime([1, 2]))"),
    Case("category([None, None], ['z'])"),
    *_with("pd.DataFrame({'a': pd.array([None, None], dtype='string[python]')})", T, f"{T}, symbols=['a']"),
    Case("category(['a'], ['a', '\\ud800'])"),
    *(
        Case(f"arrow([1, None, 7], pa.{dtype}())")
        for dtype in ["int8", "int16", "int32", "int64", "float32", "float64"]
    ),
    Case("arrow([True, None], pa.bool_())"),
    Case("arrow([True, False], pa.bool_())"),
    Case("arrow(['a', None], pa.large_string())"),
    *(
        Case(f"arrow([1, None], pa.timestamp({unit}))")
        for unit in ["'us'", "'ns'", "'us', 'UTC'", "'ns', 'Asia/Tokyo'"]
    ),
    *(Case(f"arrow([D('1.5'), None], pa.decimal{bits}(9, 2))") for bits in (32, 64, 128, 256)),
    Case("arrow([b'a'], pa.binary())"),
    Case("arrow([{'x': 1}], pa.struct([('x', pa.int64())]))"),
    Case("arrow([[('x', 1)]], pa.map_(pa.string(), pa.int64()))"),
]

_BOOLEANS = "pd.array([True, True, None], dtype='boolean')"
_NEGATIVE = "np.array([1, -1, 1], 'M8[ns]')"

#: Several rows that are wrong, found in different places: the first counts.
SEVERAL: Final = [
    Case(f"pd.DataFrame({{'b': {_BOOLEANS}, 'u': np.array([1, 2**63, 1], 'u8')}})"),
    Case(f"pd.DataFrame({{'b': {_BOOLEANS}, 'ts': {_NEGATIVE}}})", "table_name='t', at='ts'"),
    Case(f"pd.DataFrame({{'b': {_BOOLEANS}, 'o': pd.Series([1, 'x', 1], dtype=object)}})"),
    Case("pd.DataFrame({'b': pd.array([True, None], dtype='boolean'), 'o': pd.Series([1, 'x'], dtype=object)})"),
    Case("pd.DataFrame({'o': pd.Series([1, 'x'], dtype=object), 'b': pd.array([True, None], dtype='boolean')})"),
    Case(
        "pd.DataFrame({'b': pd.array([True, None, None], dtype='boolean'), 'o': pd.Series([1, 2, 'x'], dtype=object)})"
    ),
    Case(f"pd.DataFrame({{'n': pd.array([1, None, 1], dtype='Int64'), 'ts': {_NEGATIVE}}})", "table_name='t', at='ts'"),
    Case(f"pd.DataFrame({{'n': pd.array([1, 1, None], dtype='Int64'), 'ts': {_NEGATIVE}}})", "table_name='t', at='ts'"),
    *(
        Case(
            f"pd.DataFrame({{'t': ['a', 'b?'], 'k': pd.array({booleans}, dtype='boolean')}})",
            f"table_name_col='t', {AT}",
        )
        for booleans in ("[True, None]", "[None, True]")
    ),
    Case(
        "pd.DataFrame({'t': ['a', 'b', 'b'], 'k': pd.array([True, True, None], dtype='boolean')})",
        f"table_name_col='t', {AT}",
    ),
    Case("objects(float('nan'), 1.5, 1).assign(o=pd.Series(['a', 'b', 5], dtype=object))"),
    Case("pd.DataFrame({'f': pd.Series([float('nan'), 1.5], dtype=object), 'b': pd.Series([True, 5], dtype=object)})"),
]

#: What the compiled part does for the drop-in alone: equal names, large instants, cells in wire form.
WIRE: Final = [
    *(Case("labelled('a', 'a')"), Case("labelled('a', 'A')")),
    Case("pd.DataFrame([['x', 'y', 3]], columns=['a', 'a', 'b']).astype({'b': int})", f"{T}, symbols=[0]"),
    Case("pd.DataFrame([['x', 'y', 3]], columns=['a', 'a', 'A'])", f"table_name_col=1, {AT}"),
    Case("mixed()", f"table_name=' a', {AT}"),
    Case("mixed()", f"table_name='a ', {AT}"),
    Case("mixed()", "table_name='t', at=TimestampNanos(2**63 - 1)"),
    Case("mixed()", "table_name='t', at=dt.datetime(2262, 4, 11, tzinfo=UTC)"),
    Case("beside(np.array([2**63 - 1], 'M8[ns]'))", "table_name='t', at='a'"),
    Case("beside(np.array([2**62], 'M8[us]'))", "table_name='t', at='a'"),
    *(
        Case(f"objects({cells})")
        for cells in (
            *("D('1.10'), D('-7'), None, D('nan')", "D('1E+76')", "D('1E-76'), D('1E+70')", "MyDecimal(1), D(2)"),
            *("D(127), D(128), D('-128.00'), D(2)**254", "D('0'), D('0.00'), D('0E+5'), D('-0')"),
            *("np.zeros((0, 3))", "f8(1), f8(1, 2).reshape(1, 2)"),
        )
    ),
]


class Difference(NamedTuple):
    """Where ours differs on purpose: the bytes by version 2, or the code and a part of the text."""

    case: Case
    ours: bytes | tuple[str, str]
    #: Whether 6.0.0 does the same.
    as_60: bool = False


def _field(frame: str, *cells: bytes | None, as_60: bool = False, symbols: bytes = b"") -> Difference:
    rows = [
        b"t"
        + (symbols + b" " if symbols else b" ")
        + (b"" if cell is None else b"a=" + cell + b",")
        + b"k=%di 1n\n" % row
        for row, cell in enumerate(cells)
    ]
    return Difference(Case(frame), b"".join(rows), as_60)


def _float(text: str) -> bytes:
    import struct

    return b"=\x10" + struct.pack("<d", float(text))


FRAME_DIFFERENCES: Final = [
    # 3.1: what 6.0.0 takes, and what both refuse or corrupt.
    _field("beside(np.array([1, 2], 'M8[s]'))", b"1000000t", b"2000000t", as_60=True),
    _field("beside(np.array([1, 'NaT'], 'M8[ms]'))", b"1000t", None, as_60=True),
    _field("beside(np.array([1, 2], 'm8[us]'))", b"1000i", b"2000i"),
    _field("beside(np.array([1.5], 'f2'))", _float("1.5")),
    _field("beside(np.array([1, 2], '>i4'))", b"1i", b"2i"),
    _field("beside(np.array([1.5], '>f8'))", _float("1.5")),
    _field("pd.DataFrame(np.arange(8).reshape(4, 2), columns=['a', 'k']).iloc[::2].assign(k=[0, 1])", b"0i", b"4i"),
    # 3.4
    Difference(Case("category(['a', None])"), b"t,a=a k=0i 1n\nt k=1i 1n\n", as_60=True),
    _field("category([None, None])", None, None),
    # 3.5
    _field("objects(dt.datetime(2020, 1, 1, tzinfo=UTC), None)", b"1577836800000000t", None, as_60=True),
    _field("objects(dt.datetime(2020, 1, 1))", b"1577836800000000t", as_60=True),
    _field("objects(pd.Timestamp(-1234567, tz='UTC'), pd.NaT)", b"-1235t", None, as_60=True),
    _field("objects(pd.NaT, 1)", None, b"1i", as_60=True),
    _field("objects('a', pd.NaT)", b'"a"', None, as_60=True),
    Difference(
        Case("objects(dt.datetime(2020, 1, 1), dt.date(2020, 1, 1))"), ("BadDataFrame", "Expected an object"), True
    ),
    Difference(Case("objects(D(1), 'x')"), ("BadDataFrame", "Expected an object of type Decimal"), as_60=True),
    Difference(Case("objects(f8(1), 'x')"), ("BadDataFrame", "row index 1 ('x')"), as_60=True),
    _field("objects(f8(1), None)", b"=\x0e\n\x01\x01\0\0\0" + _float("1")[2:], None, as_60=True),
    _field("objects(f8(1), float('nan'))", b"=\x0e\n\x01\x01\0\0\0" + _float("1")[2:], None, as_60=True),
    Difference(Case("objects(np.array([1]))"), ("BadDataFrame", "unsupported element type int64"), as_60=True),
    _field("objects(f8(1).astype('>f8'))", b"=\x0e\n\x01\x01\0\0\0" + _float("1")[2:]),
    # 3.6
    *(_field(f"arrow([1, None], pa.{name}())", b"1i", None) for name in ("uint8", "uint16", "uint64")),
    _field("arrow([1, None], pa.uint32())", b"1i", None, as_60=True),
    _field("arrow(np.array([1.5], 'f2'), pa.float16())", _float("1.5")),
    _field("arrow(['x', None], pa.string())", b'"x"', None, as_60=True),
    _field("arrow(['x', None], pa.string_view())", b'"x"', None),
    Difference(Case("arrow(['x'], pa.dictionary(pa.int8(), pa.string()))"), b"t,a=x k=0i 1n\n"),
    _field("arrow([1, None], pa.timestamp('s'))", b"1000000t", None),
    _field("arrow([1], pa.timestamp('ms', 'UTC'))", b"1000t"),
    _field("arrow([1], pa.date32())", b"86400000000t"),
    _field("arrow([86400000], pa.date64())", b"86400000000t"),
    _field("arrow([1], pa.duration('us'))", b"1000i"),
    _field("arrow([1], pa.time32('s'))", b"1000000000i"),
    _field("arrow([[1.0], None], pa.list_(pa.float64()))", b"=\x0e\n\x01\x01\0\0\0" + _float("1")[2:], None),
    _field("arrow([None], pa.null())", None),
    *(
        _field(
            f"beside(pd.Series(np.array([1], 'M8[{unit}]')).dt.tz_localize('UTC'))", b"%dt" % per, as_60=unit == "us"
        )
        for unit, per in (("s", 1_000_000), ("ms", 1_000), ("us", 1))
    ),
    # 2.2, 2.3, 4.1, 4.4
    Difference(Case("mixed()[['a', 'n']]", f"{T}, symbols=['n']"), b"t a=1i 1n\nt a=2i 1n\n"),
    Difference(Case("mixed()[['a']]", "table_name='t', at=TimestampMicros(5)"), b"t a=1i 5t\nt a=2i 5t\n"),
    Difference(
        Case("mixed()", "table_name='t', at=dt.datetime(2500, 1, 1, tzinfo=UTC)"),
        ("InvalidApiCall", "out of range"),
        True,
    ),
    Difference(Case("beside(np.array([1], 'M8[s]'))", "table_name='t', at='a'"), b"t k=0i 1000000t\n", True),
    Difference(Case("arrow([1], pa.date32())", "table_name='t', at='a'"), b"t k=0i 86400000000t\n"),
    Difference(
        Case("beside(pd.Series(np.array([1], 'M8[us]')).dt.tz_localize('UTC'))", "table_name='t', at='a'"),
        b"t k=0i 1t\n",
        True,
    ),
]
