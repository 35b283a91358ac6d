"""When a sender flushes by itself: the four auto-flush options and their official rules."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from questframe.exceptions import IngressError, IngressErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Triggers", "parse_triggers"]

_ROWS, _BYTES, _INTERVAL = "auto_flush_rows", "auto_flush_bytes", "auto_flush_interval"
_END_OF_I64 = 1 << 63


class Triggers(NamedTuple):
    """The triggers of a sender; all None when auto-flush is off. The interval is in milliseconds."""

    auto_flush: bool
    auto_flush_rows: int | None
    auto_flush_bytes: int | None
    auto_flush_interval: int | None


def parse_triggers(
    given: dict[str, Any], *, default_rows: int, millis_of: Callable[[datetime.timedelta], int]
) -> Triggers:
    """The triggers by the options that are given, each absent or not None.

    Raises:
        IngressError: ConfigError for texts other than "on" and "off", and for "on" as a trigger.
        TypeError: for a trigger of another type.
        ValueError: for `auto_flush` of another type, triggers below 1, texts that are no number, and auto-flush
            without any trigger.
        OverflowError: for triggers of more than 63 bits.
    """
    switch = given.get("auto_flush")
    if isinstance(switch, str):
        if switch not in ("on", "off"):
            raise IngressError(IngressErrorCode.ConfigError, _bad_switch(switch))
        switch = switch == "on"
    defaults = {_ROWS: default_rows, _BYTES: False, _INTERVAL: 1000}
    triggers = {key: _trigger(key, given.get(key, default), millis_of) for key, default in defaults.items()}
    is_any = any(trigger is not None for trigger in triggers.values())
    if switch is None:
        switch = is_any
    elif not isinstance(switch, bool):
        raise ValueError(_bad_switch(switch))
    if switch and not is_any:
        msg = (
            '"auto_flush" is enabled but no other auto-flush parameters are enabled. Please set at least one of '
            f'"{_ROWS}", "{_BYTES}" or "{_INTERVAL}".'
        )
        raise ValueError(msg)
    _check_range(triggers)
    if not switch:
        return Triggers(auto_flush=False, auto_flush_rows=None, auto_flush_bytes=None, auto_flush_interval=None)
    return Triggers(True, triggers[_ROWS], triggers[_BYTES], triggers[_INTERVAL])  # noqa: FBT003 - named above


def _check_range(triggers: dict[str, int | None]) -> None:
    """Also for those that a switched-off auto-flush makes no use of, as in the official client."""
    for key, trigger in triggers.items():
        if trigger is not None and trigger < 1:
            msg = f'"{key}" must be >= 1, not {trigger}'
            raise ValueError(msg)
    for key, trigger in triggers.items():
        if trigger is not None and trigger >= _END_OF_I64:
            msg = f'"{key}" is too large: it must be below 2**63'
            raise OverflowError(msg)


def _bad_switch(switch: object) -> str:
    return f'"auto_flush" must be None, bool, "on" or "off", not {switch!r}'


def _trigger(key: str, value: object, millis_of: Callable[[datetime.timedelta], int]) -> int | None:
    """The number of a trigger, not checked yet; None if it is off."""
    if isinstance(value, str):
        if value == "on":
            msg = f'"{key}" cannot be "on"'
            raise IngressError(IngressErrorCode.ConfigError, msg)
        return None if value == "off" else int(value)
    if value is False:
        return None
    if isinstance(value, int):
        return int(value)
    if key == _INTERVAL and isinstance(value, datetime.timedelta):
        return millis_of(value)
    times = " timedelta," if key == _INTERVAL else ""
    msg = f'"{key}" must be an int,{times} False or "off", not {value!r}'
    raise TypeError(msg)
