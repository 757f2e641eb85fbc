"""The cause of an event from the events next to it, and the tables that have a row for every fault."""

import re
import string
from itertools import product
from pathlib import Path

import pytest
from records import ADMITTED, NOT_ALLOWED, TIMEOUT, scan

from gatectl.decision.cause import Around, around, cause_of, fail_together, is_for_another_url
from gatectl.decision.event import Outcome, RequestRecord
from gatectl.decision.indication import Indication, Screen
from gatectl.decision.outcomes import ADMITTED_BY, KINDS, REFUSALS, Fault, Message, outcome_row
from gatectl.decision.partner_condition import RESTING
from gatectl.decision.verdict import Basis, Reason, Result, Verdict
from gatectl.decision.words import LANGUAGES
from gatectl.decision.words.advice import SENTENCES, advice
from gatectl.decision.words.catalog import MESSAGES, catalog, in_words
from gatectl.decision.words.triage import WHY, triage
from gatectl.monitor.presenters import screen_of as shown_on
from gatectl.monitor.texts import TEXTS
from gatectl.sinks.systemd_journal import entry_of

ROOT = Path(__file__).parents[2]
SENT = RequestRecord(True, 1, 2, 3.0, 2000, "warm")
UNSENT = RequestRecord(False, None, None, 3.0, 2000, "new")


def refused(number, **changes):
    return scan(number, NOT_ALLOWED, member=str(number), **changes)


# The events around it.


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
        ([scan(5, TIMEOUT, partner="wellpass")], [], True),  # five
        ([], [scan(16, TIMEOUT, partner="wellpass")], False),
        ([], [scan(15, TIMEOUT, partner="wellpass")], True),
        ([], [scan(11, ADMITTED, partner="wellpass"), scan(12, TIMEOUT, partner="wellpass")], False),
        ([], [scan(11, partner=None, member=None, verdict=None), scan(12, TIMEOUT, partner="x")], True),
        ([], [scan(11, TIMEOUT, partner="wellpass", reason=Reason(RESTING, None))], False),
        ([scan(8, TIMEOUT, partner="wellpass"), scan(9, ADMITTED, partner="wellpass")], [], False),
        ([scan(8, ADMITTED, partner="wellpass"), scan(9, TIMEOUT, partner="wellpass")], [], True),
        ([scan(9, TIMEOUT, partner="wellpass", reason=Reason(RESTING, None))], [], False),
        ([scan(9, TIMEOUT, partner="wellpass", fault=Fault.CREDENTIALS)], [], False),
        ([], [], False),
    ],
)
def test_another_partner_that_fails_at_the_same_time(before, after, expected):
    assert around(FAILED, before, after).others_fail is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, False),
        (200, False),
        (299, False),
        (300, True),
        (399, True),
        (400, False),
        (403, False),
        (404, True),
        (405, True),
        (410, True),
        (500, False),
    ],
)
def test_the_statuses_of_a_wrong_url(status, expected):
    assert is_for_another_url(status) is expected


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


# The rows: each fault, each message and each cause has its words.


def outcomes():
    """Each thing that a scan can come to, with every fault, verdict, reason and request that there is."""
    reasons = [None, *(Reason(key, None) for key in (*REFUSALS, RESTING))]
    for fault, verdict, reason, request, outage in product(
        [None, *Fault], [None, *Verdict], reasons, [None, SENT, UNSENT], [True, False]
    ):
        if fault is None and verdict in (None, Verdict.NONE):
            continue
        admitted = fault is None and verdict is Verdict.ALLOWED
        result = Result.ADMITTED if admitted else Result.REJECTED
        for status, detail in ((None, None), (404, None), (None, "certificate is not yet valid")):
            yield Outcome(
                result, outcome_row(result, verdict, fault).message, verdict, status, fault, detail=detail,
                reason=reason, outage=outage, request=request,
            )  # fmt: skip


def events():
    for outcome in outcomes():
        yield scan(1)._replace(outcome=outcome)
        yield scan(1, partner=None, member=None)._replace(outcome=outcome)
        if outcome.result is Result.ADMITTED or outcome.fault in (Fault.GATE, Fault.INTERRUPTED):
            yield scan(1, kind="manual", partner=None, member=None)._replace(outcome=outcome)
    nobody = dict.fromkeys(("scanner", "credential", "partner", "member"))
    for basis, row in ADMITTED_BY.items():
        own = Outcome(Result.ADMITTED, row.message.value, basis=basis)
        yield scan(1)._replace(outcome=own)
    for kind, row in KINDS.items():
        for result in row.rows:
            own = Outcome(result, row.rows[result].message.value)
            yield scan(1, kind=kind, door="", **nobody)._replace(outcome=own)
    yield scan(1, Outcome(Result.REJECTED, Message.NOT_RECOGNISED, fault=Fault.UNRECOGNISED), **nobody)


EVENTS = list(events())
AROUND = [Around(others, refuses) for others in (True, False) for refuses in (True, False)]


CAUSES = {cause_of(event, near) for event in EVENTS for near in AROUND}


def test_every_cause_has_its_words_and_all_words_are_of_a_cause():
    assert {cause.key for cause in CAUSES} | {"later_version"} == set(WHY)
    assert {key for cause in CAUSES for key in cause.advice} | {"refuses_everyone"} == set(SENTENCES)
    assert {event.outcome.fault for event in EVENTS} == {None, *Fault}
    assert {event.attempt.kind for event in EVENTS} == set(KINDS)


