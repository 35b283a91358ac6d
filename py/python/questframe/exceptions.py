"""The exceptions of questframe: one class, told apart by its code."""

from __future__ import annotations

import questframe.exceptions  # noqa: PLW0406, TC001 - who evaluates annotations finds the codes by it

# Not from `typing`, and the codes with the first that is asked for: both bring along more than all else that importing
# this package takes. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from questframe._codes import IngressErrorCode
    from questframe._questframe import RowBuffer, WriteReport

__all__ = ["IngressError", "IngressErrorCode", "IngressTypeError", "WriteInterrupted"]


# Type checkers would take any name for one that is here.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name == "IngressErrorCode":
            from questframe._codes import IngressErrorCode

            globals()[name] = IngressErrorCode
            return IngressErrorCode
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


class _Delivery:
    """What became of the rows of a write that failed."""

    table: str | None
    acked: tuple[range, ...]
    doubtful: tuple[range, ...]
    unsent: tuple[range, ...]
    #: The stream that was written, if it can be read once, and the compiled part's hold on it.
    _source: object = None
    _stream: object = None
    #: Whether a later write went on with it, and further.
    _is_spent: bool = False

    @property
    def rows_acked(self) -> int:
        """How many rows are in ``acked``: stored, or left out because they held nothing (``empty_rows="skip"``)."""
        return sum(len(rows) for rows in self.acked)

    @property
    def in_doubt(self) -> bool:
        """Whether rows may have been stored without an acknowledgement."""
        return bool(self.doubtful)

    def _known(self) -> dict[str, object]:
        """What goes into another process: all but the hold on a stream or a frame, and the rows of a sender."""
        return {name: value for name, value in vars(self).items() if name not in _HELD}


#: What an error knows in its own process alone.
_HELD = frozenset({"_source", "_stream", "_is_spent", "_blamed", "_rest", "pending"})


class IngressError(_Delivery, Exception):
    """Something about a frame, an option, the configuration or the server is wrong.

    The message says what, where and the cure. Beside it:

    Attributes:
        code: what it is about.
        table: the table, if it was known.
        column: the frame's column, if there is one to blame.
        row: the frame's row, counted from 0, if there is one to blame.
        value: a short text of the value.
        server_message: what the server said.
        error_id: the server's id of the error, which also stands in its log.
        problems: every problem of the frame, one text each.
        acked: ranges of rows that were stored, or left out because they held nothing (``empty_rows="skip"``); over TCP
            those that were handed over, see `unacknowledged`; of a stream whose rest could not be kept on disk also
            those before it that wait there.
        doubtful: ranges of rows that may have been stored.
        unsent: ranges of rows that were not stored. The three cover the frame, or of a stream the rows that were read;
            they are empty in errors that are not of a write. ``resume=error`` goes on from there.
        pending: of :mod:`questframe.ingress`: after a failed flush of the sender's own rows, a ``Buffer`` of them.
        report: of a write whose task was cancelled when it had ended: its report. ``acked`` has all of its rows then
            that are not to be sent again, those that wait on disk among them; rows that were refused are ``unsent``.

    Example:
        >>> import questframe as qf
        >>> qf.IngressError(qf.IngressErrorCode.ConfigError, "bad port").code
        <IngressErrorCode.ConfigError: 10>
    """

    #: The columns of a frame that could not be read, and the frame with nulls there, as the compiled part takes it.
    _blamed: tuple[str, ...] = ()
    _rest: object = None
    #: Whether it tells what is wrong with a frame of a stream, so that the write which reads it gives it its rows. What
    #: Python code raises there, maybe of a write of its own, is a cause and stays as it is.
    _is_of_stream: bool = False

    def __init__(  # noqa: PLR0913 - what is known of an error, each by its name
        self,
        # By the package's name: it loads the class when somebody evaluates this.
        code: questframe.exceptions.IngressErrorCode,
        msg: str,
        *,
        table: str | None = None,
        column: str | None = None,
        row: int | None = None,
        value: str | None = None,
        server_message: str | None = None,
        error_id: str | None = None,
        problems: tuple[str, ...] = (),
        acked: tuple[range, ...] = (),
        doubtful: tuple[range, ...] = (),
        unsent: tuple[range, ...] = (),
    ) -> None:
        """Keep `msg` as the only argument, like the official class."""
        super().__init__(msg)
        self._code = code
        self.table = table
        self.column = column
        self.row = row
        self.value = value
        self.server_message = server_message
        self.error_id = error_id
        self.problems = problems
        self.acked = acked
        self.doubtful = doubtful
        self.unsent = unsent
        self.pending: RowBuffer | None = None
        self.report: WriteReport | None = None

    @property
    def code(self) -> questframe.exceptions.IngressErrorCode:
        """What the error is about."""
        return self._code

    def _in_table(self, table: str) -> None:
        """Name the table of an error that was found before the compiled part had the frame; as that names it."""
        if self.table is None:
            self.table = table
            text = str(self)
            self.args = (f"table {quoted(table)}{', ' if text.startswith('column ') else ': '}{text}",)

    def __reduce__(self) -> tuple[object, ...]:
        """Have it pickled with all it knows, as :mod:`multiprocessing` does with what a worker raises.

        The official class has one argument, ours the code as well. Streams and ``pending`` stay behind.
        """
        return type(self), (self._code, *self.args), self._known()


