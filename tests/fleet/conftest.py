"""A broker and a database of the tests' own, on loopback, started and ended by the tests."""

import contextlib
import shutil
import tempfile
from pathlib import Path

import leaks
import pytest
from browser import chromium, look, pictures  # noqa: F401 - fixtures
from fleet_rig import Fleet, IngestProcess
from office_rig import Office

from gatectl.errors import GatectlError
from gatectl.fleet import local_services, new_office
from gatectl.fleet.local_services import LocalBroker, LocalDatabase, free_port


def _or_skip(find):
    try:
        return find()
    except GatectlError as error:
        pytest.skip("; ".join(error.lines()))


@pytest.fixture(scope="session")
def mosquitto():
    return _or_skip(local_services.mosquitto)


@pytest.fixture
def office(tmp_path):
    """The folder of a new head office."""
    folder = tmp_path / "office"
    new_office.create(folder, ["127.0.0.1"], port=free_port(), address="127.0.0.1")
    return folder


@pytest.fixture
def broker(mosquitto, office):  # noqa: ARG001
    with LocalBroker(office) as running:
        yield running


@pytest.fixture(scope="session")
def cluster():
    """PostgreSQL, in a folder that its own user may enter."""
    _or_skip(local_services.postgresql)
    folder = Path(tempfile.mkdtemp(prefix="gatectl-fleet-"))
    folder.chmod(0o755)
    try:
        with LocalDatabase(folder / "postgresql") as running:
            leaks.kept.append(lambda: running.pid)  # tests stop and start it
            yield running
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def database(cluster, request):
    """A new, empty database; its connection string."""
    name = f"test_{abs(hash(request.node.nodeid))}"
    cluster.program("createdb", name)
    yield cluster.dsn(name)
    cluster.program("dropdb", "--force", name)


@pytest.fixture
def tables(database):
    """Head office's tables, into which a test puts events; it needs no broker."""
    with contextlib.closing(Office(database)) as kept:
        yield kept


@pytest.fixture
def settings_of_database(office, database):
    """The office's settings name the test's own database."""
    path = office / "fleet.toml"
    path.write_text(path.read_text().replace('dsn = "dbname=gatectl"', f'dsn = "{database}"'))
    return path


@pytest.fixture
def ingest(broker, settings_of_database, office):  # noqa: ARG001
    with IngestProcess(office) as running:
        yield running


@pytest.fixture
def fleet(broker, ingest, office, database):
    return Fleet(broker, ingest, office, database)


@pytest.fixture
def second_ingest(ingest, office):  # noqa: ARG001 - the first is there before
    second = IngestProcess(office, "second-ingest.log")
    yield second
    second.stop()
