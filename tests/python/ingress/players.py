"""Who plays a scenario: the official client, in a process of its environment, or ours, in this process."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from oracle.process import OracleCrashedError, Process, python_of

import questframe

if TYPE_CHECKING:
    from ingress.replay import Outcome, Scenario

TESTS: Final = Path(__file__).parents[1]
#: Set to a version, that client plays in our place: 4.1.0 must pass (but for the differences), 6.0.0 must not.
OURS_VARIABLE: Final = "QUESTFRAME_INGRESS_PLAYER"


class Player(Protocol):
    """Plays a scenario and tells the outcome of each of its steps."""

    def play(self, scenario: Scenario) -> list[Outcome]: ...

    def close(self) -> object: ...


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


class Apart(Process):
    """A module in a process of its own, until that crashes or is closed."""

    def __init__(self, python: Path, module: str, path: Path | None = None) -> None:
        super().__init__([python, "-B", "-m", "ingress.replay", module], path=path, cwd=TESTS)

    def play(self, scenario: Scenario) -> list[Outcome]:
        """One outcome `crashed` with the exit status where the process dies; the next scenario has another process."""
        try:
            outcomes: list[Outcome] = self.ask(scenario)
        except OracleCrashedError as error:
            return [{"crashed": error.status}]
        return outcomes


def official(version: str) -> Player:
    """This version of the official client."""
    return Apart(python_of(version), "questdb.ingress")


def ours(*, apart: bool = False) -> Player:
    """Ours, in this process or `apart`, or another in its place."""
    version = os.environ.get(OURS_VARIABLE)
    if version:
        return official(version)
    if apart:
        return Apart(Path(sys.executable), "questframe.ingress", Path(questframe.__file__).parents[1])
    return Ours()
