"""Getting the server's jar, and making sure that it is the right one."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._errors import LocalServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "9.3.4"
"""The QuestDB version that `questframe.local` runs."""

SHA256 = "939bc53ab22f93dbaa6545143a6e7c536d4904c07b7f2d381e8eef10436be062"
"""Digest of the released jar."""

JAR_VARIABLE = "QUESTFRAME_QUESTDB_JAR"
"""Environment variable that may name a jar to use instead of the downloaded one (its digest is checked as well)."""

_COORDINATE = f"org.questdb:questdb:{VERSION}"
# A jar with a wrong digest that changed more recently than this may be another process's download in progress.
_SETTLED_SECONDS = 5.0

_log = logging.getLogger("questframe.local")


def find_jar() -> Path:
    """Find the jar of QuestDB 9.3.4, downloading it once if need be.

    Looked for in this order: the file that `QUESTFRAME_QUESTDB_JAR` names; the local Maven cache (`$M2_REPO`, else
    `~/.m2/repository`); a download of 30 MB into that cache by the `jgo` package. Its sha256 is checked every time,
    which costs less than a tenth of a second.

    Returns:
        Path of a jar with the right digest.

    Raises:
        LocalServerError: The jar is missing or damaged, the download failed, or `jgo` is not installed.

    """
    if named := os.environ.get(JAR_VARIABLE):
        jar = Path(named)
        if not jar.is_file():
            msg = f"{JAR_VARIABLE} names {jar}, which is not a file"
            raise LocalServerError(msg)
        cure = f"Let {JAR_VARIABLE} name a good copy of questdb-{VERSION}.jar, or unset it"
    else:
        jar = _in_maven_cache()
        if not jar.is_file():
            jar = _download()
        cure = "Delete that file and start again: it is then downloaded anew"
    _check(jar, cure)
    return jar


def _in_maven_cache() -> Path:
    root = os.environ.get("M2_REPO")
    repository = Path(root) if root else Path.home() / ".m2" / "repository"
    return repository / "org" / "questdb" / "questdb" / VERSION / f"questdb-{VERSION}.jar"


def _download() -> Path:
    """Let `jgo` fetch the jar into the Maven cache. A download that fails half-way leaves no file behind."""
    try:
        jgo: Any = importlib.import_module("jgo")
    except ImportError:
        msg = (
            f'the jar of QuestDB {VERSION} is needed: `pip install "questframe[local]"` brings what downloads it, '
            f"or name the file in {JAR_VARIABLE}"
        )
        raise LocalServerError(msg) from None
    _log.info("downloading QuestDB %s (30 MB, once)", VERSION)
    try:
        with _quiet("jgo"):
            artifact: Any = jgo.resolve(_COORDINATE)[0]
            return _fetch(artifact)
    except Exception as error:  # noqa: BLE001 - jgo lets any kind through: requests, OSError, XML, RuntimeError
        # `from None`: the chain under a failed request is hundreds of lines, and its cause stands in the text.
        cause = f"{type(error).__name__}: {error}".rstrip(": ").splitlines()[0]
        msg = (
            f"QuestDB {VERSION} could not be downloaded ({cause}). "
            f"Check the network, or name a copy of questdb-{VERSION}.jar in {JAR_VARIABLE}"
        )
        raise LocalServerError(msg) from None


def _fetch(artifact: Any) -> Path:
    target = Path(artifact.cached_path)
    try:
        return Path(artifact.resolve())
    except AssertionError:
        # jgo asserts that the file is not there yet: another process began its download a moment ago.
        if not target.is_file():
            raise
        return target
    except BaseException:
        # jgo writes to the final name, and would take the half file for the jar next time.
        target.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Silence the logger `name` and its children; what goes wrong reaches the caller as an exception."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _check(jar: Path, cure: str) -> None:
    """Raise unless `jar` has the right digest; wait for it while it is still being written."""
    while (digest := _sha256(jar)) != SHA256:
        if time.time() - jar.stat().st_mtime > _SETTLED_SECONDS:
            msg = f"{jar} is not the released questdb-{VERSION}.jar or is damaged (sha256 {digest}). {cure}"
            raise LocalServerError(msg)
        time.sleep(0.5)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
