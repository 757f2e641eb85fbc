"""Framers turn bytes into readings, one for each family of readers. No clock, no I/O.

The readings do not depend on how a stream is divided among calls of `feed`.
"""

from __future__ import annotations

import re
from typing import Literal, Protocol, Unpack, get_args

from gatectl.decision.reader.reading import (
    ENDINGS,
    MAX_BYTES,
    Code,
    Dropped,
    DropReason,
    Reading,
    TextOptions,
    reading_of,
)

Framing = Literal["line", "rdm6300", "id12la", "stx-etx", "stx-line"]
Flow = Literal["none", "rts-cts", "xon-xoff"]

_STX = b"\x02"
_ETX = b"\x03"
_ENDINGS = re.compile(f"[{''.join(ENDINGS)}]+".encode())
_LINE_END = b"\r\n"
_HEX = re.compile(rb"[0-9A-Fa-f]*")
_CARD_DIGITS = 10
_FRAME_DIGITS = _CARD_DIGITS + 2  # the checksum's two follow

_TOO_LONG = Dropped(DropReason.TOO_LONG)
_DAMAGED = Dropped(DropReason.FRAME)
_NOISE = Dropped(DropReason.NOISE)
_CHECKSUM = Dropped(DropReason.CHECKSUM)
_INCOMPLETE = Dropped(DropReason.INCOMPLETE)


class Framer(Protocol):
    """Finds the codes in a stream of bytes. Raises for no input."""

    begun: int
    """Codes that have begun so far. After a change, the pending bytes began with the last `feed`."""

    @property
    def pending(self) -> bool:
        """True while a code has begun and not ended: the caller has to time it."""

    @property
    def discarding(self) -> bool:
        """True while the rest of a code that was dropped is passed over, up to its end or a silence."""

    def feed(self, data: bytes) -> list[Reading]:
        """Take further bytes; return what they complete, in order."""

    def silence(self) -> list[Reading]:
        """End a code whose reader sends no ending, and return it."""

    def give_up(self) -> list[Reading]:
        """Drop the code that has begun and not ended in time, with what still follows of it."""


def framer(framing: str, **text: Unpack[TextOptions]) -> Framer:
    """A new framer for a `Framing`; ValueError for any other word. RFID frames are hex digits and no text."""
    match framing:
        case "line":
            return LineFramer(**text)
        case "rdm6300":
            return Em4100Framer(_ETX)
        case "id12la":
            return Em4100Framer(b"\r\n" + _ETX)
        case "stx-etx":
            return StxFramer(_ETX, **text)
        case "stx-line":
            return StxFramer(_LINE_END, **text)
    raise ValueError(f"framing {framing!r} is none of {', '.join(get_args(Framing))}")


class LineFramer:
    """A code ends at CR, LF, TAB, ETX, EOT, NUL or a silence; empty lines are nothing.

    So a device that sends the ending first works too: its code ends at the next one's ending, or at
    the silence. Input that is too long gives one reading, and is discarded to its end.
    """

    def __init__(self, **text: Unpack[TextOptions]) -> None:
        self._text = text
        self._line = bytearray()
        self.discarding = False
        self.begun = 0

    @property
    def pending(self) -> bool:
        return bool(self._line) or self.discarding

    def feed(self, data: bytes) -> list[Reading]:
        readings: list[Reading] = []
        start = 0
        for ending in _ENDINGS.finditer(data):
            self._add(data[start : ending.start()], readings)
            readings += self.silence()
            start = ending.end()
        self._add(data[start:], readings)
        return readings

    def silence(self) -> list[Reading]:
        reading = reading_of(bytes(self._line), **self._text)
        self._line.clear()
        self.discarding = False
        return [reading] if reading else []

    def give_up(self) -> list[Reading]:
        if self.discarding or not self._line:
            return []
        self._line.clear()
        self.discarding = True
        return [_INCOMPLETE]

    def _add(self, chunk: bytes, readings: list[Reading]) -> None:
        if self.discarding or not chunk:
            return
        self.begun += not self._line
        if len(self._line) + len(chunk) > MAX_BYTES:
            self._line.clear()
            self.discarding = True
            readings.append(_TOO_LONG)
        else:
            self._line += chunk


