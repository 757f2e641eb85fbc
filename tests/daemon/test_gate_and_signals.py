"""What the pins do, seen from outside: the pulse, the lamps, and pins that fail."""

import re
import time

import contract
import pytest
from harness import GOOD, HANG, PINS, code

MAIN = PINS["main"]
LATE_S = 0.05
"""What a busy machine may add to a timer."""

DECLINED, UNKNOWN = "1000000000453", "1000000000404"


def levels(changes):
    """The levels without those that changed nothing."""
    seen = [change.level for change in changes]
    return [level for before, level in zip([None, *seen], seen, strict=False) if level != before]


def lit(gym, lamp, after):
    return levels(change for change in gym.pins(MAIN[lamp]) if change.at >= after)


def test_the_pulse_has_its_length(gym):
    gym = gym(doors={"main": {"open_ms": 400}}).start()
    mark = time.monotonic()
    event = gym.ask("wellhub", GOOD["wellhub"])
    on = gym.until_pin(MAIN["relay"], 1, mark)
    off = gym.until_pin(MAIN["relay"], 0, on.at)
    assert event["gate"]["open_ms"] == 400
    assert 0.399 <= off.at - on.at <= 0.4 + LATE_S
    assert event["gate"]["after_ms"] / 1000 <= on.at - mark + 0.001
    assert gym.terminate() == 0
    assert levels(gym.pins(MAIN["relay"])) == [0, 1, 0, None]


def test_an_admission_while_open_extends_it_to_a_full_open_ms(gym):
    gym = gym(doors={"main": {"open_ms": 600}}).start()
    gym.ask("wellhub", GOOD["wellhub"])
    gym.ask("wellhub", "1000000000212")  # good after 300 ms
    first, second = gym.openings()
    off = gym.until_pin(MAIN["relay"], 0, second.at)
    assert second.at - first.at >= 0.3
    assert 0.599 <= off.at - second.at <= 0.6 + LATE_S
    assert levels(gym.pins(MAIN["relay"])) == [0, 1, 0]


def test_a_refusal_while_open_neither_extends_nor_ends_it(gym):
    gym = gym(doors={"main": {"open_ms": 500}}).start()
    gym.ask("wellhub", GOOD["wellhub"])
    gym.ask("wellhub", DECLINED)
    (on,) = gym.openings()
    off = gym.until_pin(MAIN["relay"], 0, on.at)
    assert 0.499 <= off.at - on.at <= 0.5 + LATE_S


def test_a_relay_that_is_on_at_low(gym):
    gym = gym(doors={"main": {"active_high": False}}).start()
    first = gym.pins(MAIN["relay"])[0]
    assert first.level == 1
    gym.ask("wellhub", GOOD["wellhub"])
    on = gym.until_pin(MAIN["relay"], 0)
    off = gym.until_pin(MAIN["relay"], 1, on.at)
    assert 0.099 <= off.at - on.at <= 0.1 + LATE_S
    assert gym.terminate() == 0
    assert levels(gym.pins(MAIN["relay"])) == [1, 0, 1, None]


@pytest.mark.parametrize(
    ("member", "beeps", "green", "red"),
    [
        (GOOD["wellhub"], 1, [0, 1, 0], [0]),
        (DECLINED, 2, [0], [0, 1, 0]),
        (UNKNOWN, 2, [0], [0, 1, 0]),
        ("no ID of theirs", 2, [0], [0, 1, 0]),
        (HANG["wellhub"], 3, [0], [0, 1, 0, 1, 0, 1, 0, 1, 0]),
        ("1000000000403", 3, [0], [0, 1, 0, 1, 0, 1, 0, 1, 0]),
    ],
    ids=["admitted", "declined", "not found", "unrecognised", "no answer", "our key"],
)
def test_lamps_and_buzzer(shared, member, beeps, green, red):
    mark = time.monotonic()
    event = shared.ask("wellhub", member)
    # The last thing that each of them shows is its end.
    if event["result"] == "admitted":
        shared.until_pin(MAIN["green"], 0, shared.until_pin(MAIN["green"], 1, mark).at)
    else:
        start = shared.until_pin(MAIN["red"], 1, mark)
        ends = start.at + (1.99 if len(red) == 3 else 1.74)
        shared.until_pin(MAIN["red"], 0, ends)
    assert lit(shared, "green", mark) == green
    assert lit(shared, "red", mark) == red
    assert lit(shared, "buzzer", mark) == [0, *[1, 0] * beeps]


@pytest.fixture(scope="module")
def shared(shared_gym):
    return shared_gym({"wellhub": {"budget_ms": 200}}, {"main": {"open_ms": 300}})


