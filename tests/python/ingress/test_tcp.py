"""Scripts over TCP: the same bytes arrive, and the outcomes are the same."""

from __future__ import annotations

import select
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from servers import HOST

from ingress.compare import compared, script
from ingress.tables import PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingress.players import Player
    from ingress.replay import Outcome

ADD = "add = lambda b, n: [b.row('t', columns={'n': i, 'f': 0.5}, at=TimestampNanos(i)) for i in range(n)][:0]\n"
STATE = "len(s), bytes(s)"
AFTER = f"{STATE}\nadd(s, 1)\n{STATE}\ns.flush()\n{STATE}\nadd(s, 1)\ns.close()\n{STATE}"


def received(player: Player, code: str) -> tuple[list[Outcome], bytes]:
    """Plays the code; the variable `port` is where one connection is accepted. Also what came over it."""
    chunks: list[bytes] = []

    is_over = threading.Event()

    def take() -> None:
        while True:
            # A connection that waits when the script is over is taken all the same.
            is_last = is_over.is_set()
            if select.select([listener], [], [], 0.05)[0]:
                break
            if is_last:
                return
        connection, _ = listener.accept()
        with connection:
            while chunk := connection.recv(1 << 16):
                chunks.append(chunk)

    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        # The script closes its sender, and so the connection.
        outcomes = player.play(script(PROPERTIES + ADD + code, port=port))
        is_over.set()
        thread.join(30)
        assert not thread.is_alive()
    return outcomes, b"".join(chunks)


@pytest.fixture
def check(official: Player, ours: Player) -> Callable[..., bytes]:
    """Plays on both, and returns what arrived."""

    def check(*code: str) -> bytes:
        text = "\n".join(code)
        expected, data = received(official, text)
        outcomes, mine = received(ours, text)
        compared(script(text), expected, outcomes)
        assert mine == data
        return data

    return check


def made(options: str = "") -> str:
    state = "properties(s)\ns.establish()\ns.protocol_version, s.max_name_len"
    return f"s = Sender('tcp', '{HOST}', port, {options})\n{state}"


@pytest.mark.parametrize("version", ["None", "'auto'", "1", "2", "3"])
def test_versions(check: Any, version: str) -> None:
    decimal = "s.row('t', columns={'d': Decimal(1)}, at=TimestampMicros(5))"
    array = "s.row('t', columns={'a': np.arange(2.0)}, at=ServerTimestamp)"
    assert check(made(f"protocol_version={version}"), "add(s, 2)", decimal, array, STATE, "s.close()").count(b"\n") >= 2


def test_rows_by_default(check: Any) -> None:
    code = ["add(s, 599)", "len(s)", "add(s, 1)", STATE, "add(s, 2)", STATE, "s.close()"]
    assert check(made("auto_flush_interval=False"), *code).count(b"\n") == 602


@pytest.mark.parametrize("options", ["auto_flush_rows=2, auto_flush_interval='off'", "auto_flush=False"])
def test_flushes(check: Any, options: str) -> None:
    check(
        made(options),
        "add(s, 3)",
        STATE,
        "s.flush(transactional=True)",
        STATE,
        "add(s, 1)",
        "s.flush()",
        "b = s.new_buffer()",
        "add(b, 3)",
        "s.flush(b, clear=False)",
        "len(b)",
        "s.flush(b, transactional=True)",
        "len(b)",
        "s.flush(b)",
        "len(b)",
        "s.flush(Buffer(2).row('t', columns={'a': 1}, at=ServerTimestamp))",
        "s.transaction('t')",
        AFTER,
    )


@pytest.mark.parametrize("ending", ["pass", "raise ValueError('x')", "s.close(False)", "s.row('?')"])
def test_blocks(check: Any, ending: str) -> None:
    block = f"with Sender.from_conf(f'tcp::addr={HOST}:{{port}};auto_flush_rows=2;auto_flush_interval=off;') as s:"
    check(f"{block}\n    add(s, 3)\n    {ending}", STATE, "add(s, 1)", "s.close()")


def test_large_buffers(check: Any) -> None:
    row = "s.row('t', columns={'a': 'x' * 2000}, at=ServerTimestamp)"
    check(made("max_buf_size=1024, auto_flush=False"), row, "s.flush()", AFTER)
    check(made("max_buf_size=1024, auto_flush=False"), row, "s.close()", STATE, "s.close()")


def test_errors_point_to_the_logs(check: Any) -> None:
    """Only over TCP does a message carry a link to the documentation."""
    check(
        made("max_buf_size=1024, auto_flush=False"),
        "s.row('t', columns={'a': 'x' * 2000}, at=ServerTimestamp)",
        "try: s.flush()\nexcept IngressError as error: note('http' in str(error))",
        "s.close()",
    )


def test_names_that_do_not_resolve(check: Any) -> None:
    check(
        "s = Sender('tcp', 'nowhere.invalid', 1)\ns.establish()\ns.close()",
        "s = Sender('tcp', 'localhost', 'no port')\ns.establish()\ns.close()",
        f"s = Sender('tcp', '{HOST}', port, bind_interface='nowhere.invalid')\ns.establish()\ns.close()",
        "s = Sender('http', 'nowhere.invalid', 1, protocol_version=2)\ns.establish()\nadd(s, 1)\ns.flush()",
    )
