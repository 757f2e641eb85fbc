"""The cause of an event, as far as the advice depends on it.

Source: https://support.magicline.com/hc/en-us/articles/47879904419857 ("What to do", "When it is a system
issue"), and the partners' own pages for the keys of their refusals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import Enum, auto
from typing import Any, NamedTuple

from gatectl.decision.event import Event, Outcome
from gatectl.decision.partner_condition import RESTING, Condition, RefusalDetector, is_failure
from gatectl.decision.verdict import Fault, Result, Verdict

TOGETHER_US = 300_000_000
"""Two partners that fail within five minutes fail at the same time: a member tries again after as long."""

NEIGHBOURS = 200
"""Events on each side that are looked at: ten minutes of a full gym, so that a row of refusals is found."""


class Cause(Enum):
    """The cause of an event: it selects the advice, and whether it is a case for Support."""

    ADMITTED = auto()
    BY_HAND = auto()
    BY_HAND_SHUT = auto()
    ERASED = auto()
    DECLINED = auto()
    NOT_KNOWN = auto()
    APP_FIRST = auto()
    APP_AGAIN = auto()
    IN_ALREADY = auto()
    FRONT_DESK = auto()
    FRONT_DESK_NOT_KNOWN = auto()
    NO_ROUTE = auto()
    NO_SUCH_NUMBER = auto()
    CARDS = auto()
    GATE_OUT_OF_ORDER = auto()
    GATE_STAYED_SHUT = auto()
    OUR_KEY = auto()
    OUR_SETTINGS = auto()
    OUR_URL = auto()
    OUR_CLOCK = auto()
    NOT_SENT = auto()
    NOT_SENT_FOR_ANYONE = auto()
    ALL_FAIL = auto()
    OUTAGE = auto()
    RESTING = auto()
    HICCUP = auto()
    STOPPED_UNASKED = auto()
    STOPPED_ASKED = auto()


BY_REASON = {
    # Wellhub: the member makes a check-in in the app, and scans again.
    "checkin.validation.notfound": Cause.APP_FIRST,
    "checkin.validation.expired": Cause.APP_AGAIN,
    "checkin.validation.cancelled": Cause.APP_AGAIN,
    "checkin.validation.canceled": Cause.APP_AGAIN,
    "checkin.already.validated": Cause.IN_ALREADY,
    # Capitan is the gym's own software, so its customers ask at the gym.
    "duplicate_check_in": Cause.IN_ALREADY,
    "check_in_alerts": Cause.FRONT_DESK,
    "no_entry_method": Cause.FRONT_DESK,
    "customer_not_found": Cause.FRONT_DESK_NOT_KNOWN,
}
"""The partners' own keys for a refusal that the member or the front desk can clear up."""

_BY_FAULT = {
    Fault.CARDS: Cause.CARDS,
    Fault.CREDENTIALS: Cause.OUR_KEY,
    Fault.CONFIGURATION: Cause.OUR_SETTINGS,
}


class Around(NamedTuple):
    """Evidence about an event from the events next to it."""

    others_fail: bool = False
    """Another partner failed at the same time."""
    refuses_everyone: bool = False
    """The event is one of a row in which its partner refused different members and admitted none."""


class Past:
    """Evidence from past events about the next one, at a cost that does not grow with their number."""

    def __init__(self) -> None:
        self._refusals: defaultdict[str, RefusalDetector] = defaultdict(RefusalDetector)
        self._failed_us: dict[str, int] = {}
        """When each partner failed last, of those that have given no verdict since."""

    def take(self, event: Event) -> Around:
        """Takes the next event in the order of the scans; returns the evidence about it from those before."""
        attempt, outcome, partner = event.attempt, event.outcome, event.attempt.partner
        if partner is None or attempt.member is None:
            return Around()
        others_fail = any(
            abs(attempt.at_us - failed_us) <= TOGETHER_US
            for other, failed_us in self._failed_us.items()
            if other != partner
        )
        if is_failure(outcome.fault, outcome.reason.key if outcome.reason else None):
            self._failed_us[partner] = attempt.at_us
        elif outcome.verdict not in (None, Verdict.NONE):
            self._failed_us.pop(partner, None)
        admitted = outcome.result is Result.ADMITTED
        refused = self._refusals[partner].take(attempt.member, outcome.verdict, admitted=admitted)
        return Around(others_fail, refused)


