"""Check the shape of the settings against the model, and say what is wrong in an installer's words."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

from gatectl.config import model, schema
from gatectl.config.problems import SettingIssue, Where, key_hint, listed, monitor_hint
from gatectl.config.schema import Flaw, InvalidError, is_table, unpacked
from gatectl.devices.reader import reader_types
from gatectl.devices.reader.reader_types import READER_TYPES, path_keys
from gatectl.errors import near, nearest
from gatectl.partners.protocol import GraceSettings, PartnerSettings
from gatectl.partners.registry import PROTOCOLS, settings_classes
from gatectl.validators.values import KeySource, settings_of

_SECTIONS: Final[Mapping[str, type]] = {
    "site": model.Site,
    "gpio": model.Gpio,
    "journal": model.JournalSettings,
    "control": model.Control,
    "monitor": model.MonitorSettings,
}


def _tables_of(table: type) -> dict[str, type]:
    """Return the class of each setting of `table` that is a table itself, or a list of tables."""
    tables: dict[str, type] = {}
    for name, hint in settings_of(table).items():
        kind, _ = unpacked(hint)
        for part in (kind, *get_args(kind)):
            inner, _ = unpacked(part)
            if is_table(inner):
                tables[name] = inner
    return tables


_AT_DOORS: Final[Mapping[str, type]] = _tables_of(model.DoorSettings)
_AT_EXITS: Final[Mapping[str, type]] = _tables_of(model.ExitSettings)
_DOOR: Final[Mapping[str, type]] = {"the door, above its [tables]": model.DoorSettings}
"""TOML gives a key to the table opened last, so a door's own keys come first."""

_INNER: Final[Mapping[str, type]] = {
    **dict.fromkeys(("key", "proxy_key", "client_key", "password"), KeySource),
    "grace": GraceSettings,
}
"""The tables inside those of partners and monitor."""

_WORDS: Final[Mapping[str, str]] = {
    schema.MISSING: "is missing",
    schema.UNKNOWN: "is not a known key",
    schema.NO_BOOL: "must be true or false, without quotes",
    schema.NO_TABLE: "must be a table",
    schema.NO_LIST: "must be a list",
    schema.EMPTY: "must not be empty",
}
"""Words for what is wrong. A value that is refused brings its own."""

_EXAMPLES: Final[Mapping[str, str]] = {
    "doors": "a door is a table, [doors.NAME], with a relay and a scanner",
    "match": r"match = '\d{13}' takes any code of 13 digits",
    "partner": "it names one of the [partners.NAME] tables",
    "pin": "it is the BCM number, 17 for GPIO17, and not the place on the header",
    "relay": "relay = { pin = 17 } with the relay's BCM number",
    "routes": "each route is a table of its own, under [[routes]] in two brackets",
    "scanners": "each scanner is a table of its own, under [[doors.NAME.scanners]] in two brackets; "
    "`gatectl devices` prints it",
    "url": 'url = "https://…" is the endpoint that the partner gave',
}

_CONVERTED = frozenset({"wiegand", "osdp", "pcsc", "nfc", "tcp", "bluetooth"})
"""Connections of readers that gatectl has no type for."""

_OTHER_KEYS: Final[Mapping[str, str]] = {
    "active_low": "for a relay board that a low level switches on, write active_high = false",
    **dict.fromkeys(
        ("parity", "bytesize", "databits", "data_bits", "stopbits", "stop_bits"),
        'data bits, parity and stop bits are one setting: mode = "7E1"',
    ),
    **dict.fromkeys(("rtscts", "xonxoff", "handshake"), 'flow control is flow = "rts-cts" or "xon-xoff"'),
    "charset": 'it is encoding = "latin-1"',
    "port": 'the port is the second half of listen: listen = "127.0.0.1:8480"',
    "timeout": "the time that a member waits is budget_ms",
}
"""Settings that do not exist here, and the ones that are meant by them."""

_SECRET = re.compile(r"key|token|secret|passw|bearer|auth|credential", re.IGNORECASE)


class Checked(NamedTuple):
    """The settings, or what is wrong with their shape."""

    settings: model.Settings | None
    issues: list[SettingIssue]
    meant: dict[str, Any]
    """The tables with mistyped keys put right: one mistake in a key must not look like two."""


def check(raw: dict[str, Any], folder: Path) -> Checked:
    """Return the settings, or all problems of their shape."""
    try:
        return Checked(schema.read(model.Settings, raw, folder), [], raw)
    except InvalidError as error:
        flaws = error.flaws
    meant = _with_keys_put_right(
        raw, {_where(flaw.where): key for flaw in flaws if (key := _meant_key(flaw))}
    )
    still_missing = _missing(meant, folder)
    flaws = [flaw for flaw in flaws if flaw.kind != schema.MISSING or flaw.where in still_missing]
    issues = [_with_near_door(issue, raw) for issue in _issues(flaws, folder)]
    return Checked(None, issues, meant)


def _missing(raw: dict[str, Any], folder: Path) -> set[Where]:
    try:
        schema.read(model.Settings, raw, folder)
    except InvalidError as error:
        return {flaw.where for flaw in error.flaws if flaw.kind == schema.MISSING}
    return set()


