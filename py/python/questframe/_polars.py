"""Polars frames: exported slice by slice through the Arrow C stream interface, without pyarrow.

Exporting a whole frame would rechunk it in place, doubling its memory for a while. So the frame is sliced where its
own chunks end, which copies nothing and leaves the caller's frame as it is.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from questframe._stream import Frames, unread
from questframe.exceptions import IngressError, IngressErrorCode, quoted, together

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

#: Frames in smaller pieces than this (rows, on average) are cheaper to copy slice by slice than to export piecewise.
_SMALL = 8_192
#: Rows of a slice of such a frame.
_SLICE = 262_144
#: Categories listed for a column, per row of it: beyond, Polars' own export of the values in use is cheaper.
_CATEGORIES_PER_ROW = 4

#: Frames of so few rows leave their categoricals to Polars' own export: to ask for codes and strings costs some 80
#: microseconds a column, however few.
_FEW = 4_096

#: Rows from which on it is cheaper to ask how many categories there are than to look for the largest code.
_ASKED = 131_072

#: Rows and values of a piece of a LazyFrame: what Polars takes by itself, and less of many columns.
_BATCH, _BATCH_CELLS = 100_000, 4_000_000

#: Types whose Arrow form is private to polars, but for integers of 128 bits in columns of their own.
_PRIVATE = {"Int128", "UInt128", "Object"}
#: What a LONG has room for; the least is refused where it is found to mean NULL.
_LEAST, _MOST = -(2**63), 2**63 - 1
#: Rows looked at together for a value that is already known to be there.
_SEARCHED = 8_192


class PolarsFrame:
    """A Polars frame as the compiled part reads it: any number of times, in any columns."""

    def __init__(self, frame: pl.DataFrame) -> None:
        """Look at the frame's types and chunks; touches values only of categories and of 128-bit integers.

        Raises:
            IngressError: BadDataFrame for columns of types that polars does not export, and for 128-bit integers that
                64 bits have no room for; InvalidName for names that it does not export.
        """
        _refuse_nul(frame)
        #: Columns of 128-bit integers, which are exported in 64.
        self._wide: list[int] = []
        #: Columns of type Null: their Arrow form is not importable, so another all-null column goes in their place.
        self.null_columns: list[int] = []
        columns: list[pl.Series] = []
        # Asked for once: to make each takes a microsecond or more, and all of this is not in the caches after a write.
        dtypes = frame.dtypes
        if not _plain_types().issuperset(map(type, dtypes)):
            frame = _by_storage(frame)
            columns, dtypes = self._odd(frame), frame.dtypes
        #: The strings that the codes of a categorical stand for, by the column's position; its codes are exported in
        #: place, where Polars' own export would build new codes and a new dictionary for every slice.
        self.dictionaries: dict[int, pl.Series] = {}
        series = frame.get_columns()
        for index, (codes, texts) in _coded(series, dtypes).items() if frame.height > _FEW else ():
            columns.append(codes)
            self.dictionaries[index] = texts
        self._frame = _replaced(frame, columns)
        self.rows = frame.height
        self.never_null = [
            index for index, column in enumerate(series) if column.null_count() == 0 and index not in self.null_columns
        ]
        self._ends = self._chunk_ends()

    def _odd(self, frame: pl.DataFrame) -> list[pl.Series]:
        """Look for types that need something done; gives columns that are to go in the place of those."""
        import polars as pl

        _refuse(frame)
        self._wide = [index for index, dtype in enumerate(frame.dtypes) if dtype in (pl.Int128, pl.UInt128)]
        self.null_columns = [index for index, dtype in enumerate(frame.dtypes) if dtype == pl.Null]
        columns = [frame.to_series(index).cast(pl.Boolean) for index in self.null_columns]
        # Lists of nulls have the same fault.
        return columns + [
            frame.to_series(index).cast(_with_items(dtype, pl.Float64()))
            for index, dtype in enumerate(frame.dtypes)
            if isinstance(dtype, (pl.List, pl.Array)) and _innermost(dtype) == pl.Null
        ]

    @property
    def schema(self) -> pl.DataFrame:
        """An empty frame of the same schema."""
        return self._narrowed(self._frame.clear())

    def _narrowed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with 128-bit integers, which are known to fit, in 64."""
        import polars as pl

        if not self._wide:
            return frame
        # Not by `with_columns`, for the reason given in `streams`.
        columns = frame.get_columns()
        for index in self._wide:
            columns[index] = columns[index].cast(pl.Int64)
        return _frame_of(columns)

    def _chunk_ends(self) -> list[int]:
        if 0 < self.rows <= _SMALL:
            return [self.rows]
        ends: set[int] = set()
        for column in self._frame.get_columns():
            end = 0
            for length in column.chunk_lengths():
                end += length
                ends.add(end)
        ends.discard(0)
        if len(ends) * _SMALL > self.rows:
            return [*range(_SLICE, self.rows, _SLICE), self.rows]
        return sorted(ends)

    def streams(self, columns: list[int] | None) -> Iterator[pl.DataFrame]:
        """The frame's slices in order, of these columns (None: all)."""
        start = 0
        for end in self._ends:
            piece = self._narrowed(self._frame.slice(start, end - start))
            if columns is not None:
                # Not by `select`: that runs on the thread pool of Polars, which is not there in a forked process.
                piece = _frame_of([piece.to_series(index) for index in columns])
            yield piece
            start = end


