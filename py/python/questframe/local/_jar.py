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
"""The QuestDB version that `questframe.local` runs unless told otherwise."""

SHA256 = {
    "7.4.2": "faa7155d7653627ee544c06970960133f765d8928ca1907156cbfde3b5987209",
    "8.2.0": "a15d12044629e774ca683489f861e9e3e780cd4ef9bbe25d1e2415f3c0274466",
    "9.0.3": "56fd326379dc618d5e9054b254f18a9547f74b6e73b9a21fa029f4b0838d9798",
    "9.1.1": "f845ae6a12dc22733970fcfcf7aa731c4ca746a59cbbd3c0a79a99dc3ddf4c2e",
    "9.2.3": "ca3645bc6f442f535ac9f4f23d8f201d14c1010833afd8cc7351f86ffd632583",
    VERSION: "939bc53ab22f93dbaa6545143a6e7c536d4904c07b7f2d381e8eef10436be062",
}
"""The versions that are known to run here, oldest first, and the digests of their released jars."""

JAR_VARIABLE = "QUESTFRAME_QUESTDB_JAR"
"""Environment variable that may name a jar to use instead of the downloaded one (its digest is checked as well)."""

# A jar with a wrong digest that changed more recently than this may be another process's download in progress.
_SETTLED_SECONDS = 5.0

_log = logging.getLogger("questframe.local")


def find_jar(version: str = VERSION) -> Path:
    """Find the jar of a QuestDB, downloading it once if need be.

    Looked for in this order: the file that `QUESTFRAME_QUESTDB_JAR` names, for the default version only; the local
    Maven cache (`$M2_REPO`, else `~/.m2/repository`); a download of at most 30 MB into that cache by the `jgo` package.
    Its sha256 is checked every time, which costs less than a tenth of a second.

    Args:
        version: One of the versions in `SHA256`. Default: 9.3.4.

    Returns:
        Path of a jar with the right digest.

    Raises:
        LocalServerError: The jar is missing or damaged, the download failed, or `jgo` is not installed.

    """
    if version == VERSION and (named := os.environ.get(JAR_VARIABLE)):
        jar = Path(named)
        if not jar.is_file():
            msg = f"{JAR_VARIABLE} names {jar}, which is not a file"
            raise LocalServerError(msg)
        cure = f"Let {JAR_VARIABLE} name a good copy of questdb-{version}.jar, or unset it"
    else:
        jar = _in_maven_cache(version)
        if not jar.is_file():
            jar = _download(version)
        cure = "Delete that file and start again: it is then downloaded anew"
    _check(jar, version, cure)
    return jar


def _in_maven_cache(version: str) -> Path:
    root = os.environ.get("M2_REPO")
    repository = Path(root) if root else Path.home() / ".m2" / "repository"
    return repository / "org" / "questdb" / "questdb" / version / f"questdb-{version}.jar"


def _download(version: str) -> Path:
    """Let `jgo` fetch the jar into the Maven cache. A download that fails half-way leaves no file behind."""
    by_hand = f", or name a copy of questdb-{version}.jar in {JAR_VARIABLE}" if version == VERSION else ""
    try:
        jgo: Any = importlib.import_module("jgo")
    except ImportError:
        cure = f'`pip install "questframe[local]"` brings what downloads it{by_hand}'
        msg = f"the jar of QuestDB {version} is needed: {cure}"
        raise LocalServerError(msg) from None
    _log.info("downloading QuestDB %s (30 MB at most, once)", version)
    try:
        with _quiet("jgo"):
            artifact: Any = jgo.resolve(f"org.questdb:questdb:{version}")[0]
            return _fetch(artifact)
    except Exception as error:  # noqa: BLE001 - jgo lets any kind through: requests, OSError, XML, RuntimeError
        # `from None`: the chain under a failed request is hundreds of lines, and its cause stands in the text.
        cause = f"{type(error).__name__}: {error}".rstrip(": ").splitlines()[0]
        msg = f"QuestDB {version} could not be downloaded ({cause}). Check the network{by_hand}"
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


def _check(jar: Path, version: str, cure: str) -> None:
    """Raise unless `jar` has the right digest; wait for it while it is still being written."""
    while (digest := _sha256(jar)) != SHA256[version]:
        if time.time() - jar.stat().st_mtime > _SETTLED_SECONDS:
            msg = f"{jar} is not the released questdb-{version}.jar or is damaged (sha256 {digest}). {cure}"
            raise LocalServerError(msg)
        time.sleep(0.5)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
