"""The keyboard of the interactive demo: codes end with Enter, and single keys act at once."""

from __future__ import annotations

import codecs
import os
import select
import sys
import termios
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

LOOK_S = 0.1
"""Between two looks for events while nothing is typed."""

_CHUNK = 4096
_ERASE = "\r\x1b[K"
_END, _CLEAR, _ESCAPE = "\x04", "\x15", "\x1b"
_BACKSPACES = {"\x7f", "\b"}


class Prompt:
    """The line that is being typed, on a terminal: it steps aside while something else is printed."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # the daemon's lines are printed by another thread
        self._text: str | None = None

    @contextmanager
    def shown(self, text: str = "") -> Iterator[None]:
        """Show the prompt, with what is typed so far."""
        self.update(text)
        try:
            yield
        finally:
            with self._lock:
                self._text = None
                self._write("\n")

    def update(self, text: str) -> None:
        """Show this text behind the prompt."""
        with self._lock:
            self._text = text
            self._write(f"{_ERASE}scan> {text}")

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Print something else meanwhile."""
        with self._lock:
            if self._text is not None:
                self._write(_ERASE)
            yield
            if self._text is not None:
                self.update(self._text)

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


class TypedLine:
    """Assembles entries from what a terminal sends: whole lines, and keys at an empty line."""

    def __init__(self, keys: Collection[str]) -> None:
        self.text = ""
        """The part of the next entry that has been typed."""
        self.has_ended = False
        """True after Ctrl-D at an empty line."""
        self._keys = keys

    def feed(self, chars: str) -> list[str]:
        """Take the characters that have come at once; return the entries that they complete.

        A key acts only if it comes alone: a code that a scanner or the clipboard types may begin with one.
        """
        if chars.startswith(_ESCAPE):
            return []  # an arrow or a function key
        entries: list[str] = []
        for char in chars:
            if char in {"\r", "\n"}:
                entries.append(self.text.strip())
                self.text = ""
            else:
                self._edit(char)
        if self.text in self._keys:
            entries.append(self.text)
            self.text = ""
        return [entry for entry in entries if entry]

    def _edit(self, char: str) -> None:
        if char in _BACKSPACES:
            self.text = self.text[:-1]
        elif char == _CLEAR:
            self.text = ""
        elif char == _END:
            self.has_ended = self.has_ended or not self.text
        elif char.isprintable():
            self.text += char


def typed(prompt: Prompt, look: Callable[[], None], keys: Collection[str]) -> Iterator[str]:
    """Yield each code and each key that the user types; call `look` meanwhile, which may print."""
    if sys.stdin.isatty():
        return _from_terminal(sys.stdin.fileno(), prompt, look, keys)
    return _from_pipe(look)


def _from_pipe(look: Callable[[], None]) -> Iterator[str]:
    while True:
        look()
        print("scan> ", end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            print()
            return
        if entry := line.strip():
            yield entry


def _from_terminal(
    terminal: int, prompt: Prompt, look: Callable[[], None], keys: Collection[str]
) -> Iterator[str]:
    line = TypedLine(keys)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with _unbuffered(terminal):
        while not line.has_ended:
            with prompt.shown(line.text):
                entries = _next_entries(terminal, line, decoder, prompt, look)
            yield from entries


def _next_entries(
    terminal: int,
    line: TypedLine,
    decoder: codecs.IncrementalDecoder,
    prompt: Prompt,
    look: Callable[[], None],
) -> list[str]:
    """Wait for whole entries; none only at the end of the input."""
    entries: list[str] = []
    while not entries and not line.has_ended:
        look()
        if select.select([terminal], [], [], LOOK_S)[0]:
            data = os.read(terminal, _CHUNK)
            line.has_ended = not data
            entries = line.feed(decoder.decode(data))
            prompt.update(entries[0] if entries else line.text)
    return entries


@contextmanager
def _unbuffered(terminal: int) -> Iterator[None]:
    """Let each key come at once and without an echo; Ctrl-C stays what it is."""
    before = termios.tcgetattr(terminal)
    now = termios.tcgetattr(terminal)
    now[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(terminal, termios.TCSADRAIN, now)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
