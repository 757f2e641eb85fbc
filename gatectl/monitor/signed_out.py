"""Record signed-out sessions in a file, so that a restart does not make them valid again."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path

SIGNED_OUT_MAX = 1000
"""Sign-outs of a month; if there are more, all sessions made until then end."""

FILE = "signed-out.json"


class SignedOut:
    """The sessions that were ended; without a folder they are forgotten at the process's end."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder and folder / FILE
        self._ended: dict[str, float] = {}
        """Names of sign-ins, and when the last session of each expires; seconds since the epoch."""
        self._all_before = 0.0
        self._read()

    def __len__(self) -> int:
        return len(self._ended)

    def holds(self, sign_in: str, made_at: float) -> bool:
        """Return whether a session was ended; `made_at` is when it was made or renewed."""
        return sign_in in self._ended or made_at < self._all_before

    def add(self, sign_in: str, now: float, session_s: float) -> None:
        """End a sign-in's sessions, which are valid for at most `session_s`."""
        self._ended = {name: until for name, until in self._ended.items() if until > now}
        if len(self._ended) >= SIGNED_OUT_MAX:
            self._ended.clear()
            self._all_before = now
        self._ended[sign_in] = now + session_s
        self._write()

    def _read(self) -> None:
        # The file is missing or damaged: no sign-out is known.
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            if self._path is not None:
                held = json.loads(self._path.read_text("utf-8"))
                self._ended = {str(name): float(until) for name, until in held["ended"].items()}
                self._all_before = float(held["all_before"])

    def _write(self) -> None:
        if self._path is None:
            return
        new = self._path.with_suffix(".new")
        try:
            new.write_text(json.dumps({"ended": self._ended, "all_before": self._all_before}), "utf-8")
            new.replace(self._path)
        except OSError as error:
            sys.stderr.write(f"{self._path}: cannot be written: {error.strerror}\n")
