"""The functions users call: each prepares its frame and options, and hands both to the compiled part."""

from __future__ import annotations

import os
import warnings
from _thread import allocate_lock

from questframe import _once, _questframe, exceptions
from questframe._frames import prepare, prepare_plan
from questframe._options import CHECKED_PLAN, PLAN, WRITE, is_unicode, normalize
from questframe._stream import Frames, leave
from questframe.exceptions import IngressError, IngressTypeError, WriteInterrupted, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Any, BinaryIO, overload

    import polars as pl
    from typing_extensions import Self, Unpack

    from questframe._option_types import CheckedPlanOptions, PlanOptions, WriteOptions
    from questframe._questframe import DrainReport, Plan, ServerInfo, WriteReport
    from questframe.types import Frame

__all__ = ["Client", "awrite_questdb", "connect", "plan", "read_questdb", "to_ilp", "write_questdb"]

#: Seconds that the answer to a query may take.
READ_TIMEOUT = 300.0


class Client:
    """A client of one QuestDB server: keeps its connections and buffers from one write to the next.

    Made by :func:`connect`. Any number of threads may use it at once; it is also a context manager.
    """

    def __init__(self, conf: str | None = None) -> None:
        """Parse the configuration; nothing is connected yet."""
        if conf is not None and not isinstance(conf, str):
            msg = f"conf must be a str, not {type(conf).__name__}"
            raise IngressTypeError(exceptions.IngressErrorCode.InvalidApiCall, msg)
        if conf is not None and not is_unicode(conf):
            # Not shown: it may hold a password.
            msg = "the configuration string holds lone surrogates and is not valid Unicode; repair it"
            raise IngressError(exceptions.IngressErrorCode.ConfigError, msg)
        self._client = _questframe.Client(conf)
        for warning in self._client.warnings:
            warnings.warn(warning, UserWarning, stacklevel=3)

    def write(self, data: Frame, **options: Unpack[WriteOptions]) -> WriteReport:
        """Write a frame and return when the server has acknowledged all of it; see :func:`write_questdb`."""
        return _write(self._client, data, dict(options), "write")

    async def awrite(self, data: Frame, **options: Unpack[WriteOptions]) -> WriteReport:
        """As :meth:`write`, beside the event loop; see :func:`awrite_questdb`."""
        return await _awrite(self._client, data, dict(options), "awrite")

    def plan(self, data: Frame, **options: Unpack[CheckedPlanOptions]) -> Plan:
        """How each column would land in this server's table; see :func:`plan`."""
        normalized = normalize(dict(options), CHECKED_PLAN, "plan")
        return _plan(self._client, data, normalized)

    def drain_spool(self, spool_dir: str | os.PathLike[str] | None = None) -> DrainReport:
        """Send what waits on disk; see :func:`questframe.spool.drain`."""
        return self._client.drain_spool(None if spool_dir is None else os.fspath(spool_dir))

    def ping(self) -> float:
        """The seconds the server takes to answer a ping.

        Raises:
            IngressError: if it does not answer, or not as QuestDB does.
        """
        return self._client.ping()

    def server_info(self) -> ServerInfo:
        """The server's release, protocol versions and limit of names; asked once per client.

        Raises:
            IngressError: if it does not answer, or not as QuestDB does.
        """
        return self._client.server_info()

    def close(self) -> None:
        """Let go of connections and buffers. Closing twice is fine; using it afterwards is an error."""
        self._client.close()

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """The configuration, without its secrets."""
        return repr(self._client)


def connect(conf: str | None = None) -> Client:
    """A client for a configuration string, or for the environment variable ``QDB_CLIENT_CONF``.

    Args:
        conf: such as ``"http::addr=localhost:9000;"``.

    Returns:
        The client. Nothing is connected before its first call; but if rows wait in the folder `spool_dir=` they are
        sent now, if a server is there.

    Raises:
        IngressError: ConfigError, naming the key or the position that is wrong, or if another process has the spool.

    Example:
        >>> import questframe as qf
        >>> with qf.connect("http::addr=localhost:9000;username=admin;password=quest;") as client:
        ...     "quest;" in repr(client)
        False
    """
    client = Client(conf)
    try:
        rejected = client._client.replay_spool()  # noqa: SLF001
        if rejected:
            where = ", ".join(map(str, rejected))
            msg = f"rows that had waited on disk were refused and set aside, with the reasons: {where}"
            warnings.warn(msg, UserWarning, stacklevel=2)
    except BaseException:
        client.close()
        raise
    return client