def around(event: Event, before: Iterable[Event], after: Iterable[Event] = ()) -> Around:
    """The evidence about an event from those before and after it, each side in the order of the scans."""
    past = Past()
    for other in before:
        past.take(other)
    found = past.take(event)
    return found._replace(others_fail=found.others_fail or _another_failed_next(event, after))


def _another_failed_next(event: Event, after: Iterable[Event]) -> bool:
    """Whether the first of another partner's answers and failures that came soon was a failure."""
    seen = {event.attempt.partner, None}
    for other in after:
        attempt, outcome = other.attempt, other.outcome
        if abs(attempt.at_us - event.attempt.at_us) > TOGETHER_US:
            return False
        if attempt.partner in seen:
            continue
        if is_failure(outcome.fault, outcome.reason.key if outcome.reason else None):
            return True
        if outcome.verdict not in (None, Verdict.NONE):
            seen.add(attempt.partner)
    return False


def cause_of(event: Event, around: Around) -> Cause:
    """The one cause of a finished event."""
    attempt, outcome = event.attempt, event.outcome
    if attempt.kind == "manual":
        return Cause.BY_HAND if outcome.fault is None else Cause.BY_HAND_SHUT
    is_code_erased = outcome.fault is Fault.UNRECOGNISED and attempt.credential is None
    if attempt.kind == "erased" or is_code_erased:
        return Cause.ERASED
    if outcome.result is Result.ADMITTED:
        return Cause.ADMITTED
    match outcome.fault:
        case None:
            return _refusal(outcome)
        case Fault.UNRECOGNISED:
            return Cause.NO_ROUTE if attempt.partner is None else Cause.NO_SUCH_NUMBER
        case Fault.INTERRUPTED:
            return Cause.STOPPED_UNASKED if outcome.request is None else Cause.STOPPED_ASKED
        case Fault.NETWORK | Fault.TLS | Fault.TIMEOUT | Fault.PARTNER:
            return _communication(outcome, around)
        case Fault.GATE:
            # Without a verdict no partner was asked.
            return Cause.GATE_OUT_OF_ORDER if outcome.verdict is None else Cause.GATE_STAYED_SHUT
        case fault:
            return _BY_FAULT[fault]


def _refusal(outcome: Outcome) -> Cause:
    known = BY_REASON.get(outcome.reason.key or "") if outcome.reason else None
    return known or (Cause.NOT_KNOWN if outcome.verdict is Verdict.NOT_FOUND else Cause.DECLINED)


def _communication(outcome: Outcome, around: Around) -> Cause:
    """The partner's own failure only where nothing speaks for our line, our clock or our url."""
    if outcome.reason is not None and outcome.reason.key == RESTING:
        return Cause.RESTING
    if outcome.request is None or outcome.request.sent is False:
        if "not yet valid" in (outcome.detail or ""):
            return Cause.OUR_CLOCK
        return Cause.NOT_SENT_FOR_ANYONE if outcome.outage else Cause.NOT_SENT
    if is_for_another_url(outcome.status):
        return Cause.OUR_URL
    if around.others_fail:
        return Cause.ALL_FAIL
    return Cause.OUTAGE if outcome.outage else Cause.HICCUP


def is_for_another_url(status: int | None) -> bool:
    """Whether a failure's status says that the partner has nothing at the url of our settings."""
    return status is not None and (300 <= status < 400 or status in (404, 405, 410))


def fail_together(status: Mapping[str, Any]) -> bool:
    """Whether several partners fail now, by `status --json`: the door's own line or clock may be at fault."""
    partners = status["partners"].values()
    failing = [one for one in partners if one["unconnected"] or one["state"] == Condition.OUTAGE]
    return len(failing) > 1
