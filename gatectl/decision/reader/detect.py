"""Recognise how a new scanner sends its codes: framing or layout, ending, checksum.

One scan in, what it is out, and the settings that read it so.

Source: ISO/IEC 15424 for the symbology identifiers.
"""

from __future__ import annotations

import functools
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gatectl.decision.reader.framing import Framing, framer
from gatectl.decision.reader.keymap import Layout
from gatectl.decision.reader.keys import KeyDecoder, KeyEvent
from gatectl.decision.reader.reading import (
    ENDINGS,
    Code,
    Dropped,
    DropReason,
    Encoding,
    Reading,
    reading_of,
    reading_of_text,
)
from gatectl.decision.toml_text import Value, toml_key, toml_value

HAND_S = 0.06
"""Scanners type a character every 8 to 50 ms, as their USB interval and their setting have it; a very fast
typist needs 80 ms."""

_SYMBOLOGIES = {
    "A": "Code 39",
    "C": "Code 128",
    "E": "EAN/UPC",
    "F": "Codabar",
    "G": "Code 93",
    "H": "Code 11",
    "I": "Interleaved 2 of 5",
    "L": "PDF417",
    "M": "MSI",
    "Q": "QR Code",
    "U": "MaxiCode",
    "X": "another code",
    "d": "Data Matrix",
    "e": "GS1 DataBar",
    "z": "Aztec Code",
}
_AIM = re.compile(rf"\]([{''.join(_SYMBOLOGIES)}])[0-9A-Za-z]")

_LINE = re.compile(rb"([\r\n\t\x03\x04\x00]*)([^\r\n\t\x03\x04\x00]+)([\r\n\t\x03\x04\x00]*)")
_STX, _ETX = 2, 3
_LRC_FRAME = re.compile(rb"\x02[^\x02\x03]*\x03")

_FRAMES: dict[Framing, str] = {
    "id12la": "STX, ten hex digits, a checksum that is right, CR LF, ETX",
    "rdm6300": "STX, ten hex digits, a checksum that is right, ETX",
}

_PARITIES = {"E": "even parity", "O": "odd parity", "M": "mark parity"}
_PARITY_BYTES = 6
"""Fewer bytes of noise have one parity by chance too often (1 in 32 for six)."""
_C1 = frozenset(range(0x80, 0xA0))
"""Control characters in Latin-1, quotes and the Euro sign in Windows-1252."""
_MOSTLY = 0.6
"""Random bytes are printable ASCII to 37 % (95 of 256), words with umlauts to far more."""

_SILENCE = "a silence"

_OTHERS = 6
"""Layouts to name besides the first that read the same."""

_SERIAL_IDLE_MS, _KEYS_IDLE_MS = 100, 500
"""The shortest silence to set for readers that send no ending. A USB hub reports an unplugged keyboard
within 256 ms, and a code that it cut in two must be known as such before a silence makes it whole."""
_IDLE_FACTOR = 3
"""Of the longest gap that a scan had: the next one may have a longer one."""
_IDLE_STEP_MS, _IDLE_MAX_MS = 50, 2000
"""Rounded up to a number that people remember; at most what the settings take."""

_DEFAULTS = {"mode": "8N1", "encoding": "utf-8", "caps_lock": "ignore"}
"""Settings that are left out of the table to paste where they have these values."""


@dataclass(frozen=True, slots=True)
class DetectedFormat:
    """A scan that can be read."""

    code: str
    """As it is read with these settings."""
    how: str
    """Describe the bytes around the code, for people."""
    ending: str
    checksum: str | None = None
    """`right`, or `not checked`; None where there is none."""
    aim: str | None = None
    """The symbology identifier in front, which is cut off."""
    settings: Mapping[str, Value] = field(default_factory=dict)
    """The settings that read it so, without the device; those at their default are left out."""

    def toml(self, door: str, kind: str, device_key: str, path: str) -> str:
        """Return the table to put into the settings, for a reader type and its device's key and path."""
        table = {"type": kind, device_key: path, **self.settings}
        lines = "".join(f"{key} = {toml_value(value)}\n" for key, value in table.items())
        return f"[[doors.{toml_key(door)}.scanners]]\n{lines}"


def _settings(**settings: str | int | None) -> dict[str, Value]:
    """Leave out what is at its default: these settings have no other false value."""
    return {key: value for key, value in settings.items() if value and _DEFAULTS.get(key) != value}


@dataclass(frozen=True, slots=True)
class NotRecognised:
    """Something came that gatectl could not read; `hint` says what to do."""

    what: str
    hint: str


Recognised = DetectedFormat | NotRecognised

TYPED_BY_HAND = NotRecognised("keys as slow as a person's", "this is taken for a keyboard")

_BANNER = NotRecognised(
    "several lines of text, as a reader prints them that restarts when its port is opened",
    "scan now; such a reader needs dtr = false in its settings",
)


