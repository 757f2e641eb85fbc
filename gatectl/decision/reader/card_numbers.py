"""The notations of a card's number: hex in either byte order, decimal, and facility,number.

A reader sends one of them, and another one is on the card or in the gym's software. The same card:

| notation | for example |
|---|---|
| hex, all five bytes of an EM4100 card | `010063E9AE` |
| hex, bytes reversed | `AEE9630001` |
| decimal of the last four bytes, ten digits | `0006547886` |
| decimal of the last three bytes as facility,number (26-bit Wiegand: 8 and 16 bits) | `099,59822` |
| the same of four bytes (34-bit Wiegand: 16 and 16 bits) | `00099,59822` |

The UID of a MIFARE card (ISO/IEC 14443-3) has 4, 7 or 10 bytes, that of an ISO/IEC 15693 tag 8.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

ReadAs = Literal["hex", "decimal"]
ByteOrder = Literal["as-read", "reversed"]
WriteAs = Literal["hex", "decimal", "decimal10", "facility", "facility-padded", "as-read"]

BYTES_MAX = 10
"""The longest UID of ISO/IEC 14443-3."""

HEX = re.compile(r"[0-9A-Fa-f]{2}(?:[:\- ]?[0-9A-Fa-f]{2}){2,9}")
SEPARATORS = str.maketrans("", "", ":- ")
DECIMAL = re.compile(r"[0-9]{1,25}")
"""25 digits hold ten bytes."""
SIZES = (4, 5, 7, 8, 10)
"""The bytes of cards' numbers, for a decimal whose size is not set."""

LONG_FACILITY_BYTES = 4
"""34-bit Wiegand."""


class Conversion(NamedTuple):
    """The way from what a reader sends to what the gym's cards and routes have."""

    read: ReadAs = "hex"
    size: int | None = None
    """Only so many bytes count, the last ones as read; None for all."""
    order: ByteOrder = "as-read"
    write: WriteAs = "as-read"

    def convert(self, text: str) -> str:
        """Return the number in the other notation; a text that is no such number as it is."""
        read = bytes_of(text, self.read, self.size)
        if read is None:
            return text
        number = read[-self.size :] if self.size else read
        is_whole = number == read or (self.read == "decimal" and not any(read[: -len(number)]))
        if self.write == "as-read" and self.order == "as-read" and is_whole:
            return text
        number = number[::-1] if self.order == "reversed" else number
        if self.write == "as-read":
            return number.hex().upper() if self.read == "hex" else _decimal_like(text, number)
        return _written(number, self.write, self.size)


def bytes_of(text: str, read: ReadAs, size: int | None) -> bytes | None:
    """Return the bytes of a number, the highest first; None if the text is no such number."""
    if read == "hex":
        return bytes.fromhex(text.translate(SEPARATORS)) if HEX.fullmatch(text) else None
    if not DECIMAL.fullmatch(text):
        return None
    value = int(text)
    needed = (value.bit_length() + 7) // 8
    least = size or next((usual for usual in SIZES if usual >= needed), needed)
    return value.to_bytes(max(needed, least)) if needed <= BYTES_MAX else None


def _decimal_like(text: str, number: bytes) -> str:
    """Write a decimal with as many digits as the one that was read, where that had leading zeros."""
    return str(int.from_bytes(number)).zfill(len(text) if text.startswith("0") else 0)


def _written(number: bytes, write: WriteAs, size: int | None) -> str:
    value = int.from_bytes(number)
    match write:
        case "hex" | "as-read":
            return number.hex().upper()
        case "decimal":
            return str(value)
        case "decimal10":
            return f"{value:010}"
        case "facility":
            return "{},{}".format(*_facility_of(value, size))
        case "facility-padded":
            return "{:03},{:05}".format(*_facility_of(value, size))


def _facility_of(value: int, size: int | None) -> tuple[int, int]:
    """Return facility and number: 8 and 16 bits; 16 and 16 where the size is four bytes."""
    facility = value >> 16 & (0xFFFF if size == LONG_FACILITY_BYTES else 0xFF)
    return facility, value & 0xFFFF
