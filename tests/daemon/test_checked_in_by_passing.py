"""`check_in = "passage"`: asked, let in, passed, and only then checked in, through a daemon and a partner."""

import asyncio
import json
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import contract
from harness import AMPLE_MS, BRIEF_MS, GOOD, PINS

from gatectl.daemon import serve
from gatectl.decision.timestamps import FOREVER

RELAY, SENSOR, CONTACT = PINS["main"]["relay"], 27, 5
PASSAGE = {"pin": SENSOR, "debounce_ms": 0, "wait_ms": 60_000}
PARTNERS = {"device-api": {"check_in": "passage"}}
MEMBER, REFUSED, HANGS = GOOD["device-api"], "1233588720", "1233588721"


def started(gym, journal=None, budget_ms=AMPLE_MS, **door):
    doors = {"main": {"passage": PASSAGE, "open_ms": 60_000} | door}
    partners = {"device-api": PARTNERS["device-api"] | {"budget_ms": budget_ms}}
    return gym(partners, doors, journal=journal).start()


def checks_in(gym):
    """Of every request, whether it checks in; each is well-formed."""
    bodies = [json.loads(request.body) for request in gym.partners.requests]
    assert all(body.keys() == {"identification", "shouldExecuteAction"} for body in bodies)
    return [body["shouldExecuteAction"] for body in bodies]


def admitted(gym, member=MEMBER):
    scan = gym.ask("device-api", member)
    assert (scan["result"], scan["message"]) == ("admitted", contract.CHECKED_IN)
    return scan


def test_the_gate_opens_and_the_check_in_follows_the_passage(gym):
    gym = started(gym)
    scan = admitted(gym)
    assert checks_in(gym) == [False]
    gym.drive(SENSOR, 0)
    passed, done = gym.next_events(2)
    assert (passed["kind"], passed["of"]) == ("passage", scan["id"])
    assert (done["kind"], done["result"], done["message"]) == ("check_in", "done", "Checked in after passing")
    assert (done["of"], done["member"], done["verdict"], done["status"]) == (
        scan["id"],
        MEMBER,
        "allowed",
        200,
    )
    assert done["request"]["sent"]
    assert done["request"]["budget_ms"] == AMPLE_MS
    assert checks_in(gym) == [False, True]
    first, second = gym.partners.requests
    assert first.body.replace(b"false", b"true") == second.body
    gym.logged("main: passed device-api:1233588200: Passed")
    gym.logged("main: done device-api:1233588200 (device-api 200, ", "Checked in after passing")
    assert gym.events("--kind", "check_in") == [done]
    assert "Checked in after passing" in gym.run("events").stdout


def test_who_does_not_pass_is_not_checked_in_and_may_scan_again(gym):
    gym = started(gym, open_ms=100, passage=PASSAGE | {"wait_ms": 200})
    first = admitted(gym)
    assert gym.next_event()["result"] == "not_passed"
    second = admitted(gym)
    assert (second["basis"], second["of"]) == ("partner", None)
    assert gym.next_event()["result"] == "not_passed"
    gym.kill9()
    gym.start()
    assert admitted(gym)["basis"] == "partner"
    assert checks_in(gym) == [False, False, False]
    assert first["id"] != second["id"]


def test_a_refused_check_in_has_failed(gym):
    gym = started(gym)
    scan = admitted(gym, REFUSED)
    gym.drive(SENSOR, 0)
    _, failed = gym.next_events(2)
    assert (failed["result"], failed["message"]) == ("failed", "Passed, but not checked in")
    assert (failed["of"], failed["verdict"], failed["status"], failed["fault"]) == (
        scan["id"],
        "not_allowed",
        403,
        None,
    )
    assert failed["reason"]["text"] == "Tageskontingent verbraucht."
    assert checks_in(gym) == [False, True]