@functools.cache
def _plain_types() -> frozenset[type]:
    """The types that are exported as they are. To look for all others takes longer than to write a few rows."""
    import polars as pl

    integers = {pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64}
    times = {pl.Date, pl.Datetime, pl.Duration, pl.Time}
    return frozenset(integers | times | {pl.Boolean, pl.Float32, pl.Float64, pl.String, pl.Categorical, pl.Enum})


def _replaced(frame: pl.DataFrame, columns: list[pl.Series]) -> pl.DataFrame:
    """The frame with these columns in the place of those of the same names.

    Not by `with_columns`: that is a query, planned and run on the thread pool of Polars, whose sleeping threads a small
    write would wait for.
    """
    if not columns:
        return frame
    named = {column.name: column for column in columns}
    return _frame_of([named.get(column.name, column) for column in frame.get_columns()])


def _frame_of(columns: list[pl.Series]) -> pl.DataFrame:
    """A frame of these columns, which keep their names.

    In a list of series, Polars gives one whose name is empty the name `column_1`, or whatever its place is: another
    column may have it. By name it takes three times as long.
    """
    import polars as pl

    if all(column.name for column in columns):
        return pl.DataFrame(columns)
    return pl.DataFrame({column.name: column for column in columns})


def _coded(columns: list[pl.Series], dtypes: list[pl.DataType]) -> dict[int, tuple[pl.Series, pl.Series]]:
    """By position, the codes of each categorical column, and the strings that codes stand for, in their order.

    Columns are left out if Polars' own export should do them. Those that share their categories share one list.
    """
    import polars as pl

    places = [index for index, dtype in enumerate(dtypes) if isinstance(dtype, (pl.Categorical, pl.Enum))]
    coded: dict[int, tuple[pl.Series, tuple[pl.DataType, pl.DataType]]] = {}
    texts: dict[tuple[pl.DataType, pl.DataType], pl.Series | None] = {}
    largest: dict[tuple[pl.DataType, pl.DataType], int] = {}
    for index, codes in zip(places, _physical([columns[index] for index in places]), strict=True):
        shared = (dtypes[index], codes.dtype)
        if shared not in texts:
            texts[shared] = _short_list(*shared, len(codes))
        if texts[shared] is None:
            code = codes.max()
            if not isinstance(code, int) or code >= max(len(codes) * _CATEGORIES_PER_ROW, _SMALL):
                continue
            largest[shared] = max(code, largest.get(shared, 0))
        coded[index] = (codes, shared)
    texts |= {shared: _texts(*shared, code) for shared, code in largest.items()}
    found = ((index, codes, texts[shared]) for index, (codes, shared) in coded.items())
    return {index: (codes, strings) for index, codes, strings in found if strings is not None}


