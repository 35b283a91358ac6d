"""The exceptions of `questframe.local`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class LocalServerError(RuntimeError):
    """The local server could not be started, or is not running (any more).

    The text says what to do about it and ends with the server's last log lines, where there are any.

    Attributes:
        log_lines: Those log lines, oldest first; empty if the server never ran.
    """

    def __init__(self, message: str, log_lines: Sequence[str] = ()) -> None:
        """Join `message` and the indented `log_lines` to one text."""
        self.log_lines: tuple[str, ...] = tuple(log_lines)
        if self.log_lines:
            message += "\nThe server's last log lines:\n" + "\n".join(f"  {line}" for line in self.log_lines)
        super().__init__(message)


class QuestDBError(RuntimeError):
    """The running server refused a query, or stopped applying writes to a table.

    Attributes:
        query: The SQL text that was sent.
        position: Where in `query` the server saw the error (0-based), or None if it did not say.
        status: The HTTP status of the answer, or None if the error is not the answer to one request.
    """

    def __init__(self, message: str, *, query: str, position: int | None = None, status: int | None = None) -> None:
        """Keep the server's `message` as the text and the rest as attributes."""
        super().__init__(message)
        self.query = query
        self.position = position
        self.status = status
