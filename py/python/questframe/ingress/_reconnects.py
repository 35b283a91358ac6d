"""The warning of programs that make a sender for every few rows."""

from __future__ import annotations

import collections
import sys
import time
from typing import TYPE_CHECKING

from questframe.ingress._warnings import warn

if TYPE_CHECKING:
    from questframe.ingress._settings import Settings

__all__ = ["note_connection"]

#: So many connections of one sender's configuration within so many seconds are worth a warning, every ten minutes.
_RECONNECTS = 25
_RECONNECTS_SECONDS = 5.0
_WARN_AGAIN_SECONDS = 600.0

_connections: dict[tuple[str, str, str], collections.deque[float]] = {}
_warned_at = -_WARN_AGAIN_SECONDS


def note_connection(settings: Settings) -> None:
    """Count a connection, and warn if there have been many. Called by `Sender.establish`, whose caller is named."""
    global _warned_at  # noqa: PLW0603
    if not getattr(sys.modules.get("questframe.ingress"), "WARN_HIGH_RECONNECTS", False):
        return
    now = time.monotonic()
    key = (settings.protocol.tag, settings.host, settings.port)
    times = _connections.setdefault(key, collections.deque(maxlen=_RECONNECTS))
    times.append(now)
    is_burst = len(times) == _RECONNECTS and now - times[0] < _RECONNECTS_SECONDS
    if is_burst and now - _warned_at >= _WARN_AGAIN_SECONDS:
        _warned_at = now
        msg = (
            f"A burst of reconnections: {_RECONNECTS} senders within {_RECONNECTS_SECONDS:.0f} seconds. A sender is "
            "meant to be kept and used again. Set questframe.ingress.WARN_HIGH_RECONNECTS = False to silence this."
        )
        warn(msg)
