"""`python -m questframe.spool`: send what waits on disk, from a timer or by hand."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from questframe import spool
from questframe.exceptions import IngressError

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTERRUPTED = 130

_DESCRIPTION = """\
Send what writes with spool_dir have left on disk, and wait until the server has taken it.

The configuration string is best left in QDB_CLIENT_CONF: what stands on a command line, every process may read.
"""

_EPILOG = """\
Exit status: 0 if nothing waits any more; 1 if it could not be sent, for whatever reason the error says, or if something
was refused and set aside; 2 if the arguments are no such ones; 130 after Ctrl-C.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Its arguments. Default: those of this process.

    Returns:
        The exit status: 0 if nothing waits any more, 1 if something does or was set aside, 130 after Ctrl-C.

    """
    parser = argparse.ArgumentParser(
        prog="python -m questframe.spool",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("conf", nargs="?", help="the configuration string (default: QDB_CLIENT_CONF)")
    parser.add_argument("--spool-dir", metavar="DIR", help="the folder (default: spool_dir of the configuration)")
    options = parser.parse_args(arguments)
    try:
        report = spool.drain(options.conf, spool_dir=options.spool_dir)
    except IngressError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; what was not sent waits on", file=sys.stderr)
        return _INTERRUPTED
    print(f"{report.rows:,} rows in {report.segments:,} segments sent")
    for path in report.rejected:
        print(f"refused and set aside: {path} (the reason is beside it)", file=sys.stderr)
    if report.segments_waiting:
        print(f"{report.segments_waiting:,} segments wait on", file=sys.stderr)
    return 1 if report.rejected or report.segments_waiting else 0


if __name__ == "__main__":
    sys.exit(main())
