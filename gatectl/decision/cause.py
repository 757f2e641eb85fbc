"""The cause of an event, as far as the advice depends on it.

Source: https://support.magicline.com/hc/en-us/articles/47879904419857 ("What to do", "When it is a system
issue"), and the partners' own pages for the keys of their refusals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gatectl.decision.event import Event, Outcome
from gatectl.decision.outcomes import ERASED, KINDS, VERDICTS, Cause, Fault
from gatectl.decision.partner_condition import OUT_OF_ORDER, RESTING, Condition, RefusalDetector, is_failure
from gatectl.decision.verdict import Result, Verdict

TOGETHER_US = 300_000_000
"""Two partners that fail within five minutes fail at the same time: a member tries again after as long."""

NEIGHBOURS = 200
"""Events on each side that are looked at: ten minutes of a full gym, so that a row of refusals is found."""


_NO_SUCH_NUMBER = Cause("no_such_number", ("no_such_number", "support_if_right"), is_for_support=True)
_RESTING = Cause("resting", ("resting", "again", "keeps"))
_OUTAGE = Cause("outage", ("outage",))
_OUR_CLOCK = Cause("our_clock", ("not_sent", "own_clock", "support"), is_for_support=True)
_OUR_URL = Cause("our_url", ("our_url", "support"), is_for_support=True)
_OUR_FILES = Cause("our_files", ("not_sent", "our_files", "support"), is_for_support=True)
_NOT_SENT = Cause("not_sent", ("not_sent", "own_network", "again", "support"), is_for_support=True)
_NOT_SENT_FOR_ANYONE = Cause(
    "not_sent_for_anyone", ("not_sent", "own_network", "then_partner", "support"), is_for_support=True
)
_ALL_FAIL = Cause("all_fail", ("all_fail", "own_network", "then_partner", "support"), is_for_support=True)
_LATER_VERSION = Cause("later_version")
"""Of an event that this version cannot have made."""


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
        """Take the next event in the order of the scans; return the evidence about it from those before."""
        attempt, outcome, partner = event.attempt, event.outcome, event.attempt.partner
        kind = KINDS.get(attempt.kind)
        if partner is None or attempt.member is None or kind is None or not kind.is_scan:
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
    """The one cause of a finished event: its row's, or a more precise one by further evidence."""
    attempt, outcome = event.attempt, event.outcome
    kind = KINDS.get(attempt.kind)
    decided = outcome.fault or outcome.result is Result.ADMITTED or outcome.verdict in VERDICTS
    if kind is None or not (decided or outcome.result in kind.rows):
        return _LATER_VERSION
    if kind.is_scan and outcome.fault is Fault.UNRECOGNISED:
        if attempt.credential is None:
            return ERASED.cause
        if attempt.partner is not None:
            return _NO_SUCH_NUMBER
    is_unsent = outcome.request is not None and outcome.request.sent is False
    if is_unsent and outcome.fault in {Fault.CREDENTIALS, Fault.CONFIGURATION}:
        return _OUR_FILES
    row = event.row
    return _communication(row.cause, outcome, around) if row.counts else row.cause


def _communication(hiccup: Cause, outcome: Outcome, around: Around) -> Cause:
    """The partner's own failure only where nothing speaks for our line, our clock or our url."""
    if outcome.reason is not None and outcome.reason.key == RESTING:
        return _RESTING
    if outcome.request is None or outcome.request.sent is False:
        if "not yet valid" in (outcome.detail or ""):
            return _OUR_CLOCK
        return _NOT_SENT_FOR_ANYONE if outcome.outage else _NOT_SENT
    if is_for_another_url(outcome.status):
        return _OUR_URL
    if around.others_fail:
        return _ALL_FAIL
    return _OUTAGE if outcome.outage else hiccup


def is_for_another_url(status: int | None) -> bool:
    """Whether a failure's status says that the partner has nothing at the url of our settings."""
    return status is not None and (300 <= status < 400 or status in (404, 405, 410))


def fail_together(status: Mapping[str, Any]) -> bool:
    """Whether several partners fail now, by `status --json`: the door's own line or clock may be at fault."""
    partners = status["partners"].values()
    usable = [one for one in partners if one["state"] != OUT_OF_ORDER]
    failing = [one for one in usable if one["unconnected"] or one["state"] == Condition.OUTAGE]
    return len(failing) > 1
