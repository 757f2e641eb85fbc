"""The possible outcomes of a scan: verdict, fault, reason, and the Event Monitor's message.

Source: https://support.magicline.com/hc/en-us/articles/47879904419857, the Event Monitor's page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Result(StrEnum):
    """The result at the gate."""

    ADMITTED = "admitted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    DONE = "done"
    """Of events that are not at a gate."""


class Verdict(StrEnum):
    """The partner's decision; `NONE`: it was asked, but no verdict came."""

    ALLOWED = "allowed"
    NOT_ALLOWED = "not_allowed"
    NOT_FOUND = "not_found"
    NONE = "none"


class Fault(StrEnum):
    """The cause, where the partner did not decide."""

    UNRECOGNISED = "unrecognised"
    CARDS = "cards"
    """The enrolled cards cannot be read yet."""
    NETWORK = "network"
    TLS = "tls"
    TIMEOUT = "timeout"
    PARTNER = "partner"
    CREDENTIALS = "credentials"
    CONFIGURATION = "configuration"
    GATE = "gate"
    INTERRUPTED = "interrupted"


class Basis(StrEnum):
    """The reason for which the gate opened."""

    PARTNER = "partner"
    """The partner's own success."""
    SETTLED = "settled"
    """A refusal that was the late answer to our own unanswered request."""
    ALREADY_IN = "already_in"
    """A refusal that says the member is in already, where the settings let that in."""
    MANUAL = "manual"
    """A person opened."""


class Message(StrEnum):
    """The Event Monitor's lines, to the letter."""

    CHECKED_IN = "Aggregator member checked in"
    NOT_ALLOWED = "Aggregator member check-in not allowed"
    NOT_FOUND = "Aggregator member not found in partner system"
    NO_VERDICT = (
        "Unable to check in aggregator customer, partner service communication error, please try again"
    )
    NOT_RECOGNISED = "Credential not recognised"
    CARDS_UNAVAILABLE = "Enrolled cards not available, please try again"
    INTERRUPTED = "Interrupted: the outcome was not recorded"
    GATE_STAYED_SHUT = "Checked in, but the gate did not open"
    GATE_OUT_OF_ORDER = "Gate out of order"
    ERASED = "One member's data erased"


class Reason(NamedTuple):
    """The partner's own reason (cut and masked), or our own: `resting`, `settled:ID`."""

    key: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class MemberWords:
    """The partner's words for the member: shown at the door, never stored and never logged."""

    first_name: str | None = field(default=None, repr=False)
    lines: tuple[str, ...] = field(default=(), repr=False)
    """Alerts that explain a refusal, milestones of a welcome; without names, addresses and keys."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The interpretation of an answer or of its absence. `fault` is None if the partner decided."""

    verdict: Verdict | None
    fault: Fault | None = None
    status: int | None = None
    reason: Reason | None = None
    detail: str | None = field(default=None, kw_only=True)
    """In our own words what exactly failed: one line, at most 200 characters."""
    rest_s: float | None = None
    """Seconds for which the partner asked to be left alone (429 alone)."""
    for_member: MemberWords | None = field(default=None, repr=False, compare=False)
    """No part of the decision."""

    @property
    def admits(self) -> bool:
        """Only the partner's own success opens a gate."""
        return self.verdict is Verdict.ALLOWED and self.fault is None


def message_of(verdict: Verdict | None, fault: Fault | None) -> Message:
    """The Event Monitor's line for a finished scan."""
    match fault:
        case Fault.GATE:
            return Message.GATE_OUT_OF_ORDER if verdict is None else Message.GATE_STAYED_SHUT
        case Fault.UNRECOGNISED:
            return Message.NOT_RECOGNISED
        case Fault.CARDS:
            return Message.CARDS_UNAVAILABLE
        case Fault.INTERRUPTED:
            return Message.INTERRUPTED
        case None:
            pass
        case _:
            return Message.NO_VERDICT
    match verdict:
        case Verdict.ALLOWED:
            return Message.CHECKED_IN
        case Verdict.NOT_ALLOWED:
            return Message.NOT_ALLOWED
        case Verdict.NOT_FOUND:
            return Message.NOT_FOUND
        case _:
            raise ValueError(f"no message for verdict {verdict} without a fault")
