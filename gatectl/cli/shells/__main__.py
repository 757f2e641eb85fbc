"""Write the completions into the given folder: `gatectl.bash`, `gatectl.zsh`, `gatectl.fish`."""

from __future__ import annotations

import sys
from pathlib import Path

from gatectl.cli.shells import bash, fish, zsh
from gatectl.cli.shells.outline import outline


def scripts() -> dict[str, str]:
    """Return the text of each file by its name."""
    root = outline()
    return {
        "gatectl.bash": bash.script(root),
        "gatectl.zsh": zsh.script(root),
        "gatectl.fish": fish.script(root),
    }


if __name__ == "__main__":
    for name, text in scripts().items():
        Path(sys.argv[1], name).write_text(text, "utf-8")
