"""Errors of `dataframe()` in the official client's classes, codes and words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from questframe._questframe import check_name
from questframe.exceptions import IngressError, IngressErrorCode
from questframe.ingress._texts import debug

if TYPE_CHECKING:
    from questframe.ingress._frames import Prepared

__all__ = [
    "bad_cell",
    "bad_column",
    "bad_row",
    "column_name_problem",
    "not_text",
    "official",
    "refused",
    "table_problem",
]


def refused(code: IngressErrorCode, text: str) -> IngressError:
    """An error about an argument."""
    return IngressError(code, text)


def bad_column(label: str, text: str, code: IngressErrorCode = IngressErrorCode.BadDataFrame) -> IngressError:
    """An error about a whole column."""
    return IngressError(code, text, column=label)


def bad_cell(label: str, row: int, cell: object, cause: str) -> IngressError:
    """An error about one value; its row is counted from 0, whatever the index."""
    text = f"Failed to serialize value of column {label!r} at row index {row} ({cell!r}): {cause}"
    return IngressError(IngressErrorCode.BadDataFrame, text, column=label, row=row, value=repr(cell))


def bad_row(row: int) -> IngressError:
    """An error about a row in which nothing is written."""
    text = f"Bad dataframe row at index {row}: All values are nulls. Ensure at least one column is not null."
    return IngressError(IngressErrorCode.BadDataFrame, text, row=row)


def not_text(name: str) -> str | None:
    """What is wrong with a string that holds lone surrogates; None if it holds none."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        return f"Invalid codepoint {ord(name[error.start]):#x} in string {name!r}: Cannot be encoded as UTF-8."
    return None


def column_name_problem(name: str) -> IngressError | None:
    """What is wrong with a column's name but its length, which only the buffer knows the limit of."""
    try:
        check_name(name, is_table=False)
    except IngressError as error:
        return IngressError(error.code, str(error), column=name)
    return None


def table_problem(name: str) -> str | None:
    """What is wrong with a table's name but its length."""
    try:
        check_name(name, is_table=True)
    except IngressError as error:
        return str(error)
    return None


#: How the encoder words what the official client words otherwise, for values of a column.
_CAUSES = (
    ("lies before 1970", "Timestamp {value} is negative. It must be >= 0."),
    ("is too large: the most is", "Timestamp {value} is out of range."),
    ("the largest LONG", "uint64 value too large for int64 column type."),
    ("the boolean is null", "Cannot insert null values into a boolean column."),
    ("decimals need protocol version", "Protocol version v{version} does not support the decimal datatype"),
    ("arrays need protocol version", "Protocol version v{version} does not support array datatype"),
)


def official(error: IngressError, prepared: Prepared, df: Any) -> IngressError:
    """An error of the encoder as the official client raises it, with the original as its `__cause__`.

    `df` is what was given to :func:`questframe.ingress._frames.prepare`; the cell is looked up there.
    """
    made = _official(error, prepared, df)
    if made is not error:
        made.__cause__ = error
    return made


_LIMIT = re.compile(r"more than the (\d+) that")
#: One problem of the encoder: a column, a row, or both.
_PROBLEM = re.compile(
    r'(?:column "(?P<column>[^"]*)")?(?:, )?(?:row (?P<row>\d+))?(?: \(value (?P<value>.*?)\))?: (?P<cause>.*)',
    re.DOTALL,
)


def _official(error: IngressError, prepared: Prepared, df: Any) -> IngressError:
    if error.code is IngressErrorCode.InvalidName and prepared.tables is not None and error.row is not None:
        # Of the column of table names, whose names have been checked but for their length.
        codes, names = prepared.tables
        name = names[codes[error.row]]
        return bad_cell(str(prepared.table_label), error.row, name, str(error).partition("): ")[2])
    offset = 0 if error.row is None else error.row - _first_row(error)
    found = []
    for text in error.problems:
        if "no column to write" in text:
            # All are of a type that has only nulls.
            return bad_row(0)
        match = _PROBLEM.fullmatch(text)
        if match is None:
            limit = _LIMIT.search(text)
            return error if limit is None else _too_long(prepared, df, None, None, int(limit[1]))
        name = match["column"]
        position = None if name is None else _position(name, prepared)
        made = _problem(error, prepared, df, position, match, offset)
        found.append((made.row or 0, made.column is None, made))
    if not found:
        return error
    # The official client goes row by row, and sees that nothing was written at a row's end.
    return min(found, key=lambda problem: problem[:2])[2]


def _first_row(error: IngressError) -> int:
    """The row in the text of the first problem: that of the attribute may have been moved since."""
    match = _PROBLEM.fullmatch(error.problems[0]) if error.problems else None
    return error.row or 0 if match is None or match["row"] is None else int(match["row"])


def _position(name: str, prepared: Prepared) -> int | None:
    if name in prepared.origins:
        return prepared.origins[name]
    return next((place for known, place in prepared.origins.items() if debug(known) == f'"{name}"'), None)


def _problem(  # noqa: PLR0913, PLR0917 - one problem with all that is known of it
    error: IngressError,
    prepared: Prepared,
    df: Any,
    position: int | None,
    match: re.Match[str],
    offset: int,
) -> IngressError:
    cause, value = match["cause"], match["value"]
    row = None if match["row"] is None else int(match["row"]) + offset
    label = None if position is None or prepared.labels is None else prepared.labels[position]
    if "every symbol and field of the row is null" in cause and row is not None:
        return bad_row(row)
    limit = _LIMIT.search(cause)
    if limit is not None:
        return _too_long(prepared, df, label, position, int(limit[1]))
    if label is None:
        return error
    if row is None and "need protocol version" in cause:
        row = _first_value(df, position)
    if row is None:
        return error
    cell = _cell(df, position, row)
    version = re.search(r"this is version (\d)", cause)
    words = next((words for fragment, words in _CAUSES if fragment in cause), cause)
    words = words.replace("{value}", str(_instant(cell))).replace("{version}", version[1] if version else "?")
    return bad_cell(label, row, cell if cell is not None or value is None else _Shown(value), words)


class _Shown:
    """What stands for a cell that cannot be looked up."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _too_long(prepared: Prepared, df: Any, label: str | None, position: int | None, most: int) -> IngressError:
    def cause(name: str | None) -> str:
        return f'Bad name: "{name}": Too long (max {most} characters)'

    if label is not None:
        row = _first_value(df, position) or 0
        return bad_cell(label, row, _cell(df, position, row), cause(label))
    if prepared.tables is None:
        return IngressError(IngressErrorCode.InvalidName, cause(prepared.table))
    codes, names = prepared.tables
    row = next(row for row, code in enumerate(codes) if len(names[code].encode()) > most)
    name = names[codes[row]]
    return bad_cell(str(prepared.table_label), row, name, cause(name))


def _is_pandas(df: Any) -> bool:
    return hasattr(df, "iloc")


def _cell(df: Any, position: int | None, row: int) -> Any:
    """The value as its frame shows it; None where it cannot be looked at."""
    if position is None:
        return None
    if _is_pandas(df):
        return df.iloc[row, position]
    try:
        # Both polars and pyarrow; a stream has been read.
        return df[:, position][row] if hasattr(df, "lazy") else df.column(position)[row].as_py()
    except (AttributeError, IndexError, TypeError, ValueError):
        return None


def _first_value(df: Any, position: int | None) -> int | None:
    """The first row with a value."""
    if position is None or not _is_pandas(df):
        return 0 if position is not None else None
    there = df.iloc[:, position].notna().to_numpy()
    return int(there.argmax()) if there.any() else 0


def _instant(cell: Any) -> Any:
    """The number of a timestamp, in its unit."""
    return getattr(cell, "_value", cell)
