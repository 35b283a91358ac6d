"""Configuration strings, `scheme::key=value;key=value;`: their grammar, and warnings about keys that nobody knows.

The grammar is the official parser's, character by character, with its texts: positions count bytes of UTF-8 from 0. It
is written out here, though there is a library, as that one forgets the order of the keys: what follows a secret may be
a part of it, and is not shown.
"""

from __future__ import annotations

import difflib
import itertools
from typing import NoReturn

from questframe.exceptions import IngressError, IngressErrorCode
from questframe.ingress._texts import debug_char
from questframe.ingress._warnings import warn

__all__ = ["check_utf8", "is_control", "parse_conf", "warn_of_unknown_keys"]

#: The keys of the official client over ILP.
OFFICIAL_KEYS = (
    "addr",
    "bind_interface",
    "username",
    "password",
    "token",
    "token_x",
    "token_y",
    "auth_timeout",
    "tls_verify",
    "tls_ca",
    "tls_roots",
    "tls_roots_password",
    "max_buf_size",
    "retry_timeout",
    "retry_max_backoff_millis",
    "request_min_throughput",
    "request_timeout",
    "auto_flush",
    "auto_flush_rows",
    "auto_flush_bytes",
    "auto_flush_interval",
    "protocol_version",
    "init_buf_size",
    "max_name_len",
)

#: Keys of questframe's own, and of other official transports (those of `FOREIGN_KEYS` in `src/config/params.rs`).
OTHER_KEYS = frozenset(
    """
    connections pool_bytes table at spool_dir spool_max_bytes
    sender_pool_min sender_pool_max query_pool_min query_pool_max acquire_timeout_ms idle_timeout_ms pool_reap
    lazy_connect sf_dir sender_id sf_max_segment_bytes sf_max_total_bytes sf_durability sf_sync_interval_millis
    sf_append_deadline_millis reconnect_max_duration_millis reconnect_initial_backoff_millis
    reconnect_max_backoff_millis initial_connect_retry connect_timeout auth_timeout_ms close_flush_timeout_millis
    request_durable_ack durable_ack_keepalive_interval_millis drain_orphans max_background_drainers
    error_inbox_capacity max_frame_rejections poison_min_escalation_window_millis target zone client_id path
    max_datagram_size multicast_ttl qwp_ws_progress
    """.split()  # noqa: SIM905 - as a list, one a line, they would fill a page
)
#: Families of them.
OTHER_PREFIXES = ("failover", "compression")

SECRETS = frozenset({"password", "token", "token_x", "token_y", "tls_roots_password"})


def is_known(key: str) -> bool:
    """Whether some QuestDB client gives the key a meaning."""
    return key in OFFICIAL_KEYS or key in OTHER_KEYS or key.startswith(OTHER_PREFIXES)


def is_control(char: str) -> bool:
    """Whether no value may hold the character."""
    return char <= "\x1f" or "\x7f" <= char <= "\x9f"


def check_utf8(text: str) -> None:
    """Refuse lone surrogates. The error does not show the text, which may be a secret.

    Raises:
        IngressError: with the code InvalidUtf8.
    """
    for char in text:
        if "\ud800" <= char <= "\udfff":
            msg = f"Invalid codepoint {ord(char):#x}: Cannot be encoded as UTF-8."
            raise IngressError(IngressErrorCode.InvalidUtf8, msg)


class _Parser:
    """Reads one string from its start to its end; `position` counts characters."""

    def __init__(self, conf: str) -> None:
        self.conf = conf
        self.position = 0

    def error(self, problem: str, position: int) -> IngressError:
        before = len(self.conf[:position].encode())
        return IngressError(IngressErrorCode.ConfigError, f"{problem} at position {before}")

    def at(self, position: int) -> str:
        """The character there; nothing after the end."""
        return self.conf[position : position + 1]

    def identifier(self) -> str:
        start = self.position
        while (char := self.at(self.position)) and char.isascii() and (char.isalnum() or char == "_"):
            self.position += 1
        if char and start == self.position:
            problem = f"expected identifier to start with ascii letter, not {debug_char(char)}"
            raise self.error(problem, start)
        if char and (not char.isascii() or char <= " "):
            problem = f"must be alphanumeric, not {debug_char(char)}"
            raise self.error(problem, self.position)
        if start == self.position:
            problem = "expected identifier, not an empty string"
            raise self.error(problem, start)
        return self.conf[start : self.position]

    def double_colon(self) -> bool:
        """False if the scheme is all there is."""
        first, second = self.at(self.position), self.at(self.position + 1)
        if not first:
            return False
        if first + second != "::":
            # The second character is to blame if there is one behind a colon.
            wrong = self.position + 1 if first == ":" and second else self.position
            self.bad_separator(":", wrong)
        self.position += 2
        return True

    def bad_separator(self, expected: str, position: int) -> NoReturn:
        got = debug_char(self.at(position))
        problem = f"bad separator, expected {debug_char(expected)} got {got}"
        raise self.error(problem, position)

    def value(self) -> str:
        """Up to the next single ';' and behind it; two of them stand for one."""
        parts: list[str] = []
        while char := self.at(self.position):
            if char == ";":
                if self.at(self.position + 1) != ";":
                    break
                self.position += 1
            elif is_control(char):
                problem = f"invalid char {debug_char(char)} in value"
                raise self.error(problem, self.position)
            parts.append(char)
            self.position += 1
        self.position += 1
        return "".join(parts)

    def params(self) -> dict[str, str]:
        params: dict[str, str] = {}
        while self.at(self.position):
            start = self.position
            key = self.identifier()
            if key in params:
                # What is no key may be a part of a secret that holds a ';'.
                named = f' "{key}"' if is_known(key) else ""
                problem = f"duplicate key{named}"
                raise self.error(problem, start)
            if not (char := self.at(self.position)):
                problem = "incomplete key-value pair before end of input"
                raise self.error(problem, self.position)
            if char != "=":
                self.bad_separator("=", self.position)
            self.position += 1
            params[key] = self.value()
        return params


def parse_conf(conf: str) -> tuple[str, dict[str, str]]:
    """The scheme of a configuration string, and its keys in their order.

    Raises:
        IngressError: ConfigError with the byte position if it breaks the grammar or has a key twice; InvalidUtf8.
    """
    check_utf8(conf)
    parser = _Parser(conf)
    scheme = parser.identifier()
    return scheme, parser.params() if parser.double_colon() else {}


def warn_of_unknown_keys(params: dict[str, str]) -> None:
    """One UserWarning about the keys without any effect, with the nearest ones that have some; it shows no value.

    The official client ignores such keys in silence. The warning names the caller's line outside this package.
    """
    keys = list(params)
    unknown = [key for key in keys if not is_known(key)]
    if not unknown:
        return
    for before, key in itertools.pairwise(keys):
        if before in SECRETS and key in unknown:
            text = (
                f'An unknown key (not shown, it may be a part of the secret) follows the value of "{before}" in the '
                "configuration string; a ';' inside a value is written ';;'."
            )
            break
    else:
        listed = ", ".join(f'"{key}"{_hint(key)}' for key in unknown)
        text = f"Unknown keys in the configuration string have no effect: {listed}."
    warn(text)


def _hint(key: str) -> str:
    lower = key.lower()
    # "retry_max_backoff" is nearer to what it begins than to "retry_timeout".
    nearest = [known for known in OFFICIAL_KEYS if len(lower) > len("addr") and known.startswith(lower)]
    nearest += difflib.get_close_matches(lower, OFFICIAL_KEYS, n=1, cutoff=0.7)
    return f' (did you mean "{nearest[0]}"?)' if nearest else ""
