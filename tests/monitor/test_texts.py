"""The pages' words: none is missing in a language, and none is there for nothing."""

import re
from pathlib import Path

import pytest

from gatectl.fleet.overview_words import ALARM_KINDS
from gatectl.monitor.presenters import OFFLINE, shortened
from gatectl.monitor.texts import TEXTS

MONITOR = Path(__file__).parents[2] / "gatectl/monitor"
FLEET = MONITOR.with_name("fleet")
SOURCES = "\n".join(
    path.read_text("utf-8")
    for path in (*MONITOR.glob("*.py"), *MONITOR.glob("templates/*"), *FLEET.glob("*.py"))
    if path.name != "texts.py"
)
MADE = ("display_", "connection_", "dial_", *(f"fleet_{kind}" for kind in ALARM_KINDS))
"""Keys that are put together of this and a value."""


@pytest.mark.parametrize("key", TEXTS)
def test_every_text_is_used(key):
    is_named = re.search(rf"""["']{key}["']""", SOURCES)
    assert is_named or key.startswith(MADE)


def test_every_value_has_its_words():
    assert f"display_{OFFLINE}" in TEXTS


@pytest.mark.parametrize("key", TEXTS)
def test_both_languages_take_the_same_values(key):
    english, german = (set(re.findall(r"{(\w+)}", words)) for words in TEXTS[key])
    assert english == german


@pytest.mark.parametrize(
    ("code", "shown"),
    [("", ""), ("1403", "1403"), ("WP-140", "WP-140"), ("WP-1403", "…1403"), ("x" * 512, "…xxxx")],
)
def test_a_long_code_is_shortened_to_its_end(code, shown):
    assert shortened(code) == shown