#: Clients that are kept, each with its connections, threads and buffers: of strings that were used last.
_MOST_SHARED = 8
_shared: dict[str, Client] = {}
_shared_lock = allocate_lock()
_shared_pid = os.getpid()


def _shared_client(conf: str | None) -> Client:
    """One client per configuration string and process, so that a second write costs one request."""
    global _shared, _shared_pid
    if conf is None:
        conf = os.environ.get("QDB_CLIENT_CONF")
        if conf is None:
            # Let the parser say so.
            return Client(None)
    if not isinstance(conf, str):
        # No key of a dictionary, perhaps; and it says so.
        return Client(conf)
    with _shared_lock:
        if _shared_pid != os.getpid():
            # The parent's connections and thread do not exist in this process.
            _shared, _shared_pid = {}, os.getpid()
        client = _shared.pop(conf, None)
        if client is None:
            client = Client(conf)
        # The last one is the one used last. What is let go of closes when its last call has ended, outside of the lock.
        _shared[conf] = client
        others = [_shared.pop(next(iter(_shared))) for _ in range(len(_shared) - _MOST_SHARED)]
    del others
    return client


def _renew_lock() -> None:
    """In a forked child, another thread of the parent may have held the lock."""
    global _shared_lock  # noqa: PLW0603
    _shared_lock = allocate_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def _plan(client: _questframe.Client, data: object, options: dict[str, Any]) -> Plan:
    prepared, table = prepare_plan(data, options.get("at", client.at), options.get("table", client.table), options)
    try:
        return client.plan(prepared, table, options)
    finally:
        leave(prepared)


def _write(client: _questframe.Client, data: object, options: dict[str, Any], function: str) -> WriteReport:
    try:
        done = _begin(client, data, options, function)
    except IngressError as error:
        if not (error.acked or error.doubtful or error.unsent):
            _remember(error, data, options)
        raise
    _warn_of_doubt(done)
    return done


def _remember(error: IngressError, data: object, options: dict[str, Any]) -> None:
    """Have an error that came before the write know of rows what the write that is gone on with has dealt with."""
    before = options.get("resume")
    if isinstance(before, (IngressError, WriteInterrupted)):
        error.acked, error.doubtful, error.unsent = before.acked, before.doubtful, before.unsent
        error.table = error.table or before.table
        error._source, error._stream = before._source, before._stream  # noqa: SLF001
    elif not isinstance(error, TypeError) and _length(data):
        error.unsent = (range(_length(data)),)


def _length(data: Any) -> int:
    """How many rows a frame says that it has; 0 of a stream, and of several frames."""
    from collections.abc import Sequence, ValuesView

    return len(data) if hasattr(data, "__len__") and not isinstance(data, (Sequence, ValuesView)) else 0


def _begin(client: _questframe.Client, data: object, options: dict[str, Any], function: str) -> WriteReport:
    normalized = normalize(options, WRITE, function)
    progress = normalized.pop("progress", None)
    # The server answers while the frame is looked at.
    ahead = client.ask_ahead(normalized.get("table")) if normalized.get("check") is not False else None
    at, named = normalized.get("at", client.at), normalized.get("table", client.table)
    prepared, table = prepare(data, at, named, normalized)
    # The object that a failed write had is gone on with, any other begins at row 0.
    resume: IngressError | WriteInterrupted | None = options.get("resume")
    before = resume if resume is not None and resume._source is data else None  # noqa: SLF001
    source = prepared if before is None else data
    from questframe._progress import progress_of

    with progress_of(progress, normalized.get("table")) as report:
        try:
            if isinstance(prepared, Frames) or (prepared is data and not table):
                # What may be readable once.
                prepared = _fresh(data, prepared) if before is None else _gone_on_with(before, data)
            done = client.write(prepared, table, normalized, report, ahead)
        except BaseException as error:
            interrupted = _failed(error, data, source, prepared, before)
            if interrupted is not None:
                raise interrupted from error
            raise
        if before is not None:
            before._is_spent = True  # noqa: SLF001
        return done


