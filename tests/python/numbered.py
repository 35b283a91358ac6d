"""Numbered rows for the tests of delivery: what was sent and what is said of it can be counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import FakeQuestDB


def frame(rows: int = 30, start: int = 0) -> pl.DataFrame:
    numbers = range(start, start + rows)
    return pl.DataFrame({"n": numbers, "ts": pl.Series(numbers, dtype=pl.Datetime("us"))})


def stream(data: pl.DataFrame, rows: int = 10) -> pa.RecordBatchReader:
    table = data.to_arrow()
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=rows))


def failure(call: Callable[..., Any], *args: Any, **options: Any) -> qf.IngressError:
    with pytest.raises(qf.IngressError) as caught:
        call(*args, **options)
    return caught.value


def lines(fake: FakeQuestDB, start: int = 0) -> list[int]:
    """The rows posted from request `start` on, in order."""
    text = b"".join(fake.writes[start:]).decode()
    return [int(line.split("n=")[1].split("i")[0]) for line in text.splitlines()]


def rows(ranges: tuple[range, ...]) -> list[int]:
    return [row for each in ranges for row in each]
