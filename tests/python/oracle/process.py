"""An official client in a process of its environment: questions and answers are lines of JSON."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT: Final = Path(__file__).resolve().parents[3]
#: The variable that says where a version's Python is, and the environment that the Makefile makes.
ENVIRONMENTS: Final = {
    "4.1.0": ("QUESTFRAME_ORACLE_41_PYTHON", ".venv-oracle41"),
    "6.0.0": ("QUESTFRAME_ORACLE_60_PYTHON", ".venv-oracle60"),
}


class OracleMissingError(Exception):
    """There is no environment with the official client."""


class OracleCrashedError(Exception):
    """The official client brought its process down; the next question starts another."""

    def __init__(self, status: int, question: object) -> None:
        super().__init__(f"exit status {status}, see its stderr; the question was {question}")
        self.status = status


def python_of(version: str) -> Path:
    """The Python of the environment with this version of the official client."""
    variable, folder = ENVIRONMENTS[version]
    python = Path(os.environ.get(variable) or ROOT / folder / "bin" / "python")
    if not python.exists():
        raise OracleMissingError(
            f"no Python with the official client at {python}; `make .venv/.oracle{version[0]}{version[2]}` makes it, "
            f"or set {variable} to the Python of an environment with questdb=={version}, pandas and pyarrow"
        )
    return python


class Process:
    """A program that answers one question a line, until it crashes or is closed.

    It sees nothing of this environment's paths, which would put its packages before its own, but `path`.
    """

    def __init__(self, command: Sequence[str | Path], *, path: Path | None = None, cwd: Path | None = None) -> None:
        self._command = command
        self._cwd = cwd
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        if path is not None:
            self._environment["PYTHONPATH"] = str(path)
        self._process: subprocess.Popen[str] | None = None

    def ask(self, question: object) -> Any:
        """The answer.

        Raises:
            OracleCrashedError: the process has died.
        """
        process = self.process
        answer = ""
        with contextlib.suppress(BrokenPipeError):
            stdin, stdout = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
            stdin.write(json.dumps(question) + "\n")
            stdin.flush()
            answer = stdout.readline()
        if not answer:
            raise OracleCrashedError(self.close(), question)
        return json.loads(answer)

    @property
    def process(self) -> subprocess.Popen[str]:
        """The process that answers, started if there is none."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=self._environment,
                cwd=self._cwd,
                encoding="utf-8",
            )
        return self._process

    def close(self) -> int:
        """Ends the process, if there is one, and returns its exit status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with contextlib.suppress(BrokenPipeError):
            cast("IO[str]", process.stdin).close()
        cast("IO[str]", process.stdout).close()
        return process.wait(30)
