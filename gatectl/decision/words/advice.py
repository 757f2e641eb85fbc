"""Advice about an event, by the rules of the Event Monitor's page.

Source: https://support.magicline.com/hc/en-us/articles/47879904419857.
"""

from __future__ import annotations

import shlex
from typing import Literal

from gatectl.decision.cause import Around, Cause, cause_of
from gatectl.decision.event import Event
from gatectl.decision.words.advice_texts import WORDS, Key

_SENTENCES: dict[Cause, tuple[Key, ...]] = {
    Cause.ADMITTED: (),
    Cause.ERASED: (),
    Cause.BY_HAND: (),
    Cause.BY_HAND_SHUT: ("our_relay", "support"),
    Cause.DECLINED: ("declined", "final"),
    Cause.NOT_KNOWN: ("not_known", "final"),
    Cause.APP_FIRST: ("check_in_first", "final"),
    Cause.APP_AGAIN: ("check_in_again",),
    Cause.IN_ALREADY: ("in_already",),
    Cause.FRONT_DESK: ("front_desk",),
    Cause.FRONT_DESK_NOT_KNOWN: ("front_desk_not_known",),
    Cause.NO_ROUTE: ("no_route", "support_if_right"),
    Cause.NO_SUCH_NUMBER: ("no_such_number", "support_if_right"),
    Cause.CARDS: ("our_cards", "support"),
    Cause.GATE_OUT_OF_ORDER: ("gate_out_of_order", "support"),
    Cause.GATE_STAYED_SHUT: ("our_gate", "support"),
    Cause.OUR_KEY: ("our_key", "support"),
    Cause.OUR_SETTINGS: ("our_settings", "support"),
    Cause.OUR_URL: ("our_url", "support"),
    Cause.OUR_CLOCK: ("not_sent", "own_clock", "support"),
    Cause.NOT_SENT: ("not_sent", "own_network", "again", "support"),
    Cause.NOT_SENT_FOR_ANYONE: ("not_sent", "own_network", "then_partner", "support"),
    Cause.ALL_FAIL: ("all_fail", "own_network", "then_partner", "support"),
    Cause.OUTAGE: ("outage",),
    Cause.RESTING: ("resting", "again", "keeps"),
    Cause.HICCUP: ("hiccup", "again", "keeps"),
    Cause.STOPPED_UNASKED: ("stopped", "stopped_unasked"),
    Cause.STOPPED_ASKED: ("stopped", "stopped_asked"),
}


CODE_CHARS = 40
"""The longest code that a command in the advice repeats: longer ones are junk or too long to type."""


def _typed(code: str) -> str:
    """A code as a shell takes it, or the placeholder of the command's usage."""
    return shlex.quote(code) if len(code) <= CODE_CHARS else "CODE"


def advice(
    event: Event,
    status_page: str | None,
    language: Literal["en", "de"] = "en",
    around: Around = Around(),  # noqa: B008 - frozen
) -> str:
    """A few sentences on one line, or "" where there is nothing to do.

    `status_page` is the partner's, where the settings name one; `around` is what the events next to this
    one say (`decision/cause.py`).
    """
    attempt = event.attempt
    values = {
        "partner": attempt.partner or "",
        "code": _typed(attempt.credential or ""),
        "door": shlex.quote(attempt.door),
        "id": attempt.id,
        "page": f" ({status_page})" if status_page else "",
        "status": event.outcome.status,
    }
    keys = _SENTENCES[cause_of(event, around)]
    if around.refuses_everyone:
        keys = ("refuses_everyone", *keys)
    return " ".join(WORDS[language][key].format(**values) for key in keys)
