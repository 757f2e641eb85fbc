"""What to do about an event, in the words of the Event Monitor's page.

Sources: `reference/event-monitor.txt` ("What to do", "When it is a system issue") and the contract's
paragraph on advice.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Literal

from gatectl.decision.advice_words import WORDS, Key
from gatectl.decision.display import CHECK_IN_FIRST_KEY
from gatectl.decision.event import Attempt, Event, Outcome
from gatectl.decision.outage import RESTING
from gatectl.decision.verdict import Fault, Result, Verdict

_COMMUNICATION = frozenset({Fault.NETWORK, Fault.TLS, Fault.TIMEOUT, Fault.PARTNER})


def advice(event: Event, status_page: str | None, language: Literal["en", "de"] = "en") -> str:
    """A few sentences on one line, or "" where there is nothing to do.

    `status_page` is the partner's, where the settings name one.
    """
    attempt = event.attempt
    values = {
        "partner": attempt.partner or "",
        "code": shlex.quote(attempt.credential or ""),
        "door": shlex.quote(attempt.door),
        "id": attempt.id,
        "page": f" ({status_page})" if status_page else "",
    }
    return " ".join(WORDS[language][key].format(**values) for key in _sentences(attempt, event.outcome))


def _sentences(attempt: Attempt, outcome: Outcome) -> Iterator[Key]:
    if outcome.result is Result.ADMITTED:
        return
    match outcome.fault:
        case None:
            yield from _declined(outcome)
        case Fault.UNRECOGNISED:
            yield "no_route" if attempt.partner is None else "no_such_number"
            yield "support_if_right"
        case Fault.INTERRUPTED:
            yield "stopped"
            yield "stopped_unasked" if outcome.request is None else "stopped_asked"
        case fault if fault in _COMMUNICATION:
            yield from _communication(outcome)
        case Fault.GATE if outcome.verdict is None:
            yield from ("gate_out_of_order", "support")
        case fault:
            yield _OUR_SIDE[fault]
            yield "support"


_OUR_SIDE: dict[Fault, Key] = {
    Fault.CREDENTIALS: "our_key",
    Fault.CONFIGURATION: "our_settings",
    Fault.GATE: "our_gate",
    Fault.CARDS: "our_cards",
}


def _declined(outcome: Outcome) -> Iterator[Key]:
    if outcome.reason is not None and outcome.reason.key == CHECK_IN_FIRST_KEY:
        yield "check_in_first"
    else:
        yield "not_known" if outcome.verdict is Verdict.NOT_FOUND else "declined"
    yield "final"


def _communication(outcome: Outcome) -> Iterator[Key]:
    sent = outcome.request is not None and outcome.request.sent is not False
    if outcome.outage:
        yield "outage"
        if not sent:
            yield "own_network"
        return
    if outcome.reason is not None and outcome.reason.key == RESTING:
        yield from ("resting", "again", "keeps")
    elif not sent:
        yield from ("not_sent", "again", "support")
    else:
        yield from ("hiccup", "again", "keeps")
