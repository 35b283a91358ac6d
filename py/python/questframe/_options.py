"""The check of the keyword options of writes, which names the nearest where one is misspelt."""

from __future__ import annotations

import os

from questframe import exceptions
from questframe._timestamps import ServerTimestampType, TimestampMicros, TimestampNanos
from questframe.exceptions import IngressError, IngressTypeError, WriteInterrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: A century: longer is no time limit.
_MAX_SECONDS = 100 * 365 * 24 * 3600.0

_WORDS: dict[str, tuple[str, ...]] = {
    "null_at": ("error", "server"),
    "null_bool": ("error", "false", "omit"),
    "empty_rows": ("error", "skip"),
    "nan": ("send", "omit"),
    "create": ("auto", "server", "never"),
    "on_error": ("raise", "quarantine"),
}


def _wrong(message: str) -> IngressTypeError:
    return IngressTypeError(exceptions.IngressErrorCode.InvalidApiCall, message)


def normalize(options: dict[str, Any], known: frozenset[str], function: str) -> dict[str, Any]:
    """Check names and values of keyword options, and bring them into the form the compiled part reads.

    `known` are :data:`PLAN`, :data:`CHECKED_PLAN` or :data:`WRITE`.

    Raises:
        IngressTypeError: for an unknown option (naming the nearest) or a value of the wrong type or spelling.
        IngressError: InvalidUtf8 for a name that is not valid Unicode.
    """
    for name in options:
        if name not in known:
            if name in WRITE:
                msg = f"{name!r} is an option of writes, and {function}() makes none: leave it out"
                raise _wrong(msg)
            import difflib

            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else f"; it takes {', '.join(sorted(known))}"
            msg = f"{function}() has no option {name!r}{hint}"
            raise _wrong(msg)
    normalized: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        normalized[name] = _VALUES[name](name, value)
        if name in {"table", "at", "symbols"}:
            check_unicode(name, normalized[name])
    return normalized


def check_unicode(name: str, value: object) -> None:
    """Refuse names that are not valid Unicode, alone or in a list.

    Raises:
        IngressError: InvalidUtf8, naming the option and the text.
    """
    for text in value if isinstance(value, (list, tuple)) else (value,):
        if isinstance(text, str) and not is_unicode(text):
            msg = f"{name}={text!r} holds lone surrogates and is not valid Unicode; repair it"
            raise IngressError(exceptions.IngressErrorCode.InvalidUtf8, msg)


def is_unicode(text: str) -> bool:
    """Whether a text has an encoding: lone surrogates have none."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _word(name: str, value: object) -> object:
    if value not in _WORDS[name]:
        choices = " or ".join(repr(word) for word in _WORDS[name])
        msg = f"{name} must be {choices}, not {value!r}"
        raise _wrong(msg)
    return value


def _create(name: str, value: object) -> object:
    if isinstance(value, str) and value in _WORDS[name]:
        return value
    from questframe._table_spec import TableSpec, as_options

    if not isinstance(value, TableSpec):
        choices = ", ".join(repr(word) for word in _WORDS[name])
        msg = f"{name} must be {choices} or a TableSpec, not {value!r}"
        raise _wrong(msg)
    return as_options(value)


def _text(name: str, value: object) -> object:
    if not isinstance(value, str):
        msg = f"{name} must be a str, not {type(value).__name__}"
        raise _wrong(msg)
    return value


def _flag(name: str, value: object) -> object:
    if not isinstance(value, bool):
        msg = f"{name} must be True or False, not {value!r}"
        raise _wrong(msg)
    return value


def _whole(value: object) -> int | None:
    """The value of an integer, also of NumPy's; None for what is none, or a bool."""
    import operator

    try:
        return None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def _seconds(name: str, value: object) -> object:
    import datetime as dt

    seconds = value.total_seconds() if isinstance(value, dt.timedelta) else value
    whole = _whole(seconds)
    seconds = seconds if whole is None else whole
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < _MAX_SECONDS:
        msg = f"{name} must be a positive number of seconds or a timedelta, not {value!r}"
        raise _wrong(msg)
    return float(seconds)


def _folder(name: str, value: object) -> object:
    if not isinstance(value, (str, os.PathLike)):
        msg = f"{name} must be a path, not {value!r}"
        raise _wrong(msg)
    return os.fspath(value)


def _count(name: str, value: object) -> object:
    count = _whole(value)
    if count is None or not 0 <= count < 1 << 63:
        msg = f"{name} must be an int of at least 0, not {value!r}"
        raise _wrong(msg)
    return count


