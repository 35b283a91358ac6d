"""The compiled part. Users take what they need from `questframe`."""

import datetime
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, SupportsIndex, SupportsInt, final

from typing_extensions import Self

from questframe._timestamps import ServerTimestampType

__version__: str

_Memory = tuple[int, int, int, object]
_Progress = Callable[[int, int | None, int], object]

@final
class Client:
    """One server's client; wrapped by `questframe.Client`."""

    def __new__(cls, conf: str | None) -> Client: ...
    def ask_ahead(self, table: str | None) -> Ahead | None: ...
    def write(
        self,
        data: Any | Stream,
        table: bool,
        options: dict[str, Any],
        progress: _Progress | None,
        ahead: Ahead | None = None,
    ) -> WriteReport: ...
    def plan(self, data: Any, table: bool, options: dict[str, Any]) -> Plan: ...
    def close(self) -> None: ...
    def drain_spool(self, folder: str | None) -> DrainReport: ...
    def replay_spool(self) -> list[Path]: ...
    def ping(self) -> float: ...
    def server_info(self) -> ServerInfo: ...
    def read_query(self, sql: str, timeout: float) -> bytes: ...
    @property
    def created_in_pid(self) -> int | None: ...
    @property
    def table(self) -> str | None: ...
    @property
    def at(self) -> str | None: ...
    @property
    def warnings(self) -> list[str]: ...

@final
class Stream:
    """A stream that can be read once, taken over; after a failed write it can be gone on with."""

    def __new__(cls, data: Any) -> Stream: ...

@final
class Ahead:
    """What was asked about a table before a write was ready."""

@final
class Columns:
    """A frame collected column by column from NumPy memory and Python objects."""

    def __new__(cls, rows: int) -> Columns: ...
    def numbers(self, name: str, typestr: str, values: _Memory, mask: _Memory | None = None) -> None: ...
    def booleans(self, name: str, values: _Memory, mask: _Memory | None = None) -> None: ...
    def times(self, name: str, kind: str, time_unit: str, zone: str | None, values: _Memory) -> None: ...
    def categories(self, name: str, typestr: str, codes: _Memory, categories: list[str]) -> None: ...
    def arrow(self, name: str, column: Any) -> None: ...
    def objects(self, name: str, cells: list[Any]) -> None: ...
    def decimals(self, name: str, cells: list[bytes | None]) -> None: ...
    def arrays(self, name: str, cells: Any) -> None: ...
    def lists(self, name: str, cells: Any) -> bool: ...
    def mark_index(self) -> None: ...
    def name_index(self, names: str) -> None: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class ColumnReport:
    """How a column landed."""

    @property
    def name(self) -> str:
        """Its name."""
    @property
    def questdb_type(self) -> str:
        """Its QuestDB type; empty if it was skipped."""
    @property
    def role(self) -> str:
        """`symbol`, `field`, `designated timestamp` or `skipped`."""
    @property
    def nulls(self) -> int:
        """Nulls in it."""
    @property
    def read_null(self) -> int:
        """Values of it that read back as NULL (booleans: false): nulls, NaN, infinities, the least 64-bit integer."""

@final
class DrainReport:
    """What was sent from a spool."""

    @property
    def segments(self) -> int:
        """Segments that the server has taken; each is one request."""
    @property
    def rows(self) -> int:
        """Their rows."""
    @property
    def bytes(self) -> int:
        """Their bytes on disk."""
    @property
    def rejected(self) -> list[Path]:
        """Segments that will never be taken, where they are now; beside each a text with the reason."""
    @property
    def segments_waiting(self) -> int:
        """Segments that wait on."""
    @property
    def bytes_waiting(self) -> int:
        """Their bytes on disk."""

@final
class Rejected:
    """Rows that the server refused, as an Arrow table: the frame's columns, `rejected_row` and `rejected_reason`.

    `pl.DataFrame(rejected)`, `pyarrow.table(rejected)` and whatever else reads Arrow streams take it.
    """

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def __len__(self) -> int: ...
    @property
    def rows(self) -> list[int]:
        """Their numbers in the frame."""
    @property
    def reasons(self) -> list[str]:
        """What the server said of each."""

