import pytest
from records import ADMITTED, NOT_ALLOWED, NOT_FOUND, TIMEOUT, UNRECOGNISED, scan

from gatectl.decision.event import Event, RequestRecord, interrupted
from gatectl.decision.outcomes import Fault
from gatectl.decision.partner_condition import RESTING
from gatectl.decision.verdict import Reason, Result
from gatectl.decision.words.advice import advice
from gatectl.decision.words.triage import triage

UNSENT = RequestRecord(False, None, None, 2000.0, 2000, "new")
MANUAL = {"kind": "manual", "partner": None, "member": None, "request": None}

EVENTS = [
    (scan(1, ADMITTED), False, "admitted"),
    (scan(1, NOT_ALLOWED), False, "wellhub decided"),
    (scan(1, NOT_FOUND), False, "checks in in the app first"),
    (scan(1, TIMEOUT), False, "hiccup"),
    (scan(1, TIMEOUT, outage=True), False, "outage"),
    (scan(1, TIMEOUT, outage=True, request=UNSENT), True, "own network and clock first"),
    (scan(1, TIMEOUT, outage=True, fault=Fault.PARTNER, status=404), True, "nothing at the url"),
    (scan(1, TIMEOUT, fault=Fault.CARDS, verdict=None, request=None), True, "cards could not be read"),
    (scan(1, TIMEOUT, fault=Fault.GATE, verdict=None, request=None), True, "out of order"),
    (scan(1, TIMEOUT, fault=Fault.NETWORK, request=UNSENT), True, "did not go out"),
    (scan(1, TIMEOUT, fault=Fault.NETWORK, request=None), True, "did not go out"),
    (scan(1, TIMEOUT, request=None, reason=Reason(RESTING, None)), False, "asked for a pause"),
    (scan(1, UNRECOGNISED, partner=None, member=None), True, "did not go out at all"),
    (scan(1, ADMITTED, fault=Fault.GATE), True, "answered with a success"),
    (scan(1, TIMEOUT, fault=Fault.GATE), True, "gate is out of order"),
    (scan(1, TIMEOUT, fault=Fault.CREDENTIALS, status=401), True, "own key"),
    (scan(1, TIMEOUT, fault=Fault.CONFIGURATION, status=404), True, "as it is set up"),
    (scan(1, ADMITTED, **MANUAL), False, "by hand"),
    (scan(1, TIMEOUT, fault=Fault.GATE, **MANUAL), True, "by hand"),
]
"""Event, whether it is a case for Support, and words of why."""


def rejected(event):
    return event._replace(outcome=event.outcome._replace(result=Result.REJECTED))


@pytest.mark.parametrize(("event", "is_case", "words"), EVENTS)
def test_the_pages_rules(event, is_case, words):
    event = rejected(event) if event.outcome.fault else event
    case = triage(event)
    assert case.is_for_support is is_case
    assert words in case.why


@pytest.mark.parametrize(("event", "is_case", "_"), EVENTS)
def test_advice_says_the_same(event, is_case, _):
    event = rejected(event) if event.outcome.fault else event
    assert ("Contact Support, with" in advice(event, None)) is is_case


@pytest.mark.parametrize("budget", [None, 2000])
def test_an_interrupted_scan_is_none(budget):
    attempt = scan(1).attempt._replace(budget_ms=budget)
    event = Event(attempt, interrupted(attempt))
    assert not triage(event).is_for_support
    assert "Contact Support" not in advice(event, None)
