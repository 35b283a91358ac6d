"""Store and forward: rows that no server took wait on disk, and are sent when one is there.

A write with `spool_dir` (an option, or a key of the configuration string) does not fail when no server can be reached:
what it could not deliver is written to that folder, synced, and reported as ``report.rows_spooled``. From then on
nothing of it is lost, whatever happens to the process. The next write into the folder sends what waits before its own
rows; so does `questframe.connect` if the configuration string names the folder, and `drain`. Each request is sent at
least once; with deduplication keys its rows are there once.
"""

from __future__ import annotations

from questframe._questframe import DrainReport

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

__all__ = ["DrainReport", "drain"]


def drain(conf: str | None = None, *, spool_dir: str | os.PathLike[str] | None = None) -> DrainReport:
    """Send what waits on disk, in the order in which it was accepted, and return when nothing waits any more.

    What the server refuses for good, or does not fit the table that is there by now, goes into the folder ``rejected``,
    beside a text with the reason, and holds up nothing else.

    Args:
        conf: a configuration string such as ``"http::addr=localhost:9000;spool_dir=/var/spool/quest;"``; None for
            ``QDB_CLIENT_CONF``.
        spool_dir: the folder. Default: ``spool_dir=`` of the configuration string.

    Returns:
        How many segments and rows were sent, and which were rejected.

    Raises:
        IngressError: no server takes them: SocketError or whatever it said, and what was not sent waits on;
            ConfigError if no folder is named, or another process uses it.

    Example:
        >>> import questframe as qf
        >>> qf.spool.drain("http::addr=localhost:9000;", spool_dir="spool")  # doctest: +SKIP
        DrainReport(1000 rows in 1 segments sent, 0 rejected, 0 waiting)
    """
    from questframe._api import _shared_client

    return _shared_client(conf).drain_spool(spool_dir)
