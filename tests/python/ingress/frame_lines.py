"""The lines of a frame by the drop-in's rules, and what the official client makes of the same frame."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from oracle.client import Oracle, OracleCrashedError

import questframe as qf
from ingress import frame_oracle
from questframe.ingress import Buffer

if TYPE_CHECKING:
    pass

SERVER = Path(frame_oracle.__file__)
NAMES = frame_oracle.namespace(qf)


class FrameOracle(Oracle):
    """Asks the official client about `dataframe()`."""

    def __init__(self, release: str) -> None:
        super().__init__()
        if release != "41":
            path = os.environ.get("QUESTFRAME_ORACLE_60_PYTHON")
            self._python = Path(path or str(self._python).replace("oracle41", f"oracle{release}"))

    def lines(self, frame: str, arguments: str, versions: tuple[int, ...] = (1, 2, 3)) -> list[bytes | tuple]:
        """The bytes for each version; class, code and text of the error where the client refuses."""
        request = {"frame": frame, "arguments": arguments, "versions": versions}
        process = self.process
        try:
            stdin, stdout = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
            answer = stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise OracleCrashedError(f"exit status {self.close()}; the request was {request}")
        results: list[dict[str, Any]] = json.loads(answer)["results"]
        return [bytes.fromhex(result["hex"]) if "hex" in result else tuple(result["error"]) for result in results]

    def _start(self) -> subprocess.Popen[str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        return subprocess.Popen(
            [self._python, SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            encoding="utf-8",
        )


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
