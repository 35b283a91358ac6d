"""Rows of a query as a Polars frame, exactly: from the JSON of `/exec`.

Not from Parquet, which QuestDB exports faster: that of 9.3.4 has symbols that Polars cannot decode, and once gave NULL
for all of a VARCHAR column. JSON has every double in the shortest text that gives it back.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from questframe.exceptions import IngressError, IngressErrorCode, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

__all__ = ["frame_of"]

#: Digits of the widest decimals of polars.
_MOST_DIGITS = 38
#: Those that nanoseconds have from their first day to their last.
_YEARS_OF_NANOS = ("1678", "2261")
_INSTANTS = ("DATE", "TIMESTAMP", "TIMESTAMP_NS")
_INSTANT = "%Y-%m-%dT%H:%M:%S%.fZ"
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")


def frame_of(body: bytes) -> pl.DataFrame:
    """The frame that an answer of `/exec` tells.

    Raises:
        IngressError: ServerFlushError if it is an error, or breaks off; BadDataFrame for a column of a type that JSON
            does not have.
        ImportError: if polars is missing.
    """
    try:
        import polars as pl
    except ImportError as error:
        msg = "read_questdb gives a polars.DataFrame, and polars is missing: pip install polars"
        raise ImportError(msg) from error

    try:
        # QuestDB writes control characters of strings as they are.
        answer: Any = json.loads(body, strict=False)
    except ValueError as error:
        msg = f"the server's answer is no JSON ({error}); did the query fail midway? The server's log tells"
        if b'"type":"CHAR"' in body[: body.find(b'"dataset"')]:
            msg += '. Or a CHAR is one of " and \\, which QuestDB does not escape; select it as "name"::varchar'
        raise IngressError(IngressErrorCode.ServerFlushError, msg) from error
    if not isinstance(answer, dict):
        answer = {"error": f"{type(answer).__name__} in place of an answer"}
    if "error" in answer:
        msg = f"the server refused the query: {answer['error']}"
        if "position" in answer:
            msg += f" (at position {answer['position']})"
        raise IngressError(IngressErrorCode.ServerFlushError, msg, server_message=str(answer["error"]))
    columns = answer.get("columns", [])
    rows: list[list[Any]] = answer.get("dataset", [])
    width = next((len(row) for row in rows if len(row) != len(columns)), None)
    if width is not None:
        msg = f"the server's answer has {width} values a row for {len(columns)} columns"
        raise IngressError(IngressErrorCode.ServerFlushError, msg)
    cells = list(zip(*rows, strict=True)) or [()] * len(columns)
    series = [_column(column, list(values)) for column, values in zip(columns, cells, strict=True)]
    return pl.DataFrame({made.name: made for made in series})


def _column(column: dict[str, Any], cells: list[Any]) -> pl.Series:
    """The cells of a column under its name, by QuestDB's type."""
    import polars as pl

    name, kind = column["name"], column["type"]
    make = _makers().get(kind)
    try:
        if make is not None:
            return make(name, cells)
        if kind == "ARRAY":
            dtype: Any = pl.Float64()
            for _ in range(column.get("dim", 1)):
                dtype = pl.List(dtype)
            return pl.Series(name, cells, dtype=dtype)
        decimal = _DECIMAL.fullmatch(kind)
        if decimal:
            precision, scale = map(int, decimal.groups())
            if precision > _MOST_DIGITS:
                raise _unreadable(name, f"polars has decimals of {_MOST_DIGITS} digits; select {_as_text(name)}")
            exact = [None if cell is None else Decimal(cell) for cell in cells]
            return pl.Series(name, exact, dtype=pl.Decimal(precision, scale))
    except (TypeError, ValueError, OverflowError, ArithmeticError, pl.exceptions.PolarsError) as error:
        # Polars' first line; others are about its own functions.
        why = str(error).partition("\n")[0]
        cure = f"{quoted(name)}::long {quoted(name)} in its place" if kind in _INSTANTS else _as_text(name)
        raise _unreadable(name, f"its values are no {kind} ({why}); select {cure}") from error
    if kind == "BINARY":
        raise _unreadable(name, f"BINARY has no form in JSON; select base64({quoted(name)}, 1000)")
    # Of these an empty text is a null.
    nulls = {None, ""} if kind in {"CHAR", "LONG256"} else {None}
    return pl.Series(name, [None if cell in nulls else str(cell) for cell in cells], dtype=pl.String)


def _as_text(name: str) -> str:
    return f"{quoted(name)}::varchar {quoted(name)} in its place"


def _unreadable(name: str, why: str) -> IngressError:
    return IngressError(IngressErrorCode.BadDataFrame, f"column {quoted(name)}: {why}", column=name)


def _makers() -> dict[str, Callable[[str, list[Any]], pl.Series]]:
    """How the cells of a type become a column. Of all other types the cells are text."""
    import polars as pl

    def plain(dtype: Any) -> Callable[[str, list[Any]], pl.Series]:
        return lambda name, cells: pl.Series(name, cells, dtype=dtype)

    def instant(unit: Any) -> Callable[[str, list[Any]], pl.Series]:
        def made(name: str, cells: list[Any]) -> pl.Series:
            text = pl.Series(name, cells, dtype=pl.String)
            if unit == "ns" and not text.str.slice(0, 4).is_between(*_YEARS_OF_NANOS).all():
                # QuestDB shows wrong days there, and polars goes round.
                msg = "some are not between 1678 and 2261"
                raise ValueError(msg)
            return text.str.to_datetime(_INSTANT, time_unit=unit).dt.replace_time_zone("UTC")

        return made

    return {
        "BOOLEAN": plain(pl.Boolean),
        "BYTE": plain(pl.Int8),
        "SHORT": plain(pl.Int16),
        "INT": plain(pl.Int32),
        "LONG": plain(pl.Int64),
        "FLOAT": plain(pl.Float32),
        "DOUBLE": plain(pl.Float64),
        "SYMBOL": plain(pl.Categorical),
        "DATE": instant("ms"),
        "TIMESTAMP": instant("us"),
        "TIMESTAMP_NS": instant("ns"),
    }
