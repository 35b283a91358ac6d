"""The lines of a frame by the drop-in's rules, and what the official client makes of the same frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oracle.process import Process, python_of

import questframe as qf
from ingress import frame_oracle
from questframe.ingress import Buffer

SERVER = Path(frame_oracle.__file__)
NAMES = frame_oracle.namespace(qf)


class FrameOracle(Process):
    """Asks the official client about `dataframe()`."""

    def __init__(self, version: str) -> None:
        super().__init__([python_of(version), SERVER])

    def lines(self, frame: str, arguments: str, versions: tuple[int, ...] = (1, 2, 3)) -> list[bytes | tuple]:
        """The bytes for each version; class, code and text of the error where the client refuses."""
        results: list[dict[str, Any]] = self.ask({"frame": frame, "arguments": arguments, "versions": versions})[
            "results"
        ]
        return [bytes.fromhex(result["hex"]) if "hex" in result else tuple(result["error"]) for result in results]


def ours(frame: str, arguments: str, versions: tuple[int, ...] = (1, 2, 3)) -> list[bytes | tuple]:
    """The same of the drop-in."""
    results: list[bytes | tuple] = []
    for version in versions:
        try:
            results.append(lines(eval(frame, NAMES), protocol_version=version, **eval(f"dict({arguments})", NAMES)))
        except Exception as error:  # noqa: BLE001 - it is the answer
            code = error.code.name if isinstance(error, qf.IngressError) else None
            results.append((type(error).__name__, code, str(error)))
    return results


def lines(df: Any, *, protocol_version: int, **arguments: Any) -> bytes:
    """What `Buffer.dataframe` puts into an empty buffer."""
    buffer = Buffer(protocol_version)
    buffer.dataframe(df, **arguments)
    return bytes(buffer)
