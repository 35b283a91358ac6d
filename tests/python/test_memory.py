"""The memory of a write is bounded by its pool, whatever the frame's size."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from servers import HttpServer, answer, answer_json

if TYPE_CHECKING:
    from servers import Exchange

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux to reset the peak")

MIB = 1 << 20
POOL = 4 * MIB
SLACK = 40 * MIB

# The frame: 1,000,000 rows of 13 columns, 99 MiB in Arrow, 174 MiB as lines.
CHILD = """
    import json, sys
    import questframe as qf

    def status(key):
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))

    rows, columns = 1_000_000, 12
    conf, target = sys.argv[1:]
    FRAME
    small = frame[:10]
    qf.to_ilp(small, table="t", at="ts")
    if target == "server":
        client = qf.connect(conf)
        client.write(small, table="t", at="ts")

    # From here on: what the write itself adds to the frame that is there.
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = status("VmRSS:")
    assert status("VmHWM:") < before + (1 << 20)
    if target == "server":
        data = frame.to_reader(max_chunksize=65_536) if STREAM else frame
        report = client.write(data, table="t", at="ts")
        told = {"rows": report.rows, "bytes": report.bytes, "requests": report.requests}
    else:
        told = {"rows": rows, "bytes": qf.to_ilp(frame, table="t", at="ts", out=target), "requests": 0}
    print(json.dumps({**told, "grown": status("VmHWM:") - before}))
"""

POLARS = """
    import polars as pl
    frame = pl.select(
        ts=pl.int_range(rows).cast(pl.Datetime("us")),
        **{f"c{i}": pl.int_range(rows) * 1.5 + i for i in range(columns)},
    )
    STREAM = False
"""
CHUNKED = (
    POLARS
    + """
    frame = pl.concat([frame[: rows // 3], frame[rows // 3 :]], rechunk=False)
    assert frame.n_chunks() == 2
"""
)
ARROW = """
    import pyarrow as pa, numpy as np
    frame = pa.table({
        "ts": pa.array(np.arange(rows), pa.timestamp("us")),
        **{f"c{i}": pa.array(np.arange(rows) * 1.5 + i) for i in range(columns)},
    })
    STREAM = False
"""
STREAMED = ARROW.replace("STREAM = False", "STREAM = True")
# Columns that are written in another form than Arrow's, in one batch.
CAST = """
    import pyarrow as pa, numpy as np
    uuids = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), rows, [None, pa.py_buffer(bytes(range(16)) * rows)])
    frame = pa.table({
        "ts": pa.array(np.arange(rows), pa.timestamp("us")),
        **{f"u{i}": pa.ExtensionArray.from_storage(pa.uuid(), uuids) for i in range(3)},
        "d": pa.array(np.arange(rows), pa.duration("ms")),
        "l": pa.ListArray.from_arrays(np.arange(rows + 1) * 2, np.arange(2 * rows)),
        "r": pa.RunEndEncodedArray.from_arrays(pa.array(np.arange(rows // 4) * 4 + 4), np.arange(rows // 4) * 0.5),
    })
    STREAM = False
"""
PANDAS = """
    import pandas as pd, numpy as np
    frame = pd.DataFrame({
        "ts": np.arange(rows).astype("M8[us]"),
        **{f"c{i}": np.arange(rows) * 1.5 + i for i in range(columns)},
    })
    STREAM = False
"""


class Sink(HttpServer):
    """Answers 204 to whatever is written, and keeps only how much it was."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        super().__init__()

    def handle(self, exchange: Exchange) -> None:
        path = exchange.request.path
        if path == "/settings":
            answer_json(200, {"config": {"line.proto.support.versions": [1, 2, 3]}})(exchange)
        elif path == "/exec":
            answer_json(403, {"query": "", "error": "permission denied", "position": 0})(exchange)
        else:
            self.sizes.append(len(exchange.request.body))
            self.requests.clear()
            answer(204)(exchange)


def run(frame: str, conf: str, target: str) -> dict[str, Any]:
    code = textwrap.dedent(CHILD).replace("FRAME", textwrap.dedent(frame).strip())
    command = [sys.executable, "-c", code, conf, target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize(
    "frame",
    [CHUNKED, STREAMED, CAST, PANDAS],
    ids=["polars", "stream", "cast", "pandas"],
)
def test_a_write_takes_its_pool_and_little_more(frame: str) -> None:
    with Sink() as sink:
        told = run(frame, f"{sink.conf}pool_bytes={POOL};", "server")
        # The first write was the small one.
        assert (told["rows"], told["bytes"], told["requests"]) == (1_000_000, sum(sink.sizes[1:]), len(sink.sizes) - 1)
    assert told["bytes"] > 150 * MIB
    assert max(sink.sizes) <= POOL
    assert told["grown"] < POOL + SLACK, told["grown"] / MIB


def test_lines_into_a_file_take_the_memory_of_one_pool(tmp_path: Path) -> None:
    path = tmp_path / "lines.ilp"
    told = run(POLARS, "", str(path))
    assert told["bytes"] == path.stat().st_size > 150 * MIB
    assert told["grown"] < 64 * MIB + SLACK


GROWTH = """
    import ctypes, gc, json, sys
    import polars as pl
    import questframe as qf

    def resident():
        gc.collect()
        # Memory that was freed before and is still resident would hide what is kept.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        trim and trim(0)
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    conf, writes = sys.argv[1], int(sys.argv[2])
    frame = pl.DataFrame({
        "s": pl.Series(["a", "b"] * 5, dtype=pl.Categorical),
        "x": [0.5] * 10,
        "note": ["some text"] * 10,
        "ts": pl.Series(range(10), dtype=pl.Datetime("us")),
    })
    with qf.connect(conf) as client:
        for number in range(writes + 200):
            if number == 200:
                before = resident()
            report = client.write(frame, table="t", at="ts")
        print(json.dumps({"rows": report.rows, "grown": resident() - before}))
"""


@pytest.mark.parametrize("writes", [600, pytest.param(10_000, marks=pytest.mark.slow)])
def test_small_writes_leave_nothing_behind(writes: int) -> None:
    with Sink() as sink:
        command = [sys.executable, "-c", textwrap.dedent(GROWTH), sink.conf, str(writes)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stderr
        assert len(sink.sizes) == writes + 200
    told = json.loads(done.stdout)
    assert told["rows"] == 10
    # As little for many writes as for some: 100 bytes for each of 10,000 would be seen.
    assert told["grown"] < MIB
