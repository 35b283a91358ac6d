"""Store and forward: what no server takes waits on disk, survives kill -9, and arrives in order."""

from __future__ import annotations

import os
import pickle
import random
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pytest
from numbered import failure
from servers import HOST, SETTINGS, FakeQuestDB, answer, answer_json, refused, reset, stored

import questframe as qf
from questframe import IngressErrorCode as Code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from questframe.local import QuestDB


def frame(rows: int = 30, start: int = 0) -> pl.DataFrame:
    numbers = range(start, start + rows)
    return pl.DataFrame({"n": numbers, "ts": pl.Series(numbers, dtype=pl.Datetime("us"))})


def lines(fake: FakeQuestDB, start: int = 0) -> list[int]:
    text = b"".join(fake.writes[start:]).decode()
    return [int(line.split("n=")[1].split("i")[0]) for line in text.splitlines()]


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.seg"))


@pytest.fixture
def client(fake: FakeQuestDB, folder: Path) -> Iterator[qf.Client]:
    conf = f"{fake.conf}spool_dir={folder};auto_flush_rows=10;connections=1;retry_timeout=0;"
    with qf.connect(conf) as client:
        yield client


BUSY = answer(503, b"busy")


def test_what_is_not_delivered_waits_and_is_sent_first(client: qf.Client, fake: FakeQuestDB, folder: Path) -> None:
    fake.script = [stored, BUSY]
    report = client.write(frame(), table="t")
    assert (report.rows, report.rows_spooled) == (10, 20)
    assert "20 rows waiting on disk" in repr(report)
    assert "busy" in report.notes[0]
    assert len(report.notes) == 1
    assert len(segments(folder)) == 2

    report = client.write(frame(10, 30), table="t")
    assert (report.rows, report.rows_spooled) == (10, 0)
    assert lines(fake) == [*range(10), *range(10, 20), *range(10, 30), *range(30, 40)]
    assert segments(folder) == []
    assert b"".join(fake.writes[2:]) == qf.to_ilp(frame(40)[10:], table="t")


def test_new_rows_of_the_table_queue_behind_what_waits(client: qf.Client, fake: FakeQuestDB, folder: Path) -> None:
    fake.script = [BUSY] * 2
    assert client.write(frame(10), table="t").rows_spooled == 10
    # The attempt to send what waits fails again: nothing else of this table is tried.
    report = client.write(frame(10, 10), table="T")
    assert (report.rows, report.rows_spooled) == (0, 10)
    assert len(fake.writes) == 2
    assert "accepted before wait" in report.notes[0]
    # Another table is not held up.
    fake.script = [BUSY]
    assert client.write(frame(10, 90), table="u").rows == 10
    drained = client.drain_spool()
    assert (drained.segments, drained.rows, drained.rejected, drained.segments_waiting) == (2, 20, [], 0)
    assert "20 rows in 2 segments sent" in repr(drained)
    assert lines(fake, 4) == [*range(10), *range(10, 20)]
    assert client.drain_spool().segments == 0
    assert segments(folder) == []


def test_rows_in_doubt_wait_only_if_keys_make_it_harmless(client: qf.Client, fake: FakeQuestDB) -> None:
    fake.script = [reset]
    with pytest.raises(qf.IngressError) as caught:
        client.write(frame(10), table="t")
    assert caught.value.doubtful == (range(10),)
    fake.script = [reset]
    assert client.write(frame(10), table="t", retry_in_doubt=True).rows_spooled == 10
    names = [{"name": name, "type": "STRING"} for name in ("id", "dedup", "column", "type", "designated")]
    fake.exec = answer_json(200, {"query": "", "columns": names, "dataset": [[1, True, "ts", "TIMESTAMP", True]]})
    client.drain_spool()
    fake.script = [reset]
    assert client.write(frame(10), table="keyed").rows_spooled == 10


def test_refusals_are_errors_as_ever(client: qf.Client, fake: FakeQuestDB, folder: Path) -> None:
    for reply in (refused(3, "table: t; bad"), answer(401), answer(403), answer(200, b"hello")):
        fake.script = [reply]
        with pytest.raises(qf.IngressError):
            client.write(frame(10), table="t")
    with pytest.raises(qf.IngressError):
        client.write(frame(10).with_columns(ts=pl.lit(None, dtype=pl.Datetime("us"))), table="t", at="ts")
    assert segments(folder) == []


