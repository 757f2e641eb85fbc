"""A gpiozero pin factory that writes every change of a pin to a descriptor: what is seen from outside.

It is loaded by the daemon under test, through an entry point of its own. What was written stays readable
when the process is killed. Faults are words in a file, looked at each time:

    17          pin 17 cannot be claimed
    17=1        pin 17 cannot be set to 1
    22=1:block  setting pin 22 to 1, or claiming it so, blocks its caller until the pipe beside the file is
                written to
    17:bug      reading pin 17 in a thread of its own raises what no driver raises
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


class RecordingPin(MockPin):
    """A mock pin whose changes are told. A level of None is an input, or a pin given back."""

    def output_with_state(self, state):
        self._fail_where("")
        self._fail_where(f"={int(state)}")
        self._function, self._state = "output", state
        self._record(int(state))
        self._block_where(int(state))

    def _get_state(self):
        if threading.current_thread() is not threading.main_thread() and f"{self._pin}:bug" in _faults():
            raise SystemExit("a bug")
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
        super().close()
        if was_output:
            self._record(None)

    @property
    def _pin(self):
        return int(self.info.name.removeprefix("GPIO"))

    def _block_where(self, level):
        if f"{self._pin}={level}:block" in _faults():
            with Path(os.environ[FAULTS_ENVIRONMENT] + ".pipe").open("rb") as pipe:
                pipe.read()

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


def _faults():
    try:
        return Path(os.environ[FAULTS_ENVIRONMENT]).read_text().split()
    except FileNotFoundError:
        return []
