"""The values of single options: of which types they may be, and what they mean. Errors are the official ones."""

from __future__ import annotations

import datetime
import ipaddress
import os
from typing import Any, Final, NoReturn

from questframe.exceptions import IngressError, IngressErrorCode
from questframe.ingress._confstr import check_utf8, is_control
from questframe.ingress._enums import Protocol, TlsCa
from questframe.ingress._texts import debug_char, name_of

__all__ = [
    "BACKOFF_KEY",
    "MIN_BACKOFF",
    "backoff_of_text",
    "check_is_str",
    "checked_text",
    "http_only",
    "is_http",
    "millis",
    "millis_of",
    "protocol_of",
    "refuse",
    "split_addr",
    "tls_options",
    "unsigned",
    "version_of",
]

#: What the keyword `retry_max_backoff` is called in a configuration string.
BACKOFF_KEY: Final = "retry_max_backoff_millis"
#: Its least value, in milliseconds.
MIN_BACKOFF: Final = 10
_END_OF_U64: Final = 1 << 64


def refuse(problem: str) -> NoReturn:
    """Raise an IngressError with the code ConfigError."""
    raise IngressError(IngressErrorCode.ConfigError, problem)


def check_is_str(name: str, value: object) -> None:
    """Raise a TypeError unless it is a str."""
    # Subclasses are refused, as in the official client.
    if type(value) is not str:
        msg = f"Argument '{name}' has incorrect type (expected str, got {type(value).__name__})"
        raise TypeError(msg)


def checked_text(key: str, text: str, *, http: bool) -> str:
    """A text of the connection: no lone surrogates, no control characters; some are for one transport only."""
    check_utf8(text)
    if key == "bind_interface" and http:
        refuse('The "bind_interface" setting can only be used with the TCP protocol.')
    for position, char in enumerate(text):
        if is_control(char):
            before = len(text[:position].encode())
            refuse(f"Invalid character {debug_char(char)} at position {before}")
    return text


def protocol_of(protocol: object) -> Protocol:
    """The member of a tag. An unknown one is a ConfigError; the official client has an AttributeError there."""
    known = Protocol.parse(protocol)  # type: ignore[arg-type] # other types are refused there
    if known is None:
        tags = ", ".join(f'"{member.tag}"' for member in Protocol)
        refuse(f"Invalid value for Protocol: {protocol!r}. It must be one of {tags}.")
    return known


def is_http(protocol: Protocol) -> bool:
    """Whether the server answers requests."""
    return protocol in (Protocol.Http, Protocol.Https)


def version_of(value: object) -> int | None:
    """The protocol version; None if it is to be negotiated."""
    if value == "auto":
        return None
    for version in (1, 2, 3):
        # By equality, as in the official client: 2.0 and True pass.
        if value in (version, str(version)):
            return version
    refuse(f'"protocol_version" must be None, "auto", 1-3 not {value!r}')


def tls_options(protocol: Protocol, given: dict[str, Any]) -> dict[str, Any]:
    """The fields `tls_verify`, `tls_ca` and `tls_roots`, as far as they are not what they are by default."""
    fields: dict[str, Any] = {}
    if "tls_verify" in given:
        verify = given["tls_verify"]
        if verify is not True and verify is not False and verify not in ("on", "unsafe_off"):
            msg = f'"tls_verify" must be a bool, "on" or "unsafe_off", not {verify!r}'
            raise ValueError(msg)
        _need_tls(protocol, "tls_verify")
        fields["tls_verify"] = verify is True or verify == "on"
    if "tls_roots" in given:
        roots = str(given["tls_roots"])
        check_utf8(roots)
        _need_tls(protocol, "tls_roots")
        _check_readable(roots)
        fields |= {"tls_roots": roots, "tls_ca": TlsCa.PemFile}
    if "tls_ca" in given:
        ca = TlsCa.parse(given["tls_ca"])
        if ca is None:
            refuse(f'"tls_ca" has invalid value: {given["tls_ca"]!r}')
        _need_tls(protocol, "tls_ca")
        if fields.get("tls_ca", ca) is not ca:
            refuse('"tls_ca" is already specified: "tls_roots" means tls_ca=pem_file')
        fields["tls_ca"] = ca
    elif protocol.tls_enabled:
        fields.setdefault("tls_ca", TlsCa.WebpkiAndOsRoots)
    return fields


def _need_tls(protocol: Protocol, key: str) -> None:
    if not protocol.tls_enabled:
        refuse(f'Cannot set "{key}": TLS is not supported for protocol {protocol.tag}')


def _check_readable(path: str) -> None:
    try:
        # Not `open`, which would refuse a folder: the official client finds out when it connects.
        os.close(os.open(path, os.O_RDONLY))
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        refuse(f'Could not open root certificate file from path "{path}": {reason}')


def http_only(key: str) -> NoReturn:
    """Refuse an option of requests on a transport that has none."""
    # One of the official texts has no quotes.
    shown = key if key == "retry_timeout" else f'"{key}"'
    refuse(f"{shown} is supported only in ILP over HTTP.")


def millis(key: str, value: object) -> int:
    """Milliseconds of an int or a timedelta."""
    if isinstance(value, int):
        return unsigned(value)
    if isinstance(value, datetime.timedelta):
        return millis_of(value)
    msg = f'"{key}" must be an int or a timedelta, not {name_of(type(value))}'
    raise TypeError(msg)


def millis_of(delta: datetime.timedelta) -> int:
    """Whole milliseconds by the official formula, in which some negative times of less than a second are positive."""
    millis = delta.microseconds // 1000 + int(delta.total_seconds()) * 1000
    if millis < 0:
        msg = f"Negative timedelta not allowed: {delta!r}."
        raise ValueError(msg)
    return millis


def unsigned(value: Any) -> int:
    """What C reads as an unsigned number of 64 bits: floats lose their fraction, texts are refused."""
    if not hasattr(type(value), "__int__"):
        msg = "an integer is required"
        raise TypeError(msg)
    number = int(value)
    if number < 0:
        msg = "can't convert negative value to an unsigned number"
        raise OverflowError(msg)
    if number >= _END_OF_U64:
        msg = "Python int too large to convert to an unsigned number of 64 bits"
        raise OverflowError(msg)
    return number


def backoff_of_text(text: str) -> int | None:
    """The number of `retry_max_backoff_millis`, a key that 4.1.0 does not know: there a bad value does no harm."""
    if text.isascii() and text.isdigit() and int(text) >= MIN_BACKOFF:
        return int(text)
    return None


def split_addr(addr: str, default_port: str) -> tuple[str, str]:
    """Host and port. A list of several hosts stays as it is, and the port is for those without one."""
    if "," in addr:
        return addr, default_port
    if _is_ipv6(addr):
        return f"[{addr}]", default_port
    end = addr.find("]") + 1 if addr.startswith("[") else 0
    host, colon, port = addr[end:].partition(":")
    return addr[:end] + host, port if colon else default_port


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
