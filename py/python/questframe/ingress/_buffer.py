"""`Buffer`, as in the official client 4.x."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from questframe._questframe import RowBuffer
from questframe.ingress._frames import prepare, write

if TYPE_CHECKING:
    import datetime

    from typing_extensions import Self

    from questframe._timestamps import ServerTimestampType, TimestampMicros, TimestampNanos

    At = ServerTimestampType | TimestampNanos | TimestampMicros | datetime.datetime
    AtOrColumn = At | str | int

__all__ = ["Buffer"]


class Buffer(RowBuffer):
    r"""Rows as lines of the InfluxDB line protocol, to be sent by :meth:`Sender.flush`.

    Args:
        protocol_version: 1, 2 or 3: that of the sender, which :meth:`Sender.new_buffer` knows.
        init_buf_size: bytes of room at the beginning. Default 64 KiB; it grows as it must.
        max_name_len: bytes that names of tables and columns may have. Default 127.

    A buffer never flushes by itself. `len` and `bytes` give its lines; an empty buffer is false.

    Raises:
        IngressError: ProtocolVersionError for another version.

    Example:
        >>> from questframe.ingress import Buffer, TimestampNanos
        >>> buffer = Buffer(protocol_version=1)
        >>> buffer.row("trades", symbols={"side": "buy"}, columns={"price": 2615.5}, at=TimestampNanos(5))
        Buffer(31 bytes)
        >>> bytes(buffer)
        b'trades,side=buy price=2615.5 5\n'
    """

    def dataframe(
        self,
        df: Any,
        *,
        table_name: str | None = None,
        table_name_col: str | int | None = None,
        symbols: str | bool | list[int | str] | tuple[int | str, ...] = "auto",
        at: AtOrColumn,
    ) -> Self:
        """Append a frame.

        Args:
            df: a pandas frame, or one of Polars or pyarrow, or anything with ``__arrow_c_stream__``.
            table_name: the table of all rows. Default: the name of the pandas index.
            table_name_col: the column with each row's table, by label or position; instead of `table_name`.
            symbols: ``"auto"`` (categories), True (all strings), False (none), or labels and positions of columns.
            at: the column of the designated timestamp by label or position, one instant for all rows, or
                :data:`ServerTimestamp`.

        Returns:
            The buffer itself.

        Raises:
            IngressError: BadDataFrame for values, InvalidApiCall for arguments; the buffer is as it was before.
        """
        arguments: dict[str, Any] = {"table_name": table_name, "table_name_col": table_name_col, "symbols": symbols}
        prepared = prepare(df, **arguments, at=at, leave_costly=True)
        if prepared is not None and prepared.is_unchecked:
            try:
                self._frame(prepared.data, prepared.full_options, prepared.tables)
            except Exception:  # noqa: BLE001 - whatever it is, the cells are looked at now and the official error told
                prepared = prepare(df, **arguments, at=at)
            else:
                return self
        if prepared is not None:
            write(prepared, df, self._frame, (self._version, self.max_name_len))
        return self

    def __repr__(self) -> str:
        """How large it is."""
        return f"{type(self).__name__}({len(self)} bytes)"
