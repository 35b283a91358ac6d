"""What the official `Sender` makes of arguments and configuration strings: the program in the oracle's environment.

Questions and answers are lines of JSON; `compare_settings.Official` asks.
"""

from __future__ import annotations

import datetime
import json
import math
import sys
from typing import Any, NamedTuple

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