def _resume(name: str, value: object) -> object:
    if not isinstance(value, (IngressError, WriteInterrupted)):
        msg = f"{name} must be the exception of a failed write, not {type(value).__name__}"
        raise _wrong(msg)
    delivery: dict[str, object] = {}
    for rows_of in ("acked", "doubtful", "unsent"):
        ranges = getattr(value, rows_of)
        if not all(_is_range_of_rows(rows) for rows in ranges):
            msg = f"{name}: its {rows_of} must be ranges of rows, each range(start, stop) from 0 on, not {ranges!r}"
            raise _wrong(msg)
        delivery[rows_of] = [(rows.start, rows.stop) for rows in ranges]
    return {**delivery, "table": value.table}


def _is_range_of_rows(rows: object) -> bool:
    return isinstance(rows, range) and rows.step == 1 and 0 <= rows.start <= rows.stop < 1 << 63


def _connections(name: str, value: object) -> object:
    count = _whole(value)
    if count is None or not 1 <= count <= 64:  # noqa: PLR2004
        msg = f"{name} must be an int from 1 to 64, not {value!r}"
        raise _wrong(msg)
    return count


def _version(name: str, value: object) -> object:
    version = _whole(value)
    if version not in {1, 2, 3}:
        msg = f"{name} must be 1, 2 or 3, not {value!r}"
        raise _wrong(msg)
    return version


def _at(name: str, value: object) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, ServerTimestampType):
        return ("server", 0)
    if isinstance(value, TimestampNanos):
        return ("nanos", value.value)
    if isinstance(value, TimestampMicros):
        return ("micros", value.value)
    import datetime as dt

    from questframe._instants import micros_of_datetime

    if isinstance(value, dt.datetime):
        if value != value:  # noqa: PLR0124 - what pandas calls NaT is a datetime that equals nothing
            msg = f"{name} must be an instant, not {value!r}; give one, or ServerTimestamp"
            raise _wrong(msg)
        if value.tzinfo is None:
            msg = f"{name}={value!r} has no time zone; say which instant is meant: value.replace(tzinfo=timezone.utc)"
            raise _wrong(msg)
        # Of a pandas.Timestamp, whose microseconds say nothing of them.
        nanos: int = getattr(value, "nanosecond", 0)
        return ("nanos", micros_of_datetime(value) * 1_000 + nanos) if nanos else ("micros", micros_of_datetime(value))
    msg = (
        f"{name} must be a column's name, ServerTimestamp, TimestampNanos, TimestampMicros or an aware datetime, "
        f"not {type(value).__name__}"
    )
    raise _wrong(msg)


def _symbols(name: str, value: object) -> object:
    if value is True:
        return "all"
    if value is False:
        return "none"
    if isinstance(value, str) and value == "auto":
        return value
    # Any names: also an index of pandas or a Series.
    try:
        names = [None] if isinstance(value, (str, bytes)) else list(value)  # type: ignore[call-overload]
    except TypeError:
        names = [None]
    if all(isinstance(column, str) for column in names):
        return names
    msg = f"{name} must be 'auto', True, False or a list of column names, not {value!r}"
    raise _wrong(msg)


def _progress(name: str, value: object) -> object:
    if not isinstance(value, bool) and not callable(value):
        msg = f"{name} must be True, False or a callable, not {type(value).__name__}"
        raise _wrong(msg)
    return value


#: Options that decide how a frame lands.
_PLAN_VALUES: dict[str, Callable[[str, object], object]] = {
    "table": _text,
    "at": _at,
    "symbols": _symbols,
    "protocol_version": _version,
    "null_at": _word,
    "null_bool": _word,
    "empty_rows": _word,
    "nan": _word,
}
#: Those of a plan that may be checked against a server's table, too.
_CHECKED_PLAN_VALUES = {**_PLAN_VALUES, "create": _create, "check": _flag}
#: Those of a write.
_VALUES = {
    **_CHECKED_PLAN_VALUES,
    "connections": _connections,
    "ordered": _flag,
    "deadline": _seconds,
    "retry_in_doubt": _flag,
    "on_error": _word,
    "max_rejected": _count,
    "atomic": _flag,
    "resume": _resume,
    "doubtful": _flag,
    "wait_visible": _seconds,
    "spool_dir": _folder,
    "unacknowledged": _flag,
    "progress": _progress,
}

#: The names of the options in `_option_types.PlanOptions`, `CheckedPlanOptions` and `WriteOptions`.
PLAN, CHECKED_PLAN, WRITE = frozenset(_PLAN_VALUES), frozenset(_CHECKED_PLAN_VALUES), frozenset(_VALUES)

__all__ = ["CHECKED_PLAN", "PLAN", "WRITE", "check_unicode", "is_unicode", "normalize"]
