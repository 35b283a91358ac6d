"""Load on one client, with what it costs and whether all arrived.

    python tests/support/load.py threads        64 threads write into one table of a real QuestDB
    python tests/support/load.py small-writes   1,000 writes a second for a minute, into a real QuestDB
    python tests/support/load.py stream         10 GB of lines through a pool of 64 MiB, into a sink

The sink is a process of its own that acknowledges whatever comes and counts bytes and lines: no disk would have to take
the 10 GB. Each command prints what it measured, last of all as one line of JSON, and fails if a row is missing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

import questframe as qf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Self

HOST = "127.0.0.1"
MIB = 1 << 20
SETTINGS = {"config": {"release.version": "9.3.4", "line.proto.support.versions": [1, 2, 3]}}
#: What the sink says of its table: it is there, with one column.
TABLE = {
    "columns": [{"name": name, "type": "STRING"} for name in ("id", "column", "type", "designated")],
    "dataset": [[1, "ts", "TIMESTAMP", True]],
}


# --- the sink -------------------------------------------------------------------------------------------------------


class Sink:
    """Acknowledges what is posted to it; `GET /counts` tells how much that was."""

    def __init__(self) -> None:
        self.counts = {"requests": 0, "bytes": 0, "lines": 0, "connections": 0, "questions": 0}
        self.lock = threading.Lock()
        self.listener = socket.create_server((HOST, 0), backlog=256)

    def run(self) -> None:
        print(self.listener.getsockname()[1], flush=True)
        while True:
            sock, _ = self.listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.counts["connections"] += 1
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock: socket.socket) -> None:
        room = bytearray(4 * MIB)
        with sock:
            while True:
                got = bytearray()
                while (end := got.find(b"\r\n\r\n")) < 0:
                    piece = sock.recv(1 << 16)
                    if not piece:
                        return
                    got += piece
                head, rest = got[:end].decode("latin-1"), got[end + 4 :]
                if head.startswith("POST"):
                    length = next(
                        int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-len")
                    )
                    lines, left = rest.count(b"\n"), length - len(rest)
                    while left:
                        read = sock.recv_into(room, min(left, len(room)))
                        if not read:
                            return
                        lines += room.count(b"\n", 0, read)
                        left -= read
                    with self.lock:
                        self.counts["requests"] += 1
                        self.counts["bytes"] += length
                        self.counts["lines"] += lines
                    sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                    continue
                self.counts["questions"] += "/exec" in head
                said = SETTINGS if "/settings" in head else self.counts if "/counts" in head else TABLE
                body = json.dumps(said).encode()
                kind = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                sock.sendall(kind + str(len(body)).encode() + b"\r\n\r\n" + body)


@contextmanager
def sink() -> Iterator[str]:
    """The address of a sink."""
    command = [sys.executable, __file__, "sink"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"{HOST}:{int(process.stdout.readline())}"
        finally:
            process.kill()


# --- what is measured -----------------------------------------------------------------------------------------------


class Watch:
    """Looks at this process ten times a second: resident memory, threads, sockets."""

    def __init__(self, every: float = 0.1) -> None:
        self.rss: list[int] = []
        self.threads: list[int] = []
        self.sockets: list[int] = []
        self.cpu = time.process_time()
        self._every = every
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _look(self) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.rss.append(pages * os.sysconf("SC_PAGE_SIZE"))
        self.threads.append(len(list(Path("/proc/self/task").iterdir())))
        sockets = 0
        for file in Path("/proc/self/fd").iterdir():
            try:
                sockets += str(file.readlink()).startswith("socket:")
            except OSError:
                continue
        self.sockets.append(sockets)

    def _run(self) -> None:
        while not self._end.wait(self._every):
            self._look()

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._look()
        self.cpu = time.process_time() - self.cpu

    def told(self) -> dict[str, Any]:
        return {
            "rss_mib": [round(value / MIB, 1) for value in (self.rss[0], min(self.rss), max(self.rss), self.rss[-1])],
            "threads": [min(self.threads), max(self.threads)],
            "sockets": [min(self.sockets), max(self.sockets), self.sockets[-1]],
            "cpu_seconds": round(self.cpu, 2),
        }


def percentiles(seconds: list[float]) -> dict[str, float]:
    """In milliseconds."""
    cuts = statistics.quantiles(seconds, n=1000, method="inclusive")
    found = {"p50": cuts[499], "p90": cuts[899], "p99": cuts[989], "max": max(seconds)}
    return {name: round(value * 1e3, 2) for name, value in found.items()}


def sql(address: str, query: str) -> list[list[Any]]:
    url = f"http://{address}/exec?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - http to our own server
        rows: list[list[Any]] = json.loads(answer.read()).get("dataset", [])
    return rows


def counted(address: str) -> dict[str, int]:
    """What a sink has counted."""
    with urllib.request.urlopen(f"http://{address}/counts", timeout=30) as answer:  # noqa: S310 - our own sink
        counts: dict[str, int] = json.loads(answer.read())
    return counts


@contextmanager
def questdb(address: str | None) -> Iterator[str]:
    """The address of a real QuestDB: the one that was named, or one that is started here."""
    if address is not None:
        yield address
        return
    with qf.local.QuestDB() as db:
        yield urllib.parse.urlsplit(db.http_url).netloc


def arrived(address: str, table: str, expected: list[Any], columns: str) -> None:
    """Fails unless the table comes to hold what was written."""
    deadline = time.monotonic() + 60
    while (found := sql(address, f"select {columns} from {table}")[0]) != expected:
        if time.monotonic() > deadline:
            raise SystemExit(f"the table holds {found}, and {expected} was written")
        time.sleep(0.05)


def used_up(address: str) -> int:
    """Ports that connections to this address hold for a minute after their end."""
    port = f":{int(address.rpartition(':')[2]):04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(fields[3] == "06" and (fields[1].endswith(port) or fields[2].endswith(port)) for fields in lines)


def report(what: str, told: dict[str, Any], watch: Watch) -> None:
    told = {**told, **watch.told()}
    print(what)
    for name, value in told.items():
        print(f"  {name}: {value}")
    print(json.dumps(told), flush=True)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Runs `work` in threads, and raises what the first of them raised."""
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