def _physical(columns: list[pl.Series]) -> Iterator[pl.Series]:
    """The codes of these columns: by one query, since each takes some 25 microseconds, on this thread."""
    import polars as pl

    if not columns:
        return iter(())
    return iter(_frame_of(columns).select_seq(pl.all().to_physical()).get_columns())


def _short_list(dtype: pl.DataType, code_dtype: pl.DataType, rows: int) -> pl.Series | None:
    """All strings that codes of this type stand for, if they are known to be few: then no code has to be looked at."""
    import polars as pl

    categories = getattr(dtype, "categories", None)
    if isinstance(dtype, pl.Enum):
        few = isinstance(categories, pl.Series) and 0 < len(categories) <= _SMALL
        return categories if few else None
    if rows < _ASKED or categories is None or not hasattr(categories, "to_series"):
        return None
    # Polars tells how many there are to itself alone, and lists them string by string in Python.
    count = getattr(getattr(categories, "_categories", None), "num_cats_upper_bound", None)
    if count is not None:
        known: int = count()
        if known > _SMALL:
            return None
        texts = _texts(dtype, code_dtype, known - 1) if known else None
        if texts is not None:
            return texts
    try:
        # What no category has for its code is refused.
        pl.Series([_SMALL], dtype=code_dtype).cat.to(dtype)
    except (OverflowError, TypeError, pl.exceptions.PolarsError):
        found: pl.Series = categories.to_series()
        return found if 0 < len(found) <= _SMALL else None
    return None


def _texts(dtype: pl.DataType, code_dtype: pl.DataType, largest: int) -> pl.Series | None:
    """The strings that the codes up to the largest stand for; None if this Polars cannot tell."""
    import polars as pl

    try:
        # Newer than the oldest Polars we take; codes that mean nothing are refused, too.
        texts: pl.Series = pl.Series(range(largest + 1), dtype=code_dtype).cat.to(dtype).cast(pl.String)
    except (AttributeError, TypeError, pl.exceptions.PolarsError):
        return None
    return texts


