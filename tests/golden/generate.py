"""Writes the golden files beside it: Arrow frames, and the bytes the official client makes of them.

Run by hand, with the Python of the environment that has the client:

    make .venv/.oracle41
    .venv-oracle41/bin/python tests/golden/generate.py

For every case there are `NAME.v1.ilp` and `NAME.v2.ilp` (version 3 has the bytes of version 2, which is checked
here), and an entry in `manifest.json` that names the frame and the options. Every byte comes from the client:

- `questdb 4.1.0 dataframe`: from `Buffer.dataframe`. Where the client refuses a type, it was given the same values
  in one that it takes: see `accepted_column`, which only converts what loses nothing.
- `questdb 4.1.0 row`: from `Buffer.row`, for the options that `dataframe` does not have.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import questdb
import questdb.ingress as qi
from frames import FRAMES

HERE = Path(__file__).parent


@dataclass
class Case:
    """One encoding of a frame. `at` is a column's name, `"server"`, or `{"nanos": n}` / `{"micros": n}`."""

    name: str
    frame: str
    at: str | dict[str, int] = "at"
    table: str = "t"
    symbols: str | list[str] = "auto"
    options: dict[str, str] = field(default_factory=dict)


CASES = [
    Case("booleans", "booleans"),
    Case("integers", "integers"),
    Case("floats", "floats"),
    Case("floats_nan_omitted", "floats", options={"nan": "omit"}),
    Case("strings", "strings"),
    Case("strings_as_symbols", "strings", symbols="all"),
    Case("symbols", "symbols"),
    Case("symbols_none", "symbols", symbols="none"),
    Case("symbols_listed", "symbols", symbols=["plain", "i8"]),
    Case("dictionaries", "dictionaries"),
    Case("timestamps", "timestamps"),
    Case("dates", "dates"),
    Case("nulls", "nulls", options={"null_at": "server"}),
    Case("nulls_skipped", "nulls_with_empty_rows", options={"empty_rows": "skip"}),
    Case("null_booleans_false", "null_booleans", options={"null_bool": "false"}),
    Case("null_booleans_omitted", "null_booleans", options={"null_bool": "omit"}),
    Case("names_and_escapes", "names_and_escapes", table="my table=ü"),
    Case("chunks", "chunks"),
    Case("empty", "empty"),
    Case("trades", "trades", at="ts", table="trades", symbols=["sym", "side"], options={"null_at": "server"}),
    Case("trades_auto", "trades", at="ts", table="trades", options={"null_at": "server"}),
    Case("rows_300", "rows_300"),
    Case("at_seconds", "at", at="s"),
    Case("at_millis", "at", at="ms"),
    Case("at_micros", "at", at="us"),
    Case("at_micros_zoned", "at", at="us_zoned"),
    Case("at_nanos", "at", at="ns"),
    Case("at_nanos_zoned", "at", at="ns_zoned"),
    Case("at_date32", "at", at="date32"),
    Case("at_date64", "at", at="date64"),
    Case("at_server", "at", at="server"),
    Case("at_constant_nanos", "at", at={"nanos": 1_735_787_045_678_901_234}),
    Case("at_constant_micros", "at_constant", at={"micros": 1_735_787_045_678_901}),
]


