"""Daemon and uplink killed while members come: head office has each event once.

scripts/fleet-bench kills more often.
"""

import random

from whole_gate import WholeGate

KILLS = 3


def test_a_daemon_and_an_uplink_that_are_killed_lose_nothing_and_send_nothing_twice(tmp_path, fleet):
    folder = tmp_path / "gate"
    folder.mkdir()
    with WholeGate(folder, fleet.office, fleet.broker.port) as gate:
        gate.kill(KILLS, random.Random(2))
        gate.catch_up()
        events, requests = gate.verify(fleet)
    assert events >= requests > 0
    assert fleet.alarms() == []
