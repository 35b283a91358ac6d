"""The keyword options of writes: their types, and the check that names the nearest where one is misspelt."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Union

import questframe
from questframe._timestamps import (
    ServerTimestamp,
    ServerTimestampType,
    TimestampMicros,
    TimestampNanos,
    micros_of_datetime,
)
from questframe.exceptions import IngressError, IngressErrorCode, IngressTypeError, WriteInterrupted

if TYPE_CHECKING:
    from typing import TypeAlias

#: What `at` takes.
At: TypeAlias = Union[str, ServerTimestampType, TimestampNanos, TimestampMicros, dt.datetime]
#: What `symbols` takes.
Symbols: TypeAlias = Union[Literal["auto"], bool, Sequence[str]]


class PlanOptions(TypedDict, total=False):
    """Options that decide how a frame lands.

    Attributes:
        table: the table's name. Default: ``table=`` of the configuration string.
        at: the designated timestamp: a column's name, ``ServerTimestamp``, ``TimestampNanos``, ``TimestampMicros``, or
            an aware ``datetime`` for all rows. Default: an existing table's designated column if the frame has it,
            else the frame's only timestamp column.
        symbols: ``"auto"`` (categoricals and enums), ``True`` (every string column), ``False`` (none), or the columns'
            names. Default ``"auto"``.
        protocol_version: 1, 2 or 3. Default: the best that the server knows; without a server 3.
        null_at: a null in `at` is an ``"error"`` (default), or the ``"server"``'s clock.
        null_bool: a null boolean is an ``"error"`` (default), ``"false"``, or ``"omit"``, which the server stores as
            false.
        empty_rows: a row in which everything is null is an ``"error"`` (default), or left out (``"skip"``).
        nan: NaN in float columns is sent (``"send"``, default; it reads back as NULL) or left out (``"omit"``).
    """

    table: str | None
    at: At | None
    symbols: Symbols
    protocol_version: Literal[1, 2, 3] | None
    null_at: Literal["error", "server"]
    null_bool: Literal["error", "false", "omit"]
    empty_rows: Literal["error", "skip"]
    nan: Literal["send", "omit"]


class CheckedPlanOptions(PlanOptions, total=False):
    """Options of a plan that may be checked against a server's table.

    Attributes:
        create: how a missing table is made: ``"auto"`` (default) with the frame's names, order and types, the
            designated timestamp under its own name, in partitions of a day; a :class:`questframe.TableSpec` with your
            choices; ``"server"`` as ILP does (the designated timestamp is then called ``timestamp``); ``"never"``: a
            missing table or column is an error.
        check: whether the target table is looked up first. Default True.
    """

    # By the package's name: it loads the class when somebody evaluates this.
    create: Literal["auto", "server", "never"] | questframe.TableSpec
    check: bool


class WriteOptions(CheckedPlanOptions, total=False):
    """Options of a write.

    Attributes:
        connections: requests in flight at once. Default 2, or ``connections=`` of the configuration string.
        ordered: keep the frame's order among rows whose timestamps meet. Default True.
        deadline: seconds (or a ``timedelta``) that the whole call may take, retries included. Default: no limit but
            those of each request and its retries (``request_timeout``, ``retry_timeout`` of the configuration string).
        retry_in_doubt: send a request again although it may have been stored, also to a table without deduplication
            keys, which may then have its rows twice. Default False: such rows are reported as in doubt.
        on_error: ``"raise"`` (default) at the first row that the server refuses, or ``"quarantine"``: refused rows are
            set aside, with the reasons, in the report's ``rejected``, and all others stored.
        max_rejected: how many rows ``on_error="quarantine"`` may set aside before it raises. Default 1,000, or 1 % of
            the rows that were reached if that is less, but ten in any case.
        atomic: the frame goes in one request: all of it is stored, or nothing. Default False. A frame larger than
            ``max_buf_size`` of the configuration string (100 MiB) is refused before anything is sent.
        resume: the exception of a failed write of the same frame: what it says was stored is left out. Of a stream pass
            the same object, to go on with it, or the same rows from their start.
        doubtful: whether `resume` sends the rows in doubt again. Default True.
        wait_visible: seconds (or a ``timedelta``) to wait, once all rows are stored, until they can be selected.
            Default: does not wait.
        spool_dir: a folder for rows that no server takes: they are kept there, on disk, and the write succeeds with
            ``report.rows_spooled``. The next write that finds a server sends them first, or
            :func:`questframe.spool.drain`; each request at least once. Default: ``spool_dir=`` of the configuration
            string; without it such rows are an error.
        unacknowledged: over ``tcp`` and ``tcps`` the server acknowledges nothing, so that rows can be lost without a
            word; True says that you know, and without it such a write is a ConfigError. The table is then not looked
            up, the protocol version is 1 unless one is given, and each write makes a connection of its own, which takes
            at least a fifth of a second: the only sign that the server did not like a row is that it closes the
            connection a moment later, so that is waited for. Rows whose connection had not ended by then count as
            ``acked`` and in the report, though nobody has said that they are stored; the others are ``doubtful``.
            Over HTTP it changes nothing. Default False.
        progress: ``True`` for a progress bar (needs ``questframe[progress]``), or a callable that is given the rows
            acknowledged, the rows in all (None where unknown) and the bytes acknowledged.
    """

    connections: int
    ordered: bool
    deadline: float | dt.timedelta | None
    retry_in_doubt: bool
    on_error: Literal["raise", "quarantine"]
    max_rejected: int | None
    atomic: bool
    resume: IngressError | WriteInterrupted | None
    doubtful: bool
    wait_visible: float | dt.timedelta | None
    spool_dir: str | os.PathLike[str] | None
    unacknowledged: bool
    progress: bool | Callable[[int, int | None, int], object] | None


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
    return IngressTypeError(IngressErrorCode.InvalidApiCall, message)


def normalize(options: dict[str, Any], allowed: type, function: str) -> dict[str, Any]:
    """Check names and values of keyword options, and bring them into the form the compiled part reads.

    Raises:
        IngressTypeError: for an unknown option (naming the nearest) or a value of the wrong type or spelling.
        IngressError: InvalidUtf8 for a name that is not valid Unicode.
    """
    known = allowed.__annotations__.keys() | {
        name for base in getattr(allowed, "__orig_bases__", ()) for name in getattr(base, "__annotations__", {})
    }
    for name in options:
        if name not in known:
            import difflib

            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else f"; it takes {', '.join(sorted(known))}"
            msg = f"{function}() has no option {name!r}{hint}"
            raise _wrong(msg)
    normalized: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        normalized[name] = _VALUES.get(name, _same)(name, value)
        if name in {"table", "at", "symbols"}:
            check_unicode(name, value)
    return normalized


def check_unicode(name: str, value: object) -> None:
    """Refuse names that are not valid Unicode, alone or in a list.

    Raises:
        IngressError: InvalidUtf8, naming the option and the text.
    """
    for text in value if isinstance(value, (list, tuple)) else (value,):
        if isinstance(text, str) and not is_unicode(text):
            msg = f"{name}={text!r} holds lone surrogates and is not valid Unicode; repair it"
            raise IngressError(IngressErrorCode.InvalidUtf8, msg)


def is_unicode(text: str) -> bool:
    """Whether a text has an encoding: lone surrogates have none."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _same(_name: str, value: object) -> object:
    return value


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


