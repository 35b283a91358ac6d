"""The test's side of the oracle's process."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from oracle.recipes import Recipe

PYTHON_VARIABLE = "QUESTFRAME_ORACLE_41_PYTHON"
SERVER = Path(__file__).with_name("oracle_server.py")
DEFAULT_PYTHON = SERVER.parents[3] / ".venv-oracle41" / "bin" / "python"


class OracleMissingError(Exception):
    """There is no environment with the official client."""


class OracleCrashedError(Exception):
    """The official client brought its process down; the next question starts another."""


class Oracle:
    """Asks the official client for the bytes of a frame. One process answers until it crashes or is closed."""

    def __init__(self) -> None:
        self._python = Path(os.environ.get(PYTHON_VARIABLE) or DEFAULT_PYTHON)
        if not self._python.exists():
            raise OracleMissingError(
                f"no Python with the official client at {self._python}; `make .venv/.oracle41` makes it, or set "
                f"{PYTHON_VARIABLE} to the Python of an environment with questdb==4.1.0, pandas and pyarrow"
            )
        self._process: subprocess.Popen[str] | None = None

    def ask(
        self, recipe: Recipe, *, at: str | int | None, table: str = "t", symbols: str | bool | list[str] = "auto"
    ) -> list[bytes | str]:
        """The bytes for the versions 1, 2 and 3; the text of the error where the client refuses."""
        request = {"recipe": recipe, "table": table, "at": at, "symbols": symbols, "versions": [1, 2, 3]}
        process = self.process
        try:
            stdin, stdout = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
            answer = stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            status = self.close()
            raise OracleCrashedError(f"exit status {status}, see its stderr; the request was {request}")
        results: list[dict[str, Any]] = json.loads(answer)["results"]
        return [bytes.fromhex(result["hex"]) if "hex" in result else result["error"] for result in results]

    @property
    def process(self) -> subprocess.Popen[str]:
        """The process that answers, started if there is none."""
        if self._process is None:
            self._process = self._start()
        return self._process

    def close(self) -> int:
        """Ends the process, if there is one, and returns its exit status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with contextlib.suppress(BrokenPipeError):
            cast("IO[str]", process.stdin).close()
        cast("IO[str]", process.stdout).close()
        return process.wait(10)

    def _start(self) -> subprocess.Popen[str]:
        # Without this environment's paths: they would put its packages before the oracle's.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        return subprocess.Popen(
            [self._python, SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            encoding="utf-8",
        )
