"""The errors of head office's commands: the exit status, one line that names the thing, and a hint."""

import os
import re
import socketserver
import struct
import subprocess
import sys
import threading

import pytest
from limits import NET_S
from office_rig import KEY

from gatectl.cli.main import main
from gatectl.errors import GatectlError
from gatectl.fleet import erase  # noqa: F401 - before the rights to read it are given up
from gatectl.fleet.settings import require_version

SETTINGS_WRONG = 78
NOBODY = 65_534

PASSWORD = "a long enough password"

UTF8_OPTIONS = "-E UTF8 --locale=C.UTF-8 -T template0"


def command(*words, **environ):
    return subprocess.run(
        [sys.executable, "-m", "gatectl", "fleet", *map(str, words)],
        capture_output=True,
        encoding="utf-8",
        timeout=NET_S,
        check=False,
        env=os.environ | environ,
    )


def put(path, content, mode=0o600):
    path.write_bytes(content)
    path.chmod(mode)


@pytest.fixture
def settings(office):
    """The settings of a new head office, whose monitor has a password and whose database is away."""
    put(office / "monitor-password", PASSWORD.encode())
    put(office / "database-password", b"secret of the database")
    path = office / "fleet.toml"
    text = path.read_text().replace(
        'dsn = "dbname=gatectl"',
        'dsn = "host=127.0.0.1 port=1"\npassword = { file = "database-password" }',
    )
    monitor = '[monitor]\nlisten = "127.0.0.1:0"\npassword = { file = "monitor-password" }'
    path.write_text(text.replace("[monitor]", monitor))
    return path


FILES = {
    "ingest": ("ingest.key", "ingest.crt", "ca.crt", "database-password"),
    "monitor": ("monitor-password", "pseudonym", "database-password"),
    "erase": ("pseudonym", "database-password"),
}
KEYS = {
    "ingest.key": "broker.key",
    "ingest.crt": "broker.certificate",
    "ca.crt": "broker.ca_file",
    "database-password": "database.password",
    "monitor-password": "monitor.password",
    "pseudonym": "monitor.pseudonym_key",
}
SPOILED = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: put(path, b""),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "open": lambda path: path.chmod(0o644),
    "binary": lambda path: put(path, b"\xff\xfe\x00"),
    "short": lambda path: put(path, b"short"),
}
ALWAYS = {"missing", "empty", "a folder"}
MORE = {
    "ingest.key": {"open", "binary"},
    "ingest.crt": {"binary"},
    "monitor-password": {"open", "binary", "short"},
    "pseudonym": {"open", "binary", "short"},
    "database-password": {"open", "binary"},
}
CASES = [
    (action, name, how)
    for action, names in FILES.items()
    for name in names
    for how in (sorted(ALWAYS | MORE.get(name, set())) if name != "database-password" else sorted(MORE[name]))
]


def words_of(action):
    return [action, *(["--member", "1403"] if action == "erase" else [])]


@pytest.mark.parametrize(("action", "name", "how"), CASES)
def test_a_file_that_cannot_be_used_is_named_with_its_setting(settings, action, name, how):
    SPOILED[how](settings.parent / name)
    done = command(*words_of(action), "-c", settings)
    first, *hints = done.stderr.splitlines()
    assert done.returncode == SETTINGS_WRONG
    assert first.startswith(f"{settings}:")
    assert f": {KEYS[name]}: " in first
    assert hints
    assert all(line.startswith("hint: ") for line in hints)
    assert PASSWORD not in done.stderr
    assert KEY.hex() not in done.stderr


FLAWS = {
    "nothing": (lambda text: text[:0], "broker: is missing"),
    "no TOML": (lambda text: f"{text}[brokers", "toml: expected ']'"),
    "a password in its connection": (
        lambda text: text.replace("port=1", f"port=1 password='{PASSWORD}'"),
        "database.dsn: must not have the password",
    ),
    "a password in place of its file": (
        lambda text: text.replace('{ file = "monitor-password" }', f'"{PASSWORD}"'),
        "monitor.password: must be a table",
    ),
    "a name that is no list": (
        lambda text: f'{text}names = "fleet.example.com"\n',
        "monitor.names: must be a list in square brackets",
    ),
    "days beyond all bounds": (
        lambda text: text.replace("keep_days = 90", "keep_days = 9000"),
        "database.keep_days: must be a whole number, 0 to 3650",
    ),
    "an open address without a password": (
        lambda text: re.sub("listen = .*\n.*", 'listen = "0.0.0.0:0"', text),
        "monitor.listen: 0.0.0.0 can be reached from elsewhere",
    ),
}


@pytest.mark.parametrize("name", FLAWS)
def test_a_setting_that_is_wrong_is_named_with_a_hint(settings, name):
    spoil, said = FLAWS[name]
    settings.write_text(spoil(settings.read_text()))
    done = command("monitor", "-c", settings)
    assert done.returncode == SETTINGS_WRONG
    first, second, *_ = done.stderr.splitlines()
    assert first.startswith(f"{settings}:")
    assert said in first
    assert second.startswith("hint: ")
    assert PASSWORD not in done.stderr


