"""`gatectl erase`: erase one member's data from the store, whether the daemon runs or not."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from pathlib import Path

from gatectl import clock
from gatectl.cli.cards import notify_daemon, opened
from gatectl.cli.events import require_known
from gatectl.config.model import Settings
from gatectl.config.reader import find, load
from gatectl.decision.event import ID_RANDOM_BITS, Attempt, Event, Outcome, uuid7
from gatectl.decision.outcomes import Message
from gatectl.decision.verdict import Result
from gatectl.errors import GatectlError
from gatectl.journal.erase import erase, is_purge_due, purge
from gatectl.journal.reader import Reader
from gatectl.sinks.sink import Sinks
from gatectl.sinks.systemd_journal import SOCKET, SystemdJournal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--member", metavar="M", required=True, help="the member's number at the partner")
    parser.add_argument("--partner", metavar="P", help="of this partner alone (else of every one)")


def run(args: argparse.Namespace) -> int:
    """Return 0 when no data of the member is left in the store's files."""
    settings = load(find(args.config, os.environ))
    path = settings.journal.path
    with Reader(path) as reader:  # reports a missing store rather than making one
        require_known("partner", args.partner, settings.partners, reader)
    record = _record(settings)
    with path.open("rb") as file, opened(settings) as connection:
        erased = erase(connection, args.member, args.partner, record)
        notify_daemon(settings)
        is_found = erased.events or erased.cards
        if not is_found and not is_purge_due(connection):
            of = f" of {args.partner}" if args.partner else ""
            raise GatectlError(
                f"there is nothing of member {args.member!r}{of}",
                "numbers compare exactly, leading zeros count",
            )
        is_gone = purge(connection, file, erased.texts if is_found else None)
    if SOCKET.exists():
        sinks = Sinks(SystemdJournal())
        sinks.take(record)
        sinks.close()
    print(f"erased: {erased.events} events, {erased.cards} cards", file=sys.stderr)
    if not is_gone:
        raise GatectlError(
            f"{path}: another program reads it all the time, so parts of the file may still hold the numbers",
            "close what has it open, and repeat the command",
        )
    print("note: backups, reports and the systemd journal keep what they have", file=sys.stderr)
    if copies := _copies(path):
        print(f"note: so do these; delete those that are not needed: {', '.join(copies)}", file=sys.stderr)
    return 0


def _copies(path: Path) -> list[str]:
    """The files that an upgrade, a restore or damage has left next to the store."""
    return sorted(str(other) for other in path.parent.iterdir() if other.name.startswith(f"{path.name}."))


def _record(settings: Settings) -> Event:
    now = clock.timestamp_now()
    attempt = Attempt(
        id=uuid7(now.at_us, secrets.randbits(ID_RANDOM_BITS)),
        kind="erased",
        at_us=now.at_us,
        tenant=settings.site.tenant,
        studio=settings.site.studio,
        door="",
        scanner=None,
        credential=None,
        partner=None,
        member=None,
        budget_ms=None,
        boot=now.boot,
        since_boot_us=now.since_boot_us,
    )
    return Event(attempt, Outcome(Result.DONE, Message.ERASED.value))
