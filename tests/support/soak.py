"""A soak: writers go through a proxy that does bad things at random, and what they are told is held against the table.

    python tests/support/soak.py --seconds 600 --seed 1

Half of the writers share a plain table, half one with dedup keys. After each write its rows are counted, and those of
writes that failed again at the end, since a row that was not stored must not turn up later. The seed gives the dice; in
which order the threads come to throw them is not repeated. Ends with a table of what happened, and with status 1 if
anything untrue was said, or if threads, sockets or memory grew.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import random
import signal
import sys
import threading
import time
import traceback
import urllib.parse
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import faults as f
import oracle_sets as sets
from proxy import FaultProxy

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exchange import Fault, Request

    from questframe.local import QuestDB

MIB = 1 << 20
#: Small limits, so that faults are many and stalls are short.
CONF = "auto_flush_rows=100;request_timeout=400;request_min_throughput=0;retry_timeout=600;pool_bytes=4194304;"
CONFIG = {"cairo.wal.writer.data.append.page.size": "64k", "cairo.writer.data.append.page.size": "256k"}
#: Each writer's rows are its own, in days of their own: 10,000 of them, in microseconds.
STRIDE = 10_000 * 86_400_000_000
SHARE = 0.12
#: More than this of memory, or any of the others, is a leak.
GROWTH = 64 * MIB

WRITE_FAULTS: list[Fault] = [
    f.Refuse(0.05),
    f.ResetUnread(),
    f.ResetInBody(),
    f.ResetInBody(pass_on=False),
    f.LoseRequest(),
    f.LoseAnswer(),
    f.LoseAnswer(wait=False),
    f.StallRequest(after=500),
    f.StallRequest(after=500, seconds=0.1),
    f.StallAnswer(),
    f.StallAnswer(0.1),
    f.StallAnswer(0.6, pass_on=False),
    f.Drip(request=20_000),
    f.Drip(answer=2_000),
    f.Status(429),
    f.Status(500, pass_on=True),
    f.Status(500),
    f.Status(503),
    f.Status(503, early=True),
    f.Status(503, hang_up=True),
    f.Status(504, pass_on=True),
    f.Status(507),
    f.Status(529),
    f.Redirect(1),
    f.Status(200, b"<html>", content_type="text/html", pass_on=True),
    f.Raw(pass_on=False),
    f.Raw(),
    f.CutHead(),
    f.cut_body(503),
    f.cut_body(503, pass_on=False),
    f.Doubled(),
    f.Flood(503),
]
QUESTION_FAULTS: list[Fault] = [
    f.ResetUnread(),
    f.LoseAnswer(),
    f.StallAnswer(0.1),
    f.Status(500),
    f.Status(503),
    f.Raw(),
    f.CutHead(),
    f.Status(200, b"<html>", content_type="text/html"),
]


class Weather:
    """The plan: faults at random, now and then a storm, and no fault at all when it is called off."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._storm = 0
        self.is_over = False

    def __call__(self, request: Request) -> Fault | None:
        if self.is_over:
            return None
        if not request.is_write:
            return self._dice.choice(QUESTION_FAULTS) if self._dice.random() < SHARE / 6 else None
        if self._storm:
            self._storm -= 1
            return f.Status(503)
        if self._dice.random() < SHARE / 50:
            self._storm = self._dice.randint(3, 30)
        return self._dice.choice(WRITE_FAULTS) if self._dice.random() < SHARE else None


@dataclass
class Tally:
    """What happened."""

    writes: int = 0
    reports: int = 0
    acked: int = 0
    doubtful: int = 0
    unsent: int = 0
    retries: int = 0
    errors: collections.Counter[str] = field(default_factory=collections.Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, told: sets.Told) -> None:
        self.writes += 1
        self.reports += told.error is None
        self.retries += told.retries
        self.acked += sum(map(len, told.acked))
        self.doubtful += sum(map(len, told.doubtful))
        self.unsent += sum(map(len, told.unsent))
        if told.code is not None:
            self.errors[told.code] += 1


