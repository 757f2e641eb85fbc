"""The status of partners and store in words: the same for terminal and monitor, in both languages."""

import string
from datetime import UTC, datetime

import pytest

from gatectl.cli.health import facts
from gatectl.decision.door.inputs import InputName
from gatectl.decision.door.modes import Mode
from gatectl.decision.partner_condition import Condition
from gatectl.decision.words import LANGUAGES, status_words
from gatectl.decision.words.status_words import (
    input_words,
    mode_words,
    partner_advice,
    store_troubles,
)
from gatectl.monitor.presenters import health_of
from gatectl.partners.registry import PROTOCOLS

PARTNER = {"state": "healthy", "since": "2025-11-22T19:35:01Z", "rests_until": None, "protocol": "wellhub"}
PARTNER |= {"unconnected": None, "failing": None, "ready_connections": 1, "clock_ahead_s": None}
LOST = [{"fault": fault, "detail": "why"} for fault in ("network", "tls", "timeout")]
NOT_YET = {"fault": "tls", "detail": "certificate not yet valid (from 2026-01-01)"}
NOW = datetime(2025, 11, 22, 20, 0, tzinfo=UTC)
ELSEWHERE = {"fault": "partner", "status": 404, "detail": None}
UNWELL = [
    *({"state": state.value} for state in Condition if state is not Condition.HEALTHY),
    {"state": "outage", "failing": ELSEWHERE},
    {"state": "outage", "unconnected": LOST[0]},
    *({"unconnected": lost} for lost in (*LOST, NOT_YET)),
]


@pytest.mark.parametrize("change", UNWELL)
def test_terminal_and_monitor_give_the_same_advice(change):
    partner = PARTNER | change
    status = {"doors": {}, "partners": {"wellhub": partner}, "journal": {"error": None, "lost": 0}}
    key_advice = PROTOCOLS["wellhub"].key_advice
    said = partner_advice("wellhub", partner, "https://status.example.com", alone=True, key_advice=key_advice)
    assert ("whether it is for this gym_id" in said) == (change.get("state") == Condition.REFUSING_KEY)
    (sentence,) = health_of(status, {"wellhub": "https://status.example.com"}, "en").sentences
    assert sentence.startswith("wellhub: ")
    assert sentence.endswith(f". {said}")
    german = partner_advice("wellhub", partner, None, "de", alone=True)
    assert german
    assert german != said or german == "gatectl check --connect"
    assert "{" not in said + german


def test_a_partner_that_is_well_needs_no_advice():
    assert [partner_advice("wellhub", PARTNER, None, language, alone=True) for language in LANGUAGES] == [
        "",
        "",
    ]


def test_every_sentence_takes_the_same_values_in_both_languages():
    pairs = [*status_words._ADVICE.values(), *(pair for two in status_words._STORE.values() for pair in two)]
    for pair in pairs:
        values = [{name for _, name, _, _ in string.Formatter().parse(words) if name} for words in pair]
        assert values[0] == values[1], pair


@pytest.mark.parametrize(
    "change",
    [
        {"cards": None},
        {"damaged": {"since": "2025-11-22T19:35:01Z", "cards": 1, "events": 2}},
        {"journal": {"error": "disk full", "late": 1, "lost": 0}},
        {"journal": {"error": "the store is damaged", "late": 1, "lost": 0}},
        {"journal": {"error": None, "late": 0, "lost": 3}},
        {"journal": {"error": None, "late": 0, "lost": 0, "in_memory": True}},
    ],
)
def test_terminal_and_monitor_say_the_same_of_the_store(change):
    status = {"version": "1", "pid": 1, "doors": {}, "partners": {}, "cards": 7}
    status |= {"journal": {"error": None, "late": 0, "lost": 0}} | change
    (found,) = store_troubles(status, lambda _: "since then", "en")
    (fact,) = (fact for fact in facts(status, {}, NOW) if not fact.is_well)
    assert fact.advice == found.advice
    (german,) = store_troubles(status, lambda _: "seit dann", "de")
    assert german.advice != found.advice


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_mode_and_every_input_has_its_words(language):
    for mode in Mode:
        words = mode_words({"mode": {"name": mode.value, "reason": "x"}}, language)
        assert words.endswith(": x") is (mode is not Mode.NORMAL)
    for name in InputName:
        for level in (None, True, False):
            assert all(input_words(name.value, {"level": level, "state": "ok"}, language)[:2])
    assert mode_words({}, language) == ""
