"""What only our settings do: warnings of unknown keys, secrets that are not shown, strings for our own clients."""

from __future__ import annotations

import warnings
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import questframe as qf
from ingress.compare_settings import PROTOCOLS, ours
from questframe.ingress import Sender
from questframe.ingress._confstr import OFFICIAL_KEYS, OTHER_KEYS
from questframe.ingress._enums import TlsCa
from questframe.ingress._settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

#: A key of the documentation, which opens nothing.
ECDSA_KEY = {
    "token": "5UjEMuA0Pj5pjK8a-fa24dyIf-Es5mYny3oE_Wmus48",
    "token_x": "fLKYEaoEb9lrn3nkwLDA-M_xnuFOdSt9y0Z7_vWSHLU",
    "token_y": "Dt5tbS1dEDMSYfym3fgMv0B99szno-dFc1rYF9t0aac",
}


def warning_of(conf: str) -> str | None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Settings.from_conf(conf)
    assert len(caught) <= 1
    if not caught:
        return None
    assert caught[0].category is UserWarning
    assert caught[0].filename == __file__
    return str(caught[0].message)


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("retry_max_backoff", "retry_max_backoff_millis"),
        ("Username", "username"),
        ("ADDR", "addr"),
        ("autoflush_rows", "auto_flush_rows"),
        ("zzz", None),
    ],
)
def test_unknown_keys_give_one_warning(key: str, nearest: str | None) -> None:
    text = warning_of(f"http::addr=x;{key}=hidden;yyy=hidden")
    assert text is not None
    assert f'"{key}"' in text
    assert '"yyy"' in text
    assert "hidden" not in text
    assert ("did you mean" in text) == bool(nearest)
    assert not nearest or f'"{nearest}"' in text


def test_known_keys_give_none() -> None:
    others = "".join(f"{key}=1;" for key in sorted(OTHER_KEYS)) + "failover_x=1;compression=1;"
    assert warning_of(f"http::addr=x;{others}") is None
    assert "retry_max_backoff_millis" in OFFICIAL_KEYS
    assert warning_of("http::addr=x;retry_max_backoff_millis=50;") is None


@pytest.mark.parametrize("conf", ["http::addr=x;password=open;sesame=1;", "http::addr=x;token=a;b=1;c=2"])
def test_a_secret_cut_by_a_semicolon_is_not_shown(conf: str) -> None:
    text = warning_of(conf)
    assert text is not None
    assert "not shown" in text
    assert "sesame" not in text
    assert '"b"' not in text


def test_no_repr_and_no_error_shows_a_secret() -> None:
    secrets = {"password": "sesame1", "token": "sesame2", "token_x": "sesame3", "token_y": "sesame4"}
    assert "sesame" not in repr(Settings.from_arguments("http", "h", 1, username="u", **secrets))
    with pytest.raises(qf.IngressError) as refused:
        Settings.from_arguments("http", "h", 1, password="sesame\ud800")
    assert "sesame" not in str(refused.value)
    with pytest.raises(qf.IngressError) as refused:
        Settings.from_conf("http::addr=x;password=a;sesame=1;sesame=2")
    assert "sesame" not in str(refused.value)
    for conf in ("http::addr=user:sesame@host:1;", "http::addr=host:1,token=sesame;", "http::addr=h:1 token=sesame"):
        assert repr(Sender.from_conf(conf)) == "Sender(http::addr=...;)"
    assert repr(Sender.from_conf("http::addr=host:1;token=sesame;")) == "Sender(http::addr=host:1;)"


def test_the_longest_pause_of_6_0() -> None:
    assert Settings.from_arguments("http", "h", 1, retry_max_backoff=timedelta(seconds=2)).retry_max_backoff == 2000
    assert Settings.from_conf("http::addr=x;retry_max_backoff_millis=10;").retry_max_backoff == 10
    # A key that 4.1.0 does not know: there no value does harm.
    for conf in (
        "http::addr=x;retry_max_backoff_millis=9",
        "http::addr=x;retry_max_backoff_millis=x",
        "tcp::addr=x;retry_max_backoff_millis=10",
    ):
        assert Settings.from_conf(conf).retry_max_backoff == 1000
    assert ours("from_conf", "http::addr=x;retry_max_backoff_millis=10", retry_max_backoff=10)[0] == "ValueError"


@pytest.mark.parametrize(
    ("conf", "host", "port", "addr"),
    [
        ("http::addr=h", "h", "9000", "h:9000"),
        ("tcp::addr=h", "h", "9009", "h:9009"),
        ("http::addr=h:1:2", "h", "1:2", "h:1:2"),
        ("http::addr=[::1]", "[::1]", "9000", "[::1]:9000"),
        ("http::addr=[::1]:5", "[::1]", "5", "[::1]:5"),
        ("http::addr=a:1,b,[::2]:3", "a:1,b,[::2]:3", "9000", "a:1,b:9000,[::2]:3"),
    ],
)
def test_addresses(conf: str, host: str, port: str, addr: str) -> None:
    made = Settings.from_conf(conf)
    assert (made.host, made.port) == (host, port)
    assert f"addr={addr};" in made.conf()


def test_hosts_of_the_constructor() -> None:
    assert "addr=[::1]:9000;" in Settings.from_arguments("http", "::1", 9000).conf()
    assert "addr=a:1,b:9000;" in Settings.from_arguments("http", "a:1,b", 9000).conf()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_questframe_takes_the_string(protocol: str, pem: Path) -> None:
    is_http, is_tls = protocol.startswith("http"), protocol.endswith("s")
    keywords: dict[str, Any] = {"max_buf_size": 4000, "max_name_len": 20, "protocol_version": 2, "auth_timeout": 0}
    if is_http:
        keywords |= {
            "username": "u",
            "password": "p;ss=;;",
            "retry_timeout": 0,
            "request_timeout": timedelta(seconds=1),
        }
        keywords |= {"request_min_throughput": 0, "retry_max_backoff": 10}
    else:
        keywords |= {"bind_interface": "127.0.0.1", "username": "k;", **ECDSA_KEY}
    options: list[dict[str, Any]] = [{}]
    if is_tls:
        options += [{"tls_verify": False}, {"tls_ca": "os_roots"}, {"tls_roots": pem}]
        options += [{"tls_verify": False, "tls_ca": TlsCa.PemFile}]
    for option in options:
        for made in (
            Settings.from_arguments(protocol, "localhost", 9000, **option),
            Settings.from_arguments(protocol, "localhost", 9000, **keywords, **option),
        ):
            made.check_auth()
            conf = made.conf()
            check_conf(conf)
            assert "auto_flush" not in conf
            again = Settings.from_conf(conf)
            same = ("protocol", "host", "port", "username", "password", "token", "max_buf_size", "protocol_version")
            for name in (
                *same,
                "tls_verify",
                "tls_roots",
                "retry_timeout",
                "request_timeout",
                "request_min_throughput",
            ):
                assert getattr(again, name) == getattr(made, name), name
    if is_http:
        check_conf(Settings.from_conf(f"{protocol}::addr=a:1,b;").conf())


def check_conf(conf: str) -> None:
    with qf.connect(conf):
        pass