def test_an_unanswered_check_in_has_failed_and_is_not_repeated(gym):
    gym = started(gym, budget_ms=BRIEF_MS)
    scan = admitted(gym, HANGS)
    gym.drive(SENSOR, 0)
    _, failed = gym.next_events(2)
    assert (failed["result"], failed["of"], failed["fault"], failed["verdict"]) == (
        "failed",
        scan["id"],
        "timeout",
        "none",
    )
    assert failed["request"]["sent"]
    gym.logged("main: failed device-api:1233588721 (device-api timeout, ", "Passed, but not checked in")
    assert admitted(gym)["result"] == "admitted"
    assert checks_in(gym) == [False, True, False]


def test_a_kill_between_passage_and_answer_leaves_a_failed_check_in(gym):
    gym = started(gym)
    scan = admitted(gym, HANGS)
    gym.drive(SENSOR, 0)
    assert gym.next_event()["result"] == "passed"
    gym.partners.until(lambda: len(gym.partners.requests) == 2 and gym.partners.requests[1].whole)
    gym.kill9()
    gym.start()
    failed = gym.next_event()
    assert (failed["kind"], failed["result"], failed["message"], failed["of"]) == (
        "check_in",
        "failed",
        "Passed, but not checked in",
        scan["id"],
    )
    assert (failed["fault"], failed["verdict"]) == ("interrupted", "none")
    assert failed["request"]["sent"] is None
    assert failed["request"]["budget_ms"] == AMPLE_MS
    gym.logged("main: failed device-api:1233588721 (device-api interrupted): Passed, but not checked in")
    assert admitted(gym)["result"] == "admitted"
    assert checks_in(gym) == [False, True, False]  # it is not repeated


def test_nothing_is_sent_that_is_not_on_disk_and_a_kill_then_leaves_no_trace(gym):
    gym = started(gym, journal={"patience_ms": 5000})
    admitted(gym)
    with closing(sqlite3.connect(gym.journal, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        passed_at = gym.drive(SENSOR, 0)
        gym.until_pin(RELAY, 0, passed_at)  # the daemon has seen it
        gym.kill9()
    gym.start()
    assert admitted(gym, REFUSED)["result"] == "admitted"
    assert checks_in(gym) == [False, False]
    assert {event["kind"] for event in gym.events()} == {"scan"}


def test_the_contact_answers_where_there_is_no_sensor(gym):
    gym = gym(PARTNERS, {"main": {"contact": {"pin": CONTACT, "active": "high", "debounce_ms": 300}}}).start()
    admitted(gym)
    gym.drive(CONTACT, 1)
    assert [event["result"] for event in gym.next_events(2)] == ["passed", "done"]


def test_a_stop_waits_for_the_check_in(gym):
    gym = started(gym, budget_ms=BRIEF_MS)
    admitted(gym, HANGS)
    gym.drive(SENSOR, 0)
    gym.partners.until(lambda: len(gym.partners.requests) == 2 and gym.partners.requests[1].whole)
    assert gym.terminate() == 0
    assert gym.events()[-1]["fault"] == "timeout"


class PassingDoor:
    """A door at which somebody passes while the daemon waits for the members in the gate."""

    def __init__(self):
        self.drained = 0

    async def drain(self):
        self.drained += 1


def test_a_stop_waits_for_the_check_in_of_who_passes_meanwhile(monkeypatch):
    monkeypatch.setattr(serve, "PASSAGE_S", 0.001)
    door = PassingDoor()

    async def let_through():
        gate = SimpleNamespace(relay=SimpleNamespace(off_at=FOREVER))
        stopping = SimpleNamespace(_gates={"main": gate}, _second_signal=asyncio.Event())
        await serve._Daemon._let_through(stopping, [door])

    asyncio.run(let_through())
    assert door.drained == 2  # before that wait, and after it


def test_the_next_member_waits_for_no_check_in(gym):
    gym = started(gym, budget_ms=3 * BRIEF_MS)
    admitted(gym, HANGS)
    gym.drive(SENSOR, 0)
    assert gym.next_event()["kind"] == "passage"
    gym.drive(SENSOR, 1)
    assert admitted(gym)["result"] == "admitted"
    gym.drive(SENSOR, 0)
    assert [event["result"] for event in gym.next_events(2)] == ["passed", "done"]
    assert gym.next_event()["fault"] == "timeout"
