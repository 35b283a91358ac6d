"""The official `dataframe()`: which column is what, in the official order of checks and words of refusal.

What belongs to one library is in `_frame_pandas.py` and `_frame_arrow.py`: a `Source` there has the columns with their
kinds. This module gives them their roles, and `Source.take` makes of them what the compiled part takes.
"""

from __future__ import annotations

import datetime as dt
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from questframe._instants import micros_of_datetime
from questframe._questframe import RowBuffer
from questframe._timestamps import ServerTimestampType, TimestampMicros, TimestampNanos
from questframe.exceptions import IngressError, IngressErrorCode
from questframe.ingress._frame_errors import (
    bad_cell,
    bad_row,
    column_name_problem,
    official,
    refused,
    table_problem,
)
from questframe.ingress._texts import name_of
from questframe.ingress._warnings import DESIGNATED, warn_of_shadow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Column", "Prepared", "Roles", "Source", "check_first", "official", "prepare", "write"]

_INVALID = IngressErrorCode.InvalidApiCall
_BAD = IngressErrorCode.BadDataFrame
_MOST_NANOS = 2**63 - 1
_AT_TYPES = "ServerTimestamp, TimestampNanos, TimestampMicros, datetime, int (column index), str (column name)"
_AT_DTYPES = "a column of timestamps or dates"
_SYMBOLS = "Bad argument `symbols`: Must be a bool or a tuple or list of column names (str) or indices (int)."


@dataclass(frozen=True, slots=True)
class Prepared:
    """A frame and its options as the compiled part takes them.

    Attributes:
        data: what the functions of `_questframe` take, without the column of table names.
        rows: the number of rows, if it is known: those before `problem`, if there is one.
        table: the one table; None with a column of table names.
        tables: with such a column, per row a code, and the names that the codes stand for. All names but their length
            have been checked.
        options: normalized options of the compiled part, without the table.
        origins: where in the user's frame each column of `data` is, by its name in `data`.
        labels: the columns' own names, by their place in the user's frame.
        table_label: the name of the column of table names.
        problem: what is wrong with the row behind these, to be raised when they have been encoded: an error in one of
            them comes first.
        is_unchecked: whether there are cells that nobody has looked at.
    """

    data: object
    rows: int | None
    table: str | None
    tables: tuple[Sequence[int], Sequence[str]] | None
    options: dict[str, Any]
    origins: Mapping[str, int] = field(default_factory=dict)
    labels: Sequence[str] | None = None
    table_label: str | None = None
    problem: IngressError | None = None
    is_unchecked: bool = False

    @property
    def full_options(self) -> dict[str, Any]:
        """The options with the table."""
        return {**self.options, "table": self.table}


@dataclass(slots=True)
class Column:
    """A column of a frame.

    Attributes:
        label: its name.
        dtype: its type, as error texts have it.
        kind: `null` (nothing is written), `strings`, `categories` (strings, and symbols by default), `instants`, or
            `other`.
        data: whatever its source keeps of it.
    """

    label: str
    dtype: str
    kind: str
    data: Any = None

    @property
    def is_strings(self) -> bool:
        """Whether it can be a symbol or name tables."""
        return self.kind in {"strings", "categories"}


@dataclass(slots=True)
class Roles:
    """What the columns are, by their places in the frame."""

    table: int | None
    at: int | None
    symbols: set[int]


class Source(Protocol):
    """A frame of one library.

    Attributes:
        columns: its columns, in order.
        rows: their length.
        default_table: the name of the frame's index, if it has one that is no None.
    """

    columns: list[Column]
    rows: int
    default_table: object

    def names(self, position: int) -> list[str | None]:  # pyright: ignore[reportReturnType] - of a protocol
        """The strings of a column."""

    def problem(self, position: int) -> IngressError | None:
        """The first row of a column that cannot be written, as far as it is known before encoding."""

    def is_costly(self, position: int) -> bool:  # pyright: ignore[reportReturnType] - of a protocol
        """Whether looking for a `problem` takes a good part of the time of encoding the column."""

    def take(self, positions: list[tuple[int, str]], rows: int) -> object:
        """The first rows of these columns, under these names, as the compiled part takes them."""


