"""Ctrl-C: in a terminal and in Jupyter it ends a write within a second, and tells what became of the rows."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from servers import HOST, FakeQuestDB, a_table, answer, silent, stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent to a process")

#: What a child does: waits somewhere, and says how that ended.
CHILD = """
    import sys, time, questframe as qf, polars as pl

    def frame(rows=30):
        return pl.DataFrame({"n": range(rows), "ts": pl.Series(range(rows), dtype=pl.Datetime("us"))})

    def told(error):
        sets = [[(rows.start, rows.stop) for rows in ranges] for ranges in (error.acked, error.doubtful, error.unsent)]
        return f"{type(error).__name__} {sets}"

    conf = sys.argv[1]
    client = qf.connect(conf)
    try:
        CALL
    except qf.WriteInterrupted as error:
        assert isinstance(error, KeyboardInterrupt) and not isinstance(error, qf.IngressError)
        assert error.table == "t" and str(error).startswith('table "t": '), str(error)
        print(told(error), flush=True)
        again = client.write if "--resume" in sys.argv else None
        if again:
            print("resumed", again(frame(), table="t", resume=error).rows, flush=True)
    except KeyboardInterrupt:
        print("KeyboardInterrupt", flush=True)
    except BaseException as error:
        print("not interrupted:", repr(error), flush=True)
    else:
        print("no error", flush=True)
