"""`gatectl uplink` with a real broker: what it sends, what it takes, and how it ends."""

import json

import pytest
from uplink_rig import UplinkGate


@pytest.fixture
def gate(tmp_path, office, broker):
    return UplinkGate(tmp_path / "gate", office, broker.port)


def test_events_reach_the_database_in_order(gate, fleet):
    ids = gate.scan(200)
    with gate:
        gate.wait(gate.has_sent_all)
        ids += gate.scan()
        gate.wait(gate.has_sent_all)
    assert fleet.ids("berlin-1") == ids


def test_status_says_that_it_is_connected_and_how_far(gate, fleet):  # noqa: ARG001
    gate.scan(3)
    assert "not running" in gate.run("status").stderr
    with gate:
        gate.wait(gate.has_sent_all)
        shown = gate.run("status")
        assert (shown.returncode, shown.stdout.splitlines()[1]) == (0, "head office has every event")
        assert json.loads(gate.run("status", "--json").stdout)["last"] == 3
    assert "not running" in gate.run("status").stderr
