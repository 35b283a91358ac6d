"""What was read of objects that give their frames once: no later call passes over it without a word.

A plan reads the first frame of an iterator, and so does a write that finds no server. Whoever passes the same
iterator again means all of its frames. A frame whose rows went nowhere is given once more; where more was read, the
call is refused: an error of a write has what that read, and goes on with it (``resume=``).
"""

from __future__ import annotations

from questframe import exceptions
from questframe.exceptions import IngressError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["check", "forget", "is_once", "leave", "rest"]

#: The frame that was read of an object, by its `id`; `_GONE` for more than that. Beside it what keeps the id from being
#: another object's: a weak reference, which takes the entry out with the object, or else the object.
_left: dict[int, tuple[object, Any]] = {}
_GONE = object()

#: So many objects are held that take no weak reference, as those of `map` do: those of the last calls.
_MOST_HELD = 2


def is_once(data: object) -> bool:
    """Whether an object gives what it has once."""
    from collections.abc import Iterator

    return isinstance(data, Iterator)


def leave(data: object, frame: object = _GONE) -> None:
    """Note that this frame was read of an object, and nothing else; without it, that more was."""
    import weakref

    key = id(data)
    try:
        holder: object = weakref.ref(data, lambda _: _left.pop(key, None))
    except TypeError:
        holder = data
        held = [known for known, (holder, _) in _left.items() if not isinstance(holder, weakref.ref)]
        for known in held[: max(0, len(held) - _MOST_HELD + 1)]:
            del _left[known]
    _left[key] = (holder, frame)


def forget(data: object) -> None:
    """What was read of an object is gone on with."""
    _left.pop(id(data), None)


def check(data: object) -> None:
    """See to it that nothing was read of an object that cannot be given again.

    Raises:
        IngressError: if it was.
    """
    if _left and _left.get(id(data), (None, None))[1] is _GONE:
        kind = f"{type(data).__module__}.{type(data).__qualname__}"
        msg = (
            f"an object of type {kind} gives its rows once, and some were read by a call that failed: pass the error "
            "of that write as resume=, which has them, or make the object anew (itertools.chain(it) leaves them out)"
        )
        raise IngressError(exceptions.IngressErrorCode.InvalidApiCall, msg)


def rest(data: Any) -> Iterator[Any]:
    """What an object has to give, from the frame on that was left."""
    left = _left.pop(id(data), None) if _left else None
    if left is None:
        return iter(data)
    from itertools import chain

    return chain((left[1],), data)
