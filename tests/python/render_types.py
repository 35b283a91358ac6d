"""Makes docs/types.md of the type matrix, asking a real server what goes into its columns.

`python tests/python/render_types.py` writes the file; a test compares it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pyarrow as pa
from type_matrix import CASES, COLUMN_TYPES, FRONTENDS, KINDS, READ_AS, REFUSED, SPECIALS, Case, is_kept

import questframe as qf

if TYPE_CHECKING:
    from questframe.local import QuestDB

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "types.md"

HEAD = """\
<!-- Made by tests/python/render_types.py of tests/python/type_matrix.py, run against QuestDB {release}. -->

# Types

What each type of column becomes, what its nulls become, and which values QuestDB cannot hold. All of it is made of the
cases that the tests write to a real server and read back: each type in each library, without nulls, with some and with
nothing else, by each protocol version.

## New columns

The type that a column gets where neither the table nor the column is there yet. A pandas column of `pd.ArrowDtype` is
as its Arrow type. Nulls are None, `pd.NA`, NaT and, in NumPy's floats and in objects, NaN. "Refused" is an error before
a byte is sent, with column, row and value. `TableSpec(types=...)` chooses another type. Extension types that are not
here are as what they are stored as: of a tensor its numbers, in one dimension. A SYMBOL takes no NUL character, a
VARCHAR does.
"""

REFUSED_HEAD = """
Types without a form in ILP are refused with a hint:
"""

SPECIAL_HEAD = """
## Values that QuestDB does not hold

Where a value would read back as another one, it is refused before a byte is sent. NaN and the infinities of floats are
the exception: they are sent. Decimals have none: an infinite `Decimal` is refused. What would read back is what does
with the option of the last column.

| QuestDB column | value | by default | reads back as | if sent with |
|---|---|---|---|---|
"""

EXISTING_HEAD = """
## Columns that are there

