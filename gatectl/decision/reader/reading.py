"""The readings of a scanner: complete codes, and input that had to be dropped.

A code is UTF-8 text of at most 512 characters without control characters. A byte order mark and blanks
around it are taken off: QR generators write the mark, Code 39 and some readers pad with blanks.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple, TypedDict, Unpack

MAX_CHARS = 512
AIM_CHARS = 3
_AIM = re.compile(r"\][A-Za-z].")
ROOM = 64
"""For what is taken off around a code: an AIM prefix, a byte order mark, blanks."""
MAX_BYTES = 4 * MAX_CHARS + ROOM
"""Longer input is never a code: UTF-8 needs at most four bytes a character."""
_AROUND = (
    "\ufeff \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""The byte order mark and the blanks of Unicode that are no control characters (categories Zs, Zl, Zp)."""


ENDINGS = {"\0": "NUL", "\x03": "ETX", "\x04": "EOT", "\t": "TAB", "\n": "LF", "\r": "CR"}
"""The control characters that end a line, with their names."""


class DropReason(StrEnum):
    """Why input was dropped; the values are keys of `status` and words of the systemd journal."""

    TOO_LONG = "too_long"
    UNDECODABLE = "undecodable"
    CONTROL = "control_character"
    CHECKSUM = "checksum"
    FRAME = "damaged_frame"
    NOISE = "noise"
    LOST = "events_lost"
    KEY = "unknown_key"
    INCOMPLETE = "incomplete"


UNREADABLE = frozenset(
    {DropReason.UNDECODABLE, DropReason.CONTROL, DropReason.CHECKSUM, DropReason.LOST, DropReason.KEY}
)
"""Flaws of complete readings: somebody has shown something and may try again. The others are noise or half
codes."""


class Code(NamedTuple):
    """A complete code, fit to be a credential."""

    text: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """Input that was thrown away, and why."""

    flaw: DropReason
    detail: str = field(default="", compare=False)
    """The key or byte that could not be read, for a technician; empty where it is not a single one."""


Reading = Code | Dropped


INCOMPLETE_S = 3.0
"""A code that has not ended so long after its first character was abandoned: a person types a PIN of eight
digits within it, and must not have the digits of somebody before in front of his."""


Encoding = Literal["utf-8", "latin-1", "cp1252", "ascii"]


class Affixes(TypedDict, total=False):
    """Options: the text that a reader adds before and after its codes, to be taken off once."""

    strip_aim: bool
    """An AIM symbology identifier in front, such as ]C1."""
    strip_prefix: str
    strip_suffix: str


class TextOptions(Affixes, total=False):
    """Options for a reader of bytes: their encoding too."""

    encoding: Encoding


def reading_of(raw: bytes, *, encoding: Encoding = "utf-8", **affixes: Unpack[Affixes]) -> Reading | None:
    """Return the code in these bytes, or the reason why there is none; None if there are no bytes left."""
    if len(raw) > MAX_BYTES:
        return Dropped(DropReason.TOO_LONG)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        return Dropped(DropReason.UNDECODABLE, f"byte 0x{raw[error.start]:02X}")
    return reading_of_text(text, **affixes)


def bare(text: str) -> str:
    """The text without what is taken off around each code."""
    return text.strip(_AROUND)


def reading_of_text(
    text: str, *, strip_aim: bool = False, strip_prefix: str = "", strip_suffix: str = ""
) -> Reading | None:
    """As `reading_of`, for text."""
    # Before anything is cut off: a control character must not hide in the prefix.
    if not text.isprintable():  # a quick answer for nearly all codes
        control = next((char for char in text if unicodedata.category(char) == "Cc"), None)
        if control is not None:
            return Dropped(DropReason.CONTROL, f"byte 0x{ord(control):02X}")
    whole = bare(text)
    text = whole.removeprefix(strip_prefix)
    if strip_aim and _AIM.match(text):
        text = text[AIM_CHARS:]
        if text.startswith(strip_prefix) and not whole.startswith(strip_prefix):  # after the AIM
            text = text.removeprefix(strip_prefix)
    text = bare(text.removesuffix(strip_suffix))
    if len(text) > MAX_CHARS:
        return Dropped(DropReason.TOO_LONG)
    return Code(text) if text else None
