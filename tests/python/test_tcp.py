"""TCP and TCPS, where nothing is acknowledged: what arrives, what is said of rows that may be lost, what is refused."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest
from conftest import run
from servers import HOST
from test_live import CASES, check_golden
from tls import TlsProxy
from together import together

import questframe as qf
from questframe import IngressErrorCode as Code

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from questframe.local import QuestDB

#: The key in QuestDB's documentation, and another.
KEY_ID, X, Y = (
    "testUser1",
    "fLKYEaoEb9lrn3nkwLDA-M_xnuFOdSt9y0Z7_vWSHLU",
    "Dt5tbS1dEDMSYfym3fgMv0B99szno-dFc1rYF9t0aac",
)
D = "5UjEMuA0Pj5pjK8a-fa24dyIf-Es5mYny3oE_Wmus48"
OTHER_X, OTHER_Y = "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"
OTHER_D = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"
KEY = f"username={KEY_ID};token={D};token_x={X};token_y={Y};"

UUID = "11111111-2222-3333-4444-555555555555"


def conf_of(server: QuestDB) -> str:
    return f"tcp::addr={HOST}:{server.ilp_tcp_port};"


@pytest.fixture
def conf(server: QuestDB) -> str:
    return conf_of(server)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuestDB]:
    """A real QuestDB that wants a signature."""
    folder = tmp_path_factory.mktemp("keyed")
    (folder / "auth.txt").write_text(f"{KEY_ID} ec-p-256-sha256 {X} {Y}\n")
    yield from run({"line.tcp.auth.db.path": "auth.txt"}, folder=folder)


def frame(rows: int = 30) -> pl.DataFrame:
    numbers = range(rows)
    return pl.DataFrame({"n": numbers, "ts": pl.Series(numbers, dtype=pl.Datetime("us"))})


def stream(data: pl.DataFrame, rows: int) -> pa.RecordBatchReader:
    table = data.to_arrow()
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=rows))


def picky(rows: int, *bad: int) -> pl.DataFrame:
    """Rows of 65 bytes with strings for a column of UUIDs, of which some are none."""
    data = pl.select(n=pl.int_range(rows), u=pl.repeat(UUID, rows), ts=pl.int_range(rows).cast(pl.Datetime("us")))
    return data.with_columns(u=pl.when(pl.col("n").is_in(bad)).then(pl.lit("bad")).otherwise("u"))


def make_picky(server: QuestDB, table: str) -> None:
    server.sql(f"create table {table} (n long, u uuid, ts timestamp) timestamp(ts) partition by day wal")


def write(data: Any, conf: str, table: str, **options: Any) -> qf.WriteReport:
    return qf.write_questdb(data, conf, table=table, unacknowledged=True, **options)


def failure(call: Callable[..., Any], *args: Any, **options: Any) -> qf.IngressError:
    with pytest.raises(qf.IngressError) as caught:
        call(*args, **options)
    error = caught.value
    shown = "\n".join([str(error), repr(error), repr(vars(error))])
    assert D not in shown
    assert OTHER_D not in shown
    return error


def covers(error: qf.IngressError | qf.WriteInterrupted, rows: int) -> tuple[int, int]:
    """The ends of the rows handed over and of those in doubt: over TCP the three follow each other."""
    ranges = [*error.acked, *error.doubtful, *error.unsent]
    assert [row for each in ranges for row in each] == list(range(rows))
    assert max(map(len, (error.acked, error.doubtful, error.unsent))) <= 1
    acked = error.acked[0].stop if error.acked else 0
    return acked, error.doubtful[0].stop if error.doubtful else acked


# --- what arrives ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_golden_frames_read_back_as_they_were(case: dict[str, Any], server: QuestDB) -> None:
    case = {**case, "table": f"tcp {case['table']}"}
    check_golden(case, server, conf_of(server), (1, 2, 3), unacknowledged=True)


@pytest.mark.parametrize("version", [2, 3])
def test_arrays_and_decimals_read_back(version: int, server: QuestDB, conf: str, table: str) -> None:
    server.sql(
        f"create table {table} (n long, a double[], d decimal(18,4), ts timestamp_ns)"
        " timestamp(ts) partition by day wal"
    )
    arrays = [[1.5, -0.0], None, [2.0**0.5]]
    decimals = [decimal.Decimal("-1.2345"), decimal.Decimal(7), None]
    data = pl.DataFrame({"n": [1, 2, 3], "a": arrays, "ts": pl.Series([3, 4, 5], dtype=pl.Datetime("ns"))})
    if version == 3:
        data = data.with_columns(d=pl.Series(decimals, dtype=pl.Decimal(18, 4)))
    report = write(data, conf, table, at="ts", protocol_version=version)
    assert (report.rows, report.protocol_version) == (3, version)
    assert server.wait_visible(table, 3) == 3
    found = server.sql(f"select n, a, d, cast(ts as long) from {table}").rows
    read = [(n, a, None if d is None else decimal.Decimal(d), ts) for n, a, d, ts in found]
    wanted = decimals if version == 3 else [None] * 3
    assert read == [(row + 1, arrays[row], wanted[row], row + 3) for row in range(3)]


def test_the_report_says_what_is_known(server: QuestDB, conf: str, table: str) -> None:
    began = time.monotonic()
    report = write(frame(), conf, table)
    assert 0.2 <= time.monotonic() - began < 10
    assert (report.rows, report.requests, report.retries, report.protocol_version) == (30, 1, 0, 1)
    assert report.bytes == len(qf.to_ilp(frame(), table=table, protocol_version=1))
    (note,) = report.notes
    assert "nothing was acknowledged" in note
    assert server.wait_visible(table, 30) == 30
    assert write(frame(0), conf, table).rows == 0
    assert write(frame(), f"{conf}protocol_version=2;", table).protocol_version == 2
    assert write(frame(), f"{conf}protocol_version=2;", table, protocol_version=3).protocol_version == 3


def test_many_requests_keep_the_order_of_rows(server: QuestDB, conf: str, table: str) -> None:
    told = []
    report = write(
        stream(frame(50_000), 999),
        f"{conf}auto_flush_rows=500;",
        table,
        at=qf.ServerTimestamp,
        progress=lambda *now: told.append(now),
    )
    assert (report.rows, report.requests, report.in_flight) == (50_000, 100, 1)
    assert told[-1] == (50_000, None, report.bytes)
    assert server.wait_visible(table, 50_000) == 50_000
    assert server.sql(f"select n from {table}").column("n") == list(range(50_000))


def test_other_frames_and_the_event_loop(server: QuestDB, conf: str, table: str) -> None:
    write(frame().to_pandas(use_pyarrow_extension_array=True), conf, table)
    write(frame().to_arrow(), conf, table)
    frame().write_questdb(conf, table=table, unacknowledged=True)  # type: ignore[attr-defined]
    asyncio.run(qf.awrite_questdb(frame(), conf, table=table, unacknowledged=True))
    assert server.wait_visible(table, 120) == 120


def test_threads_share_a_client(server: QuestDB, conf: str, table: str) -> None:
    with qf.connect(conf) as client:

        def work(number: int) -> None:
            for part in range(3):
                data = frame(1_000).select(pl.col("n") + 10_000 * number + 1_000 * part, "ts")
                assert client.write(data, table=table, unacknowledged=True).rows == 1_000

        together(work, 6)
    assert server.wait_visible(table, 18_000) == 18_000
    found = server.sql(f"select n from {table}").column("n")
    assert sorted(found) == [10_000 * number + row for number in range(6) for row in range(3_000)]


# --- what is refused ------------------------------------------------------------------------------------------------


def test_nobody_writes_unawares() -> None:
    for scheme in ("tcp", "tcps"):
        for options in ({}, {"unacknowledged": False}):
            error = failure(qf.write_questdb, frame(), f"{scheme}::addr=h;", table="t", **options)
            assert error.code is Code.ConfigError
            assert f'"{scheme}" acknowledges nothing' in str(error)
            assert "unacknowledged=True" in str(error)
            assert (error.acked, error.doubtful, error.unsent) == ((), (), (range(30),))
    with pytest.raises(TypeError, match="unacknowledged must be True or False, not 1"):
        qf.write_questdb(frame(), "tcp::addr=h;", table="t", unacknowledged=1)  # type: ignore[arg-type]


def test_over_http_it_changes_nothing(server: QuestDB, table: str) -> None:
    report = write(frame(), server.conf, table)
    assert (report.rows, report.protocol_version, report.notes) == (30, 3, [])


@pytest.mark.parametrize(
    "options",
    [
        {"atomic": True},
        {"on_error": "quarantine"},
        {"wait_visible": 5},
        {"check": True},
        {"create": "never"},
        {"create": qf.TableSpec(partition_by="HOUR")},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_takes_an_answer_is_refused(options: dict[str, Any]) -> None:
    error = failure(write, frame(), f"tcp::addr={HOST}:1;", "t", **options)
    assert error.code is Code.InvalidApiCall
    assert next(iter(options)) in str(error)
    assert 'use "http" or "https"' in str(error)
    assert error.unsent == (range(30),)


def test_what_only_http_answers() -> None:
    with qf.connect(f"tcp::addr={HOST}:1;") as client:
        for ask in (client.ping, client.server_info):
            error = failure(ask)
            assert error.code is Code.InvalidApiCall
            assert ask.__name__ in str(error)
            assert 'use "http" or "https"' in str(error)


def test_one_stream_goes_to_one_server() -> None:
    error = failure(qf.connect, "tcp::addr=a,b:9010;")
    assert error.code is Code.ConfigError
    assert '"addr" names several hosts' in str(error)


def test_a_plan_asks_nobody() -> None:
    data = frame().with_columns(x=pl.lit([0.5]))
    error = failure(qf.plan, data, f"tcp::addr={HOST}:1;", table="t")
    assert error.code is Code.ProtocolVersionError
    plan = qf.plan(data, f"tcp::addr={HOST}:1;protocol_version=2;table=u;")
    assert (plan.table, plan.protocol_version, plan.at) == ("u", 2, "ts")
    assert qf.plan(frame(), f"tcp::addr={HOST}:1;", table="t").protocol_version == 1


def test_a_bad_frame_connects_to_nobody() -> None:
    data = frame().with_columns(pl.when(pl.col("n") != 7).then("ts"))
    error = failure(write, data, f"tcp::addr={HOST}:1;", "t", at="ts")
    assert (error.code, error.row, error.column) == (Code.InvalidTimestamp, 7, "ts")


# --- failures -------------------------------------------------------------------------------------------------------


def test_nobody_there() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    error = failure(write, frame(), f"tcp::addr={HOST}:{port};", "t")
    assert error.code is Code.SocketError
    assert f"no connection to {HOST}:{port}" in str(error)
    assert covers(error, 30) == (0, 0)


def test_the_http_port_is_told(port: int) -> None:
    error = failure(write, frame(), f"tcp::addr={HOST}:{port};", "t")
    assert error.doubtful == (range(30),)
    assert "9009" in str(error)


@pytest.mark.parametrize("bad", [0, 500, 999])
@pytest.mark.parametrize("flush", ["", "auto_flush_rows=10;"])
def test_a_bad_line_of_a_small_frame(bad: int, flush: str, server: QuestDB, conf: str, table: str) -> None:
    make_picky(server, table)
    error = failure(write, picky(1_000, bad), conf + flush, table)
    assert error.code is Code.SocketError
    assert "did not like a line; its log says which" in str(error)
    acked, doubtful = covers(error, 1_000)
    assert acked == 0
    assert doubtful > bad
    assert f"in doubt: rows 0..{doubtful}" in str(error)
    assert server.wait_visible(table, bad) == bad


@pytest.mark.parametrize(
    ("bad", "one_shot"),
    [(1_400_000, False), (2_300_000, False), (2_499_999, False), (2_300_000, True)],
    ids=["early", "late", "last", "stream"],
)
def test_a_bad_line_of_a_long_frame(bad: int, one_shot: bool, server: QuestDB, conf: str, table: str) -> None:
    make_picky(server, table)
    data = picky(2_500_000, bad)
    told = []
    source = stream(data, 50_000) if one_shot else data
    error = failure(write, source, conf, table, progress=lambda *now: told.append(now[0]))
    acked, doubtful = (error.acked[-1].stop if error.acked else 0), error.doubtful[-1].stop
    assert acked <= bad < doubtful
    assert told == sorted(told)
    assert told[-1] == acked
    if bad > 1_400_000:
        # All but some 80 MiB of what was written.
        assert acked > 1_000_000
        assert f"; handed over: rows 0..{acked}; in doubt: rows {acked}..{doubtful}" in str(error)
    # All that counts as handed over is there, and all before the bad row.
    assert server.wait_visible(table, bad) == bad
    assert server.sql(f"select count(), max(n) from {table}").rows == [(bad, bad - 1)]

    # What was in doubt is sent again, and the bad row has been put right.
    good = picky(2_500_000)
    report = write(good, conf, table, resume=error)
    assert report.rows == 2_500_000 - acked
    there = 2_500_000 + bad - acked
    assert server.wait_visible(table, there) == there
    assert server.sql(f"select count_distinct(n) from {table}").scalar() == 2_500_000


def test_a_stream_is_gone_on_with(server: QuestDB, conf: str, table: str) -> None:
    server.sql(
        f"create table {table} (n long, u uuid, ts timestamp) timestamp(ts) partition by day wal dedup upsert keys(ts)"
    )
    reader = stream(picky(1_000, 700), 99)
    error = failure(write, reader, f"{conf}auto_flush_rows=100;", table)
    assert error.in_doubt
    server.sql(f"alter table {table} alter column u type varchar")
    report = write(reader, conf, table, resume=error, doubtful=True)
    assert report.rows == 1_000
    assert server.wait_visible(table, 1_000) == 1_000


def test_a_server_that_dies_in_the_middle(tmp_path: Path) -> None:
    runs = run(folder=tmp_path)
    server = next(runs)
    conf = conf_of(server)
    killed = []

    def kill(rows: int, _total: int | None, _sent: int) -> None:
        if rows > 0 and not killed:
            killed.append(rows)
            os.kill(server.pid, signal.SIGKILL)

    error = failure(write, picky(3_000_000), conf, "t", progress=kill)
    assert error.code is Code.SocketError
    assert "closed the connection" in str(error)
    assert error.acked[0].stop >= killed[0] > 0
    assert error.in_doubt
    for _ in runs:
        pass


# --- authentication -------------------------------------------------------------------------------------------------


def test_the_right_key(keyed: QuestDB) -> None:
    with qf.connect(conf_of(keyed) + KEY) as client:
        assert repr(client) == f"Client(tcp://{HOST}:{keyed.ilp_tcp_port} as {KEY_ID!r})".replace("'", '"')
        for _ in range(2):
            assert client.write(frame(), table="signed", unacknowledged=True).rows == 30
    assert keyed.wait_visible("signed", 60) == 60


@pytest.mark.parametrize(
    "key",
    [
        f"username={KEY_ID};token={OTHER_D};token_x={OTHER_X};token_y={OTHER_Y};",
        f"username=nobody;token={D};token_x={X};token_y={Y};",
    ],
    ids=["key", "name"],
)
def test_a_wrong_key_leaves_no_doubt(key: str, keyed: QuestDB) -> None:
    error = failure(write, frame(), conf_of(keyed) + key, "unsigned")
    assert error.code is Code.AuthError
    assert 'does it know the key id in "username"' in str(error)
    assert covers(error, 30) == (0, 0)


def test_a_missing_key(keyed: QuestDB) -> None:
    error = failure(write, frame(), conf_of(keyed), "unsigned")
    assert error.code is Code.AuthError
    assert 'give the key in "username"' in str(error)
    assert error.acked == ()
    assert keyed.sql("select count() from tables() where table_name = 'unsigned'").scalar() == 0


def test_a_key_that_nobody_asks_for(conf: str) -> None:
    error = failure(write, frame(), conf + KEY, "t")
    assert error.code is Code.AuthError
    assert "Did not receive auth challenge" in str(error)
    assert covers(error, 30) == (0, 0)


def test_keys_that_are_none() -> None:
    for key in (KEY.replace(D, f"{D}="), KEY.replace(D, OTHER_D)):
        assert failure(qf.connect, f"tcp::addr=h;{key}").code is Code.AuthError
    for key in ("username=u;password=p;", f"token={D};", f"username=u;token={D};"):
        assert failure(qf.connect, f"tcp::addr=h;{key}").code is Code.ConfigError


# --- TLS ------------------------------------------------------------------------------------------------------------


def test_tls(server: QuestDB, keyed: QuestDB, certified: ssl.SSLContext, pem: Path, table: str) -> None:
    for target, key in ((server, ""), (keyed, KEY)):
        proxy = TlsProxy(target.ilp_tcp_port, certified)
        try:
            conf = f"tcps::addr=localhost:{proxy.port};{key}"
            data = frame(200_000)
            assert write(data, f"{conf}tls_roots={pem};", table).rows == 200_000
            assert write(frame(), f"{conf}tls_verify=unsafe_off;", table).rows == 30
            assert target.wait_visible(table, 200_030) == 200_030
            error = failure(write, frame(), f"{conf}tls_ca=webpki_roots;", table)
            assert error.code is Code.TlsError
            assert covers(error, 30) == (0, 0)
            error = failure(write, frame(), f"tcps::addr=localhost:{target.ilp_tcp_port};auth_timeout=500;", table)
            assert error.code is Code.TlsError
        finally:
            proxy.close()


def test_a_bad_line_over_tls(server: QuestDB, certified: ssl.SSLContext, pem: Path, table: str) -> None:
    make_picky(server, table)
    proxy = TlsProxy(server.ilp_tcp_port, certified)
    try:
        conf = f"tcps::addr=localhost:{proxy.port};tls_roots={pem};"
        error = failure(write, picky(1_000, 500), conf, table)
        assert error.doubtful == (range(1_000),)
        assert server.wait_visible(table, 500) == 500
    finally:
        proxy.close()


# --- time -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def deaf() -> Iterator[str]:
    """A server whose connections are made by its system, and never read from."""
    with socket.create_server((HOST, 0)) as listener:
        yield f"tcp::addr={HOST}:{listener.getsockname()[1]};"


@pytest.mark.parametrize("rows", [30, 1_000_000], ids=["close", "write"])
def test_the_deadline_ends_a_call_that_is_stuck(rows: int, deaf: str) -> None:
    began = time.monotonic()
    error = failure(write, picky(rows), deaf, "t", deadline=dt.timedelta(seconds=1))
    assert 0.9 <= time.monotonic() - began < 10
    assert "the deadline of 1s for the whole call has passed" in str(error)
    acked, doubtful = covers(error, rows)
    assert acked == 0
    assert doubtful > 0
    assert (doubtful == rows) == (rows == 30)


def test_a_server_that_does_not_close_is_told(deaf: str) -> None:
    error = failure(write, frame(), f"{deaf}auth_timeout=300;", "t")
    assert error.code is Code.SocketError
    assert "did not close the connection within 300ms" in str(error)
    assert error.doubtful == (range(30),)


STUCK = """
    import sys, questframe as qf, polars as pl
    frame = pl.DataFrame({"n": range(30), "ts": pl.Series(range(30), dtype=pl.Datetime("us"))})
    client = qf.connect(sys.argv[1])
    told = []
    def tell(*now):
        if not told:
            print("begun", flush=True)
        told.append(now)
    try:
        client.write(frame, table="t", unacknowledged=True, progress=tell)
    except qf.WriteInterrupted as error:
        print("interrupted", error.acked, error.doubtful, error.unsent, flush=True)
"""


def test_ctrl_c_ends_what_is_stuck(deaf: str) -> None:
    command = [sys.executable, "-c", textwrap.dedent(STUCK), deaf]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            # Until the line has left.
            time.sleep(0.4)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=4)
            took = time.monotonic() - began
        finally:
            process.kill()
    assert output == "interrupted () (range(0, 30),) ()\n"
    assert took < 2


def test_what_progress_raises_ends_the_write(deaf: str) -> None:
    class Enough(Exception):  # noqa: N818
        pass

    def tell(*_now: object) -> None:
        if time.monotonic() > began + 0.5:
            raise Enough

    began = time.monotonic()
    with pytest.raises(Enough) as caught:
        write(frame(), deaf, "t", progress=tell)
    cause = caught.value.__cause__
    assert isinstance(cause, qf.IngressError)
    assert cause.doubtful == (range(30),)
