"""The pins, seen from outside: the pulse, the lamps, and pins that fail."""

import re
import time

import contract
import pytest
from harness import BRIEF_MS, GOOD, HANG, PINS, code, level_changes
from viewing import Viewer

MAIN = PINS["main"]
DECLINED, UNKNOWN = "1000000000453", "1000000000404"


def levels(changes):
    return [change.level for change in level_changes(changes)]


def lit(gym, lamp, after):
    return levels(change for change in gym.pins(MAIN[lamp]) if change.at >= after)


def test_the_pulse_has_its_length(gym):
    gym = gym(doors={"main": {"open_ms": 400}}).start()
    mark = time.monotonic()
    event = gym.ask("wellhub", GOOD["wellhub"])
    on = gym.until_pin(MAIN["relay"], 1, mark)
    off = gym.until_pin(MAIN["relay"], 0, on.at)
    assert event["gate"]["open_ms"] == 400
    assert off.at - mark >= 0.4
    assert event["gate"]["after_ms"] / 1000 <= time.monotonic() - mark
    assert gym.terminate() == 0
    assert levels(gym.pins(MAIN["relay"])) == [0, 1, 0, None]


def test_an_admission_while_open_extends_it_to_a_full_open_ms(gym):
    gym = gym(doors={"main": {"open_ms": 5000}}).start()
    gym.ask("wellhub", GOOD["wellhub"])
    again_at = time.monotonic()
    gym.ask("wellhub", "1000000000001")
    _, second = gym.openings()
    off = gym.until_pin(MAIN["relay"], 0, second.at)
    assert off.at - again_at >= 5.0
    assert levels(gym.pins(MAIN["relay"])) == [0, 1, 0]


def test_a_refusal_while_open_neither_extends_nor_ends_it(gym):
    gym = gym(doors={"main": {"open_ms": 500}}).start()
    mark = time.monotonic()
    gym.ask("wellhub", GOOD["wellhub"])
    gym.ask("wellhub", DECLINED)
    (on,) = gym.openings()
    off = gym.until_pin(MAIN["relay"], 0, on.at)
    assert off.at - mark >= 0.5


def test_a_relay_that_is_on_at_low(gym):
    gym = gym(doors={"main": {"active_high": False}}).start()
    first = gym.pins(MAIN["relay"])[0]
    assert first.level == 1
    mark = time.monotonic()
    gym.ask("wellhub", GOOD["wellhub"])
    on = gym.until_pin(MAIN["relay"], 0)
    off = gym.until_pin(MAIN["relay"], 1, on.at)
    assert off.at - mark >= 0.1
    assert gym.terminate() == 0
    assert levels(gym.pins(MAIN["relay"])) == [1, 0, 1, None]


@pytest.mark.parametrize(
    ("member", "beeps", "green", "red", "lasts_s"),
    [
        (GOOD["wellhub"], 1, [0, 1, 0], [0], 0.3),
        (DECLINED, 2, [0], [0, 1, 0], 2.0),
        (UNKNOWN, 2, [0], [0, 1, 0], 2.0),
        ("no ID of theirs", 2, [0], [0, 1, 0], 2.0),
        (HANG["wellhub"], 3, [0], [0, 1, 0, 1, 0, 1, 0, 1, 0], BRIEF_MS / 1000 + 1.75),
        ("1000000000403", 3, [0], [0, 1, 0, 1, 0, 1, 0, 1, 0], 1.75),
    ],
    ids=["admitted", "declined", "not found", "unrecognised", "no answer", "our key"],
)
def test_lamps_and_buzzer(shared, member, beeps, green, red, lasts_s):
    mark = time.monotonic()
    event = shared.ask("wellhub", member)
    lamp, expected = ("green", green) if event["result"] == "admitted" else ("red", red)
    last = shared.until_levels(MAIN[lamp], expected, mark)  # the last that is shown is its end
    assert last.at - mark >= lasts_s
    assert lit(shared, "green", mark) == green
    assert lit(shared, "red", mark) == red
    assert lit(shared, "buzzer", mark) == [0, *[1, 0] * beeps]


