"""A drop-in for ``questdb.ingress`` of the official Python client 4.x.

A program written for that client runs unchanged once ``from questdb.ingress import ...`` is
``from questframe.ingress import ...``: the same names, bytes and exceptions. What is different on purpose, and why, is
in ``docs/migration.md``. For frames, :func:`questframe.write_questdb` does more with less.
"""

from __future__ import annotations

from questframe._timestamps import ServerTimestamp, ServerTimestampType, TimestampMicros, TimestampNanos
from questframe.exceptions import IngressError, IngressErrorCode
from questframe.ingress._buffer import Buffer
from questframe.ingress._enums import Protocol, TaggedEnum, TlsCa
from questframe.ingress._sender import Sender
from questframe.ingress._transaction import SenderTransaction

# As in the official module: `SenderTransaction`, `TaggedEnum` and `VERSION` are there, and not in the list.
__all__ = [
    "WARN_HIGH_RECONNECTS",
    "Buffer",
    "IngressError",
    "IngressErrorCode",
    "Protocol",
    "Sender",
    "ServerTimestamp",
    "ServerTimestampType",
    "TimestampMicros",
    "TimestampNanos",
    "TlsCa",
]

#: Whether to warn of many connections in a short time.
WARN_HIGH_RECONNECTS = True

#: The version of the official client whose interface this is.
VERSION = "4.1.0"

# For type checkers, which would take the import for an unused one.
_ALSO = (SenderTransaction, TaggedEnum)
