"""Tables of a sender's arguments, right and wrong: the same exceptions, or the same properties."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_oracle import drawn

from ingress.compare import assert_same, script
from ingress.tables import KEYWORDS, NUMBERS, OTHERS, PROPERTIES, SPANS, TEXTS, VALUES

if TYPE_CHECKING:
    from collections.abc import Callable

#: In a configuration string. Python's int() reads them.
WORDS = [
    "on",
    "off",
    "unsafe_off",
    "auto",
    "0",
    "1",
    "-1",
    "3",
    "5",
    "15",
    "16",
    "1023",
    "1024",
    "abc",
    "",
    "1.5",
    " 5",
]
WORDS += ["+5", "1_000", "0x10", "99999999999999999999", "٣", "true", "True", "None"]


@pytest.mark.parametrize("protocol", ["http", "https", "tcp", "tcps"])
@pytest.mark.parametrize("keyword", KEYWORDS)
def test_keywords(check: Callable[..., Any], keyword: str, protocol: str) -> None:
    lines = []
    for value in VALUES.get(keyword, [*NUMBERS, *TEXTS, *OTHERS, *SPANS]):
        lines += [
            f"properties(Sender('{protocol}', 'localhost', 1, {keyword}={value}))",
            f"properties(Sender.from_conf('{protocol}::addr=localhost:1;', {keyword}={value}))",
        ]
    check(*lines)


@pytest.mark.parametrize("protocol", ["http", "https", "tcp", "tcps"])
@pytest.mark.parametrize("keyword", [*KEYWORDS, "tls_roots_password", "addr"])
def test_configured_values(check: Callable[..., Any], keyword: str, protocol: str) -> None:
    words = ["os_roots", "webpki_roots", "pem_file", "webpki_and_os_roots"] if keyword == "tls_ca" else WORDS
    check(
        *(f"properties(Sender.from_conf({f'{protocol}::addr=a;{keyword}={word};'!r}))" for word in words),
        f"Sender.from_conf('{protocol}::addr=a;{keyword}=5;', {keyword}=5)",
        f"Sender.from_conf('{protocol}::addr=a;{keyword}=5;', {keyword}=None)",
    )


@pytest.mark.parametrize(
    "arguments",
    [
        "'http', 'localhost', 9000",
        "Protocol.Https, 'localhost', '9000'",
        "'http', 'localhost', 'port'",
        "'http', 'localhost', -1",
        "'http', 'localhost', 99999",
        "'http', 'localhost', True",
        "'http', 'localhost', 9000.0",
        "'http', 'localhost', None",
        "'http', 'localhost', b'1'",
        "'http', None, 9000",
        "'http', b'localhost', 9000",
        "'http', Text('localhost'), 9000",
        "'http', '', ''",
        "'http', 'a\\ud800', 9000",
        "'http', 'localhost'",
        "'http'",
        "",
        "'http', 'localhost', 9000, None",
        "'http', 'localhost', 9000, unknown=1",
        "5, 'localhost', 9000",
        "b'http', 'localhost', 9000",
        "protocol='http', host='localhost', port=9000",
        "'http', 'localhost', 9000, tls_roots_password='x'",
        "'http', 'localhost', 9000, username='a\\ud800'",
        "'http', 'localhost', 9000, token='a\\nb'",
        "'https', 'localhost', 9000, tls_roots='/nowhere/at.pem'",
        "'https', 'localhost', 9000, tls_roots='/nowhere/at.pem', tls_ca='os_roots'",
        "'https', 'localhost', 9000, tls_ca='pem_file'",
        "'https', 'localhost', 9000, tls_verify=False, tls_ca='os_roots'",
    ],
)
def test_constructors(check: Callable[..., Any], arguments: str) -> None:
    check(f"properties(Sender({arguments}))")


STRINGS = [
    "",
    "http",
    "http:",
    "http::",
    "http::addr",
    "http::addr=",
    "http::addr=;",
    "http::addr=localhost",
    "http::addr=localhost;",
    "http::addr=localhost;;",
    "http::addr=localhost;;;",
    "http::addr=localhost:abc;",
    "http::addr=[::1]:9000;",
    "http::addr=a:1,b:2;",
    "http::addr=a;addr=b;",
    "http::username=a;",
    "http:addr=localhost;",
    "http://addr=localhost;",
    "http ::addr=localhost;",
    "1http::addr=localhost;",
    "::addr=localhost;",
    "http::addr=localhost;username=a;;b;password=;;;;;",
    "http::addr=localhost; username=a;",
    "http::addr=localhost;username =a;",
    "http::addr=localhost;user-name=a;",
    "http::addr=localhost;user.name=a;",
    "http::addr=localhost;üser=a;",
    "http::addr=localhost;1x=1;_x=1;X9=1;",
    "http::addr=localhost;zzz=1;ADDR=b;Username=a;",
    "http::addr=localhost;username;",
    "http::addr=localhost;username",
    "http::addr=localhost;=a;",
    "http::addr=localhost;username=é\n;",
    "http::addr=localhost;username=é;password=\x00;",
    "http::addr=localhost;username=\x7f;",
    "http::addr=localhost;username=\x85;",
    "http::addr=localhost;username=\x9f;",
    "http::addr=localhost;username=\xa0漢字😀;",
    "http::addr=localhost;username=é;username=b;",
    "http::addr=é;x",
    "http::addr=localhost;username=a=b;",
    "http::addr=localhost;username=\ud800;",
    "http::addr=localhost;max_buf_size=abc;max_buf_size=5;",
    "http::addr=localhost;retry_max_backoff_millis=5;",
    "http::addr=localhost;sf_dir=/tmp;sender_pool_max=4;",
]


@pytest.mark.parametrize("text", STRINGS, ids=range(len(STRINGS)))
def test_configuration_strings(check: Callable[..., Any], text: str) -> None:
    check(f"properties(Sender.from_conf({text!r}))")
    check("properties(Sender.from_env())", environment={"QDB_CLIENT_CONF": text}) if text.isprintable() else None


@pytest.mark.parametrize("text", ["None", "5", "b'http::addr=a;'", "Text('http::addr=a;')", "['http::addr=a;']", ""])
def test_configurations_that_are_no_strings(check: Callable[..., Any], text: str) -> None:
    check(f"properties(Sender.from_conf({text}))")


def test_random_configuration_strings(official: Any, ours: Any) -> None:
    """Pieces of strings, put together in ways that nobody would."""
    pieces = [
        "http",
        "::",
        ":",
        "addr",
        "=",
        ";",
        ";;",
        "localhost",
        "username",
        "é",
        " ",
        "a",
        "1",
        "_",
        "\n",
        "-",
        "x=1;",
    ]

    @drawn(150)
    @given(
        st.lists(st.sampled_from(pieces), max_size=9), st.sampled_from(["", "http::", "http::addr=a;", "tcp::addr=é;"])
    )
    def same(parts: list[str], start: str) -> None:
        text = start + "".join(parts)
        if text.startswith(("http::", "tcp::")) or "::" not in text:
            assert_same(official, ours, {"steps": [{"call": "Sender.from_conf", "args": [text]}]})

    same()


def test_random_arguments(official: Any, ours: Any) -> None:
    """Two mistakes: which is found first."""
    choice = st.sampled_from(KEYWORDS).flatmap(
        lambda keyword: st.tuples(
            st.just(keyword), st.sampled_from(VALUES.get(keyword, [*NUMBERS, *TEXTS, *OTHERS, *SPANS]))
        )
    )

    @drawn(200)
    @given(st.sampled_from(["http", "https", "tcp", "tcps"]), st.lists(choice, min_size=2, max_size=4), st.booleans())
    def same(protocol: str, chosen: list[tuple[str, str]], conf: bool) -> None:
        options = ", ".join(f"{keyword}={value}" for keyword, value in dict(chosen).items())
        made = f"Sender.from_conf('{protocol}::addr=a:1;', " if conf else f"Sender('{protocol}', 'a', 1, "
        assert_same(official, ours, script(f"{PROPERTIES}\nproperties({made}{options}))"))

    same()


def test_the_environment(check: Callable[..., Any]) -> None:
    check("Sender.from_env()", "Sender.from_env(username='a')", environment={"QDB_CLIENT_CONF": None})
    check(
        "properties(Sender.from_env())",
        "properties(Sender.from_env(auto_flush_bytes=77))",
        "properties(Sender.from_env(auto_flush_rows=77))",
        "Sender.from_env('http::addr=a;')",
        environment={"QDB_CLIENT_CONF": "http::addr=localhost:1;auto_flush_rows=5;"},
    )


def test_auto_flush(check: Callable[..., Any]) -> None:
    """Every combination of the four."""
    lines = []
    for switch, rows, size, interval in itertools.product(
        ["None", "True", "False", "'on'", "'off'"],
        ["None", "False", "5"],
        ["None", "'off'", "5"],
        ["None", "'off'", "5"],
    ):
        options = (
            f"auto_flush={switch}, auto_flush_rows={rows}, auto_flush_bytes={size}, auto_flush_interval={interval}"
        )
        lines += [f"properties(Sender('{protocol}', 'a', 1, {options}))" for protocol in ("http", "tcp")]
    check(*lines)


@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_credentials(check: Callable[..., Any], protocol: str) -> None:
    """Every combination; they are looked at when the sender is established, and not before."""
    names = ["username", "password", "token", "token_x", "token_y"]
    lines = []
    for chosen in itertools.product([False, True], repeat=len(names)):
        options = ", ".join(f"{name}='{name}'" for name, there in zip(names, chosen, strict=True) if there)
        lines.append(f"later(Sender('{protocol}', '127.0.0.1', 1, protocol_version=2, {options}))")
    check(*lines)
