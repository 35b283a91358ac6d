"""Calls in the right and the wrong order, on senders that no server answers."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_oracle import drawn

from ingress import players
from ingress.compare import assert_same, compared, script
from ingress.tables import PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Callable

OPEN = "s = Sender('http', '127.0.0.1', 1, protocol_version=2, auto_flush=False)"
ADD = "s.row('t', columns={'a': 1}, at=TimestampNanos(1))"
STATE = "len(s), bytes(s), properties(s)"
CALLS = [
    "s.establish()",
    "s.close()",
    "s.close(False)",
    "s.close(flush=False)",
    "s.__enter__()",
    "s.__exit__(None, None, None)",
    "s.__exit__(ValueError, ValueError(), None)",
    ADD,
    "s.row('t', columns={'a': 1}, at=None)",
    "s.row('t', at=ServerTimestamp)",
    "s.row('t?', columns={'a': 1}, at=ServerTimestamp)",
    "s.row('t')",
    "s.dataframe(None, at=None)",
    "s.dataframe(None, at=ServerTimestamp)",
    "s.flush()",
    "s.flush(None)",
    "s.flush(None, True, False)",
    "s.flush(clear=False)",
    "s.flush(transactional=True)",
    "s.flush(Buffer(2))",
    "s.flush(Buffer(1))",
    "s.flush('x')",
    "s.flush(5, clear=False)",
    "s.flush(Buffer(1).row('t', columns={'a': 1}, at=ServerTimestamp))",
    "s.flush(Buffer(2).row('t', columns={'a': 1}, at=ServerTimestamp), clear=False)",
    "s.flush(unknown=1)",
    "buffer(s.new_buffer())",
    "s.new_buffer(1)",
    "s.protocol_version",
    "s.max_name_len",
    "s.auto_flush = True",
    "s.colour",
    STATE,
]
TRANSACTIONS = [
    "t = s.transaction('t')",
    "t = s.transaction('bad?')",
    "s.transaction(5)",
    "s.transaction(None)",
    "s.transaction()",
    "s.transaction(table_name='t') is not None",
    "t.__enter__()",
    "with t: note(t.row(columns={'a': 1}, at=ServerTimestamp)); t.rollback()",
    "with s.transaction('u') as u: note(u.row(columns={'a': 1}, at=ServerTimestamp)); s.flush()",
    "with s.transaction('u') as u: u.commit(); u.commit()",
    "with s.transaction('u') as u: u.rollback(); u.rollback()",
    "with s.transaction('u') as u: s.row('u', columns={'a': 1}, at=ServerTimestamp)",
    "with s.transaction('u') as u: s.dataframe(None, at=ServerTimestamp)",
    "with s.transaction('u') as u: s.transaction('v').__enter__()",
    "with s.transaction('u') as u: u.row('u', columns={'a': 1}, at=ServerTimestamp)",
    "with s.transaction('u') as u: u.row(columns={'a': 1}, at=None)",
    "with s.transaction('u') as u: u.row(columns={'a?': 1}, at=ServerTimestamp)",
    "with s.transaction('u') as u: u.dataframe(None, at=None)",
    "with s.transaction('u') as u: s.close()",
    "with s.transaction('u') as u: pass",
    "with s.transaction('u') as u: note(u.row(columns={'a': 1}, at=ServerTimestamp))",
    "with s.transaction('bad?') as u: u.row(columns={'a': 1}, at=ServerTimestamp)",
]


@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_calls_before_establishing_and_after_closing(check: Callable[..., Any], protocol: str) -> None:
    # Port 1 refuses connections, so that TCP is never established here.
    made = OPEN.replace("http", protocol)
    for call in CALLS:
        check(made, call, STATE, "s.close()", STATE)
        check(made, "s.close()", call, STATE, "s.close()")


@pytest.mark.parametrize("first", ["", ADD], ids=["empty", "with a row"])
def test_calls_of_an_established_sender(check: Callable[..., Any], first: str) -> None:
    for call in [*CALLS, *TRANSACTIONS]:
        made = [OPEN, "s.establish()", "t = s.transaction('t')"]
        check(*made, first, call, STATE, ADD, STATE, call, STATE, "s.close(False)", call, STATE)


def test_transactions_over_tcp(check: Callable[..., Any]) -> None:
    made = OPEN.replace("http", "tcp")
    check(made, "s.transaction('t')", "s.transaction(5)", "s.establish()", "s.transaction('t')")


def test_random_lives(official: Any, ours: Any) -> None:
    """Calls in any order, on a sender that nobody answers."""
    # A transaction's object outside its block is a difference.
    calls = [
        *CALLS,
        *(call for call in TRANSACTIONS if not call.startswith(("t", "with t"))),
        ADD,
        ADD,
        "s.establish()",
    ]

    @drawn(150)
    @given(st.lists(st.sampled_from(calls), min_size=1, max_size=12))
    def same(chosen: list[str]) -> None:
        lines = [line for call in chosen for line in (call, STATE)]
        assert_same(official, ours, script("\n".join([PROPERTIES, OPEN, *lines, "s.close(False)"])))

    same()


@pytest.mark.parametrize("warn", [True, False])
@pytest.mark.parametrize("senders", [20, 60])
def test_bursts_of_connections(senders: int, warn: bool) -> None:
    """A burst is warned of once in ten minutes, and counted in the whole process: it needs new ones."""
    code = f"""
module.WARN_HIGH_RECONNECTS = {warn}
def burst():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        for _ in range({senders}):
            with Sender('http', '127.0.0.1', 1, protocol_version=2): pass
    return [[each.category is UserWarning, 'burst of reconnections' in str(each.message)] for each in caught]
burst()
burst()
"""
    outcomes = []
    for player in (players.official("4.1.0"), players.ours(apart=True)):
        with closing(player):
            outcomes.append(player.play(script(code)))
    assert outcomes[0][-2] == {"value": {"list": [{"list": [True, True]}] if warn and senders > 25 else []}}
    compared(script(code), *outcomes)
