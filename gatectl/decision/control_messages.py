"""The messages on the daemon's control socket, both ways: one JSON object a line.

A request names its command, `{"command": "status"}`; an answer has `error` and `hints` where it is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

ANSWER_BYTES_MAX = 1 << 20
"""Enough for the status of a hundred doors; a longer line is no answer."""


class NoAnswerError(Exception):
    """The bytes received are not one whole answer."""


class RefusedError(Exception):
    """The daemon refuses the request; `hints` say what to do."""

    def __init__(self, message: str, *hints: str) -> None:
        super().__init__(message)
        self.hints = hints


def message_line(message: Mapping[str, Any]) -> bytes:
    """Return the line of a request, of an answer, or of what a viewer is shown."""
    return json.dumps(message, ensure_ascii=False).encode() + b"\n"


def refusal_line(refused: RefusedError) -> bytes:
    """Return the line that answers a request with a refusal."""
    return message_line({"error": str(refused), "hints": refused.hints})


def answer_of(line: bytes) -> dict[str, Any]:
    """Return the answer in a line; raises RefusedError, or NoAnswerError where the line is not whole."""
    try:
        answer = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise NoAnswerError
    if "error" in answer:
        raise RefusedError(answer["error"], *answer.get("hints", ()))
    return answer
