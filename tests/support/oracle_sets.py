"""What a client says of its rows, held against the table.

Rows carry their numbers (`n`), so that a table shows which of them it has, and how often. What a client says is three
sets of rows: stored, in doubt, not stored. It is true if they cover the frame without meeting, each stored row is there
exactly once, and no row is there that was not stored. Rows in doubt may be there or not.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from exchange import Fate
    from proxy import FaultProxy

    from questframe.local import QuestDB

#: The instant of row 0: 2024-01-01.
EPOCH_MICROS = 1_704_067_200_000_000
KEYS = 5
_NUMBER = re.compile(rb"[ ,]n=(\d+)i")


def numbered(rows: int, start: int = 0) -> pl.DataFrame:
    """Rows numbered from `start`, in the order of their timestamps, no two of which are equal."""
    numbers = pl.int_range(start, start + rows, eager=True)
    return pl.DataFrame(
        {
            "k": (numbers % KEYS).cast(pl.String).cast(pl.Categorical),
            "n": numbers,
            "ts": (numbers + EPOCH_MICROS).cast(pl.Datetime("us")),
        }
    )


def create(server: QuestDB, table: str, *, dedup: bool) -> None:
    """A table for such rows; with `dedup` a row that is sent twice is there once."""
    keys = " dedup upsert keys(ts, k)" if dedup else ""
    server.sql(f"create table {table} (k symbol, n long, ts timestamp) timestamp(ts) partition by day wal{keys}")


def rows_between(server: QuestDB, table: str, start: int, stop: int) -> dict[int, int]:
    """How often each row with a number from `start` on and below `stop` is in the table now."""
    # By their timestamps, as those are what the server finds without looking at every row.
    first, last = (f"cast({row + EPOCH_MICROS} as timestamp)" for row in (start, stop - 1))
    query = f"select n, count() c from {table} where ts between {first} and {last}"
    return dict(server.sql(query).rows)  # type: ignore[arg-type]


def counts(server: QuestDB, table: str) -> dict[int, int]:
    """How often each row is in the table, once all is visible."""
    server.wait_visible(table)
    return dict(server.sql(f"select n, count() c from {table}").rows)  # type: ignore[arg-type]


def lines_of(body: bytes) -> bytes:
    """The lines in a request's body, which may be compressed."""
    return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body


def numbers_in(body: bytes) -> list[int]:
    """The numbers of the rows in a request's body."""
    return [int(number) for number in _NUMBER.findall(lines_of(body))]


def stored_by(fates: Iterable[Fate]) -> tuple[dict[int, int], set[int]]:
    """By the proxy's records: how often each row was stored, and the rows of which nobody knows."""
    sure: dict[int, int] = {}
    unknown: set[int] = set()
    for fate in fates:
        numbers = numbers_in(fate.body) if fate.request.is_write else []
        if fate.stored is None:
            unknown.update(numbers)
        for number in numbers if fate.stored else ():
            sure[number] = sure.get(number, 0) + 1
    return sure, unknown


@dataclass(frozen=True)
class Told:
    """What a client says of the rows of a frame whose numbers begin with `start`."""

    rows: int
    acked: tuple[range, ...]
    doubtful: tuple[range, ...] = ()
    unsent: tuple[range, ...] = ()
    start: int = 0
    #: What the error said, and its code. Not the error: with what a server may have said it can be large.
    error: str | None = None
    code: str | None = None
    retries: int = 0

    @classmethod
    def of_report(cls, report: qf.WriteReport, rows: int, start: int = 0) -> Told:
        assert report.rows + report.skipped_rows == rows, report
        return cls(rows, (range(rows),) if rows else (), start=start, retries=report.retries)

    @classmethod
    def of_error(cls, error: qf.IngressError, rows: int, start: int = 0) -> Told:
        sets = (error.acked, error.doubtful, error.unsent)
        if not any(sets):
            # Nothing was sent.
            sets = ((), (), (range(rows),))
        return cls(rows, *sets, start=start, error=str(error), code=str(error.code))

    def wrong(self, found: dict[int, int], *, twice: bool = False) -> list[str]:
        """Everything in this that is not true of a table with these rows.

        `twice`: a row may be there more than once, as after a retry in doubt into a plain table.
        """
        told = [("acked", self.acked), ("doubtful", self.doubtful), ("unsent", self.unsent)]
        wrong = []
        for name, ranges in told:
            if list(ranges) != sorted(ranges, key=lambda each: each.start) or not all(map(len, ranges)):
                wrong.append(f"{name} is not in order: {ranges}")
        rows = [row for _, ranges in told for each in ranges for row in each]
        if sorted(rows) != list(range(self.rows)):
            wrong.append(f"the sets meet, or do not cover {self.rows} rows: {told}")
        allowed = {"acked": (1, 1 << 30 if twice else 1), "doubtful": (0, 1 << 30 if twice else 1), "unsent": (0, 0)}
        for name, ranges in told:
            least, most = allowed[name]
            off = {
                row: times
                for each in ranges
                for row in each
                if not least <= (times := found.get(self.start + row, 0)) <= most
            }
            if off:
                few = dict(list(off.items())[:5])
                wrong.append(f"{len(off)} rows of {name} are there otherwise, such as (row: times) {few}")
        return wrong


