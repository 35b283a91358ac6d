"""How a missing table is created: what a caller may choose."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from questframe import _questframe
from questframe.exceptions import IngressErrorCode, IngressTypeError

if TYPE_CHECKING:
    from questframe._option_types import At, Symbols
    from questframe.types import ArrowSchemaExportable, Frame

__all__ = ["TableSpec"]


@dataclass(frozen=True)
class TableSpec:
    """How ``create=TableSpec(...)`` makes a missing table; one that is there is left as it is.

    What is not chosen is as with ``create="auto"``: the frame's columns in its order and under its names, the
    designated timestamp among them, and the types that ILP itself gives.

    Attributes:
        partition_by: the time span of a partition: ``HOUR``, ``DAY``, ``WEEK``, ``MONTH`` or ``YEAR``.
        dedup_keys: columns that, with the designated timestamp, identify a row; a later row replaces an earlier one.
            The designated timestamp need not be named. Empty: no deduplication.
        types: QuestDB types by column, as in ``{"id": "UUID", "price": "DECIMAL(18,4)"}``. A column of type Null, which
            holds nothing and is not made otherwise, is made if it has one.
        ttl: how long partitions are kept, as in ``"30 DAYS"`` or ``"2w"``; None: for ever.
        symbol_capacity: by symbol column, how many distinct values are expected.
        symbol_index: symbol columns with an index.
        narrow: give columns the smallest types that hold every value of their Arrow types: ``Int16`` a ``SHORT``
            (with nulls an ``INT``), ``Int32`` an ``INT``, ``Float32`` a ``FLOAT``, ``Date`` a ``DATE``.

    Example:
        >>> import polars as pl, questframe as qf
        >>> df = pl.DataFrame({"id": ["a"], "price": [2615.54], "ts": [1735787045]})
        >>> df = df.with_columns(pl.from_epoch("ts"))
        >>> spec = qf.TableSpec(partition_by="MONTH", dedup_keys=["id"], types={"id": "SYMBOL"})
        >>> print(spec.sql(df, table="trades", at="ts"))
        CREATE TABLE IF NOT EXISTS "trades" ("id" SYMBOL, "price" DOUBLE, "ts" TIMESTAMP) TIMESTAMP("ts") \
PARTITION BY MONTH WAL DEDUP UPSERT KEYS("ts", "id")
    """

    partition_by: str = "DAY"
    dedup_keys: Sequence[str] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    ttl: str | None = None
    symbol_capacity: Mapping[str, int] = field(default_factory=dict)
    symbol_index: Sequence[str] = ()
    narrow: bool = False

    def __post_init__(self) -> None:
        """Refuse what has another form; whether it fits a frame is seen when there is one."""
        for name in ("dedup_keys", "symbol_index"):
            value = getattr(self, name)
            if isinstance(value, str) or not isinstance(value, Collection):
                _refuse(f"{name} must be a list of column names, not {value!r}")
            if not all(isinstance(column, str) for column in value):
                _refuse(f"{name} must be a list of column names, not {value!r}")
        for name in ("types", "symbol_capacity"):
            if not isinstance(getattr(self, name), Mapping):
                _refuse(f"{name} must be a dict, not {getattr(self, name)!r}")
        if not all(isinstance(column, str) and isinstance(kind, str) for column, kind in self.types.items()):
            _refuse(f"types must be a dict of column names and types, not {dict(self.types)!r}")
        self._check_capacities()
        if not isinstance(self.partition_by, str):
            _refuse(f"partition_by must be a str, not {type(self.partition_by).__name__}")
        if self.ttl is not None and not isinstance(self.ttl, str):
            _refuse(f"ttl must be a str, not {type(self.ttl).__name__}")
        if not isinstance(self.narrow, bool):
            _refuse(f"narrow must be True or False, not {self.narrow!r}")

    def _check_capacities(self) -> None:
        for column, capacity in self.symbol_capacity.items():
            if not isinstance(column, str) or isinstance(capacity, bool) or not isinstance(capacity, int):
                _refuse(f"symbol_capacity must be a dict of column names and numbers, not {self.symbol_capacity!r}")
            if not 0 < capacity <= 1 << 25:
                _refuse(f"symbol_capacity must be from 1 to {1 << 25}, not {capacity}")

    def sql(
        self,
        schema: Frame | ArrowSchemaExportable,
        *,
        table: str,
        at: At | None = None,
        symbols: Symbols = "auto",
        protocol_version: Literal[1, 2, 3] | None = None,
    ) -> str:
        """The ``CREATE TABLE`` for frames of this schema; nothing is run.

        Args:
            schema: a frame, or a schema: of pyarrow, of polars, or anything with ``__arrow_c_schema__``.
            table: the table's name.
            at: as for :func:`questframe.write_questdb`.
            symbols: as for :func:`questframe.write_questdb`.
            protocol_version: as for :func:`questframe.write_questdb`.

        Returns:
            The statement.

        Raises:
            IngressError: everything that is wrong with the schema, the options and the specification, together.
        """
        from questframe._frames import prepare_plan, prepare_schema
        from questframe._options import CHECKED_PLAN, normalize
        from questframe._stream import leave

        given = {"table": table, "at": at, "symbols": symbols, "create": self, "protocol_version": protocol_version}
        options = normalize(given, CHECKED_PLAN, "sql")
        of_schema = prepare_schema(schema)
        prepared = (
            (of_schema, False) if of_schema is not None else prepare_plan(schema, options.get("at"), table, options)
        )
        try:
            return ";\n".join(_questframe.plan(*prepared, options).statements)
        finally:
            leave(prepared[0])


def as_options(spec: TableSpec) -> dict[str, Any]:
    """The form that the compiled part reads.

    Raises:
        IngressError: InvalidUtf8 for text that is not valid Unicode.
    """
    from questframe._options import check_unicode

    texts = (spec.dedup_keys, spec.types, spec.symbol_capacity, spec.symbol_index)
    check_unicode("TableSpec", [spec.partition_by, spec.ttl, *(text for each in texts for text in each)])
    check_unicode("TableSpec", list(spec.types.values()))
    return {
        # The default, which nobody may have chosen: then a table that has another is not told.
        "partition_by": None if spec.partition_by == "DAY" else spec.partition_by,
        "dedup_keys": list(spec.dedup_keys),
        "types": list(spec.types.items()),
        "ttl": spec.ttl,
        "symbol_capacity": list(spec.symbol_capacity.items()),
        "symbol_index": list(spec.symbol_index),
        "narrow": spec.narrow,
    }


def _refuse(message: str) -> None:
    raise IngressTypeError(IngressErrorCode.InvalidApiCall, f"TableSpec: {message}")
