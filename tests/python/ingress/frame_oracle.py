"""The oracle's process for `dataframe()`: one JSON request a line on stdin, one JSON answer a line on stdout.

Runs with the Python of an environment that holds the official client, pandas and pyarrow. Frames and arguments come as
Python text, so that both sides evaluate the same.

    {"frame": "pd.DataFrame({'a': [1]})", "arguments": "table_name='t', at=TimestampNanos(1)", "versions": [1, 2]}
    {"results": [{"hex": "74..."}, {"error": ["IngressError", "BadDataFrame", "text"]}]}
"""

from __future__ import annotations

import datetime
import decimal
import json
import sys
import uuid
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[1]))

from oracle.recipes import build


class Int(int):
    """Exact classes are told from their subclasses."""


class Float(float):
    """As above."""


class Str(str):
    """As above."""

    __slots__ = ()


class MyDecimal(decimal.Decimal):
    """As above."""


class MyArray(np.ndarray):
    """As above."""


def objects(*cells: Any) -> pd.DataFrame:
    """A column `a` of these objects, and a column `k` without nulls."""
    values = np.empty(len(cells), dtype=object)
    for row, cell in enumerate(cells):
        values[row] = cell
    return beside(pd.Series(values, dtype=object))


def beside(column: Any) -> pd.DataFrame:
    """A column `a`, and a column `k` without nulls."""
    return pd.DataFrame({"a": column, "k": range(len(column))})


def arrow(values: list[Any], arrow_type: pa.DataType) -> pd.DataFrame:
    """As :func:`beside`, Arrow-backed."""
    return beside(pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(values, arrow_type)]))))


def category(values: list[Any], names: Any = None) -> pd.DataFrame:
    """As :func:`beside`, a categorical; `names` are objects."""
    categories = None if names is None else pd.Index(names, dtype=object)
    return beside(pd.Series(pd.Categorical(values, categories=categories)))


def labelled(*labels: Any) -> pd.DataFrame:
    """Integers under these labels."""
    frame = pd.DataFrame([list(range(len(labels))), list(range(len(labels)))])
    frame.columns = pd.Index(list(labels), tupleize_cols=False, dtype=object)
    return frame


def mixed() -> pd.DataFrame:
    """A column of each kind that an argument can name."""
    frame = pd.DataFrame({"a": [1, 2], "s": ["x", "y"], "ts": np.array([1, 2], "M8[ns]")})
    frame["c"] = pd.Categorical(["p", "q"], categories=pd.Index(["p", "q"], dtype=object))
    frame["o"] = pd.Series(["x", "y"], dtype=object)
    frame["n"] = pd.Series([None, None], dtype=object)
    return frame


def named_index(name: Any) -> pd.DataFrame:
    """A frame whose index has this name."""
    frame = pd.DataFrame({"a": [1, 2]})
    frame.index.name = name
    return frame


def namespace(module: Any) -> dict[str, Any]:
    """What texts may use; the classes of timestamps are `module`'s."""
    names = ("ServerTimestamp", "ServerTimestampType", "TimestampMicros", "TimestampNanos")
    return {
        **globals(),
        "D": decimal.Decimal,
        "dt": datetime,
        "UTC": datetime.timezone.utc,
        "uuid": uuid,
        "f8": lambda *numbers: np.array(numbers, "f8"),
        "build": build,
        **{name: getattr(module, name) for name in names},
    }


def main() -> None:
    import questdb.ingress as qi

    warnings.simplefilter("ignore")
    names = namespace(qi)
    for line in sys.stdin:
        request = json.loads(line)
        results = []
        for version in request["versions"]:
            frame, arguments = eval(request["frame"], names), eval(f"dict({request['arguments']})", names)
            buffer = qi.Buffer(version, max_name_len=127)
            try:
                buffer.dataframe(frame, **arguments)
            except Exception as error:  # noqa: BLE001 - it is the answer
                code = getattr(getattr(error, "code", None), "name", None)
                results.append({"error": [type(error).__name__, code, str(error)]})
            else:
                results.append({"hex": bytes(buffer).hex()})
        print(json.dumps({"results": results}), flush=True)


if __name__ == "__main__":
    main()
