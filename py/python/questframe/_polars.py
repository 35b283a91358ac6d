"""Polars frames: exported slice by slice through the Arrow C stream interface, without pyarrow.

Exporting a whole frame would rechunk it in place, doubling its memory for a while. So the frame is sliced where its
own chunks end, which copies nothing and leaves the caller's frame as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from questframe.exceptions import IngressError, IngressErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

#: Frames in smaller pieces than this (rows, on average) are cheaper to copy slice by slice than to export piecewise.
_SMALL = 8_192
#: Rows of a slice of such a frame.
_SLICE = 262_144
#: Categories listed for a column, per row of it: beyond, Polars' own export of the values in use is cheaper.
_CATEGORIES_PER_ROW = 4

#: Types whose Arrow form is private to polars, and the cure.
_PRIVATE = {
    "Int128": "cast it to Int64, or to a string to keep every digit",
    "UInt128": "cast it to Int64, or to a string to keep every digit",
    "Object": "Python objects have no form in ILP; turn them into strings or numbers",
}


class PolarsFrame:
    """A Polars frame as the compiled part reads it: any number of times, in any columns."""

    def __init__(self, frame: pl.DataFrame) -> None:
        """Look at the frame's types and chunks; touches no value.

        Raises:
            IngressError: BadDataFrame for columns of types that polars does not export, InvalidName for names that it
                does not.
        """
        import polars as pl

        _refuse_nul(frame)
        _refuse_private(frame)
        #: Columns of type Null: their Arrow form is not importable, so another all-null column goes in their place.
        self.null_columns = [index for index, dtype in enumerate(frame.dtypes) if dtype == pl.Null]
        columns = [frame.to_series(index).cast(pl.Boolean) for index in self.null_columns]
        #: The strings that the codes of a categorical stand for, by the column's position; its codes are exported in
        #: place, where Polars' own export would build new codes and a new dictionary for every slice.
        self.dictionaries: dict[int, pl.Series] = {}
        columns += [column.cast(dtype) for column in frame.get_columns() if (dtype := _of_floats(column.dtype)) is not None]
        for index, (codes, texts) in _coded(frame).items():
            columns.append(codes)
            self.dictionaries[index] = texts
        self._frame = frame.with_columns(columns)
        self.rows = frame.height
        self.never_null = [
            index
            for index, column in enumerate(frame.get_columns())
            if index not in self.null_columns and column.null_count() == 0
        ]
        self._ends = self._chunk_ends()

    @property
    def schema(self) -> pl.DataFrame:
        """An empty frame of the same schema."""
        return self._frame.clear()

    def _chunk_ends(self) -> list[int]:
        ends: set[int] = set()
        for column in self._frame.get_columns():
            end = 0
            for length in column.chunk_lengths():
                end += length
                ends.add(end)
        ends.discard(0)
        if len(ends) * _SMALL > max(self.rows, _SMALL):
            return [*range(_SLICE, self.rows, _SLICE), self.rows]
        return sorted(ends)

    def streams(self, columns: list[int] | None) -> Iterator[pl.DataFrame]:
        """The frame's slices in order, of these columns (None: all)."""
        import polars as pl

        frame = self._frame
        if columns is not None:
            # Not by `select`: that runs on the thread pool of Polars, which is not there in a forked process.
            frame = pl.DataFrame([frame.to_series(index) for index in columns])
        start = 0
        for end in self._ends:
            yield frame.slice(start, end - start)
            start = end


def _of_floats(dtype: pl.DataType) -> pl.DataType | None:
    """The type with floats for the nothing that lists hold; None if they hold something, or it is no list.

    The Arrow form of nothing is not importable.
    """
    import polars as pl

    if not isinstance(dtype, pl.List):
        return None
    if dtype.inner == pl.Null:
        return pl.List(pl.Float64)
    inner = _of_floats(dtype.inner)  # type: ignore[arg-type]
    return None if inner is None else pl.List(inner)


def _coded(frame: pl.DataFrame) -> dict[int, tuple[pl.Series, pl.Series]]:
    """By position, the codes of each categorical column, and the string of every code up to the largest.

    Columns are left out if Polars' own export should do them. Those that share their categories share one list.
    """
    import polars as pl

    coded: dict[int, pl.Series] = {}
    largest: dict[tuple[pl.DataType, pl.DataType], int] = {}
    for index, column in enumerate(frame.get_columns()):
        if isinstance(column.dtype, (pl.Categorical, pl.Enum)):
            codes = column.to_physical()
            code = codes.max()
            if isinstance(code, int) and code < max(len(column) * _CATEGORIES_PER_ROW, _SMALL):
                coded[index] = codes
                shared = (column.dtype, codes.dtype)
                largest[shared] = max(code, largest.get(shared, 0))
    texts = {dtype: _texts(dtype, code_dtype, code) for (dtype, code_dtype), code in largest.items()}
    found = ((index, codes, texts[frame.dtypes[index]]) for index, codes in coded.items())
    return {index: (codes, strings) for index, codes, strings in found if strings is not None}


def _texts(dtype: pl.DataType, code_dtype: pl.DataType, largest: int) -> pl.Series | None:
    """The strings that the codes up to the largest stand for; None if this Polars cannot tell."""
    import polars as pl

    try:
        # Newer than the oldest Polars we take; codes that mean nothing are refused, too.
        texts: pl.Series = pl.Series(range(largest + 1), dtype=code_dtype).cat.to(dtype).cast(pl.String)
    except (AttributeError, TypeError, pl.exceptions.PolarsError):
        return None
    return texts


def _refuse_private(frame: pl.DataFrame) -> None:
    found = [(name, str(dtype)) for name, dtype in frame.schema.items() if str(dtype) in _PRIVATE]
    if not found:
        return
    problems = tuple(f'column "{name}": type {dtype} is not supported; {_PRIVATE[dtype]}' for name, dtype in found)
    msg = problems[0] if len(problems) == 1 else "\n  - ".join([f"{len(problems)} problems", *problems])
    raise IngressError(IngressErrorCode.BadDataFrame, msg, column=found[0][0], problems=problems)


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


def advice(data: object) -> str | None:
    """What to do with other objects of Polars."""
    import polars as pl

    if isinstance(data, pl.LazyFrame):
        return "collect the LazyFrame first: lf.collect()"
    if isinstance(data, pl.Series):
        return "make it a frame: series.to_frame()"
    return None
