"""`gatectl`, and `python -m gatectl`."""

from __future__ import annotations

import gc
import sys


def main() -> int:
    """Run this process's command line; what is returned is the exit status."""
    if sys.argv[1:] == ["relay", "off"]:
        # After a SIGKILL the gate stands open until this has run: before the command line's imports.
        from gatectl.cli import last_step  # noqa: PLC0415

        status = last_step.taken()
        if status is not None:
            return status
    # What is imported stays: to walk it again and again, looking for what does not, is a tenth of a start.
    gc.disable()
    from gatectl.cli import main as command_line  # noqa: PLC0415

    return command_line.main()


if __name__ == "__main__":
    raise SystemExit(main())
