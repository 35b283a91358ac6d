"""Frames that are Arrow: polars, pyarrow, and whatever exports itself as Arrow."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from questframe.ingress._frame_errors import bad_column
from questframe.ingress._frames import Column

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from questframe.exceptions import IngressError
    from questframe.ingress._frames import Source


def kind_of(arrow_type: pa.DataType) -> str | None:
    """What a column of this type is (see `_frames.Column`); None if it has no form in ILP."""
    import pyarrow as pa

    types = pa.types
    if types.is_null(arrow_type):
        return "null"
    if _is_text(arrow_type):
        return "strings"
    if types.is_dictionary(arrow_type):
        return "categories" if _is_text(arrow_type.value_type) else None
    if types.is_timestamp(arrow_type) or types.is_date(arrow_type):
        return "instants"
    inner = arrow_type
    while types.is_list(inner) or types.is_large_list(inner) or types.is_fixed_size_list(inner):
        inner = inner.value_type
    if inner is not arrow_type:
        return "other" if types.is_floating(inner) or types.is_integer(inner) or types.is_null(inner) else None
    tests = ("is_boolean", "is_integer", "is_floating", "is_decimal", "is_duration", "is_time")
    return "other" if any(getattr(types, test)(arrow_type) for test in tests) else None


def _is_text(arrow_type: pa.DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    is_view = getattr(types, "is_string_view", None)
    return (
        types.is_string(arrow_type)
        or types.is_large_string(arrow_type)
        or (is_view is not None and bool(is_view(arrow_type)))
    )


def source_of(df: Any) -> Source | None:
    """The columns of a frame that is not pandas'; None if it is none."""
    if "polars" in sys.modules:
        import polars as pl

        if isinstance(df, pl.LazyFrame):
            df = df.collect()
        if isinstance(df, pl.DataFrame):
            return PolarsSource(df)
        if isinstance(df, pl.Series):
            return None
    if not hasattr(df, "__arrow_c_stream__") and not hasattr(df, "__arrow_c_array__"):
        return None
    import pyarrow as pa

    if isinstance(df, (pa.Array, pa.ChunkedArray)) and not isinstance(df, pa.StructArray):
        return None
    return ArrowSource(df if isinstance(df, pa.Table) else pa.table(df))


class ArrowSource:
    """A pyarrow Table; see `_frames.Source`."""

    default_table: object = None

    def __init__(self, table: pa.Table) -> None:
        """Look at the types.

        Raises:
            IngressError: BadDataFrame for types that are not supported.
        """
        self._table = table
        self.rows: int = table.num_rows
        self.columns: list[Column] = []
        for place, field in enumerate(table.schema):
            kind = kind_of(getattr(field.type, "storage_type", field.type))
            if str(field.type) == "extension<arrow.uuid>":
                kind = "other"
            if kind is None and self.rows:
                text = f"Unsupported arrow type {field.type} for column {field.name!r}."
                raise bad_column(field.name, text)
            self.columns.append(Column(field.name, str(field.type), kind or "other", place))

    def names(self, position: int) -> list[str | None]:
        """The strings of a column."""
        names: list[str | None] = self._table.column(position).to_pylist()
        return names

    def problem(self, position: int) -> IngressError | None:
        """Left to the encoder."""

    def is_costly(self, position: int) -> bool:  # noqa: ARG002 - of `_frames.Source`
        """Never: see `problem`."""
        return False

    def take(self, positions: list[tuple[int, str]], rows: int) -> object:
        """The first rows of these columns, under these names."""
        # Not by `Table.select`, which forgets the number of rows; here there is at least one column.
        table = self._table.slice(0, rows)
        return table.select([place for place, _ in positions]).rename_columns([name for _, name in positions])


class PolarsSource:
    """A polars DataFrame; see `_frames.Source`."""

    default_table: object = None

    def __init__(self, frame: pl.DataFrame) -> None:
        """Look at the types; those that have no form in ILP are left to the adapter and the encoder."""
        self._frame = frame
        self.rows: int = frame.height
        self.columns = [Column(name, str(dtype), _polars_kind(dtype)) for name, dtype in frame.schema.items()]

    def names(self, position: int) -> list[str | None]:
        """The strings of a column."""
        import polars as pl

        names: list[str | None] = self._frame.to_series(position).cast(pl.String).to_list()
        return names

    def problem(self, position: int) -> IngressError | None:
        """Left to the encoder."""

    def is_costly(self, position: int) -> bool:  # noqa: ARG002 - of `_frames.Source`
        """Never: see `problem`."""
        return False

    def take(self, positions: list[tuple[int, str]], rows: int) -> object:
        """The first rows of these columns, under these names."""
        import polars as pl

        from questframe import _polars

        frame = pl.DataFrame([self._frame.to_series(place).alias(name) for place, name in positions])
        return _polars.PolarsFrame(frame.head(rows))


def _polars_kind(dtype: Any) -> str:
    import polars as pl

    if dtype == pl.Null:
        return "null"
    if dtype == pl.String:
        return "strings"
    if isinstance(dtype, (pl.Categorical, pl.Enum)):
        return "categories"
    return "instants" if isinstance(dtype, (pl.Datetime, pl.Date)) else "other"
