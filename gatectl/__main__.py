"""`gatectl`, and `python -m gatectl`."""

from __future__ import annotations

import gc
import sys


def main() -> int:
    """Run this process's command line; what is returned is the exit status."""
    if sys.argv[1:] == ["relay", "off"]:
        # After a SIGKILL the gate is open until this has run: before the command line's imports.
        from gatectl.cli.relay import off_from_saved_lines  # noqa: PLC0415

        status = off_from_saved_lines()
        if status is not None:
            return status
    # Imported objects stay: the collector's walks over them again and again are a tenth of a start.
    gc.disable()
    from gatectl.cli import main as command_line  # noqa: PLC0415

    return command_line.main()


if __name__ == "__main__":
    raise SystemExit(main())
