"""From the scanner's keys to the relay and the record."""

from __future__ import annotations

GOOD, DECLINED = "1000000000200", "1000000000404"


def test_a_good_code_opens_for_open_ms(door, partners):
    with door.watch() as relay:
        door.scan(GOOD)
        on = relay.wait(energised=True, limit_s=60)
        off = relay.wait(energised=False, limit_s=60, after=1)
    assert 2.9 < off.at - on.at < 3.5, relay.changes
    door.told("admitted 1000000000200")
    (event,) = door.events()
    assert event["credential"] == GOOD
    assert event["result"] == "admitted"
    assert event["gate"]["open_ms"] == 3000
    assert partners.asked_for(GOOD) == 1