def is_by_hand(characters: int, seconds: float) -> bool:
    """Whether a person typed this: `seconds` from the first key to the last."""
    return characters > 1 and seconds / (characters - 1) > HAND_S


def detect_serial(data: bytes, gap_s: float = 0.0, baud: int = 9600) -> Recognised | None:
    """Recognise the bytes of one serial scan, which may be repeated; return None if there are none.

    `gap_s` is the longest time within it without a character, `baud` the speed at which it was read.
    """
    recognised = _of_mode(data, gap_s)
    if isinstance(recognised, DetectedFormat):
        return replace(recognised, settings={"baud": baud, **recognised.settings})
    return recognised


def _of_mode(data: bytes, gap_s: float) -> Recognised | None:
    recognised = _of_text(data, gap_s)
    if not isinstance(recognised, NotRecognised):
        return recognised
    mode = _mode_of(data)
    if mode is not None:
        bare = _of_text(bytes(byte & 0x7F for byte in data), gap_s)
        if isinstance(bare, DetectedFormat):
            how = f"{bare.how}; seven bits and {_PARITIES[mode[1]]}"
            return replace(bare, how=how, settings={"mode": mode, **bare.settings})
    if _is_mostly_ascii(data):
        encoding: Encoding = "latin-1" if _C1.isdisjoint(data) else "cp1252"
        old = _of_text(data, gap_s, encoding)
        if isinstance(old, DetectedFormat) and old.ending != _SILENCE:
            return replace(old, how=f"{old.how}, in {encoding}")
    return recognised


def _mode_of(data: bytes) -> str | None:
    """The mode in which all of these bytes, read as 8N1, have the right parity bit; None for 8N1 itself.

    Space parity needs no mode of its own: its bytes are those of 8N1.
    """
    if len(data) < _PARITY_BYTES or max(data) < 0x80:
        return None
    if min(data) >= 0x80:
        return "7M1"
    parities = {byte.bit_count() % 2 for byte in data}
    if len(parities) > 1:
        return None
    return "7O1" if parities.pop() else "7E1"


def _of_text(data: bytes, gap_s: float, encoding: Encoding = "utf-8") -> Recognised | None:
    if _STX in data:
        return _frame(data)
    line = _LINE.search(data)
    if line is None:
        return None
    lines = {text for _, text, after in _LINE.findall(data) if after}
    if len(lines) > 1 and all(isinstance(reading_of(line, encoding=encoding), Code) for line in lines):
        return _BANNER
    before, text, after = line.groups()
    reading = reading_of(text, encoding=encoding)
    if not isinstance(reading, Code):
        return _unreadable(reading)
    code, aim, words = _aim_of(reading.text)
    ending = _named(after) or _SILENCE
    begins = f", begun with {_named(before)}" if before else ""
    idle_ms = 0 if after else _idle_ms(_SERIAL_IDLE_MS, gap_s)
    how = f"text, ended by {ending}{begins}{words}"
    settings = _settings(framing="line", encoding=encoding, strip_aim=bool(aim), idle_ms=idle_ms)
    return DetectedFormat(code, how, ending, aim=aim, settings=settings)


def _is_mostly_ascii(text: bytes) -> bool:
    """Whether this looks like words with umlauts in an old encoding, and not like noise at another speed."""
    plain = sum(0x20 <= byte < 0x7F for byte in text)
    return plain >= _MOSTLY * len(text)


def _idle_ms(shortest: int, gap_s: float) -> int:
    steps = math.ceil(_IDLE_FACTOR * gap_s * 1000 / _IDLE_STEP_MS)
    return min(max(shortest, steps * _IDLE_STEP_MS), _IDLE_MAX_MS)


def _frame(data: bytes) -> Recognised | None:
    flaws = set()
    for framing, how in _FRAMES.items():
        for reading in framer(framing).feed(data):
            if isinstance(reading, Code):
                return DetectedFormat(reading.text, how, "ETX", "right", settings=_settings(framing=framing))
            flaws.add(reading.flaw)
    if DropReason.CHECKSUM in flaws:
        return NotRecognised(
            "a frame with twelve hex digits whose checksum is wrong",
            'scan again; where it is always wrong, the digits are the code: framing = "stx-etx"',
        )
    for reading in framer("stx-etx").feed(data):
        if isinstance(reading, Code):
            code, aim, words = _aim_of(reading.text)
            checksum = "not checked" if _has_lrc(data) else None
            kind = "with an LRC after it, which is passed over" if checksum else "without a checksum"
            settings = _settings(framing="stx-etx", strip_aim=bool(aim))
            return DetectedFormat(code, f"STX, text, ETX, {kind}{words}", "ETX", checksum, aim, settings)
    for reading in framer("stx-line").feed(data):
        if isinstance(reading, Code):
            code, aim, words = _aim_of(reading.text)
            settings = _settings(framing="stx-line", strip_aim=bool(aim))
            return DetectedFormat(code, f"STX, text, a line end{words}", "CR LF", aim=aim, settings=settings)
    return NotRecognised(
        "a frame that began with STX and was cut short", "scan again, and hold the card longer"
    )