CARD = b"\x020500207B326C\x03"
SPOILT_CARD = b"\x020500207B326D\x03"


def test_a_complete_reading_that_cannot_be_read_shows_to_try_again_without_an_event(gym):
    gym = gym(doors={"main": {}, "side": {"scanner": {"framing": "rdm6300"}}}).start()
    with Viewer(gym) as viewer:
        viewer.next(), viewer.next()
        gym.scanners["main"].send(b"M\xfcller\r")
        shown = viewer.next()
        assert (shown["door"], shown["screen"]) == ("main", "try_again")
    gym.until_levels(MAIN["red"], [0, 1, 0, 1, 0, 1, 0, 1, 0])
    assert lit(gym, "buzzer", 0) == [0, 1, 0, 1, 0, 1, 0]
    gym.scanners["side"].send(SPOILT_CARD)
    gym.until_pin(PINS["side"]["red"], 1)
    # The next event is that of a code: these had none.
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    assert len(gym.partners.requests) == 1


def test_noise_and_half_codes_show_nothing(gym):
    gym = gym(doors={"main": {"scanner": {"framing": "rdm6300"}}}).start()
    scanner = gym.scanners["main"]
    mark = time.monotonic()
    scanner.send(b"noise" + CARD[:9] + CARD)
    assert gym.next_event()["credential"] == "0500207B32"
    flaws = gym.status()["doors"]["main"]["scanners"][0]["dropped"]
    assert flaws == {"noise": 1, "damaged_frame": 1}
    assert lit(gym, "red", 0)[:2] == [0, 1]
    assert lit(gym, "buzzer", 0)[:1] == [0]
    # Red for the card that no route takes, and nothing else.
    assert gym.until_levels(MAIN["red"], [0, 1, 0]).at - mark >= 2.0


def test_an_unreadable_reading_does_not_end_what_is_shown(gym):
    gym = gym(doors={"main": {"open_ms": 1500}}).start()
    mark = time.monotonic()
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    on = gym.until_pin(MAIN["green"], 1)
    gym.scanners["main"].send(b"M\xfcller\r" * 20)
    off = gym.until_pin(MAIN["green"], 0, on.at)
    assert off.at - mark >= 1.5
    assert [change for change in gym.pins(MAIN["red"]) if change.level == 1 and change.at < off.at] == []


@pytest.fixture(scope="module")
def shared(shared_gym):
    return shared_gym({"wellhub": {"budget_ms": BRIEF_MS}}, {"main": {"open_ms": 300}})


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


def test_every_relay_that_cannot_be_claimed_is_reported_if_none_can(gym):
    gym = gym(doors={"main": {}, "side": {}})
    gym.fail("17", "5")
    gym.spawn()
    assert gym.wait() == 78
    problems = [line for line in gym.stderr if not line.startswith("hint: ")]
    assert [re.search(r"doors\.(\w+)\.relay\.pin: pin", line)[1] for line in problems] == ["main", "side"]


@pytest.fixture
def half(gym):
    """Two doors, of which the first has no relay."""
    gym = gym({"wellhub": {}}, {"main": {}, "side": {}})
    gym.fail("17")
    return gym.start()


def test_a_door_without_its_relay_asks_no_partner_and_the_other_door_works(half):
    half.logged("main: the relay's pin 17 cannot be driven (GPIO17 does not answer)")
    assert half.ask("wellhub", GOOD["wellhub"], "side")["result"] == "admitted"
    asked = len(half.partners.requests)
    event = half.ask("wellhub", GOOD["wellhub"], "main")
    assert (event["result"], event["fault"]) == ("rejected", "gate")
    assert event["message"] == contract.OUT_OF_ORDER
    assert (event["verdict"], event["status"], event["request"], event["gate"]) == (None, None, None, None)
    assert (event["partner"], event["member"]) == ("wellhub", GOOD["wellhub"])
    assert event["detail"] == "the relay's pin 17 cannot be driven (GPIO17 does not answer)"
    assert half.ask("wellhub", "no ID of theirs", "main")["message"] == contract.OUT_OF_ORDER
    assert len(half.partners.requests) == asked
    half.until_pin(MAIN["red"], 1)
    assert half.count_logged("main: the relay's pin 17 cannot be driven") == 1
    assert half.openings() == []


