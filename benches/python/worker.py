"""The official client, in a process and an environment of its own.

Both ends of one pipe live here. `Official` is the benchmark's end: it starts this file with the Python of the official
client's environment. `serve` is the other end: it builds the frame once, then answers one request a line (JSON in, JSON
out), so that a benchmark can interleave both contenders, round by round, without importing the rival.

The environment is found by `QUESTFRAME_ORACLE_60_PYTHON`, or else at `.venv-oracle60/bin/python` in the repository; it
holds `questdb==6.0.0 pandas pyarrow numpy`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import data
import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    from questdb.ingress import Buffer, Sender

ROOT = Path(__file__).resolve().parents[2]
VERSION = "6.0.0"


@dataclass(frozen=True, slots=True)
class Timing:
    """One run: wall and processor seconds of the call alone, and what it produced."""

    seconds: float
    cpu_seconds: float
    size: int


# ---------------------------------------------------------------------------------------------- the benchmark's end


class OfficialError(RuntimeError):
    """The official client's process refused a request or died."""


class Official:
    """The official client's process. Use it as a context manager: leaving it ends the process."""

    def __init__(self) -> None:
        """Start the process; SystemExit, saying what to do, if its environment is missing."""
        python = Path(os.environ.get("QUESTFRAME_ORACLE_60_PYTHON", ROOT / ".venv-oracle60" / "bin" / "python"))
        if not python.exists():
            raise SystemExit(
                f"{python} does not exist. Make an environment with questdb=={VERSION}, pandas, pyarrow and numpy,\n"
                "and name its interpreter in QUESTFRAME_ORACLE_60_PYTHON (default: .venv-oracle60/bin/python)."
            )
        self._process = subprocess.Popen(
            [str(python), str(Path(__file__).resolve())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.versions: dict[str, str] = self._ask("versions")

    def load(self, frame: str, rows: int, *, shuffled: bool = False) -> None:
        """Build and hold the pandas frame `frame`; forgets the one before, and its buffer."""
        self._ask("load", frame=frame, rows=rows, shuffled=shuffled)

    def encode(self, table: str, protocol_version: int) -> Timing:
        """Run `Buffer.dataframe` once into the cleared buffer, which keeps its memory from run to run."""
        return Timing(**self._ask("encode", table=table, protocol_version=protocol_version))

    def rows(self, count: int, protocol_version: int) -> Timing:
        """Run `rows.write` once into the cleared buffer, which keeps its memory from run to run."""
        return Timing(**self._ask("rows", count=count, protocol_version=protocol_version))

    def digest(self) -> str:
        """Give the SHA-256 of what the last `encode` left in the buffer."""
        return str(self._ask("digest"))

    def dump(self, path: Path) -> None:
        """Write what the last `encode` left in the buffer to `path`."""
        self._ask("dump", path=str(path))

    def connect(self, conf: str) -> int:
        """Open one `Sender` with the client's own defaults, kept for all later sends. Gives its protocol version."""
        return int(self._ask("connect", conf=conf))

    def send(self, table: str) -> Timing:
        """Run `Sender.dataframe` and `flush` once; returns when the last request is acknowledged (`size` is rows)."""
        return Timing(**self._ask("send", table=table))

    def calls(self, table: str, count: int, pause: float) -> list[float]:
        """Run `send` so many times, a pause before each; gives the seconds of each call."""
        return list(self._ask("calls", table=table, count=count, pause=pause))

    def close(self) -> None:
        """End the process; the sender, if any, is closed first."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Official:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, verb: str, **arguments: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"verb": verb, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise OfficialError(f"the official client's process ended with status {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise OfficialError(answer["error"])
        return answer["ok"]


# ---------------------------------------------------------------------------------------------- the worker's end


class _Worker:
    """Holds the frame, the buffer and the sender between requests. One method per verb."""

    def __init__(self) -> None:
        self._frame: pd.DataFrame | None = None
        self._buffer: Buffer | None = None
        self._protocol_version = 0
        self._sender: Sender | None = None

    def versions(self) -> dict[str, str]:
        from importlib.metadata import version

        found = {name: version(name) for name in ("questdb", "pandas", "numpy", "pyarrow")}
        if found["questdb"] != VERSION:
            raise RuntimeError(f"this benchmark compares with questdb {VERSION}, not with {found['questdb']}")
        return found

    def load(self, frame: str, rows: int, *, shuffled: bool) -> None:
        self._frame = self._buffer = None
        self._frame = data.make(frame, rows, shuffled=shuffled).to_pandas()

    def encode(self, table: str, protocol_version: int) -> dict[str, float]:
        buffer, frame = self._cleared(protocol_version), self._frame
        timing = _timed(lambda: buffer.dataframe(frame, table_name=table, at=data.AT))
        return {**timing, "size": len(buffer)}

    def rows(self, count: int, protocol_version: int) -> dict[str, float]:
        from questdb.ingress import TimestampNanos

        buffer = self._cleared(protocol_version)
        timing = _timed(lambda: rows.write(buffer, TimestampNanos, count))
        return {**timing, "size": len(buffer)}

    def _cleared(self, protocol_version: int) -> Buffer:
        from questdb.ingress import Buffer

        if self._buffer is None or self._protocol_version != protocol_version:
            self._buffer = None
            self._buffer, self._protocol_version = Buffer(protocol_version), protocol_version
        self._buffer.clear()
        return self._buffer

    def digest(self) -> str:
        return hashlib.sha256(bytes(self._buffer)).hexdigest()  # type: ignore[arg-type]

    def dump(self, path: str) -> None:
        Path(path).write_bytes(bytes(self._buffer))  # type: ignore[arg-type]

    def connect(self, conf: str) -> int:
        from questdb.ingress import Sender

        self.disconnect()
        self._sender = Sender.from_conf(conf)
        self._sender.establish()
        return int(self._sender.protocol_version)

    def send(self, table: str) -> dict[str, float]:
        sender, frame = self._sender, self._frame
        if sender is None or frame is None:
            raise RuntimeError("send needs connect and load first")

        def run() -> None:
            sender.dataframe(frame, table_name=table, at=data.AT)
            sender.flush()

        return {**_timed(run), "size": len(frame)}

    def calls(self, table: str, count: int, pause: float) -> list[float]:
        seconds = []
        for _ in range(count):
            time.sleep(pause)
            seconds.append(self.send(table)["seconds"])
        return seconds

    def disconnect(self) -> None:
        if self._sender is not None:
            self._sender.close(flush=False)
            self._sender = None


def _timed(run: Callable[[], object]) -> dict[str, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    run()
    return {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}


def serve(requests: Iterator[str], answer: Callable[[str], object]) -> None:
    """Answer requests until the pipe is closed. An exception is an answer too; it does not end the process."""
    worker = _Worker()
    try:
        for line in requests:
            arguments = json.loads(line)
            verb = arguments.pop("verb")
            try:
                reply = {"ok": getattr(worker, verb)(**arguments)}
            except Exception as error:  # noqa: BLE001 - everything goes back to the benchmark
                reply = {"error": f"{verb}: {type(error).__name__}: {error}"}
            answer(json.dumps(reply) + "\n")
    finally:
        worker.disconnect()


def main() -> None:
    """Serve on standard input and output; whatever libraries print goes to standard error instead."""
    with os.fdopen(os.dup(1), "w", buffering=1) as replies:
        os.dup2(2, 1)
        warnings.simplefilter("ignore", DeprecationWarning)  # questdb.ingress announces its own age at import
        serve(iter(sys.stdin.readline, ""), replies.write)


if __name__ == "__main__":
    main()