class Em4100Framer:
    """STX, ten hex digits, two of checksum, the tail: the frame of RDM6300 and ID-12LA readers.

    The checksum is the XOR of the five decoded bytes, the version byte included. The code is the ten
    digits as sent. A damaged frame gives one reading and lasts until the next STX; other bytes outside
    frames give one a run.
    """

    discarding = False  # the next frame begins at the next STX

    def __init__(self, tail: bytes) -> None:
        self.begun = 0
        self._tail = tail
        self._size = 1 + _FRAME_DIGITS + len(tail)
        self._begun = b""
        self._skipping = False  # in a run that was reported already

    @property
    def pending(self) -> bool:
        return bool(self._begun)

    def feed(self, data: bytes) -> list[Reading]:
        readings: list[Reading] = []
        is_held = bool(self._begun)
        data = self._begun + data
        self._begun = b""
        position = 0
        while (start := data.find(_STX, position)) >= 0:
            self._skip(start - position, readings)
            following = data.find(_STX, start + 1, start + self._size)
            end = following if following >= 0 else start + self._size
            frame = data[start:end]
            position = start + len(frame)
            fits = self._fits(frame)
            if fits and len(frame) == self._size:
                readings.append(_card(frame[1 : 1 + _FRAME_DIGITS]))
                self._skipping = False
            elif fits and following < 0:
                self.begun += not (is_held and start == 0)
                self._begun = frame
            else:
                readings.append(_DAMAGED)
                self._skipping = True
        self._skip(len(data) - position, readings)
        return readings

    def silence(self) -> list[Reading]:
        return []

    def give_up(self) -> list[Reading]:
        if not self._begun:
            return []
        self._begun = b""
        self._skipping = True
        return [_INCOMPLETE]

    def _skip(self, count: int, readings: list[Reading]) -> None:
        """`count` bytes are outside frames."""
        if count and not self._skipping:
            readings.append(_NOISE)
            self._skipping = True

    def _fits(self, frame: bytes) -> bool:
        """Whether this is a frame, or the beginning of one."""
        digits, tail = frame[1 : 1 + _FRAME_DIGITS], frame[1 + _FRAME_DIGITS :]
        return _HEX.fullmatch(digits) is not None and self._tail.startswith(tail)


def _card(digits: bytes) -> Reading:
    """The card of a whole frame's twelve hex digits: the XOR of all six bytes is 0 where they agree."""
    check = 0
    for byte in bytes.fromhex(digits.decode("ascii")):
        check ^= byte
    return _CHECKSUM if check else Code(digits[:_CARD_DIGITS].decode("ascii"))


class StxFramer:
    """STX, any text, an end, without a check character; bytes outside frames are ignored.

    The end is ETX, or CR or LF for readers that send a line in a frame (STX, text, CR LF, and perhaps ETX).
    An STX inside a frame starts a new one; the one that it cut short gives a reading.
    """

    discarding = False  # bytes outside frames are ignored anyway

    def __init__(self, end: bytes, **text: Unpack[TextOptions]) -> None:
        """`end` is a set of bytes, as a regular expression has it between brackets."""
        self.begun = 0
        self._text = text
        self._mark = re.compile(b"[" + _STX + end + b"]")
        self._payload: bytearray | None = None  # None outside frames

    @property
    def pending(self) -> bool:
        return self._payload is not None

    def feed(self, data: bytes) -> list[Reading]:
        readings: list[Reading] = []
        position = 0
        while position < len(data):
            if self._payload is None:
                position = self._outside(data, position)
            else:
                position = self._inside(self._payload, data, position, readings)
        return readings

    def silence(self) -> list[Reading]:
        return []

    def give_up(self) -> list[Reading]:
        if self._payload is None:
            return []
        self._payload = None
        return [_INCOMPLETE]

    def _outside(self, data: bytes, position: int) -> int:
        """The position after the next STX, or the end."""
        start = data.find(_STX, position)
        if start < 0:
            return len(data)
        self.begun += 1
        self._payload = bytearray()
        return start + 1

    def _inside(self, payload: bytearray, data: bytes, position: int, readings: list[Reading]) -> int:
        """The position after what ends this frame, or the end."""
        mark = self._mark.search(data, position)
        end = mark.start() if mark else len(data)
        if len(payload) + end - position > MAX_BYTES:
            readings.append(_TOO_LONG)
            self._payload = None
            return end
        payload += data[position:end]
        if mark is None:
            return end
        if mark[0] == _STX:
            readings.append(_DAMAGED)
            self.begun += 1
            self._payload = bytearray()
        else:
            reading = reading_of(bytes(payload), **self._text)
            readings += [reading] if reading else []
            self._payload = None
        return mark.end()
