"""Whether an event is a case for Support, by the rules of the Event Monitor's page.

Source: https://support.magicline.com/hc/en-us/articles/47879904419857 ("When it is a system issue").
"""

from __future__ import annotations

from dataclasses import dataclass

from gatectl.decision.cause import Around, cause_of
from gatectl.decision.event import Event


@dataclass(frozen=True, slots=True)
class Triage:
    """Whether Support is to be contacted, and by which rule, in a sentence."""

    is_for_support: bool
    why: str


WHY = {
    "admitted": "the member was admitted",
    "by_hand": "the door was opened by hand",
    "by_hand_shut": "the gate did not open by hand",
    "erased": "one member's data was erased",
    "again": "the member had been admitted and did not pass; nobody was asked again",
    "checked_in": "the member has passed, and is checked in",
    "not_checked_in": "the member is inside and not checked in; the front desk has to do that",
    "came_back": "{partner} refused a second visit, and the member had passed a short while ago",
    "grace": "{partner} had an outage, and the member was let in without it",
    "passed": "the member passed",
    "not_passed": "the member did not pass; the same code opens once more within again_s",
    "unexpected": "somebody passed whom nobody had admitted; look at the gate, or at its sensor",
    "closed": "nobody is let in at this time; nobody was asked",
    "locked_out": "the door was locked down while {partner} was asked, which had admitted the member",
    "fire": "the fire input was active",
    "mode": "a person or a schedule decided that",
    "exit": "somebody left",
    "forced": "nothing had unlocked the door; look at the door, or at its contact",
    "held_open": "somebody has to close the door; if it is closed, look at its contact",
    "closed_again": "the door is closed again",
    "input": "somebody has to look at the wiring of this input",
    "input_ok": "the input works again",
    "later_version": "a later version of gatectl made this event",
    "declined": "{partner} decided; the member has to ask {partner}",
    "not_known": "{partner} decided; look at the card's number, then the member has to ask {partner}",
    "app_first": "{partner} decided; the member checks in in the app first",
    "app_again": "{partner} decided; the member checks in in the app again",
    "in_already": "{partner} decided; the member has been checked in already",
    "front_desk": "{partner} decided; the member has to ask at the front desk",
    "front_desk_not_known": "{partner} decided; the front desk has to look at the card's number",
    "no_route": (
        "the request did not go out at all, as no card and no route takes the code; look at those first"
    ),
    "no_such_number": (
        "the request did not go out at all, as a number that {partner} is asked with is missing or none that "
        "it can have; look at the card or the route first"
    ),
    "our_cards": "the request did not go out at all, as the enrolled cards could not be read",
    "gate_out_of_order": "the request did not go out at all, as the gate is out of order",
    "our_gate": "the partner answered with a success, and the gate did not open",
    "our_key": "the partner refuses this gym's own key, which no member can fix",
    "our_settings": "the partner does not know this gym as it is set up, which no member can fix",
    "our_url": "{partner}'s server has nothing at the url in this gym's settings",
    "our_files": (
        "the request did not go out to {partner} at all, as a key or a certificate for it cannot be used; "
        "look at `gatectl check` first"
    ),
    "our_clock": "the request did not go out to {partner} at all, as this machine's clock is behind",
    "not_sent": "the request did not go out to {partner} at all",
    "not_sent_for_anyone": (
        "the request did not go out to {partner} at all, for anyone; look at this door's own network and "
        "clock first"
    ),
    "all_fail": (
        "{partner} and another partner fail at the same time; look at this door's own network and clock first"
    ),
    "outage": "{partner} fails for everyone, which is an outage at {partner}",
    "resting": "{partner} had asked for a pause; the member tries again in five minutes",
    "hiccup": "a brief hiccup at {partner}; the member tries again in five minutes",
    "stopped": "gatectl was stopped in the middle of the scan; the member scans again",
}
"""The reasons for and against a case for Support, by the key of the cause."""


def triage(event: Event, around: Around = Around()) -> Triage:  # noqa: B008 - frozen
    """Yes in the page's two cases, and where the gym's own line, clock or setting is at fault; else no.

    `around` is what the events next to this one say (`decision/cause.py`).
    """
    cause = cause_of(event, around)
    why = WHY[cause.key].format(partner=event.attempt.partner)
    if around.refuses_everyone:
        why += ", but it has refused five different members in a row: check key, url and IDs first"
    return Triage(cause.is_for_support, why)
