"""What comes out of a scanner: whole codes, and what had to be thrown away.

Source: the contract's section on settings (codes are UTF-8 text of at most 512 characters without
control characters) and `reference/readers.md`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

MAX_CHARS = 512
AIM_CHARS = 3
_AIM = re.compile(r"\][A-Za-z].")
MAX_BYTES = 4 * MAX_CHARS + 6
"""Longer input can never become a code: UTF-8 needs at most four bytes a character, and an AIM
prefix at most six."""


class Flaw(StrEnum):
    """Why input was dropped; the values are keys of `status` and words of the systemd journal."""

    TOO_LONG = "too_long"
    UNDECODABLE = "undecodable"
    CONTROL = "control_character"
    CHECKSUM = "checksum"
    FRAME = "damaged_frame"
    NOISE = "noise"
    LOST = "events_lost"
    KEY = "unknown_key"


@dataclass(frozen=True, slots=True)
class Code:
    """A complete code, fit to be a credential."""

    text: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """Input that was thrown away, and why."""

    flaw: Flaw


Reading = Code | Dropped


def reading_of(raw: bytes, *, strip_aim: bool = False) -> Reading | None:
    """What these bytes are: a code, or why they are none; None where nothing is left to read."""
    if len(raw) > MAX_BYTES:
        return Dropped(Flaw.TOO_LONG)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return Dropped(Flaw.UNDECODABLE)
    return reading_of_text(text, strip_aim=strip_aim)


def reading_of_text(text: str, *, strip_aim: bool = False) -> Reading | None:
    """The same for text. An AIM symbology identifier in front is stripped where that is set."""
    # Before anything is cut off: a control character must not hide in the prefix.
    if any(unicodedata.category(char) == "Cc" for char in text):
        return Dropped(Flaw.CONTROL)
    if strip_aim:
        text = text[AIM_CHARS:] if _AIM.match(text) else text
    if len(text) > MAX_CHARS:
        return Dropped(Flaw.TOO_LONG)
    return Code(text) if text else None
