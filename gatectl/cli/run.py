"""`gatectl run`: run the daemon."""

from __future__ import annotations

import argparse
import gc
import os

from gatectl.devices.gpio import failsafe


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """No arguments but `-c`."""


def run(args: argparse.Namespace) -> int:
    """Run until SIGTERM, SIGINT, SIGHUP or SIGQUIT; then return 0."""
    with failsafe.spawned() as last:
        return _run(args.config, last)


def _run(given: str | None, last: failsafe.FailsafeProcess) -> int:
    gc.disable()  # nearly all objects made before the daemon is ready are permanent
    # Imported after the fork, so that the failsafe process stays small.
    from gatectl.config.reader import find, load_usable, located  # noqa: PLC0415
    from gatectl.daemon.gates import NoGateError  # noqa: PLC0415
    from gatectl.daemon.serve import run as serve  # noqa: PLC0415

    path = find(given, os.environ)
    usable = load_usable(path, os.environ)
    try:
        serve(usable, os.environ, last)
    except NoGateError as error:
        raise located(path, *error.issues) from error
    return 0
