"""Instructions by callgrind, told apart by the function of ours that they were compiled from.

Release code is inlined across crates, so the symbols that callgrind sees say little. Its counts are taken by address,
and `addr2line` tells the chain of inlined functions of each; the innermost one that is in this repository (or in one of
the crates whose text we send) has the count. What the program does outside the measured function is not collected.

valgrind 3.19 does not know AVX-512: it tells programs that the processor has none. So only `scalar` and `avx2` are
counted here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
#: What the benchmarks' `measured` is called in a binary, with whatever hash.
MEASURED = "*measured*"
#: Crates whose functions stand for themselves.
CRATES = ("zmij", "itoa")
#: Names for what belongs together, by the beginning of its source file.
KERNELS = {
    "src/encode/assemble.rs": "row loop",
    "src/encode/lanes.rs": "row loop",
    "src/encode/panels.rs": "row loop",
    "src/encode/segment.rs": "row loop",
    "src/encode/store.rs": "row loop",
    "src/encode/strings.rs": "row loop",
    "src/fmt/float": "float text",
    "zmij": "float text",
    "src/fmt/int": "integer and timestamp text",
    "itoa": "integer and timestamp text",
    "src/fmt/escape": "strings",
    "src/column/text.rs": "strings",
    "src/encode/cells.rs": "dictionary codes",
    "src/encode/codes.rs": "dictionary codes",
    "src/column/": "reading columns",
    "src/encode/": "preparing columns",
    "src/check/": "checks",
    "src/": "plan, cutting, books",
}


class MissingError(RuntimeError):
    """A tool that is needed is not on this machine."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Instructions of one run, in all and by kernel; what the program itself printed."""

    instructions: int
    kernels: dict[str, int]
    told: dict[str, Any]


def available() -> bool:
    """Tell whether both tools are there."""
    return all(shutil.which(tool) for tool in ("valgrind", "addr2line"))


def count(binary: Path, arguments: list[str], simd: str) -> Counts:
    """Run the binary under callgrind with `QUESTFRAME_SIMD=simd` and count what `measured` takes."""
    if not available():
        raise MissingError("valgrind and addr2line (Debian: valgrind, binutils)")
    with tempfile.TemporaryDirectory(prefix="questframe-callgrind-") as folder:
        out = Path(folder) / "out"
        command = [
            "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={out}",
            "--collect-atstart=no",
            f"--toggle-collect={MEASURED}",
            "--dump-instr=yes",
            "--compress-strings=no",
            "--compress-pos=no",
            str(binary),
            *arguments,
        ]
        environment = {**os.environ, "QUESTFRAME_SIMD": simd}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        addresses, elsewhere = _parse(out.read_text(encoding="utf-8", errors="replace"), binary)
    kernels: Counter[str] = Counter(elsewhere)
    for address, kernel in _kernels(binary, list(addresses)).items():
        kernels[kernel] += addresses[address]
    return Counts(sum(kernels.values()), dict(kernels.most_common()), json.loads(done.stdout.splitlines()[-1]))


def _parse(text: str, binary: Path) -> tuple[dict[int, int], dict[str, int]]:
    """Instructions by address in the binary, and by library for what is not in it."""
    addresses: Counter[int] = Counter()
    elsewhere: Counter[str] = Counter()
    library, is_call = "", False
    for line in text.splitlines():
        if line.startswith("ob="):
            library = line[3:]
        elif line.startswith("calls="):
            # The next line is what the callee costs, which is counted where it is spent.
            is_call = True
        elif line.startswith("0x"):
            if not is_call:
                address, _, cost = line.split()
                if Path(library).name == binary.name:
                    addresses[int(address, 16)] += int(cost)
                else:
                    elsewhere["libc: copies and allocation"] += int(cost)
            is_call = False
    return addresses, elsewhere


def _kernels(binary: Path, addresses: list[int]) -> dict[int, str]:
    """Find the kernel of each address."""
    asked = "".join(f"{address:#x}\n" for address in addresses)
    command = ["addr2line", "--exe", str(binary), "--inlines", "--addresses", "--functions", "--demangle"]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
    kernels: dict[int, str] = {}
    address = 0
    function = ""
    for line in done.stdout.splitlines():
        if re.fullmatch(r"0x[0-9a-f]+", line):
            address, function = int(line, 16), ""
        elif not function:
            function = line
        else:
            source = _source(line, function)
            function = ""
            if source is not None and address not in kernels:
                kernels[address] = next(name for start, name in KERNELS.items() if source.startswith(start))
    return {address: kernels.get(address, "standard library, arrow") for address in addresses}


def _source(place: str, function: str) -> str | None:
    """Give a file of ours from the root of the repository on, or the crate whose file it is; else nothing."""
    path = place.rpartition(":")[0]
    if path == f"{ROOT}/src/simd.rs" and "::" in function:
        # A function that the macro there compiled again: it belongs where it was asked for.
        return "/".join(["src", *function.split("::")[1:-2]]) + ".rs"
    if path.startswith(f"{ROOT}/src/"):
        return path[len(str(ROOT)) + 1 :]
    return next((crate for crate in CRATES if re.search(rf"/{crate}-[0-9.]+/src/", path)), None)
