"""A gpiozero pin factory that writes every change of a pin to a descriptor, for tests in another process.

It is loaded by the daemon under test, through an entry point of its own. The log stays readable when the
process is killed. Faults are words in a file, looked at each time:

    17          pin 17 cannot be claimed
    17=1        pin 17 cannot be set to 1
    22=1:block  setting pin 22 to 1, or claiming it so, blocks its caller until the pipe next to the file is
    written to
    17:bug      reading pin 17 in a thread of its own raises what no driver raises
    26:hang     reading pin 26 blocks its caller, in the same way

The levels of inputs come through a pipe, a line each: `26 0`. With PINS_EDGES=none the pins have no edges.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

from gpiozero.pins.mock import MockFactory, MockPin

LOG_ENVIRONMENT = "PINS_LOG_DESCRIPTOR"
FAULTS_ENVIRONMENT = "PINS_FAULTS_FILE"
LEVELS_ENVIRONMENT = "PINS_LEVELS_PIPE"
EDGES_ENVIRONMENT = "PINS_EDGES"


class RecordingPin(MockPin):
    """A mock pin whose changes are recorded. A level of None is an input, or a pin given back."""

    def output_with_state(self, state):
        self._fail_where("")
        self._fail_where(f"={int(state)}")
        self._function, self._state = "output", state
        self._record(int(state))
        self._block_where(int(state))

    def _set_function(self, value):
        self._fail_where("")
        super()._set_function(value)
        if value == "input":
            self.factory.listen()

    def _set_pull(self, value):
        super()._set_pull(value)
        self.factory.drive_again(self._pin)

    def _set_edges(self, value):
        if os.environ.get(EDGES_ENVIRONMENT) == "none":
            raise OSError("no edges")
        super()._set_edges(value)

    def _get_state(self):
        self._fail_where(":unread")
        if threading.current_thread() is not threading.main_thread() and f"{self._pin}:bug" in _faults():
            raise SystemExit("a bug")
        if f"{self._pin}:hang" in _faults():
            _block()
        return super()._get_state()

    def _set_state(self, value):
        level = int(value)
        self._fail_where(f"={level}")
        if f"{self._pin}={level}:block" in _faults():
            self._record(level)
        self._block_where(level)
        super()._set_state(value)
        self._record(level)

    def close(self):
        was_output = self._function == "output"
        self.when_changed = None
        self._function = "input"  # not by its setter, which claims it
        if was_output:
            self._record(None)

    @property
    def _pin(self):
        return int(self.info.name.removeprefix("GPIO"))

    def _block_where(self, level):
        if f"{self._pin}={level}:block" in _faults():
            _block()

    def _fail_where(self, what):
        if f"{self._pin}{what}" in _faults():
            raise OSError(f"GPIO{self._pin} does not answer")

    def _record(self, level):
        change = {"at": time.monotonic(), "pid": os.getpid(), "pin": self._pin, "level": level}
        # Under the size of a pipe's atomic write: lines of several processes do not mix.
        os.write(int(os.environ[LOG_ENVIRONMENT]), json.dumps(change).encode() + b"\n")


class RecordingFactory(MockFactory):
    def __init__(self):
        super().__init__(pin_class=RecordingPin)
        self._listener = None
        self._driven = {}

    def listen(self):
        """From now on the pipe's levels are the inputs'."""
        if self._listener is None:
            self._listener = threading.Thread(target=self._drive, daemon=True)
            self._listener.start()

    def _drive(self):
        with Path(os.environ[LEVELS_ENVIRONMENT]).open() as levels:
            for line in levels:
                number, level = line.split()
                self._driven[int(number)] = int(level)
                self.drive_again(int(number))

    def drive_again(self, number):
        """A pull does not change a level that something else drives."""
        if number in self._driven:
            pin = self.pin(number)
            pin.drive_high() if self._driven[number] else pin.drive_low()


def _block():
    with Path(os.environ[FAULTS_ENVIRONMENT] + ".pipe").open("rb") as pipe:
        pipe.read()


def _faults():
    try:
        return Path(os.environ[FAULTS_ENVIRONMENT]).read_text().split()
    except FileNotFoundError:
        return []