def prepare(  # noqa: PLR0913 - the official arguments
    df: object,
    *,
    table_name: Any = None,
    table_name_col: Any = None,
    symbols: Any = "auto",
    at: Any,
    table: str | None = None,
    leave_costly: bool = False,
) -> Prepared | None:
    """The official arguments of `dataframe()`, checked in the official order.

    Args:
        df: a pandas or polars DataFrame or LazyFrame (collected), a pyarrow Table, RecordBatch or RecordBatchReader, or
            any object with `__arrow_c_stream__` or `__arrow_c_array__` (read whole).
        table_name: the one table.
        table_name_col: the label or position of the column that names each row's table.
        symbols: `"auto"`, a bool, or a list or tuple of labels and positions.
        at: the label or position of a column, a constant, or `ServerTimestamp`.
        table: the table of a transaction, in which the two table arguments do not exist.
        leave_costly: do not look at cells where that is costly, if no others are wrong.

    Returns:
        None if there is nothing to write: no rows or no columns. But for the type of `table_name` and `at=None`
        nothing is checked then.

    Raises:
        IngressError: with the official code.
        TypeError: if `table_name` is no str.
    """
    check_first(table_name, at)
    try:
        return _prepare(df, table_name, table_name_col, symbols, at, table, leave_costly=leave_costly)
    except IngressError as error:
        if isinstance(error, TypeError):
            # No frame: ours is a TypeError, too, which the official client's is not.
            raise IngressError(error.code, str(error)) from error
        raise
    except Warning:
        # Where warnings are errors.
        raise
    except Exception as error:
        raise IngressError(_INVALID, str(error)) from error


def check_first(table_name: Any, at: Any) -> None:
    """What is told before anything else, also of a sender that is closed.

    Raises:
        TypeError: if `table_name` is no str.
        IngressError: InvalidTimestamp if `at` is None.
    """
    if table_name is not None and type(table_name) is not str:
        msg = f"Argument 'table_name' has incorrect type (expected str, got {type(table_name).__name__})"
        raise TypeError(msg)
    if at is None:
        text = "`at` must be of type TimestampNanos, datetime, or ServerTimestamp"
        raise refused(IngressErrorCode.InvalidTimestamp, text)


def write(
    prepared: Prepared, df: object, append: Callable[[object, dict[str, Any], Any], None], limits: tuple[int, int]
) -> None:
    """Append a frame, or nothing of it.

    Args:
        prepared: the frame.
        df: what it was made from.
        append: takes the data, the options and the tables over.
        limits: the protocol version and the longest name of the buffer that it goes to.

    Raises:
        IngressError: as the official client raises it. But unlike that one we have written no row then.
    """
    try:
        if prepared.problem is None:
            append(prepared.data, prepared.full_options, prepared.tables)
            return
        # The rows before may hold an error of their own, which comes first.
        version, max_name_len = limits
        RowBuffer(version, 0, max_name_len)._frame(  # noqa: SLF001
            prepared.data, prepared.full_options, prepared.tables
        )
    except IngressError as error:
        raise official(error, prepared, df) from error
    raise prepared.problem


def _prepare(  # noqa: PLR0913, PLR0917 - as above
    df: object,
    table_name: str | None,
    table_name_col: Any,
    symbols: Any,
    at: Any,
    table: str | None,
    *,
    leave_costly: bool,
) -> Prepared | None:
    source = _source(df)
    if source is None:
        return None
    columns = source.columns
    at_table, one = _table(source, table_name, table_name_col, table)
    at_column, constant = _at(columns, at)
    roles = Roles(at_table, at_column, set())
    roles.symbols = _symbols(columns, symbols, roles)
    fields = [place for place in range(len(columns)) if place not in {roles.table, roles.at}]
    for place in fields:
        problem = column_name_problem(columns[place].label)
        if problem is not None:
            raise problem
    names, tables_problem = (None, None) if at_table is None else _names(source, at_table)
    problems, left = _problems(source, fields, roles, tables_problem, leave_costly=leave_costly)
    first = min(problems, key=lambda problem: problem.row or 0, default=None)
    if first is not None and not first.row:
        raise first
    rows = source.rows if first is None else first.row or 0
    written = [place for place in fields if columns[place].kind != "null"]
    if not written:
        raise bad_row(0)
    if not isinstance(at, ServerTimestampType):
        for column in (columns[place] for place in written):
            if column.kind == "instants" and column.label.lower() == DESIGNATED:
                warn_of_shadow(column.label)
    positions = [(place, columns[place].label) for place in written]
    if at_column is not None:
        positions.append((at_column, _free_name(columns[at_column].label, written, columns)))
        constant = positions[-1][1]
    return Prepared(
        data=source.take(positions, rows),
        rows=rows,
        table=one,
        tables=None if names is None else (names[0][:rows], names[1]),
        options={
            "at": constant,
            "symbols": [position for position, place in enumerate(written) if place in roles.symbols] or "none",
            "null_at": "server",
            "null_bool": "error",
            "empty_rows": "error",
            "nan": "send",
        },
        origins={name: place for place, name in positions},
        labels=[column.label for column in columns],
        table_label=None if at_table is None else columns[at_table].label,
        problem=first,
        is_unchecked=bool(left),
    )


