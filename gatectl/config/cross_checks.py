"""Find contradictions between settings.

The checks work on the raw tables and accept any types, so that they find contradictions even where another
part of the file is wrong. The model reports values of the wrong type.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gatectl.config.model import JournalSettings
from gatectl.config.problems import SettingIssue, Where, key_hint, key_of, monitor_hint
from gatectl.devices.reader.reader_types import other_keys, path_keys
from gatectl.errors import near
from gatectl.partners.protocol import GraceSettings
from gatectl.partners.registry import PROTOCOLS
from gatectl.validators.addresses import is_loopback
from gatectl.validators.values import resolve

Raw = dict[str, Any]


def issues(raw: Raw, folder: Path) -> Iterator[SettingIssue]:
    """Every contradiction in the file; relative paths start at `folder`."""
    yield from _keys_in_the_open(raw)
    yield from _uplink(raw)
    yield from _partners(raw)
    yield from _ways(raw)
    yield from _routes(raw)
    yield from _pins(raw)
    yield from _contacts(raw)
    yield from _passages(raw)
    yield from _unseen_passages(raw)
    yield from _schedules(raw)
    yield from _graces(raw)
    yield from _devices(raw, folder)


def tables(raw: Raw, name: str) -> Iterator[tuple[str, Raw]]:
    """Yield the named tables below `name`; skip values that are not tables."""
    section = raw.get(name)
    if isinstance(section, dict):
        yield from ((key, value) for key, value in section.items() if isinstance(value, dict))


def _keys_in_the_open(raw: Raw) -> Iterator[SettingIssue]:
    for name, partner in tables(raw, "partners"):
        for key in ("key", "proxy_key", "client_key"):
            if isinstance(partner.get(key), str):
                what = "a key must not be in the settings, which others may read"
                yield SettingIssue(("partners", name, key), what, (key_hint(name, key),))
    monitor = raw.get("monitor")
    if isinstance(monitor, dict) and isinstance(monitor.get("password"), str):
        what = "a password must not be in the settings, which others may read"
        yield SettingIssue(("monitor", "password"), what, (monitor_hint(),))


def _uplink(raw: Raw) -> Iterator[SettingIssue]:
    uplink = raw.get("uplink")
    if not isinstance(uplink, dict):
        return
    for key in ("key", "pseudonym_key"):
        if isinstance(uplink.get(key), str):
            hint = f'put it into a file with mode 640, and write {key} = {{ file = "/etc/gatectl/uplink/…" }}'
            what = "a key must not be in the settings, which others may read"
            yield SettingIssue(("uplink", key), what, (hint,))
    if uplink.get("members", "pseudonym") == "pseudonym" and "pseudonym_key" not in uplink:
        hints = (
            'pseudonym_key = { file = "/etc/gatectl/uplink/pseudonym" }: head office has the file',
            'or members = "none"',
        )
        yield SettingIssue(("uplink",), "pseudonyms need pseudonym_key", hints)


def _ways(raw: Raw) -> Iterator[SettingIssue]:
    """Find settings of a partner's proxy and client certificate that lack their other half."""
    for name, partner in tables(raw, "partners"):
        for key, other in (
            ("proxy_key", "proxy"),
            ("client_key", "client_certificate"),
            ("client_certificate", "client_key"),
        ):
            if key in partner and other not in partner:
                yield SettingIssue(("partners", name, key), f"has no use without {other}", (_OTHERS[other],))
        plain = str(partner.get("url", "")).lower().startswith("http://")
        if plain and "client_certificate" in partner:
            what = "is never sent, since the url is plain http"
            yield SettingIssue(("partners", name, "client_certificate"), what, ("write https:// in url",))
        if plain and "proxy" in partner and not _is_here(partner["proxy"]):
            what = "would get the key in plain text, since the url is plain http"
            yield SettingIssue(
                ("partners", name, "proxy"), what, ("write https:// in url, or leave proxy out",)
            )


def _is_here(url: object) -> bool:
    try:
        return isinstance(url, str) and is_loopback(urlsplit(url).hostname or "")
    except ValueError:  # the model reports it
        return False


_OTHERS = {
    "proxy": 'add proxy = "http://proxy.example.com:3128"',
    "client_certificate": 'add client_certificate = "/etc/gatectl/client.crt"',
    "client_key": 'add client_key = { file = "/etc/gatectl/secrets/client.key" }',
}


