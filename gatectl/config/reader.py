"""Reads the settings: all of their problems at once, each with its line, or none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli

from gatectl.config import authorities, cross, secrets, shape
from gatectl.config.addresses import host_and_port, is_loopback
from gatectl.config.lines import Lines
from gatectl.config.model import Secret, Settings, numbers
from gatectl.config.problems import Finding, Problem, SettingsError, key_of
from gatectl.errors import SUDO_OR_GROUP

DEFAULT = Path("/etc/gatectl/gatectl.toml")

_PYTHONS_NAMES = re.compile(r"\('(.*?)',?\)")
"""How tomli's messages show a table: ('doors', 'main')."""

_TOML_HINTS = (
    (("Unescaped",), r"patterns stand in single quotes, as in match = '\d{13}'"),
    (
        ("twice", "overwrite", "Duplicate", "redefine", "mutate"),
        "each key and each [table] stands once; [[routes]] and scanners repeat, in two brackets",
    ),
)
_TOML_HINT = "text stands in quotes, and so do numbers with leading zeros; each setting has its own line"

_MAX_SOCKET_PATH = 107
"""Bytes: the kernel's sockaddr_un has 108, the last of them for the terminator (unix(7))."""


def find(given: str | None, environ: Mapping[str, str]) -> Path:
    """The settings' path: as given, else $GATECTL_CONFIG, else the default. It need not exist."""
    return Path(given or environ.get("GATECTL_CONFIG") or DEFAULT)


def load(path: Path) -> Settings:
    """The settings, without a look at the keys, which not everyone may read.

    Raises SettingsError with every problem.
    """
    text, raw = _parsed(path)
    settings, found = _checked(raw, path.absolute().parent)
    return _result(path, text, settings, found)


def load_with_keys(path: Path, environ: Mapping[str, str]) -> tuple[Settings, dict[str, Secret]]:
    """The settings and every partner's key, by the partner's name.

    Raises SettingsError with every problem of the settings, the keys and the CA files.
    """
    text, raw = _parsed(path)
    folder = path.absolute().parent
    settings, found = _checked(raw, folder)
    keys, about_keys = secrets.collect(raw, folder, environ)
    found = [*found, *about_keys, *authorities.findings(raw, folder)]
    return _result(path, text, settings, found), keys


def warnings_of(settings: Settings) -> list[str]:
    """What works and is still not as it should be: one line each, without a full stop."""
    warnings = [
        f"site.{name} is not set: Support asks for it"
        for name in ("tenant", "studio")
        if not getattr(settings.site, name)
    ]
    if not settings.partners:
        warnings.append("partners: there is none, so nobody is admitted")
    warnings.extend(_routes_without_customer(settings))
    warnings.extend(_pulled_on(settings))
    if len(bytes(settings.control.socket)) > _MAX_SOCKET_PATH:
        warnings.append(f"control.socket: is longer than the {_MAX_SOCKET_PATH} bytes that Linux allows")
    listen = host_and_port(settings.monitor.listen)
    if listen and not is_loopback(listen[0]) and settings.monitor.password is None:
        warnings.append(
            f"monitor.listen: {settings.monitor.listen} can be reached from elsewhere, and there is no "
            "monitor.password: `gatectl monitor` does not start without one"
        )
    return warnings


def _routes_without_customer(settings: Settings) -> Iterator[str]:
    for index, route in enumerate(settings.routes):
        partner = settings.partners[route.partner]
        if numbers(partner).customer and "customer" not in route.match.groupindex:
            yield (
                f"routes[{index}].match: {route.partner} is asked with the customer's number, and without a "
                "group (?P<customer>...) no code of this route is recognised"
            )


_PULLED_UP = range(9)
"""The BCM numbers that a Raspberry Pi pulls up until something drives them; it pulls the others down (the
data sheets of the BCM2835 and the RP1)."""


_PULLED_ON = {
    True: ("up", "a pin from 9 to 27, or a relay board that a low level switches on (active_high = false)"),
    False: ("down", "a relay board that a high level switches on (active_high = true), or a pin from 4 to 8"),
}


def _pulled_on(settings: Settings) -> Iterator[str]:
    """Relays that the board itself may switch on, from power-on until gatectl has started."""
    for name, door in settings.doors.items():
        pin, active_high = door.relay.pin, door.relay.active_high
        if active_high != (pin in _PULLED_UP):
            continue
        where = key_of(("doors", name, "relay", "pin"))
        how, remedy = _PULLED_ON[active_high]
        yield (
            f"{where}: a Raspberry Pi pulls BCM {pin} {how} until gatectl starts, so the gate may stand open "
            f"at each boot: take {remedy}"
        )


def located(path: Path, *findings: Finding) -> SettingsError:
    """Problems that only the hardware could show, each in its place in the file."""
    lines = Lines(_text(path))
    return SettingsError(
        path, [Problem(lines.of(one.where), key_of(one.where), one.what, one.hints) for one in findings]
    )


def _checked(raw: dict[str, Any], folder: Path) -> tuple[Settings | None, list[Finding]]:
    settings, found = shape.check(raw, folder)
    crossed = list(cross.findings(raw, folder))
    # Of two findings about one value, the one that knows the others' values says more.
    known = {finding.where for finding in crossed}
    return settings, [*(finding for finding in found if finding.where not in known), *crossed]


def _result(path: Path, text: str, settings: Settings | None, found: Iterable[Finding]) -> Settings:
    found = list(found)
    if settings is not None and not found:
        return settings
    lines = Lines(text)
    raise SettingsError(
        path, [Problem(lines.of(one.where), key_of(one.where), one.what, one.hints) for one in found]
    )


def _parsed(path: Path) -> tuple[str, dict[str, Any]]:
    text = _text(path)
    try:
        return text, tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        problem = Problem(error.lineno, "toml", *_about_toml(error))
        raise SettingsError(path, [problem]) from None
    except (ValueError, RecursionError):
        # Python's own limits: numbers of over 4300 digits, and brackets too deep.
        problem = Problem(1, "toml", "a number is too long, or brackets are too deep")
        raise SettingsError(path, [problem]) from None


def _about_toml(error: tomli.TOMLDecodeError) -> tuple[str, tuple[str, ...]]:
    """What is wrong, and the hint."""
    flaw = _PYTHONS_NAMES.sub(lambda names: names[1].replace("', '", "."), error.msg)
    if flaw == r"Illegal character '\n'":
        flaw = "Text is not closed by a quote in its line"
    hint = next((hint for words, hint in _TOML_HINTS if any(word in flaw for word in words)), _TOML_HINT)
    return f"{flaw[:1].lower()}{flaw[1:]}, at column {error.colno}", (hint,)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        hints = (
            f"gatectl reads -c PATH, else $GATECTL_CONFIG, else {DEFAULT}",
            "scripts/install puts a sample there",
        )
        problem = Problem(1, "settings", "the file does not exist", hints)
    except OSError as error:
        problem = Problem(1, "settings", f"the file cannot be read: {error.strerror}", (SUDO_OR_GROUP,))
    else:
        try:
            # Some editors put a byte order mark in front.
            return content.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            problem = Problem(line, "settings", "is not UTF-8", ("save the file in UTF-8",))
    raise SettingsError(path, [problem])
