"""The examples of the page that the drop-in grew from (`seed_examples.txt`) run against a real server."""

from __future__ import annotations

import contextlib
import re
import sys
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from questframe.local import QuestDB

PAGE = Path(__file__).with_name("seed_examples.txt")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def own() -> Iterator[QuestDB]:
    """A server without tables, as the examples name theirs plainly."""
    yield from run({})


def test_the_examples_run(own: QuestDB, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    address = urllib.parse.urlsplit(own.http_url).netloc
    monkeypatch.setenv("QDB_CLIENT_CONF", f"http::addr={address};username=admin;password=quest;")
    # Decimals are never made by the server itself.
    own.sql(
        "create table fx_quotes (symbol symbol, mid decimal(76, 10), ts timestamp) timestamp(ts) partition by day wal"
    )
    port = address.rpartition(":")[2]
    for block in BLOCKS:
        code = block.replace("questdb.ingress", "questframe.ingress").replace("localhost:9000", address)
        code = code.replace("'localhost', 9000", f"'localhost', {port}")
        # One sends a column `timestamp` beside `at`, as its users do.
        is_shadow = "TimestampNanos.now()" in code and "'timestamp'" in code
        with pytest.warns(UserWarning, match="take the place of `at`") if is_shadow else contextlib.nullcontext():
            exec(compile(code, str(PAGE), "exec"), {"__name__": "__main__"})
    # The one that catches errors prints them.
    assert capsys.readouterr().err == ""
    assert "questframe.ingress" in sys.modules

    # Two rows, one with a datetime, and the same frame twice.
    assert own.wait_visible("trades", 7) == 7
    trades = own.sql("select symbol, price, amount from trades")
    assert set(trades.rows) == {("ETH-USD", 2615.54, 0.00044), ("BTC-USD", 39269.98, 0.001)}
    assert own.wait_visible("fx_order_book", 3) == 3
    book = own.sql("select bids from fx_order_book where symbol = 'GBP/USD'")
    assert book.rows == [([[1.32, 550000.0], [1.3198, 275000.0], [1.3196, 130000.0]],)]
    assert own.wait_visible("fx_quotes", 4) == 4
    mids = own.sql("select mid from fx_quotes order by ts").column("mid")
    assert [str(mid) for mid in mids] == ["1.2345000000", "-0.0100000000", "1.2000000000", "1.1999999999"]


def test_no_example_is_left_out() -> None:
    assert len(BLOCKS) == 10
