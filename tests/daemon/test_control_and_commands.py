"""The commands while the daemon runs: status, open, cards, route; and the socket they speak over."""

import json
import stat
import time

import contract
import pytest
from harness import GOOD, PINS, code


@pytest.fixture(scope="module")
def shared(shared_gym):
    return shared_gym({"wellhub": {}, "capitan": {}}, {"main": {"open_ms": 300}, "side": {}})


def test_only_owner_and_group_may_use_the_socket(shared):
    mode = shared.socket.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660


def test_status(shared):
    event = shared.ask("wellhub", GOOD["wellhub"])
    status = shared.status()
    assert status["pid"] == shared.pid
    assert list(status["doors"]) == ["main", "side"]
    assert {door["state"] for door in status["doors"].values()} == {"free"}
    (scanner,) = status["doors"]["main"]["scanners"]
    assert (scanner["scanner"], scanner["type"]) == (str(shared.scanners["main"].link), "serial")
    assert scanner["state"] == "ready"
    assert status["partners"]["wellhub"]["state"] == "healthy"
    assert status["journal"] == {"error": None, "late": 0, "lost": 0, "in_memory": False}
    assert status["last_event"] == event


def test_status_for_people(shared):
    shown = shared.run("status")
    assert shown.returncode == 0
    assert "partner wellhub: healthy" in shown.stdout
    assert "gate shut" in shown.stdout or "gate open" in shown.stdout


def test_opening_by_hand(shared):
    openings = len(shared.openings())
    before = time.monotonic()
    done = shared.run("open", "main", "--reason", "  Delivery of   towels ")
    assert (done.returncode, done.stderr) == (0, "")
    event = shared.next_event()
    assert event["id"] in done.stdout
    assert (event["kind"], event["result"]) == ("manual", "admitted")
    assert event["message"] == "Opened by hand: Delivery of towels"
    assert (event["door"], event["tenant"], event["studio"]) == ("main", "FitCo GmbH", "Berlin Mitte")
    nothing = (
        "scanner",
        "credential",
        "partner",
        "member",
        "verdict",
        "status",
        "fault",
        "reason",
        "request",
    )
    assert {event[name] for name in nothing} == {None}
    assert event["outage"] is False
    assert event["gate"]["open_ms"] == 300
    (on,) = shared.openings()[openings:]
    off = shared.until_pin(PINS["main"]["relay"], 0, on.at)
    assert off.at - before >= 0.3
    shared.logged("main: admitted: Opened by hand: Delivery of towels")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["open", "nowhere", "--reason", "x"], 1),
        (["open", "main"], 2),
        (["open", "main", "--reason", ""], 2),
        (["open", "main", "--reason", "two\nlines" + "x" * 200], 2),
        (["open", "--reason", "x"], 2),
        (["nonsense"], 2),
        (["route", "1234567890123", "--door", "nowhere"], 1),
    ],
)
def test_invalid_requests_are_refused(shared, arguments, status):
    openings = len(shared.openings()) + len(shared.openings("side"))
    done = shared.run(*arguments)
    assert done.returncode == status
    assert done.stdout == ""
    first, *hints = done.stderr.splitlines()
    assert first
    assert all(line.startswith("hint: ") for line in hints)
    assert len(shared.openings()) + len(shared.openings("side")) == openings


@pytest.mark.parametrize(
    "request_",
    [
        {},
        [],
        5,
        None,
        "status",
        {"command": "stop"},
        {"command": ["status"]},
        {"command": "open"},
        {"command": "open", "door": "main"},
        {"command": "open", "door": "main", "reason": " "},
        {"command": "open", "door": "main", "reason": 5},
        {"command": "open", "door": "main", "reason": "\ud800"},
        {"command": "open", "door": "main", "reason": "x" * 10_000},
        {"command": "open", "door": "main", "reason": "a\nb"},
        {"command": "open", "door": ["main"], "reason": "x"},
        {"command": "open", "door": {}, "reason": "x"},
        {"command": "open", "door": None, "reason": "x"},
    ],
    ids=lambda request: json.dumps(request)[:60],
)
def test_nonsense_over_the_socket_ends_no_daemon(shared, request_):
    assert "error" in shared.call(request_)
    assert shared.call({"command": "status"})["pid"] == shared.pid


@pytest.mark.parametrize("command", [["status"], ["open", "main", "--reason", "x"]])
def test_no_daemon(gym, command):
    done = gym().run(*command)
    assert done.returncode == 1
    assert done.stderr.startswith("gatectl is not running")
    assert "\nhint: " in done.stderr


def test_the_relay_fails_at_an_opening_by_hand(gym):
    gym = gym().start()
    gym.fail("17=1")
    done = gym.run("open", "main", "--reason", "Test")
    assert done.returncode == 1
    event = gym.next_event()
    assert (event["kind"], event["result"], event["fault"]) == ("manual", "rejected", "gate")
    assert event["gate"] is None
    assert event["id"] in done.stderr


def test_an_enrolled_card_counts_at_once(shared):
    shared.scan("042b73321a3180")
    assert shared.next_event()["fault"] == "unrecognised"
    assert shared.run("cards", "add", "042B73321A3180", "wellhub", GOOD["wellhub"]).returncode == 0
    shared.scan("042b73321a3180")
    event = shared.next_event()
    assert (event["credential"], event["member"]) == ("042b73321a3180", GOOD["wellhub"])
    assert event["result"] == "admitted"
    assert shared.run("cards", "remove", "042b73321a3180").returncode == 0
    shared.scan("042b73321a3180")
    assert shared.next_event()["fault"] == "unrecognised"


