"""Values that `at` takes beside a column: the server's clock, and one instant for all rows.

Example:
    >>> from questframe import ServerTimestamp, TimestampMicros, TimestampNanos
    >>> TimestampNanos(5), TimestampMicros(5).value, ServerTimestamp
    (TimestampNanos(5), 5, ServerTimestamp)
"""

from __future__ import annotations

from questframe._questframe import TimestampMicros, TimestampNanos

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = ["ServerTimestamp", "ServerTimestampType", "TimestampMicros", "TimestampNanos"]


class ServerTimestampType:
    """The type of :data:`ServerTimestamp`."""

    __slots__ = ()

    def __repr__(self) -> str:
        """The name it is known by."""
        return "ServerTimestamp"


#: Rows get the server's clock when they arrive. Such rows cannot be deduplicated.
ServerTimestamp: Final = ServerTimestampType()
