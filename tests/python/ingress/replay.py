"""Plays scenarios on a module that has the names of `questdb.ingress`, and tells the outcome of every step.

In the official client's environment, from the folder of the Python tests, one JSON scenario a line on stdin, the list
of its outcomes on stdout:

    python -m ingress.replay questdb.ingress

It needs nothing but NumPy; recipes of frames need pandas and pyarrow. A scenario:

    {"steps": [...], "names": {"port": 9000}, "zone": "Europe/Berlin", "environment": {"QDB_CLIENT_CONF": "http::..."}}

`names` are its first variables, `zone` the local time zone, `environment` variables (null takes one away). A step is

    {"call": "b.row", "args": ["t"], "kwargs": {"at": {"nanos": 1}}, "as": "result"}

with arguments as in `values.py`, or a text: Python statements, whose names are those of the module, of the standard
library and NumPy as in `NAMES`, `pd` and `pa`, and the scenario's variables. Each statement of the text has an outcome
of its own; in a block, `note(value)` adds one. An outcome is `{"value": ...}` or `{"raised": ...}`, see `values.py`. A
step that raises does not end its scenario.
"""

from __future__ import annotations

import ast
import contextlib
import datetime
import decimal
import functools
import importlib
import json
import math
import os
import pathlib
import sys
import time
import warnings
import zoneinfo
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ingress import values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, ModuleType

Scenario = dict[str, Any]
Outcome = dict[str, Any]

MODULE_NAMES: Final = [
    "Buffer",
    "IngressError",
    "IngressErrorCode",
    "Protocol",
    "Sender",
    "SenderTransaction",
    "ServerTimestamp",
    "ServerTimestampType",
    "TaggedEnum",
    "TimestampMicros",
    "TimestampNanos",
    "TlsCa",
]
NAMES: Final = {
    "Decimal": decimal.Decimal,
    "Level": values.Level,
    "Matrix": values.Matrix,
    "Number": values.Number,
    "Path": pathlib.Path,
    "Text": values.Text,
    "ZoneInfo": zoneinfo.ZoneInfo,
    "date": datetime.date,
    "datetime": datetime.datetime,
    "inf": math.inf,
    "nan": math.nan,
    "np": np,
    "timedelta": datetime.timedelta,
    "timezone": datetime.timezone,
    "utc": datetime.timezone.utc,
    "warnings": warnings,
}


def play(module: ModuleType, scenario: Scenario) -> list[Outcome]:
    """The outcome of every step."""
    names: dict[str, Any] = {**NAMES, **{name: getattr(module, name) for name in MODULE_NAMES}, "module": module}
    names.update(scenario.get("names", {}))
    outcomes: list[Outcome] = []
    names["note"] = lambda value: outcomes.append({"value": values.written(value, names)})
    with surroundings(scenario), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for step in scenario["steps"]:
            if isinstance(step, str):
                add_libraries(step, names)
                for code, is_value in statements(step):
                    outcomes.append(outcome_of(code, is_value, names))
            else:
                outcomes.append(called(step, names))
    return outcomes


@contextlib.contextmanager
def surroundings(scenario: Scenario) -> Iterator[None]:
    """The scenario's time zone and environment variables, and the old ones afterwards."""
    changes: dict[str, str | None] = dict(scenario.get("environment", {}))
    if "zone" in scenario:
        changes["TZ"] = scenario["zone"]
    before = {name: os.environ.get(name) for name in changes}
    change(changes)
    try:
        yield
    finally:
        change(before)


def change(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if "TZ" in variables:
        time.tzset()


def add_libraries(code: str, names: dict[str, Any]) -> None:
    """Libraries that take long to import are there only where they are spoken of."""
    for short, library in (("pd", "pandas"), ("pa", "pyarrow")):
        if f"{short}." in code:
            names[short] = importlib.import_module(library)


@functools.lru_cache(maxsize=1024)
def statements(text: str) -> list[tuple[CodeType, bool]]:
    """The compiled statements, and of each whether it has a value."""
    compiled = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.Expr):
            compiled.append((compile(ast.Expression(node.value), "scenario", "eval"), True))
        else:
            compiled.append((compile(ast.Module([node], []), "scenario", "exec"), False))
    return compiled


def outcome_of(code: CodeType, is_value: bool, names: dict[str, Any]) -> Outcome:
    try:
        # What `exec` gives is None.
        value: Any = (eval if is_value else exec)(code, names)
        return {"value": values.written(value, names)}
    except Exception as error:  # noqa: BLE001 - any is an outcome
        return {"raised": values.raised(error)}


def called(step: dict[str, Any], names: dict[str, Any]) -> Outcome:
    """The outcome of a call; arguments that cannot be made are an outcome, too."""
    try:
        first, *rest = step["call"].split(".")
        function = functools.reduce(getattr, rest, names[first])
        args = [values.read(value, names) for value in step.get("args", [])]
        kwargs = {name: values.read(value, names) for name, value in step.get("kwargs", {}).items()}
        value = function(*args, **kwargs)
        if "as" in step:
            names[step["as"]] = value
        return {"value": values.written(value, names)}
    except Exception as error:  # noqa: BLE001 - any is an outcome
        return {"raised": values.raised(error)}


def main(name: str) -> None:
    """Answers every line of stdin. What else is printed by anyone goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(play(module, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