def _problems(
    source: Source, fields: list[int], roles: Roles, tables_problem: IngressError | None, *, leave_costly: bool
) -> tuple[list[IngressError], set[int]]:
    """What is wrong with cells, in the official order of columns, and the columns that were not looked at."""
    left = {place for place in fields if leave_costly and source.is_costly(place)}
    looked_at = sorted((place for place in fields if place not in left), key=lambda place: place not in roles.symbols)
    found = (source.problem(place) for place in looked_at)
    problems = [problem for problem in [tables_problem, *found] if problem is not None]
    if problems and left:
        # Of all columns the first is told.
        return _problems(source, fields, roles, tables_problem, leave_costly=False)
    return problems, left


def _source(df: object) -> Source | None:
    """The frame's columns; None if it has no rows or no columns."""
    if "pandas" in sys.modules:
        import pandas as pd

        if isinstance(df, pd.DataFrame):
            if df.empty:
                return None
            from questframe.ingress._frame_pandas import PandasSource

            return PandasSource(df)
        if isinstance(df, pd.Series):
            raise _no_frame(df)
    from questframe.ingress._frame_arrow import source_of

    source = source_of(df)
    if source is None:
        raise _no_frame(df)
    return source if source.rows and source.columns else None


def _no_frame(df: object) -> IngressError:
    expected = name_of(sys.modules["pandas"].DataFrame) if "pandas" in sys.modules else "pandas.DataFrame"
    text = (
        f"Bad argument `df`: Expected {expected}, not an object of type {name_of(type(df))}; polars frames, "
        f"pyarrow tables and other objects with __arrow_c_stream__ are taken, too."
    )
    return refused(_INVALID, text)


def _table(
    source: Source, table_name: str | None, table_name_col: Any, table: str | None
) -> tuple[int | None, str | None]:
    """The place of the column of table names, or the one name."""
    if table is not None:
        return None, table
    if table_name is not None:
        if table_name_col is not None:
            raise refused(_INVALID, "Can specify only one of `table_name` or `table_name_col`.")
        problem = table_problem(table_name)
        if problem is not None:
            raise refused(_INVALID, f"Bad argument `table_name`: {problem}")
        return None, table_name
    if table_name_col is not None:
        place = _place(source.columns, table_name_col, "table_name_col")
        if place is None:
            raise refused(_INVALID, "Bad argument `table_name_col`: must be a column name (str) or index (int).")
        column = source.columns[place]
        if not column.is_strings:
            raise _no_strings(column, "table_name_col", _INVALID if column.kind == "null" else _BAD)
        return place, None
    return None, _index_name(source.default_table)


def _index_name(name: object) -> str:
    """The table's name from that of the frame's index."""
    if not name:
        text = (
            "Must specify at least one of `table_name` or `table_name_col`, or set the dataframe index name "
            "(df.index.name = 'tbl_name')."
        )
        raise refused(_INVALID, text)
    if type(name) is str:
        problem = table_problem(name)
        if problem is None:
            return name
    else:
        problem = f"Expected str, not an object of type {name_of(type(name))}."
    raise refused(_INVALID, f"Bad dataframe index name as table name: {problem}")


def _no_strings(column: Column, argument: str, code: IngressErrorCode) -> IngressError:
    text = f"Bad argument `{argument}`: Bad dtype `{column.dtype}` for the {column.label!r} column"
    return refused(code, f"{text}: Must be a strings column.")


def _place(columns: list[Column], given: Any, argument: str) -> int | None:
    """The place of a column that is given by label or position; None if what is given is neither."""
    if isinstance(given, str):
        places = [place for place, column in enumerate(columns) if column.label == given]
        if not places:
            # Quoted as the text of a KeyError is.
            raise refused(_INVALID, repr(f"Bad argument `{argument}`: Column {given!r} not found in the dataframe."))
        if len(places) > 1:
            text = f"Bad argument `{argument}`: there are {len(places)} columns {given!r}; give an integer: a position"
            raise refused(_INVALID, text)
        return places[0]
    if not isinstance(given, int):
        return None
    place = given + len(columns) if given < 0 else int(given)
    if not 0 <= place < len(columns):
        # The name of the argument is upstream's.
        shown = "symbol" if argument == "symbols" else argument
        raise refused(_INVALID, f"Bad argument `{shown}`: {int(given)} index out of range")
    return place