def _fresh(data: object, prepared: object) -> _questframe.Stream:
    _once.check(data)
    return _questframe.Stream(prepared)


def _failed(
    error: BaseException,
    data: object,
    source: object,
    prepared: object,
    before: IngressError | WriteInterrupted | None,
) -> WriteInterrupted | None:
    """Have an error of a write know the stream that it read, and later calls what was read of it.

    Gives the error that is to be raised, if it is another. `before` is the error that was gone on with, `source` what
    was read.
    """
    interrupted, has_stored, has_read, is_further = None, True, True, True
    if isinstance(error, (IngressError, WriteInterrupted)):
        interrupted = _interrupted_while_reading(error)
    # What `progress` raises goes on as it is, with our error as its cause.
    for known in (error, error.__cause__, interrupted):
        if isinstance(known, (IngressError, WriteInterrupted)):
            has_stored = bool(known.acked or known.doubtful)
            has_read = has_stored or bool(known.unsent)
            is_further = before is not None and (known.acked, known.doubtful) != (before.acked, before.doubtful)
            if isinstance(prepared, _questframe.Stream):
                known._source, known._stream = data, prepared  # noqa: SLF001
    if before is None:
        leave(source, of_write=True, has_stored=has_stored, has_read=has_read)
    else:
        before._is_spent = before._is_spent or is_further  # noqa: SLF001
        leave(source, of_write=True, has_stored=True, has_read=True)
    return interrupted


def _gone_on_with(before: IngressError | WriteInterrupted, data: object) -> _questframe.Stream | None:
    """The stream that a failed write had.

    Raises:
        IngressError: if a later write has gone on with it, and further than its error says.
    """
    if before._is_spent:  # noqa: SLF001
        msg = (
            "the error in resume= was gone on with before, and more is stored by now than it says: pass the error of "
            "the last write; if that stored all, nothing is left to be sent"
        )
        raise IngressError(exceptions.IngressErrorCode.InvalidApiCall, msg, table=before.table)
    _once.forget(data)
    stream: _questframe.Stream | None = before._stream  # type: ignore[assignment]  # noqa: SLF001
    return stream


def _interrupted_while_reading(error: IngressError | WriteInterrupted) -> WriteInterrupted | None:
    """Ctrl-C in the Python code behind a pyarrow stream, of which pyarrow makes a text like any other."""
    text = str(error)
    if isinstance(error, WriteInterrupted) or "Python exception: KeyboardInterrupt" not in text:
        return None
    where = "" if error.table is None else f"table {quoted(error.table)}: "
    return WriteInterrupted(
        f"{where}the write was interrupted while its stream was read",
        table=error.table,
        acked=error.acked,
        doubtful=error.doubtful,
        unsent=error.unsent,
    )


_warned = False


def _warn_of_doubt(report: WriteReport) -> None:
    """Say once per process that requests were sent again which may have been stored."""
    global _warned  # noqa: PLW0603
    if report.retries_in_doubt and not _warned:
        _warned = True
        msg = (
            f"{report.retries_in_doubt} requests into {report.table!r} were sent again though they may have been "
            "stored before: deduplication keys make that harmless, a table without them may have rows twice. "
            "This is said once; see retries_in_doubt of each report."
        )
        warnings.warn(msg, UserWarning, stacklevel=4)


#: Seconds after which a waiting event loop looks around.
_TICK = 0.1


class _Cancelled(Exception):  # noqa: N818 - never seen outside
    """Ends a write whose task was cancelled."""


