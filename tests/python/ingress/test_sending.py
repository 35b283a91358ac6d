"""The same script, sent to a server of its own by each: the same requests, and the same outcomes."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import HOST, FakeQuestDB, Reply, Request, answer
from test_oracle import drawn

from ingress.compare import compared, script
from ingress.replies import SETTINGS_REPLIES, WRITE_REPLIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingress.players import Player
    from ingress.replay import Outcome

PROPERTIES: Final = """
s = t = None
properties = lambda s: [s.auto_flush, s.auto_flush_rows, s.auto_flush_bytes, s.auto_flush_interval, s.init_buf_size]
add = lambda b, n: [b.row('t', symbols={'s': f'{i}'}, columns={'n': i}, at=TimestampNanos(i)) for i in range(n)][:0]
"""
#: A sender `s` whose rows are flushed by number, if at all, and not by time.
OPEN: Final = (
    f"s = Sender('http', '{HOST}', port, protocol_version=2, retry_timeout=0, auto_flush_interval=False, %s)\n"
    "s.establish()"
)

#: The replies to writes and to the question for settings.
Server = tuple[list[Reply], "Reply | None"]


def seen(request: Request) -> tuple[Any, ...]:
    """What of a request is compared: everything but who asks, and where."""
    kept = {name: request.headers.get(name) for name in ("content-type", "authorization")}
    return request.method, request.path, request.query, kept, request.body


def sent(player: Player, code: str, server: Server, **options: Any) -> tuple[list[Outcome], list[tuple[Any, ...]]]:
    """Plays the code; the variable `port` is that of a server with this script."""
    writes, settings = server
    with FakeQuestDB(*writes) as fake:
        fake.settings = settings or fake.settings
        scenario = {**script(PROPERTIES + code, port=fake.port), **options}
        if "environment" in options:
            scenario["environment"] = {
                name: value.format(port=fake.port) for name, value in options["environment"].items()
            }
        outcomes = player.play(scenario)
        # A message may have the server's port.
        return without(outcomes, fake.port), [seen(request) for request in fake.requests]


def without(value: Any, port: int) -> Any:
    """The same with another port."""
    if isinstance(value, dict):
        return {key: without(each, port) for key, each in value.items()}
    if isinstance(value, list):
        return [without(each, port) for each in value]
    return value.replace(f":{port}", ":9000") if isinstance(value, str) else value


@pytest.fixture
def check(official: Player, ours: Player) -> Callable[..., list[tuple[Any, ...]]]:
    """Plays on both, and returns the requests."""

    def check(
        *code: str, writes: tuple[Reply, ...] = (), settings: Reply | None = None, **options: Any
    ) -> list[tuple[Any, ...]]:
        text = "\n".join(code)
        expected, requests = sent(official, text, (list(writes), settings), **options)
        outcomes, mine = sent(ours, text, (list(writes), settings), **options)
        compared(script(text), expected, outcomes)
        assert mine == requests
        return requests

    return check


STATE: Final = "len(s), bytes(s)"
AFTER: Final = f"{STATE}\nadd(s, 1)\n{STATE}\ns.flush()\n{STATE}\nadd(s, 1)\ns.close()\n{STATE}"


def test_a_plain_program(check: Any) -> None:
    requests = check(
        "with Sender.from_conf(f'http::addr=127.0.0.1:{port};') as s:\n"
        "    note((s.protocol_version, s.max_name_len, properties(s)))\n"
        "    s.row('t', symbols={'s': 'x'}, columns={'d': Decimal('1.5')}, at=TimestampNanos(1))\n"
        "    note(bytes(s))",
        "len(s), bytes(s)",
    )
    assert [(method, path) for method, path, *_ in requests] == [("GET", "/settings"), ("POST", "/write")]


@pytest.mark.parametrize("rows", [1, 2, 3, 7])
@pytest.mark.parametrize(
    "options",
    [
        "auto_flush_rows=1",
        "auto_flush_rows=3",
        "auto_flush_rows=False, auto_flush_bytes=1",
        "auto_flush_rows=False, auto_flush_bytes=30",
        "auto_flush_rows=2, auto_flush_bytes=30",
        "auto_flush=False, auto_flush_rows=2",
        "auto_flush='off'",
        "auto_flush_rows=False",
        "init_buf_size=10, max_buf_size=1024",
    ],
)
def test_auto_flush(check: Any, options: str, rows: int) -> None:
    check(OPEN % options, "properties(s)", f"add(s, {rows})", STATE, "s.flush()", f"add(s, {rows})", "s.close()", STATE)


@pytest.mark.parametrize(("interval", "requests"), [(1, 3), (100_000, 1)])
def test_auto_flush_by_time(check: Any, interval: int, requests: int) -> None:
    made = OPEN.replace("auto_flush_interval=False", f"auto_flush_interval={interval}")
    wait = "import time\nbegin = time.monotonic()\nwhile time.monotonic() < begin + 0.005: pass"
    code = [line for _ in range(3) for line in (wait, "add(s, 1)")]
    assert len(check(made % "auto_flush_rows=False", *code, STATE, "s.close()")) == requests


def test_rows_of_own_buffers_are_not_flushed_by_number(check: Any) -> None:
    check(
        OPEN % "auto_flush_rows=1",
        "b = s.new_buffer()",
        "add(b, 3)",
        "len(b)",
        "s.flush(b, clear=False)",
        "len(b)",
        "s.flush(b)",
        "len(b)",
        "s.flush(b)",
        "add(b, 2)",
        "s.flush(b, False, True)",
        "s.flush(buffer=b, transactional=True)",
        "len(b)",
        "b.row('u', columns={'n': 1}, at=ServerTimestamp)",
        "b.row('v', columns={'n': 1}, at=ServerTimestamp)",
        "s.flush(b, transactional=True)",
        "len(b)",
        "add(s, 1)",
        "s.flush(Buffer(1).row('t', columns={'n': 1}, at=ServerTimestamp))",
        "s.close()",
        "len(b)",
    )


@pytest.mark.parametrize("version", ["1", "2", "3", "'auto'", "None"])
def test_versions(check: Any, version: str) -> None:
    made = OPEN.replace("protocol_version=2", f"protocol_version={version}") % "auto_flush_rows=100"
    columns = "{'f': 0.1, 'a': np.arange(3.0), 'd': Decimal(1), 'n': TimestampNanos(5)}"
    rows = [
        f"s.row('t', columns={{k: v for k, v in {columns}.items() if k == {k!r}}}, at=TimestampNanos(5))"
        for k in "fadn"
    ]
    check(made, "s.protocol_version, s.max_name_len", *rows, STATE, "s.close()")


@pytest.mark.parametrize("name", SETTINGS_REPLIES)
@pytest.mark.parametrize("options", ["max_name_len=64", "protocol_version='auto'"])
def test_settings(check: Any, name: str, options: str) -> None:
    check(
        f"s = Sender('http', '{HOST}', port, retry_timeout=0, auto_flush=False, {options})",
        "s.establish()",
        "s.protocol_version, s.max_name_len, properties(s)",
        "[s.new_buffer().max_name_len, s.new_buffer().init_buf_size]",
        "s.row('n' * 70, columns={'a': 1}, at=ServerTimestamp)",
        "s.row('t', columns={'a': 1.5}, at=TimestampNanos(1))",
        STATE,
        "s.close()",
        settings=SETTINGS_REPLIES[name],
    )


def test_nobody_listens(check: Any) -> None:
    with closing(socket.create_server((HOST, 0))) as taken:
        port = taken.getsockname()[1]
    for options in ("", ", protocol_version=2"):
        check(f"s = Sender('http', '{HOST}', {port}, retry_timeout=0{options})", "s.establish()", AFTER)


@pytest.mark.parametrize("name", WRITE_REPLIES)
def test_replies_to_a_flush(check: Any, name: str) -> None:
    reply = WRITE_REPLIES[name]
    check(OPEN % "", "add(s, 2)", "s.flush()", AFTER, writes=(reply,))
    check(OPEN % "auto_flush_rows=2", "add(s, 1)", "add(s, 1)", AFTER, writes=(reply,))
    check(OPEN % "", "b = s.new_buffer()", "add(b, 2)", "s.flush(b)", "len(b)", "s.flush(b)", "len(b)", writes=(reply,))
    check(OPEN % "", "b = s.new_buffer()", "add(b, 2)", "s.flush(b, clear=False)", "len(b)", AFTER, writes=(reply,))
    check(OPEN % "", "add(s, 2)", "s.close()", STATE, "s.close()", writes=(reply,))
    check(OPEN % "", "add(s, 2)", "s.flush(transactional=True)", AFTER, writes=(reply,))
    check(OPEN.replace("s.establish()", "") % "", "with s: add(s, 1)", STATE, "s.flush()", writes=(reply,))
    check(
        OPEN % "",
        "with s.transaction('u') as t: t.row(columns={'a': 1}, at=ServerTimestamp)",
        "t.commit()",
        "t.rollback()",
        AFTER,
        writes=(reply,),
    )


@pytest.mark.parametrize("status", [500, 503, 504, 507])
def test_what_is_sent_again(check: Any, status: int) -> None:
    made = (OPEN % "").replace("retry_timeout=0", "retry_timeout=5000")
    assert len(check(made, "add(s, 1)", "s.flush()", AFTER, writes=(answer(status), answer(status)))) == 5


@pytest.mark.parametrize(
    "ending", ["pass", "raise ValueError('x')", "s.flush()", "s.close()", "s.close(False)", "s.row('?')"]
)
@pytest.mark.parametrize("options", ["", "auto_flush_rows=2", "auto_flush=False"])
def test_blocks(check: Any, options: str, ending: str) -> None:
    made = OPEN.replace("s.establish()", "") % options
    check(made, f"with s:\n    add(s, 3)\n    {ending}", STATE, "add(s, 1)", "s.close()", "with s: pass")


BODIES: Final = {
    "nothing": "pass",
    "a row": "t.row(columns={'a': 1}, at=ServerTimestamp)",
    "five rows": "[t.row(columns={'a': i}, at=ServerTimestamp) for i in range(5)]",
    "committed": "t.row(columns={'a': 1}, at=ServerTimestamp); t.commit()",
    "committed twice": "t.row(columns={'a': 1}, at=ServerTimestamp); t.commit(); t.commit()",
    "rolled back": "t.row(columns={'a': 1}, at=ServerTimestamp); t.rollback()",
    "rolled back and committed": "t.row(columns={'a': 1}, at=ServerTimestamp); t.rollback(); t.commit()",
    "raises": "t.row(columns={'a': 1}, at=ServerTimestamp); raise ValueError('x')",
    "committed and raises": "t.row(columns={'a': 1}, at=ServerTimestamp); t.commit(); raise ValueError('x')",
    "a bad row": "t.row(columns={'a': 1}, at=ServerTimestamp); t.row(columns={'a?': 1}, at=ServerTimestamp)",
    "an ordinary row": "t.row(columns={'a': 1}, at=ServerTimestamp); add(s, 1)",
    "a flush": "t.row(columns={'a': 1}, at=ServerTimestamp); s.flush()",
    "closed": "t.row(columns={'a': 1}, at=ServerTimestamp); s.close()",
    "closed without flush": "t.row(columns={'a': 1}, at=ServerTimestamp); s.close(False)",
    "another inside": "t.row(columns={'a': 1}, at=ServerTimestamp)\n    with s.transaction('v'): pass",
    "an own buffer": "b = s.new_buffer(); add(b, 1); s.flush(b)",
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("options", ["auto_flush_rows=2", "auto_flush=False", "auto_flush_rows=100"])
@pytest.mark.parametrize("before", [0, 1])
def test_transactions(check: Any, name: str, options: str, before: int) -> None:
    block = f"with s.transaction('u') as t:\n    {BODIES[name]}"
    check(OPEN % options, f"add(s, {before})", block, STATE, "t.commit()", "t.rollback()", block, AFTER)


def test_transactions_in_a_row(check: Any) -> None:
    code = "with s.transaction('%s') as t: t.row(columns={'a': 1}, at=ServerTimestamp)"
    check(OPEN % "", code % "u", code % "v", "t = s.transaction('w')", "with t: pass", "with t: pass", AFTER)


def test_frames_in_transactions(check: Any) -> None:
    block = (
        "with s.transaction('u') as t:\n    t.row(columns={'a': 0}, at=ServerTimestamp)\n    t.dataframe(f, at='at')"
    )
    frame = "f = pd.DataFrame({'a': range(5), 'at': np.arange(5).astype('M8[ns]')})"
    check(frame, OPEN % "auto_flush_rows=2", block, STATE, "s.dataframe(f, table_name='t', at='at')", STATE, AFTER)


@pytest.mark.parametrize(
    "options",
    [
        "username='user', password='secret'",
        "username='üser', password='p;ss=w€rd:'",
        "username='', password=''",
        "token='a.token-123'",
        "token='a\\nb'",
        "username='a\\nb', password='c'",
        "username='user'",
        "token='t', username='u', password='p'",
    ],
)
@pytest.mark.parametrize("version", ["2", "'auto'"])
def test_credentials(check: Any, options: str, version: str) -> None:
    made = f"s = Sender('http', '{HOST}', port, retry_timeout=0, protocol_version={version}, {options})"
    check(made, "s.establish()", AFTER)


def test_the_environment(check: Any) -> None:
    conf = f"http::addr={HOST}:{{port}};username=a;;b;password=c;retry_timeout=0;auto_flush_rows=2;"
    code = "with Sender.from_env(protocol_version=3) as s: note(properties(s)); add(s, 3)"
    check(code, STATE, environment={"QDB_CLIENT_CONF": conf})


def test_large_buffers(check: Any) -> None:
    made = OPEN % "auto_flush=False, max_buf_size=1024"
    text = "s.row('t', columns={'a': 'x' * 2000}, at=ServerTimestamp)"
    check(made, text, "len(s)", "s.flush()", AFTER)
    check(made, "b = s.new_buffer()", text.replace("s.row", "b.row"), "s.flush(b)", "len(b)", AFTER)
    check(made, text, "s.close()", "s.close()", STATE)
    check(
        made,
        f"with s.transaction('t') as u: {text.replace('s.row', 'u.row').replace(chr(39) + 't' + chr(39) + ', ', '')}",
        AFTER,
    )


def test_auto_flush_after_a_bad_row(check: Any) -> None:
    bad = "s.row('t', columns={'a': 1, 'b?': 2}, at=ServerTimestamp)"
    check(
        OPEN % "auto_flush_rows=3",
        bad,
        "add(s, 2)",
        bad,
        bad,
        STATE,
        "s.row('t', at=ServerTimestamp)",
        "add(s, 1)",
        AFTER,
    )


CALLS: Final = [
    "add(s, 1)",
    "add(s, 1)",
    "add(s, 3)",
    "add(b, 1)",
    "add(b, 2)",
    "s.row('u', columns={'a': 1.5, 'b': None}, at=ServerTimestamp)",
    "s.row('u', columns={'a?': 1.5}, at=ServerTimestamp)",
    "b.row('u', columns={'a': 1.5}, at=ServerTimestamp)",
    "s.flush()",
    "s.flush(transactional=True)",
    "s.flush(b)",
    "s.flush(b, clear=False)",
    "s.flush(b, transactional=True)",
    "b.clear()",
    "s.close()",
    *(f"with s.transaction('t') as t:\n    {body}" for body in BODIES.values() if "s.close" not in body),
]
REPLIES: Final = [name for name in WRITE_REPLIES if name not in {"hang up", "reset", "no HTTP"}]


def test_random_programs(check: Any) -> None:
    """Calls in any order, on a server that takes most writes."""
    replies = st.lists(st.sampled_from(["204"] * len(REPLIES) + REPLIES), max_size=6)
    options = ["auto_flush_rows=1", "auto_flush_rows=3", "auto_flush=False", "auto_flush_bytes=40", "max_buf_size=1024"]

    @drawn(80)
    @given(st.lists(st.sampled_from(CALLS), min_size=1, max_size=10), replies, st.sampled_from(options))
    def same(calls: list[str], names: list[str], option: str) -> None:
        lines = [line for call in calls for line in (call, STATE, "len(b)")]
        check(OPEN % option, "b = Buffer(2)", *lines, "s.close()", writes=tuple(WRITE_REPLIES[name] for name in names))

    same()
