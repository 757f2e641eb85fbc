import pytest
from records import record

from gatectl.journal.schema import open_store


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal ? #1.db"


@pytest.fixture
def store(path):
    """A connection like the daemon's: it writes, and is open all the time."""
    connection = open_store(path)
    yield connection
    connection.close()


@pytest.fixture
def write(store):
    """Writes a scan, whole or its attempt alone."""
    return lambda *args, **fields: record(store, *args, **fields)
