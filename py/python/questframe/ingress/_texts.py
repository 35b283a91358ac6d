"""How error texts of the official client show types and characters."""

from __future__ import annotations

__all__ = ["debug", "debug_char", "name_of"]

_ESCAPES = {"\0": "\\0", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\\": "\\\\"}


def name_of(kind: type) -> str:
    """A class, by its full name unless it is built in."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _shown(char: str) -> str:
    return _ESCAPES.get(char) or (char if char.isprintable() else f"\\u{{{ord(char):x}}}")


def debug_char(char: str) -> str:
    """A character in single quotes."""
    return "'\\''" if char == "'" else f"'{_shown(char)}'"


def debug(text: str) -> str:
    """A text in double quotes."""
    return '"' + "".join('\\"' if char == '"' else _shown(char) for char in text) + '"'
