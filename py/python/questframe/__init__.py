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

from questframe import _register, spool
from questframe._api import Client, awrite_questdb, connect, plan, read_questdb, to_ilp, write_questdb
from questframe._questframe import ColumnReport, Plan, PlannedColumn, Rejected, ServerInfo, WriteReport, __version__
from questframe._timestamps import ServerTimestamp, ServerTimestampType, TimestampMicros, TimestampNanos
from questframe.exceptions import IngressError, IngressTypeError, WriteInterrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from questframe import local as local
    from questframe._option_types import WriteOptions as WriteOptions
    from questframe._table_spec import TableSpec as TableSpec
    from questframe.exceptions import IngressErrorCode as IngressErrorCode

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
    "read_questdb",
    "spool",
    "to_ilp",
    "write_questdb",
]

_register.register()


_LATE = {
    "IngressErrorCode": "questframe.exceptions",
    "TableSpec": "questframe._table_spec",
    "WriteOptions": "questframe._option_types",
    "local": "questframe.local",
}


# Type checkers would take any name for one that is here.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """What brings much along is loaded when it is asked for: the embedded server, dataclasses, enums, typing."""
        module = _LATE.get(name)
        if module is not None:
            import importlib

            found = importlib.import_module(module)
            value = globals()[name] = found if name == "local" else getattr(found, name)
            return value
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