class Gauge:
    """Least, most, and how much the second half of the time had more than the first."""

    def __init__(self) -> None:
        self.values: list[int] = []

    def growth(self) -> int:
        middle = len(self.values) // 2
        if middle < 2:
            return 0
        # The beginning is for getting warm.
        return max(self.values[middle:]) - max(self.values[middle // 5 : middle])

    def __str__(self) -> str:
        return f"{min(self.values)} to {max(self.values)}"


class Soak:
    """One run."""

    def __init__(self, server: QuestDB, seed: int, writers: int) -> None:
        self.server = server
        self.weather = Weather(seed)
        self.seed = seed
        self.writers = writers
        self.tally = Tally()
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.kept: list[tuple[str, sets.Told]] = []
        self.stored: collections.Counter[str] = collections.Counter()
        self.rss, self.threads, self.sockets = Gauge(), Gauge(), Gauge()
        port = urllib.parse.urlsplit(server.http_url).port or 0
        self.proxy = FaultProxy(port, self.weather, keep_fates=1_000)

    def run(self, seconds: float) -> Tally:
        tables = {"soak_plain": False, "soak_dedup": True}
        for table, dedup in tables.items():
            sets.create(self.server, table, dedup=dedup)
        # Whatever is started once is there before the first look.
        sets.numbered(10)
        with self.proxy:
            clients = [qf.connect(self.proxy.conf + CONF) for _ in tables]
            threads = []
            for number in range(self.writers):
                table, client = list(tables)[number % 2], clients[number % 2]
                threads.append(threading.Thread(target=self.write, args=(number, table, client), daemon=True))
            for thread in threads:
                thread.start()
            end = time.monotonic() + seconds
            while time.monotonic() < end and not self.tally.wrong and any(thread.is_alive() for thread in threads):
                self.measure()
                self.over.wait(min(0.5, seconds / 20))
            self.over.set()
            for thread in threads:
                thread.join(60)
                if thread.is_alive():
                    self.tally.wrong.append("a writer hangs")
            self.weather.is_over = True
            self.proxy.release()
            self.proxy.wait_for(self.proxy.is_accepting)
            if not self.proxy.settle():
                self.tally.wrong.append("a request never ends")
            self.finish(clients, list(tables))
            for client in clients:
                client.close()
            if not self.proxy.wait_for(lambda: self.proxy.open == 0):
                self.tally.wrong.append(f"{self.proxy.open} connections are left")
        return self.tally

    def write(self, number: int, table: str, client: qf.Client) -> None:
        dice = random.Random(self.seed * 1_000 + number)
        start = number * STRIDE
        try:
            while not self.over.is_set():
                rows = dice.choice((1, 50, 300, 300, 1_500))
                self.judge(table, sets.attempt(client, table, rows, start))
                start += rows
        except BaseException:  # noqa: BLE001 - told at the end
            with self.lock:
                self.tally.wrong.append(traceback.format_exc())

    def judge(self, table: str, told: sets.Told) -> None:
        found = self.found(table, told)
        wrong = told.wrong(found)
        with self.lock:
            self.tally.add(told)
            self.stored[table] += sum(map(len, told.acked))
            self.tally.wrong += [f"{table} from {told.start}: {each} ({told.error})" for each in wrong]
            if told.error is not None:
                self.kept.append((table, told))

    def found(self, table: str, told: sets.Told) -> dict[int, int]:
        """The rows of a frame in the table, once those that were acknowledged can be there."""
        acked = [told.start + row for each in told.acked for row in each]
        deadline = time.monotonic() + 30
        while True:
            found = sets.rows_between(self.server, table, told.start, told.start + told.rows)
            if found.keys() >= set(acked) or time.monotonic() > deadline:
                return found
            time.sleep(0.01)

    def finish(self, clients: list[qf.Client], tables: list[str]) -> None:
        """All is well again; and what was said is still true."""
        for number, (table, client) in enumerate(zip(tables, clients, strict=True)):
            start = (self.writers + number) * STRIDE
            told = [sets.attempt(client, table, 100, start + turn * 100) for turn in range(5)]
            if told[-1].error is not None:
                self.tally.wrong.append(f"the client does not work any more: {told[-1].error}")
            for each in told:
                self.judge(table, each)
            self.server.wait_visible(table)
        doubtful: collections.Counter[str] = collections.Counter()
        for table, told in self.kept:
            doubtful[table] += sum(map(len, told.doubtful))
            found = sets.rows_between(self.server, table, told.start, told.start + told.rows)
            self.tally.wrong += [f"later, {table} from {told.start}: {each}" for each in told.wrong(found)]
        for table in tables:
            ((count, rows),) = self.server.sql(f"select count(), count_distinct(n) from {table}").rows
            if count != rows or not 0 <= count - self.stored[table] <= doubtful[table]:
                told = f"{self.stored[table]} were acknowledged, {doubtful[table]} are in doubt"
                self.tally.wrong.append(f"{table} has {count} rows, {rows} of them different; {told}")

    def measure(self) -> None:
        self.rss.values.append(sets.resident())
        self.threads.values.append(sets.threads())
        self.sockets.values.append(sets.sockets())

    def leaks(self) -> list[str]:
        allowed = {"memory": (self.rss, GROWTH), "threads": (self.threads, 8), "sockets": (self.sockets, 16)}
        return [
            f"{name} grew by {gauge.growth()}: {gauge}"
            for name, (gauge, most) in allowed.items()
            if gauge.growth() > most
        ]

    def table(self) -> str:
        tally = self.tally
        lines = {
            "writes": f"{tally.writes}, {tally.reports} of them in full",
            "rows": f"{tally.acked} acked, {tally.doubtful} doubtful, {tally.unsent} unsent",
            "retries": str(tally.retries),
            "errors": ", ".join(f"{code} {count}" for code, count in tally.errors.most_common()) or "none",
            "faults": str(sum(self.proxy.faults.values())),
            **{f"  {name}": str(count) for name, count in sorted(self.proxy.faults.items())},
            "connections": str(self.proxy.connections),
            "RSS": f"{min(self.rss.values) // MIB} to {max(self.rss.values) // MIB} MiB",
            "threads": str(self.threads),
            "sockets": str(self.sockets),
        }
        return "\n".join(f"{name:24} {value}" for name, value in lines.items())


@contextlib.contextmanager
def server() -> Iterator[QuestDB]:
    with qf.local.QuestDB(config=CONFIG) as db:
        yield db


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    parser.add_argument("--writers", type=int, default=4)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    warnings.filterwarnings("ignore", message=".* sent again though they may have been stored")
    # Ctrl-C ends it early, with the table.
    with server() as db:
        soak = Soak(db, options.seed, options.writers)
        signal.signal(signal.SIGINT, lambda *_: soak.over.set())
        tally = soak.run(options.seconds)
    print(soak.table())
    wrong = tally.wrong + soak.leaks()
    for each in wrong[:20]:
        print(f"WRONG: {each}")
    print(f"{len(wrong)} wrong with seed {options.seed}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
