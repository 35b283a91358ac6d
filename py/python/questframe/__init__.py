"""Polars, pandas and Arrow frames into QuestDB: exactly, fast, in one line.

Importing this module gives ``polars.DataFrame`` its ``write_questdb``, and imports neither polars, pandas, pyarrow nor
numpy.

Example:
    >>> import polars as pl
    >>> import questframe as qf
    >>> df = pl.DataFrame({"price": [2615.54, 39269.98], "ts": [1735787045, 1735787046]})
    >>> df = df.with_columns(pl.from_epoch("ts"))
    >>> df.write_questdb("http::addr=localhost:9000;", table="trades", at="ts")  # doctest: +SKIP
    WriteReport(2 rows into "trades" in 0.004 s: ...)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from questframe import _register, spool
from questframe._api import Client, awrite_questdb, connect, plan, to_ilp, write_questdb
from questframe._options import WriteOptions
from questframe._questframe import ColumnReport, Plan, PlannedColumn, Rejected, ServerInfo, WriteReport, __version__
from questframe._table_spec import TableSpec
from questframe._timestamps import ServerTimestamp, ServerTimestampType, TimestampMicros, TimestampNanos
from questframe.exceptions import IngressError, IngressErrorCode, IngressTypeError, WriteInterrupted

if TYPE_CHECKING:
    import types

    from questframe import local as local

__all__ = [
    "Client",
    "ColumnReport",
    "IngressError",
    "IngressErrorCode",
    "IngressTypeError",
    "Plan",
    "PlannedColumn",
    "Rejected",
    "ServerInfo",
    "ServerTimestamp",
    "ServerTimestampType",
    "TableSpec",
    "TimestampMicros",
    "TimestampNanos",
    "WriteInterrupted",
    "WriteOptions",
    "WriteReport",
    "__version__",
    "awrite_questdb",
    "connect",
    "plan",
    "spool",
    "to_ilp",
    "write_questdb",
]

_register.register()


def __getattr__(name: str) -> types.ModuleType:
    """Load `questframe.local`, the embedded server, when it is first asked for."""
    if name == "local":
        return importlib.import_module("questframe.local")
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
