"""A settings folder on a real disk, with a file that is good until a test spoils it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from gatectl.config.problems import SettingsError
from gatectl.config.reader import load, load_with_keys

GOOD = """\
[site]
tenant = "FitCo GmbH"
studio = "Berlin Mitte"

[partners.wellhub]
protocol = "wellhub"
gym_id = "0123"
key = { file = "key" }

[partners.wellpass]
protocol = "perfectgym"
url = "https://api.example.com/checkin"
aggregator_id = "fitco-4711"
key = { file = "key" }

[partners.capitan]
protocol = "capitan"
key = { file = "key" }

[[routes]]
match = '\\d{13}'
partner = "wellhub"

[[routes]]
match = 'WP-(?P<member>\\d{1,12})'
partner = "wellpass"
doors = ["main"]

[doors.main]
relay = { pin = 17 }
signals = { green = 22, red = 23 }

[[doors.main.scanners]]
type = "serial"
port = "/dev/ttyS7"

[[doors.main.scanners]]
type = "evdev"
device = "/dev/input/by-id/usb-X-event-kbd"
"""


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """The key that the good file's partners have, as it should be on disk."""
    path = tmp_path / "key"
    path.write_text("s3cr3t-k3y\n")
    path.chmod(0o640)
    return path


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes the good file with `old` replaced by `new`, and gives its path."""

    def write(old: str = "", new: str = "", *, text: str = GOOD) -> Path:
        assert text.count(old) == 1 or not old, f"{old!r} must be once in the good file"
        path = tmp_path / "gatectl.toml"
        path.write_text(text.replace(old, new) if old else text + new)
        return path

    return write


@pytest.fixture
def refusal() -> Callable[..., SettingsError]:
    """The error that a file is refused with; with `environ`, the keys are read too."""

    def refusal(path: Path, environ: Mapping[str, str] | None = None) -> SettingsError:
        with pytest.raises(SettingsError) as caught:
            load(path) if environ is None else load_with_keys(path, environ)
        return caught.value

    return refusal
