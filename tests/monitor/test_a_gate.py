"""A gate with inputs on the pages: its alarms on top until they end, and passages under their scans."""

import json

import patient_http
import pytest
from harness import Gym
from monitors import monitor
from playwright.sync_api import expect

CONTACT, FIRE, SENSOR = 5, 16, 27
CLOSED_ALWAYS = {day: ["00:00-24:00"] for day in ("mon-fri", "sat", "sun")}
MEMBER = "1000000000200"


def gate(tmp_path, **door):
    return Gym(tmp_path, doors={"main": door}, schedules={"night": CLOSED_ALWAYS})


@pytest.fixture
def contact_gym(tmp_path):
    settings = {"pin": CONTACT, "active": "high", "debounce_ms": 20, "held_s": 0}
    with gate(tmp_path, contact=settings, fire={"pin": FIRE, "active": "high", "debounce_ms": 20}) as gym:
        yield gym.start()


def alarms(page):
    return page.locator("#health .alarm")


def test_alarms_are_on_top_until_they_end_also_after_a_restart_of_the_monitor(contact_gym, look):
    contact_gym.drive(CONTACT, 1)
    assert contact_gym.next_event()["result"] == "forced"
    with monitor(contact_gym.settings) as address:
        page = look(address, quiet=True)
        expect(alarms(page)).to_contain_text(["main: Door forced open, since"])
        page.reload()
        expect(alarms(page)).to_contain_text(["main: Door forced open, since"])
    with monitor(contact_gym.settings) as address:
        page = look(address, language="de-DE", quiet=True)
        expect(alarms(page)).to_contain_text(["main: Tür aufgebrochen, seit"])
        contact_gym.drive(FIRE, 1)
        expect(alarms(page)).to_contain_text(["Brandalarm", "Tür aufgebrochen"])
        contact_gym.drive(FIRE, 0)
        contact_gym.drive(CONTACT, 0)
        expect(alarms(page)).to_have_count(0)


def test_a_lost_input_is_an_alarm_too(contact_gym, look):
    contact_gym.fail(f"{CONTACT}:unread")
    assert contact_gym.next_event()["result"] == "lost"
    with monitor(contact_gym.settings) as address:
        page = look(address)
        expect(alarms(page)).to_contain_text(["main: door contact is lost"])
        contact_gym.fail()
        expect(alarms(page)).to_have_count(0)


@pytest.fixture
def turnstile(tmp_path):
    passage = {"pin": SENSOR, "active": "low", "debounce_ms": 10, "wait_ms": 60_000}
    with gate(tmp_path, passage=passage, open_ms=60_000) as gym:
        yield gym.start()


def test_a_passage_comes_under_its_scan_and_stays_there_after_a_reload(turnstile, look):
    first = turnstile.ask("wellhub", MEMBER)
    other = turnstile.ask("wellhub", "1000000000404")
    with monitor(turnstile.settings) as address:
        page = look(address)
        expect(page.locator("#live")).to_have_class("on")
        turnstile.drive(SENSOR, 0)
        passed = turnstile.next_event()
        expect(page.locator(f"#e{passed['id']}")).to_be_visible()
        order = [f"e{event['id']}" for event in (other, first, passed)]
        for _ in range(2):
            rows = page.locator("#events tr:not(.day)")
            assert rows.evaluate_all("rows => rows.map(row => row.id)") == order
            assert "part" in rows.last.get_attribute("class").split()
            page.reload()


def screens(address, count, then=lambda: None):
    """The titles of the next screens of the display; `then` happens once it is connected."""
    with patient_http.stream("GET", f"{address}/live/display", params={"door": "main"}) as stream:
        data = (line.removeprefix("data: ") for line in stream.iter_lines() if line.startswith("data: {"))
        shown = [json.loads(next(data))["title"]]
        then()
        while len(shown) < count:
            shown.append(json.loads(next(data))["title"])
        return shown


def test_the_display_says_that_a_door_is_closed(tmp_path):
    with gate(tmp_path, closed="night") as gym, monitor(gym.start().settings) as address:
        assert screens(address, 2, lambda: gym.scan(f"wellhub:{MEMBER}"))[-1] == "Closed"


def test_the_display_asks_who_did_not_pass_to_try_again(tmp_path):
    passage = {"pin": SENSOR, "active": "low", "debounce_ms": 10, "wait_ms": 600}
    with gate(tmp_path, passage=passage, open_ms=500) as gym, monitor(gym.start().settings) as address:
        shown = screens(address, 4, lambda: gym.scan(f"wellhub:{MEMBER}"))
    assert shown[1:] == ["One moment …", "Welcome!", "Please try again: you did not pass"]
