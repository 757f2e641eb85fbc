"""The real daemon: `python -m speed.daemon [--profile FILE] ARGUMENT…` is `gatectl ARGUMENT…`.

Its log goes to stderr, not into the systemd journal of the door that the measurements may run on.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gatectl.cli.main import main
from gatectl.sinks import systemd_journal


def _run() -> int:
    systemd_journal.SOCKET = Path("/nonexistent")
    arguments = sys.argv[1:]
    if arguments[:1] != ["--profile"]:
        return main(arguments)
    from speed.profile import sampling  # noqa: PLC0415 - only where it is wanted: it costs time to import

    with sampling(Path(arguments[1])):
        return main(arguments[2:])


if __name__ == "__main__":
    sys.exit(_run())
