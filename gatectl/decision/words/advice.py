"""Advice about an event, by the rules of the Event Monitor's page.

Source: https://support.magicline.com/hc/en-us/articles/47879904419857.
"""

from __future__ import annotations

import shlex

from gatectl.decision.cause import Around, cause_of
from gatectl.decision.event import Event
from gatectl.decision.words import Language, chosen
from gatectl.decision.words.advice_texts import SENTENCES

CODE_CHARS = 40
"""The longest code that a command in the advice repeats: longer ones are junk or too long to type."""


def _typed(code: str) -> str:
    """A code as a shell takes it, or the placeholder of the command's usage."""
    return shlex.quote(code) if len(code) <= CODE_CHARS else "CODE"


def advice(
    event: Event,
    status_page: str | None,
    language: Language = "en",
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
    keys = cause_of(event, around).advice
    if around.refuses_everyone:
        keys = ("refuses_everyone", *keys)
    return " ".join(chosen(SENTENCES[key], language).format(**values) for key in keys)
