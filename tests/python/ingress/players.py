"""Who plays a scenario: the official client, in a process of its environment, or ours, in this process."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Protocol, cast

import questframe

if TYPE_CHECKING:
    from ingress.replay import Outcome, Scenario

TESTS: Final = Path(__file__).parents[1]
ROOT: Final = TESTS.parents[1]
#: The variable that says where a version's Python is, and the environment that the Makefile makes.
ENVIRONMENTS: Final = {
    "4.1.0": ("QUESTFRAME_ORACLE_41_PYTHON", ".venv-oracle41"),
    "6.0.0": ("QUESTFRAME_ORACLE_60_PYTHON", ".venv-oracle60"),
}
#: Set to a version, that client plays in our place: 4.1.0 must pass (but for the differences), 6.0.0 must not.
OURS_VARIABLE: Final = "QUESTFRAME_INGRESS_PLAYER"


class Player(Protocol):
    """Plays a scenario and tells the outcome of each of its steps."""

    def play(self, scenario: Scenario) -> list[Outcome]: ...

    def close(self) -> None: ...


class OracleMissingError(Exception):
    """There is no environment with the official client."""


class Ours:
    """`questframe.ingress`, in this process."""

    def __init__(self) -> None:
        from ingress import replay

        self._play = replay.play
        self._module = importlib.import_module("questframe.ingress")

    def play(self, scenario: Scenario) -> list[Outcome]:
        # What the official client gets and gives is JSON; so is what ours does.
        outcomes: list[Outcome] = json.loads(json.dumps(self._play(self._module, json.loads(json.dumps(scenario)))))
        return outcomes

    def close(self) -> None:
        """Nothing to do."""


class Apart:
    """A module in a process of its own, until that crashes or is closed.

    `path` is put before the Python's own paths.
    """

    def __init__(self, python: Path, module: str, path: Path | None = None) -> None:
        self._command = [str(python), "-B", "-m", "ingress.replay", module]
        # Without this environment's paths: they would put its packages before the oracle's.
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        if path is not None:
            self._environment["PYTHONPATH"] = str(path)
        self._process: subprocess.Popen[str] | None = None

    def play(self, scenario: Scenario) -> list[Outcome]:
        """One outcome `crashed` with the exit status where the process dies; the next scenario has another process."""
        process = self._process = self._process or self._start()
        answer = ""
        with contextlib.suppress(BrokenPipeError):
            stdin, stdout = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
            stdin.write(json.dumps(scenario) + "\n")
            stdin.flush()
            answer = stdout.readline()
        if not answer:
            return [{"crashed": self._end()}]
        outcomes: list[Outcome] = json.loads(answer)
        return outcomes

    def close(self) -> None:
        """Ends the process, if there is one."""
        if self._process is not None:
            self._end()

    def _end(self) -> int:
        process = cast("subprocess.Popen[str]", self._process)
        self._process = None
        with contextlib.suppress(BrokenPipeError):
            cast("IO[str]", process.stdin).close()
        cast("IO[str]", process.stdout).close()
        return process.wait(30)

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment,
            cwd=TESTS,
            encoding="utf-8",
        )


def official(version: str) -> Player:
    """This version of the official client."""
    variable, folder = ENVIRONMENTS[version]
    python = Path(os.environ.get(variable) or ROOT / folder / "bin" / "python")
    if not python.exists():
        raise OracleMissingError(
            f"no Python with questdb=={version} at {python}; `make .venv/.oracle{version[0]}{version[2]}` makes it, or "
            f"set {variable} to the Python of an environment that has it, pandas and pyarrow"
        )
    return Apart(python, "questdb.ingress")


def ours(*, apart: bool = False) -> Player:
    """Ours, in this process or `apart`, or another in its place."""
    version = os.environ.get(OURS_VARIABLE)
    if version:
        return official(version)
    if apart:
        return Apart(Path(sys.executable), "questframe.ingress", Path(questframe.__file__).parents[1])
    return Ours()
