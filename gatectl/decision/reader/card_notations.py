"""The other notations of a card: to show them, to find the setting, and to find the card again.

`card_numbers` has the notations themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from gatectl.decision.cards import is_hex_number, key_of
from gatectl.decision.reader.card_numbers import (
    DECIMAL,
    HEX,
    LONG_FACILITY_BYTES,
    SEPARATORS,
    SIZES,
    ByteOrder,
    Conversion,
    ReadAs,
    WriteAs,
    bytes_of,
)

_FACILITY = re.compile(r"([0-9]{1,5})[,.;:/\- ] ?([0-9]{1,5})")
_FACILITY_JOINED = re.compile(r"([0-9]{3})([0-9]{5})")
_TEN_DIGITS = 10

_CARD_DIGITS = re.compile(r"[0-9]{8}|[0-9]{10}|0[0-9]{12}")
"""Digits alone that are more likely a card than a ticket or a member: four bytes, or the five of an EM4100
card in thirteen digits."""
_LONG_HEX_DIGITS = re.compile(r"[0-9]{14}|[0-9]{16}|[0-9]{20}")
"""Seven, eight or ten bytes in hex that happen to have no letter: some two cards in a thousand."""
_LONG_DECIMAL = re.compile(r"[0-9]{6,25}")
"""A decimal of fewer digits is rather a PIN than a card."""
_TICKET = re.compile(r"[1-9][0-9]{12}")
"""Digits that are more likely a member's number at Wellhub, or an article's, than a card."""

_EM4100_BYTES = 5
_FACILITY_BYTES = 3


class Notation(NamedTuple):
    """A number in one notation, and the conversion that makes it."""

    text: str
    conversion: Conversion


def looks_like_card(text: str) -> bool:
    """Return whether a text is rather a card's number than a ticket or a member's number."""
    is_hex = bool(HEX.fullmatch(text)) and not text.isdigit()
    return is_hex or bool(_CARD_DIGITS.fullmatch(text))


def notations(text: str) -> list[Notation]:
    """Return a card's number in its usual notations, the likeliest first; empty if it is none."""
    reads = _reads(text)
    found = {text: Notation(text, Conversion(reads[0]))} if reads else {}
    for conversion in _conversions(text, usual=True):
        other = conversion.convert(text)
        if key_of(other) != key_of(text):
            found.setdefault(other, Notation(other, _unpadded(conversion, [other])))
    return list(found.values())


def _unpadded(conversion: Conversion, texts: list[str]) -> Conversion:
    """Return the plain conversion to decimals, where these are longer than padding makes them."""
    is_long = conversion.write == "decimal10" and all(len(text) > _TEN_DIGITS for text in texts)
    return conversion._replace(write="decimal") if is_long else conversion


def _reads(text: str) -> list[ReadAs]:
    found: list[ReadAs] = ["decimal"] if DECIMAL.fullmatch(text) else []
    return [*found, "hex"] if HEX.fullmatch(text) else found


def _conversions(text: str, *, usual: bool = False) -> Iterator[Conversion]:
    """Yield the conversions of a text, the likeliest first; `usual` leaves out rare numbers of bytes."""
    orders: tuple[ByteOrder, ...] = ("as-read", "reversed")
    writes: tuple[WriteAs, ...] = ("decimal10", "decimal", "facility-padded", "facility", "hex")
    for order, read, write in product(orders, _reads(text), writes):
        number = bytes_of(text, read, None)
        if number is not None:
            sizes = _usual_sizes(len(number), write)
            more = () if usual else _rare_sizes(len(number), write)
            yield from (Conversion(read, size, order, write) for size in dict.fromkeys((*sizes, *more)))


def _usual_sizes(count: int, write: WriteAs) -> tuple[int, ...]:
    """Return how many bytes of a number count usually, the likeliest first."""
    if write in {"facility", "facility-padded"}:
        return (_FACILITY_BYTES, LONG_FACILITY_BYTES) if count == LONG_FACILITY_BYTES else (_FACILITY_BYTES,)
    # The first byte of an EM4100 card is no part of the number that is printed.
    return (count - 1, count) if count == _EM4100_BYTES and write != "hex" else (count,)


def _rare_sizes(count: int, write: WriteAs) -> tuple[int, ...]:
    if write in {"facility", "facility-padded"}:
        return (LONG_FACILITY_BYTES,)
    return (*(size for size in SIZES if size > count), *range(count - 1, 1, -1))


# --- From a card to the setting -------------------------------------------------------------------


class Sample(NamedTuple):
    """A card: the reader's code, and the number on the card or in the gym's software."""

    read: str
    printed: str


class Fit(NamedTuple):
    """A conversion that makes of a card what is printed on it."""

    conversion: Conversion
    is_exact: bool
    """False where only leading zeros or the separator differ."""


def fits_of(samples: Iterable[Sample]) -> list[Fit]:
    """Return the conversions that fit all of these cards, the likeliest first.

    More than one means that the cards do not say which it is. Those that differ in bytes which are zero on
    each of these cards count as one.
    """
    samples = list(samples)
    fitting = []
    for conversion in _conversions(samples[0].read):
        grades = [_grade(conversion.convert(one.read), conversion, one.printed) for one in samples]
        if None not in grades:
            fitting.append(Fit(conversion, all(grades)))
    return _different([fit for fit in fitting if fit.is_exact] or fitting, samples)


