"""The wiring page: its settings are real, and the man page is made from it."""

import re
import runpy
import tomllib

import pytest
from machines import ROOT

from gatectl.config.reader import load
from gatectl.config.warnings import warnings_of

TEXT = (ROOT / "config/wiring.md").read_text()
WIDEST = 68
"""A man page 80 columns wide has so many for a drawing."""
REST = """
[site]
tenant = "FitCo GmbH"
studio = "Berlin Mitte"
[partners.wellhub]
protocol = "wellhub"
gym_id = "1234"
key = { file = "key" }
[[routes]]
match = '.*'
partner = "wellhub"
[[doors.main.scanners]]
type = "evdev"
device = "/dev/input/by-id/usb-X-event-kbd"
"""
"""The parts of the settings that have nothing to do with wires."""


def fenced(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def test_the_man_page_is_made_from_it():
    made = runpy.run_path(str(ROOT / "scripts/wiring-page"))["page"](TEXT)
    assert made == (ROOT / "config/man/gatectl-wiring.7").read_text(), "run scripts/wiring-page"


@pytest.mark.parametrize("settings", fenced("toml"), ids=range(len(fenced("toml"))))
def test_its_settings_are_real_and_give_no_warning(settings, tmp_path):
    path = tmp_path / "gatectl.toml"
    path.write_text(settings + REST)
    assert warnings_of(load(path)) == []


def settings_named():
    """Every `name = value` in the text, outside the blocks."""
    prose = re.sub(r"^```.*?^```$", "", TEXT, flags=re.DOTALL | re.MULTILINE)
    return sorted(set(re.findall(r"`([a-z_]+ = [^`]+)`", prose)))


DOOR = {"relay": ["pin = 17"], "passage": ["pin = 27"], "exit": ["button = { pin = 26 }"]}
TABLES = {"active": "passage", "release": "passage", "unlock": "exit"}
"""The other settings named are the relay's."""


@pytest.mark.parametrize("setting", settings_named())
def test_a_setting_in_its_text_is_real(setting, tmp_path):
    name, value = next(iter(tomllib.loads(setting).items()))
    table = TABLES.get(name, "relay")
    lines = DOOR | {table: [*DOOR[table], setting]}
    door = "".join(f"{key} = {{ {', '.join(parts)} }}\n" for key, parts in lines.items())
    path = tmp_path / "gatectl.toml"
    path.write_text(f"{REST}[doors.main]\n{door}")
    assert getattr(getattr(load(path).doors["main"], table), name) == value


def test_its_drawings_fit_a_man_page():
    drawings = fenced("text")
    assert len(drawings) > 3
    for line in "".join(drawings).splitlines():
        assert line.isascii(), line
        assert len(line) <= WIDEST, line


def test_it_says_that_nobody_may_depend_on_it():
    safety = " ".join(TEXT.split("## Safety\n")[1].split("##")[0].replace("**", "").split())
    for sentence in (
        "Nobody may ever depend on this software to get out.",
        "A magnet lock has a button that cuts its power by wire,",
        "a strike a free handle, a turnstile its drop arms or its own fire input.",
        "The fire alarm's release is a wire to the lock's supply or to the turnstile.",
        "gatectl sees a second contact of each, follows it and records it.",
    ):
        assert sentence in safety
