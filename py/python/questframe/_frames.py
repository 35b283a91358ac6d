"""What users hold, told apart without importing anything: only a library that made the object can be asked about it."""

from __future__ import annotations

import sys

from questframe import _questframe, _stream, exceptions
from questframe.exceptions import IngressError, IngressTypeError, and_more, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["prepare", "prepare_plan", "prepare_schema"]


def prepare_schema(data: object) -> Any | None:
    """The form of a bare schema that the compiled part takes; None if `data` is none."""
    if "polars" in sys.modules:
        import polars as pl

        if isinstance(data, pl.Schema):
            from questframe import _polars

            return _polars.PolarsFrame(pl.DataFrame(schema=data))
    is_schema = hasattr(data, "__arrow_c_schema__") and not hasattr(data, "__arrow_c_stream__")
    return data if is_schema and not hasattr(data, "__arrow_c_array__") else None


def prepare(
    data: object, at: object, table: str | None = None, options: dict[str, Any] | None = None
) -> tuple[Any, bool]:
    """The form of `data` that the compiled part takes, and whether its batches are in memory, to be read twice.

    `at` is the option of this name, or None: for pandas frames it may name the index. `table` is named by errors, which
    list also what is wrong with all other columns under these options.

    Raises:
        IngressTypeError: if it is no frame, with what would be one.
        IngressError: for all that a frame holds that has no Arrow form.
    """
    try:
        prepared, is_table = _prepare(data, at)
    except IngressError as error:
        if isinstance(error, TypeError):
            raise
        whole = _with_others(error, {**(options or {}), "at": at, "table": table})
        error._rest = None  # noqa: SLF001
        if table is not None:
            whole._in_table(table)  # noqa: SLF001
        try:
            raise whole from None
        finally:
            # The frame would stay as long as its own error.
            del whole
    if isinstance(prepared, _stream.Frames):
        prepared.table, prepared.at = table, at
    return prepared, is_table


def _with_others(error: IngressError, options: dict[str, Any]) -> IngressError:
    """The error with what is wrong with columns that it is not about, as far as that is seen without a server."""
    if error._rest is None:  # noqa: SLF001
        return error
    given = {name: value for name, value in options.items() if value is not None}
    if given.get("create") == "never":
        # Whether there is a table is not known here.
        del given["create"]
    try:
        # One of the columns that it is about, which are nulls here, may be the only timestamp.
        _questframe.plan(error._rest, False, {"at": ("server", 0), **given})  # noqa: FBT003, SLF001
    except IngressError as others:
        # Said of columns that are nulls here, or of what is left beside them, it means nothing.
        known = (*(f"column {quoted(name)}" for name in error._blamed), "the frame has no column to write")  # noqa: SLF001
        return and_more(error, [problem for problem in others.problems if not problem.startswith(known)])
    return error


def prepare_plan(
    data: object, at: object, table: str | None = None, options: dict[str, Any] | None = None
) -> tuple[Any, bool]:
    """As `prepare`, for a plan: of a LazyFrame the schema is enough."""
    if "polars" in sys.modules:
        from questframe import _polars

        if _polars.is_lazy(data):
            data = _polars.schema_of(data, table)  # type: ignore[arg-type]
    return prepare(data, at, table, options)


def _prepare(data: object, at: object, *, one: bool = False) -> tuple[Any, bool]:
    """As `prepare`; `one` is one of several frames, and no list or iterator again."""
    # An object of a library cannot exist unless that library is loaded, so none is imported for this.
    if "polars" in sys.modules:
        from questframe import _polars

        if _polars.is_frame(data):
            return _polars.PolarsFrame(data), False  # type: ignore[arg-type]
        if _polars.is_lazy(data):
            return _polars.frames_of(data), False  # type: ignore[arg-type]
        _refuse(_polars.advice(data), data)
    if "pandas" in sys.modules:
        from questframe import _pandas

        if _pandas.is_frame(data):
            return _pandas.columns_of(data, at), False  # type: ignore[arg-type]
        _refuse(_pandas.advice(data), data)
    if _is_table(data):
        return data, True
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        return data, False
    frames = None if one else _stream.frames_of(data, lambda frame: _prepare(frame, at, one=True))
    if frames is not None:
        return frames, False
    _refuse(
        "pass a polars or pandas DataFrame, a polars LazyFrame, a pyarrow Table, RecordBatch or RecordBatchReader, "
        "any object with __arrow_c_stream__, or an iterator of those",
        data,
    )
    raise AssertionError


def _is_table(data: object) -> bool:
    """Whether it is an Arrow table of pyarrow's, in memory."""
    if "pyarrow" not in sys.modules:
        return False
    import pyarrow as pa

    if isinstance(data, (pa.Array, pa.ChunkedArray)) and not isinstance(data, pa.StructArray):
        _refuse('make it a table: pyarrow.table({"name": array})', data)
    return isinstance(data, (pa.Table, pa.RecordBatch))


def _refuse(advice: str | None, data: object) -> None:
    if advice is not None:
        kind = type(data)
        msg = f"an object of type {kind.__module__}.{kind.__qualname__} is no frame; {advice}"
        raise IngressTypeError(exceptions.IngressErrorCode.InvalidApiCall, msg)