"""

WRITE = "client.write(frame(), table='t')"


def interrupted(
    call: str, conf: str, when: Callable[[], bool], *arguments: str, ready: str = "", seconds: float = 1.0
) -> str:
    """What a child prints that gets a SIGINT once `when` holds, or once it has printed `ready`."""
    script = textwrap.dedent(CHILD).replace("CALL", textwrap.indent(textwrap.dedent(call), " " * 4).strip())
    with subprocess.Popen(
        [sys.executable, "-c", script, conf, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        killer = threading.Timer(45, process.kill)
        killer.start()
        try:
            if ready:
                assert process.stdout.readline().strip() == ready
            deadline = time.monotonic() + 30
            while not when():
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.005)
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            first = process.stdout.readline()
            took = time.monotonic() - began
            # Not by `communicate`: it does not see what was read ahead along with the first line.
            output, errors = process.stdout.read(), process.stderr.read()
            code = process.wait(timeout=10)
        finally:
            killer.cancel()
            process.kill()
    assert took < seconds, (took, first)
    assert (errors, code) == ("", 0)
    return first + output


@pytest.mark.parametrize("path", ["/write", "/exec", "/settings"])
@pytest.mark.parametrize("call", [WRITE, "client.write(frame(), table='t', progress=lambda *_: None)"])
def test_a_write_that_is_stuck_on_a_silent_server(call: str, path: str, fake: FakeQuestDB) -> None:
    if path == "/write":
        fake.script = [stored, silent]
    else:
        setattr(fake, path[1:], silent)
    reached = lambda: len(fake.of(path)) == (2 if path == "/write" else 1)
    output = interrupted(call, f"{fake.conf}auto_flush_rows=10;connections=1;", reached)
    sets = "[[(0, 10)], [(10, 20)], [(20, 30)]]" if path == "/write" else "[[], [], [(0, 30)]]"
    assert output == f"WriteInterrupted {sets}\n"


CALLS = [
    "client.ping()",
    "client.server_info()",
    "client.plan(frame(), table='t')",
    "qf.read_questdb('select 1', conf)",
]


@pytest.mark.parametrize("call", CALLS)
def test_what_writes_nothing_is_interrupted_as_usual(call: str, fake: FakeQuestDB) -> None:
    fake.ping = fake.settings = fake.exec = silent
    assert interrupted(call, fake.conf, lambda: len(fake.requests) == 1) == "KeyboardInterrupt\n"


def test_in_the_pause_before_a_retry(fake: FakeQuestDB) -> None:
    fake.script = [stored, *[answer(503, b"busy")] * 100]
    conf = f"{fake.conf}auto_flush_rows=10;connections=1;retry_timeout=60000;retry_max_backoff_millis=30000;"
    output = interrupted(WRITE, conf, lambda: len(fake.writes) > 7)
    assert output == "WriteInterrupted [[(0, 10)], [], [(10, 30)]]\n"


def test_while_nobody_listens() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    began: list[float] = []

    def a_moment_later() -> bool:
        began.append(time.monotonic())
        return began[-1] > began[0] + 0.3

    call = f"print('ready', flush=True)\n{WRITE}"
    output = interrupted(call, f"http::addr={HOST}:{port};retry_timeout=60000;", a_moment_later, ready="ready")
    assert output == "WriteInterrupted [[], [], [(0, 30)]]\n"


def test_while_it_waits_for_rows_to_be_visible(fake: FakeQuestDB) -> None:
    # An answer without transactions is asked again: none of them is applied.
    call = "client.write(frame(), table='t', wait_visible=60)"
    stuck = False

    def by_query(exchange: Any) -> None:
        nonlocal stuck
        stuck = "wal_tables" in exchange.request.query
        (silent if stuck else a_table)(exchange)

    fake.exec = by_query
    assert interrupted(call, fake.conf, lambda: stuck) == "WriteInterrupted [[(0, 30)], [], []]\n"


def test_while_it_encodes(fake: FakeQuestDB) -> None:
    output = interrupted(
        "client.write(frame(5_000_000), table='t')", f"{fake.conf}pool_bytes=1048576;", lambda: len(fake.writes) >= 3
    )
    sets = [[int(number) for number in re.findall(r"\d+", part)] for part in output.split("], [")]
    assert output.startswith("WriteInterrupted [[(0, ")
    assert sets[0][-1] > 0
    assert max(max(numbers, default=0) for numbers in sets) == 5_000_000


def test_while_a_stream_of_python_code_is_read(fake: FakeQuestDB) -> None:
    call = """
        import pyarrow as pa
        table = frame(20).to_arrow()
        def batches():
            for turn in range(10_000):
                time.sleep(0.02)
                yield from table.to_batches()
        client.write(pa.RecordBatchReader.from_batches(table.schema, batches()), table="t")
    """
    conf = f"{fake.conf}auto_flush_rows=10;connections=1;"
    output = interrupted(call, conf, lambda: len(fake.writes) > 10)
    assert output.startswith("WriteInterrupted [[(0, ")


def test_a_write_that_was_interrupted_is_gone_on_with(fake: FakeQuestDB) -> None:
    fake.script = [stored, silent]
    conf = f"{fake.conf}auto_flush_rows=10;connections=1;"
    output = interrupted(WRITE, conf, lambda: len(fake.writes) == 2, "--resume")
    assert output == "WriteInterrupted [[(0, 10)], [(10, 20)], [(20, 30)]]\nresumed 20\n"


def test_a_progress_callable_that_raises_after_it_does_not_hide_it(fake: FakeQuestDB) -> None:
    fake.script = [silent]
    call = """
        import signal
        hit = False
        def handler(*_):
            global hit
            hit = True
            raise KeyboardInterrupt
        signal.signal(signal.SIGINT, handler)
        def tell(*_):
            if hit:
                raise ValueError("called after the end")
        client.write(frame(), table="t", progress=tell)
    """
    output = interrupted(call, fake.conf, lambda: len(fake.writes) == 1)
    assert output == "WriteInterrupted [[], [(0, 30)], []]\n"


def test_in_asyncio_run(fake: FakeQuestDB) -> None:
    fake.script = [stored, silent]
    call = """
        import asyncio
        async def main():
            try:
                await client.awrite(frame(), table="t")
            except asyncio.CancelledError as error:
                print("cancelled", told(error.__cause__), flush=True)
                raise
        asyncio.run(main())
    """
    output = interrupted(call, f"{fake.conf}auto_flush_rows=10;connections=1;", lambda: len(fake.writes) == 2)
    assert output == "cancelled IngressError [[(0, 10)], [(10, 20)], [(20, 30)]]\nKeyboardInterrupt\n"


def test_a_flush_of_rows_has_them_in_the_cause(fake: FakeQuestDB) -> None:
    fake.script = [silent]
    call = """
        from questframe.ingress import Sender, TimestampNanos
        sender = Sender.from_conf(conf)
        sender.establish()
        sender.row("t", columns={"n": 1}, at=TimestampNanos(1))
        try:
            sender.flush()
        except KeyboardInterrupt as error:
            print(type(error.__cause__).__name__, bytes(error.__cause__.pending), len(sender), flush=True)
            raise
    """
    output = interrupted(call, fake.conf, lambda: len(fake.writes) == 1)
    assert output == f"IngressError {b't n=1i 1n' + bytes([10])!r} 0\nKeyboardInterrupt\n"


def test_without_a_handler_of_the_caller_the_process_ends(fake: FakeQuestDB) -> None:
    """As in a script: a traceback with what was stored."""
    fake.script = [silent]
    code = textwrap.dedent(CHILD).split("try:")[0] + WRITE
    with subprocess.Popen([sys.executable, "-c", code, fake.conf], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert fake.wait_for(lambda: len(fake.writes) == 1, 30)
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            _, errors = process.communicate(timeout=10)
            took = time.monotonic() - began
        finally:
            process.kill()
    assert took < 2
    # Python ends by the signal itself, as a shell's loop expects, for KeyboardInterrupt but for no class made of it.
    assert process.returncode in {1, -signal.SIGINT, 130}
    assert "WriteInterrupted" in errors
    assert "in doubt: rows 0..30" in errors


# --- Jupyter --------------------------------------------------------------------------------------------------------


class Kernel:
    """A Jupyter kernel, and the outputs of its cells."""

    def __init__(self) -> None:
        from jupyter_client.manager import KernelManager

        self.manager = KernelManager(kernel_name="python3", transport="ipc" if os.name == "posix" else "tcp")
        # The interpreter of the tests, whatever is installed as a kernel.
        self.manager.kernel_spec.argv[0] = sys.executable
        self.manager.start_kernel()
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def start(self, code: str) -> str:
        identity: str = self.client.execute(textwrap.dedent(code), store_history=False)
        return identity

    def result(self, identity: str, seconds: float = 30) -> tuple[str, str, str]:
        """Status, the exception's name, and what was printed."""
        printed = ""
        while True:
            message = self.client.get_iopub_msg(timeout=seconds)
            if message["parent_header"].get("msg_id") != identity:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                printed += content["text"]
            elif kind == "status" and content["execution_state"] == "idle":
                break
        # Late answers to what was asked when it started may come before.
        while (message := self.client.get_shell_msg(timeout=seconds))["parent_header"].get("msg_id") != identity:
            pass
        reply = message["content"]
        return reply["status"], reply.get("ename", ""), printed

    def run(self, code: str) -> tuple[str, str, str]:
        return self.result(self.start(code))

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    pytest.importorskip("ipykernel")
    pytest.importorskip("jupyter_client")
    kernel = Kernel()
    try:
        yield kernel
    finally:
        kernel.close()


