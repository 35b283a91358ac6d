"""What a sender is told: constructor arguments or a configuration string, checked as the official client does.

The order of the checks is the official one, since it decides which of several errors is raised.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Final

from questframe.ingress._confstr import check_utf8, parse_conf, warn_of_unknown_keys
from questframe.ingress._credentials import credentials_problem
from questframe.ingress._enums import Protocol, TlsCa
from questframe.ingress._flush_triggers import parse_triggers
from questframe.ingress._option_values import (
    BACKOFF_KEY,
    MIN_BACKOFF,
    backoff_of_text,
    check_is_str,
    checked_text,
    http_only,
    is_http,
    millis,
    millis_of,
    protocol_of,
    refuse,
    split_addr,
    tls_options,
    unsigned,
    version_of,
)
from questframe.ingress._texts import name_of

__all__ = ["CONF_ENV", "KEYWORDS", "Settings"]

#: The environment variable of `from_env`.
CONF_ENV: Final = "QDB_CLIENT_CONF"

_CREDENTIALS: Final = ("username", "password", "token", "token_x", "token_y")
_TEXTS: Final = ("bind_interface", *_CREDENTIALS)

#: Every keyword of the constructor, `from_conf` and `from_env`: those of 4.1.0, and `retry_max_backoff` of 6.0.0.
KEYWORDS: Final = (
    *_TEXTS,
    "auth_timeout",
    "tls_verify",
    "tls_ca",
    "tls_roots",
    "max_buf_size",
    "retry_timeout",
    "request_min_throughput",
    "request_timeout",
    "retry_max_backoff",
    "auto_flush",
    "auto_flush_rows",
    "auto_flush_bytes",
    "auto_flush_interval",
    "protocol_version",
    "init_buf_size",
    "max_name_len",
)

#: Keys whose values in a string are whole numbers, by Python's own rules for them.
_NUMBERS: Final = (
    "auth_timeout",
    "max_buf_size",
    "retry_timeout",
    "request_min_throughput",
    "request_timeout",
    "init_buf_size",
    "max_name_len",
)

#: The least values of other limits, with the official texts.
_LEAST: Final = {
    "max_buf_size": (1024, '"max_buf_size" must be at least 1024 bytes.'),
    "max_name_len": (16, "max_name_len must be at least 16 bytes."),
    "request_timeout": (1, '"request_timeout" must be greater than 0.'),
}
_DEFAULT_INIT_BUF_SIZE: Final = 65536


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of one sender, all of them valid by themselves; nothing is connected yet. Times are milliseconds.

    `port` is not checked, and credentials are checked by `check_auth` only: the official client does both when it
    connects. The repr shows no secret.
    """

    protocol: Protocol
    #: A name or an address; for HTTP also several with commas between them, each with a port of its own or with `port`.
    host: str
    port: str
    bind_interface: str | None = None
    username: str | None = None
    password: str | None = dataclasses.field(default=None, repr=False)
    token: str | None = dataclasses.field(default=None, repr=False)
    token_x: str | None = dataclasses.field(default=None, repr=False)
    token_y: str | None = dataclasses.field(default=None, repr=False)
    auth_timeout: int = 15_000
    tls_verify: bool = True
    #: None without TLS.
    tls_ca: TlsCa | None = None
    tls_roots: str | None = None
    max_buf_size: int = 100 << 20
    retry_timeout: int = 10_000
    #: Bytes per second; 0 if a request's size is not to matter for its time limit.
    request_min_throughput: int = 100 << 10
    request_timeout: int = 10_000
    retry_max_backoff: int = 1_000
    auto_flush: bool = True
    #: The three triggers; all None when auto-flush is off.
    auto_flush_rows: int | None = None
    auto_flush_bytes: int | None = None
    auto_flush_interval: int | None = None
    #: None to negotiate it.
    protocol_version: int | None = None
    init_buf_size: int = _DEFAULT_INIT_BUF_SIZE
    max_name_len: int = 127

    @property
    def is_http(self) -> bool:
        """Whether the server answers requests."""
        return is_http(self.protocol)

    @classmethod
    def from_arguments(cls, protocol: Protocol | str, host: str, port: int | str, **keywords: Any) -> Settings:
        """The settings of the constructor's arguments; None in a keyword is as if it were absent.

        Raises:
            IngressError: ConfigError for values that their option does not take or the protocol does not know;
                InvalidUtf8 for lone surrogates.
            TypeError: for arguments of a wrong type, and keywords that do not exist.
            ValueError: for numbers out of range, and what is no protocol.
            OverflowError: for sizes and times below 0 or of more than 64 bits.
        """
        if host is not None:
            check_is_str("host", host)
        given = _given("__init__", keywords)
        known = protocol_of(protocol)
        # A bool and a subclass of int are no int here, as in the official client.
        if type(port) is int:
            port_text = str(port)
        elif type(port) is str:
            port_text = port
        else:
            msg = f"port must be an int or a str, not {name_of(type(port))}"
            raise TypeError(msg)
        if host is None:
            msg = "Expected a str object, not an object of type NoneType"
            raise TypeError(msg)
        check_utf8(host)
        check_utf8(port_text)
        return cls._checked(known, host, port_text, given)

    @classmethod
    def from_conf(cls, conf_str: str, **keywords: Any) -> Settings:
        """The settings of a configuration string, and of keywords that it does not hold.

        Unknown keys have no effect and give one UserWarning.

        Raises:
            IngressError: as `from_arguments`, and ConfigError if the string breaks the grammar, has a key twice, no
                "addr", or a scheme that is none of the four.
            TypeError: as `from_arguments`.
            ValueError: as `from_arguments`, and for a keyword whose key is in the string, or a number that is none.
            OverflowError: as `from_arguments`.
        """
        check_is_str("conf_str", conf_str)
        given = _given("from_conf", keywords)
        scheme, texts = parse_conf(conf_str)
        params: dict[str, Any] = {key: int(text) if key in _NUMBERS else text for key, text in texts.items()}
        if "addr" not in params:
            refuse('Missing "addr" parameter in config string')
        if "tls_roots_password" in params:
            refuse('"tls_roots_password" is not supported in the conf_str.')
        for keyword in given:
            key = BACKOFF_KEY if keyword == "retry_max_backoff" else keyword
            if key in params:
                msg = f'"{key}" is already present in the conf_str and cannot be overridden.'
                raise ValueError(msg)
        protocol = protocol_of(scheme)
        host, port = split_addr(params["addr"], "9000" if is_http(protocol) else "9009")
        # The one keyword that is no key: its name has no effect in a string.
        options = {key: value for key, value in params.items() if key in KEYWORDS and key != "retry_max_backoff"}
        if BACKOFF_KEY in params:
            backoff = backoff_of_text(params[BACKOFF_KEY])
            if backoff is not None and is_http(protocol):
                options["retry_max_backoff"] = backoff
        settings = cls._checked(protocol, host, port, options | given)
        warn_of_unknown_keys(texts)
        return settings

    @classmethod
    def from_env(cls, **keywords: Any) -> Settings:
        """The settings of the configuration string in the environment variable QDB_CLIENT_CONF.

        Raises:
            IngressError: ConfigError if it is not set; otherwise as `from_conf`.
            TypeError: as `from_conf`.
            ValueError: as `from_conf`.
            OverflowError: as `from_conf`.
        """
        _given("from_env", keywords)
        conf = os.environ.get(CONF_ENV)
        if conf is None:
            refuse(f"Environment variable {CONF_ENV} is not set.")
        return cls.from_conf(conf, **keywords)

    @classmethod
    def _checked(cls, protocol: Protocol, host: str, port: str, given: dict[str, Any]) -> Settings:
        http = is_http(protocol)
        fields: dict[str, Any] = {key: checked_text(key, given[key], http=http) for key in _TEXTS if key in given}
        if "protocol_version" in given:
            fields["protocol_version"] = version_of(given["protocol_version"])
        if "auth_timeout" in given:
            fields["auth_timeout"] = millis("auth_timeout", given["auth_timeout"])
        fields |= tls_options(protocol, given)
        fields |= _limits(given, http=http)
        triggers = parse_triggers(given, default_rows=75_000 if http else 600, millis_of=millis_of)
        fields |= triggers._asdict()
        # 0 asks for the default.
        fields["init_buf_size"] = unsigned(given.get("init_buf_size") or _DEFAULT_INIT_BUF_SIZE)
        return cls(protocol, host, port, **fields)

    def check_auth(self) -> None:
        """Refuse what the official client refuses when it connects, before it does.

        Raises:
            IngressError: ConfigError if `tls_ca` is the PEM file and `tls_roots` names none, or if credentials are
                incomplete, contradict each other or are those of the other transport.
        """
        if self.tls_verify and self.tls_ca is TlsCa.PemFile and self.tls_roots is None:
            refuse('Config parameter "tls_roots" is required when "tls_ca" is set to "pem_file".')
        given = tuple(getattr(self, key) is not None for key in _CREDENTIALS)
        problem = credentials_problem(given, http=is_http(self.protocol))
        if problem:
            refuse(problem)

    def conf(self) -> str:
        """The configuration string for questframe's own clients. It holds the secrets: it is not for logs.

        What is as by default is left out. Auto-flush is, too: it is the sender's business.
        """
        values: dict[str, object] = {"addr": self._addr()}
        for key in _TEXTS:
            values[key] = getattr(self, key)
        # A time limit of zero would be one that nobody can meet.
        values["auth_timeout"] = max(self.auth_timeout, 1)
        if self.protocol.tls_enabled:
            values["tls_verify"] = "on" if self.tls_verify else "unsafe_off"
            # Without checks the file is not missed.
            if self.tls_ca is not TlsCa.PemFile or self.tls_roots is not None:
                values["tls_ca"] = self.tls_ca and self.tls_ca.tag
            values["tls_roots"] = self.tls_roots
        for key in ("retry_timeout", "request_min_throughput", "request_timeout", "max_buf_size", "max_name_len"):
            values[key] = getattr(self, key)
        values[BACKOFF_KEY] = self.retry_max_backoff
        values["protocol_version"] = self.protocol_version
        # That a retry_timeout stands in a string has a meaning of its own there.
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        defaults[BACKOFF_KEY] = defaults["retry_max_backoff"]
        parts = [f"{self.protocol.tag}::"]
        for key, value in values.items():
            if value is not None and value != defaults.get(key):
                parts.append(f"{key}={str(value).replace(';', ';;')};")
        return "".join(parts)

    def _addr(self) -> str:
        """Every host with its port."""
        hosts = []
        for part in self.host.split(","):
            host, port = split_addr(part.strip(), self.port)
            hosts.append(f"{host}:{port}")
        return ",".join(hosts)


