"""Whether an event is a case for Support, by the rules of the Event Monitor's page.

Source: `reference/event-monitor.txt`, "When it is a system issue" and "What to send to Support", and the
contract's paragraph on advice.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatectl.decision.event import Event
from gatectl.decision.outage import RESTING
from gatectl.decision.verdict import Fault, Result


@dataclass(frozen=True, slots=True)
class Case:
    """Whether Support is to be contacted, and by which rule, in a sentence."""

    is_for_support: bool
    why: str


def _yes(why: str) -> Case:
    return Case(is_for_support=True, why=why)


def _no(why: str) -> Case:
    return Case(is_for_support=False, why=why)


_OUR_SIDE = {
    Fault.GATE: "the partner answered with a success, and the gate did not open",
    Fault.CREDENTIALS: "the partner refuses this gym's own key, which no member can mend",
    Fault.CONFIGURATION: "the partner does not know this gym as it is set up, which no member can mend",
    Fault.CARDS: "the enrolled cards cannot be read, so nobody is asked; no member can mend that",
    Fault.UNRECOGNISED: "the request did not go out at all, as no card and no route leads to a number that "
    "a partner can have; look at those first",
}


def case_of(event: Event) -> Case:
    """Yes in the page's two cases and where the gym's own key or setting is refused; no in all others."""
    attempt, outcome = event.attempt, event.outcome
    fault, request = outcome.fault, outcome.request
    if attempt.kind == "manual":
        if fault is None:
            return _no("the door was opened by hand")
        return _yes("the gate did not open by hand")
    if outcome.result is Result.ADMITTED:
        return _no("the member was admitted")
    if fault is None:
        return _no(f"{attempt.partner} decided; the member has to ask {attempt.partner}")
    if fault in _OUR_SIDE:
        return _yes(_OUR_SIDE[fault])
    if fault is Fault.INTERRUPTED:
        return _no("gatectl was stopped in the middle of the scan; the member scans again")
    if outcome.outage:
        return _no(f"{attempt.partner} fails for everyone, which is an outage at {attempt.partner}")
    if outcome.reason is not None and outcome.reason.key == RESTING:
        return _no(f"{attempt.partner} had asked for a pause; the member tries again in five minutes")
    if request is None or request.sent is False:
        return _yes(f"the request did not go out to {attempt.partner} at all")
    return _no(f"a brief hiccup at {attempt.partner}; the member tries again in five minutes")