class _Wish:
    """Whether a write is still wanted: asked by the thread that writes, withdrawn by the event loop."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._begun = False
        self.withdrawn = False

    def begin(self) -> None:
        """Raise if it is not wanted any more; from here on a cancelled task waits for the thread."""
        with self._lock:
            if self.withdrawn:
                raise _Cancelled
            self._begun = True

    def withdraw(self) -> bool:
        """Whether a thread has begun, and will end soon."""
        with self._lock:
            self.withdrawn = True
            return self._begun


async def _awrite(client: _questframe.Client, data: object, options: dict[str, Any], function: str) -> WriteReport:
    """Write in a thread; a cancelled task waits until the thread has let go of everything."""
    import asyncio
    import contextlib

    from questframe._progress import progress_of

    wish = _Wish()
    progress = options.get("progress")

    def work() -> WriteReport:
        wish.begin()
        checked = normalize({"progress": progress}, WRITE, function)
        with progress_of(checked.get("progress"), options.get("table")) as report:
            try:
                return _write(client, data, {**options, "progress": _until(wish, report)}, function)
            except StopIteration as stopped:
                # No future takes it: the task would never end.
                msg = "progress raised StopIteration"
                raise RuntimeError(msg) from stopped

    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        while not task.done():
            # Unlike `await task` this leaves the thread's future alone when we are cancelled. And it wakes the loop now
            # and then: ipykernel's handler of Ctrl-C is called in a loop that sleeps, and does not wake it.
            await asyncio.wait([task], timeout=_TICK)
    except asyncio.CancelledError as cancelled:
        if not wish.withdraw():
            # All threads of the event loop are busy, maybe for long: not waited for.
            task.cancel()
        while not task.done():
            # Whoever cancels again would have us leave while the thread still holds the frame and buffers.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        cancelled.__cause__ = _what_became_of(task, data, options)
        raise
    return task.result()


def _what_became_of(task: asyncio.Task[WriteReport], data: object, options: dict[str, Any]) -> BaseException:
    """The cause of a `CancelledError`: it has the three sets of rows."""
    ended = None if task.cancelled() else task.exception()
    if ended is not None and not isinstance(ended, _Cancelled):
        return ended
    if ended is not None and ended.__cause__ is not None:
        return ended.__cause__
    if ended is not None or task.cancelled():
        msg = "the write was cancelled before it began; nothing was sent"
        error = IngressError(exceptions.IngressErrorCode.InvalidApiCall, msg, table=options.get("table"))
        _remember(error, data, options)
        return error
    return _after_its_end(task.result(), data, options)


def _after_its_end(report: WriteReport, data: object, options: dict[str, Any]) -> IngressError:
    """That a write was cancelled which had ended by then: with its report, and with what is not to be sent again."""
    before: Any = options.get("resume")
    is_resumed = isinstance(before, (IngressError, WriteInterrupted))
    acked = before.acked if is_resumed else ()
    doubtful = before.doubtful if is_resumed and options.get("doubtful") is False else ()
    refused = [] if report.rejected is None else report.rejected.rows
    known = sum(map(len, (*acked, *doubtful))) + len(refused)
    total = _length(data) or known + report.rows + report.skipped_rows + report.rows_spooled
    unsent = tuple(range(row, row + 1) for row in sorted(refused))
    others = sorted([*doubtful, *unsent], key=lambda rows: rows.start)
    ends = zip([0, *(rows.stop for rows in others)], [*(rows.start for rows in others), total], strict=True)
    error = IngressError(
        exceptions.IngressErrorCode.InvalidApiCall,
        f"the write was cancelled after its end: {report}",
        table=report.table,
        acked=tuple(range(start, end) for start, end in ends if start < end),
        doubtful=doubtful,
        unsent=unsent,
    )
    error.report = report
    return error


def _until(
    wish: _Wish, report: Callable[[int, int | None, int], object] | None
) -> Callable[[int, int | None, int], object]:
    """What is called meanwhile: it ends a write whose task was cancelled, and passes the news on."""

    def tell(rows: int, total: int | None, sent: int) -> None:
        if wish.withdrawn:
            raise _Cancelled
        if report is not None:
            report(rows, total, sent)

    return tell


def write_questdb(data: Frame, conf: str | None = None, **options: Unpack[WriteOptions]) -> WriteReport:
    """Write a frame into a QuestDB table and return when the server has acknowledged all of it.

    The frame is planned and checked before its first byte is sent; it goes in requests that are each atomic on the
    server. Memory beside the frame is bounded by ``pool_bytes`` of the configuration string (64 MiB by default).

    Args:
        data: a polars or pandas DataFrame, a polars LazyFrame, a pyarrow Table, RecordBatch or RecordBatchReader, any
            object with ``__arrow_c_stream__`` or ``__arrow_c_array__``, or a list or an iterator of those, as of
            ``pandas.read_csv(..., chunksize=...)``. A frame in memory is checked whole before its first byte is sent;
            of a LazyFrame, a stream or an iterator, which are read once, each piece is when it comes. All frames of an
            iterator have the columns of the first, and its types, or such as hold the same values; a column without
            values (all null, or NaN of pandas) gets its type, and its place in a new table, where the first ones come.
        conf: a configuration string such as ``"http::addr=localhost:9000;"``; None for ``QDB_CLIENT_CONF``. It may
            name ``table`` and ``at``, too.
        **options: see :class:`questframe.WriteOptions`; most used are `table`, `at`, `symbols` and `progress`.

    Returns:
        What was done: rows, bytes, requests, seconds, and how each column landed.

    Raises:
        IngressError: with the column, the row and the cure; and which rows were stored, if any were.
        IngressTypeError: for an object that is no frame, or an unknown option.

    Example:
        >>> import polars as pl, questframe as qf
        >>> df = pl.DataFrame({"price": [2615.54], "ts": ["2025-01-02T03:04:05Z"]})
        >>> df = df.with_columns(pl.col("ts").str.to_datetime(time_zone="UTC"))
        >>> qf.write_questdb(df, "http::addr=localhost:9000;", table="trades", at="ts")  # doctest: +SKIP
        WriteReport(1 rows into "trades" in 0.004 s: ...)
    """
    return _write(_shared_client(conf)._client, data, dict(options), "write_questdb")  # noqa: SLF001


async def awrite_questdb(data: Frame, conf: str | None = None, **options: Unpack[WriteOptions]) -> WriteReport:
    """As :func:`write_questdb`, for use with ``asyncio``: the event loop goes on while a thread writes.

    Cancelling the task stops the write within a tenth of a second: the task ends when the thread has let go of buffers
    and connections, and the ``CancelledError`` has the :class:`questframe.IngressError` with what was stored as its
    ``__cause__``. The threads are those of ``asyncio.to_thread``; writes beyond their number wait for one. `progress`
    is called in them.

    Example:
        >>> import asyncio, polars as pl, questframe as qf
        >>> df = pl.DataFrame({"n": [1, 2]})
        >>> asyncio.run(qf.awrite_questdb(df, table="t", at=qf.ServerTimestamp))  # doctest: +SKIP
        WriteReport(2 rows into "t" in 0.004 s: ...)
    """
    return await _awrite(_shared_client(conf)._client, data, dict(options), "awrite_questdb")  # noqa: SLF001


def read_questdb(sql: str, conf: str | None = None, *, timeout: float = READ_TIMEOUT) -> pl.DataFrame:
    """The rows of a query as a Polars frame, each value as it is stored; for looking at what was written.

    The answer is in memory whole, as JSON and as Python's values for a while: a million rows of four columns take 4 s
    and some hundred bytes a value. Of more than a few million rows export Parquet from QuestDB.

    Args:
        sql: a query, of some 32,000 bytes at most as it is encoded in a URL (more if the server is set so, at most
            65,000). It is asked once of each host of `conf` until one answers.
        conf: a configuration string; None for ``QDB_CLIENT_CONF``. Over TCP nothing can be read.
        timeout: seconds for the whole answer.

    Returns:
        The columns in the query's order: integers, floats and booleans of QuestDB's width; TIMESTAMP, TIMESTAMP_NS and
        DATE as ``Datetime`` in UTC of microseconds, nanoseconds and milliseconds; SYMBOL as ``Categorical``; DECIMAL as
        ``Decimal``; arrays as lists of ``Float64``; all else as text. NaN and infinities, which QuestDB tells as NULL,
        are null. Of some years before 1800 QuestDB 9.3.4 tells 31 December as the day after: where that matters, select
        ``"ts"::long``.

    Raises:
        IngressError: for a query that the server refuses, with its words; for a column of type BINARY, instants of
            nanoseconds out of the years 1678 to 2261, and a CHAR that is a quote; and if no host answers in time.
        IngressTypeError: for arguments of other types.
        ImportError: if polars is missing.

    Example:
        >>> import questframe as qf
        >>> qf.read_questdb("select count() from trades", "http::addr=localhost:9000;")  # doctest: +SKIP
    """
    code = exceptions.IngressErrorCode.InvalidApiCall
    if not isinstance(sql, str) or not is_unicode(sql):
        what = "valid Unicode" if isinstance(sql, str) else f"a str, not {type(sql).__name__}"
        msg = f"sql must be {what}"
        raise IngressTypeError(code, msg)
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
        msg = f"timeout must be a number of seconds above 0, not {timeout!r}"
        raise IngressTypeError(code, msg)
    from questframe._read import frame_of

    try:
        answer = _shared_client(conf)._client.read_query(sql, float(timeout))  # noqa: SLF001
    except IngressError as error:
        longer = _too_long(sql, error)
        if longer is None:
            raise
        raise longer from error
    return frame_of(answer)


#: Bytes of a query in a URL that QuestDB takes by default, and a little less.
MOST_QUERY = 32_000


def _too_long(sql: str, error: IngressError) -> IngressError | None:
    """The error of a query that is too long for a request's head, which servers do not say."""
    from urllib.parse import quote

    size = len(quote(sql))
    codes = (exceptions.IngressErrorCode.SocketError, exceptions.IngressErrorCode.ConfigError)
    if size < MOST_QUERY or error.code not in codes:
        return None
    msg = (
        f"the query has {size} bytes as it is encoded in a URL, and servers take some {MOST_QUERY}; make it shorter, "
        f"as with a view: {error}"
    )
    return IngressError(error.code, msg)


