"""`gatectl relay off` as the service's last step: by what the daemon wrote down, and by little else.

Python's start and imports are nearly all of the time that it takes, and a gate may stand open meanwhile:
what is imported here is what a relay needs to go off.
"""

from __future__ import annotations

import os

from gatectl.devices import remembered


def is_taken() -> bool:
    """Every relay to its off level; False where the settings have to be asked which these are."""
    try:
        doors = remembered.switch_off(os.environ)
    except Exception as error:  # noqa: BLE001 - drivers share no base class; the settings' way is left
        print(f"not by what the daemon wrote down ({error}); trying the settings")
        return False
    for door in doors or ():
        print(f"{door}: relay off")
    return doors is not None
