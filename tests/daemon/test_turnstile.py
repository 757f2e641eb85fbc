"""A turnstile with its passage sensor, through a daemon and its pins: with edges, and without any."""

import pytest
from harness import PINS

RELAY, SENSOR = PINS["main"]["relay"], 27
PASSAGE = {"pin": SENSOR, "debounce_ms": 20, "wait_ms": 600}
MEMBER = "1000000000200"

edges = pytest.mark.parametrize("environment", [{}, {"PINS_EDGES": "none"}], ids=["edges", "no edges"])


def started(gym, environment=None, **door):
    doors = {"main": {"passage": PASSAGE, "open_ms": 500} | door}
    return gym(doors=doors).start(**(environment or {}))


def requests(gym):
    return len(gym.partners.requests)


@edges
def test_a_member_passes_and_the_relay_goes_off_at_once(gym, environment):
    gym = started(gym, environment, open_ms=60_000, passage=PASSAGE | {"wait_ms": 60_000})
    scan = gym.ask("wellhub", MEMBER)
    passing_at = gym.drive(SENSOR, 0)
    passed = gym.next_event()
    assert (passed["kind"], passed["result"], passed["message"]) == ("passage", "passed", "Passed")
    assert (passed["of"], passed["member"]) == (scan["id"], MEMBER)
    assert gym.until_pin(RELAY, 0, passing_at).at - passing_at < 30
    gym.told(f"main: passed wellhub:{MEMBER}: Passed")


def test_a_member_who_did_not_pass_comes_again_and_the_partner_is_asked_once(gym):
    gym = started(gym)
    scan = gym.ask("wellhub", MEMBER)
    not_passed = gym.next_event()
    assert (not_passed["result"], not_passed["message"]) == ("not_passed", "Admitted, but did not pass")
    assert not_passed["of"] == scan["id"]
    gym.scan(f"wellhub:{MEMBER}")
    again = gym.next_event()
    assert (again["basis"], again["of"], again["member"]) == ("again", scan["id"], MEMBER)
    assert again["gate"]["open_ms"] == 500
    assert requests(gym) == 1


def test_a_second_try_survives_a_power_cut(gym):
    gym = started(gym)
    scan = gym.ask("wellhub", MEMBER)
    gym.next_event()
    gym.kill9()
    gym.start()
    gym.scan(f"wellhub:{MEMBER}")
    again = gym.next_event()
    assert (again["basis"], again["of"]) == ("again", scan["id"])
    gym.next_event()  # not passed again, and so the member's last
    gym.kill9()
    gym.start()
    gym.scan(f"wellhub:{MEMBER}")
    assert gym.next_event()["basis"] == "partner"


def test_in_pulse_control_the_turnstile_itself_stays_open(gym):
    gym = started(
        gym, relay={"control": "pulse", "pulse_ms": 100}, open_ms=5000, passage=PASSAGE | {"wait_ms": 5000}
    )
    scan = gym.ask("wellhub", MEMBER)
    on = gym.until_pin(RELAY, 1)
    off = gym.until_pin(RELAY, 0, on.at)
    assert 0.099 <= off.at - on.at < 4
    assert scan["gate"]["open_ms"] == 5000
    gym.drive(SENSOR, 0)
    assert gym.next_event()["result"] == "passed"


def test_status_shows_the_sensor(gym):
    gym = started(gym)
    assert gym.status()["doors"]["main"]["inputs"]["passage"]["state"] == "ok"