def plan(data: Frame, conf: str | None = None, **options: Unpack[CheckedPlanOptions]) -> Plan:
    """How each column of a frame would land, without writing anything; prints as a table.

    Args:
        data: as for :func:`write_questdb`. A one-shot stream is used up; of a LazyFrame the schema is enough, and it is
            not run.
        conf: with a configuration string the plan is checked against that server's table; without one the table is
            taken to be missing.
        **options: see :class:`questframe.WriteOptions`.

    Returns:
        The plan, with one entry per column.

    Raises:
        IngressError: everything that is wrong with the frame's schema and the options, together.

    Example:
        >>> import polars as pl, questframe as qf
        >>> df = pl.DataFrame({"price": [2615.54], "ts": [1735787045]})
        >>> df = df.with_columns(pl.from_epoch("ts"))
        >>> [column.questdb_type for column in qf.plan(df, table="trades").columns]
        ['DOUBLE', 'TIMESTAMP']
    """
    normalized = normalize(dict(options), CHECKED_PLAN, "plan")
    if conf is None:
        prepared, table = prepare_plan(data, normalized.get("at"), normalized.get("table"), normalized)
        try:
            return _questframe.plan(prepared, table, normalized)
        finally:
            leave(prepared)
    return _plan(_shared_client(conf)._client, data, normalized)  # noqa: SLF001