def _seconds(name: str, value: object) -> object:
    seconds = value.total_seconds() if isinstance(value, dt.timedelta) else value
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
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        msg = f"{name} must be an int of at least 0, not {value!r}"
        raise _wrong(msg)
    return value


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
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 64:  # noqa: PLR2004
        msg = f"{name} must be an int from 1 to 64, not {value!r}"
        raise _wrong(msg)
    return value


def _version(name: str, value: object) -> object:
    if value not in (1, 2, 3) or type(value) is not int:
        msg = f"{name} must be 1, 2 or 3, not {value!r}"
        raise _wrong(msg)
    return value


def _at(name: str, value: object) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, ServerTimestampType):
        return ("server", 0)
    if isinstance(value, TimestampNanos):
        return ("nanos", value.value)
    if isinstance(value, TimestampMicros):
        return ("micros", value.value)
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
    if value == "auto":
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(column, str) for column in value):
        return list(value)
    msg = f"{name} must be 'auto', True, False or a list of column names, not {value!r}"
    raise _wrong(msg)


def _progress(name: str, value: object) -> object:
    if not isinstance(value, bool) and not callable(value):
        msg = f"{name} must be True, False or a callable, not {type(value).__name__}"
        raise _wrong(msg)
    return value


_VALUES: dict[str, Callable[[str, object], object]] = {
    "table": _text,
    "at": _at,
    "symbols": _symbols,
    "protocol_version": _version,
    "null_at": _word,
    "null_bool": _word,
    "empty_rows": _word,
    "nan": _word,
    "create": _create,
    "check": _flag,
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

__all__ = ["At", "CheckedPlanOptions", "PlanOptions", "ServerTimestamp", "Symbols", "WriteOptions", "normalize"]
