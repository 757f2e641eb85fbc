"""`gatectl check`: check the settings, and on request the devices and the partners' connections."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gatectl.config.certificate_files import expiring
from gatectl.config.model import Settings
from gatectl.config.problems import SettingIssue, SettingsError, key_of
from gatectl.config.reader import find, load_with_keys, located
from gatectl.config.secrets import PartnerSecrets
from gatectl.config.warnings import warnings_of
from gatectl.devices.gpio.pins import PinsError, known_factory
from gatectl.errors import SUDO, SUDO_OR_GROUP, GatectlError, UsageError, visible
from gatectl.journal.store_file import lies_in_memory, require_ours
from gatectl.partners.registry import PROTOCOLS


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The subject of a trial, a device or a partner, and its result.

    `hint` says what to do, and is None where all is well. `warnings` are about problems to come.
    """

    line: str
    hint: str | None = None
    warnings: tuple[str, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The trials that follow the check of the settings."""
    parser.add_argument(
        "--answer", metavar="STATUS", help="say what an answer with this status would come to at each partner"
    )
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="the body of that answer; - is standard input, none is empty"
    )
    parser.add_argument("--devices", action="store_true", help="open every scanner, drive every relay off")
    parser.add_argument(
        "--connect", action="store_true", help="connect to every partner, sending no check-in"
    )


def run(args: argparse.Namespace) -> int:
    """Return 0 when all is well, 1 when a device or a partner is not."""
    if args.file is not None and args.answer is None:
        raise UsageError("gatectl check: FILE is the body of an answer: give its status with --answer")
    path = find(args.config, os.environ)
    settings, secrets = load_with_keys(path, os.environ)
    try:
        known_factory(settings.gpio.pin_factory, os.environ)
    except PinsError as error:
        raise located(path, SettingIssue(("gpio", "pin_factory"), error.message, error.hints)) from error
    about_journal = list(_about_journal(settings))
    about_uplink, wrong = _about_uplink(path, settings)
    print(
        f"{path}: {'all but [uplink]' if wrong else 'the settings'} are fine: {len(settings.doors)} door(s), "
        f"{len(settings.partners)} partner(s), {len(settings.routes)} route(s)"
    )
    if wrong:
        print(*wrong.lines(), sep="\n", file=sys.stderr, flush=True)
    about_files = (*about_journal, *_about_memory(settings), *expiring(settings.partners), *about_uplink)
    for warning in (*warnings_of(settings), *about_files):
        print(f"warning: {warning}")
    for name, partner in settings.partners.items():
        for line in PROTOCOLS[partner.protocol].explain(partner):
            print(f"partner {name}: {line}")
    are_well = _try_what_was_asked_for(args, settings, secrets)
    if wrong:
        return wrong.exit_status
    return 0 if are_well else 1


def _try_what_was_asked_for(
    args: argparse.Namespace, settings: Settings, secrets: Mapping[str, PartnerSecrets]
) -> bool:
    """Show what an answer comes to, the devices and the partners; return whether all are well."""
    # The service checks before each start: it must not wait for imports that it does not need.
    if args.answer is not None:
        from gatectl.cli.try_partners import outcomes  # noqa: PLC0415

        print(*outcomes(settings, secrets, args.answer, args.file), sep="\n")
    wells = []
    if args.devices:
        from gatectl.cli.try_devices import devices  # noqa: PLC0415

        wells += [_show(result) for result in devices(settings, os.environ)]
    if args.connect:
        from gatectl.cli.try_partners import partners  # noqa: PLC0415

        wells += [_show(result) for result in partners(settings, secrets)]
    return all(wells)


def _about_journal(settings: Settings) -> Iterator[str]:
    """Yield warnings. Raises NotOursError if the file at `journal.path` is not gatectl's."""
    journal = settings.journal.path
    try:
        require_ours(journal)
    except OSError as error:
        yield f"journal.path: {journal} cannot be read: {error.strerror}; {SUDO_OR_GROUP}"


def _about_uplink(path: Path, settings: Settings) -> tuple[list[str], SettingsError | None]:
    """Return warnings, and the error if `gatectl uplink` could not connect with its files.

    The error is not raised: the gate works without a head office, so what else was asked for is checked too.
    """
    if settings.uplink is None:
        return [], None
    from gatectl.config import uplink_files  # noqa: PLC0415 - few doors have a head office

    found = list(uplink_files.issues(settings.uplink, os.environ))
    wrong = [issue for issue in found if not isinstance(issue, uplink_files.UnreadableIssue)]
    unreadable = (issue for issue in found if issue not in wrong)
    warnings = [f"{key_of(one.where)}: {one.what}, and so was not looked at; {SUDO}" for one in unreadable]
    warnings += [] if wrong else uplink_files.expiring(settings.uplink)
    return warnings, located(path, *wrong) if wrong else None


def _about_memory(settings: Settings) -> Iterator[str]:
    if lies_in_memory(settings.journal.path):
        yield (
            f"journal.path: {settings.journal.path} lies in memory (a tmpfs, or the overlay of a read-only "
            "system): no record and no enrolled card will outlive the power"
        )


def _show(result: CheckResult) -> bool:
    """Print a result at once; return whether all is well."""
    if result.hint is None:
        print(f"ok: {visible(result.line)}", flush=True)
    else:
        print(*GatectlError(result.line, result.hint).lines(), sep="\n", file=sys.stderr, flush=True)
    for warning in result.warnings:
        print(f"warning: {visible(warning)}", flush=True)
    return result.hint is None