def _by_storage(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with columns of extension types as what they are stored as."""
    import polars as pl

    # Newer than the oldest Polars we take.
    extension = getattr(pl, "BaseExtension", None)
    if extension is None or not any(isinstance(dtype, extension) for dtype in frame.dtypes):
        return frame
    columns: list[Any] = [
        column.ext.storage() if isinstance(column.dtype, extension) else column for column in frame.get_columns()
    ]
    return _by_storage(_frame_of(columns))


def _innermost(dtype: Any) -> Any:
    """What lists hold, however deep; of other types the type itself."""
    import polars as pl

    while isinstance(dtype, (pl.List, pl.Array)):
        dtype = dtype.inner
    return dtype


def _with_items(dtype: Any, items: pl.DataType) -> pl.DataType:
    """The same lists, of these items."""
    import polars as pl

    if isinstance(dtype, pl.List):
        return pl.List(_with_items(dtype.inner, items))
    if isinstance(dtype, pl.Array):
        # `inner` of an array of several dimensions is an array again.
        return pl.Array(_with_items(dtype.inner, items), dtype.size)
    return items


def _is_private(dtype: Any) -> bool:
    """Whether polars keeps the Arrow form of the type, or of a part of it, to itself."""
    import polars as pl

    if isinstance(dtype, pl.Struct):
        # What polars exports of a Null within them cannot be read; they are not written anyway.
        return any(_is_private(field.dtype) or _innermost(field.dtype) == pl.Null for field in dtype.fields)
    inner = _innermost(dtype)
    return str(inner) in _PRIVATE or (isinstance(inner, pl.Struct) and _is_private(inner))


def _refuse(frame: pl.DataFrame) -> None:
    """Refuse columns that polars does not export, and values that do not fit."""
    import polars as pl

    found: list[IngressError] = []
    for column in frame.get_columns():
        dtype: Any = column.dtype
        if dtype in (pl.Int128, pl.UInt128):
            error = _beyond_long(column)
            if error is not None:
                found.append(error)
        elif _is_private(dtype):
            if dtype == pl.Object:
                cure = "Python objects have no form in ILP; turn them into strings or numbers"
            elif isinstance(dtype, pl.Struct):
                cure = "unnest it into one column per field"
            else:
                cure = "QuestDB's arrays hold DOUBLE only; cast its items to Float64"
            msg = f"column {quoted(column.name)}: type {dtype} is not supported; {cure}"
            found.append(IngressError(IngressErrorCode.BadDataFrame, msg, column=column.name))
    if found:
        blamed = [pl.Series(error.column, [None] * frame.height, dtype=pl.Null) for error in found]
        raise together(found, PolarsFrame(_replaced(frame, blamed)) if len(found) < frame.width else None)


def _beyond_long(column: pl.Series) -> IngressError | None:
    """About the first value that a LONG has no room for, if there is one."""
    # Both are None where all is null.
    least: Any = column.min()
    most: Any = column.max()
    if least is None or (least >= _LEAST and most <= _MOST):
        return None
    rows = 0
    first: tuple[int, int] | None = None
    # By plain Python, slice by slice: what Polars has for it runs on its thread pool.
    for start in range(0, len(column), _SEARCHED):
        for offset, value in enumerate(column.slice(start, _SEARCHED).to_list()):
            if value is not None and not _LEAST <= value <= _MOST:
                rows += 1
                first = first or (start + offset, value)
    if first is None:
        return None
    row, value = first
    more = {1: "", 2: " (so is one more row)"}.get(rows, f" (so are {rows - 1} more rows)")
    limit = f"above {_MOST}, the largest" if value > _MOST else f"below {_LEAST}, which is less than any"
    msg = (
        f"column {quoted(column.name)}, row {row} (value {value}): the value is {limit} LONG{more}; cast the column to "
        "a string or to Float64"
    )
    return IngressError(IngressErrorCode.BadDataFrame, msg, column=column.name, row=row, value=str(value))


def _refuse_nul(frame: pl.DataFrame) -> None:
    """Polars ends the process when it exports a name with a NUL in it."""
    for name in frame.columns:
        if "\0" in name:
            position = len(name.partition("\0")[0].encode())
            shown = name.replace("\0", "\\0")
            problem = (
                f"column name \"{shown}\" holds the character '\\0' at byte {position}, which QuestDB refuses in column"
                " names; rename it"
            )
            raise IngressError(
                IngressErrorCode.InvalidName, f'column "{shown}": {problem}', column=name, problems=(problem,)
            )


def is_frame(data: object) -> bool:
    """Whether `data` is a Polars DataFrame. Its module is loaded if so."""
    import polars as pl

    return isinstance(data, pl.DataFrame)


def is_lazy(data: object) -> bool:
    """Whether `data` is a Polars LazyFrame. Its module is loaded if so."""
    import polars as pl

    return isinstance(data, pl.LazyFrame)


def schema_of(lazy: pl.LazyFrame, table: str | None) -> pl.DataFrame:
    """An empty frame of the schema of a query, which is not run.

    Raises:
        IngressError: for a query that has none: a column or a file that is not there.
    """
    import polars as pl

    try:
        return pl.DataFrame(schema=lazy.collect_schema())
    except Exception as error:
        raise unread(error, table) from error


def frames_of(lazy: pl.LazyFrame) -> Frames:
    """The rows of a query, in order and as they become ready. It runs when the first ones are asked for."""
    return Frames(lazy, lambda: _collected(lazy), lambda frame: (PolarsFrame(frame), False))  # type: ignore[arg-type]


def _collected(lazy: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """One frame at least, if need be without rows. A query that is not read to its end is stopped."""
    import polars as pl

    empty = pl.DataFrame(schema=lazy.collect_schema())
    if not hasattr(lazy, "collect_batches"):
        # Older than the Polars that has it: all at once.
        yield lazy.collect()
        return
    given = False
    rows = min(_BATCH, max(1, _BATCH_CELLS // max(1, empty.width)))
    for frame in lazy.collect_batches(chunk_size=rows, maintain_order=True):
        given = True
        yield frame
    if not given:
        yield empty


def advice(data: object) -> str | None:
    """What to do with other objects of Polars."""
    import polars as pl

    if isinstance(data, pl.Series):
        return "make it a frame: series.to_frame()"
    return None