@final
class WriteReport:
    """What a write did. All rows have been acknowledged when there is one, but for those in `rejected`.

    Over TCP, where nothing is acknowledged, they were handed over and the connection showed no sign of a failure;
    `notes` says so, too.

    Its repr is one line.
    """

    @property
    def table(self) -> str:
        """The table."""
    @property
    def at(self) -> str | None:
        """The column of the designated timestamp, if a column gave it."""
    @property
    def rows(self) -> int:
        """Rows stored."""
    @property
    def skipped_rows(self) -> int:
        """Rows left out because they held nothing (with `empty_rows="skip"`)."""
    @property
    def bytes(self) -> int:
        """Bytes sent."""
    @property
    def requests(self) -> int:
        """Requests sent."""
    @property
    def retries(self) -> int:
        """Requests sent again."""
    @property
    def retries_in_doubt(self) -> int:
        """Those among them that may have been stored before.

        A table with deduplication keys has their rows once; another, with `retry_in_doubt=True`, may have them twice.
        """
    @property
    def rows_spooled(self) -> int:
        """Rows that no server took and that are safe on disk (`spool_dir`), to be sent later."""
    @property
    def rejected(self) -> Rejected | None:
        """The rows that the server refused and that were set aside (`on_error="quarantine"`); None if none were."""
    @property
    def in_flight(self) -> int:
        """The most requests that were in flight at once."""
    @property
    def seconds(self) -> float:
        """Seconds from the call to the last acknowledgement."""
    @property
    def rows_per_second(self) -> float:
        """Rows a second over the whole call."""
    @property
    def bytes_per_second(self) -> float:
        """Bytes a second over the whole call."""
    @property
    def protocol_version(self) -> int:
        """1, 2 or 3."""
    @property
    def created(self) -> bool:
        """Whether the table was missing before."""
    @property
    def columns(self) -> list[ColumnReport]:
        """How each column landed, in the frame's order."""
    @property
    def notes(self) -> list[str]:
        """What you should know, in sentences; empty if all went as planned."""
    def _repr_html_(self) -> str: ...

@final
class PlannedColumn:
    """How one column would land."""

    @property
    def name(self) -> str:
        """Its name."""
    @property
    def arrow_type(self) -> str:
        """Its Arrow type."""
    @property
    def role(self) -> str:
        """`symbol`, `field`, `designated timestamp` or `skipped`."""
    @property
    def wire(self) -> str:
        """The form of its values on the wire, such as `float`; empty if skipped."""
    @property
    def questdb_type(self) -> str:
        """The QuestDB type it has, or gets; empty if skipped."""
    @property
    def state(self) -> str:
        """`exists` or `new`; empty if skipped, or if no server was asked."""
    @property
    def nulls(self) -> str:
        """What a null becomes."""
    @property
    def note(self) -> str:
        """A remark, such as that the column looks like a symbol."""

@final
class Plan:
    """How a frame would land; its repr is a table."""

    @property
    def table(self) -> str:
        """The table."""
    @property
    def at(self) -> str | None:
        """The column of the designated timestamp, if a column gives it."""
    @property
    def protocol_version(self) -> int:
        """1, 2 or 3."""
    @property
    def statements(self) -> list[str]:
        """The SQL that a write runs before its first row, to make what is missing."""
    @property
    def columns(self) -> list[PlannedColumn]:
        """One entry per column, in the frame's order."""
    def _repr_html_(self) -> str: ...

@final
class ServerInfo:
    """What a server says of itself."""

    @property
    def release(self) -> str | None:
        """Its version, such as `9.3.4`."""
    @property
    def protocol_versions(self) -> list[int]:
        """The protocol versions it takes."""
    @property
    def max_name_len(self) -> int | None:
        """The longest name it takes, in bytes."""

def are_arrays(cells: Any) -> bool: ...
def plan(data: Any, table: bool, options: dict[str, Any]) -> Plan: ...
def to_ilp(
    data: Any, table: bool, options: dict[str, Any], out: str | os.PathLike[str] | BinaryIO | None
) -> bytes | int: ...

