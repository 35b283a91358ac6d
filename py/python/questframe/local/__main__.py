"""`python -m questframe.local`: a QuestDB until Ctrl-C, or for as long as one command runs."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

from ._errors import LocalServerError
from ._jar import VERSION
from ._server import QuestDB

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

_INTERRUPTED = 128 + signal.SIGINT
_TERMINATED = 128 + signal.SIGTERM
_NOT_FOUND = 127

_DESCRIPTION = f"""\
Run QuestDB {VERSION} on free ports of the loopback interface.

Without a command it runs until Ctrl-C. With one (after --) it runs as long as the command does, gives it the server's
configuration string in QDB_CLIENT_CONF and QUESTFRAME_TEST_CONF, and exits with its status.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Its arguments. Default: those of this process.

    Returns:
        The exit status: that of the command if one was given; 130 after Ctrl-C during it or during the start, 143
        after SIGTERM, 127 for a command that does not exist, 1 if the server could not be started, else 0.

    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    # By hand, because versions of argparse differ in what they do with `--`.
    split = given.index("--") if "--" in given else len(given)
    options = _parser().parse_args(given[:split])
    command = given[split + 1 :]

    logging.basicConfig(format="%(message)s")
    logging.getLogger("questframe.local").setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        with QuestDB(folder=options.keep_data) as db:
            if command:
                return _run(command, db.conf)
            _serve(db, until_stdin_closes=options.until_stdin_closes)
            return 0
    except LocalServerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m questframe.local",
        usage="%(prog)s [--keep-data DIR] [--until-stdin-closes] [-- command args...]",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--keep-data", metavar="DIR", help="keep the data in this folder (default: a temporary one)")
    parser.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help="for programs: print only the configuration string, then run until standard input ends",
    )
    return parser


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(_TERMINATED)


def _serve(db: QuestDB, *, until_stdin_closes: bool) -> None:
    """Print where the server is, and wait for the end of standard input or for Ctrl-C."""
    if until_stdin_closes:
        print(db.conf, flush=True)
        while os.read(sys.stdin.fileno(), 4096):
            pass
        return
    with contextlib.suppress(KeyboardInterrupt):
        print(f"conf:     {db.conf}\nconsole:  {db.http_url}\nCtrl-C stops it.", flush=True)
        threading.Event().wait()


def _run(command: list[str], conf: str) -> int:
    """Run `command` to its end and return its status, as a shell would give it."""
    program = shutil.which(command[0])
    if program is None:
        print(f"error: no such command: {command[0]}", file=sys.stderr)
        return _NOT_FOUND
    environment = os.environ | {"QDB_CLIENT_CONF": conf, "QUESTFRAME_TEST_CONF": conf}
    with subprocess.Popen([program, *command[1:]], env=environment) as process:
        try:
            while True:
                # Ctrl-C goes to the command as well, and how it ends is its own business.
                with contextlib.suppress(KeyboardInterrupt):
                    code = process.wait()
                    return code if code >= 0 else 128 - code
        finally:
            if process.poll() is None:
                process.terminate()


if __name__ == "__main__":
    sys.exit(main())
