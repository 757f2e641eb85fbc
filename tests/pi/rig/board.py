"""The device tree of a Raspberry Pi 3B, changed to what QEMU's raspi3b emulates."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_REVISION = "0xa02082"  # a 3B of Sony UK: gpiozero asks for it
_UNEMULATED = (
    "txp@7e004000",
    "dsi@7e209000",
    "hvs@7e400000",
    "dsi@7e700000",
    "csi@7e800000",
    "csi@7e801000",
    "pixelvalve@7e206000",
    "pixelvalve@7e207000",
    "vec@7e806000",
    "pixelvalve@7e807000",
    "hdmi@7e902000",
    "v3d@7ec00000",
    "gpu",
)
_CARD = "/soc/mmc@7e300000"
_WIFI_ONLY = ("pinctrl-names", "pinctrl-0", "mmc-pwrseq", "non-removable")


def make_tree(source: Path, target: Path) -> None:
    """Writes the changed tree; raises CalledProcessError where the source is not the tree known here."""
    shutil.copyfile(source, target)
    _put("-p", "-t", "x", target, "/system", "linux,revision", _REVISION)
    # The first UART is the console's, not the bluetooth chip's.
    _put("-r", target, "/soc/serial@7e201000/bluetooth")
    # The card on the SDHCI block, where Wi-Fi would be: the other block does not read after `-loadvm`.
    _put("-t", "s", target, "/soc/mmc@7e202000", "status", "disabled")
    _put("-r", target, f"{_CARD}/wifi@1")
    for name in _WIFI_ONLY:
        _put("-d", target, _CARD, name)
    for name in _UNEMULATED:
        _put("-t", "s", target, f"/soc/{name}", "status", "disabled")


def _put(*arguments: str | Path) -> None:
    subprocess.run(["fdtput", *arguments], check=True)
