"""The official client 4.1.0 in a process of its own: what its `Sender` makes of arguments and configuration strings.

Run as a program, this file is that process, in the oracle's environment. Questions and answers are lines of JSON.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

PYTHON_VARIABLE = "QUESTFRAME_ORACLE_41_PYTHON"
DEFAULT_PYTHON = Path(__file__).resolve().parents[3] / ".venv-oracle41" / "bin" / "python"

#: What the sender answers without a server.
PROPERTIES = ("auto_flush", "auto_flush_rows", "auto_flush_bytes", "auto_flush_interval", "init_buf_size")


class Refusal(NamedTuple):
    """An exception: its class, its code (of an IngressError), its text."""

    kind: str
    code: str | None
    text: str


class Text(str):
    """A str that is not exactly one."""

    __slots__ = ()


class Whole(int):
    """An int that is not exactly one."""


def encode(value: object) -> Any:
    """A value that JSON does not know as itself."""
    if isinstance(value, datetime.timedelta):
        return {"timedelta": [value.days, value.seconds, value.microseconds]}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, Text | Whole):
        return {type(value).__name__: json.dumps(value)}
    if type(value).__module__.endswith("_enums"):
        return {type(value).__name__: value.name}  # type: ignore[attr-defined]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


def decode(value: Any, module: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "timedelta":
        return datetime.timedelta(*inner)
    if kind == "bytes":
        return bytes.fromhex(inner)
    if kind == "float":
        return float(inner)
    if kind in ("Text", "Whole"):
        return {"Text": Text, "Whole": Whole}[kind](json.loads(inner))
    return getattr(module, kind)[inner]


class Official:
    """Asks the official client; one process answers until it is closed."""

    def __init__(self) -> None:
        python = Path(os.environ.get(PYTHON_VARIABLE) or DEFAULT_PYTHON)
        assert python.exists(), f"no Python with the official client at {python}; `make .venv/.oracle41` makes it"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        self.process = subprocess.Popen(
            [python, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, encoding="utf-8"
        )

    def ask(self, how: str, *args: object, establish: bool = False, **keywords: object) -> dict[str, Any] | Refusal:
        """The properties of the sender of a constructor's arguments (`how="init"`) or string (`"from_conf"`).

        `establish` connects it, too.
        """
        assert self.process.stdin and self.process.stdout
        question = {
            "how": how,
            "args": [encode(value) for value in args],
            "keywords": {key: encode(value) for key, value in keywords.items()},
            "establish": establish,
        }
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the official client died of {question}"
        answer = json.loads(line)
        return Refusal(*answer) if isinstance(answer, list) else answer

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)


def refusal_of(error: BaseException) -> Refusal:
    code = getattr(error, "code", None)
    return Refusal(type(error).__name__, None if code is None else str(code), str(error))


def main() -> None:
    from questdb import ingress

    for line in sys.stdin:
        question = json.loads(line)
        args = [decode(value, ingress) for value in question["args"]]
        keywords = {key: decode(value, ingress) for key, value in question["keywords"].items()}
        make = ingress.Sender if question["how"] == "init" else getattr(ingress.Sender, question["how"])
        try:
            sender = make(*args, **keywords)
            if question["establish"]:
                sender.establish()
        except Exception as error:  # noqa: BLE001 - all are answers
            answer: Any = refusal_of(error)
        else:
            answer = {name: getattr(sender, name) for name in PROPERTIES}
            if answer["auto_flush_interval"] is not None:
                answer["auto_flush_interval"] //= datetime.timedelta(milliseconds=1)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
