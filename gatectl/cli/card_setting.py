"""The setting that makes of a card's number what is printed on it, for `gatectl devices`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from gatectl.decision.cards import key_of
from gatectl.decision.reader.card_notations import Fit, Sample, fits_of
from gatectl.decision.reader.card_numbers import Conversion
from gatectl.decision.toml_text import Value, toml_value
from gatectl.errors import GatectlError


class CardSetting(NamedTuple):
    """The setting that turns what the reader sends into what is printed on the cards."""

    table: dict[str, Value] | None
    """None where the reader sends it so already."""
    others: list[dict[str, Value]]
    """The settings that fit these cards too."""
    notes: list[str]
    """Lines for people."""


def card_table(conversion: Conversion) -> dict[str, Value]:
    """Return the setting `card` of a conversion, without what is at its default."""
    table: dict[str, Value] = {"read": conversion.read}
    if conversion.size is not None:
        table["bytes"] = conversion.size
    if conversion.order != "as-read":
        table["order"] = conversion.order
    return {**table, "write": conversion.write}


def setting_for(samples: Sequence[Sample]) -> CardSetting:
    """Return the setting for these cards. GatectlError if no setting fits them."""
    if all(key_of(one.read) == key_of(one.printed.strip()) for one in samples):
        return CardSetting(None, [], ["the reader sends the number as it is printed: no `card` is needed"])
    fits = fits_of(samples)
    if not fits:
        cards = ", ".join(f"{one.printed!r} from {one.read!r}" for one in samples)
        raise GatectlError(
            f"no setting makes {cards}",
            "is it the same card, and the whole number? The lines above show the card's other notations",
        )
    best, *others = fits
    notes = [*_about_padding(best, samples), *_about_others(others, samples)]
    return CardSetting(card_table(best.conversion), [card_table(one.conversion) for one in others], notes)


def _about_padding(best: Fit, samples: Sequence[Sample]) -> list[str]:
    if best.is_exact:
        return []
    come = " and ".join(best.conversion.convert(one.read) for one in samples)
    printed = " and ".join(one.printed for one in samples)
    return [f"no setting writes {printed}: with this one it is {come}; enrol cards and write routes so"]


def _about_others(others: list[Fit], samples: Sequence[Sample]) -> list[str]:
    """Ask for another card where these do not say which of several settings it is."""
    if not others:
        return []
    given = " ".join(f"--printed {shlex.quote(one.printed)}" for one in samples)
    also = " and ".join(f"card = {toml_value(card_table(one.conversion))}" for one in others)
    return [
        f"ambiguous: these settings fit as well: {also}",
        f"scan a second card too, to be sure: gatectl devices {given} --printed NUMBER-ON-THE-SECOND",
    ]
