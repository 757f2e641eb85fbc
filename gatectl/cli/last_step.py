"""`gatectl relay off` as the service's last step: uses the daemon's list of relays, with few imports.

Python's start and imports are nearly all of the time that it takes, and a gate may be open meanwhile:
what is imported here is what a relay needs to go off.
"""

from __future__ import annotations

import os

from gatectl.devices.gpio.lines_off import cause_of, report_failures, saved_lines_off


def taken() -> int | None:
    """Drive every relay to its off level; return 0, or 1 if one is not off, with a message on stderr.

    Returns None if the list of relays has to come from the settings.
    """
    try:
        done = saved_lines_off(os.environ)
    except Exception as error:  # noqa: BLE001 - drivers share no base class; the settings' way is left
        print(f"the daemon's list of relays cannot be used ({cause_of(error)}); trying the settings")
        return None
    if done is None:
        return None
    doors, failed = done
    for door in doors:
        print(f"{door}: relay off")
    report_failures(failed)
    return 1 if failed else 0
