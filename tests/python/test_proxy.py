"""The proxy that other tests believe: each fault does what it says, and the records are true of the real server."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import faults as f
import oracle_sets
import pytest
from exchange import Request
from proxy import FaultProxy
from servers import FakeQuestDB
from wire import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exchange import Fate, Fault
    from typing_extensions import Self

    from questframe.local import QuestDB

ROWS = 20
#: The second is what a client gets that was still writing.
RESET = (ConnectionResetError, BrokenPipeError)


@pytest.fixture
def proxy(port: int) -> Iterator[FaultProxy]:
    with oracle_sets.no_leak(), FaultProxy(port, keep_bodies=True) as proxy:
        yield proxy


@pytest.fixture
def made(server: QuestDB, table: str) -> str:
    oracle_sets.create(server, table, dedup=False)
    return table


def lines(table: str, rows: int = ROWS) -> bytes:
    first = oracle_sets.EPOCH_MICROS * 1_000
    return b"".join(b"%s,k=0 n=%di %d\n" % (table.encode(), row, first + row * 1_000) for row in range(rows))


class Client:
    """One connection, without any of the cleverness of the product."""

    def __init__(self, port: int, timeout: float = 20.0) -> None:
        self.connection = http.client.HTTPConnection(HOST, port, timeout=timeout)

    def post(self, body: bytes) -> int:
        self.connection.request("POST", "/write?precision=n", body)
        return self.answer()

    def get(self, path: str) -> int:
        self.connection.request("GET", path)
        return self.answer()

    def answer(self) -> int:
        answer = self.connection.getresponse()
        self.body = answer.read()
        self.type = answer.headers["Content-Type"]
        return answer.status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.connection.close()


def stored(server: QuestDB, table: str) -> int:
    return len(oracle_sets.counts(server, table))


def only(proxy: FaultProxy) -> Fate:
    assert proxy.settle()
    (fate,) = proxy.writes()
    return fate


# --- as if it were not there ------------------------------------------------------------------------------------------


def test_without_a_fault_everything_passes(server: QuestDB, made: str, proxy: FaultProxy) -> None:
    with Client(proxy.port) as client:
        assert client.get("/settings") == 200
        assert client.post(lines(made)) == 204
        assert client.post(b"no line at all\n") == 400
        assert b"error in line 1" in client.body
        # An answer in chunks.
        assert client.get("/exec?query=select+x+from+long_sequence(100000)") == 200
        assert client.body.count(b"],[") == 99_999
        assert (proxy.connections, proxy.open) == (1, 1)
    assert proxy.wait_for(lambda: proxy.open == 0)
    assert stored(server, made) == ROWS
    told = [(fate.request.number, fate.whole, fate.status, fate.told, fate.stored) for fate in proxy.writes()]
    assert told == [(0, True, 204, 204, True), (1, True, 400, 400, False)]
    assert oracle_sets.numbers_in(proxy.writes()[0].body) == list(range(ROWS))
    assert all(fate.delivered and fate.done and fate.fault is None for fate in proxy.fates)


def test_each_connection_has_its_own_to_the_server(fake: FakeQuestDB) -> None:
    with FaultProxy(fake.port) as proxy, Client(proxy.port) as one, Client(proxy.port) as two:
        assert [client.get("/settings") for client in (one, two, one)] == [200, 200, 200]
        assert [request.connection for request in fake.requests] == [0, 1, 0]
        assert [fate.request.connection for fate in proxy.fates] == [0, 1, 0]


def test_a_server_that_goes_takes_the_connections_along() -> None:
    with FakeQuestDB() as fake:
        proxy = FaultProxy(fake.port)
        client = Client(proxy.port)
        assert client.get("/settings") == 200
    with proxy, client:
        assert client.connection.sock.recv(1) == b""
        with Client(proxy.port) as other, pytest.raises(ConnectionResetError):
            other.get("/settings")
        assert proxy.wait_for(lambda: proxy.open == 0)


def test_the_server_may_move(proxy: FaultProxy, fake: FakeQuestDB) -> None:
    with Client(proxy.port) as before, Client(proxy.port) as after:
        assert before.get("/settings") == 200
        proxy.retarget(fake.port)
        assert before.get("/settings") == after.get("/settings") == 200
        assert [request.path for request in fake.requests] == ["/settings"]


def test_a_server_may_answer_before_it_has_read_all() -> None:
    """And what it has not read is no whole request."""
    with (
        socket.create_server((HOST, 0)) as hasty,
        FaultProxy(hasty.getsockname()[1]) as proxy,
        Client(proxy.port) as client,
    ):

        def answer() -> None:
            sock, _ = hasty.accept()
            with sock:
                sock.recv(1_000)
                sock.sendall(f.head(413, 0))
                # Not read on, and not closed either, until the client has its answer.
                proxy.wait_for(lambda: proxy.writes()[0].delivered)

        thread = threading.Thread(target=answer)
        thread.start()
        assert client.post(bytes(64 << 20)) == 413
        thread.join()
        fate = only(proxy)
    assert (fate.whole, fate.status, fate.told, fate.stored) == (False, 413, 413, False)
    assert fate.passed < 64 << 20


# --- faults -----------------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """A fault, what the client gets (a status or an exception), and whether the rows are stored."""

    fault: Fault
    gets: int | type[Exception] | tuple[type[Exception], ...]
    stored: bool = False


CASES = {
    "reset_unread": Case(f.ResetUnread(), RESET),
    "reset_in_body": Case(f.ResetInBody(), RESET),
    "reset_in_last_byte": Case(f.ResetInBody(after=1 << 30), RESET),
    "reset_in_body_kept": Case(f.ResetInBody(pass_on=False), RESET),
    "lose_request": Case(f.LoseRequest(), RESET),
    "lose_answer": Case(f.LoseAnswer(), RESET, stored=True),
    "lose_answer_early": Case(f.LoseAnswer(wait=False), RESET, stored=True),
    "stall_request": Case(f.StallRequest(after=10, seconds=0.05), 204, stored=True),
    "stall_answer": Case(f.StallAnswer(0.05), 204, stored=True),
    "stall_both": Case(f.StallAnswer(0.05, pass_on=False), 204, stored=True),
    "drip_request": Case(f.Drip(request=10_000), 204, stored=True),
    "drip_answer": Case(f.Drip(answer=2_000), 204, stored=True),
    "503": Case(f.Status(503), 503),
    "503_early": Case(f.Status(503, early=True), 503),
    "503_hang_up": Case(f.Status(503, hang_up=True), 503),
    "500_stored": Case(f.Status(500, pass_on=True), 500, stored=True),
    "web_page": Case(f.Status(200, b"<html>", content_type="text/html"), 200),
    "redirect": Case(f.Redirect(1), 302),
    "garbage": Case(f.Raw(pass_on=False), http.client.BadStatusLine),
    "garbage_stored": Case(f.Raw(), http.client.BadStatusLine, stored=True),
    "closed": Case(f.Raw(b"", name="closed"), http.client.RemoteDisconnected, stored=True),
    "cut_body": Case(f.cut_body(503), http.client.IncompleteRead, stored=True),
    "cut_body_kept": Case(f.cut_body(503, pass_on=False), http.client.IncompleteRead),
    "doubled": Case(f.Doubled(), 204, stored=True),
    "flood": Case(f.Flood(size=3 << 20), 500),
}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_does_what_it_says(name: str, server: QuestDB, made: str, proxy: FaultProxy) -> None:
    case = CASES[name]
    proxy.plan = f.script(case.fault)
    with Client(proxy.port) as client:
        if isinstance(case.gets, int):
            assert client.post(lines(made)) == case.gets
        else:
            with pytest.raises(case.gets):
                client.post(lines(made))
        fate = only(proxy)
        assert (fate.fault, proxy.faults[str(case.fault)]) == (str(case.fault), 1)
        assert fate.stored == case.stored
        assert fate.whole == case.stored
        assert fate.status == (204 if case.stored else None)
        told = case.gets if isinstance(case.gets, int) else None
        assert (fate.told, fate.delivered) == (told, told is not None)
        assert stored(server, made) == (ROWS if case.stored else 0)
    # Without a fault, and over a new connection, all is well.
    with Client(proxy.port) as client:
        assert client.post(lines(made)) == 204


def test_half_a_body_is_passed_on(made: str, proxy: FaultProxy) -> None:
    body = lines(made)
    for fault, passed in ((f.ResetInBody(), len(body) // 2), (f.ResetInBody(after=7), 7)):
        proxy.plan = f.script(fault)
        with Client(proxy.port) as client, pytest.raises(RESET):
            client.post(body)
        assert proxy.settle()
        assert proxy.writes()[-1].passed == passed


def test_half_a_head_is_delivered(server: QuestDB, made: str, proxy: FaultProxy) -> None:
    body = lines(made)
    proxy.plan = f.script(None, f.CutHead())
    heard = []
    for _ in range(2):
        with socket.create_connection((HOST, proxy.port), timeout=20) as sock:
            sock.sendall(b"POST /write HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            heard.append(sock.recv(1 << 10))
            if len(heard) == 2:
                assert sock.recv(1) == b""
    whole, half = heard
    assert whole.startswith(b"HTTP/1.1 204") and whole.endswith(b"\r\n\r\n")
    assert b"\r\n" in half and b"\r\n\r\n" not in half and len(half) < len(whole) / 2
    assert proxy.settle()
    assert [(fate.status, fate.told, fate.delivered) for fate in proxy.writes()] == [
        (204, 204, True),
        (204, None, False),
    ]
    assert oracle_sets.counts(server, made) == dict.fromkeys(range(ROWS), 2)


def test_connections_are_refused_and_taken_again_on_the_same_port(made: str, proxy: FaultProxy) -> None:
    port = proxy.port
    with Client(port) as idle:
        assert idle.get("/settings") == 200
        proxy.refuse()
        assert not proxy.is_accepting()
        with pytest.raises(ConnectionResetError):
            idle.connection.sock.recv(1)
        for _ in range(3):
            with Client(port) as client, pytest.raises(ConnectionRefusedError):
                client.get("/settings")
        assert proxy.wait_for(lambda: proxy.open == 0)
        proxy.accept()
        assert proxy.port == port
        with Client(port) as client:
            assert client.post(lines(made)) == 204


def test_connections_are_refused_for_a_while(made: str, proxy: FaultProxy) -> None:
    proxy.plan = f.script(f.Refuse(0.2))
    with Client(proxy.port) as client, pytest.raises(RESET):
        client.post(lines(made))
    began = time.monotonic()
    with Client(proxy.port) as client, pytest.raises(ConnectionRefusedError):
        client.post(lines(made))
    assert proxy.wait_for(proxy.is_accepting)
    assert 0.1 < time.monotonic() - began < 2
    assert only(proxy).stored is False


def test_connections_are_reset_as_soon_as_they_are_there(proxy: FaultProxy) -> None:
    proxy.is_reset = lambda number: number == 0
    with Client(proxy.port) as client, pytest.raises(RESET):
        client.get("/settings")
    with Client(proxy.port) as client:
        assert client.get("/settings") == 200


def test_a_stall_holds_until_it_is_released(server: QuestDB, made: str, proxy: FaultProxy) -> None:
    proxy.plan = f.script(f.StallAnswer(), f.StallAnswer(pass_on=False))
    for present in (ROWS, ROWS):
        with Client(proxy.port, timeout=0.1) as client:
            with pytest.raises(TimeoutError):
                client.post(lines(made))
            assert proxy.stalled() == 1
            assert stored(server, made) == present
            proxy.release()
            assert proxy.settle()
    assert oracle_sets.counts(server, made) == dict.fromkeys(range(ROWS), 2)


def test_a_stall_ends_when_the_client_goes(server: QuestDB, made: str, proxy: FaultProxy) -> None:
    proxy.plan = f.script(f.StallAnswer(), f.StallAnswer(pass_on=False))
    for _ in range(2):
        with Client(proxy.port) as client:
            client.connection.request("POST", "/write?precision=n", lines(made))
            assert proxy.wait_for(lambda: proxy.stalled() == 1)
        assert proxy.settle()
        assert proxy.open == 0
    # The server has both, and the client the answer to none.
    assert [(fate.status, fate.delivered) for fate in proxy.writes()] == [(204, False)] * 2
    assert stored(server, made) == ROWS


def test_a_reader_that_stalls_stops_the_writer(port: int, server: QuestDB, made: str) -> None:
    body = lines(made, 200_000)
    with FaultProxy(port, f.script(f.StallRequest(after=100_000)), receive_buffer=64 << 10) as proxy:
        with socket.create_connection((HOST, proxy.port)) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 << 10)
            sock.settimeout(0.3)
            sock.sendall(b"POST /write?precision=n HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body))
            sent = 0
            with pytest.raises(TimeoutError):
                while sent < len(body):
                    sent += sock.send(body[sent : sent + (64 << 10)])
            assert 100_000 <= sent < 2_000_000
            assert proxy.writes()[0].passed == 100_000
            proxy.release()
            sock.settimeout(20)
            sock.sendall(body[sent:])
            assert sock.recv(100).startswith(b"HTTP/1.1 204")
        assert only(proxy).passed == len(body)
    assert stored(server, made) == 200_000


@pytest.mark.parametrize("fault", [f.Drip(request=2_000), f.Drip(answer=250)], ids=["request", "answer"])
def test_a_drip_takes_its_time(fault: Fault, made: str, proxy: FaultProxy) -> None:
    proxy.plan = f.script(fault)
    with Client(proxy.port) as client:
        began = time.monotonic()
        assert client.post(lines(made)) == 204
        # 700 bytes, and about 80.
        assert 0.2 < time.monotonic() - began < 5


def test_a_flood_ends_when_the_client_has_enough(made: str, proxy: FaultProxy) -> None:
    proxy.plan = f.script(f.Flood())
    with Client(proxy.port) as client:
        client.connection.request("POST", "/write?precision=n", lines(made))
        answer = client.connection.getresponse()
        assert (answer.status, answer.headers["Content-Length"]) == (500, str(4 << 30))
        assert len(answer.read(20 << 20)) == 20 << 20
        answer.close()
    fate = only(proxy)
    assert (fate.stored, fate.told, fate.delivered) == (False, None, False)


# --- plans ------------------------------------------------------------------------------------------------------------


def test_faults_may_be_of_other_requests(proxy: FaultProxy) -> None:
    proxy.plan = f.first_of(
        f.script(f.Status(500), f.Raw(), f.settings(x=1), path="/settings"), f.always(f.Status(403), "/exec")
    )
    with Client(proxy.port) as client:
        assert client.get("/settings") == 500
        with pytest.raises(http.client.BadStatusLine):
            client.get("/settings")
    with Client(proxy.port) as client:
        assert (client.get("/settings"), client.body) == (200, b'{"config": {"x": 1}}')
        assert (client.get("/settings"), client.get("/exec?query=select+1"), client.get("/ping")) == (200, 403, 204)


def test_a_storm_passes(made: str, proxy: FaultProxy) -> None:
    proxy.plan = f.script(*[f.Status(503)] * 5, None, f.Status(507))
    with Client(proxy.port) as client:
        assert [client.post(lines(made)) for _ in range(8)] == [*[503] * 5, 204, 507, 204]
    assert proxy.faults == {"status_503": 5, "status_507": 1}


def test_faults_by_number() -> None:
    fault = f.ResetUnread()
    plan = f.numbered({1: fault})
    chosen = [plan(Request(number, 0, "POST", "/write", 1)) for number in range(3)]
    assert chosen == [None, fault, None]
    assert plan(Request(1, 0, "GET", "/settings", 0)) is None


def test_dice_fall_the_same_way_twice() -> None:
    faults = [f.ResetUnread(), f.LoseAnswer()]
    requests = [Request(number, 0, "POST", "/write", 1) for number in range(200)]
    one, two = ([plan(request) for request in requests] for plan in (f.dice(7, faults, 0.3), f.dice(7, faults, 0.3)))
    assert one == two
    assert 30 < 200 - one.count(None) < 90
    assert {str(fault) for fault in one if fault} == {"reset_unread", "lose_answer"}


# --- ends -------------------------------------------------------------------------------------------------------------


def test_closing_ends_whatever_waits(port: int, made: str) -> None:
    waiting = [f.StallAnswer(), f.StallRequest(), f.Drip(request=1), f.Drip(answer=1), f.Flood()]
    with oracle_sets.no_leak():
        with FaultProxy(port, f.script(*waiting)) as proxy:
            clients = [Client(proxy.port) for _ in range(len(waiting) + 1)]
            for client in clients[:-1]:
                client.connection.request("POST", "/write?precision=n", lines(made))
            clients[-1].connection.connect()
            assert proxy.wait_for(lambda: len(proxy.faults) > 3 and proxy.open == len(clients))
            began = time.monotonic()
        assert time.monotonic() - began < 5
        assert proxy.open == 0
        for client in clients:
            client.connection.close()


def test_many_connections_leave_nothing(made: str, proxy: FaultProxy) -> None:
    kinds = [f.ResetUnread(), f.LoseAnswer(), f.Status(503), f.CutHead(), f.StallAnswer()]
    proxy.plan = f.dice(1, kinds, 0.7)
    with oracle_sets.no_leak():
        for _ in range(100):
            with Client(proxy.port) as client, contextlib.suppress(*RESET):
                client.connection.request("POST", "/write?precision=n", lines(made))
        # They may be accepted after they have been closed.
        assert proxy.wait_for(lambda: len(proxy.writes()) == 100)
        assert proxy.settle()
        assert proxy.wait_for(lambda: proxy.open == 0)
    assert proxy.connections == 100