def test_an_enrolled_card_goes_before_the_routes(shared):
    shown = code("capitan", "GOOD-1")
    assert shared.run("cards", "add", shown, "wellhub", "1000000000001").returncode == 0
    shared.scan(shown)
    event = shared.next_event()
    assert (event["partner"], event["member"]) == ("wellhub", "1000000000001")
    assert shared.run("cards", "remove", shown).returncode == 0
    shared.scan(shown)
    assert shared.next_event()["partner"] == "capitan"


def test_one_members_data_is_erased_while_the_daemon_runs(gym):
    gym = gym({"wellhub": {}}).start()
    member, card = GOOD["wellhub"], "04:a3:b2:c1:d2"
    gym.scan(card)
    assert gym.next_event()["fault"] == "unrecognised"
    assert gym.run("cards", "add", "04A3B2C1D2", "wellhub", member).returncode == 0
    gym.scan(card)
    assert gym.next_event()["member"] == member
    other = gym.ask("wellhub", "1000000000404")
    done = gym.run("erase", "--member", member)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("erased: 2 events, 1 cards\n")
    for file in gym.journal.parent.glob(f"{gym.journal.name}*"):
        content = file.read_bytes()
        assert not any(text.encode() in content for text in (member, card, "04A3B2C1D2")), file
    gym.pass_over()
    gym.scan(card)
    assert gym.next_event()["fault"] == "unrecognised", "the daemon was notified"
    events = [json.loads(line) for line in gym.run("events", "--json").stdout.splitlines()]
    assert [event["kind"] for event in events] == ["scan", "scan", "scan", "erased", "scan"]
    assert [event["credential"] for event in events[:2]] == [None, None]
    assert events[2] == other
    assert gym.terminate() == 0


def test_a_card_whose_partner_is_gone(gym):
    gym = gym({"wellhub": {}, "capitan": {}})
    assert gym.run("cards", "add", "wellhub:1000000000200", "capitan", "GOOD-1").returncode == 0
    gym.change(partners={"wellhub": {}})
    gym.start()
    event = gym.ask("wellhub", GOOD["wellhub"])
    assert (event["result"], event["message"]) == ("rejected", contract.NOT_RECOGNISED)
    assert (event["verdict"], event["fault"], event["request"]) == (None, "unrecognised", None)
    assert (event["partner"], event["member"]) == ("capitan", "GOOD-1")
    gym.logged("main: the card wellhub:1000000000200 is enrolled for the partner capitan")
    assert gym.partners.requests == []
    assert gym.openings() == []


def test_route(shared):
    asked = len(shared.partners.requests)
    done = shared.run("route", code("wellhub", GOOD["wellhub"]), "--json")
    assert done.returncode == 0
    way = json.loads(done.stdout)
    assert (way["partner"], way["member"], way["recognised"]) == ("wellhub", GOOD["wellhub"], True)
    pasted = json.loads(
        shared.run("route", f"\ufeff {code('wellhub', GOOD['wellhub'])}\u00a0", "--json").stdout
    )
    assert pasted == way
    nowhere = json.loads(shared.run("route", "nobody's", "--json").stdout)
    assert (nowhere["partner"], nowhere["recognised"]) == (None, False)
    assert "wellhub" in shared.run("route", code("wellhub", GOOD["wellhub"]), "--door", "side").stdout
    assert len(shared.partners.requests) == asked


def test_events_follows_and_filters(shared):
    good = shared.ask("wellhub", GOOD["wellhub"])
    declined = shared.ask("capitan", "ALERTS", "side")
    shared.stop_following()
    assert shared.events("-n", "2") == [good, declined]
    assert shared.events("-n", "1", "--door", "main") == [good]
    assert shared.events("-n", "1", "--partner", "capitan") == [declined]
    assert shared.events("--member", "ALERTS") == [declined]
    assert shared.events("--since", declined["at"]) == [declined]
    assert {event["result"] for event in shared.events("--result", "rejected")} == {"rejected"}


def test_check(shared):
    asked = len(shared.partners.requests)
    done = shared.run("check", "--connect")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("ok: ") == 2
    assert len(shared.partners.requests) == asked


def test_check_reports_an_unreachable_partner_as_an_error(gym):
    done = gym({"wellhub": {"url": "https://127.0.0.1:1"}}).run("check", "--connect")
    assert done.returncode == 1
    failed, hint = done.stderr.splitlines()
    assert failed.startswith("partner wellhub at 127.0.0.1:1: network: ")
    assert hint.startswith("hint: ")
    assert "wellhub" not in done.stdout


def test_check_knows_the_pin_factories_by_name(gym):
    gym = gym()
    text = gym.settings.read_text("utf-8")
    gym.settings.write_text(text.replace("pin_factory = ", 'pin_factory = "nosuch" # '), "utf-8")
    line = (
        gym.settings.read_text("utf-8")
        .splitlines()
        .index(next(line for line in gym.settings.read_text("utf-8").splitlines() if "nosuch" in line))
    )
    done = gym.run("check")
    assert done.returncode == 78
    first, hint = done.stderr.splitlines()
    assert first == f"{gym.settings}:{line + 1}: gpio.pin_factory: there is no pin factory 'nosuch'"
    assert "mock" in hint


def test_a_file_in_the_control_sockets_place_is_not_removed(gym):
    gym = gym()
    gym.socket.write_text("precious", "utf-8")
    done = gym.run("run")
    assert done.returncode == 1
    assert "the control socket cannot be made" in done.stderr
    assert gym.socket.read_text("utf-8") == "precious"


def test_a_reason_is_kept_without_any_partners_key(shared):
    key = shared.partners.simulator.partners["wellhub"].key
    done = shared.run("open", "main", "--reason", f"the key is {key}")
    assert done.returncode == 0
    assert shared.next_event()["message"] == "Opened by hand: the key is [masked]"
