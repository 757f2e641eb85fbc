"""Log entries for a technician in the systemd journal, in addition to the events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple


class Priority(IntEnum):
    """The syslog levels that gatectl uses (RFC 5424, section 6.2.1)."""

    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6


class LogEntry(NamedTuple):
    """One line. `fields` are journal fields without their `GATECTL_` prefix (`DOOR`, `SCANNER` …)."""

    priority: Priority
    message: str
    fields: Mapping[str, str] = MappingProxyType({})
    message_id: str | None = None
    """32 hex digits: the ID of the catalog entry that explains it."""


Log = Callable[[LogEntry], None]
"""Takes a log entry; never blocks or raises."""
