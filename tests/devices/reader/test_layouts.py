"""The layouts against xkeyboard-config itself, as libxkbcommon compiles it on this machine."""

import contextlib
import json
import unicodedata
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import get_args

import pytest
from evdev import ecodes
from hypothesis import given
from hypothesis import strategies as st

from gatectl.decision.reader.keymap import SPACING_ACCENTS, Key, LayoutName
from gatectl.decision.reader.keys import KeyDecoder
from gatectl.decision.reader.reading import Code, reading_of_text
from gatectl.devices.reader.evdev_keyboard import KeyboardDriver
from gatectl.devices.reader.layouts import layout_of
from gatectl.devices.reader.reader_types import EvdevScanner
from gatectl.sim.virtual_scanners import VirtualKeyboard

SCRIPT = Path(__file__).parents[3] / "scripts/layouts"
NAMES = get_args(LayoutName)
MODIFIERS = {"Shift": Key.LEFTSHIFT, "Mod5": Key.RIGHTALT}
"""The keys for xkb's modifiers."""


def load_script():
    loader = SourceFileLoader("layouts_script", str(SCRIPT))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


script = load_script()


@cache
def xkb(layout):
    """The layout as this machine has it."""
    try:
        return script.Xkb(layout)
    except OSError as error:
        pytest.skip(f"no libxkbcommon: {error}")


def source_here():
    """The versions on this machine, as the data name them; None without Debian's packages."""
    try:
        return script.source()
    except (OSError, script.subprocess.CalledProcessError):
        return None


@pytest.mark.parametrize("layout", NAMES)
def test_the_data_are_those_of_the_version_that_they_name(layout):
    text = (script.FOLDER / f"{layout}.json").read_text("ascii")
    if not source_here() or source_here() not in json.loads(text)["source"]:
        pytest.skip("another version of xkeyboard-config is installed")
    assert script.layout_json(layout, source_here()) == text


def test_every_layout_of_the_settings_has_its_data_and_no_other():
    assert {path.stem for path in script.FOLDER.glob("*.json")} == set(NAMES) == set(script.LAYOUTS)


@cache
def strokes(layout):
    """xkb's own table turned round: character -> the key and the modifiers that type it."""
    table = xkb(layout)
    has_altgr = table.name(Key.RIGHTALT) == "ISO_Level3_Shift"
    levels = [(), ("Shift",), ("Mod5",), ("Shift", "Mod5")] if has_altgr else [(), ("Shift",)]
    typed = {}
    for modifiers in levels:
        for key in range(1, 128):
            if key not in script.KEYPAD and (char := table.character(key, *modifiers)):
                typed.setdefault(char, (key, modifiers))
    return typed


def typing(layout, text):
    """The events of a keyboard in this layout; an accent alone is followed by the space bar."""
    events = []
    for char in text:
        key, modifiers = strokes(layout)[char]
        held = [MODIFIERS[name] for name in modifiers]
        keys = [*((one, 1) for one in held), (key, 1), (key, 0), *((one, 0) for one in held)]
        events += [(ecodes.EV_KEY, *change) for change in keys]
    return events


def expected(text):
    """The text after accents have joined the next letter."""
    letters, accent = "", ""
    for char in text:
        alone = SPACING_ACCENTS.get(accent, "")
        joined = unicodedata.normalize("NFC", char + accent)
        if char in SPACING_ACCENTS:
            letters, accent = letters + alone, char
        elif accent and char == " ":
            letters, accent = letters + alone, ""
        else:
            letters, accent = letters + (joined if len(joined) == 1 else alone + char), ""
    return reading_of_text(letters + SPACING_ACCENTS.get(accent, ""))


@pytest.mark.parametrize("layout", NAMES)
@given(data=st.data())
def test_characters_typed_by_xkb_are_read_back(layout, data):
    text = data.draw(st.text(st.sampled_from(sorted(strokes(layout))), max_size=30))
    decoder = KeyDecoder(layout_of(layout))
    readings = [*decoder.feed(typing(layout, text)), *decoder.silence()]
    assert readings == ([expected(text)] if expected(text) else [])


MEMBERS = [
    "1234567890123",
    "WP-1403",
    "wp_zyZY/12345678",
    "]C1AB+4711",
    "https://x.test/?a=1&b=2#c",
    "042b73321a3180",
]


@pytest.mark.parametrize("layout", NAMES)
@pytest.mark.parametrize("member", MEMBERS)
def test_codes_of_members_are_read_back(layout, member):
    decoder = KeyDecoder(layout_of(layout))
    events = typing(layout, member)
    assert [*decoder.feed(events), *decoder.silence()] == [Code(member)]


@pytest.mark.parametrize(
    ("layout", "member", "in_us"),
    [
        ("fr", "WP-1403", "ZP6!$)#"),
        ("cz", "8594156270087", "*%($!%^@&))*&"),
        ("de", "zy-WP", "yz/WP"),
        ("gb", "a@b#~", 'a"b\\|'),
    ],
)
def test_a_scanner_in_another_layout_types_other_characters(layout, member, in_us):
    decoder = KeyDecoder(layout_of("us"))
    assert [*decoder.feed(typing(layout, member)), *decoder.silence()] == [Code(in_us)]


def test_only_the_layouts_in_use_are_loaded():
    layout_of.cache_clear()
    settings = EvdevScanner(type="evdev", name="x", layout="fr")
    with VirtualKeyboard("us") as keyboard:
        layout_of.cache_clear()
        driver = KeyboardDriver(keyboard.connect)
        with contextlib.closing(driver.open(settings, "")) as source:
            driver.decoder(settings, source)
    assert layout_of.cache_info().currsize == 1
