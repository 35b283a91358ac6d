"""The test's side of the oracle's process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from oracle.process import Process, python_of

if TYPE_CHECKING:
    from oracle.recipes import Recipe

SERVER = Path(__file__).with_name("oracle_server.py")


class Oracle(Process):
    """Asks the official client for the bytes of a frame."""

    def __init__(self) -> None:
        super().__init__([python_of("4.1.0"), SERVER])

    def lines(
        self, recipe: Recipe, *, at: str | int | None, table: str = "t", symbols: str | bool | list[str] = "auto"
    ) -> list[bytes | str]:
        """The bytes for the versions 1, 2 and 3; the text of the error where the client refuses."""
        request = {"recipe": recipe, "table": table, "at": at, "symbols": symbols, "versions": [1, 2, 3]}
        results: list[dict[str, Any]] = self.ask(request)["results"]
        return [bytes.fromhex(result["hex"]) if "hex" in result else result["error"] for result in results]