def is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A dictionary column without its dictionary; texts come out as `large_string`."""
    values = [chunk.dictionary for chunk in column.chunks]
    if is_text(column.type.value_type):
        values = [array.cast(pa.large_string()) for array in values]
    return pa.chunked_array([array.take(chunk.indices) for array, chunk in zip(values, column.chunks, strict=True)])


def accepted_column(column: pa.ChunkedArray) -> pd.Series:
    """The same values in a type that `Buffer.dataframe` takes, in one chunk without an offset."""
    kind = column.type
    if column.null_count == len(column):
        return pd.Series([None] * len(column), dtype=object)
    if pa.types.is_dictionary(kind):
        values = decoded(column)
        if not is_text(kind.value_type):
            return accepted_column(values)
        texts = values.to_pylist()
        names = pd.Index(list(dict.fromkeys(text for text in texts if text is not None)), dtype=object)
        return pd.Series(pd.Categorical(texts, categories=names))
    if pa.types.is_unsigned_integer(kind):
        return pd.Series(pd.array(column.to_pylist(), dtype=str(kind).replace("uint", "UInt")))
    if pa.types.is_float16(kind):
        column = column.cast(pa.float32())
    elif is_text(kind):
        column = column.cast(pa.large_string())
    elif pa.types.is_date(kind):
        column = column.cast(pa.timestamp("us"))
    elif pa.types.is_timestamp(kind) and kind.unit in ("s", "ms"):
        column = column.cast(pa.timestamp("us", kind.tz))
    return pd.Series(column.combine_chunks(), dtype=pd.ArrowDtype(column.type))


def is_symbol(case: Case, name: str, kind: pa.DataType) -> bool:
    text = is_text(kind.value_type if pa.types.is_dictionary(kind) else kind)
    if case.symbols == "auto":
        return text and pa.types.is_dictionary(kind)
    return text and (case.symbols == "all" or (isinstance(case.symbols, list) and name in case.symbols))


def by_dataframe(case: Case, table: pa.Table, version: int) -> bytes:
    frame = pd.DataFrame({name: accepted_column(table[name]) for name in table.column_names})
    at: Any = case.at
    if isinstance(at, dict):
        at = qi.TimestampNanos(at["nanos"])
    elif at == "server":
        at = qi.ServerTimestamp
    # By name: some of the columns are of another type than in the Arrow frame, where types decide.
    symbols = [
        name
        for name in table.column_names
        if is_symbol(case, name, table.schema.field(name).type) and table[name].null_count < table.num_rows
    ]
    buffer = qi.Buffer(version)
    buffer.dataframe(frame, table_name=case.table, symbols=symbols, at=at)
    return bytes(buffer)


def row_value(case: Case, value: Any, kind: pa.DataType) -> Any:
    """The value as `Buffer.row` wants it: exact Python types, `None` for what is to be left out."""
    if pa.types.is_boolean(kind) and value is None and case.options.get("null_bool") == "false":
        return False
    if isinstance(value, float) and math.isnan(value) and case.options.get("nan") == "omit":
        return None
    return float(value) if isinstance(value, np.floating) else value


def by_row(case: Case, table: pa.Table, version: int) -> bytes:
    buffer = qi.Buffer(version)
    for row in range(table.num_rows):
        groups: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        for name in table.column_names:
            kind = table.schema.field(name).type
            if name != case.at:
                value = row_value(case, table[name][row].as_py(), kind)
                groups[0 if is_symbol(case, name, kind) else 1][name] = value
        if isinstance(case.at, dict):
            at = qi.TimestampMicros(case.at["micros"])  # noqa: PD008
        else:
            at = qi.TimestampMicros(table[case.at][row].cast(pa.timestamp("us")).value)
        buffer.row(case.table, symbols=groups[0], columns=groups[1], at=at)
    return bytes(buffer)


def main() -> None:
    assert questdb.__version__ == "4.1.0", "the golden bytes are those of the official client 4.1.0"
    for old in [*HERE.glob("*.arrow"), *HERE.glob("*.ilp")]:
        old.unlink()
    for name, batches in FRAMES.items():
        with pa.ipc.new_file(HERE / f"{name}.arrow", batches[0].schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
    entries = []
    for case in CASES:
        table = pa.Table.from_batches(FRAMES[case.frame])
        row_only = {"nan", "null_bool", "empty_rows"} & case.options.keys()
        by_rows = row_only or (isinstance(case.at, dict) and "micros" in case.at)
        encode = by_row if by_rows else by_dataframe
        v1, v2, v3 = (encode(case, table, version) for version in (1, 2, 3))
        assert v2 == v3, case.name
        (HERE / f"{case.name}.v1.ilp").write_bytes(v1)
        (HERE / f"{case.name}.v2.ilp").write_bytes(v2)
        entries.append(
            {
                "name": case.name,
                "frame": f"{case.frame}.arrow",
                "table": case.table,
                "at": case.at,
                "symbols": case.symbols,
                "null_at": case.options.get("null_at", "error"),
                "null_bool": case.options.get("null_bool", "error"),
                "empty_rows": case.options.get("empty_rows", "error"),
                "nan": case.options.get("nan", "send"),
                "provenance": f"questdb {questdb.__version__} {'row' if by_rows else 'dataframe'}",
            }
        )
        print(f"{case.name}: {table.num_rows} rows, {len(v1)} and {len(v2)} bytes")
    (HERE / "manifest.json").write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
