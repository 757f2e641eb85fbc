"""The rig's tests. A plain pytest passes this folder by: `scripts/pi-rig test` runs it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rig.build import ready_image
from rig.partners import Partners
from rig.pi import Pi

collect_ignore_glob = [] if os.environ.get("GATECTL_PI") else ["test_*"]

HERE = Path(__file__).parent
TEST_S = 1800
"""Emulation is slow; a test alone takes a minute or two, and the longest one five."""
ROUND_S = 300
"""One round of a test that repeats something: a cold boot at most."""


def pytest_addoption(parser):
    parser.addoption(
        "--pi-rounds",
        type=int,
        default=3,
        metavar="N",
        help="how often the rig repeats what depends on the moment: kills, power cuts, replugs (default 3)",
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "pi: runs on the emulated Raspberry Pi")
    config.addinivalue_line("markers", "long: keeps a core busy for some ten minutes; .ci/run skips it")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.pi)
            item.add_marker(pytest.mark.timeout(TEST_S + ROUND_S * item.config.getoption("pi_rounds")))


@pytest.fixture(autouse=True)
def _nothing_outlives_its_test():
    """Override that of all tests: the helpers of an emulated machine end after it, in their own time."""


@pytest.fixture
def measured(record_property):
    """Takes a name, a number and its unit; the session's end shows them. Seconds are the emulated clock's."""
    return lambda name, value, unit="s": record_property("measured", f"{name}: {value:.2f} {unit}")


def pytest_terminal_summary(terminalreporter):
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    lines = [line for report in reports for name, line in report.user_properties if name == "measured"]
    if lines:
        terminalreporter.section("measured")
    for line in sorted(set(lines)):
        terminalreporter.write_line(line)


@pytest.fixture
def rounds(request):
    """How often a test repeats what depends on the moment."""
    return request.config.getoption("pi_rounds")


@pytest.fixture(scope="session")
def image():
    return ready_image()


@pytest.fixture
def partners(image):
    with Partners(image.secrets) as partners:
        yield partners


@pytest.fixture
def pi(image):
    """A Pi from the snapshot, without its network."""
    with Pi(image) as pi:
        yield pi


@pytest.fixture
def door(pi, partners):
    """A Pi whose daemon has reached its partners."""
    pi.connect(partners)
    return pi