def _meant_key(flaw: Flaw) -> str | None:
    """Return the missing key that an unknown one was probably meant for."""
    if flaw.kind != schema.UNKNOWN:
        return None
    name, table = str(flaw.where[-1]), flaw.where[:-1]
    if any(name in _settings_of(kind) for kind in _kin(table).values()):
        return None  # it is in the wrong table
    known = _settings_of(_model_of(table))
    if table[:1] == ("partners",) and "key" in known and _SECRET.search(name):
        return _meant_secret(name)
    return nearest(name, known)


def _meant_secret(name: str) -> str:
    """Return the setting of a partner that is meant by a name for a secret."""
    keys = ("proxy_key", "client_key")
    return next((key for key in keys if name.startswith(key.removesuffix("_key"))), "key")


def _with_keys_put_right(raw: dict[str, Any], meant: Mapping[Where, str]) -> dict[str, Any]:
    put_right = copy.deepcopy(raw)
    # The deepest first, since a table's own key is on the way to those in it.
    for where, key in sorted(meant.items(), key=lambda item: -len(item[0])):
        table: Any = put_right
        for part in where[:-1]:
            table = table[part]
        table[key] = _joined(table.pop(where[-1]), table.get(key))
    return put_right


def _joined(mistyped: Any, right: Any) -> Any:
    """Return what both keys of a setting hold: half of a table may be under either."""
    match mistyped, right:
        case dict(), dict():
            return right | {key: _joined(value, right.get(key)) for key, value in mistyped.items()}
        case list(), list():
            return right + mistyped
    return mistyped if right is None else right


def _with_near_door(issue: SettingIssue, raw: dict[str, Any]) -> SettingIssue:
    """Add a hint where half a door is missing: its other half may be under a name with another spelling."""
    match issue.where:
        case ("doors", str(name), "relay" | "scanners") if issue.what == _WORDS[schema.MISSING]:
            return issue._replace(hints=(*near(name, [*raw["doors"].keys() - {name}]), *issue.hints))
    return issue


def _issues(flaws: Iterable[Flaw], folder: Path) -> Iterator[SettingIssue]:
    for flaw in flaws:
        yield _issue(flaw)
        match flaw:
            case Flaw(kind=schema.NO_TAG, where=("partners", name), given=dict(raw)):
                yield from _without_protocol(str(name), raw, folder)


def _without_protocol(name: str, raw: dict[str, Any], folder: Path) -> Iterator[SettingIssue]:
    """Check the settings that all protocols have, of a partner whose own is not known."""
    common = {key: raw[key] for key in settings_of(PartnerSettings) if key in raw} | {"protocol": "any"}
    try:
        schema.read(PartnerSettings, common, folder)
    except InvalidError as error:
        for flaw in error.flaws:
            if flaw[:2] != (schema.MISSING, ("url",)):  # some protocols know it
                yield _issue(flaw._replace(where=("partners", name, "any", *flaw.where)))


def _issue(flaw: Flaw) -> SettingIssue:
    where = _where(flaw.where)
    match flaw.kind:
        case schema.REFUSED:
            what, hints = flaw.what, flaw.hints
        case schema.UNKNOWN:
            what, hints = _WORDS[schema.UNKNOWN], _about_unknown(flaw.where, where)
        case schema.NO_CHOICE:
            what = f"must be {listed([repr(word) for word in flaw.words])}"
            hints = _near_choice(flaw.given, flaw.words)
        case schema.NO_LIST if isinstance(flaw.given, str):
            what = _WORDS[schema.NO_LIST]
            hints = ('write ["…", "…"], with square brackets also around a single one',)
        case schema.NO_TAG:
            return _choice(flaw.given, where)
        case kind:
            what, hints = _WORDS[kind], ()
    return SettingIssue(where, what, (*hints, *_example(where, flaw.kind)))


def _where(loc: Where) -> Where:
    """Return the path in the file: without the names of kinds, and for a name without its mark."""
    match loc:
        case (*way, "[key]"):
            return tuple(way)
        case ("partners", name, _, *rest):
            return ("partners", name, *rest)
        case ("doors", name, "scanners", index, _, *rest):
            return ("doors", name, "scanners", index, *rest)
    return loc


def _example(where: Where, kind: str) -> tuple[str, ...]:
    if kind in {schema.UNKNOWN, schema.NO_CHOICE, schema.NO_BOOL}:
        return ()
    match where:
        case ("partners", name, "key", *_):
            return (key_hint(str(name)),)
        case ("monitor", "password", *_):
            return (monitor_hint(),)
        case ("routes", _, "doors"):
            return ("leave it out for a route at every door",)
        case (*_, "pin" | "green" | "red" | "buzzer") if kind == schema.REFUSED:
            return (_EXAMPLES["pin"],)
        case (*_, str(last)) if last.endswith("_ms") and kind == schema.REFUSED:
            return ("it is in milliseconds, without a unit: 2 seconds are 2000",)
        case ("doors", _, "scanners", _, str(last)) if last in path_keys() and kind != schema.REFUSED:
            return (f"`gatectl devices` prints the {last}'s path",)
        case (*_, str(last)) if kind != schema.REFUSED:
            return _examples(where[0], last)
    return ()


