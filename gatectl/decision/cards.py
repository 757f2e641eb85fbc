"""Enrolled cards, and how codes compare.

Codes compare exactly, but hex card numbers without regard to case and separators, in which readers differ.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

# 3 to 10 bytes in hex: 26-bit Wiegand, EM4100, ISO 14443 (4, 7 or 10 bytes) and ISO 15693 (8 bytes). Readers
# differ in case and in what they put between the digits. Without a letter the text may be a decimal number,
# in which a separator counts.
_HEX_NUMBER = re.compile(r"(?=.*[A-Fa-f])[0-9A-Fa-f](?:[:\- ]?[0-9A-Fa-f]){5,19}")
_SEPARATORS = str.maketrans("", "", ":- ")


class Card(NamedTuple):
    """A code as it was enrolled, and whose it is."""

    code: str
    partner: str
    member: str
    customer: str | None = None
    """The partner's own number of the customer, where it needs one."""


@lru_cache(maxsize=32)  # a scan needs the key of its code several times
def key_of(code: str) -> str:
    """The form in which codes are compared: hex card numbers in capitals without separators."""
    return code.translate(_SEPARATORS).upper() if is_hex_number(code) else code


def is_hex_number(code: str) -> bool:
    """Return whether it is a hex card number, compared without regard to case and separators."""
    return bool(_HEX_NUMBER.fullmatch(code)) and len(code.translate(_SEPARATORS)) % 2 == 0
