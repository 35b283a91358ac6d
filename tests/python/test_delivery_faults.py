"""Faults between the client and a real QuestDB: whatever comes out of a write, what it says of the rows is true.

These tests hold no opinion on whether a write gets through, as that is a matter of which failures are tried again. They
count rows in the table. With each fault once and with each for good, into a plain table and into one with dedup keys.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import faults as f
import oracle_sets as sets
import pytest
from proxy import FaultProxy

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exchange import Fault, Plan, Request

    from questframe.local import QuestDB

#: Said once a process, and rightly.
AGAIN = pytest.mark.filterwarnings("ignore:.* sent again though they may have been stored:UserWarning")
pytestmark = AGAIN

ROWS = 60
TURNS = 2
MIB = 1 << 20
#: What a client has at most: two for rows and one for questions. Each is a socket of the client and two of the proxy.
CONNECTIONS = 3
CONF = "auto_flush_rows=10;request_timeout=300;request_min_throughput=0;retry_timeout=400;"

FAULTS: dict[str, Fault] = {
    "refused": f.Refuse(0.15),
    "reset_before": f.ResetUnread(),
    "reset_in_body": f.ResetInBody(),
    "reset_in_body_kept": f.ResetInBody(pass_on=False),
    "request_lost": f.LoseRequest(),
    "answer_lost": f.LoseAnswer(),
    "answer_lost_early": f.LoseAnswer(wait=False),
    "request_stalled": f.StallRequest(),
    "request_stalled_in_body": f.StallRequest(after=50),
    "request_stalled_shortly": f.StallRequest(after=50, seconds=0.1),
    "answer_stalled": f.StallAnswer(),
    "answer_stalled_shortly": f.StallAnswer(0.1),
    "both_stalled": f.StallAnswer(pass_on=False),
    "request_dripped": f.Drip(request=300),
    "answer_dripped": f.Drip(answer=100),
    "dripped": f.Drip(request=10_000, answer=2_000),
    "400": f.Status(400),
    "401": f.Status(401),
    "413_early": f.Status(413, early=True),
    "429": f.Status(429),
    "500": f.Status(500),
    "500_stored": f.Status(500, pass_on=True),
    "503": f.Status(503),
    "503_early": f.Status(503, early=True),
    "503_hang_up": f.Status(503, hang_up=True),
    "504_stored": f.Status(504, pass_on=True),
    "507": f.Status(507),
    "509": f.Status(509),
    "521_stored": f.Status(521, pass_on=True),
    "529": f.Status(529),
    "redirect": f.Redirect(1),
    "web_page": f.Status(200, b"<html>", content_type="text/html"),
    "web_page_stored": f.Status(200, b"<html>", content_type="text/html", pass_on=True),
    "503_web_page": f.Status(503, b"<html>", content_type="text/html"),
    "garbage": f.Raw(pass_on=False),
    "garbage_stored": f.Raw(),
    "closed": f.Raw(b"", name="closed"),
    "cut_head": f.CutHead(),
    "cut_503": f.cut_body(503, pass_on=False),
    "cut_503_stored": f.cut_body(503),
    "cut_500_stored": f.cut_body(500),
    "doubled": f.Doubled(),
    "flood_500": f.Flood(),
    "flood_503": f.Flood(503),
}


@pytest.fixture
def proxy(port: int) -> Iterator[FaultProxy]:
    with sets.no_leak(), FaultProxy(port, keep_bodies=True) as proxy:
        yield proxy


@pytest.fixture(params=["plain", "dedup"])
def made(request: pytest.FixtureRequest, server: QuestDB, table: str) -> str:
    sets.create(server, table, dedup=request.param == "dedup")
    return table


def holds(make_plan: Callable[[], Plan], server: QuestDB, table: str, proxy: FaultProxy, **options: Any) -> None:
    """With these faults the truth is told, and the client works on afterwards; nothing leaks and time is bounded."""
    told: list[sets.Told] = []
    before, resident = sets.sockets(), sets.resident()
    with qf.connect(proxy.conf + CONF) as client:
        for _ in range(TURNS):
            proxy.plan = make_plan()
            began = time.monotonic()
            told.append(sets.attempt(client, table, ROWS, len(told) * ROWS, **options))
            assert time.monotonic() - began < 10
            proxy.plan = no_fault
            assert proxy.wait_for(proxy.is_accepting)
            assert sets.come_down_to(sets.sockets, before + 3 * CONNECTIONS) <= before + 3 * CONNECTIONS
        works_again(client, table, told)
        sets.check(server, table, proxy, told, twice="retry_in_doubt" in options)
    assert sets.resident() - resident < 100 * MIB


def works_again(client: qf.Client, table: str, told: list[sets.Told]) -> None:
    # The time limit is a short one for a busy machine; and a kept connection may be found closed once more.
    for _ in range(10):
        told.append(sets.attempt(client, table, ROWS, len(told) * ROWS))
        if told[-1].error is None:
            return
    assert told[-1].error is None


def no_fault(_request: Request) -> None:
    pass


def second_only(fault: Fault) -> Plan:
    return f.script(None, fault)


def from_second_on(fault: Fault) -> Plan:
    first = f.script(None)
    seen = []

    def plan(request: Request) -> Fault | None:
        if not request.is_write:
            return None
        seen.append(request)
        return fault if len(seen) > 1 else first(request)

    return plan


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_once(name: str, server: QuestDB, made: str, proxy: FaultProxy) -> None:
    holds(lambda: second_only(FAULTS[name]), server, made, proxy)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_for_good(name: str, server: QuestDB, made: str, proxy: FaultProxy) -> None:
    holds(lambda: from_second_on(FAULTS[name]), server, made, proxy)


@pytest.mark.skipif("retry_in_doubt" not in qf.WriteOptions.__annotations__, reason="not an option yet")
@pytest.mark.parametrize("name", ["answer_lost", "answer_lost_early", "answer_stalled", "500_stored", "cut_503_stored"])
def test_a_fault_retried_in_doubt(name: str, server: QuestDB, made: str, proxy: FaultProxy) -> None:
    holds(lambda: second_only(FAULTS[name]), server, made, proxy, retry_in_doubt=True)


# --- requests other than writes ---------------------------------------------------------------------------------------

ASKED: dict[str, Fault] = {
    "refused": f.Refuse(0.15),
    "reset": f.ResetUnread(),
    "lost": f.LoseAnswer(),
    "stalled": f.StallAnswer(),
    "stalled_shortly": f.StallAnswer(0.1),
    "dripped": f.Drip(answer=100),
    "400": f.Status(400),
    "401": f.Status(401),
    "404": f.Status(404),
    "500": f.Status(500),
    "503": f.Status(503),
    "503_hang_up": f.Status(503, hang_up=True),
    "redirect": f.Redirect(1),
    "web_page": f.Status(200, b"<html>", content_type="text/html"),
    "nothing": f.Status(200, b"", content_type=f.JSON),
    "no_json": f.Status(200, b'{"config":', content_type=f.JSON),
    "other_json": f.Status(200, b'{"columns": 1, "dataset": {}}', content_type=f.JSON),
    "garbage": f.Raw(),
    "cut_head": f.CutHead(),
    "cut_body": f.cut_body(200, b'{"config":{'),
    "doubled": f.Doubled(),
    "flood_500": f.Flood(),
}


@pytest.mark.parametrize("path", ["/settings", "/exec"])
@pytest.mark.parametrize("name", ASKED)
def test_a_fault_of_a_question(name: str, path: str, server: QuestDB, table: str, proxy: FaultProxy) -> None:
    """Each is the first question of its kind that a client asks, and the next one after that."""
    sets.create(server, table, dedup=False)
    told = []
    for most in (1, 1_000):
        with qf.connect(proxy.conf + CONF) as client:
            proxy.plan = f.script(*[ASKED[name]] * most, path=path)
            told.append(sets.attempt(client, table, ROWS, len(told) * ROWS))
            proxy.plan = no_fault
            assert proxy.wait_for(proxy.is_accepting)
            works_again(client, table, told)
    sets.check(server, table, proxy, told)


@pytest.mark.parametrize(
    "path",
    [
        "/settings",
        "/exec",
    ],
)
def test_a_flood_of_json_is_not_taken_in(path: str, proxy: FaultProxy) -> None:
    proxy.plan = f.always(f.Flood(200, 256 * MIB, f.JSON, b'{"a":"bcdef"},'), path)
    with qf.connect(proxy.conf) as client:
        assert sets.attempt(client, "t", ROWS).error is not None
    assert proxy.settle()
    assert proxy.fates[-1].sent < 32 * MIB


def test_a_server_is_asked_again_when_there_was_no_common_version(proxy: FaultProxy, table: str) -> None:
    proxy.plan = f.script(f.settings(**{"line.proto.support.versions": [7]}), path="/settings")
    with qf.connect(proxy.conf) as client:
        assert "protocol versions [7]" in (sets.attempt(client, table, ROWS).error or "")
        assert sets.attempt(client, table, ROWS).error is None


def test_closing_lets_go_of_everything_while_an_error_is_kept(proxy: FaultProxy, table: str) -> None:
    proxy.plan = f.always(f.Status(400))
    threads = sets.threads()
    with qf.connect(proxy.conf + CONF) as client:
        with pytest.raises(qf.IngressError) as kept:
            client.write(sets.numbered(ROWS), table=table, at="ts")
        assert proxy.open > 0
    try:
        assert proxy.wait_for(lambda: proxy.open == 0, 1)
        assert sets.come_down_to(sets.threads, threads, 1) <= threads
    finally:
        kept.value.with_traceback(None)
        del kept


# --- many times -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_a_thousand_times(name: str, server: QuestDB, table: str, proxy: FaultProxy) -> None:
    """In one client and in many: no more threads, sockets and memory at the end than at the beginning."""
    sets.create(server, table, dedup=True)
    short = "request_timeout=20;request_min_throughput=0;retry_timeout=30;"
    fault = f.Refuse(0.002) if name == "refused" else FAULTS[name]
    told: list[sets.Told] = []
    # Of the proxy's threads there is one for each connection.
    before, other_threads = sets.sockets(), lambda: sets.threads() - proxy.open
    with contextlib.ExitStack() as clients:
        client = clients.enter_context(qf.connect(proxy.conf + short))
        told.append(sets.attempt(client, table, 3))
        threads = sets.come_down_to(other_threads, 0, 1.0)
        proxy.plan = f.always(fault)
        resident: list[int] = []
        for turn in range(1, 1_001):
            if turn > 500:
                clients.pop_all().close()
                client = clients.enter_context(qf.connect(proxy.conf + short))
            told.append(sets.attempt(client, table, 3, turn * 3))
            if turn in {100, 500, 1_000}:
                proxy.release()
                assert proxy.wait_for(lambda: proxy.open <= CONNECTIONS), turn
                assert sets.come_down_to(sets.sockets, before + 3 * CONNECTIONS) <= before + 3 * CONNECTIONS, turn
                assert sets.come_down_to(other_threads, threads) <= threads, turn
                resident.append(sets.resident())
        proxy.plan = no_fault
        assert proxy.wait_for(proxy.is_accepting)
    assert max(resident) - resident[0] < 32 * MIB, resident
    sets.check(server, table, proxy, told)
