"""`gatectl check`: the settings, and on request the devices and the partners' connections."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from gatectl.config.reader import find, load_with_keys, located, warnings_of
from gatectl.devices.pins import PinsError, known_factory
from gatectl.errors import GatectlError

if TYPE_CHECKING:
    from gatectl.cli.trials import Finding


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to try beside the settings."""
    parser.add_argument("--devices", action="store_true", help="open every scanner, drive every relay off")
    parser.add_argument(
        "--connect", action="store_true", help="connect to every partner, sending no check-in"
    )


def run(args: argparse.Namespace) -> int:
    """0 when all is well, 1 when a device or a partner is not."""
    path = find(args.config, os.environ)
    settings, _ = load_with_keys(path, os.environ)
    try:
        known_factory(settings.gpio.pin_factory, os.environ)
    except PinsError as error:
        raise located(path, ("gpio", "pin_factory"), error.message, error.hints) from error
    print(
        f"{path}: the settings are fine: {len(settings.doors)} door(s), {len(settings.partners)} partner(s), "
        f"{len(settings.routes)} route(s)"
    )
    for warning in warnings_of(settings):
        print(f"warning: {warning}")
    if not (args.devices or args.connect):
        return 0
    # The service checks before each start: it must not wait for what it does not try.
    from gatectl.cli import trials  # noqa: PLC0415

    findings: list[Finding] = []
    if args.devices:
        findings += _show(trials.devices(settings, os.environ))
    if args.connect:
        findings += _show(trials.connections(settings))
    return 0 if all(finding.hint is None for finding in findings) else 1


def _show(findings: Iterable[Finding]) -> Iterator[Finding]:
    for finding in findings:
        if finding.hint is None:
            print(f"ok: {finding.line}", flush=True)
        else:
            print(*GatectlError(finding.line, finding.hint).lines(), sep="\n", file=sys.stderr, flush=True)
        yield finding
