"""What to do about an event, in the words of the Event Monitor's page.

Sources: `reference/event-monitor.txt` ("What to do", "When it is a system issue") and the contract's
paragraph on advice.
"""

from __future__ import annotations

import shlex

from gatectl.decision.display import CHECK_IN_FIRST_KEY
from gatectl.decision.event import Attempt, Event, Outcome
from gatectl.decision.outage import RESTING
from gatectl.decision.verdict import Fault, Result, Verdict

_COMMUNICATION = frozenset({Fault.NETWORK, Fault.TLS, Fault.TIMEOUT, Fault.PARTNER})


def advice(event: Event, status_page: str | None) -> str:
    """A few sentences on one line, or "" where there is nothing to do.

    `status_page` is the partner's, where the settings name one.
    """
    attempt, outcome = event.attempt, event.outcome
    if outcome.result is Result.ADMITTED:
        return ""
    match outcome.fault:
        case None:
            return _declined(attempt, outcome)
        case Fault.UNRECOGNISED:
            return _unrecognised(attempt)
        case Fault.INTERRUPTED:
            return _interrupted(outcome)
        case fault if fault in _COMMUNICATION:
            return _communication(attempt, outcome, status_page)
        case fault:
            return f"{_OUR_SIDE[fault]} {_support(attempt)}"


_OUR_SIDE = {
    Fault.CREDENTIALS: "The partner refuses this gym's own key; no member can mend that.",
    Fault.CONFIGURATION: "The partner does not know this gym as it is set up here; no member can mend that.",
    Fault.GATE: "The partner admitted the member, but the gate did not open.",
}


def _support(attempt: Attempt) -> str:
    return f"Contact Support, with what `gatectl report {attempt.id}` collects."


def _declined(attempt: Attempt, outcome: Outcome) -> str:
    contact = f"contact {attempt.partner} directly to clarify the membership"
    final = "This decision cannot be overridden here."
    if outcome.reason is not None and outcome.reason.key == CHECK_IN_FIRST_KEY:
        return (
            f"{attempt.partner} has no check-in waiting: ask the member to check in in the app first and to "
            f"try again. If that does not help, the member should {contact}. {final}"
        )
    knows = "does not know this member" if outcome.verdict is Verdict.NOT_FOUND else "declined"
    return f"{attempt.partner} {knows}: ask the member to {contact}. {final}"


def _unrecognised(attempt: Attempt) -> str:
    code = shlex.quote(attempt.credential or "")
    check = f"check the card or the route with `gatectl route {code} --door {shlex.quote(attempt.door)}`"
    support = f"If they are as they should be: {_support(attempt)}"
    if attempt.partner is None:
        return f"No card and no route takes this code: {check}. {support}"
    return f"{attempt.partner} has no members with such a number: {check}. {support}"


def _interrupted(outcome: Outcome) -> str:
    what = "gatectl stopped before it could record how this scan ended."
    if outcome.request is None:
        return f"{what} Nobody was asked. Ask the member to scan again."
    return (
        f"{what} The request may have gone out, and the partner may have counted the check-in. Ask the "
        "member to scan again; if the partner now refuses, the member should contact the partner."
    )


def _communication(attempt: Attempt, outcome: Outcome, status_page: str | None) -> str:
    sent = outcome.request is not None and outcome.request.sent is not False
    if outcome.outage:
        where = f" ({status_page})" if status_page else ""
        own = "" if sent else " No request got through: look at this door's own network too."
        return (
            f"{attempt.partner} fails for everyone, which is an outage: check its status page{where} and "
            f"contact {attempt.partner}. There is no need to contact Support.{own}"
        )
    again = "Ask the member to try again in five minutes."
    keeps = f"If it keeps happening, {attempt.partner} should be contacted."
    if outcome.reason is not None and outcome.reason.key == RESTING:
        return f"{attempt.partner} asked for a pause, so no request was made. {again} {keeps}"
    if not sent:
        return f"The request did not go out to {attempt.partner}. {again} {_support(attempt)}"
    return f"Probably a brief hiccup at {attempt.partner}. {again} {keeps}"
