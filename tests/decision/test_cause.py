"""What the events next to an event say about it, and the tables that every fault and message stands in."""

import re
import string
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from records import ADMITTED, NOT_ALLOWED, TIMEOUT, scan

from gatectl.decision.cause import BY_REASON, Around, Cause, around, cause_of, fail_together
from gatectl.decision.display import Screen, screen_of
from gatectl.decision.event import Outcome, RequestRecord
from gatectl.decision.indication import Indication, indication_of
from gatectl.decision.partner_condition import RESTING
from gatectl.decision.verdict import Fault, Message, Reason, Result, Verdict, message_of
from gatectl.decision.words import advice, triage
from gatectl.decision.words.advice_texts import WORDS, Key
from gatectl.monitor.presenters import screen_of as shown_on
from gatectl.monitor.texts import GERMAN_MESSAGES, LANGUAGES, TEXTS
from gatectl.sinks.systemd_journal import MESSAGE_IDS, priority_of

ROOT = Path(__file__).parents[2]
SENT = RequestRecord(True, 1, 2, 3.0, 2000, "warm")
UNSENT = RequestRecord(False, None, None, 3.0, 2000, "new")


def refused(number, **changes):
    return scan(number, NOT_ALLOWED, member=str(number), **changes)


# What stands around.


def test_the_fifth_refusal_in_a_row_and_those_after_it():
    row = [refused(number) for number in range(1, 7)]
    found = [around(event, row[:index]).refuses_everyone for index, event in enumerate(row)]
    assert found == [False] * 4 + [True] * 2


def test_only_its_own_partners_refusals_make_a_row():
    row = [refused(number, partner="wellpass" if number % 2 else "wellhub") for number in range(1, 9)]
    assert not around(row[-1], row[:-1]).refuses_everyone


def test_an_event_without_a_verdict_is_no_part_of_a_row():
    row = [refused(number) for number in range(1, 7)]
    assert not around(scan(7, TIMEOUT), row).refuses_everyone
    assert not around(scan(7, ADMITTED), row).refuses_everyone
    assert not around(scan(7, partner=None, member=None, verdict=None), row).refuses_everyone


FAILED = scan(10, TIMEOUT, partner="wellhub")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([scan(9, TIMEOUT, partner="wellpass")], [], True),
        ([], [scan(11, TIMEOUT, partner="wellpass")], True),
        ([scan(9, TIMEOUT)], [scan(11, TIMEOUT)], False),  # the same partner
        ([scan(4, TIMEOUT, partner="wellpass")], [], False),  # six minutes ago
        ([scan(8, TIMEOUT, partner="wellpass"), scan(9, ADMITTED, partner="wellpass")], [], False),
        ([scan(8, ADMITTED, partner="wellpass"), scan(9, TIMEOUT, partner="wellpass")], [], True),
        ([scan(9, TIMEOUT, partner="wellpass", reason=Reason(RESTING, None))], [], False),
        ([scan(9, TIMEOUT, partner="wellpass", fault=Fault.CREDENTIALS)], [], False),
        ([], [], False),
    ],
)
def test_another_partner_that_fails_at_the_same_time(before, after, expected):
    assert around(FAILED, before, after).others_fail is expected


def partner(state="healthy", unconnected=None):
    return {"state": state, "unconnected": unconnected}


@pytest.mark.parametrize(
    ("partners", "expected"),
    [
        ([partner("outage"), partner()], False),
        ([partner("outage"), partner("outage")], True),
        ([partner("outage"), partner(unconnected={"fault": "network"})], True),
        ([partner("resting"), partner("outage")], False),
    ],
)
def test_partners_that_fail_together_now(partners, expected):
    assert fail_together({"partners": dict(enumerate(partners))}) is expected


# The tables: each fault, each message and each cause has its entry in all of them.


def outcomes():
    """Each thing that a scan can come to, with every fault, verdict, reason and request that there is."""
    reasons = [None, *(Reason(key, None) for key in (*BY_REASON, RESTING))]
    for fault, verdict, reason, request, outage in product(
        [None, *Fault], [None, *Verdict], reasons, [None, SENT, UNSENT], [True, False]
    ):
        if fault is None and verdict in (None, Verdict.NONE):
            continue
        admitted = fault is None and verdict is Verdict.ALLOWED
        result = Result.ADMITTED if admitted else Result.REJECTED
        for status, detail in ((None, None), (404, None), (None, "certificate is not yet valid")):
            yield Outcome(
                result, message_of(verdict, fault), verdict, status, fault, detail=detail,
                reason=reason, outage=outage, request=request,
            )  # fmt: skip