def test_a_door_without_its_relay_says_so_on_its_display(half):
    with Viewer(half) as viewer:
        viewer.next(), viewer.next()
        half.ask("wellhub", GOOD["wellhub"], "main")
        assert viewer.next()["screen"] == "gate_out_of_order"


def test_a_door_without_its_relay_is_shown_in_status(half):
    gate = half.status()["doors"]["main"]["gate"]
    assert gate["state"] == "out of order"
    assert gate["cause"] == "the relay's pin 17 cannot be driven (GPIO17 does not answer)"
    assert contract.moment(gate["since"]) <= time.time()
    assert half.status()["doors"]["side"]["gate"]["state"] == "ready"
    shown = half.run("status").stdout
    assert "All is well" not in shown
    assert "door main: gate out of order, since" in shown
    checked = half.run("check", "--devices")
    assert checked.returncode == 1
    assert "relay of main: out of order since" in checked.stderr
    assert "relay of side: the running gatectl has it" in checked.stdout


def test_a_door_takes_up_its_relay_when_it_can_be_driven(half):
    half.fail()
    half.logged("main: the gate is in order again")
    assert half.ask("wellhub", GOOD["wellhub"], "main")["result"] == "admitted"
    assert half.status()["doors"]["main"]["gate"]["state"] == "ready"
    assert len(half.openings()) == 1
    assert half.terminate() == 0


def test_opening_by_hand_at_a_door_without_its_relay(half):
    done = half.run("open", "main", "--reason", "Delivery")
    assert (done.returncode, done.stdout) == (1, "")
    event = half.next_event()
    assert (event["kind"], event["result"], event["fault"]) == ("manual", "rejected", "gate")
    assert (event["message"], event["basis"]) == (contract.OUT_OF_ORDER, None)
    assert event["reason"] == {"key": None, "text": "Opened by hand: Delivery"}
    first, hint = done.stderr.splitlines()
    assert "pin 17 cannot be driven" in first
    assert event["id"] in hint


def test_opening_by_hand_tries_the_relay_at_once(half):
    # The pauses between the daemon's own tries have grown by now; a person does not wait for the next.
    half.fail()
    assert half.run("open", "main", "--reason", "Delivery").returncode == 0
    assert half.next_event()["result"] == "admitted"
    assert half.terminate() == 0


@pytest.mark.parametrize("signal", ["green", "red", "buzzer"])
def test_a_door_works_without_a_signal_that_cannot_be_claimed(gym, signal):
    gym = gym()
    gym.fail(str(MAIN[signal]))
    gym.start()
    gym.logged(f"main: the signal {signal} cannot be driven (GPIO{MAIN[signal]} does not answer)")
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    assert gym.ask("wellhub", DECLINED)["fault"] is None
    status = gym.status()["doors"]["main"]["signals"]
    assert [name for name, pin in status.items() if pin["state"] == "out of order"] == [signal]
    shown = gym.run("status").stdout
    assert "1 thing is not well" in shown
    assert f"signal {signal} of main" in shown
    gym.fail()
    gym.logged(f"main: the signal {signal} can be driven again")
    assert gym.terminate() == 0


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
    assert event["detail"] == "the relay cannot be energised (GPIO17 does not answer)"
    gym.logged("the relay cannot be energised", "GPIO17 does not answer")
    second = gym.ask("wellhub", "1000000000001")
    assert (second["message"], second["request"]) == (contract.OUT_OF_ORDER, None)
    assert len(gym.partners.requests) == 1
    gym.fail()
    while gym.call({"command": "status"})["doors"]["main"]["gate"]["cause"]:
        pass
    event = gym.ask("wellhub", GOOD["wellhub"])
    assert event["result"] == "admitted"
    gym.logged("main: the gate is in order again")
    assert len(gym.openings()) == 1
    assert gym.terminate() == 0


