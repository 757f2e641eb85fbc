"""The content of a card after a power cut, read without a boot."""

from __future__ import annotations

import subprocess
from pathlib import Path

ENDINGS = ("", "-wal")
_MENDED = 1
"""e2fsck's exit status where it changed something."""


def files(card: Path, source: str, folder: Path, endings: tuple[str, ...] = ENDINGS) -> Path:
    """Copies `source` and its companions into the folder; where `source` is then.

    The file system is first brought to where mounting would bring it: its own journal is played. The card
    stays as it is. A companion that is not there is passed over.
    """
    raw = folder / "card.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", card, raw], check=True)
    played = subprocess.run(["e2fsck", "-p", "-E", "journal_only", raw], check=False, capture_output=True)
    assert played.returncode in {0, _MENDED}, played.stderr.decode()
    target = folder / Path(source).name
    for ending in endings:
        copy = f"dump {source}{ending} {target}{ending}"
        subprocess.run(["debugfs", "-R", copy, raw], check=True, capture_output=True)
    raw.unlink()
    return target
