"""Frames that come one after another: of a list, an iterator, or a Polars LazyFrame. Each is read once.

All have the columns of the first one, in any order. What types a column may have in the others is the business of
`py/src/frames.rs`, which asks for them.
"""

from __future__ import annotations

from questframe import _once, _questframe, exceptions
from questframe.exceptions import IngressError, IngressTypeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = ["Frames", "frames_of", "leave"]


class Frames:
    """The frames that an object gives, asked for one by one by the compiled part.

    Nothing is asked for before the first `next`: a write that is gone on with makes another one, and goes on with the
    stream that it had.
    """

    def __init__(
        self,
        source: object,
        begin: Callable[[], Iterator[Any]],
        prepare: Callable[[object], tuple[Any, bool]],
        again: Callable[[int], Any] | None = None,
    ) -> None:
        """`begin` gives the iterator; `prepare` the form of a frame that the compiled part takes.

        `again` gives the frame of a number once more, which may have been mended; without it that is the same object.
        """
        self._kind = f"{type(source).__module__}.{type(source).__qualname__}"
        self._source = source
        self._begin = begin
        self._prepare = prepare
        self._again = again
        self._frames: Iterator[Any] | None = None
        #: The last frame, which is let go of before the next one is made; and whether it has yet to be prepared.
        self._frame: Any = None
        self._is_left = False
        self._is_stream = False
        #: Frames that give their rows once, as readers do: those of a list, which has them anyway, or the last one.
        self._readers: list[object] = []
        self._count = 0
        #: Of these frames had no rows, and others came in their place.
        self._empty = 0
        #: The table, for errors that come before the compiled part knows of it; and `at`, as `normalize` gives it.
        self.table: str | None = None
        self.at: object = None

    def next(self, row: int, again: bool) -> tuple[Any, bool, bool] | None:  # noqa: FBT001
        """The next frame, which starts at this row; whether it is a table in memory; and whether NaN means missing.

        With `again` the last one is given once more, as one is that could not be prepared: a write that is gone on with
        does not pass over what was refused, nor over what Ctrl-C came between.

        Raises:
            IngressError: for a frame that cannot be read, for what is no frame, and if the first one is not there. What
                is raised instead of others goes on as it is, and the compiled part makes the same of it.
        """
        if again or self._is_left:
            if self._again is not None:
                self._frame = self._again(self._count - 1)
        elif not self._take():
            return None
        elif _once.is_once(self._frame):
            # A reader among the frames.
            _once.check(self._frame)
            # An iterator's are let go of when they are read.
            if _once.is_once(self._source):
                self._readers.clear()
            self._readers.append(self._frame)
        try:
            prepared, is_table = self._prepare(self._frame)
        except IngressError as error:
            raise self.located(error, row) from None
        self._is_left = False
        self._is_stream = not (is_table or isinstance(prepared, _questframe.Columns) or hasattr(prepared, "streams"))
        # Of pandas. All others tell nulls from NaN.
        return prepared, is_table, isinstance(prepared, _questframe.Columns)

    def _take(self) -> bool:
        """Ask for the next frame; False at the end, of which the compiled part knows whether it follows a failure."""
        self._frame = None
        if self._frames is None:
            _once.check(self._source)
        try:
            if self._frames is None:
                self._frames = self._begin()
            self._frame = next(self._frames)
        except StopIteration:
            if self._count:
                return False
            msg = f"the {self._kind} gives no frame, and so no columns; let it give one, even without rows"
            raise _in_table(IngressError(exceptions.IngressErrorCode.BadDataFrame, msg), self.table) from None
        except Exception as error:
            if self._count:
                raise
            raise unread(error, self.table) from error
        self._count += 1
        self._is_left = True
        return True

    def pass_over(self) -> None:
        """Note that a frame without rows was passed over for the next."""
        self._empty += 1

    def leave(self, *, of_write: bool, has_stored: bool, has_read: bool) -> None:
        """As the function of this name."""
        if of_write and has_read:
            for reader in self._readers:
                _once.leave(reader)
        if self._count == 0 or not _once.is_once(self._source):
            return
        # Whether rows were taken of a frame that is itself a stream, nobody knows.
        is_free = not has_stored and not (of_write and self._is_stream)
        # At its end it holds no frame any more.
        if self._count - self._empty == 1 and self._frame is not None and is_free:
            _once.leave(self._source, self._frame)
        else:
            _once.leave(self._source)

    def located(self, error: IngressError, row: int) -> IngressError:
        """The error of the last frame, which starts at this row, as one of the whole stream."""
        if isinstance(error, TypeError):
            text = f"an object of type {self._kind} is no frame, since its item {self._count - 1} is none: {error}"
            return self._ours(IngressTypeError(error.code, text))
        if self._count == 1:
            return self._ours(error)
        place = f"in frame {self._count - 1}, which starts at row {row}: "
        problems = tuple(f"{place}{problem}" for problem in error.problems)
        text = f"{place}{error}"
        start = None if error.row is None else error.row + row
        problems = problems or (text,)
        whole = IngressError(error.code, text, column=error.column, row=start, value=error.value, problems=problems)
        return self._ours(whole)

    def _ours(self, error: IngressError) -> IngressError:
        error._is_of_stream = True  # noqa: SLF001
        return _in_table(error, self.table)


def _in_table(error: IngressError, table: str | None) -> IngressError:
    if table is not None:
        error._in_table(table)  # noqa: SLF001
    return error


def unread(error: Exception, table: str | None) -> IngressError:
    """What Python code raised where rows are read, as the compiled part tells it."""
    msg = f"reading the frame failed: {type(error).__name__}: {error}"
    return _in_table(IngressError(exceptions.IngressErrorCode.BadDataFrame, msg), table)


def leave(source: object, *, of_write: bool = False, has_stored: bool = False, has_read: bool = False) -> None:
    """Leave what a call has read of an object that gives it once to the next call with the same object.

    Of a plan, which takes no row; or of a write that failed: whether rows were stored, or may have been, and whether
    any were read.
    """
    if isinstance(source, Frames):
        source.leave(of_write=of_write, has_stored=has_stored, has_read=has_read)
    elif has_read and _once.is_once(source):
        _once.leave(source)


def frames_of(data: Any, prepare: Callable[[object], tuple[Any, bool]]) -> Frames | None:
    """The frames that `data` gives, if it is an iterator, a sequence or the values of a dict; else None."""
    from collections.abc import Iterator, Sequence, ValuesView

    if isinstance(data, (str, bytes, bytearray, memoryview)):
        return None
    if isinstance(data, (Iterator, Sequence, ValuesView)):
        again = data.__getitem__ if isinstance(data, Sequence) else None
        return Frames(data, lambda: _once.rest(data), prepare, again)
    return None
