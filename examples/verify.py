"""Does the table hold what the frame held? Both sides compute the same figures; any difference is a failure.

For every column: how many nulls, and
- numbers: sum, smallest and largest value (integers exactly; sums of floats to 1e-12, for the order of addition);
- timestamps: first, last, and the sum of whole seconds since 1970;
- symbols: how many different ones, and their summed length;
- booleans: how many are true.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import polars as pl
from rich.table import Table

if TYPE_CHECKING:
    import questframe as qf


@dataclass(frozen=True)
class Figure:
    """One figure of one column, as Polars computes it and as SQL does."""

    column: str
    label: str
    polars: pl.Expr
    sql: str


@dataclass(frozen=True)
class Compared:
    """One figure from both sides."""

    label: str
    polars: float | None
    questdb: float | None

    @property
    def equal(self) -> bool:
        """Equal exactly, or for floats to 1e-12 of their size."""
        if isinstance(self.polars, float) and self.questdb is not None:
            return math.isclose(self.polars, self.questdb, rel_tol=1e-12)
        return self.polars == self.questdb

    def show(self, value: float | None) -> str:
        """Write the figure of one side as text."""
        if value is None:
            return "null"
        if self.label in {"first", "last"}:
            return f"{datetime.fromtimestamp(value / 1e6, timezone.utc):%Y-%m-%d %H:%M}"
        return f"{value:,.10g}" if isinstance(value, float) else f"{value:,}"


def figures(name: str, dtype: pl.DataType) -> list[Figure]:
    """List everything that is compared for one column."""
    column = pl.col(name)
    if dtype == pl.Boolean:
        return [Figure(name, "true", column.sum(), f"sum(CASE WHEN {name} THEN 1 ELSE 0 END)")]
    nulls = Figure(name, "nulls", column.null_count(), f"count() - count({name})")
    if dtype.is_temporal():
        micros = column.dt.timestamp("us")
        return [
            nulls,
            Figure(name, "first", micros.min(), f"min({name})::LONG"),
            Figure(name, "last", micros.max(), f"max({name})::LONG"),
            Figure(name, "seconds", (micros // 1_000_000).sum(), f"sum({name}::LONG / 1000000)"),
        ]
    if dtype.is_numeric():
        total = "ksum" if dtype.is_float() else "sum"  # ksum: without rounding errors piling up
        return [
            nulls,
            Figure(name, "sum", column.sum(), f"{total}({name})"),
            Figure(name, "min", column.min(), f"min({name})"),
            Figure(name, "max", column.max(), f"max({name})"),
        ]
    letters = f"CASE WHEN {name} IS NULL THEN 0 ELSE length({name}) END"  # length(NULL) is -1 in QuestDB
    return [
        nulls,
        Figure(name, "different", column.drop_nulls().n_unique(), f"count_distinct({name})"),
        Figure(name, "letters", column.cast(pl.String).str.len_chars().sum(), f"sum({letters})"),
    ]


def verify(db: qf.local.QuestDB, table: str, frame: pl.DataFrame) -> tuple[Table, int]:
    """Compare `table` with `frame`. Gives a printable table, one line per column, and the number of differences."""
    wanted = [figure for name, dtype in frame.schema.items() for figure in figures(name, dtype)]
    ours = frame.select(figure.polars.alias(f"{figure.column} {figure.label}") for figure in wanted).row(0)
    rows, *theirs = db.sql(f"SELECT count(), {', '.join(figure.sql for figure in wanted)} FROM {table}")[0]
    types: dict[str, str] = dict(db.sql(f"SELECT \"column\", type FROM table_columns('{table}')"))

    lines = {"(rows)": [Compared("count", len(frame), rows)]}
    for figure, left, right in zip(wanted, ours, theirs, strict=True):
        lines.setdefault(figure.column, []).append(Compared(figure.label, left, right))

    printable = Table("column", "in QuestDB", "Polars", "QuestDB", "", title=table, title_justify="left")
    for column, compared in lines.items():
        equal = all(each.equal for each in compared)
        printable.add_row(
            column,
            types.get(column, ""),
            ", ".join(f"{each.label} {each.show(each.polars)}" for each in compared),
            ", ".join(f"{each.label} {each.show(each.questdb)}" for each in compared),
            "[green]ok[/]" if equal else "[bold red]DIFFERS[/]",
        )
    return printable, sum(not each.equal for compared in lines.values() for each in compared)
