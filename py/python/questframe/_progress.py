"""Progress bars, drawn by tqdm: in terminals and in Jupyter."""

from __future__ import annotations

import contextlib
import time
import warnings
from typing import TYPE_CHECKING, Any

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

    started = time.time()
    with contextlib.ExitStack() as drawn:
        bar: Any = None

        def report(rows: int, total: int | None, _bytes: int) -> None:
            # Drawn with the first report: in Jupyter a bar that is not told its total at the start never shows a part.
            nonlocal bar
            if bar is None:
                with warnings.catch_warnings():
                    # Jupyter without ipywidgets gets a plain bar, and need not be told so.
                    warnings.simplefilter("ignore", TqdmWarning)
                    bar = tqdm(total=total, unit=" rows", unit_scale=True, desc=table or "", dynamic_ncols=True)
                bar.start_t = started
                drawn.enter_context(bar)
            bar.update(rows - bar.n)

        yield report
