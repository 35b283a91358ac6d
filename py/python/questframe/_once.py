"""What was read of objects that give their frames once: no later call passes over it without a word.

A plan reads the first frame of an iterator, and so does a write that finds no server. Whoever passes the same
iterator again means all of its frames. A frame whose rows went nowhere is given once more; where more was read, the
call is refused: an error of a write has what that read, and goes on with it (``resume=``).
"""

from __future__ import annotations

from _thread import allocate_lock

from questframe import exceptions
from questframe.exceptions import IngressError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["check", "forget", "is_once", "leave", "rest"]

_GONE = object()

#: The frame that was read of an object, by its `id`; `_GONE` for more than that. Beside it a weak reference, which
#: takes the entry out with the object, so that the id is no other's. That may happen at any moment.
_left: dict[int, tuple[object, Any]] = {}

#: The same of objects that take no weak reference, as those of `map`: they are held, the last of them. A frame that is
#: let go of is one that is gone.
_held: dict[int, tuple[object, Any]] = {}
_held_lock = allocate_lock()
_MOST_HELD = 256
_MOST_FRAMES = 4


def is_once(data: object) -> bool:
    """Whether an object gives what it has once."""
    from collections.abc import Iterator

    return isinstance(data, Iterator)


def leave(data: object, frame: object = _GONE) -> None:
    """Note that this frame was read of an object, and nothing else; without it, that more was."""
    import weakref

    key = id(data)
    try:
        _left[key] = (weakref.ref(data, lambda _: _left.pop(key, None)), frame)
    except TypeError:
        with _held_lock:
            _held.pop(key, None)
            _held[key] = (data, frame)
            for known in list(_held)[:-_MOST_HELD]:
                del _held[known]
            frames = [known for known, (_, frame) in _held.items() if frame is not _GONE]
            for known in frames[:-_MOST_FRAMES]:
                _held[known] = (_held[known][0], _GONE)


def _taken(data: object) -> tuple[object, Any] | None:
    """Take out what was read of an object."""
    if _left and (left := _left.pop(id(data), None)) is not None:
        return left
    if _held:
        with _held_lock:
            return _held.pop(id(data), None)
    return None


def forget(data: object) -> None:
    """What was read of an object is gone on with."""
    _taken(data)


def check(data: object) -> None:
    """See to it that nothing was read of an object that cannot be given again.

    Raises:
        IngressError: if it was.
    """
    known = _left.get(id(data)) or _held.get(id(data))
    if known is not None and known[1] is _GONE:
        kind = f"{type(data).__module__}.{type(data).__qualname__}"
        msg = (
            f"an object of type {kind} gives its rows once, and an earlier call has read some of them: if that was a "
            "write which failed, pass its error as resume=, which has them; else make the object anew "
            "(itertools.chain(it) leaves them out)"
        )
        raise IngressError(exceptions.IngressErrorCode.InvalidApiCall, msg)


def rest(data: Any) -> Iterator[Any]:
    """What an object has to give, from the frame on that was left."""
    left = _taken(data)
    if left is None:
        return iter(data)
    from itertools import chain

    return chain((left[1],), data)