def test_the_relay_cannot_be_claimed_at_the_start(gym):
    gym = gym()
    gym.fail("17")
    gym.spawn()
    assert gym.wait() == 78
    (line,) = [number for number, line in enumerate(_lines(gym), 1) if line.startswith("pin = 17")]
    first, *hints = gym.stderr
    assert re.fullmatch(
        rf"{re.escape(str(gym.settings))}:{line}: doors\.main\.relay\.pin: .*GPIO17 does not answer", first
    )
    assert hints
    assert all(hint.startswith("hint: ") for hint in hints)
    assert not gym.journal.exists()


def test_one_relay_that_cannot_be_claimed_does_not_leave_the_other_as_it_was(gym):
    gym = gym(doors={"main": {}, "side": {}})
    gym.fail("17")
    gym.spawn()
    assert gym.wait() == 78
    assert gym.pins(PINS["side"]["relay"])[0].level == 0


def test_a_lamp_that_cannot_be_claimed(gym):
    gym = gym()
    gym.fail("23")
    gym.spawn()
    assert gym.wait() == 78
    assert "doors.main.signals.red: " in gym.stderr[0]
    assert levels(gym.pins(MAIN["relay"])) == [0, None]


def test_a_pin_factory_that_is_not_there(gym):
    gym = gym()
    gym.settings.write_text(gym.settings.read_text().replace('"recording"', '"nothing"'))
    gym.spawn()
    assert gym.wait() == 78
    assert ": gpio.pin_factory: there is no pin factory 'nothing'" in gym.stderr[0]


def test_the_relay_fails_later(gym):
    gym = gym().start()
    gym.fail("17=1")
    event = gym.ask("wellhub", GOOD["wellhub"])
    assert (event["result"], event["fault"]) == ("rejected", "gate")
    assert event["message"] == contract.GATE_SHUT
    assert (event["verdict"], event["status"], event["gate"]) == ("allowed", 200, None)
    assert event["request"]["sent"] is True
    gym.told("the relay cannot be energised", "GPIO17 does not answer")
    gym.fail()
    event = gym.ask("wellhub", GOOD["wellhub"])
    assert event["result"] == "admitted"
    assert len(gym.openings()) == 1
    assert gym.terminate() == 0


def test_a_lamp_that_fails_later_stops_no_member(gym):
    gym = gym().start()
    gym.fail("22=1", "24=0")
    events = [gym.ask("wellhub", GOOD["wellhub"]) for _ in range(3)]
    assert {event["result"] for event in events} == {"admitted"}
    gym.told("the signal green cannot be driven")
    gym.told("the signal buzzer cannot be driven")
    gym.fail()
    assert gym.terminate() == 0
    assert gym.count_told("cannot be driven") == 2


def test_a_relay_that_does_not_go_off_is_told_and_tried_again(gym):
    gym = gym().start()
    gym.fail("17=0")
    gym.ask("wellhub", GOOD["wellhub"])
    on = gym.until_pin(MAIN["relay"], 1)
    gym.told("main: THE RELAY DOES NOT GO OFF")
    gym.fail()
    mended = time.monotonic()
    off = gym.until_pin(MAIN["relay"], 0, on.at)
    assert off.at - mended < 0.3
    assert gym.count_told("DOES NOT GO OFF") == 1
    assert gym.terminate() == 0


def test_the_relay_goes_off_on_time_though_the_event_loop_is_blocked(gym):
    gym = gym(doors={"main": {"open_ms": 300}}).start()
    gym.fail("22=1:block")  # the green lamp's driver does not come back
    gym.scan(code("wellhub", GOOD["wellhub"]))
    on = gym.until_pin(MAIN["relay"], 1)
    gym.until_pin(MAIN["green"], 1)
    off = gym.until_pin(MAIN["relay"], 0, on.at)
    assert 0.299 <= off.at - on.at <= 0.3 + LATE_S
    gym.fail()
    gym.unblock()
    assert gym.next_event()["result"] == "admitted"
    assert gym.terminate() == 0


def test_the_commands_switch_relays_off_without_the_daemon(gym):
    gym = gym(doors={"main": {}, "side": {"active_high": False}})
    done = gym.run("relay", "off")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["main: relay off", "side: relay off"]
    assert levels(gym.pins(MAIN["relay"]))[0] == 0
    assert levels(gym.pins(PINS["side"]["relay"]))[0] == 1
    assert gym.openings() == gym.openings("side") == []
    gym.fail("17")
    done = gym.run("relay", "off")
    assert done.returncode != 0
    assert "pin 17 cannot be driven" in done.stderr


def _lines(gym):
    return gym.settings.read_text("utf-8").splitlines()
