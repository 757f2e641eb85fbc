"""Fixtures and rules for all tests."""

import contextlib
import signal
import socket
import tempfile
from pathlib import Path

import leaks
import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no failure: no example is timed. Chance is none either: each run tries the same examples;
# `pytest --hypothesis-profile=random` tries others.
settings.register_profile("random", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("gatectl", settings.get_profile("random"), derandomize=True)
settings.load_profile("gatectl")


# A shell ignores it for what it runs in the background, and then so would each command that is to end by it.
signal.signal(signal.SIGINT, signal.default_int_handler)

leaks.adopt_orphans()


@pytest.fixture(autouse=True)
def _nothing_outlives_its_test():
    begun = leaks.Begun()
    yield
    assert begun.not_ended() == []


@pytest.fixture
def open_folder():
    """An empty folder that other users may enter. Each pytest that starts closes its own to them."""
    with tempfile.TemporaryDirectory(prefix="gatectl-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="session")
def closed_port():
    """A port at which nobody listens, and which nobody else is given while the tests run."""
    with socket.socket() as bound, socket.socket(socket.AF_INET6) as bound_too:
        bound.bind(("", 0))
        port = bound.getsockname()[1]
        with contextlib.suppress(OSError):  # a machine without IPv6
            bound_too.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound_too.bind(("::", port))
        yield port
