"""Python's datetimes as instants; loaded with the first one, since `datetime` takes a while."""

from __future__ import annotations

import datetime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

__all__ = ["micros_of_datetime"]

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MICROSECOND: Final = datetime.timedelta(microseconds=1)


def micros_of_datetime(dt: datetime.datetime) -> int:
    """Microseconds since the epoch, exactly.

    A naive datetime is local time, a naive ``pandas.Timestamp`` UTC, as its own ``timestamp()`` has it.
    """
    if not isinstance(dt, datetime.datetime):
        msg = "dt must be a datetime object."
        raise TypeError(msg)
    if type(dt) is not datetime.datetime and hasattr(dt, "nanosecond"):
        return _micros_of_pandas(dt)
    if dt.tzinfo is None:
        # Whole seconds, which a float holds. Of times that a change of the clocks leaves out it makes others than
        # `astimezone` does, and so does the official client.
        return int(dt.replace(microsecond=0).timestamp()) * 1_000_000 + dt.microsecond
    return (dt - _EPOCH) // _MICROSECOND


def _micros_of_pandas(stamp: Any) -> int:
    import pandas as pd

    if stamp is pd.NaT:
        msg = "NaTType does not support timestamp"
        raise ValueError(msg)
    utc = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    return int((utc - pd.Timestamp(0, tz="UTC")) // _MICROSECOND)
