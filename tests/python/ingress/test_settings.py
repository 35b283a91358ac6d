"""Arguments and configuration strings against the real 4.1.0: what it refuses, with which class, code and texts.

The last tests draw them at random, with a fixed seed; `QUESTFRAME_HYPOTHESIS_PROFILE=full` draws many more, at random.
"""

from __future__ import annotations

import itertools
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import questframe as qf
from ingress.compare_settings import (
    FILE,
    NO_FILE,
    OFFICIAL_KEYWORDS,
    PROTOCOLS,
    VALUES,
    Official,
    assert_same,
    assert_same_text,
    ours,
)
from ingress.official import Refusal, Text, Whole, refusal_of
from questframe.ingress._enums import Protocol, TlsCa
from questframe.ingress._settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL = os.environ.get("QUESTFRAME_HYPOTHESIS_PROFILE") == "full"


def drawn(examples: int) -> settings:
    return settings(
        max_examples=examples * 80 if FULL else examples,
        derandomize=not FULL,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@pytest.fixture(scope="module")
def official() -> Iterator[Official]:
    official = Official()
    yield official
    official.close()


GRAMMAR = [
    "",
    "http:",
    "http:addr=x",
    "http://addr=x",
    "http::addr",
    "http::addr=x;a",
    "http::addr=x;a;",
    "http::addr=x; a=1",
    "http::addr=x;a =1",
    "http::addr=x;addr=y",
    "http::addr=é;addr=y",
    "http::addr=x;a-b=1",
    "http::addr=x;é=1",
    "http::addr=x;aé=1",
    "http::addr=é;a.b=1",
    "http::addr=x;username=\n",
    "http::addr=x;a=\t",
    "http::addr=x;a=\0",
    "http::addr=x;a=\x7f",
    "http::addr=x;a=\x80",
    "http::addr=x;a=\x9f",
    "ht-tp::addr=x",
    "héé::addr=x",
    " http::addr=x",
    "http ::addr=x",
    "http::addr=x;=1",
    "http::;",
    "::addr=x",
    "http",
    "http::",
    "http::username=a",
    "foo::",
    "foo::addr=x;a",
    "http::addr=x;tls_roots_password=x",
    "http::addr=x;tls_verify=on",
    "https::addr=x;tls_verify=foo",
    f"https::addr=x;tls_roots={NO_FILE}",
    f"https::addr=x;tls_roots={FILE};tls_ca=os_roots",
    "http::addr=x;max_buf_size=abc",
    "http::addr=x;max_buf_size=",
    "http::addr=x;max_buf_size=1",
    "http::addr=x;max_name_len=15",
    "tcp::addr=x;retry_timeout=1",
    "tcp::addr=x;request_timeout=0",
    "tcps::addr=x;request_min_throughput=1",
    "http::addr=x;request_timeout=0",
    "http::addr=x;protocol_version=4",
    "http::addr=x;protocol_version=01",
    "http::addr=x;protocol_version=",
    "http::addr=x;auto_flush=true",
    "http::addr=x;auto_flush=",
    "http::addr=x;auto_flush_rows=on",
    "http::addr=x;auto_flush_rows=0",
    "http::addr=x;auto_flush_bytes=-1",
    "http::addr=x;auto_flush_interval=1.5",
    "http::addr=x;auto_flush_rows=",
    "http::addr=x;auto_flush_rows=off;auto_flush_interval=off;auto_flush=on",
    "http::addr=x;auto_flush=off;auto_flush_rows=0",
    "http::addr=x;bind_interface=y",
]


@pytest.mark.parametrize("conf", GRAMMAR)
def test_strings_that_both_refuse_with_the_same_texts(official: Official, conf: str) -> None:
    assert_same_text(official, "from_conf", conf)


@pytest.mark.parametrize(
    "conf",
    [
        "HTTP::addr=x",
        "foo::addr=x",
        "1http::addr=x",
        "_http::addr=x",
        "https::addr=x;tls_ca=foo",
        "https::addr=x;tls_ca=",
        "http::addr=x;tls_ca=foo",
        "http::addr=x;max_buf_size=-1",
        "http::addr=x;max_buf_size=99999999999999999999",
        "http::addr=x;retry_timeout=-1",
        "http::addr=x;retry_timeout=18446744073709551616",
        "http::addr=x;a\ud800=1",
        "http::addr=x;username=\ud800",
    ],
)
def test_strings_that_both_refuse(official: Official, conf: str) -> None:
    assert_same(official, "from_conf", conf)
    assert isinstance(ours("from_conf", conf), Refusal)


@pytest.mark.parametrize(
    "conf",
    [
        "http::addr=",
        "http::addr=x;;",
        "http::addr=x;;;",
        "http::addr=x;1x=1;_x=2",
        "http::addr=x;a=\xa0",
        "http::addr=x;max_buf_size= 2000 ",
        "http::addr=x;max_buf_size=2_000",
        "http::addr=x;auto_flush_rows=off;auto_flush_interval=off",
        "http::addr=x;auto_flush=off;auto_flush_rows=5",
        "http::addr=x;auto_flush_bytes=1024",
        "tcp::addr=x;auto_flush_bytes=1024",
        "tcp::addr=x;bind_interface=y",
        "http::addr=x;init_buf_size=0",
        "http::addr=x;init_buf_size=10",
        "http::addr=x:y:z",
        "http::addr=:9000",
        "http::addr=x;auth_timeout=0;protocol_version=auto",
        f"https::addr=x;tls_roots={FILE};tls_ca=pem_file",
        "https::addr=x;tls_ca=pem_file",
        "http::addr=x;retry_max_backoff=abc;Username=a;host=b;port=c",
        "http::addr=x;token=a;;b;c=1;;;;",
    ],
)
def test_strings_that_both_take(official: Official, conf: str) -> None:
    assert_same(official, "from_conf", conf)
    assert not isinstance(ours("from_conf", conf), Refusal)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("keyword", OFFICIAL_KEYWORDS)
def test_every_keyword_with_every_value(official: Official, protocol: str, keyword: str) -> None:
    for value in VALUES:
        if keyword == "auto_flush_interval" and value == 2**63 - 1:
            # A timedelta does not hold it: reading the property fails there, not the constructor.
            continue
        assert_same(official, "init", protocol, "h", 1, **{keyword: value})


@pytest.mark.parametrize(
    "args",
    [
        *[("http", host, 1) for host in (None, 5, Text("a"), "", "a\ud800", "::1", "a,b", "a\nb", "a;b")],
        *[("http", "h", port) for port in (None, "x", True, 1.5, Text("1"), Whole(1), -1, 0, 70000, "\ud800")],
        *[(protocol, "h", 1) for protocol in (None, "x", 5, TlsCa.OsRoots, Text("http"), "Http", Protocol.Tcp, b"tcp")],
        ("x", "h", 1.5),
        ("x", 5, 1.5),
        ("http",),
        ("http", "h"),
        ("http", "h", 1, "x"),
    ],
)
def test_positional_arguments(official: Official, args: tuple[Any, ...]) -> None:
    assert_same(official, "init", *args)


@pytest.mark.parametrize(
    "keywords",
    [
        {"zzz": 1},
        {"auto_flush": True, "auto_flush_rows": False, "auto_flush_interval": "off"},
        {"auto_flush": 1, "auto_flush_rows": "x"},
        {"auto_flush": "x", "auto_flush_rows": "x"},
        {"auto_flush": 1, "auto_flush_rows": 0},
        {"auto_flush_rows": "on", "auto_flush_bytes": 1.5},
        {"auto_flush": False, "auto_flush_rows": 2**70},
        {"bind_interface": "x", "username": "\ud800"},
        {"tls_verify": "bad", "max_buf_size": -1},
        {"max_buf_size": 1, "tls_ca": "bad"},
        {"protocol_version": 9, "auth_timeout": "x"},
        {"max_name_len": 1, "request_timeout": 0},
        {"tls_ca": "bad", "tls_roots": NO_FILE},
        {"tls_ca": "os_roots", "tls_roots": FILE},
        {"auto_flush_rows": 0, "init_buf_size": -1},
    ],
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_first_of_several_errors(official: Official, protocol: str, keywords: dict[str, Any]) -> None:
    assert_same(official, "init", protocol, "h", 1, **keywords)


@pytest.mark.parametrize("key", OFFICIAL_KEYWORDS)
def test_a_keyword_does_not_override_a_key(official: Official, key: str) -> None:
    value = "1" if key in {"protocol_version", "auth_timeout"} or "_size" in key or "re" in key else "on"
    conf = f"http::addr=x;{key}={value};"
    assert_same(official, "from_conf", conf, **{key: None})
    given = "x" if key in {"bind_interface", "username", "password", "token", "token_x", "token_y"} else 1
    if key != "max_name_len":
        with pytest.raises(ValueError, match=f'^"{key}" is already present in the conf_str and cannot be overridden'):
            Settings.from_conf(conf, **{key: given})
        assert_same_text(official, "from_conf", conf, **{key: given})


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QDB_CLIENT_CONF", raising=False)
    with pytest.raises(qf.IngressError, match=r"^Environment variable QDB_CLIENT_CONF is not set\.$") as unset:
        Settings.from_env()
    assert unset.value.code is qf.IngressErrorCode.ConfigError
    monkeypatch.setenv("QDB_CLIENT_CONF", "https::addr=h:1;username=a;")
    made = Settings.from_env(auto_flush=False)
    assert (made.protocol, made.host, made.port, made.username) == (Protocol.Https, "h", "1", "a")
    assert (made.auto_flush, made.auto_flush_rows, made.tls_ca) == (False, None, TlsCa.WebpkiAndOsRoots)
    with pytest.raises(TypeError, match="zzz"):
        Settings.from_env(zzz=1)


@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_credentials_are_refused_as_when_the_official_client_connects(official: Official, protocol: str) -> None:
    names = ("username", "password", "token", "token_x", "token_y")
    for there in itertools.product([False, True], repeat=5):
        keywords: dict[str, Any] = {name: "x" for name, is_there in zip(names, there, strict=True) if is_there}
        # Nobody listens there; with a version over HTTP nobody is asked.
        theirs = official.answer("init", protocol, "127.0.0.1", 1, establish=True, protocol_version=1, **keywords)
        made = Settings.from_arguments(protocol, "127.0.0.1", 1, **keywords)
        if isinstance(theirs, Refusal) and theirs.code != "SocketError":
            with pytest.raises(qf.IngressError) as refused:
                made.check_auth()
            assert refusal_of(refused.value) == theirs
        else:
            made.check_auth()


def test_a_pem_file_without_its_path(official: Official) -> None:
    theirs = official.answer(
        "init", "https", "h", 1, establish=True, protocol_version=1, tls_ca="pem_file", username="x"
    )
    made = Settings.from_arguments("https", "h", 1, tls_ca="pem_file", username="x")
    with pytest.raises(qf.IngressError) as refused:
        made.check_auth()
    assert refusal_of(refused.value) == theirs
    Settings.from_arguments("https", "h", 1, tls_ca="pem_file", tls_verify=False).check_auth()


# --- at random ----------------------------------------------------------------------------------------------------

_TEXTS = st.text(st.sampled_from("ab1_ =;:é\n\x7f'\"."), max_size=6)
_KEYS = st.sampled_from([*OFFICIAL_KEYWORDS, "addr", "zzz", "tls_roots_password"]) | _TEXTS
_WORDS = st.sampled_from(["on", "off", "unsafe_off", "1", "2", "0", "-1", "1024", "auto", "os_roots", "pem_file", FILE])
_SCHEMES = st.sampled_from([*PROTOCOLS, "foo", "HTTP"]) | _TEXTS


@st.composite
def confs(draw: st.DrawFn) -> str:
    # The official client hands the address on without doubling its semicolons again.
    addr = draw(st.sampled_from(["x", "h:1", "", "é:2"]))
    pairs = draw(st.lists(st.tuples(_KEYS, st.just("="), _WORDS | _TEXTS), max_size=4))
    parts = ["".join(pair) for pair in pairs]
    if draw(st.integers(0, 9)):
        parts.insert(draw(st.integers(0, len(parts))), f"addr={addr}")
    return draw(_SCHEMES) + draw(st.sampled_from(["::"] * 8 + [":", ""])) + ";".join(parts) + draw(_TEXTS)


def test_random_strings(official: Official) -> None:
    @drawn(150)
    @given(confs())
    def check(conf: str) -> None:
        if re.search(r"addr=[^;]*;;", conf):
            return
        assert_same(official, "from_conf", conf)

    check()


_OPTIONS = st.dictionaries(st.sampled_from(OFFICIAL_KEYWORDS), st.sampled_from(VALUES) | st.none(), max_size=4)


def test_random_keywords(official: Official) -> None:
    @drawn(150)
    @given(st.sampled_from(PROTOCOLS), _OPTIONS)
    def check(protocol: str, keywords: dict[str, Any]) -> None:
        if keywords.get("auto_flush_interval") == 2**63 - 1:
            return
        assert_same(official, "init", protocol, "h", 1, **keywords)

    check()


def test_random_strings_with_keywords(official: Official) -> None:
    valid = st.sampled_from(["http::addr=x", "https::addr=x;tls_verify=on;", "tcp::addr=x;auto_flush_rows=5;"])

    @drawn(120)
    @given(valid, _OPTIONS)
    def check(conf: str, keywords: dict[str, Any]) -> None:
        if keywords.get("auto_flush_interval") == 2**63 - 1:
            return
        assert_same(official, "from_conf", conf, **keywords)

    check()