def _grade(text: str, conversion: Conversion, printed: str) -> bool | None:
    """Return True where both are the same, False where they are but for zeros and separators, else None."""
    printed = printed.strip()
    if key_of(text) == key_of(printed) or text == printed.translate(SEPARATORS).upper():
        return True
    if conversion.write in {"decimal", "decimal10"}:
        return False if DECIMAL.fullmatch(printed) and int(printed) == int(text) else None
    if conversion.write in {"facility", "facility-padded"}:
        parts = _FACILITY.fullmatch(printed) or _FACILITY_JOINED.fullmatch(printed)
        same = parts and [int(part) for part in parts.groups()] == [int(part) for part in text.split(",")]
        return False if same else None
    return None


def _different(fits: list[Fit], samples: list[Sample]) -> list[Fit]:
    """Leave out conversions that differ from an earlier one only in bytes that are zero, or in no padding."""
    found: dict[tuple[object, ...], Fit] = {}
    for fit in fits:
        one = _unpadded(fit.conversion, [fit.conversion.convert(card.read) for card in samples])
        found.setdefault((one.read, one.order, one.write), Fit(one, fit.is_exact))
    # The padding cannot be found if no notation is the printed one: take the likeliest.
    return list(found.values()) if fits and fits[0].is_exact else list(found.values())[:1]


# --- The same card in another notation ------------------------------------------------------------


class _Numbers(NamedTuple):
    """The numbers that a text may stand for: with all of its bytes, and with its last ones."""

    whole: frozenset[int]
    parts: frozenset[int] = frozenset()


def _numbers_in(text: str) -> _Numbers:
    facility = _FACILITY.fullmatch(text)
    if facility:
        return _Numbers(frozenset({int(facility[1]) << 16 | int(facility[2])}))
    if not looks_like_card(text) and not _LONG_DECIMAL.fullmatch(text):
        return _Numbers(frozenset())
    read = [number for read in _reads(text) if (number := bytes_of(text, read, None))]
    both = [one for number in read for one in (number, number[::-1])]
    sizes = (4, 3) if looks_like_card(text) or _LONG_HEX_DIGITS.fullmatch(text) else ()
    cut = [one[-size:] for one in both for size in sizes if len(one) > size]
    cut += [part[::-1] for part in cut]  # a reader's bytes are cut before they are reversed
    return _Numbers(frozenset(map(int.from_bytes, both)), frozenset(map(int.from_bytes, cut)))


class KnownCards:
    """Codes of cards, which are found again in another notation."""

    def __init__(self, codes: Iterable[str]) -> None:
        self._whole: dict[int, list[str]] = {}
        self._parts: dict[int, list[str]] = {}
        for code in codes:
            numbers = _numbers_in(code)
            for index, found in ((self._whole, numbers.whole), (self._parts, numbers.parts)):
                for number in found:
                    index.setdefault(number, []).append(code)

    def others(self, code: str) -> list[str]:
        """Return the codes that may be the same card in another notation."""
        numbers = _numbers_in(code)
        found = [one for number in numbers.whole | numbers.parts for one in self._whole.get(number, ())]
        found += [one for number in numbers.whole for one in self._parts.get(number, ())]
        return [one for one in dict.fromkeys(found) if key_of(one) != key_of(code)]


class SearchTerms(NamedTuple):
    """The other notations of a card that somebody looks for."""

    texts: frozenset[str] = frozenset()
    """Notations of digits alone, and facility,number."""
    hex: frozenset[str] = frozenset()
    """Hex numbers with a letter, as `key_of` has them."""
    patterns: tuple[str, ...] = ()
    """Hex numbers of which the notation lacks bytes: patterns as SQLite's GLOB and fnmatch have them."""

    def fit(self, code: str) -> bool:
        """Return whether a code is one of them."""
        is_like = code.isascii() and any(fnmatchcase(code.upper(), pattern) for pattern in self.patterns)
        return is_like or code in self.texts or key_of(code) in self.hex


@lru_cache(maxsize=32)  # a live list compares every event with the same search
def search_terms(text: str) -> SearchTerms:
    """Return what to look for besides the text itself; nothing if it is no card's number."""
    facility = _FACILITY.fullmatch(text)
    if facility:
        number = (int(facility[1]) << 16 | int(facility[2])).to_bytes(5)[-4:]
        number = number if number[0] else number[1:]
    elif looks_like_card(text) or (_LONG_DECIMAL.fullmatch(text) and not _TICKET.fullmatch(text)):
        number = bytes_of(text, _reads(text)[0], None) or b""
    else:
        return SearchTerms()
    shown, turned = number.hex().upper(), number[::-1].hex().upper()
    made = {one.text for read in (text, shown, turned) for one in notations(read)} - {text}
    hexes = {key_of(one) for one in made if is_hex_number(one)}
    any_byte = "[0-9A-F][0-9A-F]"
    missing = range(1, _EM4100_BYTES + 1 - len(number))
    patterns = [f"{any_byte * count}{shown}" for count in missing]
    patterns += [f"{turned}{any_byte * count}" for count in missing]
    texts = frozenset(one for one in made if not is_hex_number(one))
    return SearchTerms(texts, frozenset(hexes), tuple(patterns))
