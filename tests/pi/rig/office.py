"""A head office on this machine: Mosquitto, PostgreSQL and ingest. The guest reaches it as `office.test`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from fleet_rig import IngestProcess

from gatectl.fleet import new_office
from gatectl.fleet.authority import CertificateAuthority
from gatectl.fleet.local_services import LocalBroker, LocalDatabase, free_port
from rig.image import OFFICE, OFFICE_ADDRESS

LIMIT_S = 300.0
LOOK_S = 0.2


@contextmanager
def head_office() -> Iterator[HeadOffice]:
    """Takes in events inside. Raises GatectlError where one of its programs is not installed."""
    with tempfile.TemporaryDirectory(prefix="office-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as a user of its own
        office = folder / "office"
        new_office.create(office, [OFFICE], port=free_port(), address="127.0.0.1")
        database = stack.enter_context(LocalDatabase(folder / "postgresql"))
        settings = office / "fleet.toml"
        settings.write_text(settings.read_text().replace("dbname=gatectl", database.dsn()))
        broker = stack.enter_context(LocalBroker(office))
        stack.enter_context(IngestProcess(office))
        yield HeadOffice(office, broker, database.dsn())


class HeadOffice:
    """A running one, as a gate's technician and the tests use it."""

    def __init__(self, folder: Path, broker: LocalBroker, dsn: str) -> None:
        self._folder, self._dsn = folder, dsn
        self.broker = broker

    @property
    def link(self) -> str:
        """The guest's connections to the broker; see `Partners.link`."""
        return f"tcp:{OFFICE_ADDRESS}:8883-cmd:socat - TCP:127.0.0.1:{self.broker.port}"

    def files_for_gate(self, request: str) -> dict[str, str]:
        """The files that a gate gets for its certificate request, by their names."""
        _, certificate = CertificateAuthority(self._folder).sign(request.encode())
        own = {name: (self._folder / name).read_text() for name in ("ca.crt", "pseudonym")}
        return own | {"device.crt": certificate.decode()}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()

    def ids(self) -> list[str]:
        """The events that came, by their numbers at the gate."""
        return [str(id_) for (id_,) in self.rows("SELECT id FROM event ORDER BY journal, generation, number")]

    def until(self, condition: Callable[[], bool]) -> None:
        """Returns when the condition holds; AssertionError at the limit, with the state of the gates."""
        until = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < until, self.rows("SELECT device, online, state FROM device")
            time.sleep(LOOK_S)
