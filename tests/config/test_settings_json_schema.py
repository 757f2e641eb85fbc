"""The JSON Schema by which editors complete and check the settings."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import tomli

from gatectl.config.json_schema import text

CONFIG = Path(__file__).parents[2] / "config"
SCHEMA = json.loads(text())

DOOR = '[doors.d]\nrelay = { pin = 1 }\n[[doors.d.scanners]]\ntype = "evdev"\ndevice = "e"\n'
PARTNER = 'protocol = "capitan"\nkey = { file = "k" }\n'


def is_taken(settings: str) -> bool:
    return jsonschema.Draft7Validator(SCHEMA).is_valid(tomli.loads(settings))


def every(schema):
    """Each setting that it describes, by its name, and each table."""
    yield from schema.get("properties", {}).items()
    inner = [*schema.get("properties", {}).values(), *schema.get("oneOf", [])]
    inner += [schema[word] for word in ("items", "additionalProperties") if schema.get(word)]
    for one in inner:
        yield from every(one)


def test_the_file_is_what_the_model_says():
    assert (CONFIG / "gatectl.schema.json").read_text("utf-8") == text()


def test_it_is_a_schema():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_the_sample_names_it_and_is_good_by_it():
    sample = (CONFIG / "gatectl.toml").read_text("utf-8")
    (name,) = re.findall(r"\A#:schema \./(\S+)\n", sample)
    assert (CONFIG / name).is_file()
    assert is_taken(sample)
    offered = re.sub(r"^# ?(?=\[|[a-z_]+ = )", "", sample, flags=re.MULTILINE)
    assert tomli.loads(offered) != tomli.loads(sample)
    assert is_taken(offered)


def test_every_setting_says_what_it_is():
    settings = [(name, setting) for name, setting in every(SCHEMA) if set(setting) != {"enum"}]
    assert not {name for name, setting in settings if "description" not in setting}
    assert len(settings) > 50


@pytest.mark.parametrize(
    "more",
    [
        "",
        f"[partners.p]\n{PARTNER}budget_ms = 30000\n",
        f"[partners.p]\n{PARTNER}url = 'http://LOCALHOST:8000'\n",
        f"[partners.p]\n{PARTNER}url = 'http://[::1]/'\n",
        f"[partners.p]\n{PARTNER}url = 'HTTPS://a.example'\n",
        "[[routes]]\nmatch = '(?P<member>\\d+)'\npartner = 'p'\n",
        "[[doors.d.scanners]]\ntype = 'serial'\nport = 'p'\nframing = 'id12la'\nidle_ms = 0\n",
        "[doors.e]\nrelay = { pin = 53, open_ms = 100 }\nscanners = [{ type = 'evdev', device = 'e' }]\n",
    ],
)
def test_values_that_are_accepted(more):
    assert is_taken(DOOR + more)


@pytest.mark.parametrize(
    "more",
    [
        "[sight]\n",
        "[site]\ntenant = 1\n",
        "[site]\ntenat = 'a'\n",
        "[gpio]\npin_factory = ' '\n",
        "[journal]\npatience_ms = 5001\n",
        "[journal]\nkeep_days = -1\n",
        "[partners.p]\nkey = { file = 'k' }\n",
        "[partners.p]\nprotocol = 'other'\nkey = { file = 'k' }\n",
        "[partners.p]\nprotocol = 'wellhub'\nkey = { file = 'k' }\n",
        "[partners.p]\nprotocol = 'capitan'\nkey = 's3cr3t'\n",
        "[partners.p]\nprotocol = 'capitan'\nkey = { file = 'k', env = 'K' }\n",
        "[partners.p]\nprotocol = 'capitan'\nkey = {}\n",
        f"[partners.p]\n{PARTNER}gym_id = '1'\n",
        f"[partners.p]\n{PARTNER}budget_ms = 49\n",
        f"[partners.p]\n{PARTNER}url = 'http://a.example'\n",
        f"[partners.p]\n{PARTNER}url = 'https://a.example?b'\n",
        f"[partners.p]\n{PARTNER}url = 'https://a.example#b'\n",
        "[[routes]]\npartner = 'p'\n",
        "[[routes]]\nmatch = ''\npartner = 'p'\n",
        "[[routes]]\nmatch = 'a'\npartner = 'p'\ndoors = []\n",
        "[doors.e]\nrelay = { pin = 2 }\nscanners = []\n",
        "[doors.e]\nrelay = { pin = 54 }\nscanners = [{ type = 'evdev', device = 'e' }]\n",
        "[doors.e]\nrelay = { pin = 2, active_high = 1 }\nscanners = [{ type = 'evdev', device = 'e' }]\n",
        "[doors.e]\nrelay = { pin = 2 }\nscanners = [{ type = 'evdev', port = 'e' }]\n",
        "[doors.e]\nrelay = { pin = 2 }\nscanners = [{ type = 'evdev', device = 'e', layout = 'qwerty' }]\n",
        "[doors.e]\nrelay = { pin = 2 }\nscanners = [{ type = 'evdev', device = 'e', idle_ms = 4 }]\n",
    ],
)
def test_values_that_are_refused(more):
    assert not is_taken(DOOR + more)


def test_a_door_is_needed():
    assert not is_taken("")
    assert not is_taken("[doors]\n")
