"""Types for annotations: what counts as a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Union, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence, ValuesView
    from typing import TypeAlias

    import pandas as pd
    import polars as pl

__all__ = ["ArrowArrayExportable", "ArrowSchemaExportable", "ArrowStreamExportable", "Frame"]


@runtime_checkable
class ArrowStreamExportable(Protocol):
    """Anything that exports a stream of record batches: frames of polars and pandas, pyarrow, DuckDB."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """A PyCapsule with an Arrow C stream."""
        ...


@runtime_checkable
class ArrowArrayExportable(Protocol):
    """Anything that exports one record batch."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        """Two PyCapsules: schema and array."""
        ...


@runtime_checkable
class ArrowSchemaExportable(Protocol):
    """Anything that exports a schema: schemas of pyarrow and polars."""

    def __arrow_c_schema__(self) -> object:
        """A PyCapsule with an Arrow schema."""
        ...


if TYPE_CHECKING:
    OneFrame: TypeAlias = Union[ArrowStreamExportable, ArrowArrayExportable, pd.DataFrame, pl.LazyFrame]
    #: What can be written: a frame, or several that come one after another.
    Frame: TypeAlias = Union[OneFrame, Iterator[OneFrame], Sequence[OneFrame], ValuesView[OneFrame]]
else:
    Frame = Union[ArrowStreamExportable, ArrowArrayExportable]
