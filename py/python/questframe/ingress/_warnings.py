"""Warnings of the drop-in. Each names the line outside this package that led to it."""

from __future__ import annotations

import sys
import warnings

__all__ = ["DESIGNATED", "warn", "warn_of_shadow"]

#: What the server calls the designated timestamp of tables that it makes itself.
DESIGNATED = "timestamp"


def warn(text: str) -> None:
    """Give a UserWarning."""
    level, frame = 1, sys._getframe()  # noqa: SLF001 - the interpreter has no other name for it
    package = __name__.partition(".")[0]
    while frame.f_back and str(frame.f_globals.get("__name__", "")).partition(".")[0] == package:
        frame = frame.f_back
        level += 1
    warnings.warn(text, UserWarning, stacklevel=level)


def warn_of_shadow(name: str) -> None:
    """Warn of a column that takes the place of `at`; the compiled part calls this, too.

    Source: `spec/ilp-wire.md` 7.3.
    """
    warn(
        f"The values of column {name!r} will take the place of `at` in every table whose designated timestamp is "
        f"called {DESIGNATED!r}, as it is in tables that the server makes itself. Rename the column, or pass its "
        "values as `at`."
    )
