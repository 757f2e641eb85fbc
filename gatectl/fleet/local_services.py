"""Start a broker and a database on this machine, for the demo and the tests: in a folder, on loopback.

Both are Debian's own programs. As root, PostgreSQL runs as the user postgres, since it refuses root.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from psycopg.conninfo import make_conninfo

from gatectl.errors import GatectlError
from gatectl.fleet.settings import POSTGRESQL_LEAST

START_S = 90.0
"""A broker and a database that begin on a loaded machine; a second elsewhere."""
STOP_S = 90.0
"""PostgreSQL writes its checkpoint first. Processes of one that is killed may be there at the next start."""
POLL_S = 0.02
"""Between two looks whether a service answers."""

MOSQUITTO = ("mosquitto", "/usr/sbin/mosquitto")
"""Debian puts it where an ordinary user's PATH does not lead."""

OWN_GROUP = 0
"""As `process_group` of a child: Ctrl-C reaches the parent alone, which ends its children in their order."""

TRY_AGAIN = "try it again; a full disk (df -h), full memory (free -m) or a busy machine may be the cause"

PORTS = range(20_000, 32_000)
"""Below those that Linux gives to connections."""

_INSTALL = "apt-get install --no-install-recommends {}"


def mosquitto() -> str:
    """Return the broker's program; raises GatectlError if it is not installed."""
    for name in MOSQUITTO:
        if found := shutil.which(name):
            return found
    raise GatectlError("mosquitto is not installed", _INSTALL.format("mosquitto"))


def postgresql() -> Path:
    """Return the folder of the newest PostgreSQL's programs; raises GatectlError if there is none."""
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdecimal()]
    newest = max(found, key=lambda path: int(path.parent.name), default=None)
    if newest is not None and int(newest.parent.name) >= POSTGRESQL_LEAST and (newest / "initdb").exists():
        return newest
    raise GatectlError(
        f"PostgreSQL {POSTGRESQL_LEAST} or later is not installed", _INSTALL.format("postgresql")
    )


def require_programs() -> None:
    """Raise GatectlError, naming all packages that are missing."""
    missing = {}
    for package, find in (("mosquitto", mosquitto), ("postgresql", postgresql)):
        try:
            find()
        except GatectlError as error:
            missing[package] = error.message
    if missing:
        raise GatectlError("; ".join(missing.values()), _INSTALL.format(" ".join(missing)))


def free_port() -> int:
    """Return a port of the loopback address that is free now.

    It is none of those that the kernel gives to connections: one of them could have it while the service is
    away, even the connection that looks for the service (ip_local_port_range, ip(7)).
    """
    while True:
        port = secrets.choice(PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class _Service:
    """A program in the foreground, started and ended by its process ID."""

    _end = signal.SIGTERM

    def __init__(self, name: str, log: Path) -> None:
        self._name = name
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The process ID; None while it does not run."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Return when it takes connections; raises GatectlError if it does not come to that."""
        with self._log.open("ab") as log:
            self._process = self._run(log)
        until = time.monotonic() + START_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                last = self._log.read_text("utf-8", errors="replace").splitlines()[-3:]
                raise GatectlError(f"{self._name} does not start: {' '.join(last)}", TRY_AGAIN)
            time.sleep(POLL_S)

    def stop(self, how: signal.Signals | None = None) -> None:
        """End it by this signal, else as it ends well; return when it has ended."""
        if self._process is None:
            return
        self._process.send_signal(how or self._end)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _run(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    def _is_ready(self) -> bool:
        raise NotImplementedError


class LocalBroker(_Service):
    """Mosquitto, by the settings in a head office's folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__("mosquitto", folder / "mosquitto.log")
        text = (folder / "mosquitto.conf").read_text("utf-8")
        (listener,) = (line for line in text.splitlines() if line.startswith("listener "))
        self.port = int(listener.split()[1])
        self._settings = folder / "mosquitto-here.conf"
        # Else it would give up root's rights, and could not read a folder of root's.
        self._settings.write_text(f"user {pwd.getpwuid(os.geteuid()).pw_name}\n{text}", "utf-8")

    def _run(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        command = [mosquitto(), "-c", str(self._settings)]
        return subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=OWN_GROUP
        )

    def _is_ready(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), POLL_S).close()
        except OSError:
            return False
        return True


class LocalDatabase(_Service):
    """PostgreSQL, in a new cluster in a folder, reached by a socket in it alone."""

    _end = signal.SIGINT  # SIGTERM would wait for its clients

    def __init__(self, folder: Path, options: Sequence[str] = ()) -> None:
        super().__init__("PostgreSQL", folder / "postgresql.log")
        self._folder = folder
        self._data = folder / "data"
        self._options = options

    def dsn(self, database: str = "postgres") -> str:
        """Return how to connect, as libpq takes it."""
        return make_conninfo(host=str(self._folder), dbname=database, user="postgres")

    def start(self) -> None:
        """As for any service; the first time, make the cluster before."""
        if not self._data.exists():
            self._prepare()
        (self._data / "postmaster.pid").unlink(missing_ok=True)  # of one that was killed
        super().start()

    def program(self, name: str, *arguments: str, stdin: IO[bytes] | None = None) -> bytes:
        """Run one of PostgreSQL's programs for this database; return what it prints."""
        where = ["-h", str(self._folder), "-U", "postgres"]
        command = [str(postgresql() / name), *where, *arguments]
        return subprocess.run(command, check=True, stdin=stdin, stdout=subprocess.PIPE).stdout  # noqa: S603

    def _prepare(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        owner = next(self._owner(), None)
        if owner:
            for path in (self._folder, *self._folder.iterdir()):
                shutil.chown(path, owner, owner)
            _require_passage(self._folder)
        # The socket is open to its owner alone, so nobody else needs to be asked for a password.
        command = [str(postgresql() / "initdb"), "-D", str(self._data), "-U", "postgres", "--auth=trust"]
        command += ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = subprocess.run(  # noqa: S603
            command, check=False, capture_output=True, cwd=self._folder, user=owner, group=owner
        )
        if done.returncode:
            words = " ".join(done.stderr.decode(errors="replace").split())
            raise GatectlError(f"initdb failed: {words}", TRY_AGAIN)

    def _owner(self) -> Iterator[str]:
        if os.geteuid() == 0:
            yield "postgres"

    def _run(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        owner = next(self._owner(), None)
        command = [str(postgresql() / "postgres"), "-D", str(self._data), "-k", str(self._folder)]
        settings = ["listen_addresses=", "unix_socket_permissions=0700", *self._options]
        return subprocess.Popen(  # noqa: S603
            [*command, *(part for setting in settings for part in ("-c", setting))],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self._folder,
            user=owner,
            group=owner,
            extra_groups=[] if owner else None,
            process_group=OWN_GROUP,
        )

    def _is_ready(self) -> bool:
        # As pg_ctl looks: the last line of this file says so.
        try:
            lines = (self._data / "postmaster.pid").read_text("utf-8", errors="replace").splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"


def _require_passage(folder: Path) -> None:
    """Raise GatectlError if the user postgres cannot come to this folder."""
    for parent in folder.parents:
        if not parent.stat().st_mode & 0o001:
            raise GatectlError(
                f"{parent} cannot be entered by the user postgres, as whom PostgreSQL runs",
                "run this as an ordinary user, or in a folder that others may enter",
            )
