"""Every Python example of docs/migration.md runs. `localhost:9000` is a real server there.

What stands in a `try` has to fail.
"""

from __future__ import annotations

import ast
import importlib.util
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "migration.md"
ADDRESS = "localhost:9000"


def readme_python() -> ModuleType:
    """The program that finds the README's examples."""
    path = ROOT / "tests" / "packaging" / "readme_python.py"
    spec = importlib.util.spec_from_file_location("readme_python", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Failing(ast.NodeTransformer):
    """Makes it an error if a `try` comes to its end."""

    def visit_Try(self, node: ast.Try) -> ast.Try:
        self.generic_visit(node)
        if node.handlers and not node.orelse:
            node.orelse = ast.parse("raise AssertionError('nothing was raised')").body
        return node


BLOCKS = readme_python().blocks(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("line", "code"), [pytest.param(*block, id=f"line {block[0]}") for block in BLOCKS])
def test_example(line: int, code: str, request: pytest.FixtureRequest) -> None:
    if ADDRESS in code:
        # Only then: a server takes its time to start.
        server = request.getfixturevalue("server")
        code = code.replace(ADDRESS, urllib.parse.urlsplit(server.http_url).netloc)
    # Numbered as in the page.
    tree = ast.fix_missing_locations(Failing().visit(ast.parse("\n" * (line - 1) + code)))
    exec(compile(tree, str(PAGE), "exec"), {"__name__": "example"})


def test_a_try_that_does_not_fail_is_noticed() -> None:
    tree = ast.fix_missing_locations(Failing().visit(ast.parse("try:\n    pass\nexcept ValueError:\n    pass")))
    with pytest.raises(AssertionError, match="nothing was raised"):
        exec(compile(tree, "example", "exec"), {})


def test_there_are_examples() -> None:
    assert len(BLOCKS) > 15