def _has_lrc(data: bytes) -> bool:
    """Whether the XOR of the first frame follows it."""
    frame = _LRC_FRAME.search(data)
    return frame is not None and data[frame.end() : frame.end() + 1] == bytes(
        [functools.reduce(operator.xor, frame[0])]
    )


def detect_keys(
    events: Sequence[KeyEvent],
    layouts: Mapping[str, Layout],
    *,
    caps_lock: bool = False,
    gap_s: float = 0.0,
) -> list[DetectedFormat] | NotRecognised | None:
    """Recognise the keys of one scan, in each layout that fits.

    Of layouts that agree, the first one is returned alone; those whose code looks most like one come first.
    None where nothing was typed. `caps_lock` is the host's lamp, `gap_s` the longest time without a key.
    """
    found: dict[tuple[str, str], list[tuple[str, bool]]] = {}
    flaw: Dropped | None = None
    for name, layout in layouts.items():
        for lamp in (None, True) if caps_lock else (None,):
            reading, ending = _first_reading(events, KeyDecoder(layout, caps_lock=lamp))
            if isinstance(reading, Code):
                found.setdefault((reading.text, ending), []).append((name, bool(lamp)))
            elif reading is not None:
                flaw = flaw or reading
    if not found:
        return None if flaw is None else _unreadable(flaw)
    seen = [_keys_format(text, ending, ways, gap_s) for (text, ending), ways in found.items()]
    return sorted(seen, key=lambda one: _oddness(one.code))


def _first_reading(events: Sequence[KeyEvent], decoder: KeyDecoder) -> tuple[Reading | None, str]:
    """Return the first reading, and what ended it."""
    for event in events:
        if readings := decoder.feed([event]):
            return readings[0], decoder.ended_by
    return next(iter(decoder.silence()), None), _SILENCE


def _keys_format(text: str, ending: str, ways: Sequence[tuple[str, bool]], gap_s: float) -> DetectedFormat:
    """Describe what was read so in some layouts, each with whether the lamp of Caps Lock counts."""
    code, aim, words = _aim_of(text)
    layout, follows_lamp = ways[0]
    others = [name for name, lamp in ways[1:] if lamp == follows_lamp]
    same = f" (or {', '.join(others[:_OTHERS])}{' …' if others[_OTHERS:] else ''})" if others else ""
    lamp = ", by the lamp of Caps Lock" if follows_lamp else ""
    settings = _settings(
        layout=layout,
        caps_lock="follow" if follows_lamp else "ignore",
        strip_aim=bool(aim),
        idle_ms=_idle_ms(_KEYS_IDLE_MS, gap_s) if ending == _SILENCE else 0,
    )
    how = f"keys in the layout {layout}{same}{lamp}, ended by {ending}{words}"
    return DetectedFormat(code, how, ending, aim=aim, settings=settings)


def _oddness(code: str) -> int:
    """Return how little this looks like a code: letters and digits of ASCII are usual, signs less so."""
    signs = sum(not char.isalnum() for char in code)
    return signs + 2 * sum(not char.isascii() for char in code)


def chosen(seen: Sequence[DetectedFormat], is_taken: Callable[[str], bool]) -> DetectedFormat:
    """The layout whose code a card or a route takes; else the first."""
    return next((one for one in seen if is_taken(one.code)), seen[0])


def _aim_of(text: str) -> tuple[str, str | None, str]:
    """The text without its symbology identifier, the identifier, and words about it."""
    aim = _AIM.match(text)
    stripped = reading_of_text(text, strip_aim=True)
    if aim is None or not isinstance(stripped, Code):
        return text, None, ""
    return stripped.text, aim[0], f"; {aim[0]} in front, for {_SYMBOLOGIES[aim[1]]}"


def _unreadable(reading: Dropped | None) -> NotRecognised:
    match reading:
        case Dropped(DropReason.UNDECODABLE | DropReason.CONTROL, detail):
            return NotRecognised(
                f"bytes that are no text ({detail})",
                "another speed or mode? try --baud 115200, and what the scanner's manual says",
            )
        case Dropped(DropReason.LOST):
            return NotRecognised("keys, some of which the kernel dropped", "scan again")
        case Dropped(DropReason.KEY, detail):
            return NotRecognised(
                f"keys that type no character in any layout known here ({detail})",
                "set the scanner to a layout that gatectl.toml(5) lists; US is the usual factory setting",
            )
        case _:
            return NotRecognised("more than a code can be", "a code has at most 512 characters")


def _named(ending: bytes) -> str:
    return " ".join(ENDINGS[chr(byte)] for byte in ending)
