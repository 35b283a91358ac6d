"""`SenderTransaction`, as in the official client 4.x."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from questframe.exceptions import IngressError, IngressErrorCode
from questframe.ingress._frames import check_first, prepare

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from questframe.ingress._buffer import At, AtOrColumn
    from questframe.ingress._sender import Sender

__all__ = ["SenderTransaction", "bad_call"]


def bad_call(msg: str) -> IngressError:
    """An error about a call at the wrong time."""
    return IngressError(IngressErrorCode.InvalidApiCall, msg)


class SenderTransaction:
    """Rows of one table that are stored all together or not at all; made by :meth:`Sender.transaction`.

    Example:
        >>> from questframe.ingress import Sender, ServerTimestamp
        >>> with Sender.from_conf("http::addr=localhost:9000;") as sender:  # doctest: +SKIP
        ...     with sender.transaction("trades") as transaction:
        ...         transaction.row(columns={"price": 2615.5}, at=ServerTimestamp)
    """

    def __init__(self, sender: Sender, table_name: str) -> None:
        """Use :meth:`Sender.transaction`."""
        if type(table_name) is not str:
            msg = f"Argument 'table_name' has incorrect type (expected str, got {type(table_name).__name__})"
            raise TypeError(msg)
        if not sender._settings.is_http:  # noqa: SLF001
            msg = "Transactions aren't supported for ILP/TCP, use ILP/HTTP instead."
            raise bad_call(msg)
        self._sender = sender
        self._table_name = table_name
        self._is_entered = False
        self._is_complete = False

    def __enter__(self) -> Self:
        """Begin: rows that wait in the sender are flushed before, if it flushes by itself."""
        sender = self._sender
        if sender._in_transaction():  # noqa: SLF001
            msg = "Already inside a transaction, can't start another."
            raise bad_call(msg)
        if len(sender):
            if not sender.auto_flush:
                msg = (
                    "Sender buffer must be clear when starting a transaction. "
                    "You must call `.flush()` before this call."
                )
                raise bad_call(msg)
            sender.flush()
        sender._set_in_transaction(value=True)  # noqa: SLF001
        self._is_entered = True
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> bool:
        """Commit, or after an exception roll back; neither if that was done already."""
        if exc_type is not None:
            if not self._is_complete:
                self.rollback()
            return False
        if not self._is_complete:
            self.commit()
        return True

    def _check(self, call: str) -> None:
        if not self._sender._is_open():  # noqa: SLF001
            msg = f"{call}() can't be called: Sender is closed."
            raise bad_call(msg)
        if not self._is_entered or self._is_complete:
            # The official client writes such rows among the sender's own, outside of any transaction.
            state = "has been completed" if self._is_complete else "has not begun: use it in a `with` statement"
            msg = f"The transaction {state}; rows can't be added to it."
            raise bad_call(msg)

    def row(
        self,
        *,
        symbols: dict[str, str | None] | None = None,
        columns: dict[str, Any] | None = None,
        at: At,
    ) -> Self:
        """Add a row; as :meth:`Sender.row`, into the transaction's table."""
        check_first(None, at)
        self._check("row")
        self._sender._row(self._table_name, symbols, columns, at)  # noqa: SLF001
        return self

    def dataframe(
        self,
        df: Any,
        *,
        symbols: str | bool | list[int | str] | tuple[int | str, ...] = "auto",
        at: AtOrColumn,
    ) -> Self:
        """Add a frame; as :meth:`Buffer.dataframe`, into the transaction's table."""
        check_first(None, at)
        self._check("dataframe")
        prepared = prepare(df, symbols=symbols, at=at, table=self._table_name)
        self._sender._write_frame(prepared, df, in_transaction=True)  # noqa: SLF001
        return self

    def commit(self) -> None:
        """Send the rows: all of them are stored, or none.

        Raises:
            IngressError: they were refused, or the transaction is over; the sender remains usable.
        """
        if self._is_complete:
            msg = "Transaction already completed, can't commit"
            raise bad_call(msg)
        sender = self._sender
        if not sender._is_open():  # noqa: SLF001
            self._is_complete = True
            sender._set_in_transaction(value=False)  # noqa: SLF001
            msg = "commit() can't be called: Sender is closed."
            raise bad_call(msg)
        try:
            if len(sender):
                sender._flush(None, True, True, True)  # noqa: SLF001, FBT003
        finally:
            self._is_complete = True
            sender._set_in_transaction(value=False)  # noqa: SLF001

    def rollback(self) -> None:
        """Forget the rows.

        Raises:
            IngressError: the transaction is over.
        """
        if self._is_complete:
            msg = "Transaction already completed, can't rollback."
            raise bad_call(msg)
        self._sender._clear()  # noqa: SLF001
        self._is_complete = True
        self._sender._set_in_transaction(value=False)  # noqa: SLF001
