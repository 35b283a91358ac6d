"""Every Python example of the drop-in's pages runs; the addresses in them are those of real servers here.

What stands in a `try` has to fail.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from conftest import run
from test_tcp import keyed
from tls import TlsProxy

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from types import ModuleType

    from questframe.local import QuestDB

__all__ = ["keyed"]

ROOT: Final = Path(__file__).resolve().parents[3]
PAGES: Final = {name: ROOT / "docs" / name for name in ("migration.md", "ingress.md")}
HTTP, TCP, TLS = 9000, 9009, 9443
SECRET: Final = "username=admin;password=quest;"


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


BLOCKS: Final = {page: readme_python().blocks(path.read_text(encoding="utf-8")) for page, path in PAGES.items()}


@pytest.fixture(scope="module")
def private() -> Iterator[QuestDB]:
    """A server with the password of the examples."""
    yield from run({"http.user": "admin", "http.password": "quest"})


def http_port(server: QuestDB) -> int:
    return urllib.parse.urlsplit(server.http_url).port or 0


@pytest.fixture
def tls(server: QuestDB, certified: ssl.SSLContext) -> Iterator[int]:
    """The port of a server that speaks TLS."""
    with TlsProxy(http_port(server), certified) as proxy:
        yield proxy.port


def at(code: str, port: int, real: int) -> str:
    """The code, with another port in every address."""
    return re.sub(rf'(localhost(?::|",\s*)){port}\b', rf"\g<1>{real}", code)


@pytest.mark.parametrize(
    ("page", "line", "code"),
    [pytest.param(page, *block, id=f"{page} line {block[0]}") for page in BLOCKS for block in BLOCKS[page]],
)
def test_example(
    page: str, line: int, code: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A server takes its time to start, so it is asked for only if it is needed.
    fixture = request.getfixturevalue
    if str(TLS) in code:
        code = at(code, TLS, fixture("tls"))
    if str(TCP) in code:
        code = at(code, TCP, fixture("keyed" if "token_x" in code else "server").ilp_tcp_port)
    if "from_env" in code:
        conf = f"http::addr=localhost:{http_port(fixture('private'))};{SECRET}"
        assert f'export QDB_CLIENT_CONF="http::addr=localhost:{HTTP};{SECRET}"' in PAGES[page].read_text("utf-8")
        monkeypatch.setenv("QDB_CLIENT_CONF", conf)
    if str(HTTP) in code:
        code = at(code, HTTP, http_port(fixture("private" if 'password="quest"' in code else "server")))
    if "authority.pem" in code:
        code = code.replace("authority.pem", str(fixture("pem")))
    # Numbered as in the page.
    tree = ast.fix_missing_locations(Failing().visit(ast.parse("\n" * (line - 1) + code)))
    exec(compile(tree, str(PAGES[page]), "exec"), {"__name__": "example"})


def test_a_try_that_does_not_fail_is_noticed() -> None:
    tree = ast.fix_missing_locations(Failing().visit(ast.parse("try:\n    pass\nexcept ValueError:\n    pass")))
    with pytest.raises(AssertionError, match="nothing was raised"):
        exec(compile(tree, "example", "exec"), {})


def test_there_are_examples() -> None:
    assert len(BLOCKS["migration.md"]) > 30
    assert len(BLOCKS["ingress.md"]) >= 20
