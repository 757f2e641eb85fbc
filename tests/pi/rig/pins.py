"""The SoC's pins, read and driven from outside through its registers (BCM2835 ARM Peripherals, chapter 6).

Energised means that the pin is an output and its level is 1. The level alone lies: the emulation keeps it
on a pin that has become an input, and knows no pulls. So it keeps a level that is set from outside on an
input, too; but it has no edges (GPREN, GPFEN and GPEDS), and no driver ever learns of a change.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from rig.qmp import Qmp, QmpError

_GPIO = 0x3F200000
_WORDS = 14  # GPFSEL0..5, one unused, GPSET0..1, unused, GPCLR0..1, unused, GPLEV0
_LEVELS = 13
_SET, _CLEAR = _GPIO + 0x1C, _GPIO + 0x28
_OUTPUT = 1
_TIMER = 0x3F003004
"""The system timer's lower word: microseconds of the guest's own time, wrapping at 2**32."""

RELAY = 17
GREEN = 22
RED = 23


@dataclass(frozen=True)
class Pins:
    """All pins at one moment."""

    words: tuple[int, ...]

    def is_output(self, pin: int) -> bool:
        return self.words[pin // 10] >> pin % 10 * 3 & 7 == _OUTPUT

    def level(self, pin: int) -> bool:
        return bool(self.words[_LEVELS] >> pin & 1)

    def energised(self, pin: int = RELAY) -> bool:
        return self.is_output(pin) and self.level(pin)


def read(qmp: Qmp) -> Pins:
    return Pins(tuple(qmp.words(_GPIO, _WORDS)))


class Levels:
    """The levels of inputs, driven from outside over QEMU's qtest channel while the guest runs."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._answers = self._socket.makefile("rb")

    def drive(self, pin: int, *, high: bool) -> None:
        """Set the level of a pin below 32; it is there at once. QmpError where QEMU refuses it."""
        register = _SET if high else _CLEAR
        self._socket.sendall(f"writel {register:#x} {1 << pin:#x}\n".encode())
        answer = self._answers.readline()
        if answer != b"OK\n":
            raise QmpError(f"pin {pin} was not driven: {answer!r}")

    def close(self) -> None:
        self._answers.close()
        self._socket.close()


def guest_us(qmp: Qmp) -> int:
    """The guest's time in microseconds, modulo 2**32; it runs while the Pi runs."""
    return qmp.words(_TIMER)[0]


@dataclass(frozen=True)
class Change:
    """The relay was seen to change; `at` is the guest's time in seconds.

    It came up to `late` seconds earlier: that long ago was the look before. `held_up`: for how many seconds,
    until then, this machine had not let the Pi run.
    """

    at: float
    energised: bool
    held_up: float
    late: float


def between(earlier: Change, later: Change) -> tuple[float, float]:
    """The shortest and the longest time that can lie between two changes, in seconds."""
    seen = later.at - earlier.at
    return seen - later.late - (later.held_up - earlier.held_up), seen + earlier.late


class Watch:
    """Samples the relay throughout, in a thread with a QMP connection of its own; a context manager.

    Its first look is taken before entering returns. A power cut ends it, quietly.
    """

    def __init__(self, path: Path, held_up: Callable[[], float], pin: int = RELAY) -> None:
        self._qmp = Qmp(path)
        self._held_up = held_up
        self._pin = pin
        self._news = threading.Condition()
        self._stopped = False
        self.samples = 0
        self.changes: list[Change] = []
        self._looked_at = time.monotonic()
        self._look()
        self._thread = threading.Thread(target=self._work, name="pin watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True
        self._thread.join()
        self._qmp.close()

    @property
    def ever_energised(self) -> bool:
        return any(change.energised for change in self.changes)

    def wait(self, *, energised: bool, limit_s: float, after: int = 0) -> Change:
        """The first change to this state, from the given index on; AssertionError at the limit."""
        found: list[Change] = []

        def come() -> bool:
            found.extend(change for change in self.changes[after:] if change.energised == energised)
            return bool(found) or not self._thread.is_alive()

        with self._news:
            self._news.wait_for(come, limit_s)
        assert found, f"the relay did not go {'on' if energised else 'off'}: {self.changes}"
        return found[0]

    def _work(self) -> None:
        try:
            while not self._stopped:
                self._look()
        except (ConnectionError, QmpError, OSError):
            pass  # the Pi was switched off
        with self._news:
            self._news.notify_all()

    def _look(self) -> None:
        before, self._looked_at = self._looked_at, time.monotonic()
        state = read(self._qmp).energised(self._pin)
        self.samples += 1
        if not self.changes or self.changes[-1].energised != state:
            at = guest_us(self._qmp) / 1e6
            with self._news:
                late = time.monotonic() - before
                self.changes.append(Change(at, state, self._held_up(), late))
                self._news.notify_all()
        time.sleep(PAUSE_S)


PAUSE_S = 0.01
"""Between two looks: each stops the emulated cores for a moment."""
