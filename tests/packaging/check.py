"""What users get: the wheel's and the sdist's files, and the wheel at work in an environment with only polars.

Needs `maturin`, `uv` and `cargo` on PATH, and a network or caches for polars. One line a check; exit code 1 if one
fails. QUESTFRAME_PACKAGING=full also builds a wheel from the sdist, which takes minutes.
"""

from __future__ import annotations

import contextlib
import email
import importlib.metadata
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "py" / "python"
MEGABYTE = 1_000_000
#: Of the wheel as it is downloaded.
LARGEST_WHEEL = 6 * MEGABYTE
EXTENSION = re.compile(r"questframe/_questframe(\.abi3\.so|\.pyd)")

#: The user of the wheel: polars and the standard library are all there is.
USER = """
import importlib.util, sys
for name in ("numpy", "pandas", "pyarrow", "tqdm", "typing_extensions"):
    assert importlib.util.find_spec(name) is None, f"{name} is installed"
import polars as pl
import questframe as qf
from servers import FakeQuestDB

assert "site-packages" in qf.__file__, qf.__file__
frame = pl.DataFrame({
    "side": pl.Series(["buy", None], dtype=pl.Categorical), "price": [0.5, 1.5], "note": ["x y", None],
    "none": [None, None], "ts": pl.Series([1, 2], dtype=pl.Datetime("us")),
})
lines = b't,side=buy price=0.5,note="x y" 1000\\nt price=1.5 2000\\n'
assert qf.to_ilp(frame, table="t", protocol_version=1) == lines
assert [column.role for column in qf.plan(frame, table="t").columns] == [
    "symbol", "field", "field", "skipped", "designated timestamp"
]
with FakeQuestDB() as server:
    report = frame.write_questdb(server.conf, table="t", protocol_version=1)
    assert (report.rows, server.writes) == (2, [lines]), report
    assert qf.write_questdb(frame, server.conf, table="t").rows == 2
    try:
        frame.write_questdb(server.conf, table="t", progress=True)
    except ImportError as error:
        assert "questframe[progress]" in str(error), error
    else:
        raise AssertionError("a bar without tqdm")
assert qf.local.QuestDB.__name__ == "QuestDB"
print("fine")
"""


class Checks:
    """Prints a line for each check, and remembers whether one failed."""

    failed = False

    @contextlib.contextmanager
    def __call__(self, what: str) -> Iterator[list[str]]:
        """Whatever is raised inside is a failure; what is put into the list stands behind the check's name."""
        began = time.monotonic()
        notes: list[str] = []
        try:
            yield notes
        except subprocess.CalledProcessError as error:
            self.failed = True
            print(f"FAIL {what}: {' '.join(map(str, error.cmd))}\n{error.stdout}{error.stderr}")
        except (AssertionError, OSError, LookupError) as error:
            self.failed = True
            print(f"FAIL {what}: {error}")
        else:
            took = f"{time.monotonic() - began:.1f} s"
            print(f"ok   {what} ({', '.join([*notes, took])})", flush=True)


def run(*command: str | Path, env: dict[str, str] | None = None, cwd: Path = ROOT) -> str:
    """Run a command and give what it prints; its error output is shown only if it fails."""
    # A conda environment makes maturin choose its interpreter.
    environment = {key: value for key, value in os.environ.items() if key not in {"CONDA_PREFIX", "PYTHONPATH"}}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env={**environment, **(env or {})}, capture_output=True, text=True, check=True
    )
    return done.stdout


def only(folder: Path, pattern: str) -> Path:
    """The one file of this kind."""
    found = list(folder.glob(pattern))
    if len(found) != 1:
        message = f"{len(found)} files {pattern} in {folder}"
        raise LookupError(message)
    return found[0]


def sources() -> set[str]:
    """The package's own files, as they stand in the checkout."""
    return {
        path.relative_to(PYTHON).as_posix()
        for path in (PYTHON / "questframe").rglob("*")
        if path.suffix in {".py", ".pyi"} or path.name == "py.typed"
    }


def same(found: set[str], expected: set[str]) -> None:
    too_many, missing = sorted(found - expected), sorted(expected - found)
    assert not too_many, f"unexpected: {', '.join(too_many)}"
    assert not missing, f"missing: {', '.join(missing)}"