A column keeps its type. **yes**: every value of the kind goes in and reads back as itself: numbers in a column of text
as their text, booleans in a column of numbers as 0 and 1, integers in a column of instants as counts of its unit, times
and durations as nanoseconds. **value**: the values that the column holds go in, others are refused, naming column, row
and value. **rounded**: to the 32 bits of a FLOAT. Empty: refused by type, with a hint. Nulls are left out, and refused
where the column has none (BOOLEAN, BYTE, SHORT). By protocol version 3; arrays need 2, decimals into a DECIMAL 3.
"""


def pandas_type(column: pd.Series) -> str:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return f"category of {column.cat.categories.dtype}"
    if column.dtype == object:
        return f"object of {type(column[0]).__name__}"
    return str(column.dtype)


def polars_type(column: pl.Series) -> str:
    if isinstance(column.dtype, pl.Enum):
        return "Enum"
    text = re.sub(r"time_unit=|, time_zone=None|shape=", "", str(column.dtype))
    return text.replace("time_zone=", "").replace("precision=", "").replace("scale=", "")


def arrow_type(column: pa.Array) -> str:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return f"dictionary<{kind.index_type}, {kind.value_type}>"
    return str(kind).replace("item: ", "").replace("run_ends: ", "").replace("values: ", "")


def types_of(case: Case, frontend: str) -> str:
    """The types in this library, as it calls them."""
    shown = {"polars": polars_type, "pandas NumPy": pandas_type, "pyarrow": arrow_type}[frontend]
    names = [shown(form.build(case.landing.given)) for form in case.forms if form.frontend == frontend]
    return ", ".join(f"`{name}`" for name in dict.fromkeys(names))


def plain(value: Any) -> str:
    """A value as the documentation writes it."""
    names = {True: "true", False: "false", None: "NULL", "": "the empty string"}
    if isinstance(value, list):
        return "[" + ", ".join("null" if item is None else plain(item) for item in value) + "]"
    return names[value] if value is None or isinstance(value, (bool, str)) and value in names else str(value)


def remarks(case: Case) -> str:
    landing = case.landing
    lost = [plain(value) for value, read in zip(landing.given, landing.reads, strict=True) if read is None]
    found = [case.remark] if case.remark else []
    if lost:
        found.append(f"{', '.join(lost)} read NULL")
    if case.v1:
        found.append(f"{case.v1.questdb_type} by protocol 1, finer values refused")
    if case.since > 1:
        found.append(f"protocol {case.since}" + (" or later" if case.since < 3 else ""))
    if case.refused:
        found.append(f"refused: {', '.join(plain(value) for value, _ in case.refused)}")
    return "; ".join(found)


def new_columns() -> str:
    lines = ["| | Polars | pandas | Arrow | QuestDB | null reads | |", "|---|---|---|---|---|---|---|"]
    for case in CASES:
        null = "refused" if case.null_refused else plain(case.null)
        cells = [types_of(case, frontend) for frontend in FRONTENDS if frontend != "pandas Arrow"]
        lines.append(f"| {case.name} | {' | '.join(cells)} | {case.landing.questdb_type} | {null} | {remarks(case)} |")
    lines.append("| nothing but nulls | `Null` | `object` without a value | `null` | not written | | |")
    return "\n".join(lines) + "\n"


def refused() -> str:
    lines = ["| | instead |", "|---|---|", *(f"| {case.name} | {case.cure} |" for case in REFUSED)]
    return "\n".join(lines) + "\n"


def specials() -> str:
    lines = []
    for case in SPECIALS:
        option = ", ".join(f"`{name}={value!r}`".replace("'", '"') for name, value in case.options.items())
        default = "sent" if case.says is None else "refused"
        lines.append(f"| {case.column} | {case.value} | {default} | {plain(case.reads)} | {option} |")
    return "\n".join(lines) + "\n"


def read_table(server: QuestDB, table: str, rows: int) -> tuple[dict[str, str], dict[str, list[Any]]]:
    """Types and columns of a table, in the order of time; instants as numbers."""
    assert server.wait_visible(table, rows) == rows
    types = dict(server.sql(f"select \"column\", type from table_columns('{table}')").rows)
    chosen = [f'cast("{name}" as {READ_AS[kind]})' if kind in READ_AS else f'"{name}"' for name, kind in types.items()]
    found: list[list[Any]] = [[] for _ in range(rows)]
    # A query travels in the URL.
    for start in range(0, len(chosen), 100):
        part = server.sql(f'select {", ".join(chosen[start : start + 100])} from "{table}"').rows
        for row, cells in zip(found, part, strict=True):
            row += cells
    return types, dict(zip(types, map(list, zip(*found, strict=True)), strict=True))


def columns_of(error: qf.IngressError, names: list[str]) -> set[str]:
    """The columns that an error is about; each has to be one of these."""
    found = {name for name in names for problem in error.problems if f'column "{name}"' in problem}
    assert len(found) == len({problem.partition('column "')[2].partition('"')[0] for problem in error.problems}), error
    return found


class Existing:
    """A table with a column of every type, and what has gone into it."""

    def __init__(self, server: QuestDB, table: str) -> None:
        self.conf, self.table = server.conf, table
        self.names = {f"c{number}": column_type for number, column_type in enumerate(COLUMN_TYPES)}
        declared = ", ".join(f"{name} {column_type}" for name, column_type in self.names.items())
        server.sql(f'create table "{table}" ({declared}, n long, ts timestamp) timestamp(ts) partition by day wal')
        #: Of each row of the table the kind, the value and the columns that took it.
        self.rows: list[tuple[str, Any, list[str]]] = []

    def options(self) -> dict[str, Any]:
        return {"table": self.table, "at": qf.TimestampMicros(len(self.rows))}

    def offer(self, kind: str) -> None:
        """Write every value of a kind into every column that takes it."""
        values, build = KINDS[kind]
        columns = list(self.names)
        try:
            qf.plan(self.frame(build(values), columns), self.conf, **self.options())
        except qf.IngressError as error:
            refused = columns_of(error, columns)
            columns = [name for name in columns if name not in refused]
        for value in values:
            # One by one: an error names the first value of a column alone.
            offered = list(columns)
            self.rows.append((kind, value, self.write(build([value]), offered)))

    def write(self, values: pa.Array, columns: list[str]) -> list[str]:
        try:
            qf.write_questdb(self.frame(values, columns), self.conf, **self.options())
        except qf.IngressError as error:
            assert (error.acked, error.doubtful) == ((), ()), error
            refused = columns_of(error, columns)
            columns = [name for name in columns if name not in refused]
            qf.write_questdb(self.frame(values, columns), self.conf, **self.options())
        return columns

    def frame(self, values: pa.Array, columns: list[str]) -> pa.Table:
        return pa.table({**dict.fromkeys(columns, values), "n": [len(self.rows)] * len(values)})

    def answer(self, kind: str, name: str, read: list[Any]) -> str:
        """What a column made of the values of a kind; `read` is the whole column."""
        tried = [(row, value, columns) for row, (of, value, columns) in enumerate(self.rows) if of == kind]
        taken = [(row, value) for row, value, columns in tried if name in columns]
        if not taken:
            return ""
        kept = all(is_kept(kind, self.names[name], value, read[row]) for row, value in taken)
        return ("yes" if len(taken) == len(tried) else "value") + ("" if kept else ", rounded")


def existing_columns(server: QuestDB, table: str) -> str:
    existing = Existing(server, table)
    for kind in KINDS:
        existing.offer(kind)
    _, found = read_table(server, table, len(existing.rows))
    assert found["n"] == list(range(len(existing.rows)))
    lines = [f"| | {' | '.join(COLUMN_TYPES)} |", "|---" * (len(COLUMN_TYPES) + 1) + "|"]
    for kind in KINDS:
        cells = [existing.answer(kind, name, found[name]) for name in existing.names]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def document(server: QuestDB, table: str) -> str:
    """The whole of docs/types.md."""
    release = qf.connect(server.conf).server_info().release
    parts = [
        HEAD.format(release=release),
        new_columns(),
        REFUSED_HEAD,
        refused(),
        SPECIAL_HEAD.strip("\n") + "\n" + specials(),
        EXISTING_HEAD,
        existing_columns(server, table),
    ]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def main() -> None:
    with qf.local.QuestDB() as server:
        text = document(server, "types")
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(text)
    print(f"{DOCUMENT}: {len(text.splitlines())} lines")


if __name__ == "__main__":
    main()
