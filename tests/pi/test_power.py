"""Power cuts, and boots: the relay throughout, and what the record says afterwards."""

from __future__ import annotations

import pytest
from rig.pi import Pi

GOOD = "1000000000200"
SILENT = "1000000000600"
LIMIT_S = 300.0


def test_the_relay_is_off_from_power_on_to_ready(image, measured):
    with Pi(image, cold=True, paused=True) as pi, pi.watch() as relay:
        pi.go_on()
        pi.agent.wait_ready()
        pi.told("is ready", limit_s=LIMIT_S)
        measured("cold boot to ready, on the emulated clock", pi.seconds())
        assert not relay.ever_energised
        assert relay.samples > 1000
        pi.check("systemctl restart gatectl")
        pi.check("systemctl stop gatectl")
        assert not relay.ever_energised


@pytest.mark.parametrize("how", ["cut", "panic"])
def test_power_lost_with_the_relay_on(door, how):
    door.change_settings("open_ms = 3000", "open_ms = 60000")
    with door.watch() as relay:
        door.scan(GOOD)
        relay.wait(energised=True, limit_s=60)
        door.told(f"admitted {GOOD}")
        if how == "panic":
            door.agent.send("echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger")
            door.agent.wait_for(b"Kernel panic", 60)
    door.cut()
    door.boot(paused=True)
    with door.watch() as relay:
        door.go_on()
        door.agent.wait_ready()
        door.told("is ready", limit_s=LIMIT_S)
        assert not relay.ever_energised
    (event,) = door.events()
    assert event["result"] == "admitted"


def test_a_scan_cut_off_by_a_power_cut_is_on_record_as_interrupted(door, partners):
    door.change_settings(
        "budget_ms = 10000  # the emulation is ten times slower than a Pi", "budget_ms = 30000"
    )
    door.scan(SILENT)
    partners.until(lambda: partners.asked_for(SILENT) == 1)
    door.cut()
    door.boot()
    door.told("is ready", limit_s=LIMIT_S)
    (event,) = door.events()
    assert (event["credential"], event["result"], event["fault"]) == (SILENT, "unknown", "interrupted")