def wheel_files(wheel: Path) -> None:
    version = wheel.name.split("-")[1]
    info = f"questframe-{version}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        assert len(archive.namelist()) == len(set(archive.namelist())), "a file stands in it twice"
    extensions = {name for name in names if EXTENSION.fullmatch(name)}
    assert len(extensions) == 1, f"{len(extensions)} compiled parts"
    described = {name for name in names if name.startswith(info)}
    same(names - extensions - described, sources())
    # A bill of materials is maturin's own addition; its name is the crate's.
    described = {name for name in described if not re.fullmatch(rf"{info}/sboms/[\w.-]+\.cyclonedx\.json", name)}
    same(described, {f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")})


def wheel_sizes(wheel: Path, notes: list[str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (extension,) = [each for each in archive.infolist() if EXTENSION.fullmatch(each.filename)]
        library = archive.read(extension)
    notes.append(f"wheel {wheel.stat().st_size / MEGABYTE:.1f} MB, compiled part {len(library) / MEGABYTE:.1f} MB")
    if library[:4] == b"\x7fELF":
        assert b".symtab\0" not in library, "the compiled part is not stripped"
    assert wheel.stat().st_size < LARGEST_WHEEL, f"{notes[0]}: more than {LARGEST_WHEEL / MEGABYTE:.0f} MB"


def wheel_metadata(wheel: Path, notes: list[str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = email.message_from_bytes(archive.read(only_name(archive, ".dist-info/METADATA")))
        tags = email.message_from_bytes(archive.read(only_name(archive, ".dist-info/WHEEL"))).get_all("Tag", [])
    assert all(tag.startswith("cp310-abi3-") for tag in tags), tags
    assert tags, "no tag"
    notes.append(tags[0])
    assert metadata["Name"] == "questframe"
    assert metadata["Version"] == importlib.metadata.version("questframe")
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "Apache-2.0", metadata["License-Expression"]
    required = [each for each in metadata.get_all("Requires-Dist", []) if "extra ==" not in each]
    assert not required, f"requires {required}"
    assert set(metadata.get_all("Provides-Extra", [])) == {"local", "progress"}
    description = str(metadata.get_payload())
    assert description.strip() == (ROOT / "README.md").read_text().strip(), "the description is not the README"


def only_name(archive: zipfile.ZipFile, end: str) -> str:
    (name,) = [name for name in archive.namelist() if name.endswith(end)]
    return name


def unpack(sdist: Path, folder: Path) -> Path:
    with tarfile.open(sdist) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder)  # noqa: S202 - our own archive, and an older Python
    return only(folder, "questframe-*")


def sdist_files(tree: Path, sdist: Path, notes: list[str]) -> None:
    found = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}
    rust = {path.relative_to(ROOT).as_posix() for path in (ROOT / "src").rglob("*.rs")}
    rust |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "py" / "src").rglob("*.rs")}
    expected = rust | {f"python/{name}" for name in sources()}
    expected |= {"Cargo.toml", "Cargo.lock", "py/Cargo.toml", "pyproject.toml", "PKG-INFO", "README.md", "LICENSE"}
    possible = {"py/README.md", "py/LICENSE", "DESIGN.md", "CHANGELOG.md", "DEVELOP.md"}
    # A target that the manifest names must be there, though nobody builds it from here.
    possible |= {name for name in found if re.fullmatch(r"benches/\w+\.rs|benches/common/\w+\.rs", name)}
    same(found - possible, expected)
    notes.append(f"{len(found)} files, {sdist.stat().st_size / MEGABYTE:.1f} MB")


def locked(tree: Path) -> set[tuple[str, str]]:
    """Names and versions of a lock file."""
    return set(re.findall(r'^name = "([^"]+)"\nversion = "([^"]+)"', (tree / "Cargo.lock").read_text(), re.MULTILINE))


def sdist_resolves(tree: Path, notes: list[str]) -> None:
    """Cargo finds all members without asking anybody, and takes the versions of our lock file.

    Not with `--locked`: that file also knows what only the crates of our tests need, which the sdist does not hold.
    """
    run("cargo", "metadata", "--offline", "--format-version=1", "--manifest-path=py/Cargo.toml", cwd=tree)
    chosen = locked(tree)
    same(set(map("-".join, chosen - locked(ROOT))), set())
    notes.append(f"{len(chosen)} crates")


def sdist_targets(tree: Path) -> None:
    """Cargo builds nothing while a file is missing that a manifest names, not even what does not need it."""
    folders = {"bench": "benches", "test": "tests", "example": "examples", "bin": "src/bin"}
    for manifest in (tree / "Cargo.toml", tree / "py" / "Cargo.toml"):
        for kind, body in re.findall(r"^\[\[(\w+)\]\]\n((?:(?!\[).*\n?)*)", manifest.read_text(), re.MULTILINE):
            values = dict(re.findall(r'^(\w+) *= *"(.*)"', body, re.MULTILINE))
            default = f"{folders[kind]}/{values['name']}"
            possible = [values["path"]] if "path" in values else [f"{default}.rs", f"{default}/main.rs"]
            found = any((manifest.parent / each).exists() for each in possible)
            assert found, f"{manifest.relative_to(tree)} names the {kind} {values['name']!r}, and it is not there"


def build_sdist(tree: Path, out: Path) -> Path:
    """Build a wheel from the unpacked sdist.

    In a target folder of its own: crates of the same names and older files would pass for what was built before, and
    what is built here for the checkout's. For the same reason all files are new.
    """
    for path in tree.rglob("*"):
        path.touch()
    target = {"CARGO_TARGET_DIR": str(ROOT / "target" / "packaging")}
    run("maturin", "build", "--release", "--out", out, cwd=tree, env=target)
    return only(out, "*.whl")


def bare_environment(wheel: Path, folder: Path, notes: list[str]) -> None:
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    run("uv", "venv", "--quiet", "--python", sys.executable, folder)
    polars = f"polars=={importlib.metadata.version('polars')}"
    run("uv", "pip", "install", "--quiet", "--python", python, wheel, polars)
    installed = {line.split("==")[0] for line in run("uv", "pip", "freeze", "--python", python).splitlines()}
    installed = {re.split(r"[ @]", name)[0] for name in installed}
    assert {"questframe", "polars"} <= installed, installed
    assert all(name in {"questframe", "polars"} or name.startswith("polars-runtime") for name in installed), installed
    # Not from the checkout: only the scripted server is.
    said = run(python, "-W", "error", "-c", USER, env={"PYTHONPATH": str(ROOT / "tests" / "python")}, cwd=folder)
    assert said == "fine\n", said
    notes.append(polars)


def main() -> int:
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="questframe-packaging-") as name:
        folder = Path(name)
        manifest = ROOT / "py" / "Cargo.toml"
        wheel: Path | None = None
        with checks("the wheel builds"):
            run("maturin", "build", "--release", "--manifest-path", manifest, "--out", folder / "wheel")
            wheel = only(folder / "wheel", "*.whl")
        if wheel is not None:
            with checks("the wheel holds the package and nothing else"):
                wheel_files(wheel)
            with checks("the wheel is small") as notes:
                wheel_sizes(wheel, notes)
            with checks("the wheel's metadata are right") as notes:
                wheel_metadata(wheel, notes)
            with checks("the wheel works in an environment with only polars") as notes:
                bare_environment(wheel, folder / "bare", notes)

        tree: Path | None = None
        with checks("the sdist builds"):
            run("maturin", "sdist", "--manifest-path", manifest, "--out", folder / "sdist")
            sdist = only(folder / "sdist", "*.tar.gz")
            tree = unpack(sdist, folder / "unpacked")
        if tree is not None:
            with checks("the sdist holds what a build needs and nothing else") as notes:
                sdist_files(tree, sdist, notes)
            with checks("the sdist holds every target that its manifests name"):
                sdist_targets(tree)
            with checks("the sdist's crates are those of the lock file") as notes:
                sdist_resolves(tree, notes)
            if os.environ.get("QUESTFRAME_PACKAGING") == "full":
                with checks("a wheel builds from the sdist, with the same files"):
                    wheel_files(build_sdist(tree, folder / "again"))
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