# --- the loads ------------------------------------------------------------------------------------------------------


def frame(rows: int, start: int, worker: int) -> pl.DataFrame:
    numbers = pl.int_range(start, start + rows, eager=True)
    return pl.DataFrame(
        {"n": numbers, "x": numbers * 0.5, "w": pl.repeat(worker, rows, eager=True), "ts": pl.from_epoch(numbers, "us")}
    )


def threads(options: argparse.Namespace) -> None:
    """Many threads, one client, one table."""
    latencies: list[float] = []
    rows, writes = options.rows, options.writes

    def work(number: int) -> None:
        for turn in range(writes):
            data = frame(rows, (number * writes + turn) * rows, number)
            began = time.perf_counter()
            written = client.write(data, table=table, at="ts")
            latencies.append(time.perf_counter() - began)
            assert written.rows == rows

    with questdb(options.address) as address, qf.connect(f"http::addr={address};pool_bytes={options.pool};") as client:
        table = f"load_threads_{time.time_ns()}"
        with Watch() as watch:
            began = time.perf_counter()
            in_threads(options.threads, work)
            took = time.perf_counter() - began
        ports = used_up(address)
        total = options.threads * writes * rows
        arrived(
            address, table, [total, total * (total - 1) // 2, options.threads], "count(), sum(n), count_distinct(w)"
        )
        sql(address, f"drop table {table}")
    told = {
        "writes": len(latencies),
        "rows": total,
        "seconds": round(took, 2),
        "rows_per_second": round(total / took),
        "writes_per_second": round(len(latencies) / took, 1),
        "latency_ms": percentiles(latencies),
        "ports_used_up": ports,
    }
    report(f"{options.threads} threads on one client, real QuestDB", told, watch)


def small_writes(options: argparse.Namespace) -> None:
    """Small writes at a rate; latencies count from when a write was due, whether or not a thread was free then."""
    tickets = itertools.count()
    latencies: list[float] = []
    services: list[float] = []
    most = int(options.rate * options.seconds) if options.rate else sys.maxsize

    def work(number: int) -> None:
        data = frame(options.rows, 0, number)
        while (ticket := next(tickets)) < most:
            due = began + ticket / options.rate if options.rate else time.perf_counter()
            if (wait := due - time.perf_counter()) > 0:
                time.sleep(wait)
            start = time.perf_counter()
            if start > began + options.seconds * 2 or (not options.rate and start > began + options.seconds):
                return
            assert client.write(data, table=table, at="ts", **extra).rows == options.rows
            end = time.perf_counter()
            latencies.append(end - due)
            services.append(end - start)

    extra: dict[str, Any] = {} if options.check else {"check": False}
    place = sink() if options.sink else questdb(options.address)
    with place as address, qf.connect(f"http::addr={address};connections={options.connections};") as client:
        table = f"load_small_{time.time_ns()}"
        client.write(frame(options.rows, 0, 0), table=table, at="ts")
        with Watch() as watch:
            began = time.perf_counter()
            in_threads(options.threads, work)
            took = time.perf_counter() - began
        writes, ports = len(latencies), used_up(address)
        if options.sink:
            extra_told = {name: counted(address)[name] for name in ("connections", "questions")}
        else:
            extra_told = {}
            arrived(address, table, [(writes + 1) * options.rows], "count()")
            sql(address, f"drop table {table}")
    told = {
        "writes": writes,
        "seconds": round(took, 2),
        "writes_per_second": round(writes / took, 1),
        "latency_ms": percentiles(latencies),
        "service_ms": percentiles(services),
        "ports_used_up": ports,
        **extra_told,
    }
    where = "a sink" if options.sink else "real QuestDB"
    rate = f"{options.rate:g} a second" if options.rate else "as many as go"
    report(f"writes of {options.rows} rows by {options.threads} threads, {rate}, {where}", told, watch)


def stream(options: argparse.Namespace) -> None:
    """A stream of many times the pool's size."""
    import numpy as np
    import pyarrow as pa

    rows = 65_536
    values = {f"c{number}": pa.array(np.arange(rows) * 1.5 + number) for number in range(12)}
    names = pa.DictionaryArray.from_arrays(pa.array(np.arange(rows) % 500, pa.int32()), [f"s{n}" for n in range(500)])
    made = 0

    def batch(turn: int) -> pa.RecordBatch:
        ts = pa.array(np.arange(turn * rows, (turn + 1) * rows), pa.timestamp("us"))
        return pa.record_batch({"s": names, **values, "ts": ts})

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal made
        for turn in range(count):
            made += rows
            yield batch(turn)

    size = len(qf.to_ilp(batch(0), table="load", at="ts")) / rows
    count = max(1, round(options.gigabytes * 1e9 / size / rows))
    with sink() as address, qf.connect(f"http::addr={address};pool_bytes={options.pool};") as client:
        client.write(batch(0)[:10], table="load", at="ts")
        reader = pa.RecordBatchReader.from_batches(batch(0).schema, batches())
        with Watch() as watch:
            began = time.perf_counter()
            written = client.write(reader, table="load", at="ts")
            took = time.perf_counter() - began
        counts = counted(address)
    assert written.rows == made == count * rows
    # The lines of binary floats may hold more line ends than rows.
    assert counts["bytes"] > written.bytes
    assert counts["lines"] >= written.rows
    told = {
        "rows": written.rows,
        "gigabytes": round(written.bytes / 1e9, 3),
        "requests": written.requests,
        "seconds": round(took, 2),
        "rows_per_second": round(written.rows / took),
        "megabytes_per_second": round(written.bytes / took / 1e6),
        "pool_mib": options.pool // MIB,
    }
    report("a stream into a sink", told, watch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("sink")
    each = commands.add_parser("threads")
    each.add_argument("--threads", type=int, default=64)
    each.add_argument("--writes", type=int, default=50, help="of each thread")
    each.add_argument("--rows", type=int, default=5_000, help="of each write")
    each.add_argument("--pool", type=int, default=64 * MIB)
    each.add_argument("--address", help="of a QuestDB that runs; else one is started")
    each = commands.add_parser("small-writes")
    each.add_argument("--rate", type=float, default=1_000, help="writes a second; 0: as many as go")
    each.add_argument("--seconds", type=float, default=60)
    each.add_argument("--threads", type=int, default=8)
    each.add_argument("--connections", type=int, default=2)
    each.add_argument("--rows", type=int, default=10)
    each.add_argument("--address", help="of a QuestDB that runs; else one is started")
    each.add_argument("--sink", action="store_true", help="into a sink: what the client alone can do")
    each.add_argument("--check", action=argparse.BooleanOptionalAction, default=True, help="look the table up")
    each = commands.add_parser("stream")
    each.add_argument("--gigabytes", type=float, default=10)
    each.add_argument("--pool", type=int, default=64 * MIB)
    options = parser.parse_args()
    run = {"sink": lambda _: Sink().run(), "threads": threads, "small-writes": small_writes, "stream": stream}
    run[options.command](options)


if __name__ == "__main__":
    main()