@pytest.mark.parametrize(
    "name", ["an open address", "an open address as an option", "no credentials", "a credential is missing"]
)
def test_errors_of_the_monitor_name_the_fleets_command_and_folder(settings, tmp_path, name):
    text, options, environ = settings.read_text(), [], {}
    if name == "an open address":
        text = re.sub("listen = .*\n.*", 'listen = "0.0.0.0:0"', text)
    elif name == "an open address as an option":
        text, options = re.sub("listen = .*\n.*", "", text), ["--listen", "0.0.0.0:0"]
    else:
        text = text.replace('{ file = "monitor-password" }', '{ credential = "monitor-password" }')
        environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)} if "missing" in name else {}
    settings.write_text(text)
    done = command("monitor", *options, "-c", settings, **environ)
    assert done.returncode == (2 if options else SETTINGS_WRONG)
    assert done.stderr.startswith("gatectl fleet monitor: " if options else f"{settings}:")
    assert "hint: " in done.stderr
    assert not re.findall(r"gatectl monitor|/etc/gatectl/", done.stderr)
    hint = f'password = {{ file = "{settings.parent}/monitor-password" }}'
    assert (hint in done.stderr) == (name == "an open address")


@pytest.mark.parametrize("action", ["ingest", "monitor", "erase", "sign", "revoke", "init", "demo"])
def test_the_help_names_the_settings_of_head_office(action):
    shown = " ".join(command(action, "--help", COLUMNS="200").stdout.split())
    assert "(else /etc/gatectl-fleet/fleet.toml)" in shown
    assert "/etc/gatectl/gatectl.toml" not in shown


@pytest.mark.parametrize("action", ["ingest", "monitor", "erase"])
def test_settings_that_cannot_be_read_are_said(tmp_path, action):
    for path, said in ((tmp_path / "none.toml", "does not exist"), (tmp_path, "cannot be read: Is a dir")):
        done = command(*words_of(action), "-c", path)
        assert done.returncode == SETTINGS_WRONG
        first, *hints = done.stderr.splitlines()
        assert first.startswith(f"{path}:1: settings: the file {said}")
        assert hints == [
            "hint: gatectl fleet reads -c FILE, else /etc/gatectl-fleet/fleet.toml",
            "hint: `gatectl fleet init DIR` makes one",
        ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_an_ordinary_user_is_sent_to_sudo(settings, capsys):
    settings.parent.chmod(0o700)
    os.seteuid(NOBODY)
    try:
        status = main(["fleet", "erase", "--member", "1403", "-c", str(settings)])
    finally:
        os.seteuid(0)
    assert status == SETTINGS_WRONG
    assert capsys.readouterr().err.splitlines() == [
        f"{settings}:1: settings: the file cannot be read: Permission denied",
        "hint: put sudo in front of the command",
    ]


class OldPostgresql(socketserver.ThreadingTCPServer):
    """Answers the start of each connection as PostgreSQL 14.9 does, and ends it at the first question.

    The messages are https://www.postgresql.org/docs/current/protocol-message-formats.html.
    """

    daemon_threads = True


class _Connection(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            size, code = struct.unpack("!ii", self.rfile.read(8))
            self.rfile.read(size - 8)
            if code >> 16 == 3:  # no question for encryption
                break
            self.wfile.write(b"N")
        self._send(b"R", struct.pack("!i", 0))
        for name, value in ((b"server_version", b"14.9"), (b"client_encoding", b"UTF8")):
            self._send(b"S", name + b"\0" + value + b"\0")
        self._send(b"Z", b"I")
        self.rfile.read(1)

    def _send(self, kind, content):
        self.wfile.write(kind + struct.pack("!i", len(content) + 4) + content)


@pytest.fixture
def old_server():
    with OldPostgresql(("127.0.0.1", 0), _Connection) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server.server_address[1]
        server.shutdown()
        serving.join()


@pytest.mark.parametrize("action", ["ingest", "monitor", "erase"])
def test_an_old_postgresql_is_refused_in_one_line(settings, old_server, action):
    settings.write_text(settings.read_text().replace("port=1", f"port={old_server}"))
    done = command(*words_of(action), "-c", settings)
    said = [line for line in done.stderr.splitlines() if "the Event Monitor is at" not in line]
    assert done.returncode == 1
    assert said == [
        "PostgreSQL 14.9 is too old: head office needs 15 or later",
        "hint: install a later one, and bring the database over: pg_upgradecluster(1), or pg_dump and psql",
    ]


@pytest.mark.parametrize("action", ["ingest", "monitor", "erase"])
def test_a_database_that_is_not_utf8_is_refused_in_one_line(settings, cluster, action):
    make = ["-E", "SQL_ASCII", "--locale=C", "-T", "template0"]
    cluster.program("createdb", *make, "of_a_machine_without_a_locale")
    try:
        dsn = cluster.dsn("of_a_machine_without_a_locale")
        settings.write_text(settings.read_text().replace("host=127.0.0.1 port=1", dsn))
        done = command(*words_of(action), "-c", settings)
    finally:
        cluster.program("dropdb", "--force", "of_a_machine_without_a_locale")
    said = [line for line in done.stderr.splitlines() if "the Event Monitor is at" not in line]
    assert done.returncode == 1
    assert said == [
        "the database's encoding is SQL_ASCII: head office needs UTF8",
        f"hint: if it is empty: dropdb gatectl; createdb -O OWNER {UTF8_OPTIONS} gatectl",
    ]


@pytest.mark.parametrize(
    ("version", "name"), [(149_999, "14.9999"), (140_009, "14.9"), (90_624, "9.6"), (80_400, "8.4")]
)
def test_versions_before_15_are_too_old(version, name):
    with pytest.raises(GatectlError, match=f"PostgreSQL {name} is too old"):
        require_version(version)


@pytest.mark.parametrize("version", [150_000, 150_013, 160_001, 180_000])
def test_later_versions_are_not(version):
    require_version(version)
