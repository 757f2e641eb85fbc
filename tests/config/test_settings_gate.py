"""Every number of a gate's settings: its range, its default, and a value outside that is refused."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gatectl.cli.door_commands import seconds_of
from gatectl.config.problems import SettingsError
from gatectl.config.reader import load
from gatectl.daemon.gates import rules_of
from gatectl.decision.door.contact import ContactRules
from gatectl.decision.door.exits import ExitRules
from gatectl.decision.door.passages import PassageRules

SETTINGS = """
[schedules.staffed]
mon = ["00:00-24:00"]

[doors.main]
{door}
relay = {{ pin = 17, {relay} }}
passage = {{ pin = 27, {passage} }}
contact = {{ pin = 5, {contact} }}
fire = {{ pin = 6, {fire} }}
signals = {{ buzzer = 24 }}
scanners = [{{ type = "serial", port = "/dev/serial/by-id/usb-X" }}]

[doors.main.exit]
button = {{ pin = 26, {button} }}
passage = {{ pin = 12, {exit_passage} }}
{exit}
"""
TABLES = ("door", "relay", "passage", "contact", "fire", "button", "exit_passage", "exit")
ROOT = Path(__file__).parents[2]


def written(tmp_path, **more):
    path = tmp_path / "gatectl.toml"
    path.write_text(SETTINGS.format(**dict.fromkeys(TABLES, "") | more))
    return path


@pytest.mark.parametrize(
    ("table", "key", "low", "high"),
    [
        ("relay", "open_ms", 100, 60_000),
        ("relay", "pulse_ms", 100, 1000),
        ("passage", "debounce_ms", 0, 1000),
        ("passage", "wait_ms", 3000, 60_000),
        ("contact", "debounce_ms", 0, 1000),
        ("contact", "held_s", 0, 3600),
        ("contact", "warn_s", 0, 30),
        ("fire", "debounce_ms", 0, 1000),
        ("button", "debounce_ms", 0, 1000),
        ("exit_passage", "debounce_ms", 0, 1000),
        ("exit", "open_ms", 100, 60_000),
        ("door", "again_s", 0, 3600),
        ("door", "return_min", 0, 1440),
    ],
)
def test_the_ends_of_a_range_are_taken_and_what_is_outside_is_refused(tmp_path, table, key, low, high):
    for value in (low, high):
        load(written(tmp_path, **{table: f"{key} = {value}"}))
    for value in (low - 1, high + 1, f"{low}.5", f'"{low}"', "true"):
        with pytest.raises(SettingsError) as refused:
            load(written(tmp_path, **{table: f"{key} = {value}"}))
        assert all(problem.key.endswith(f".{key}") for problem in refused.value.problems)


@pytest.mark.parametrize(
    ("table", "setting"),
    [
        ("relay", 'control = "toggle"'),
        ("passage", 'release = "middle"'),
        ("passage", 'active = "up"'),
        ("contact", 'relock = "never"'),
        ("exit", 'unlock = "no"'),
        ("door", "first_in = 1"),
    ],
)
def test_a_word_that_is_none_of_its_own_is_refused(tmp_path, table, setting):
    with pytest.raises(SettingsError) as refused:
        load(written(tmp_path, **{table: setting}))
    assert refused.value.problems[0].key.endswith(f".{setting.split()[0]}")


def test_what_is_left_out_has_its_default(tmp_path):
    settings = load(written(tmp_path))
    door = settings.doors["main"]
    assert (door.again_s, door.return_min, door.first_in, door.hold_open, door.closed) == (
        *(120, 0, False),
        *(None, None),
    )
    relay = door.relay
    assert (relay.open_ms, relay.control, relay.pulse_ms, relay.continuous) == (3000, "hold", 200, False)
    inputs = [door.passage, door.contact, door.fire, door.exit.button, door.exit.passage]
    assert [(one.active, one.debounce_ms) for one in inputs] == [("low", 50)] * 5
    assert (door.contact.held_s, door.contact.warn_s, door.contact.relock) == (30, 0, "open_ms")
    assert (door.exit.unlock, door.exit.open_ms, door.exit.relay) == (True, 5000, None)
    assert door.passage.release == "start"
    rules = rules_of(settings, door)
    assert rules.passage.wait_s == (3000 + 1000) / 1000


def rules(tmp_path, **more):
    settings = load(written(tmp_path, **more))
    return rules_of(settings, settings.doors["main"])


def test_each_setting_of_a_gate_gets_to_its_door(tmp_path):
    found = rules(
        tmp_path,
        door="return_min = 2\nagain_s = 60\nrepeat_ms = 500\nfirst_in = true\n"
        'hold_open = "staffed"\nclosed = "staffed"',
        relay="open_ms = 2000, continuous = true",
        passage='wait_ms = 2500, release = "end", debounce_ms = 30',
        contact='held_s = 20, warn_s = 5, relock = "on_close"',
        exit="open_ms = 700\nunlock = false\nrelay = { pin = 16 }",
    )
    assert (found.repeat_s, found.return_s, found.has_fire, found.may_hold) == (0.5, 120, True, True)
    assert found.contact == ContactRules(20, 5, "on_close")
    assert found.exits == ExitRules(700, unlock=False, repeat_s=0.5, has_own_relay=True, counts=True)
    assert found.passage == PassageRules(2.5, 60, release="end", debounce_s=0.03)
    assert (found.modes.hold_open.name, found.modes.closed.name) == ("staffed", "staffed")
    assert found.modes.first_in


def test_a_contact_in_place_of_a_sensor_counts_a_second_longer_than_the_relay_and_its_debouncing(tmp_path):
    path = written(tmp_path, contact="debounce_ms = 40", door="again_s = 60")
    lines = [line for line in path.read_text().splitlines() if line != "passage = { pin = 27,  }"]
    path.write_text("\n".join(['[site]\ntimezone = "Asia/Kolkata"', *lines]))
    settings = load(path)
    found = rules_of(settings, settings.doors["main"])
    assert found.passage == PassageRules(4.0, 60, has_sensor=False, release="no", debounce_s=0.04)
    assert found.modes.zone == ZoneInfo("Asia/Kolkata")


def test_a_gate_in_pulse_control_is_held_by_nobody_and_has_its_whole_pulse(tmp_path):
    found = rules(tmp_path, relay='control = "pulse", continuous = true')
    assert not found.may_hold
    assert (found.passage.release, found.exits.pulses) == ("no", True)
    assert not rules(tmp_path, relay='control = "pulse"', exit="relay = { pin = 16 }").exits.pulses


@pytest.mark.parametrize("table", ["passage", "contact", "fire", "button", "exit_passage"])
def test_one_pin_has_one_use(tmp_path, table):
    pin = {"passage": 27, "contact": 5, "fire": 6, "button": 26, "exit_passage": 12}[table]
    with pytest.raises(SettingsError) as refused:
        load(written(tmp_path, exit=f"relay = {{ pin = {pin} }}"))
    (problem,) = refused.value.problems
    assert f"pin {pin} is already used by doors.main." in problem.what
    assert problem.hints


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("2h", 7200), ("24h", 86_400)]
    + [(text, None) for text in ("", "2", "h", "0s", "1.5h", "-1h", "2 h", "2d", "2H", "²h", "1h30m")],
)
def test_durations_of_the_command_line(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "config/man/gatectl.toml.5",
        "config/gatectl.toml",
        "config/wiring.md",
        "gatectl/decision/words/catalog.py",
    ],
)
def test_every_document_says_that_the_way_out_never_depends_on_it(document):
    words = " ".join((ROOT / document).read_text("utf-8").replace("#", " ").split())
    assert "depend on this software to get out" in words
    assert "cuts its power by wire" in words or "cuts the lock's power by wire" in words
