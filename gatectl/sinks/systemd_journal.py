"""The systemd journal: an entry for each event and log entry. Without systemd, the same lines on stderr.

The entries are sent in the journal's own protocol. systemd's Python module keeps the interpreter's lock while
it sends: a journal that hangs would stop every thread of the daemon.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

from gatectl.decision.event import Event
from gatectl.decision.log import LogEntry, Priority
from gatectl.decision.verdict import Fault, Message, Result
from gatectl.errors import visible

SOCKET = Path("/run/systemd/journal/socket")

MESSAGE_IDS = {
    Message.CHECKED_IN: "5e1a2f5c0d8b4b0f9d3c6a1e7b204c11",
    Message.NOT_ALLOWED: "8f0b6d3e2a714c5b9e6f1d0c3a825b42",
    Message.NOT_FOUND: "c27d9e1b5f604a8e8b3d7c0f6e914d73",
    Message.NO_VERDICT: "1d84b7f2c3e94f6ab05e8d2c9f1a6ea4",
    Message.NOT_RECOGNISED: "b6e35a90d17c4c2f8a4b9f0e2d7c81d5",
    Message.CARDS_UNAVAILABLE: "2f6d81c94b3e4a7f8e05d9a1c7b3f264",
    Message.INTERRUPTED: "e90c4d7b38a541f69c1f5b8e0a63d2f6",
    Message.GATE_STAYED_SHUT: "47f1c8e6a25d4b93bd0e7a9c5f38e117",
    Message.GATE_OUT_OF_ORDER: "d30b7e5a91c2486fa4e81f6b05c9d728",
    Message.ERASED: "0c7a4f92e1d84b35b6f20d9e8a531c47",
}
"""The ID of the catalog entry (`systemd/catalog/`) that explains each message."""

OPENED_BY_HAND_ID = "9a3d5c0e7f214b68a1c94e6d2b50f738"

REFUSING_EVERYONE_ID = "6b1f0d92e7a84c35b90a4e2d8c6f13a7"


def priority_of(event: Event) -> Priority:
    """The priority of an event: the nearer the fault is to this gym, the more urgent."""
    outcome = event.outcome
    if outcome.result is Result.ADMITTED:
        return Priority.INFO
    match outcome.fault:
        case Fault.CREDENTIALS | Fault.CONFIGURATION | Fault.GATE | Fault.CARDS:
            return Priority.ERROR
        case None | Fault.UNRECOGNISED:
            return Priority.NOTICE
        case _:
            return Priority.WARNING


def line_of(event: Event) -> str:
    """`main: rejected 1234567890123 (wellhub 404, 182 ms): Aggregator member not found …`."""
    attempt, outcome = event.attempt, event.outcome
    what = outcome.result.value + (f" {attempt.credential}" if attempt.credential is not None else "")
    brackets = ""
    if outcome.request is not None:
        said = str(outcome.status) if outcome.status is not None else outcome.fault
        elapsed = outcome.request.elapsed_ms
        brackets = f" ({attempt.partner} {said}{f', {elapsed:.0f} ms' if elapsed is not None else ''})"
    detail = f": {outcome.detail}" if outcome.detail is not None else ""
    where = f"{attempt.door}: " if attempt.door else ""
    return f"{where}{what}{brackets}: {outcome.message}{detail}"


def entry_of(event: Event) -> LogEntry:
    """The event as an entry, with the fields of gatectl-events(5); those without a value are left out."""
    attempt, outcome = event.attempt, event.outcome
    fields: dict[str, Any] = {
        "EVENT_ID": attempt.id,
        "KIND": attempt.kind,
        "OF": attempt.of,
        "DOOR": attempt.door or None,
        "PARTNER": attempt.partner,
        "MEMBER": attempt.member,
        "RESULT": outcome.result.value,
        "BASIS": outcome.basis and outcome.basis.value,
        "VERDICT": outcome.verdict and outcome.verdict.value,
        "STATUS": outcome.status,
        "FAULT": outcome.fault and outcome.fault.value,
        "DETAIL": outcome.detail,
    }
    by_hand = attempt.kind == "manual" and outcome.fault is None
    return LogEntry(
        priority_of(event),
        line_of(event),
        {name: str(value) for name, value in fields.items() if value is not None},
        OPENED_BY_HAND_ID if by_hand else MESSAGE_IDS[Message(outcome.message)],
    )


class SystemdJournal:
    """Writes events and log entries; raises OSError where neither the journal nor stderr takes one."""

    name = "systemd journal"
    kinds = (Event, LogEntry)
    blocks = True

    def __init__(self) -> None:
        self._to_journal = SOCKET.exists()

    def take(self, item: Event | LogEntry) -> None:
        """Write an entry."""
        entry = entry_of(item) if isinstance(item, Event) else item
        if not self._to_journal:
            sys.stderr.write(visible(entry.message) + "\n")
            sys.stderr.flush()
            return
        fields = {
            "MESSAGE": entry.message,
            "PRIORITY": str(int(entry.priority)),
            "SYSLOG_IDENTIFIER": "gatectl",
            **({} if entry.message_id is None else {"MESSAGE_ID": entry.message_id}),
            **{f"GATECTL_{name}": value for name, value in entry.fields.items()},
        }
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sent:
            sent.sendto(b"".join(_field(name, value) for name, value in fields.items()), str(SOCKET))


def _field(name: str, value: str) -> bytes:
    """One field of the journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""
    data = value.encode()
    if b"\n" not in data:
        return f"{name}=".encode() + data + b"\n"
    return f"{name}\n".encode() + len(data).to_bytes(8, "little") + data + b"\n"
