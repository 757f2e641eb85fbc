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
from gatectl.decision.log import LogEntry
from gatectl.errors import visible

SOCKET = Path("/run/systemd/journal/socket")


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
    row = event.row
    return LogEntry(
        row.priority,
        line_of(event),
        {name: str(value) for name, value in fields.items() if value is not None},
        row.message.catalog_id,
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
