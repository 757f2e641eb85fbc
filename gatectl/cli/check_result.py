"""The result of a trial: of a device, of a partner."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The subject of a trial and its result; `hint` says what to do, and is None where all is well.

    `warnings` are about problems to come.
    """

    line: str
    hint: str | None = None
    warnings: tuple[str, ...] = ()
