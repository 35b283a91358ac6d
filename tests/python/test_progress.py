"""The bar of `progress=True`, in a terminal and in Jupyter. Callables are in `test_faults.py`."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

import nbformat
import polars as pl
import pytest
from nbclient import NotebookClient

import questframe as qf

if TYPE_CHECKING:
    from servers import FakeQuestDB

ROWS = 30_000
WIDGETS = "application/vnd.jupyter.widget-state+json"


def test_a_terminal_shows_the_table_the_rows_and_the_end(fake: FakeQuestDB, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = io.StringIO()
    monkeypatch.setattr(sys, "stderr", drawn)
    frame = pl.DataFrame({"x": range(ROWS)})
    qf.write_questdb(frame, f"{fake.conf}auto_flush_rows=1000;", table="readings", at=qf.ServerTimestamp, progress=True)
    lines = drawn.getvalue().strip("\r\n").split("\r")
    assert lines[-1].startswith("readings: 100%|")
    assert "30.0k/30.0k" in lines[-1]


def test_what_fails_before_a_row_is_read_draws_no_bar(fake: FakeQuestDB, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = io.StringIO()
    monkeypatch.setattr(sys, "stderr", drawn)
    with pytest.raises(qf.IngressError, match="no `at` was given"):
        qf.write_questdb(
            pl.DataFrame({"x": [1]}), f"{fake.conf}protocol_version=2;", table="t", check=False, progress=True
        )
    assert drawn.getvalue() == ""


def test_jupyter_shows_a_bar_that_grows_to_the_rows(fake: FakeQuestDB) -> None:
    pytest.importorskip("ipywidgets")
    source = (
        "import polars as pl, questframe as qf\n"
        f"frame = pl.DataFrame({{'x': range({ROWS})}})\n"
        f"conf = {fake.conf!r} + 'auto_flush_rows=1000;'\n"
        "qf.write_questdb(frame, conf, table='readings', at=qf.ServerTimestamp, progress=True)"
    )
    notebook: Any = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    states = [widget["state"] for widget in notebook.metadata["widgets"][WIDGETS]["state"].values()]
    bars = [state for state in states if state["_model_name"] == "FloatProgressModel"]
    texts = [state["value"].replace("\u2007", " ") for state in states if state["_model_name"] == "HTMLModel"]
    assert [(bar["value"], bar["max"], bar["bar_style"]) for bar in bars] == [(ROWS, ROWS, "success")]
    assert any("readings: 100%" in text for text in texts), texts
    assert any("30.0k/30.0k" in text for text in texts), texts