class TimestampNanos:
    """An instant in nanoseconds since 1970-01-01 UTC.

    Raises:
        ValueError: if negative.
        OverflowError: if it does not fit 64 bits.
        TypeError: if it is no number; fractions are cut off.

    Example:
        >>> TimestampNanos(5)
        TimestampNanos(5)
    """

    def __new__(cls, value: SupportsInt | SupportsIndex) -> Self: ...
    @property
    def value(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
    @staticmethod
    def now() -> TimestampNanos:
        """The present instant of this machine's clock."""
    @staticmethod
    def from_datetime(dt: datetime.datetime) -> TimestampNanos:
        """An aware datetime; a naive one is taken for local time, as the official client does."""

class TimestampMicros:
    """An instant in microseconds since 1970-01-01 UTC.

    Raises:
        ValueError: if negative.
        OverflowError: if it does not fit 64 bits.
        TypeError: if it is no number; fractions are cut off.

    Example:
        >>> TimestampMicros(5).value
        5
    """

    def __new__(cls, value: SupportsInt | SupportsIndex) -> Self: ...
    @property
    def value(self) -> int:
        """Microseconds since 1970-01-01 UTC."""
    @staticmethod
    def now() -> TimestampMicros:
        """The present instant of this machine's clock."""
    @staticmethod
    def from_datetime(dt: datetime.datetime) -> TimestampMicros:
        """An aware datetime; a naive one is taken for local time, as the official client does."""

_At = ServerTimestampType | TimestampNanos | TimestampMicros | datetime.datetime
_Tables = tuple[Sequence[int], Sequence[str]]

def check_name(name: str, is_table: bool) -> None:
    """Check a name of a table or a column, but for its length.

    Raises:
        IngressError: InvalidName, InvalidUtf8, in the official client's words.
    """

class RowBuffer:
    """Rows and frames as lines; the base of `questframe.ingress.Buffer`."""

    def __new__(cls, protocol_version: int, init_buf_size: int = ..., max_name_len: int = ...) -> Self: ...
    @property
    def init_buf_size(self) -> int:
        """Bytes of room that it began with."""
    @property
    def max_name_len(self) -> int:
        """Bytes that names of tables and columns may have."""
    def reserve(self, additional: int) -> None:
        """Make room for so many more bytes.

        Raises:
            ValueError: if negative.
            MemoryError: if there is no memory.
        """
    def capacity(self) -> int:
        """Bytes that it holds before it grows."""
    def clear(self) -> None:
        """Forget all rows."""
    def __len__(self) -> int: ...
    def __bytes__(self) -> bytes: ...
    def row(
        self,
        table_name: str,
        *,
        symbols: dict[str, str | None] | None = None,
        columns: dict[str, Any] | None = None,
        at: _At,
    ) -> Self:
        """Append a row; one that holds nothing is left out.

        Args:
            table_name: the table.
            symbols: strings by column; None is left out.
            columns: bool, int, float, str, datetime, `TimestampMicros`, `TimestampNanos`, NumPy arrays of float64,
                Decimal by column; None is left out.
            at: the designated timestamp: an instant, a datetime (a naive one is local time), or `ServerTimestamp`.

        Returns:
            The buffer itself.

        Raises:
            IngressError: InvalidName, InvalidTimestamp, InvalidUtf8, ArrayError, ProtocolVersionError, BadDataFrame;
                the buffer is as it was before.
            TypeError: a value of another type.
            OverflowError: an integer that does not fit 64 bits.
        """
    @property
    def _version(self) -> int: ...
    def _frame(self, data: Any, options: dict[str, Any], tables: _Tables | None) -> None: ...

class RowSender:
    """Rows, frames and flushes; the base of `questframe.ingress.Sender`."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self: ...
    def __len__(self) -> int: ...
    def __bytes__(self) -> bytes: ...
    def row(
        self,
        table_name: str,
        *,
        symbols: dict[str, str | None] | None = None,
        columns: dict[str, Any] | None = None,
        at: _At,
    ) -> Self:
        """Write a row, and flush if a limit is reached.

        Arguments and errors as of `Buffer.row`, and those of `Sender.flush`.
        """
    def _configure(self, auto: tuple[int | None, int | None, int | None] | None, init_buf_size: int) -> None: ...
    def _establish(self, conf: str, protocol_version: int | None, max_name_len: int, max_buf_size: int) -> None: ...
    def _is_open(self) -> bool: ...
    def _is_closed(self) -> bool: ...
    def _is_usable(self) -> bool: ...
    def _in_transaction(self) -> bool: ...
    def _set_in_transaction(self, value: bool) -> None: ...
    def _negotiated(self) -> tuple[int, int] | None: ...
    def _row(
        self, table_name: str, symbols: dict[str, str | None] | None, columns: dict[str, Any] | None, at: _At
    ) -> None: ...
    def _frame(self, data: Any, options: dict[str, Any], tables: _Tables | None, in_transaction: bool) -> None: ...
    def _flush(self, buffer: RowBuffer | None, clear: bool, transactional: bool, in_transaction: bool) -> None: ...
    def _clear(self) -> None: ...
    def _close(self) -> None: ...
