"""Progress bars, drawn by tqdm: in terminals and in Jupyter."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Report = Callable[[int, "int | None", int], object]


@contextlib.contextmanager
def progress_of(choice: bool | Report | None, table: str | None) -> Iterator[Report | None]:  # noqa: FBT001
    """The callable that a write reports to: the caller's own, that of a bar, or none.

    Raises:
        ImportError: if a bar is wanted and tqdm is missing.
    """
    if not choice:
        yield None
        return
    if choice is not True:
        yield choice
        return
    try:
        from tqdm import TqdmWarning
        from tqdm.auto import tqdm
    except ImportError as error:
        msg = 'progress=True draws its bar with tqdm, which is missing: pip install "questframe[progress]"'
        raise ImportError(msg) from error

    with warnings.catch_warnings():
        # Jupyter without ipywidgets gets a plain bar, and need not be told so.
        warnings.simplefilter("ignore", TqdmWarning)
        drawn = tqdm(unit=" rows", unit_scale=True, desc=table or "", dynamic_ncols=True)
    with drawn as bar:

        def report(rows: int, total: int | None, _bytes: int) -> None:
            bar.total = total
            bar.update(rows - bar.n)

        yield report