@pytest.mark.filterwarnings("default::DeprecationWarning")
@pytest.mark.filterwarnings("default::ResourceWarning")
@pytest.mark.parametrize("way", ["write", "await", "progress"])
def test_a_cell_of_jupyter(way: str, kernel: Kernel, fake: FakeQuestDB) -> None:
    conf = f"{fake.conf}auto_flush_rows=10;connections=1;"
    setup = textwrap.dedent(CHILD).split("conf =")[0] + f"client = qf.connect({conf!r})"
    assert kernel.run(setup)[0] == "ok"
    fake.script = [stored, silent]
    call = {
        "write": "client.write(frame(), table='t')",
        "progress": "client.write(frame(), table='t', progress=True)",
        "await": "await client.awrite(frame(), table='t')",
    }[way]
    identity = kernel.start(call)
    assert fake.wait_for(lambda: len(fake.writes) == 2, 30)
    began = time.monotonic()
    kernel.manager.interrupt_kernel()
    status, name, _ = kernel.result(identity)
    took = time.monotonic() - began
    assert (status, took < 1.0) == ("error", True), took
    if way == "await":
        # ipykernel cancels the cell's task.
        assert name in {"CancelledError", "KeyboardInterrupt"}
        look = "error = sys.last_value; error = error.__cause__ or error.__context__.__cause__; print(told(error))"
        kind = "IngressError"
    else:
        assert name == "WriteInterrupted"
        look, kind = "print(told(sys.last_value))", "WriteInterrupted"
    status, _, printed = kernel.run(look)
    assert (status, printed) == ("ok", f"{kind} [[(0, 10)], [(10, 20)], [(20, 30)]]\n")
    # The next cell works.
    assert kernel.run("print(client.write(frame(), table='t').rows)") == ("ok", "", "30\n")