def _examples(section: str | int, name: str) -> tuple[str, ...]:
    if section == "partners":
        for descriptor in PROTOCOLS.values():
            if name in descriptor.examples:
                return (descriptor.examples[name],)
    return (_EXAMPLES[name],) if name in _EXAMPLES else ()


def _near_choice(given: object, words: Sequence[str]) -> tuple[str, ...]:
    """Return a hint with the word that was probably meant."""
    begins = [word for word in words if isinstance(given, str) and given.lower().startswith(word)]
    return tuple(f"did you mean {word}?" for word in begins[:1]) or near(str(given), words)


def _choice(table: Any, where: Where) -> SettingIssue:
    """Make the issue for a missing or unknown partner's protocol or scanner's type."""
    is_partner = where[0] == "partners"
    known: Iterable[str] = PROTOCOLS if is_partner else READER_TYPES
    key = "protocol" if is_partner else "type"
    where = (*where, key)
    one_of = f"must be {listed([repr(name) for name in known])}"
    if key not in table:
        typed = nearest(key, table)
        hints = (f"{typed} is not a known key: write {key}",) if typed else _dotted_name(where, table)
        return SettingIssue(where, f"is missing: it {one_of}", hints)
    tag = str(table[key])
    meant = _meant_protocol(tag.lower()) if is_partner else _meant_type(tag.lower())
    return SettingIssue(where, one_of, (meant,) if meant else near(tag, known))


def _meant_protocol(tag: str) -> str | None:
    names = (descriptor.also_called for descriptor in PROTOCOLS.values())
    return next((hints[tag] for hints in names if tag in hints), None)


def _meant_type(tag: str) -> str | None:
    """Return a hint that explains the types, for a word that an installer may write for one."""
    kinds = READER_TYPES.items()
    types = ", ".join(f'{kind.is_for} is "{name}"' for name, kind in kinds)
    if tag in _CONVERTED:
        return f"{types}; for others there are converters to one of them"
    return types if any(tag in kind.also_called for _, kind in kinds) else None


def _dotted_name(where: Where, table: object) -> tuple[str, ...]:
    """Return a hint for a partner's name with a dot, which TOML reads as a table inside a table."""
    inner = table.items() if isinstance(table, dict) else ()
    names = (f"{where[1]}.{name}" for name, value in inner if isinstance(value, dict) and "protocol" in value)
    return tuple(f'a name with a dot needs quotes: [partners."{name}"]' for name in names)


def _about_unknown(loc: Where, where: Where) -> tuple[str, ...]:
    """Return the hints for an unknown key, never with its value: it may be a secret in the wrong place."""
    name, table = str(loc[-1]), loc[:-1]
    known = _settings_of(_model_of(table))
    kin = _kin(table)
    if owners := [words for words, kind in kin.items() if name in _settings_of(kind)]:
        return (f"it is a setting of {listed(owners, 'and')}",)
    if where[0] == "partners" and _SECRET.search(name):
        return ("a key must not be in the settings", key_hint(str(where[1]), _meant_secret(name)))
    if name in _OTHER_KEYS and (name != "port" or where[0] == "monitor"):
        return (_OTHER_KEYS[name],)
    return near(name, known) or (f"known here: {', '.join(known)}",)


def _settings_of(table: type) -> list[str]:
    return list(settings_of(table))


def _kin(table: Where) -> Mapping[str, type]:
    """Return the tables that a setting may have been meant for, by their descriptions."""
    match table:
        case ("partners", _, _):
            return settings_classes()
        case ("doors", _):
            return _AT_DOORS
        case ("doors", _, "scanners", _, _):
            return {**reader_types.settings_classes(), **_DOOR}
        case ("doors", _, _):
            return {**_AT_DOORS, **_DOOR}
    return {}


def _item_of(table: type, name: str) -> type:
    """Return the class of the tables in a list that is a setting of `table`."""
    kind: type = get_args(unpacked(settings_of(table)[name])[0])[0]
    return kind


def _model_of(table: Where) -> type:
    """Return the model of the table at `table`, whose path includes the names of choices."""
    match table:
        case (str(name),):
            return _SECTIONS[name]
        case ("partners", _, str(protocol)):
            return PROTOCOLS[protocol].settings
        case ("partners", _, _, str(inner)) | ("monitor", str(inner)) if inner in _INNER:
            return _INNER[inner]
        case ("partners", _, str(protocol), str(inner), int()):
            return _item_of(PROTOCOLS[protocol].settings, inner)
        case ("routes", _):
            return model.RouteSettings
        case ("doors", _):
            return model.DoorSettings
        case ("doors", _, str(name)):
            return _AT_DOORS[name]
        case ("doors", _, "exit", str(name)):
            return _AT_EXITS[name]
        case ("doors", _, "scanners", _, str(kind)):
            return READER_TYPES[kind].settings
        case ("doors", _, "scanners", _, _, "card"):
            return reader_types.CardSettings
    return model.Settings