def _at(columns: list[Column], at: Any) -> tuple[int | None, Any]:
    """The place of the `at` column, or the constant in the compiled part's form."""
    if isinstance(at, ServerTimestampType):
        return None, ("server", 0)
    if isinstance(at, TimestampNanos):
        return None, ("nanos", at.value)
    if isinstance(at, TimestampMicros):
        return None, ("micros", at.value)
    if isinstance(at, dt.datetime):
        return None, ("nanos", _nanos(at))
    place = _place(columns, at, "at")
    if place is None:
        text = f"Bad argument `at`: Unsupported type {name_of(type(at))}. Must be one of: {_AT_TYPES}"
        raise refused(_INVALID, text)
    column = columns[place]
    if column.kind != "instants":
        text = f"Bad argument `at`: Bad dtype `{column.dtype}` for the {at!r} column: Must be {_AT_DTYPES}."
        raise refused(_INVALID, text)
    return place, None


def _nanos(at: dt.datetime) -> int:
    """A datetime's nanoseconds, finer ones of pandas dropped. A naive one is local time, but that of pandas UTC."""
    if at != at:  # noqa: PLR0124 - NaT
        msg = "NaTType does not support timestamp"
        raise ValueError(msg)
    to_python = getattr(at, "to_pydatetime", None)
    if to_python is not None:
        at = to_python(warn=False)
        at = at.replace(tzinfo=dt.timezone.utc) if at.tzinfo is None else at
    nanos = micros_of_datetime(at) * 1000
    if nanos < 0:
        text = "Bad argument `at`: Cannot use a datetime before the Unix epoch (1970-01-01 00:00:00)."
        raise refused(_INVALID, text)
    if nanos > _MOST_NANOS:
        text = (
            "Bad argument `at`: datetime is out of range for a nanosecond timestamp: must be at most "
            "2262-04-11T23:47:16.854775Z; use TimestampMicros"
        )
        raise refused(_INVALID, text)
    return nanos


def _symbols(columns: list[Column], symbols: Any, roles: Roles) -> set[int]:
    """The places of the symbols."""
    taken = {roles.table, roles.at}
    if type(symbols) is bool or (isinstance(symbols, str) and symbols == "auto"):
        kinds = {"auto": {"categories"}, True: {"strings", "categories"}, False: set()}[symbols]
        return {place for place, column in enumerate(columns) if column.kind in kinds and place not in taken}
    if not isinstance(symbols, (list, tuple)):
        raise refused(_INVALID, _SYMBOLS)
    places: set[int] = set()
    for given in symbols:
        place = _place(columns, given, "symbols")
        if place is None:
            text = "Bad argument `symbols`: Elements must be a column name (str) or index (int)."
            raise refused(_INVALID, text)
        column = columns[place]
        if place == roles.at:
            text = f"Bad argument `symbols`: Cannot use the `at` column ({column.label!r}) as a symbol column."
            raise refused(_INVALID, text)
        if place == roles.table:
            text = f"Cannot use the same column {column.label!r} as both the table_name and as a symbol."
            raise refused(_INVALID, f"Bad argument `symbols`: {text}")
        if not column.is_strings and column.kind != "null":
            raise _no_strings(column, "symbols", _BAD)
        places.add(place)
    return places


def _names(source: Source, place: int) -> tuple[tuple[list[int], list[str]], IngressError | None]:
    """The table of each row, and the first row that has none."""
    label, cells = source.columns[place].label, source.names(place)
    # What is no string is found before it is looked up: it need not be hashable.
    rows = (row for row, name in enumerate(cells) if name is not None and type(name) is not str)
    row = next(rows, None) if set(map(type, cells)) - {str, type(None)} else None
    error = None
    if row is not None:
        text = f"Expected a table name (str object), got an object of type {name_of(type(cells[row]))}."
        error = bad_cell(label, row, cells[row], text)
        cells = cells[:row]
    codes = {name: code for code, name in enumerate(dict.fromkeys(cells))}
    bad: dict[str | None, str] = {}
    for name in codes:
        problem = "Expected a table name, got a null value" if name is None else table_problem(name)
        if problem is not None:
            bad[name] = problem
    if bad:
        row = next(row for row, name in enumerate(cells) if name in bad)
        error = bad_cell(label, row, cells[row], bad[cells[row]])
    return ([codes[name] for name in cells], [name or "" for name in codes]), error


def _free_name(label: str, written: list[int], columns: list[Column]) -> str:
    """A name for the `at` column, which is never written, that no other has; QuestDB's names have no case."""
    taken = {columns[place].label.lower() for place in written}
    while label.lower() in taken:
        label += "'"
    return label
