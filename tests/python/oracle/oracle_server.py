"""The oracle's process: one JSON request a line on stdin, one JSON answer a line on stdout.

Runs with the Python of an environment that holds `questdb==4.1.0`, pandas and pyarrow.

    {"recipe": {...}, "table": "t", "at": "ts", "symbols": "auto", "versions": [1, 2, 3]}
    {"results": [{"hex": "74..."}, {"error": "BadDataFrame: ..."}, ...]}

`at` is a column's name, `null` for the server's clock, or a number of nanoseconds.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import questdb.ingress as qi
from recipes import build

if TYPE_CHECKING:
    import pandas as pd


def encoded(frame: pd.DataFrame, request: dict[str, Any], version: int) -> dict[str, str]:
    at = request["at"]
    if at is None:
        at = qi.ServerTimestamp
    elif isinstance(at, int):
        at = qi.TimestampNanos(at)
    buffer = qi.Buffer(version)
    try:
        buffer.dataframe(frame, table_name=request["table"], symbols=request["symbols"], at=at)
    except qi.IngressError as error:
        return {"error": f"{error.code}: {error}"}
    return {"hex": bytes(buffer).hex()}


def main() -> None:
    assert qi.VERSION == "4.1.0", f"the oracle is the official client 4.1.0, not {qi.VERSION}"
    for line in sys.stdin:
        request = json.loads(line)
        frame = build(request["recipe"])
        results = [encoded(frame, request, version) for version in request["versions"]]
        print(json.dumps({"results": results}), flush=True)


if __name__ == "__main__":
    main()
