"""The codes of errors, loaded with the first that is asked for: an enum brings along more than all the rest takes."""

from __future__ import annotations

import enum

__all__ = ["IngressErrorCode"]


class IngressErrorCode(enum.Enum):
    """What an error is about. Names and values are those of the official client 4.x."""

    # Where users, and what they have pickled, find it.
    __module__ = "questframe.exceptions"

    CouldNotResolveAddr = 0
    InvalidApiCall = 1
    SocketError = 2
    InvalidUtf8 = 3
    InvalidName = 4
    InvalidTimestamp = 5
    AuthError = 6
    TlsError = 7
    HttpNotSupported = 8
    ServerFlushError = 9
    ConfigError = 10
    ArrayError = 11
    ProtocolVersionError = 12
    DecimalError = 13
    BadDataFrame = 14

    def __str__(self) -> str:
        """The bare name of the member."""
        return self.name
