"""The enumerations of the official module: transports, and where trusted certificates come from."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Protocol", "TaggedEnum", "TlsCa"]


class TaggedEnum(enum.Enum):
    """Members have a tag, as configuration strings write it, and a number."""

    @property
    def tag(self) -> str:
        """The short name."""
        return cast("tuple[str, int]", self.value)[0]

    @property
    def c_value(self) -> int:
        """The number that the official client's C interface has for it."""
        return cast("tuple[str, int]", self.value)[1]

    @classmethod
    def parse(cls, tag: str | Self | None) -> Self | None:
        """The member of a tag, in its exact case; a member gives itself.

        None, and a text that is no member's tag, give None, as in the official client.

        Raises:
            ValueError: if `tag` is of another type.
        """
        if tag is None:
            return None
        if isinstance(tag, str):
            return next((member for member in cls if member.tag == tag), None)
        if isinstance(tag, cls):
            return tag
        msg = f"Invalid value for {cls.__name__}: {tag!r}"
        raise ValueError(msg)


class Protocol(TaggedEnum):
    """How rows travel to the server."""

    Tcp = ("tcp", 0)
    Tcps = ("tcps", 1)
    Http = ("http", 2)
    Https = ("https", 3)

    @property
    def tls_enabled(self) -> bool:
        """Whether the connection is encrypted."""
        return self in (Protocol.Tcps, Protocol.Https)


class TlsCa(TaggedEnum):
    """Which authorities may vouch for the server's certificate."""

    #: Mozilla's list, compiled in.
    WebpkiRoots = ("webpki_roots", 0)
    #: The operating system's list.
    OsRoots = ("os_roots", 1)
    #: Both; the default.
    WebpkiAndOsRoots = ("webpki_and_os_roots", 2)
    #: The PEM file of `tls_roots`, and nothing else.
    PemFile = ("pem_file", 3)
