"""What the drop-in does that the official client does not: nothing is lost without a trace, threads may share it."""

from __future__ import annotations

import datetime
import enum
import inspect
import threading
import time
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pytest
from servers import FakeQuestDB, after, answer, refused, reset

import questframe as qf
from questframe import ingress
from questframe.ingress import (
    Buffer,
    IngressError,
    IngressErrorCode,
    Sender,
    ServerTimestamp,
    TimestampMicros,
    TimestampNanos,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from questframe.local import QuestDB

OPTIONS = "retry_timeout=0;auto_flush=off;protocol_version=2;"
ROW = b"t a=1i\n"


def add(target: Any, rows: int = 1) -> None:
    for _ in range(rows):
        target.row("t", columns={"a": 1}, at=ServerTimestamp)


@pytest.mark.parametrize(
    "reply", [refused(1, "bad"), answer(503), reset, answer(200, b"a page")], ids=["400", "503", "reset", "200"]
)
def test_rows_of_a_failed_flush_are_in_the_error(reply: Any, fake: FakeQuestDB) -> None:
    with Sender.from_conf(fake.conf + OPTIONS) as sender:
        add(sender, 3)
        fake.script = [reply]
        with pytest.raises(IngressError, match="Could not flush buffer") as caught:
            sender.flush()
        pending = caught.value.pending
        assert isinstance(pending, Buffer)
        assert (len(sender), bytes(pending)) == (0, 3 * ROW)
        sender.flush(pending)
        assert len(pending) == 0
    assert fake.writes[-1] == 3 * ROW


@pytest.mark.parametrize("how", ["row", "dataframe", "close", "transaction", "commit"])
def test_whatever_flushed(how: str, fake: FakeQuestDB) -> None:
    conf = f"{fake.conf}retry_timeout=0;auto_flush_rows=2;protocol_version=2;"
    fake.script = [refused(1, "bad")] * 10
    sender = Sender.from_conf(conf)
    sender.establish()
    add(sender)
    with pytest.raises(IngressError) as caught:
        if how == "row":
            add(sender)
        elif how == "dataframe":
            sender.dataframe(pl.DataFrame({"a": [1, 1, 1]}), table_name="t", at=ServerTimestamp)
        elif how == "close":
            sender.close()
        else:
            with sender.transaction("t") as transaction:
                transaction.row(columns={"a": 1}, at=ServerTimestamp)
    assert caught.value.pending is not None
    assert bytes(caught.value.pending) == {"row": 2, "dataframe": 2}.get(how, 1) * ROW
    sender.close(flush=False)


def test_a_buffer_of_the_users_is_left_to_them(fake: FakeQuestDB) -> None:
    fake.script = [reset]
    with Sender.from_conf(fake.conf + OPTIONS) as sender:
        buffer = sender.new_buffer()
        add(buffer)
        with pytest.raises(IngressError) as caught:
            sender.flush(buffer)
        assert caught.value.pending is None
        assert bytes(buffer) == ROW


@pytest.mark.parametrize("status", [200, 201, 299])
def test_only_204_means_that_rows_are_stored(status: int, fake: FakeQuestDB) -> None:
    """The official client takes whatever a proxy or a login page answers for the server's word."""
    fake.script = [answer(status, b"welcome")]
    with Sender.from_conf(fake.conf + OPTIONS) as sender:
        add(sender)
        with pytest.raises(IngressError, match="is not a QuestDB") as caught:
            sender.flush()
    assert caught.value.code is IngressErrorCode.ServerFlushError


def test_a_frame_with_a_bad_value_sends_nothing(fake: FakeQuestDB) -> None:
    """The official client sends the rows before it, as far as it has flushed them by then."""
    frame = pl.DataFrame({"a": [1, 2, None, 4]})
    with Sender.from_conf(f"{fake.conf}auto_flush_rows=1;protocol_version=2;") as sender:
        with pytest.raises(IngressError, match="Bad dataframe row at index 2"):
            sender.dataframe(frame, table_name="t", at=ServerTimestamp)
        sender.dataframe(frame.drop_nulls(), table_name="t", at=ServerTimestamp)
    assert fake.writes == [b"t a=1i\n", b"t a=2i\n", b"t a=4i\n"]


def test_threads_share_a_sender(fake: FakeQuestDB) -> None:
    """Rows wait for a flush that another thread has begun; none is lost, none is torn."""
    fake.script = [after(0.05)] * 5
    with Sender.from_conf(f"{fake.conf}auto_flush_rows=50;auto_flush_interval=off;protocol_version=2;") as sender:
        threads = [threading.Thread(target=add, args=(sender, 200)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert b"".join(fake.writes) == 800 * ROW
    assert {len(body) for body in fake.writes} == {50 * len(ROW)}


def test_the_gil_is_released_while_a_flush_waits(fake: FakeQuestDB) -> None:
    fake.script = [after(0.3)]
    turns = 0
    with Sender.from_conf(fake.conf + OPTIONS) as sender:
        add(sender)
        flusher = threading.Thread(target=sender.flush)
        flusher.start()
        while flusher.is_alive():
            turns += 1
            time.sleep(0.001)
    assert turns > 20


def test_a_value_may_not_use_its_own_buffer() -> None:
    """It would wait for itself."""
    buffer = Buffer(2)

    class Meddler(datetime.datetime):  # type: ignore[misc, valid-type]
        def astimezone(self, tz: Any = None) -> Any:
            raise AssertionError("not asked")

        def replace(self, *args: Any, **kwargs: Any) -> Any:
            add(buffer)
            return super().replace(*args, **kwargs)

    with pytest.raises(RuntimeError, match="uses the buffer that the row is written to"):
        buffer.row("t", columns={"a": Meddler(2020, 1, 1)}, at=ServerTimestamp)
    assert bytes(buffer) == b""
    add(buffer)
    assert bytes(buffer) == ROW


def test_a_dictionary_that_changes_meanwhile_is_an_error() -> None:
    columns: dict[str, Any] = {}

    class Meddler(datetime.datetime):  # type: ignore[misc, valid-type]
        def replace(self, *args: Any, **kwargs: Any) -> Any:
            columns.update({f"c{number}": 1 for number in range(100)})
            return super().replace(*args, **kwargs)

    columns["a"] = Meddler(2020, 1, 1)
    buffer = Buffer(2)
    with pytest.raises(RuntimeError, match="changed size during iteration"):
        buffer.row("t", columns=columns, at=ServerTimestamp)
    assert len(buffer) == 0


def test_frames_of_other_libraries() -> None:
    frame = pl.DataFrame({"s": ["x", "y"], "a": [1, 2], "at": pl.Series([1, 2], dtype=pl.Datetime("us"))})
    lines = b"t,s=x a=1i 1t\nt,s=y a=2i 2t\n"
    for data in (frame, frame.lazy(), frame.to_arrow(), frame.to_pandas()):
        assert bytes(Buffer(2).dataframe(data, table_name="t", symbols=["s"], at="at")) == lines
        tables = bytes(Buffer(2).dataframe(data, table_name_col="s", at="at"))
        assert tables == b"x a=1i 1t\ny a=2i 2t\n"


def test_rows_reach_the_server(server: QuestDB, table: str) -> None:
    """Over HTTP and TCP, rows and frames, transactions: what was sent is there."""
    with Sender.from_conf(server.conf) as sender:
        assert sender.protocol_version == 3
        sender.row(
            table, symbols={"s": "a b"}, columns={"n": 1, "x": 1.5}, at=TimestampNanos(1_700_000_000_000_000_001)
        )
        frame = pl.DataFrame({"n": [2, 3], "at": pl.Series([10**15, 10**15 + 1], dtype=pl.Datetime("us"))})
        sender.dataframe(frame, table_name=table, at="at")
        sender.flush()
        with sender.transaction(table) as transaction:
            transaction.row(columns={"n": 4}, at=TimestampMicros(10**15 + 2))
            transaction.dataframe(frame.with_columns(n=pl.lit(5)), at="at")
    assert server.wait_visible(table, 6) == 6
    assert server.sql(f"select sum(n) from {table}").scalar() == 1 + 2 + 3 + 4 + 5 + 5
    assert server.sql(f"select s, x from {table} where n = 1").rows == [("a b", 1.5)]


def test_the_exception_is_the_packages() -> None:
    assert IngressError is qf.IngressError
    error = IngressError(IngressErrorCode.ConfigError, "text")
    assert (error.args, error.code.value, str(error.code)) == (("text",), 10, "ConfigError")


@pytest.mark.parametrize("name", [*ingress.__all__, "SenderTransaction", "TaggedEnum"])
def test_everything_public_has_a_docstring(name: str) -> None:
    thing = getattr(ingress, name)
    if not inspect.isclass(thing):
        return
    assert inspect.getdoc(thing)
    if issubclass(thing, (enum.Enum, Exception)):
        return
    for member, value in inspect.getmembers(thing):
        if not member.startswith("_"):
            assert inspect.getdoc(value), f"{name}.{member}"


def test_the_names_of_4_1_0() -> None:
    listed = "Buffer IngressError IngressErrorCode Protocol Sender ServerTimestamp ServerTimestampType"
    listed += " TimestampMicros TimestampNanos TlsCa WARN_HIGH_RECONNECTS"
    assert set(ingress.__all__) == set(listed.split())
    assert (ingress.VERSION, ingress.WARN_HIGH_RECONNECTS) == ("4.1.0", True)


INSTANTS = [
    TimestampMicros(7),
    TimestampNanos(7000),
    datetime.datetime(1970, 1, 1, microsecond=7, tzinfo=datetime.timezone.utc),
]


@pytest.mark.parametrize("value", INSTANTS, ids=repr)
def test_a_column_that_takes_the_place_of_at_is_warned_of_once(value: Any) -> None:
    buffer = Buffer(2)
    with pytest.warns(UserWarning, match="'TimeStamp' will take the place of `at`") as caught:
        buffer.row("t", columns={"TimeStamp": value}, at=TimestampNanos(5))
        buffer.row("t", columns={"TimeStamp": value}, at=TimestampNanos(5))
    assert [warning.filename for warning in caught] == [__file__]
    assert len(buffer.row("t", columns={"timestamp": 1, "timestamps": value}, at=TimestampNanos(5))) > 0
    Buffer(2).row("t", columns={"timestamp": value, "a": 1}, at=ServerTimestamp)


def test_so_is_one_of_a_sender_and_of_a_transaction(fake: FakeQuestDB) -> None:
    columns = {"timestamp": TimestampMicros(7)}
    with Sender.from_conf(fake.conf + OPTIONS) as sender:
        with pytest.warns(UserWarning, match="take the place of `at`") as caught:
            sender.row("t", columns=columns, at=TimestampNanos(5))
        sender.flush()
        sender.row("t", columns=columns, at=TimestampNanos(5))
        sender.flush()
    with Sender.from_conf(fake.conf + OPTIONS) as sender, sender.transaction("t") as transaction:
        with pytest.warns(UserWarning, match="take the place of `at`") as also:
            transaction.row(columns=columns, at=TimestampNanos(5))
    assert [warning.filename for warning in [*caught, *also]] == [__file__] * 2
    assert fake.writes == [b"t timestamp=7t 5n\n"] * 3


def test_where_warnings_are_errors_nothing_is_written() -> None:
    """As in these tests."""
    buffer = Buffer(2)
    with pytest.raises(UserWarning, match="take the place"):
        buffer.row("t", columns={"a": 1, "timestamp": TimestampMicros(7)}, at=TimestampNanos(5))
    assert bytes(buffer) == b""


def test_so_is_a_column_of_a_frame() -> None:
    frame = pl.DataFrame({"a": [1], "timestamp": [datetime.datetime(1970, 1, 1, microsecond=7)]})
    for data in (frame, frame.to_pandas()):
        buffer = Buffer(2)
        with pytest.warns(UserWarning, match="'timestamp' will take the place of `at`") as caught:
            buffer.dataframe(data, table_name="t", at=TimestampNanos(5))
        assert [warning.filename for warning in caught] == [__file__]
        assert bytes(buffer) == b"t a=1i,timestamp=7t 5n\n"
        buffer.dataframe(data, table_name="t", at="timestamp").dataframe(data, table_name="t", at=ServerTimestamp)
        buffer.dataframe(
            data.rename({"timestamp": "b"}) if data is frame else data[["a"]], table_name="t", at=INSTANTS[0]
        )


def test_the_server_takes_it_for_the_designated_timestamp(server: QuestDB, table: str) -> None:
    """What the warning says."""
    with Sender.from_conf(server.conf + "auto_flush=off;") as sender, pytest.warns(UserWarning, match="take the place"):
        sender.row(table, columns={"timestamp": TimestampMicros(7), "n": 1}, at=TimestampNanos(5_000_000))
    assert server.wait_visible(table, 1) == 1
    assert server.sql(f"select cast(timestamp as long) from {table}").rows == [(7000,)]


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("new_york")
def test_naive_instants_of_pandas_are_utc_in_rows_and_frames() -> None:
    """As in 4.1.0 and 6.0.0; one of Python is local time, as in 4.1.0."""
    at, line = pd.Timestamp("2025-01-01"), b"t a=1i 1735689600000000000n\n"
    rows, frame = Buffer(protocol_version=2), Buffer(protocol_version=2)
    rows.row("t", columns={"a": 1}, at=TimestampNanos.from_datetime(at))
    frame.dataframe(pd.DataFrame({"a": [1]}), table_name="t", at=at)
    assert bytes(rows) == bytes(frame) == line
    frame.clear()
    frame.dataframe(pd.DataFrame({"a": [1]}), table_name="t", at=at.to_pydatetime())
    assert bytes(frame) == b"t a=1i 1735707600000000000n\n"


@pytest.mark.parametrize("options", ["", "protocol_version=2;"])
@pytest.mark.parametrize("scheme", ["http", "tcp"])
def test_a_password_in_the_address_is_not_shown(scheme: str, options: str) -> None:
    with pytest.raises(IngressError) as caught:
        Sender.from_conf(f"{scheme}::addr=admin:S3CRET@127.0.0.1:1;{options}").establish()
    assert "S3CRET" not in str(caught.value)
    assert "username=" in str(caught.value)
