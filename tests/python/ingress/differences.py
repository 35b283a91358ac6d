"""Every intended difference between `questframe.ingress` and the official client 4.1.0: this list, and nothing else.

Each has an example that `test_differences.py` plays on both. Strategies leave out what `corrupted_moment` and the like
below say, with the name of the difference.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ingress import values

EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class Raises(NamedTuple):
    """An exception that `except` with any of these classes catches, and the name of its code."""

    kind: str
    code: str | None = None


class Crashes(NamedTuple):
    """The process dies, or whatever else stray memory leads to."""


Expected = bytes | int | str | None | Raises | Crashes


@dataclass(frozen=True)
class Difference:
    """An intended difference.

    Attributes:
        name: what it is about.
        why: why ours is not the official way.
        code: Python statements, as in `replay.py`; the outcome of the last one is different.
        official: that outcome with 4.1.0.
        ours: that outcome with ours.
        newer: whether 6.0.0 does what ours does.
    """

    name: str
    why: str
    code: str
    official: Expected
    ours: Expected
    newer: bool = False


def corrupted_moment(parts: list[Any]) -> bool:
    """Whether 4.1.0 makes another instant of this datetime: "fractions before the epoch", "fractions of far years"."""
    moment = values.moment(parts, {})
    if moment.tzinfo is None:
        if moment.microsecond and not 1971 < moment.year < 2200:
            return True
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    exact = (moment - EPOCH) // datetime.timedelta(microseconds=1)
    return int(moment.timestamp()) * 10**6 + moment.microsecond != exact


INVALID_CALL: Final = Raises("IngressError", "InvalidApiCall")
CONFIG_ERROR: Final = Raises("IngressError", "ConfigError")
TRANSACTION: Final = "s = Sender('http', 'localhost', 1, protocol_version=2)\ns.establish()\n"
ROW: Final = "b = Buffer(2)\nb.row('t', columns={'c': %s}, at=ServerTimestamp)\nbytes(b)"
PV2: Final = b"==\x10\x00\x00\x00\x00\x00\x00"

ROWS: Final = [
    Difference(
        "a semicolon in an address",
        "4.1.0 pastes the address into another configuration string, where it ends too early",
        "Sender.from_conf('http::addr=x;;junk').auto_flush_rows",
        Crashes(),
        75_000,
    ),
    Difference(
        "a transaction of a closed sender",
        "4.1.0 stumbles over the buffer that is gone, with the words of an internal error",
        TRANSACTION + "t = s.transaction('t')\nt.__enter__()\ns.close(False)\nt.commit()",
        Raises("TypeError"),
        INVALID_CALL,
    ),
    Difference(
        "keys are looked at before there is a connection",
        "what is no key is found without a server",
        "Sender('tcp', '127.0.0.1', 1, username='u', token='t', token_x='x', token_y='y').establish()",
        Raises("IngressError", "SocketError"),
        Raises("IngressError", "AuthError"),
    ),
    Difference(
        "an empty token",
        "it logs in as nobody, and was most likely meant to be one",
        "Sender('http', '127.0.0.1', 1, protocol_version=2, token='').establish()",
        None,
        CONFIG_ERROR,
    ),
    Difference(
        "fractions before the epoch",
        "4.1.0 cuts the seconds towards zero and then adds the fraction: the instant is one second too late",
        ROW % "datetime(1960, 1, 1, 0, 0, 0, 500000, tzinfo=utc)",
        b"t c=-315619198500000t\n",
        b"t c=-315619199500000t\n",
        newer=True,
    ),
    Difference(
        "a fraction before the epoch as `at`",
        "the same makes a negative instant a positive one; a negative one is refused",
        "Buffer(2).row('t', columns={'a': 1}, at=datetime(1969, 12, 31, 23, 59, 59, 500000, tzinfo=utc)).clear()",
        None,
        Raises("IngressError", "InvalidTimestamp"),
        newer=False,  # It does, with another name for the class.
    ),
    Difference(
        "a fraction before the epoch in from_datetime()",
        "the same; a negative instant is a ValueError",
        "TimestampMicros.from_datetime(datetime(1969, 12, 31, 23, 59, 59, 500000, tzinfo=utc)).value",
        500_000,
        Raises("ValueError"),
        newer=True,
    ),
    Difference(
        "fractions of far years",
        "4.1.0 takes the seconds of a float, which rounds .999998 up to the next second from the year 2514 on",
        ROW % "datetime(9999, 1, 1, 0, 0, 0, 999998, tzinfo=utc)",
        b"t c=253370764801999998t\n",
        b"t c=253370764800999998t\n",
        newer=True,
    ),
    Difference(
        "nanoseconds of far years",
        "4.1.0 multiplies beyond 64 bits, and stores what is left of the number",
        "TimestampNanos.from_datetime(datetime(2600, 1, 1, tzinfo=utc)).value",
        1_434_155_126_290_448_384,
        Raises("Exception"),
        newer=True,
    ),
    Difference(
        "arrays with the other order of bytes",
        "4.1.0 sends their bytes as they are, which are other numbers",
        ROW % "np.array([1.0], '>f8')",
        b"t c==\x0e\n\x01\x01\x00\x00\x00?\xf0\x00\x00\x00\x00\x00\x00\n",
        b"t c==\x0e\n\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf0?\n",
    ),
    Difference(
        "an unknown protocol",
        "an AttributeError about NoneType is an accident",
        "Sender('foo', 'localhost', 9000)",
        Raises("AttributeError"),
        CONFIG_ERROR,
    ),
    Difference("no protocol", "the same", "Sender(None, 'localhost', 9000)", Raises("AttributeError"), CONFIG_ERROR),
    Difference(
        "an unknown protocol in a configuration string",
        "the same",
        "Sender.from_conf('foo::addr=localhost;')",
        Raises("AttributeError"),
        CONFIG_ERROR,
    ),
    Difference(
        "an unknown tls_ca",
        "the same",
        "Sender('https', 'localhost', 9000, tls_ca='foo')",
        Raises("AttributeError"),
        CONFIG_ERROR,
    ),
    Difference(
        "an unknown key in a configuration string",
        "a misspelt key does nothing: it is worth a warning, no more, since other clients' keys are in such strings",
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    s = Sender.from_conf('http::addr=localhost;auto_flush_row=5;')\n"
        "bool(caught)",
        False,
        True,
    ),
    Difference(
        "the text of TimestampMicros",
        "a stray dot, which 6.0.0 does not have",
        "repr(TimestampMicros(5))",
        "TimestampMicros.(5)",
        "TimestampMicros(5)",
        newer=True,
    ),
    Difference(
        "rows after a transaction's end",
        "4.1.0 puts them into the sender's ordinary rows, where no transaction is",
        TRANSACTION + "with s.transaction('t') as t: t.rollback()\nt.row(columns={'a': 1}, at=ServerTimestamp)",
        "t",
        INVALID_CALL,
    ),
    Difference(
        "rows of a transaction that is not entered",
        "the same",
        TRANSACTION + "t = s.transaction('t')\nt.row(columns={'a': 1}, at=ServerTimestamp)",
        "t",
        INVALID_CALL,
    ),
]


def frame(made: str, arguments: str = "at=ServerTimestamp", version: int = 2) -> str:
    """An example with the frame `f`, whose bytes are the outcome."""
    return (
        f"f = pd.DataFrame({made})\n"
        f"b = Buffer({version})\n"
        f"b.dataframe(f, table_name='t', {arguments}) is b or None\n"
        "bytes(b)"
    )


def mended(name: str, made: str, ours: bytes, *, newer: bool = False, **options: Any) -> Difference:
    """A frame that 4.1.0 refuses, leaving the buffer empty, and ours takes."""
    return Difference(name, "4.1.0 refuses what the server could store", frame(made, **options), b"", ours, newer)


ONE_F8: Final = b"\x00\x00\x00\x00\x00\x00\xf0?"
ARRAY: Final = b"t c==\x0e\n\x01\x01\x00\x00\x00" + ONE_F8 + b"\n"

FRAMES: Final = [
    Difference(
        "big-endian columns",
        "4.1.0 (and 6.0.0) read them as little-endian: silent garbage",
        frame("{'c': np.array([1], '>i4')}"),
        b"t c=16777216i\n",
        b"t c=1i\n",
    ),
    Difference(
        "other objects in a column of Decimals",
        "4.1.0 reads their memory as a Decimal: leaves them out, or crashes",
        frame("{'a': [1, 2], 'c': pd.Series([Decimal(1), 'x'], dtype=object)}", version=3),
        Crashes(),
        b"",
        newer=True,
    ),
    Difference(
        "slices of Arrow columns",
        "4.1.0 crashes or reads stray memory",
        frame("{'c': pd.Series(range(10), dtype='int64[pyarrow]').iloc[2:7].reset_index(drop=True)}"),
        Crashes(),
        b"t c=2i\nt c=3i\nt c=4i\nt c=5i\nt c=6i\n",
        newer=True,
    ),
    Difference(
        "empty chunks of Arrow columns",
        "4.1.0 reads stray memory as values",
        frame("{'c': pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([[1], [], [2]], pa.int64())))}"),
        Crashes(),
        b"t c=1i\nt c=2i\n",
        newer=True,
    ),
    Difference(
        "NaN in a column of arrays",
        "4.1.0 crashes",
        frame("{'a': [1, 2], 'c': pd.Series([np.array([1.0]), nan], dtype=object)}"),
        Crashes(),
        b"t a=1i,c==\x0e\n\x01\x01\x00\x00\x00" + ONE_F8 + b"\nt a=2i\n",
        newer=True,
    ),
    Difference(
        "a constant datetime beyond 2262",
        "4.1.0 overflows 64 bits and leaves half a line",
        frame("{'a': [1]}", "at=datetime(2500, 1, 1, tzinfo=utc)"),
        b"t a=1i",
        b"",
        newer=True,
    ),
    mended(
        "TimestampMicros as `at` of a frame",
        "{'a': [1]}",
        b"t a=1i 5t\n",
        arguments="at=TimestampMicros(5)",
    ),
    mended(
        "a column of nulls among the symbols",
        "{'a': [1], 'c': pd.Series([None], dtype=object)}",
        b"t a=1i\n",
        arguments="symbols=['c'], at=ServerTimestamp",
    ),
    mended(
        "strided columns", "np.arange(4).reshape(2, 2), columns=['a', 'c'], copy=False", b"t a=0i,c=1i\nt a=2i,c=3i\n"
    ),
    mended("datetime64[s]", "{'c': np.array([1], 'M8[s]')}", b"t c=1000000t\n", newer=True),
    mended("datetime64[ms]", "{'c': np.array([1], 'M8[ms]')}", b"t c=1000t\n", newer=True),
    mended("datetime64[us] with a zone", "{'c': pd.array([1], dtype='datetime64[us, UTC]')}", b"t c=1t\n", newer=True),
    mended("timedelta64", "{'c': np.array([1], 'm8[us]')}", b"t c=1000i\n"),
    mended("float16", "{'c': np.array([1], 'f2')}", b"t c==\x10" + ONE_F8 + b"\n"),
    mended(
        "categories of pandas 3's str",
        "{'c': pd.Categorical(['x'], pd.Index(['x'], dtype='str'))}",
        b"t,c=x\n",
        newer=True,
    ),
    mended("a category of nulls", "{'a': [1], 'c': pd.Categorical([None])}", b"t a=1i\n"),
    mended(
        "objects that are datetimes", "{'c': pd.Series([datetime(1970, 1, 1, tzinfo=utc)], dtype=object)}", b"t c=0t\n"
    ),
    mended("Arrow uint8", "{'c': pd.Series([1], dtype='uint8[pyarrow]')}", b"t c=1i\n"),
    mended("Arrow uint32", "{'c': pd.Series([1], dtype='uint32[pyarrow]')}", b"t c=1i\n", newer=True),
    mended("Arrow string", "{'c': pd.Series(['x'], dtype=pd.ArrowDtype(pa.string()))}", b't c="x"\n', newer=True),
    mended("Arrow string_view", "{'c': pd.Series(['x'], dtype=pd.ArrowDtype(pa.string_view()))}", b't c="x"\n'),
    mended(
        "Arrow dictionary",
        "{'c': pd.Series(['x'], dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string())))}",
        b"t,c=x\n",
    ),
    mended("Arrow timestamp[ms]", "{'c': pd.Series([1], dtype=pd.ArrowDtype(pa.timestamp('ms')))}", b"t c=1000t\n"),
    mended("Arrow date32", "{'c': pd.Series([1], dtype=pd.ArrowDtype(pa.date32()))}", b"t c=86400000000t\n"),
    mended("Arrow lists", "{'c': pd.Series([[1.0]], dtype=pd.ArrowDtype(pa.list_(pa.float64())))}", ARRAY),
    mended("Arrow null", "{'a': [1], 'c': pd.Series([None], dtype=pd.ArrowDtype(pa.null()))}", b"t a=1i\n"),
    Difference(
        "Arrow tables",
        "no official client takes them over ILP",
        "b = Buffer(2)\nb.dataframe(pa.table({'c': [1]}), table_name='t', at=ServerTimestamp)\nbytes(b)",
        b"",
        b"t c=1i\n",
    ),
]

ALL: Final = [*ROWS, *FRAMES]