def _routes(raw: Raw) -> Iterator[SettingIssue]:
    for index, route in _indexed(raw.get("routes")):
        yield from _reference(raw, "partners", route.get("partner"), ("routes", index, "partner"))
        doors = route.get("doors")
        for place, door in enumerate(doors if isinstance(doors, list) else []):
            yield from _reference(raw, "doors", door, ("routes", index, "doors", place))


def _reference(raw: Raw, section: str, name: object, where: Where) -> Iterator[SettingIssue]:
    known = raw.get(section, {})
    if isinstance(name, str) and isinstance(known, dict) and name not in known:
        kind = section.removesuffix("s")
        hints = near(name, known) or (f"name one of the [{section}.NAME] tables, or add one",)
        yield SettingIssue(where, f"there is no {kind} {name!r}", hints)


def _partners(raw: Raw) -> Iterator[SettingIssue]:
    for name, partner in tables(raw, "partners"):
        protocol = partner.get("protocol")
        if isinstance(protocol, str) and protocol in PROTOCOLS:
            for where, what, hints in PROTOCOLS[protocol].contradictions(partner):
                yield SettingIssue(("partners", name, *where), what, hints)


def _pins(raw: Raw) -> Iterator[SettingIssue]:
    seen: dict[int, Where] = {}
    for where, pin in _uses_of_pins(raw):
        if pin in seen:
            what = f"pin {pin} is already used by {key_of(seen[pin])}"
            yield SettingIssue(where, what, ("each relay, input and signal needs a pin of its own",))
        seen.setdefault(pin, where)


def _uses_of_pins(raw: Raw) -> Iterator[tuple[Where, int]]:
    for door, settings in tables(raw, "doors"):
        yield from _pins_below(settings, ("doors", door))


