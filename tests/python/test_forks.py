"""Forks: a client says in the child that it is the parent's, functions make their own, the parent notices nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from servers import FakeQuestDB

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

PRELUDE = """
    import asyncio, gc, os, sys, threading, warnings, questframe as qf, polars as pl
    warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
    frame = pl.DataFrame({"n": [1], "ts": pl.Series([1], dtype=pl.Datetime("us"))})
    conf = sys.argv[1]

    def in_child(work):
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            try:
                work()
            finally:
                sys.stdout.flush()
                os._exit(0)
        # A child that hangs is ended by its own alarm.
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def tried(call):
        try:
            call()
            return "no error"
        except qf.IngressError as error:
            return error.code.name, "fork" in str(error) and "make a client in this process" in str(error)
"""


def run(code: str, fake: FakeQuestDB) -> list[str]:
    """What a program prints."""
    program = textwrap.dedent(PRELUDE) + textwrap.dedent(code)
    command = [sys.executable, "-c", program, fake.conf]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_client_used_after_a_fork_says_so_and_the_functions_work(fake: FakeQuestDB) -> None:
    code = """
        client = qf.connect(conf)
        write = lambda: client.write(frame, table="t").rows
        print("parent", write(), qf.write_questdb(frame, conf, table="t").rows)
        def child():
            global client
            for call in (write, client.ping, lambda: client.plan(frame, table="t")):
                print("child", tried(call))
            print("child", tried(lambda: asyncio.run(client.awrite(frame, table="t"))))
            print("child", qf.write_questdb(frame, conf, table="t").rows)
            print("child", asyncio.run(qf.awrite_questdb(frame, conf, table="t")).rows)
            print("child", qf.connect(conf).ping() > 0)
            del client
            gc.collect()
        print(in_child(child))
        print("parent", write(), qf.write_questdb(frame, conf, table="t").rows)
    """
    refusals = ["child ('InvalidApiCall', True)"] * 4
    assert run(code, fake) == ["parent 1 1", *refusals, "child 1", "child 1", "child True", "0", "parent 1 1"]
    assert len(fake.writes) == 6


def test_a_fork_of_a_fork(fake: FakeQuestDB) -> None:
    code = """
        def level(depth):
            print(depth, qf.write_questdb(frame, conf, table="t").rows)
            return in_child(lambda: print(level(depth + 1))) if depth < 3 else "end"
        print(level(0))
    """
    assert run(code, fake) == ["0 1", "1 1", "2 1", "3 1", "end", "0", "0", "0"]


@pytest.mark.parametrize("forks", [5, pytest.param(60, marks=pytest.mark.slow)])
def test_forks_while_threads_write(forks: int, fake: FakeQuestDB) -> None:
    """Whatever locks those threads hold at that moment stay locked in the child: it must not need them."""
    code = f"""
        import faulthandler, signal
        client = qf.connect(conf)
        ended, written = threading.Event(), []
        def work():
            while not ended.is_set():
                client.write(frame, table="t")
                qf.write_questdb(frame, conf, table="t")
                written.append(1)
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        while not written:
            pass
        def child():
            signal.alarm(20)
            # One that hangs tells where.
            faulthandler.dump_traceback_later(15)
            assert qf.write_questdb(frame, conf, table="child").rows == 1
            assert tried(client.ping)[0] == "InvalidApiCall"
        print([in_child(child) for _ in range({forks})])
        before = len(written)
        while len(written) < before + 10:
            pass
        ended.set()
        for thread in threads:
            thread.join()
        print(client.write(frame, table="t").rows)
    """
    assert run(code, fake) == [str([0] * forks), "1"]
    assert sum(body.startswith(b"child") for body in fake.writes) == forks


def test_processes_of_multiprocessing(fake: FakeQuestDB) -> None:
    code = """
        import concurrent.futures, multiprocessing
        def work(number):
            return qf.write_questdb(frame, conf, table="t").rows
        print(work(0))
        context = multiprocessing.get_context("fork")
        with concurrent.futures.ProcessPoolExecutor(4, mp_context=context) as pool:
            print(list(pool.map(work, range(8))))
        print(work(0))
    """
    assert run(code, fake) == ["1", str([1] * 8), "1"]
    assert len(fake.writes) == 10
