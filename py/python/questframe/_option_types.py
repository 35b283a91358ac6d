"""The keyword options of writes as types: for type checkers, and for who reads what they do."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Literal, TypedDict, Union

import questframe
from questframe._timestamps import ServerTimestampType, TimestampMicros, TimestampNanos
from questframe.exceptions import IngressError, WriteInterrupted

if TYPE_CHECKING:
    from typing import TypeAlias

#: What `at` takes.
At: TypeAlias = Union[str, ServerTimestampType, TimestampNanos, TimestampMicros, dt.datetime]
#: What `symbols` takes.
Symbols: TypeAlias = Union[Literal["auto"], bool, Collection[str]]


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
        check: whether the target table is looked up first. Default True. False with a ``TableSpec`` or
            ``create="never"`` is an error: nobody would know that the table is missing.
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


__all__ = ["At", "CheckedPlanOptions", "PlanOptions", "Symbols", "WriteOptions"]