def test_a_case_for_support_is_one_whose_advice_names_support():
    for cause in CAUSES:
        assert any(key.startswith("support") for key in cause.advice) is cause.is_for_support, cause


def test_every_sentence_takes_the_same_values_in_both_languages():
    for key, words in SENTENCES.items():
        values = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in words]
        assert set().union(*values) <= {"partner", "code", "door", "id", "page", "status"}
        assert values[0] == values[1], key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_event_has_its_words(language):
    for event in EVENTS:
        words = advice(event, None, language)
        assert bool(words) is bool(cause_of(event, Around()).advice)
        assert "\n" not in words
        assert triage(event).why


@pytest.mark.parametrize(
    "event",
    [
        scan(1, Outcome(Result.DONE, "Mode: held open"), kind="mode", partner=None),
        scan(1, Outcome(Result.REJECTED, "Not today"), partner=None),
    ],
)
def test_an_event_of_a_later_version_has_words_too(event):
    assert advice(event, None) == ""
    assert not triage(event).is_for_support


def test_every_message_has_an_id_an_entry_in_both_catalogs_and_a_german_name():
    assert {event.row.message for event in EVENTS} | {Message.REFUSING_EVERYONE} == set(Message)
    assert len({message.catalog_id for message in Message}) == len(Message)
    assert set(MESSAGES) == set(Message)


@pytest.mark.parametrize(("name", "language"), [("gatectl.catalog", "en"), ("gatectl.de.catalog", "de")])
def test_the_catalogs_are_those_of_the_words(name, language):
    (path,) = (ROOT / "systemd").rglob(name)
    assert path.read_text("utf-8") == catalog(language), "scripts/catalogs writes them"


def test_a_message_is_german_for_who_reads_german():
    assert in_words("en", "Opened by hand: fire drill") == "Opened by hand: fire drill"
    assert in_words("de", "Opened by hand: fire drill") == "Von Hand geöffnet: fire drill"
    assert in_words("de", Message.GATE_OUT_OF_ORDER) == "Tor außer Betrieb"
    assert in_words("de", "of a later version") == "of a later version"


OURS = {Fault.CREDENTIALS, Fault.CONFIGURATION, Fault.GATE, Fault.CARDS}


SHUT = (Fault.CLOSED, Fault.LOCKDOWN)

OWN_PRIORITIES = {
    ("mode", Result.FIRE): 2,
    ("mode", Result.LOCKDOWN): 4,
    ("passage", Result.PASSED): 6,
    ("check_in", Result.DONE): 6,
    ("check_in", Result.FAILED): 3,
    ("passage", Result.LEFT): 6,
    ("passage", Result.UNEXPECTED): 4,
    ("input", Result.SUSPECT): 4,
    ("exit", Result.OPENED): 6,
    ("contact", Result.FORCED): 3,
    ("contact", Result.HELD): 4,
    ("input", Result.STUCK): 4,
    ("input", Result.FLUTTERS): 4,
    ("input", Result.LOST): 3,
}


def test_every_fault_is_as_loud_as_it_is_near():
    for event in EVENTS:
        outcome = event.outcome
        expected = 4
        if outcome.result is Result.ADMITTED:
            expected = 5 if outcome.basis is Basis.GRACE else 6
        elif outcome.fault in OURS:
            expected = 3
        elif outcome.fault in (None, Fault.UNRECOGNISED, *SHUT):
            expected = OWN_PRIORITIES.get((event.attempt.kind, outcome.result), 5)
        assert entry_of(event).priority == expected, outcome


def test_every_fault_has_its_screen_and_its_lamps():
    screens = set()
    for event in EVENTS:
        outcome = event.outcome
        screens.add(event.row.screen)
        refused = outcome.fault in (None, Fault.UNRECOGNISED, *SHUT)
        expected = Indication.REFUSED if refused else Indication.TRY_AGAIN
        if outcome.result is Result.ADMITTED:
            expected = Indication.WELCOME
        if event.attempt.kind not in {"scan", "manual"} and outcome.fault is None:
            expected = None  # no member sees it
        assert event.row.indication is expected
    assert screens == set(Screen) - {Screen.CHECKING}


@pytest.mark.parametrize("screen", Screen)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_screen_has_its_words_and_its_colours(screen, language):
    shown = shown_on({"screen": screen, "partner": "wellhub"}, language)
    assert shown["title"]
    assert shown["more"]
    style = (ROOT / "gatectl/monitor/static/display.css").read_text()
    assert re.search(rf"\.{screen} \.sign", style)
    assert screen is Screen.IDLE or re.search(rf"main\.{screen}[,\s]", style)


def test_every_text_of_the_monitor_exists_in_both_languages_with_the_same_values():
    for key, pair in TEXTS.items():
        values = [{name for _, name, _, _ in string.Formatter().parse(words) if name} for words in pair]
        assert len(pair) == 2
        assert values[0] == values[1], key


def test_the_readme_names_every_message_and_every_fault():
    readme = (ROOT / "README.md").read_text("utf-8")
    of_events = set(Message) - {Message.INPUT, Message.REFUSING_EVERYONE}
    assert [message for message in of_events if f"`{message}" not in readme] == []
    assert [fault for fault in Fault if f"`{fault}`" not in readme] == []
