"""The pin factory `simulated`: gpiozero's mock pins, wired to a simulated gate in another process.

The gate's process passes one end of a socket pair on, and its descriptor in the environment. A packet is one
pin and its level, `17 1`: those of outputs are sent, those of inputs received. When that process has ended,
SIGTERM ends this one too. Without a descriptor the pins are wired to nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from typing import Any

from gpiozero.pins.mock import MockFactory, MockPin

WIRES = "GATECTL_SIMULATED_GATE"
"""The environment's variable with the descriptor."""

PACKET_MAX = 16


def packet(pin: int, level: int) -> bytes:
    """Return the packet of a pin that has this level."""
    return b"%d %d" % (pin, level)


def read_packet(wires: socket.socket) -> tuple[int, int] | None:
    """Wait for the next pin with its level; None at the end of the line."""
    data = wires.recv(PACKET_MAX)
    if not data:
        return None
    pin, level = map(int, data.split())
    return pin, level


class SimulatedPin(MockPin):  # type: ignore[misc] # gpiozero ships no types
    """A pin whose level as an output is sent whenever it is driven."""

    def _set_state(self, value: Any) -> None:
        super()._set_state(value)
        self.factory.send(self._number, int(value))


class SimulatedFactory(MockFactory):  # type: ignore[misc] # gpiozero ships no types
    """The pins of one process."""

    def __init__(self) -> None:
        super().__init__(pin_class=SimulatedPin)
        self._is_closed = False
        descriptor = os.environ.get(WIRES)
        self._wires = None if descriptor is None else socket.socket(fileno=os.dup(int(descriptor)))
        if self._wires is not None:
            # A daemon thread: a process that never closes its factory ends all the same.
            threading.Thread(target=self._listen, args=(self._wires,), name="wires", daemon=True).start()

    def send(self, pin: int, level: int) -> None:
        """Send an output's level; a gate that has ended, or does not listen, must not hold up a relay."""
        if self._wires is not None:
            with contextlib.suppress(OSError):
                self._wires.send(packet(pin, level), socket.MSG_DONTWAIT)

    def _listen(self, wires: socket.socket) -> None:
        with wires:
            while (received := read_packet(wires)) is not None:
                number, level = received
                pin = self.pin(number)
                if pin.function == "input":
                    pin.drive_high() if level else pin.drive_low()
            if not self._is_closed:
                os.kill(os.getpid(), signal.SIGTERM)

    def close(self) -> None:
        """Release the pins, and cut the wires."""
        super().close()
        self._is_closed = True
        if self._wires is not None:
            with contextlib.suppress(OSError):  # the gate has ended first
                self._wires.shutdown(socket.SHUT_RDWR)
