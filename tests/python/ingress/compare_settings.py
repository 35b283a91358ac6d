"""Settings of ours beside the official client's: the comparison, and values for every option."""

from __future__ import annotations

import re
import warnings
from datetime import timedelta
from typing import Any

from oracle.process import Process, python_of

from ingress import official as program
from ingress.official import PROPERTIES, Refusal, Text, Whole, encode, refusal_of
from questframe.ingress._enums import Protocol, TlsCa
from questframe.ingress._settings import KEYWORDS, Settings

PROTOCOLS = [member.tag for member in Protocol]
#: A file that can be read, and one that is not there.
FILE, NO_FILE = __file__, "/no/such/file.pem"
#: What the official texts and ours have in common.
QUOTED = re.compile(r'"[^"]*"|\'[^\']*\'|at position \d+|only in ILP over HTTP|must be at least \d+')


class Official(Process):
    """Asks the official client 4.1.0."""

    def __init__(self) -> None:
        super().__init__([python_of("4.1.0"), program.__file__])

    def answer(self, how: str, *args: object, establish: bool = False, **keywords: object) -> dict[str, Any] | Refusal:
        """The properties of the sender of a constructor's arguments (`how="init"`) or string (`"from_conf"`).

        `establish` connects it, too.
        """
        question = {
            "how": how,
            "args": [encode(value) for value in args],
            "keywords": {key: encode(value) for key, value in keywords.items()},
            "establish": establish,
        }
        answer = self.ask(question)
        return Refusal(*answer) if isinstance(answer, list) else answer


def ours(how: str, *args: Any, **keywords: Any) -> dict[str, Any] | Refusal:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = (Settings.from_arguments if how == "init" else Settings.from_conf)(*args, **keywords)
    except Exception as error:  # noqa: BLE001 - all are compared
        return refusal_of(error)
    return {name: getattr(made, name) for name in PROPERTIES}


def expected_of(theirs: dict[str, Any] | Refusal) -> dict[str, Any] | Refusal:
    """The official answer, or ours for the errors that are bugs."""
    if isinstance(theirs, Refusal) and theirs.kind == "AttributeError":
        return Refusal("IngressError", "ConfigError", theirs.text)
    return theirs


def assert_same(official: Official, how: str, *args: Any, **keywords: Any) -> None:
    theirs = expected_of(official.answer(how, *args, **keywords))
    mine = ours(how, *args, **keywords)
    if not isinstance(theirs, Refusal):
        assert mine == theirs
        return
    assert isinstance(mine, Refusal), f"the official client refuses this: {theirs}"
    assert mine[:2] == theirs[:2], f"{mine} {theirs}"


def assert_same_text(official: Official, how: str, *args: Any, **keywords: Any) -> None:
    """The quoted fragments, too."""
    assert_same(official, how, *args, **keywords)
    theirs, mine = official.answer(how, *args, **keywords), ours(how, *args, **keywords)
    assert isinstance(theirs, Refusal)
    assert isinstance(mine, Refusal)
    if theirs.kind != "AttributeError":
        missing = [part for part in QUOTED.findall(theirs.text) if part not in mine.text]
        assert not missing, f"{mine.text!r} lacks {missing}"


VALUES: list[Any] = [
    *(-1, 0, 1, 15, 16, 1024, True, False, 1.5, 2000.9, float("nan"), float("inf"), "5", "abc", "off", "on", "", " 5 "),
    *("5_0", "x", "auto", "1", b"1", [], [1], Whole(7), Whole(2000), Text("on"), Text("off"), Text("5")),
    *(timedelta(seconds=2), timedelta(microseconds=1), timedelta(microseconds=1999), timedelta(0)),
    *(timedelta(seconds=-1), timedelta(microseconds=-1), timedelta(seconds=-1.5)),
    *(2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**70)),
    *("a\nb", "é\x80", "\ud800", "unsafe_off", "os_roots", "pem_file", "OsRoots", Protocol.Http),
    *(TlsCa.PemFile, TlsCa.OsRoots, FILE, NO_FILE, 5),
]
#: The one keyword of 6.0.0.
OFFICIAL_KEYWORDS = [keyword for keyword in KEYWORDS if keyword != "retry_max_backoff"]
