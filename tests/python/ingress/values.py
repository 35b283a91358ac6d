"""Arguments and outcomes as JSON: what a test and the official client's process both make the same objects of.

What JSON says exactly stands for itself: null, booleans, integers of any size, text (a lone surrogate is an escape).
Everything else is an object with one key, the tag: `{"float": "7ff8000000000000"}`, `{"decimal": "1.10"}`. See
`READERS` for the tags of arguments, and `written` for those of outcomes.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import importlib
import pathlib
import struct
import uuid
import zoneinfo
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

Names = dict[str, Any]


class Text(str):
    """A subclass, which the official client refuses."""

    __slots__ = ()


class Number(int):
    """A subclass, which the official client refuses."""


class Money(decimal.Decimal):
    """A subclass, which the official client takes."""


class Matrix(np.ndarray):
    """A subclass, which the official client refuses."""


class Level(enum.IntEnum):
    """An integer that is an enumeration's member."""

    low = 1


def read(value: Any, names: Names) -> Any:
    """The object that `value` stands for; `names` are the scenario's variables and the tested module's names."""
    if isinstance(value, list):
        return [read(each, names) for each in value]
    if isinstance(value, dict):
        ((tag, content),) = value.items()
        return READERS[tag](content, names)
    return value


def double(bits: str, _: Names) -> float:
    number: float = struct.unpack(">d", bytes.fromhex(bits))[0]
    return number


def zone(name: str | int | None) -> datetime.tzinfo | None:
    """None is naive, an integer a fixed distance from UTC in seconds, a text a zone's name."""
    if isinstance(name, int):
        return datetime.timezone(datetime.timedelta(seconds=name))
    return None if name is None else zoneinfo.ZoneInfo(name)


def moment(parts: list[Any], _: Names) -> datetime.datetime:
    """Year to microsecond, the fold, and the zone."""
    *fields, fold, name = parts
    return datetime.datetime(*fields).replace(tzinfo=zone(name), fold=fold)


def array(parts: dict[str, Any], _: Names) -> np.ndarray:
    """An array over memory: dtype, shape, strides and offset in bytes; `subclass` is optional."""
    kind = Matrix if parts.get("subclass") else np.ndarray
    memory = bytes.fromhex(parts["memory"])
    made: np.ndarray = kind(
        tuple(parts["shape"]), np.dtype(parts["dtype"]), memory, parts["offset"], tuple(parts["strides"])
    )
    return made


def frame(recipe: dict[str, Any], _: Names) -> Any:
    return importlib.import_module("oracle.recipes").build(recipe)


def pandas(name: str, _: Names) -> Any:
    """`NaT`, `NA`, or the text of a Timestamp."""
    library = importlib.import_module("pandas")
    return getattr(library, name) if name in {"NaT", "NA"} else library.Timestamp(name)


def server_timestamp(kind: str, names: Names) -> Any:
    """The `singleton`, another `instance`, or the `class`."""
    if kind == "singleton":
        return names["ServerTimestamp"]
    return names["ServerTimestampType"]() if kind == "instance" else names["ServerTimestampType"]


READERS: Final[dict[str, Callable[[Any, Names], Any]]] = {
    "float": double,
    "bytes": lambda content, _: bytes.fromhex(content),
    "bytearray": lambda content, _: bytearray.fromhex(content),
    "complex": lambda content, _: complex(content),
    "datetime": moment,
    "date": lambda content, _: datetime.date(*content),
    "time": lambda content, _: datetime.time(*content),
    "timedelta": lambda content, _: datetime.timedelta(microseconds=content),
    "decimal": lambda content, _: decimal.Decimal(content),
    "money": lambda content, _: Money(content),
    "array": array,
    "numpy": lambda content, _: np.dtype(content[0]).type(content[1]),
    "nanos": lambda content, names: names["TimestampNanos"](content),
    "micros": lambda content, names: names["TimestampMicros"](content),
    "server": server_timestamp,
    "pandas": pandas,
    "frame": frame,
    "text": lambda content, _: Text(content),
    "number": lambda content, _: Number(content),
    "level": lambda content, _: Level(content),
    "uuid": lambda content, _: uuid.UUID(content),
    "path": lambda content, _: pathlib.Path(content),
    "object": lambda _, __: object(),
    "dict": lambda content, names: {read(key, names): read(value, names) for key, value in content},
    "list": lambda content, names: [read(each, names) for each in content],
    "tuple": lambda content, names: tuple(read(each, names) for each in content),
    "name": lambda content, names: names[content],
}


def written(value: Any, names: Names) -> Any:
    """What a call returned, as JSON. Objects that a variable of the scenario holds are that variable."""
    if value is None or isinstance(value, (bool, int, str)) and type(value) in {bool, int, str}:
        return value
    if isinstance(value, float):
        return {"float": struct.pack(">d", value).hex()}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, datetime.timedelta):
        return {"timedelta": value // datetime.timedelta(microseconds=1)}
    if isinstance(value, enum.Enum):
        return {"member": f"{type(value).__name__}.{value.name}"}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [written(each, names) for each in value]}
    if isinstance(value, dict):
        return {"dict": [[written(key, names), written(each, names)] for key, each in value.items()]}
    if isinstance(value, BaseException):
        return {"raised": raised(value)}
    for name, known in names.items():
        if known is value:
            return {"name": name}
    kind = type(value).__name__
    if kind in {"TimestampNanos", "TimestampMicros"}:
        return {kind: value.value}
    # Cython's methods and pyo3's have types of their own.
    return {"a": "method" if kind == "builtin_function_or_method" else kind}


def raised(error: BaseException) -> dict[str, Any]:
    """An exception: its class, all classes that catch it, the name of its code, its message."""
    code = getattr(error, "code", None)
    return {
        "class": type(error).__name__,
        "caught by": [kind.__name__ for kind in type(error).__mro__[:-1]],
        "code": code.name if isinstance(code, enum.Enum) else None,
        "message": str(error),
    }
