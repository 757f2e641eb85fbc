"""The gate of the demo: its lock follows the daemon's relay, and its inputs are moved by the demo's plays."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import NamedTuple, Self

from gatectl.errors import GatectlError
from gatectl.sim.simulated_pins import WIRES, packet, read_packet

RELAY = 17
"""The pin of the relay."""

LOCK_S = 30.0
"""How long a play waits for the lock: longer than any opening of the demo."""


class Wiring(NamedTuple):
    """An input's pin, and the level at which it is active."""

    pin: int
    active: int


class GateInput(Enum):
    """An input of the gate."""

    PASSAGE = Wiring(27, 0)
    CONTACT = Wiring(5, 1)
    FIRE = Wiring(6, 1)
    EXIT_BUTTON = Wiring(26, 0)
    EXIT_PASSAGE = Wiring(12, 0)

    @property
    def settings(self) -> str:
        """The pin and its active level, as an inline table of the settings has them."""
        return f'pin = {self.value.pin}, active = "{"high" if self.value.active else "low"}"'


class SimulatedGate:
    """A context manager. A daemon with `environment` and `descriptors` has its pins wired to this gate.

    At rest every input has the level to which its pull takes it: inactive.
    """

    def __init__(self) -> None:
        self._wires, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._moved = threading.Condition()
        self._is_open = False
        self._openings = 0
        self._follower = threading.Thread(target=self._follow, name="simulated gate")

    @property
    def environment(self) -> dict[str, str]:
        """The additions to the daemon's environment."""
        return {WIRES: str(self._theirs.fileno()), "GPIOZERO_PIN_FACTORY": "simulated"}

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The descriptors that the daemon must inherit."""
        return (self._theirs.fileno(),)

    @property
    def is_open(self) -> bool:
        """Return whether the relay is energised."""
        return self._is_open

    @property
    def openings(self) -> int:
        """Return how often the relay was energised, or energised again."""
        return self._openings

    def until_open(self, openings: int) -> None:
        """Wait until the relay was energised more often than that, or is on. GatectlError if it never is."""
        self._until(lambda: self._is_open or self._openings > openings, "the relay was not energised")

    def until_shut(self) -> None:
        """Wait until the relay is off. GatectlError if it never is."""
        self._until(lambda: not self._is_open, "the relay did not go off")

    def move(self, what: GateInput, *, active: bool) -> None:
        """Set the level of an input."""
        wiring = what.value
        self._wires.send(packet(wiring.pin, wiring.active if active else 1 - wiring.active))

    def _until(self, condition: Callable[[], bool], failure: str) -> None:
        with self._moved:
            if not self._moved.wait_for(condition, LOCK_S):
                raise GatectlError(failure)

    def _follow(self) -> None:
        while (received := read_packet(self._wires)) is not None:
            pin, level = received
            if pin == RELAY:
                with self._moved:
                    self._is_open = bool(level)
                    self._openings += level
                    self._moved.notify_all()

    def __enter__(self) -> Self:
        self._follower.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # the daemon has cut the wires
            self._wires.shutdown(socket.SHUT_RDWR)
        self._follower.join()
        self._wires.close()
        self._theirs.close()
