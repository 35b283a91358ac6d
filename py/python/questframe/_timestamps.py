"""Values that `at` takes beside a column: the server's clock, and one instant for all rows."""

from __future__ import annotations

import datetime
import time
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

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class _Instant:
    __slots__ = ("_value",)
    _per_second = 1

    def __init__(self, value: int) -> None:
        value = int(value)
        if value < 0:
            msg = "value must be a positive integer."
            raise ValueError(msg)
        if value >= 1 << 63:
            msg = "value does not fit 64 bits."
            raise OverflowError(msg)
        self._value = value

    @property
    def value(self) -> int:
        """Units since 1970-01-01 UTC."""
        return self._value

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._value})"


class TimestampNanos(_Instant):
    """An instant in nanoseconds since 1970-01-01 UTC.

    Raises:
        ValueError: if negative.
        OverflowError: if it does not fit 64 bits.

    Example:
        >>> TimestampNanos(5)
        TimestampNanos(5)
    """

    __slots__ = ()

    @classmethod
    def now(cls) -> TimestampNanos:
        """The present instant of this machine's clock."""
        return cls(time.time_ns())

    @classmethod
    def from_datetime(cls, dt: datetime.datetime) -> TimestampNanos:
        """An aware datetime; a naive one is taken for local time, as the official client does."""
        return cls(micros_of_datetime(dt) * 1000)


class TimestampMicros(_Instant):
    """An instant in microseconds since 1970-01-01 UTC.

    Raises:
        ValueError: if negative.
        OverflowError: if it does not fit 64 bits.

    Example:
        >>> TimestampMicros(5).value
        5
    """

    __slots__ = ()

    @classmethod
    def now(cls) -> TimestampMicros:
        """The present instant of this machine's clock."""
        return cls(time.time_ns() // 1000)

    @classmethod
    def from_datetime(cls, dt: datetime.datetime) -> TimestampMicros:
        """An aware datetime; a naive one is taken for local time, as the official client does."""
        return cls(micros_of_datetime(dt))


def micros_of_datetime(dt: datetime.datetime) -> int:
    """Microseconds since the epoch, exactly; a naive datetime is local time."""
    if not isinstance(dt, datetime.datetime):
        msg = "dt must be a datetime object."
        raise TypeError(msg)
    return (dt.astimezone(datetime.timezone.utc) - _EPOCH) // datetime.timedelta(microseconds=1)
