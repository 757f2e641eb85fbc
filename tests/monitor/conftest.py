"""A simulated door with a monitor, and a browser that shows it."""

import patient_http
import pytest
from browser import chromium, look, pictures  # noqa: F401 - fixtures
from monitors import monitor, write_closed_gym

from gatectl.sim.simulated_door import SimulatedDoor


@pytest.fixture(scope="session")
def door(tmp_path_factory):
    """A running door with all partners, whose `type_code` scans."""
    with SimulatedDoor(tmp_path_factory.mktemp("door"), lambda _: None) as door:
        yield door


@pytest.fixture(scope="session")
def address(door):
    with monitor(door.settings) as address:
        yield address


@pytest.fixture(scope="session")
def page_of(address):
    """A client of the running monitor."""
    with patient_http.Client(base_url=address) as client:
        yield client


@pytest.fixture
def closed_gym(tmp_path):
    """Settings of a gym whose daemon never ran."""
    return write_closed_gym(tmp_path)