def _pins_below(table: Raw, where: Where) -> Iterator[tuple[Where, int]]:
    """Every pin of a door, wherever it is set: relays and inputs have a `pin`, each signal is one."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _pins_below(value, (*where, key))
        elif (key == "pin" or where[2:] == ("signals",)) and type(value) is int and 0 <= value <= 53:
            yield (*where, key), value


def _schedules(raw: Raw) -> Iterator[SettingIssue]:
    for door, settings in tables(raw, "doors"):
        for key in ("hold_open", "closed"):
            yield from _reference(raw, "schedules", settings.get(key), ("doors", door, key))
        relay = settings.get("relay")
        if "hold_open" not in settings or not isinstance(relay, dict):
            continue
        where = ("doors", door, "hold_open")
        if relay.get("control") == "pulse":
            yield SettingIssue(
                where, "cannot hold a gate in pulse control open", ("leave one of the two out",)
            )
        elif relay.get("continuous") is not True:
            hint = f"doors.{door}.relay.continuous = true: the lock may stay energised for hours"
            yield SettingIssue(where, "needs a relay that may stay on for hours", (hint,))


def _passages(raw: Raw) -> Iterator[SettingIssue]:
    for door, settings in tables(raw, "doors"):
        passage, relay = settings.get("passage"), settings.get("relay")
        wait_ms = passage.get("wait_ms") if isinstance(passage, dict) else None
        open_ms = relay.get("open_ms", 3000) if isinstance(relay, dict) else None
        if type(wait_ms) is int and type(open_ms) is int and wait_ms < open_ms:
            where = ("doors", door, "passage", "wait_ms")
            yield SettingIssue(where, f"must be at least relay.open_ms, which is {open_ms}", ())


def _unseen_passages(raw: Raw) -> Iterator[SettingIssue]:
    """Find settings that depend on who passed, at doors that cannot see it."""
    for door, settings in tables(raw, "doors"):
        if "passage" in settings or "contact" in settings:
            continue
        return_min = settings.get("return_min", 0)
        if type(return_min) is int and return_min > 0:
            yield SettingIssue(("doors", door, "return_min"), "needs to know who passed", _seen_at(door))
        for name, partner in tables(raw, "partners"):
            if partner.get("check_in") == "passage" and _leads_to(raw, name, door):
                what = f"needs to know who passed, and the door {door} cannot see it"
                yield SettingIssue(("partners", name, "check_in"), what, _seen_at(door))


def _leads_to(raw: Raw, partner: str, door: str) -> bool:
    """Whether a route leads from this door to the partner; without any route it is asked about cards."""
    routes = [route for _, route in _indexed(raw.get("routes")) if route.get("partner") == partner]
    lists = [route.get("doors") for route in routes]
    return not routes or any(not isinstance(doors, list) or door in doors for doors in lists)


def _seen_at(door: str) -> tuple[str, ...]:
    return (f"set doors.{door}.passage to the turnstile's sensor, or doors.{door}.contact",)


def _contacts(raw: Raw) -> Iterator[SettingIssue]:
    for door, settings in tables(raw, "doors"):
        contact, signals = settings.get("contact"), settings.get("signals")
        if not isinstance(contact, dict):
            continue
        warn_s, held_s = contact.get("warn_s", 0), contact.get("held_s", 30)
        where = ("doors", door, "contact", "warn_s")
        if type(warn_s) is not int or type(held_s) is not int or not warn_s:
            continue
        if warn_s > held_s:
            yield SettingIssue(where, f"must be at most held_s, which is {held_s}", ())
        if not isinstance(signals, dict) or "buzzer" not in signals:
            hint = f"set doors.{door}.signals.buzzer to its pin, or leave warn_s out"
            yield SettingIssue(where, "warns with the buzzer, and this door has none", (hint,))


def _graces(raw: Raw) -> Iterator[SettingIssue]:
    """Refuse evidence that the journal does not keep, and a short budget that is none."""
    journal = raw.get("journal")
    keep_days = journal.get("keep_days", JournalSettings.keep_days) if isinstance(journal, dict) else None
    for name, partner in tables(raw, "partners"):
        grace = partner.get("grace")
        if not isinstance(grace, dict):
            continue
        seen_days = grace.get("seen_days", GraceSettings.seen_days)
        if type(keep_days) is int and type(seen_days) is int and 0 < keep_days < seen_days:
            where = ("partners", name, "grace", "seen_days")
            what = f"is longer than the journal keeps events: journal.keep_days is {keep_days}"
            yield SettingIssue(where, what, ("make keep_days longer, or seen_days shorter",))
        probe_ms, budget_ms = grace.get("probe_ms"), _budget_ms(partner)
        if type(probe_ms) is int and budget_ms is not None and probe_ms > budget_ms:
            where = ("partners", name, "grace", "probe_ms")
            yield SettingIssue(where, f"must be at most budget_ms, which is {budget_ms}", ())


def _budget_ms(partner: Raw) -> int | None:
    descriptor = PROTOCOLS.get(str(partner.get("protocol")))
    budget_ms = partner.get("budget_ms", descriptor and descriptor.settings.budget_ms)
    return budget_ms if type(budget_ms) is int else None


def _devices(raw: Raw, folder: Path) -> Iterator[SettingIssue]:
    """Refuse one device for two scanners: each of them would read half a code.

    Only one path or name written twice is an error here. Two names that lead to one device are detected when
    it is opened: the names of two identical readers change when one is unplugged, although the settings are
    right.
    """
    seen: dict[tuple[str, str], Where] = {}
    for where, device in _uses_of_devices(raw, folder):
        if device in seen:
            what = f"is the same device as {key_of(seen[device])}"
            yield SettingIssue(where, what, ("each scanner needs a device of its own",))
        seen.setdefault(device, where)


def _uses_of_devices(raw: Raw, folder: Path) -> Iterator[tuple[Where, tuple[str, str]]]:
    """Yield each device that a scanner has: its setting, and what is equal for the same device."""
    for door, settings in tables(raw, "doors"):
        for index, scanner in _indexed(settings.get("scanners")):
            named = {key: text for key, text in scanner.items() if isinstance(text, str)}
            where = ("doors", door, "scanners", index)
            for key in named.keys() & set(path_keys()):
                if path := resolve(named[key], folder):
                    yield (*where, key), ("path", os.path.normpath(path))
            for key in named.keys() & set(other_keys()):
                yield (*where, key), (key, named[key].casefold())


def _indexed(values: object) -> Iterator[tuple[int, Raw]]:
    if isinstance(values, list):
        yield from ((index, value) for index, value in enumerate(values) if isinstance(value, dict))
