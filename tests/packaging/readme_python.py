"""Writes the Python of README.md as one module, so that mypy and pyright check it: `readme_python.py OUT`.

Each block is a function of its own, where names of other blocks are not known. A block marked `python continued` goes
on where the one before it ended; one marked `python no-check` is left out. `frame.write_questdb(...)` and
`lazy.sink_questdb(...)`, which type checkers cannot know of, are checked as the typed function under them,
`questframe.write_questdb(frame, ...)`.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"
BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=indent)```[ \t]*$", re.MULTILINE | re.DOTALL
)
FUNCTION = "write_questdb"
METHODS = {FUNCTION, "sink_questdb"}
MODULES = {"qf", "questframe"}


class Typed(ast.NodeTransformer):
    """Calls the function instead of the method that is registered with polars."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        called = node.func
        if not isinstance(called, ast.Attribute) or called.attr not in METHODS:
            return node
        if isinstance(called.value, ast.Name) and called.value.id in MODULES:
            return node
        function = ast.Attribute(ast.Name("questframe"), FUNCTION)
        return ast.Call(function, [called.value, *node.args], node.keywords)


def blocks(text: str) -> list[tuple[int, str]]:
    """The Python blocks of a Markdown text, each with the number of its first line."""
    found: list[tuple[int, str]] = []
    for match in BLOCK.finditer(text):
        words = match["info"].replace(",", " ").split()
        if not words or words[0].lower() not in {"python", "py"} or "no-check" in words:
            continue
        code = "\n".join(line.removeprefix(match["indent"]) for line in match["code"].splitlines())
        line = text[: match.start("code")].count("\n") + 1
        if "continued" in words and found:
            first, begun = found.pop()
            line, code = first, f"{begun}\n{code}"
        found.append((line, code))
    return found


def module(text: str) -> str:
    """One module with a function for each block."""
    parts = ['"""The Python of README.md; written by tests/packaging/readme_python.py."""\n\nimport questframe']
    for line, code in blocks(text):
        # What stands at the start of a module only.
        body = re.sub(r"^from __future__ .*$", "", code, flags=re.MULTILINE)
        if any(f".{method}(" in body for method in METHODS):
            body = ast.unparse(ast.fix_missing_locations(Typed().visit(ast.parse(body))))
        body = "\n".join(f"    {each}" if each.strip() else "" for each in body.splitlines())
        parts.append(f"# README.md, line {line}\ndef block_at_line_{line}() -> None:\n{body}\n    return")
    return "\n\n\n".join(parts) + "\n"


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    out = Path(sys.argv[1])
    out.parent.mkdir(parents=True, exist_ok=True)
    text = module(README.read_text(encoding="utf-8"))
    compile(text, str(out), "exec")
    out.write_text(text, encoding="utf-8")
    print(f"{out}: {text.count('def block_at_line_')} blocks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