def _given(function: str, keywords: dict[str, Any]) -> dict[str, Any]:
    """The keywords that are not None, in the official order."""
    for key in keywords:
        if key not in KEYWORDS:
            msg = f"{function}() got an unexpected keyword argument '{key}'"
            raise TypeError(msg)
    given = {key: keywords[key] for key in KEYWORDS if keywords.get(key) is not None}
    for key in _TEXTS:
        if key in given:
            check_is_str(key, given[key])
    return given


def _limits(given: dict[str, Any], *, http: bool) -> dict[str, int]:
    """Sizes and times, in the order in which the official client checks them."""
    limits: dict[str, int] = {}
    for key in ("max_buf_size", "retry_timeout", "request_min_throughput", "max_name_len", "request_timeout"):
        if key not in given:
            continue
        limits[key] = millis(key, given[key]) if key.endswith("_timeout") else unsigned(given[key])
        if key.startswith("re") and not http:
            http_only(key)
        if limits[key] < _LEAST.get(key, (0, ""))[0]:
            refuse(_LEAST[key][1])
    if "retry_max_backoff" in given:
        limits["retry_max_backoff"] = millis("retry_max_backoff", given["retry_max_backoff"])
        if not http:
            http_only(BACKOFF_KEY)
        if limits["retry_max_backoff"] < MIN_BACKOFF:
            refuse(f'"{BACKOFF_KEY}" must be at least {MIN_BACKOFF}.')
    return limits
