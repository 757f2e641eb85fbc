"""Whether an event is a case for Support, by the rules of the Event Monitor's page.

Source: https://support.magicline.com/hc/en-us/articles/47879904419857 ("When it is a system issue").
"""

from __future__ import annotations

from dataclasses import dataclass

from gatectl.decision.cause import Around, Cause, cause_of
from gatectl.decision.event import Event


@dataclass(frozen=True, slots=True)
class Triage:
    """Whether Support is to be contacted, and by which rule, in a sentence."""

    is_for_support: bool
    why: str


_NO = {
    Cause.ADMITTED: "the member was admitted",
    Cause.BY_HAND: "the door was opened by hand",
    Cause.ERASED: "one member's data was erased",
    Cause.DECLINED: "{partner} decided; the member has to ask {partner}",
    Cause.NOT_KNOWN: "{partner} decided; look at the card's number, then the member has to ask {partner}",
    Cause.APP_FIRST: "{partner} decided; the member checks in in the app first",
    Cause.APP_AGAIN: "{partner} decided; the member checks in in the app again",
    Cause.IN_ALREADY: "{partner} decided; the member has been checked in already",
    Cause.FRONT_DESK: "{partner} decided; the member has to ask at the front desk",
    Cause.FRONT_DESK_NOT_KNOWN: "{partner} decided; the front desk has to look at the card's number",
    Cause.OUTAGE: "{partner} fails for everyone, which is an outage at {partner}",
    Cause.RESTING: "{partner} had asked for a pause; the member tries again in five minutes",
    Cause.HICCUP: "a brief hiccup at {partner}; the member tries again in five minutes",
    Cause.STOPPED_UNASKED: "gatectl was stopped in the middle of the scan; the member scans again",
    Cause.STOPPED_ASKED: "gatectl was stopped in the middle of the scan; the member scans again",
}
_YES = {
    Cause.BY_HAND_SHUT: "the gate did not open by hand",
    Cause.NO_ROUTE: "the request did not go out at all, as no card and no route takes the code; look at "
    "those first",
    Cause.NO_SUCH_NUMBER: "the request did not go out at all, as a number that {partner} is asked with is "
    "missing or none that it can have; look at the card or the route first",
    Cause.CARDS: "the request did not go out at all, as the enrolled cards could not be read",
    Cause.GATE_OUT_OF_ORDER: "the request did not go out at all, as the gate is out of order",
    Cause.GATE_STAYED_SHUT: "the partner answered with a success, and the gate did not open",
    Cause.OUR_KEY: "the partner refuses this gym's own key, which no member can mend",
    Cause.OUR_SETTINGS: "the partner does not know this gym as it is set up, which no member can mend",
    Cause.OUR_URL: "{partner}'s server has nothing at the url in this gym's settings",
    Cause.OUR_CLOCK: "the request did not go out to {partner} at all, as this machine's clock is behind",
    Cause.NOT_SENT: "the request did not go out to {partner} at all",
    Cause.NOT_SENT_FOR_ANYONE: "the request did not go out to {partner} at all, for anyone; look at this "
    "door's own network and clock first",
    Cause.ALL_FAIL: "{partner} and another partner fail at the same time; look at this door's own network "
    "and clock first",
}


def triage(event: Event, around: Around = Around()) -> Triage:  # noqa: B008 - frozen
    """Yes in the page's two cases, and where the gym's own line, clock or setting is at fault; else no.

    `around` is what the events next to this one say (`decision/cause.py`).
    """
    cause = cause_of(event, around)
    is_for_support = cause in _YES
    why = (_YES if is_for_support else _NO)[cause].format(partner=event.attempt.partner)
    if around.refuses_everyone:
        why += ", but it has refused five different members in a row: check key, url and IDs first"
    return Triage(is_for_support, why)
