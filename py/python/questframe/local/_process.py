"""The server as a child process that never outlives this one."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_TAIL_LINES = 15
_TAIL_BYTES = 64 * 1024
_STOP_SECONDS = 10.0

# How the server dies with us even after `kill -9`. The shell starts a watcher and then becomes the server (`exec`), so
# that the pid and the exit code of the child are Java's own. The watcher blocks on a pipe whose other end only this
# process holds: a line in it means "all is well, go away"; an end of file without one means that we are gone, whatever
# the reason. It then ends the server, first politely, and removes the temporary folder if there is one.
#
# Why not prctl(PR_SET_PDEATHSIG): it needs code between fork and exec, which is unsafe in a process with threads, it
# fires when the *thread* that started the server ends, and it exists on Linux only. Why no handler for SIGTERM here:
# the watcher sees to it, and a library has no business in its user's signal handlers.
#
# One hole: a process forked from this one without exec (multiprocessing's "fork") holds the pipe too, so the server
# lives until that one has gone as well. Windows has no such watcher: there only an orderly end stops the server.
_LIFELINE = """
folder=$1
shift
exec 3<&0 </dev/null
(
    read -r _ <&3 && exit
    kill -TERM $$
    tries=0
    while kill -0 $$ && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
    kill -KILL $$
    [ -z "$folder" ] || rm -rf -- "$folder"
) >/dev/null 2>&1 &
exec "$@" 3<&-
"""


class ServerProcess:
    """A started server.

    It runs in a session of its own, so that Ctrl-C in a terminal reaches only us, and we can stop it in order.
    """

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], log_path: Path, doomed: Path | None = None
    ) -> None:
        """Start `command`.

        Args:
            command: Program and arguments.
            env: Its whole environment.
            log_path: File for its standard output and error; an older one is overwritten.
            doomed: A folder to remove if this Python process dies before `stop` is called. Default: none.

        Raises:
            OSError: The program cannot be started, or the log cannot be written.

        """
        self.log_path = log_path
        with log_path.open("wb") as log:
            if sys.platform == "win32":
                self._process = subprocess.Popen(
                    [*command],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=dict(env),
                    creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
                )
            else:
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", _LIFELINE, "questframe-lifeline", str(doomed or ""), *command],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=dict(env),
                    start_new_session=True,
                )

    @property
    def pid(self) -> int:
        """Process id of the server itself."""
        return self._process.pid

    def exit_code(self, within: float = 0.0) -> int | None:
        """Exit code if it has ended or ends `within` so many seconds, negative for a signal; None while it runs."""
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            return None

    def tail(self) -> list[str]:
        """Return the last lines of its log, without blank lines and stack frames; empty if the log cannot be read."""
        try:
            with self.log_path.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(0, size - _TAIL_BYTES))
                text = log.read().decode("utf-8", "replace")
        except OSError:
            return []
        return [line for line in text.splitlines() if line.strip() and not line.startswith("\tat ")][-_TAIL_LINES:]

    def stop(self) -> None:
        """End it and wait until it is gone: politely, by force after 10 s or on a second Ctrl-C. Twice does no harm."""
        try:
            self._process.terminate()
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
        except BaseException:
            self._kill()
            raise
        finally:
            self._release()

    def _kill(self) -> None:
        # Java alone, not its group: the watcher must stay, in case that we do not get further than this line.
        if sys.platform == "win32":
            self._process.kill()
        else:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def _release(self) -> None:
        """Tell the watcher that its work is done."""
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            return
        with contextlib.suppress(OSError):
            pipe.write(b"done\n")
            pipe.flush()
        with contextlib.suppress(OSError):
            pipe.close()


def remove_folder(folder: Path) -> None:
    """Remove `folder` and what is in it; what cannot be removed stays, without an error."""
    shutil.rmtree(folder, ignore_errors=True)