#: How many problems the text of an error lists; the rest of them is in its `problems`.
_SHOWN = 20
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


def quoted(name: str) -> str:
    """A name in an error's text, as the compiled part quotes it: no terminal acts on it."""
    shown = (_ESCAPES.get(sign) or (sign if sign.isprintable() else f"\\u{{{ord(sign):x}}}") for sign in name)
    return f'"{"".join(shown)}"'


def together(found: list[IngressError], rest: object = None) -> IngressError:
    """One error for all that is wrong with a frame, at the place of the first; as the compiled part makes it.

    `rest` is the frame with nulls in the place of such columns, unless there are no others.
    """
    error = _listed(found[0], tuple(str(error) for error in found))
    error._blamed, error._rest = tuple(error.column for error in found if error.column is not None), rest  # noqa: SLF001
    return error


def and_more(error: IngressError, problems: list[str]) -> IngressError:
    """The error with more problems of the same frame."""
    return _listed(error, (*error.problems, *problems))


def _listed(first: IngressError, problems: tuple[str, ...]) -> IngressError:
    if len(problems) == 1:
        first.problems = problems
        return first
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    msg = "\n  - ".join([f"{len(problems)} problems", *problems[:_SHOWN], *more])
    return IngressError(first.code, msg, column=first.column, row=first.row, value=first.value, problems=problems)


class WriteInterrupted(_Delivery, KeyboardInterrupt):
    """Ctrl-C ended a write: a ``KeyboardInterrupt`` that knows what was stored.

    Attributes:
        table: the table.
        acked: ranges of rows that were stored.
        doubtful: ranges of rows that may have been stored.
        unsent: ranges of rows that were not stored. ``resume=`` takes this exception, too.
    """

    def __init__(
        self,
        msg: str = "",
        *,
        table: str | None = None,
        acked: tuple[range, ...] = (),
        doubtful: tuple[range, ...] = (),
        unsent: tuple[range, ...] = (),
    ) -> None:
        """Keep `msg` as the only argument."""
        super().__init__(msg)
        self.table = table
        self.acked = acked
        self.doubtful = doubtful
        self.unsent = unsent

    def __reduce__(self) -> tuple[object, ...]:
        """Have it pickled with all it knows, but for its stream."""
        return type(self), self.args, self._known()


class IngressTypeError(IngressError, TypeError):
    """A wrong argument: an unknown option, or an object that is no frame. Also a ``TypeError``."""
