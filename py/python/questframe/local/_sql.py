"""SQL over the server's `/exec` endpoint, with the standard library only."""

from __future__ import annotations

import base64
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ._errors import QuestDBError

if TYPE_CHECKING:
    from collections.abc import Iterator

# No proxies: the server is on the loopback interface, whatever the environment says.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class SqlResult:
    """The answer to one statement: iterable and indexable by row, empty for DDL and DML.

    Values are what the server's JSON gives: int, float, str, bool, None, lists for arrays. Timestamps, dates, decimals
    and UUIDs are strings. NaN and infinities come as None, since the server's JSON has no other word for them.

    Attributes:
        columns: Column names.
        types: QuestDB's type of each column, such as `"DOUBLE"` or `"TIMESTAMP"`.
        rows: One tuple per row.

    Example:
        >>> result = SqlResult(("x", "y"), ("INT", "STRING"), [(1, "a"), (2, "b")])
        >>> [y for x, y in result]
        ['a', 'b']
        >>> result.column("x"), result[0], len(result)
        ([1, 2], (1, 'a'), 2)

    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Iterate over the rows."""
        return iter(self.rows)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Return one row."""
        return self.rows[index]

    def column(self, name: str) -> list[Any]:
        """Return the values of the column `name`; KeyError if there is none."""
        if name not in self.columns:
            msg = f"no column {name!r}; there are {', '.join(map(repr, self.columns)) or 'none'}"
            raise KeyError(msg)
        index = self.columns.index(name)
        return [row[index] for row in self.rows]

    def dicts(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def scalar(self) -> Any:
        """Return the only value of a one-row, one-column result; ValueError for any other shape."""
        if len(self.rows) != 1 or len(self.columns) != 1:
            msg = f"expected one row with one column, got {len(self.rows)} x {len(self.columns)}"
            raise ValueError(msg)
        return self.rows[0][0]


def execute(
    http_url: str, query: str, *, credentials: tuple[str, str] | None = None, timeout: float = 60.0
) -> SqlResult:
    """Run one SQL statement.

    Args:
        http_url: Address of the server, without a trailing slash.
        query: The statement. It travels in the URL, so about 60 kB is the limit.
        credentials: User name and password, for a server with `http.user` set. Default: none are sent.
        timeout: Seconds to wait for the connection and between pieces of the answer.

    Returns:
        The rows.

    Raises:
        QuestDBError: The server refused the statement, or its answer is not QuestDB's JSON.
        OSError: No answer (refused, reset, timed out).

    """
    url = f"{http_url}/exec?{urllib.parse.urlencode({'query': query})}"
    request = urllib.request.Request(url)  # noqa: S310 - always http on the loopback interface
    if credentials is not None:
        token = base64.b64encode(":".join(credentials).encode()).decode("ascii")
        request.add_header("Authorization", f"Basic {token}")
    try:
        with _opener.open(request, timeout=timeout) as response:
            status, body = cast("int", response.status), cast("bytes", response.read())
    except urllib.error.HTTPError as error:
        with error:
            status, body = error.code, error.read()
    except http.client.HTTPException as error:
        msg = f"the server's answer broke off ({type(error).__name__})"
        raise ConnectionError(msg) from error
    return _parse(query, status, body)


def _parse(query: str, status: int, body: bytes) -> SqlResult:
    text = body.decode("utf-8", "replace")
    try:
        # QuestDB writes control characters of strings as they are.
        parsed: object = json.loads(text, strict=False)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        msg = f"status {status}: {text.strip()[:500]}"
        raise QuestDBError(msg, query=query, status=status)
    answer = cast("dict[str, Any]", parsed)
    if "error" in answer:
        raise QuestDBError(str(answer["error"]), query=query, position=answer.get("position"), status=status)
    columns: list[dict[str, Any]] = answer.get("columns", [])
    return SqlResult(
        columns=tuple(column["name"] for column in columns),
        types=tuple(column["type"] for column in columns),
        rows=[tuple(row) for row in answer.get("dataset", [])],
    )
