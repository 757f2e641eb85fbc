"""`scripts/install` again, in the running Pi: an upgrade that works, and one that does not."""

from __future__ import annotations

GOOD = "1000000000200"
BACK_S = 3.0
"""On a Pi. Here it is as many times longer as Python takes longer to start."""
INSTALL_S = 1500.0
_SOURCES = "/usr/local/src/gatectl"
_INSTALL = f"PIP_NO_COMPILE=1 {_SOURCES}/scripts/install --wheelhouse /usr/local/src/wheels 2>&1"
