"""Any text as settings: it loads or is refused, and no secret is printed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gatectl.config import model
from gatectl.config.problems import SettingsError
from gatectl.config.reader import load, load_with_keys
from gatectl.devices.reader import reader_types
from gatectl.partners.registry import PROTOCOLS, settings_classes
from gatectl.validators.values import KeySource, settings_of

SECRET = "Zq7xSECRETxq7Z"

# The same cases on every run, and as slow as the disk may be.
REPEATABLE = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

TABLES = (
    model.Settings,
    model.Site,
    model.Gpio,
    KeySource,
    *settings_classes().values(),
)
TABLES += (model.RouteSettings, model.DoorSettings, model.RelaySettings, model.Signals)
TABLES += tuple(reader_types.settings_classes().values())

NAMES = st.sampled_from(sorted({name for table in TABLES for name in settings_of(table)})) | st.text(
    max_size=3
)

WORDS = [
    *PROTOCOLS,
    "serial",
    "evdev",
    "main",
    "(",
    "http://a",
    "https://[",
    "\0",
    "",
]
TEXTS = st.sampled_from(WORDS) | st.text(max_size=8)

VALUES = st.recursive(
    st.integers() | st.booleans() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=15,
)

SECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "site": VALUES,
        "partners": st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=6), max_size=3) | VALUES,
        "routes": st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=3) | VALUES,
        "doors": st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=6), max_size=3) | VALUES,
        "colour": VALUES,
    },
)


def toml(value: object) -> str:
    """An inline value; JSON's strings are TOML's, apart from DEL, which TOML wants escaped."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def lines_of(read: Callable[..., object], *args: object) -> list[str]:
    """The lines of the refusal, or none."""
    try:
        read(*args)
    except SettingsError as error:
        return error.lines()
    return []


def complaints(content: bytes) -> list[str]:
    """All that is said about a file with this content, the keys looked for too."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gatectl.toml"
        path.write_bytes(content)
        lines = lines_of(load_with_keys, path, {"CREDENTIALS_DIRECTORY": folder})
        assert set(lines_of(load, path)) <= set(lines), "what is wrong without the keys is wrong with them"
    assert all(line.isprintable() and not line.endswith(".") for line in lines)
    assert all(line.startswith(("hint: ", f"{path}:")) for line in lines)
    return lines


@REPEATABLE
@given(st.binary(max_size=200))
def test_any_bytes(content):
    complaints(content)


@REPEATABLE
@given(st.text(alphabet="[]{}=\"'.,#\n\\ \t\r\x0b01ab_-:+\u2028é", max_size=60))
def test_any_text(text):
    complaints(text.encode())


@REPEATABLE
@given(SECTIONS)
@example({"doors": {"main": {"passage": {"no": 1}, "contact": {"no": 1}, "exit": {"no": 1}}}})
@example({"doors": {"main": {"exit": {"button": {"no": 1}, "relay": {"no": 1}, "passage": {"no": 1}}}}})
def test_any_tables(sections):
    complaints("\n".join(f"{name} = {toml(value)}" for name, value in sections.items()).encode())


PARTNER_KEYS = st.sampled_from(["token", "api_key", "password", "Key", "bearer", "x", "settle", "kye"])


@REPEATABLE
@given(
    protocol=st.sampled_from(["perfectgym", "wellhub", "capitan", "x"]),
    name=PARTNER_KEYS,
    value=st.sampled_from([SECRET, {"value": SECRET}, {"file": "f", "key": SECRET}, [SECRET]]),
    broken=st.sampled_from(["", "=", '"', "\n\x00", "\ntoken =", "\n[", "\nkey = 1"]),
)
@example(protocol="wellhub", name="key", value=SECRET, broken="")
@example(protocol="x", name="key", value=SECRET, broken="")
@example(protocol="wellhub", name="url", value=f"https://u:{SECRET}@a/", broken="")
@example(protocol="wellhub", name="url", value=f"https://a/?key={SECRET}", broken="")
@example(protocol="wellhub", name="url", value=f"http://a/#{SECRET}", broken="")
@example(protocol="wellhub", name="gym_id", value={"key": SECRET}, broken="")
def test_no_secret_is_printed(protocol, name, value, broken):
    lines = complaints(f'[partners.p]\nprotocol = "{protocol}"\n{name} = {toml(value)}{broken}\n'.encode())
    assert lines
    assert not any(SECRET in line for line in lines)


@REPEATABLE
@given(st.text(min_size=1, max_size=20).filter(lambda text: " " in text.strip() or not text.isascii()))
def test_no_content_of_a_key_is_printed(text):
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "k"
        key.write_text(SECRET + text + SECRET)
        key.chmod(0o600)
        path = Path(folder) / "gatectl.toml"
        path.write_text(
            '[partners.p]\nprotocol = "capitan"\nkey = { file = "k" }\n'
            '[doors.d]\nrelay.pin = 1\nscanners = [{ type = "evdev", device = "e" }]\n'
        )
        lines = lines_of(load_with_keys, path, {})
    assert "cannot be in an HTTP header" in lines[0]
    assert not any(SECRET in line for line in lines)