def attempt(client: qf.Client, table: str, rows: int, start: int = 0, **options: object) -> Told:
    """Write numbered rows, and give what the client says of them."""
    try:
        report = client.write(numbered(rows, start), table=table, at="ts", **options)  # type: ignore[arg-type]
    except qf.IngressError as error:
        return Told.of_error(error, rows, start)
    return Told.of_report(report, rows, start)


def check(server: QuestDB, table: str, proxy: FaultProxy, told: Iterable[Told], *, twice: bool = False) -> None:
    """What was told is true of the table; and so are the proxy's records, or there would be a hole in the tests.

    For proxies that keep bodies, and tables whose every row went through it and is in `told`.
    """
    proxy.release()
    assert proxy.settle()
    found = counts(server, table)
    sure, unknown = stored_by(proxy.writes())
    is_dedup = server.sql(f"select dedup from tables() where table_name = '{table}'").scalar()
    for row in found.keys() | sure.keys():
        times = sure.get(row, 0)
        times = min(1, times) if is_dedup else times
        assert row in unknown or found.get(row, 0) == times, f"row {row}: the proxy's records are wrong"
    rows = set()
    for each in told:
        assert each.wrong(found, twice=twice) == [], each.error
        rows.update(range(each.start, each.start + each.rows))
    assert found.keys() <= rows


# --- leaks ------------------------------------------------------------------------------------------------------------


def thread_names() -> list[str]:
    """The names of this process's threads."""
    found = []
    for each in Path("/proc/self/task").iterdir():
        # It may end while we look.
        with contextlib.suppress(OSError):
            found.append((each / "comm").read_text().strip())
    return sorted(found)


def threads() -> int:
    """The threads of this process, without those that Polars starts once, as many as there are cores, and keeps."""
    names = [name for name in thread_names() if not name.startswith(("polars", "jemalloc"))]
    return len(names) - min(names.count("tokio-rt-worker"), os.cpu_count() or 1)


def _files(kind: str) -> int:
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        # One of them is of the look itself, and gone.
        with contextlib.suppress(OSError):
            found += str(each.readlink()).startswith(kind)
    return found


def sockets() -> int:
    """The sockets of this process."""
    return _files("socket:")


def pipes() -> int:
    """The ends of pipes that this process has; the proxy has a pair for each connection."""
    return _files("pipe:")


def resident() -> int:
    """The bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def come_down_to(measure: Callable[[], int], most: int, seconds: float = 10.0) -> int:
    """What is measured once it is not more than this, or at the end of the time: threads take a moment to end."""
    deadline = time.monotonic() + seconds
    while (now := measure()) > most and time.monotonic() < deadline:
        time.sleep(0.01)
    return now


@contextlib.contextmanager
def no_leak() -> Iterator[None]:
    """No thread and no socket more at the end than at the beginning."""
    named = thread_names()
    before = {measure: measure() for measure in (threads, sockets, pipes)}
    yield
    for measure, most in before.items():
        now = come_down_to(measure, most)
        assert now <= most, f"{measure.__name__}: {most} before, {now} afterwards; {named}, {thread_names()}"