if TYPE_CHECKING:

    @overload
    def to_ilp(data: Frame, *, out: None = None, **options: Unpack[PlanOptions]) -> bytes: ...

    @overload
    def to_ilp(data: Frame, *, out: str | os.PathLike[str] | BinaryIO, **options: Unpack[PlanOptions]) -> int: ...


def to_ilp(
    data: Frame, *, out: str | os.PathLike[str] | BinaryIO | None = None, **options: Unpack[PlanOptions]
) -> bytes | int:
    r"""The lines of a frame, exactly as they would be posted.

    Args:
        data: as for :func:`write_questdb`.
        out: a path, or a file open for writing bytes: the lines are streamed there, in bounded memory.
        **options: see :class:`questframe.WriteOptions`. `table` is needed; `protocol_version` is 3 by default.

    Returns:
        The bytes, or with `out` their number.

    Raises:
        IngressError: everything that lines cannot carry. What a table would make of a value, only a write knows: here
            the least integer is rendered, which means NULL, and version 1 cuts the nanoseconds of fields.
        OSError: if `out` cannot be opened.

    Example:
        >>> import polars as pl, questframe as qf
        >>> qf.to_ilp(pl.DataFrame({"n": [1, 2]}), table="t", at=qf.ServerTimestamp)
        b't n=1i\nt n=2i\n'
    """
    normalized = normalize(dict(options), PLAN, "to_ilp")
    prepared, table = prepare(data, normalized.get("at"), normalized.get("table"), normalized)
    try:
        result: bytes | int = _questframe.to_ilp(prepared, table, normalized, out)
    except BaseException as error:
        # What is wrong with the call itself is found before a row is read.
        calls = (exceptions.IngressErrorCode.InvalidApiCall, exceptions.IngressErrorCode.InvalidName)
        leave(prepared, of_write=True, has_read=not (isinstance(error, IngressError) and error.code in calls))
        raise
    return result