def test_a_lamp_that_fails_later_stops_no_member(gym):
    gym = gym().start()
    gym.fail("22=1", "24=0")
    events = [gym.ask("wellhub", GOOD["wellhub"]) for _ in range(3)]
    assert {event["result"] for event in events} == {"admitted"}
    gym.logged("the signal green cannot be driven")
    gym.logged("the signal buzzer cannot be driven")
    gym.fail()
    assert gym.terminate() == 0
    assert gym.count_logged("cannot be driven") == 2


def test_a_relay_that_does_not_go_off_is_reported_and_retried(gym):
    gym = gym().start()
    gym.fail("17=0")
    gym.ask("wellhub", GOOD["wellhub"])
    on = gym.until_pin(MAIN["relay"], 1)
    gym.logged("main: THE RELAY DOES NOT GO OFF")
    gym.fail()
    gym.until_pin(MAIN["relay"], 0, on.at)
    gym.logged("main: the gate is in order again")
    assert gym.count_logged("DOES NOT GO OFF") == 1
    assert gym.terminate() == 0


def test_a_relay_that_does_not_go_off_is_its_own_doors_fault(gym):
    gym = gym({"wellhub": {}}, {"main": {}, "side": {}}).start(WATCHDOG_USEC="600000")
    gym.fail("17=0", "17")
    gym.ask("wellhub", GOOD["wellhub"])
    gym.logged("main: THE RELAY DOES NOT GO OFF")
    event = gym.ask("wellhub", "1000000000001")
    assert (event["message"], event["request"]) == (contract.OUT_OF_ORDER, None)
    side = gym.ask("wellhub", "1000000000001", "side")
    assert side["result"] == "admitted"
    on = gym.until_pin(PINS["side"]["relay"], 1)
    gym.until_pin(PINS["side"]["relay"], 0, on.at)
    gym.entries(0)
    gym.wait_for_notice("WATCHDOG=1")
    gym.wait_for_notice("WATCHDOG=1")
    gym.fail()
    gym.logged("main: the gate is in order again")
    assert gym.terminate() == 0


def test_the_relay_goes_off_on_time_though_the_event_loop_is_blocked(gym):
    gym = gym(doors={"main": {"open_ms": 300}}).start()
    gym.fail("22=1:block")  # the green lamp's driver does not come back
    mark = time.monotonic()
    gym.scan(code("wellhub", GOOD["wellhub"]))
    on = gym.until_pin(MAIN["relay"], 1)
    gym.until_pin(MAIN["green"], 1)
    off = gym.until_pin(MAIN["relay"], 0, on.at)
    assert off.at - mark >= 0.3
    gym.unblock()
    gym.fail()
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
    before = len(gym.pins(PINS["side"]["relay"]))
    gym.fail("17")
    done = gym.run("relay", "off")
    assert (done.returncode, done.stdout) == (1, "side: relay off\n")
    failed, hint = done.stderr.splitlines()
    assert failed == "main: the relay is not off: pin 17 cannot be driven: GPIO17 does not answer"
    assert hint.startswith("hint: ")
    assert levels(gym.pins(PINS["side"]["relay"])[before:])[0] == 1
    checked = gym.run("check", "--devices")
    assert checked.returncode == 1
    assert "pin 17 cannot be driven" in checked.stderr
    assert "relay of side: driven off" in checked.stdout


def _lines(gym):
    return gym.settings.read_text("utf-8").splitlines()


def test_a_pin_factory_that_does_not_start(gym):
    gym = gym()
    text = gym.settings.read_text("utf-8")
    gym.settings.write_text(text.replace('"recording"', '"pigpio"'), "utf-8")  # whose driver is not installed
    for command in (["relay", "off"], ["check", "--devices"]):
        done = gym.run(*command)
        assert done.returncode == 1
        failed, hint = done.stderr.splitlines()[:2]
        assert "the pin factory 'pigpio' does not start" in failed
        assert hint.startswith("hint: are this pin factory's driver")
    done = gym.run("run")
    assert done.returncode == 78
    assert "gpio.pin_factory: the pin factory 'pigpio' does not start" in done.stderr