def test_a_wrong_password_does_not_hide_behind_what_waits(client: qf.Client, fake: FakeQuestDB) -> None:
    fake.script = [BUSY, answer(401)]
    client.write(frame(10), table="t")
    with pytest.raises(qf.IngressError) as caught:
        client.write(frame(10), table="t")
    assert caught.value.code is Code.AuthError


def test_what_is_too_large_for_a_proxy_does_not_stop_all_else(
    client: qf.Client, fake: FakeQuestDB, folder: Path
) -> None:
    fake.script = [BUSY]
    assert client.write(frame(10), table="big").rows_spooled == 10
    fake.script = [answer(413, b"<html>nginx</html>", content_type="text/html")]
    report = client.write(frame(3), table="small")
    assert (report.rows, lines(fake, 2)) == (3, [0, 1, 2])
    assert report.notes[0] == 'new columns of the table: "n" (LONG)'
    assert "rows that had waited on disk were refused and set aside" in report.notes[1]
    (reason,) = folder.glob("**/rejected/*.txt")
    assert "a web page (status 413)" in reason.read_text()
    assert "pool_bytes" in reason.read_text()
    assert client.drain_spool().segments_waiting == 0


def test_a_folder_is_the_one_of_its_first_place(
    fake: FakeQuestDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    with qf.connect(f"{fake.conf}retry_timeout=0;") as client:
        for place in (first, second):
            place.mkdir()
            monkeypatch.chdir(place)
            fake.script = [BUSY]
            assert client.write(frame(10), table=place.name, spool_dir=".").rows_spooled == 10
            assert len(segments(place)) + len(list(place.glob("*.seg"))) == 1, list(place.glob("**/*"))


def test_a_failure_of_what_waits_names_the_table_of_the_write(client: qf.Client, fake: FakeQuestDB) -> None:
    fake.script = [BUSY]
    assert client.write(frame(), table="a").rows_spooled == 30
    fake.script = [answer(401, b"who?")]
    error = failure(client.write, frame(3), table="b")
    assert (error.code, error.table, error.unsent) == (Code.AuthError, "b", (range(3),))
    assert 'it is about rows of "a" that wait on disk and go first' in str(error)
    assert client.write(frame(3), table="b", resume=error).rows == 3


def test_the_folder_may_have_any_name(client: qf.Client, fake: FakeQuestDB, tmp_path: Path) -> None:
    fake.script = [BUSY]
    folder = os.fsdecode(bytes(tmp_path) + b"/rows\xff")
    assert client.write(frame(), table="a", spool_dir=folder).rows_spooled == 30
    assert segments(Path(folder))


def test_a_segment_that_is_refused_goes_aside(client: qf.Client, fake: FakeQuestDB, folder: Path) -> None:
    fake.script = [BUSY]
    client.write(frame(), table="t")
    fake.script = [stored, refused(4, "table: t, column: n; cast error from protocol type: X")]
    drained = client.drain_spool()
    assert (drained.segments, drained.rows, len(drained.rejected)) == (2, 20, 1)
    (rejected,) = drained.rejected
    assert rejected.parent == folder / "rejected"
    reason = rejected.with_suffix(".reason.txt").read_text()
    assert "cast error from protocol type: X" in reason
    assert '10 rows of table "t"' in reason
    there = pickle.loads(pickle.dumps(drained))
    assert (repr(there), there.rejected, there.bytes) == (repr(drained), drained.rejected, drained.bytes)
    assert client.write(frame(10), table="t").rows == 10


def test_a_corrupt_segment_goes_aside(client: qf.Client, fake: FakeQuestDB, folder: Path) -> None:
    fake.script = [BUSY]
    client.write(frame(), table="t")
    path = segments(folder)[1]
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    fake.writes.clear()
    drained = client.drain_spool()
    assert (drained.rows, len(drained.rejected)) == (20, 1)
    assert lines(fake, 1) == [*range(10), *range(20, 30)]


def test_full_is_an_error_with_nothing_half_written(fake: FakeQuestDB, folder: Path) -> None:
    conf = f"{fake.conf}spool_dir={folder};spool_max_bytes=4096;auto_flush_rows=10;retry_timeout=0;connections=1;"
    with qf.connect(conf) as client:
        fake.script = [stored, BUSY]
        with pytest.raises(qf.IngressError, match=r"is full: .* raise spool_max_bytes .*busy") as caught:
            client.write(frame(1_000), table="t")
        assert (caught.value.acked, caught.value.unsent) == ((range(10),), (range(10, 1_000),))
        assert segments(folder) == []
        report = client.write(frame(1_000), table="t", resume=caught.value)
        assert report.rows == 990


def test_no_server_at_all(nobody: str, fake: FakeQuestDB, folder: Path) -> None:
    """Also the statement that makes the table waits."""
    data = frame(10).with_columns(k=pl.Series(["a", "b"] * 5, dtype=pl.Categorical))
    spec = qf.TableSpec(partition_by="MONTH", dedup_keys=["ts", "k"])
    with qf.connect(nobody) as client:
        report = client.write(data, table="t", create=spec, spool_dir=folder)
        assert (report.rows, report.rows_spooled, report.protocol_version) == (0, 10, 3)
        assert "could not be asked about the table" in report.notes[1]
        stream = pa.RecordBatchReader.from_batches(data.to_arrow().schema, data.to_arrow().to_batches())
        assert client.write(stream, table="u", spool_dir=folder).rows_spooled == 10
        with pytest.raises(qf.IngressError) as caught:
            client.drain_spool(folder)
        assert caught.value.code is Code.SocketError
    assert qf.spool.drain(fake.conf, spool_dir=folder).rows == 20
    statements = [request.query for request in fake.of("/exec") if "CREATE" in request.query]
    assert len(statements) == 2
    assert "MONTH" in statements[0]


def test_a_server_without_the_protocol_version_refuses_the_segment(
    nobody: str, fake: FakeQuestDB, folder: Path
) -> None:
    with qf.connect(nobody) as client:
        client.write(frame(10), table="t", spool_dir=folder, protocol_version=3)
        client.write(frame(10), table="t", spool_dir=folder, protocol_version=1)
    fake.settings = answer_json(200, {"config": {**SETTINGS["config"], "line.proto.support.versions": [1]}})
    with qf.connect(fake.conf) as client:
        drained = client.drain_spool(folder)
    assert (drained.rows, len(drained.rejected)) == (10, 1)


def test_what_waits_is_sent_by_the_next_connect(nobody: str, fake: FakeQuestDB, folder: Path) -> None:
    with qf.connect(f"{nobody}spool_dir={folder};") as client:
        client.write(frame(10), table="t")
    # No server is there, or it is busy: then it waits on.
    qf.connect(f"{nobody}spool_dir={folder};").close()
    fake.script = [BUSY]
    qf.connect(f"{fake.conf}spool_dir={folder};").close()
    assert len(segments(folder)) == 1
    qf.connect(f"{fake.conf}spool_dir={folder};").close()
    assert len(fake.writes) == 2
    assert segments(folder) == []
    qf.connect(f"{fake.conf}spool_dir={folder};").close()
    assert len(fake.writes) == 2


def test_a_deadline_keeps_the_rest_too(fake: FakeQuestDB, folder: Path) -> None:
    fake.script = [stored, *[BUSY] * 1_000]
    conf = f"{fake.conf}auto_flush_rows=10;connections=1;"
    report = qf.write_questdb(frame(), conf, table="t", spool_dir=folder, deadline=0.3)
    assert (report.rows, report.rows_spooled) == (10, 20)


def test_no_folder_named(fake: FakeQuestDB) -> None:
    with pytest.raises(qf.IngressError, match="no spool folder is named; give `spool_dir`") as caught:
        qf.spool.drain(fake.conf)
    assert caught.value.code is Code.ConfigError
    with pytest.raises(TypeError, match="spool_dir must be a path, not 5"):
        qf.write_questdb(frame(), fake.conf, table="t", spool_dir=5)  # type: ignore[arg-type]


HOLD = """
    import sys, questframe as qf, polars as pl
    frame = pl.DataFrame({"n": range(10), "ts": pl.Series(range(10), dtype=pl.Datetime("us"))})
    client = qf.connect(sys.argv[1])
    print(client.write(frame, table="t").rows_spooled, flush=True)
    sys.stdin.read()
"""


def test_two_processes_on_one_folder_are_refused(nobody: str, folder: Path) -> None:
    conf = f"{nobody}spool_dir={folder};"
    command = [sys.executable, "-c", textwrap.dedent(HOLD), conf]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "10\n"
        with pytest.raises(qf.IngressError, match=rf"is in use by process {other.pid}"):
            qf.connect(conf)
        with qf.connect(nobody) as client:
            with pytest.raises(qf.IngressError, match=rf"is in use by process {other.pid}") as caught:
                client.write(frame(), table="t", spool_dir=folder)
            assert caught.value.code is Code.ConfigError
            assert caught.value.unsent == (range(30),)
            other.kill()
            other.wait(10)
            assert client.write(frame(), table="t", spool_dir=folder).rows_spooled == 30


def test_several_threads_and_clients_of_one_process_share_a_folder(fake: FakeQuestDB, folder: Path) -> None:
    conf = f"{fake.conf}spool_dir={folder};retry_timeout=0;"
    fake.script = [BUSY] * 20
    clients = [qf.connect(conf) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda number=number: clients[number % 4].write(frame(10, 10 * number), table="t"))
        for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    fake.script = []
    for client in clients:
        client.drain_spool()
    got = [line for body in fake.writes for line in body.splitlines()]
    assert {int(line.split(b"n=")[1].split(b"i")[0]) for line in got} == set(range(120))
    assert segments(folder) == []


# --- a real server, and kill -9 -------------------------------------------------------------------------------------

WRITER = """
    import sys, questframe as qf, polars as pl
    conf, table, start = sys.argv[1], sys.argv[2], int(sys.argv[3])
    client = qf.connect(conf)
    for n in range(start, start + 100_000):
        rows = range(n * 5, n * 5 + 5)
        frame = pl.DataFrame({"n": rows, "ts": pl.Series(rows, dtype=pl.Datetime("us"))})
        report = client.write(frame, table=table, at="ts")
        assert report.rows + report.rows_spooled == 5
        print(n, report.rows_spooled, flush=True)
"""


def test_kill_9_loses_no_accepted_row(server: QuestDB, port: int, folder: Path, table: str) -> None:
    """A writer whose server comes and goes is killed at random moments; what it said was accepted arrives."""
    server.sql(f"create table {table} (n long, ts timestamp) timestamp(ts) partition by day wal dedup upsert keys(ts)")
    dice = random.Random(20251125)
    accepted: list[int] = []
    with socket.create_server((HOST, 0)) as listener:
        closed = listener.getsockname()[1]
    start = 0
    for round_number in range(8):
        # Every other round nobody listens.
        address = f"{HOST}:{port if round_number % 2 else closed}"
        conf = f"http::addr={address};spool_dir={folder};retry_timeout=0;"
        command = [sys.executable, "-c", textwrap.dedent(WRITER), conf, table, str(start)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(dice.randrange(1, 40)):
                said = writer.stdout.readline().split()
                assert said, "the writer ended by itself"
                accepted.append(int(said[0]))
            os.kill(writer.pid, signal.SIGKILL)
            accepted += [int(line.split()[0]) for line in writer.stdout if line.endswith("\n")]
        start = max(accepted) + 1
    drained = qf.spool.drain(server.conf, spool_dir=folder)
    assert drained.segments_waiting == 0
    assert drained.rejected == []
    server.wait_visible(table)
    found = server.sql(f"select n from {table}").column("n")
    assert len(found) == len(set(found))
    expected = {n * 5 + i for n in accepted for i in range(5)}
    assert expected <= set(found)
    # A write is there whole or not at all.
    assert len(found) % 5 == 0
    assert len(set(found) - expected) <= 5 * 8


def test_order_is_kept_across_the_spool(server: QuestDB, port: int, folder: Path, table: str) -> None:
    """For each key the last write wins, whichever way each went."""
    server.sql(
        f"create table {table} (k symbol, v long, ts timestamp) timestamp(ts) partition by day wal"
        " dedup upsert keys(ts, k)"
    )
    with socket.create_server((HOST, 0)) as listener:
        closed = listener.getsockname()[1]
    for turn in range(12):
        target = port if turn % 3 == 2 else closed
        conf = f"http::addr={HOST}:{target};spool_dir={folder};retry_timeout=0;"
        keys = pl.Series(["a", "b"], dtype=pl.Categorical)
        data = pl.DataFrame({"k": keys, "v": [turn] * 2, "ts": pl.Series([1, 1], dtype=pl.Datetime("us"))})
        with qf.connect(conf) as client:
            client.write(data, table=table, at="ts", create="server")
    assert server.wait_visible(table, 2) == 2
    assert server.sql(f"select k, v from {table} order by k").rows == [("a", 11), ("b", 11)]
