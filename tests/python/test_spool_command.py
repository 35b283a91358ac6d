"""`python -m questframe.spool`: what a timer runs, by exit status, output and errors."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import polars as pl
from servers import FakeQuestDB, answer, refused, stored

import questframe as qf

if TYPE_CHECKING:
    from pathlib import Path


def keep(fake: FakeQuestDB, folder: Path) -> str:
    """Keep three segments of ten rows in the folder; give the configuration string of their client."""
    conf = f"{fake.conf}spool_dir={folder};auto_flush_rows=10;connections=1;retry_timeout=0;"
    fake.script = [answer(503, b"busy")]
    with qf.connect(conf) as client:
        assert client.write(pl.DataFrame({"n": range(30)}), table="t", at=qf.ServerTimestamp).rows_spooled == 30
    return conf


def run(*arguments: str, conf: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "QDB_CLIENT_CONF"}
    if conf is not None:
        environment["QDB_CLIENT_CONF"] = conf
    command = [sys.executable, "-W", "error", "-m", "questframe.spool", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_what_waits_is_sent(fake: FakeQuestDB, folder: Path) -> None:
    conf = keep(fake, folder)
    done = run(conf)
    assert (done.returncode, done.stdout, done.stderr) == (0, "30 rows in 3 segments sent\n", "")
    assert run("--spool-dir", str(folder), conf=fake.conf).stdout == "0 rows in 0 segments sent\n"


def test_what_is_refused_is_an_error_that_says_where_it_is(fake: FakeQuestDB, folder: Path) -> None:
    conf = keep(fake, folder)
    fake.script = [stored, refused(4, "table: t, column: n; cast error from protocol type: X")]
    done = run(conf=conf)
    assert (done.returncode, done.stdout) == (1, "20 rows in 2 segments sent\n")
    (rejected,) = (folder / "rejected").glob("*.seg")
    assert done.stderr == f"refused and set aside: {rejected} (the reason is beside it)\n"


def test_no_server_and_no_folder_are_errors_without_a_traceback(fake: FakeQuestDB, folder: Path) -> None:
    conf = keep(fake, folder)
    fake.script = [answer(503, b"busy")] * 9
    done = run(conf)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert "busy" in done.stderr
    for done in (run(fake.conf), run(fake.conf, "--spool-dir", f"{folder}-mistyped"), run()):
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr


def test_help_and_wrong_arguments() -> None:
    helped = run("--help")
    assert helped.returncode == 0
    assert "QDB_CLIENT_CONF" in helped.stdout
    assert run("--no-such").returncode == 2