def events():
    for outcome in outcomes():
        yield replace(scan(1), outcome=outcome)
        yield replace(scan(1, partner=None, member=None), outcome=outcome)
        yield replace(scan(1, kind="manual", partner=None, member=None), outcome=outcome)
    nobody = dict.fromkeys(("scanner", "credential", "partner", "member"))
    yield replace(
        scan(1, kind="erased", door="", **nobody), outcome=Outcome(Result.DONE, Message.ERASED.value)
    )
    yield scan(1, Outcome(Result.REJECTED, Message.NOT_RECOGNISED, fault=Fault.UNRECOGNISED), **nobody)


EVENTS = list(events())
AROUND = [Around(others, refuses) for others in (True, False) for refuses in (True, False)]


def test_every_cause_comes_about_and_every_fault_has_one():
    found = {cause_of(event, near) for event in EVENTS for near in AROUND}
    assert found == set(Cause)
    assert {event.outcome.fault for event in EVENTS} == {None, *Fault}


def test_every_cause_has_advice_and_says_whether_support_is_to_be_called():
    assert set(advice._SENTENCES) == set(Cause)
    assert set(triage._YES) | set(triage._NO) == set(Cause)
    assert not set(triage._YES) & set(triage._NO)
    for cause, keys in advice._SENTENCES.items():
        called = any(key.startswith("support") for key in keys)
        assert called is (cause in triage._YES), cause


def test_every_sentence_stands_in_both_languages_with_the_same_values_and_is_used():
    used = {key for keys in advice._SENTENCES.values() for key in keys} | {"refuses_everyone"}
    assert used == set(Key.__args__)
    for words in WORDS.values():
        assert set(words) == used
    for key in used:
        values = [
            {name for _, name, _, _ in string.Formatter().parse(words[key]) if name}
            for words in WORDS.values()
        ]
        assert set().union(*values) <= {"partner", "code", "door", "id", "page", "status"}
        assert values[0] == values[1], key


WITHOUT_WORDS = (Cause.ADMITTED, Cause.BY_HAND, Cause.ERASED)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_event_has_its_words(language):
    for event in EVENTS:
        words = advice.advice(event, None, language)
        assert bool(words) is (cause_of(event, Around()) not in WITHOUT_WORDS)
        assert "\n" not in words
        assert triage.triage(event).why


def test_every_message_has_an_id_an_entry_in_both_catalogs_and_a_german_name():
    assert {event.outcome.message for event in EVENTS} == set(Message)
    assert set(MESSAGE_IDS) == set(Message)
    assert len(set(MESSAGE_IDS.values())) == len(Message)
    assert set(GERMAN_MESSAGES) == {message.value for message in Message}
    for name in ("gatectl.catalog", "gatectl.de.catalog"):
        catalog = (ROOT / "systemd/catalog" / name).read_text("utf-8")
        for message, message_id in MESSAGE_IDS.items():
            assert f"-- {message_id}\nSubject: {message}\nDefined-By: gatectl\n\n" in catalog, message


OURS = {Fault.CREDENTIALS, Fault.CONFIGURATION, Fault.GATE, Fault.CARDS}


def test_every_fault_is_as_loud_as_it_is_near():
    for event in EVENTS:
        outcome = event.outcome
        expected = 4
        if outcome.result is Result.ADMITTED:
            expected = 6
        elif outcome.fault in OURS:
            expected = 3
        elif outcome.fault in (None, Fault.UNRECOGNISED):
            expected = 5
        assert priority_of(event) == expected, outcome


def test_every_fault_has_its_screen_and_its_lamps():
    screens = set()
    for event in EVENTS:
        outcome = event.outcome
        screens.add(screen_of(outcome.result, outcome.verdict, outcome.fault, outcome.reason))
        refused = outcome.fault in (None, Fault.UNRECOGNISED)
        expected = Indication.REFUSED if refused else Indication.TRY_AGAIN
        if outcome.result is Result.ADMITTED:
            expected = Indication.WELCOME
        assert indication_of(outcome.result, outcome.fault) is expected
    assert screens == set(Screen) - {Screen.IDLE, Screen.CHECKING}


@pytest.mark.parametrize("screen", Screen)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_screen_has_its_words_and_its_colours(screen, language):
    shown = shown_on({"screen": screen, "partner": "wellhub"}, language)
    assert shown["title"]
    assert shown["more"]
    style = (ROOT / "gatectl/monitor/static/display.css").read_text()
    assert re.search(rf"\.{screen} \.sign", style)
    assert screen is Screen.IDLE or re.search(rf"main\.{screen}[,\s]", style)


def test_every_text_of_the_monitor_stands_in_both_languages_with_the_same_values():
    for key, pair in TEXTS.items():
        values = [{name for _, name, _, _ in string.Formatter().parse(words) if name} for words in pair]
        assert len(pair) == 2
        assert values[0] == values[1], key


def test_the_readme_names_every_message_and_every_fault():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [message for message in Message if f"`{message}`" not in readme] == []
    assert [fault for fault in Fault if f"`{fault}`" not in readme] == []
