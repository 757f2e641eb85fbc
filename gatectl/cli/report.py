"""`gatectl report ID`: write the files that Support asks for, and say whether it is a case for Support.

A case also has the versions of the machine's programs and the state of its clock.

Source: https://support.magicline.com/hc/en-us/articles/47879904419857, "What to send to Support".
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sqlite3
import ssl
import subprocess
import textwrap
import time
import uuid
from collections.abc import Iterable, Mapping
from datetime import tzinfo
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gatectl import __version__
from gatectl.cli import report_parts
from gatectl.cli.control import call
from gatectl.config.model import Settings
from gatectl.config.problems import SettingsError
from gatectl.config.reader import find, load, load_usable
from gatectl.decision.cause import NEIGHBOURS, around
from gatectl.decision.event import Event, timestamp
from gatectl.decision.local_time import local
from gatectl.decision.schedule import Schedule
from gatectl.decision.verdict import Reason
from gatectl.decision.words.advice import advice
from gatectl.decision.words.event_words import reason_of, sent_of
from gatectl.decision.words.triage import Triage, triage
from gatectl.devices.reader.system import text_of
from gatectl.errors import GatectlError, visible
from gatectl.journal.reader import Reader
from gatectl.partners.reason import MASK, mask_secrets
from gatectl.validators.values import Table

AROUND = 5
"""Events before and after, in the picture: they show whether one member is affected or everyone."""

WINDOW_US = 3_600_000_000
"""An hour: earlier events are unrelated."""

_WIDTH = 80
_LABEL = 16

Line = tuple[str, object]
"""A label and its value; one without a value is left out."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The event, and the report's folder."""
    parser.add_argument("id", metavar="ID", help="the event's, as `gatectl events --json` shows it")
    parser.add_argument(
        "-o", "--output", metavar="DIR", help="the report's folder (else gatectl-report-ID in this one)"
    )


def run(args: argparse.Namespace) -> int:
    """Return 0 when the report is written, whether it is a case for Support or not."""
    event_id = _event_id(args.id)
    path = find(args.config, os.environ)
    case, contents = files(event_id, load(path), keys_of(path))
    folder = Path(args.output or f"gatectl-report-{event_id}")
    _write(folder, contents)
    print(_verdict(case))
    print(f"the report is in {visible(str(folder))}")
    return 0


def files(event_id: str, settings: Settings, keys: list[str]) -> tuple[Triage, dict[str, str]]:
    """Return the case for Support, and the report's files: name and content, without any of `keys`.

    Raises GatectlError if there is no such event.
    """
    with Reader(settings.journal.path) as reader:
        event = reader.find(event_id)
        if event is None:
            raise GatectlError(
                f"there is no finished event {event_id}", "gatectl events --json shows those there are"
            )
        before, after = reader.neighbours(event_id, NEIGHBOURS)
    said = around(event, before, after)
    event = _masked(event, keys)
    pages = {name: partner.status_page for name, partner in settings.partners.items()}
    case = triage(event, said)
    what_to_do = advice(event, pages.get(event.attempt.partner or ""), around=said)
    system = {"versions": versions(), "clock": clock() | _partners_clocks(settings)}
    zone = settings.site.zone
    title = f"Event Monitor, {settings.site.studio or 'this studio'}, local time"
    contents = {
        "report.txt": report_text(event, case, what_to_do, system, zone),
        "event-monitor.svg": report_parts.picture(
            _near(event, before[-AROUND:]), event, _near(event, after[:AROUND]), pages, title, zone
        ),
        "event.json": _json(event.to_json()),
        "settings.json": _json(without_secrets(settings)),
        "system.json": _json(system),
    }
    return case, {name: mask_secrets(keys, text) for name, text in contents.items()}


def _event_id(text: str) -> str:
    """Return the ID in the journal's form; only valid IDs pass, since it becomes a folder's name."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise GatectlError(
            f"{text!r} is no event's ID", "an ID looks like 0199f0c6-0000-7000-8000-000000000007"
        ) from None


def _near(event: Event, others: Iterable[Event]) -> list[Event]:
    """Return the events within an hour of this one."""
    at_us = event.attempt.at_us
    return [one for one in others if one.attempt.at_us in range(at_us - WINDOW_US, at_us + WINDOW_US)]


# --- The text -------------------------------------------------------------------------------------


def _verdict(case: Triage) -> str:
    return f"{'A' if case.is_for_support else 'No'} case for Support: {case.why}."


def report_text(
    event: Event,
    case: Triage,
    what_to_do: str,
    system: Mapping[str, Mapping[str, str]],
    zone: tzinfo | None,
) -> str:
    """Return the report for people, in lines of 80 columns if the words allow it; `zone` is the gym's."""
    lines = [*_wrapped(_verdict(case)), *(["", *_wrapped(f"What to do: {what_to_do}")] if what_to_do else [])]
    lines += _section("What Support asks for", _asked_for(event, zone))
    lines += _section("The exchange", [*_decided(event), *_exchanged(event)])
    request = event.outcome.request
    if request is not None:
        lines += report_parts.digest(request)
        lines += ["", "Its times, in ms from the complete code", *report_parts.times(event, request)]
    lines += _section("Versions", system["versions"].items())
    lines += _section("The clock", system["clock"].items())
    lines += ["", "Also here: event.json, settings.json (without keys), system.json."]
    return "\n".join(lines) + "\n"


def _asked_for(event: Event, zone: tzinfo | None) -> list[Line]:
    attempt = event.attempt
    here = local(attempt.at_us, zone)
    return [
        ("Tenant", attempt.tenant or "not set"),
        ("Studio", attempt.studio or "not set"),
        ("Member number", f"{attempt.member} at {attempt.partner}" if attempt.member else "not known"),
        ("Time", f"{timestamp(attempt.at_us)} (here {here:%Y-%m-%d %H:%M:%S %Z})"),
        ("Picture", "event-monitor.svg"),
        ("Error text", event.outcome.message),
        ("Request sent", sent_of(event).sentence),
    ]


def _decided(event: Event) -> list[Line]:
    attempt, outcome = event.attempt, event.outcome
    return [
        ("Event", attempt.id),
        ("Kind", attempt.kind),
        ("Belongs to", attempt.of),
        ("Door", attempt.door),
        ("Scanner", attempt.scanner),
        ("Code as read", attempt.credential),
        ("Customer", attempt.customer),
        ("Result", outcome.result.value),
        ("Basis", outcome.basis and outcome.basis.value),
        ("Verdict", outcome.verdict and outcome.verdict.value),
        ("HTTP status", outcome.status),
        ("Fault", outcome.fault and outcome.fault.value),
        ("Detail", outcome.detail),
        ("Reason", reason_of(event)),
        ("Outage", "yes" if outcome.outage else "no"),
    ]


def _exchanged(event: Event) -> list[Line]:
    """The facts of the request; of an event without one, when the gate opened."""
    request, gate = event.outcome.request, event.outcome.gate
    if request is not None:
        elapsed = request.elapsed_ms
        return [
            ("Connection", report_parts.connection(request)),
            ("Elapsed", None if elapsed is None else f"{elapsed} ms of {request.budget_ms} ms"),
            ("Answer's body", report_parts.body(request)),
        ]
    return [] if gate is None else [("Gate opened", f"{timestamp(gate.opened_us)}, {gate.after_ms} ms on")]


def _section(heading: str, rows: Iterable[Line]) -> list[str]:
    return ["", heading, *(line for name, value in rows for line in _row(name, value))]


def _row(name: str, value: object) -> list[str]:
    if value is None or value == "":
        return []
    return textwrap.wrap(
        visible(str(value)),
        _WIDTH,
        initial_indent=f"  {name:<{_LABEL}}",
        subsequent_indent=" " * (_LABEL + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(visible(text), _WIDTH, break_long_words=False, break_on_hyphens=False)


# --- The files ------------------------------------------------------------------------------------


def without_secrets(settings: Settings) -> dict[str, Any]:
    """The settings as JSON takes them. They hold no key; the parts of a URL after its path are cut off."""
    plain: dict[str, Any] = _plain(settings)
    for partner in plain["partners"].values():
        parts = urlsplit(partner["url"])
        if parts.query:
            partner["url"] = parts._replace(query=MASK).geturl()
    return plain


def _plain(value: Any) -> Any:
    """Return a value of the settings as JSON takes it."""
    match value:
        case Table():
            return _plain(vars(value))
        case Schedule():
            return {"week": _plain(value.week), "exceptions": _plain(value.exceptions)}
        case Mapping():
            return {str(name): _plain(part) for name, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case re.Pattern():
            return value.pattern
        case bool() | int() | str() | None:
            return value
    return str(value)


def _partners_clocks(settings: Settings) -> dict[str, str]:
    """Seconds by which this clock is ahead of each partner's, as a running gatectl saw it."""
    try:
        status = call(settings.control.socket, {"command": "status"})
    except GatectlError:
        return {}
    ahead = {name: partner.get("clock_ahead_s") for name, partner in status["partners"].items()}
    return {f"ahead of {name}": f"{seconds} s" for name, seconds in ahead.items() if seconds is not None}


def keys_of(path: Path) -> list[str]:
    """The partners' keys, if this user may read them: no file of the report may hold one."""
    try:
        usable = load_usable(path, os.environ)
    except SettingsError:
        return []
    held = [secret for one in usable.secrets.values() for secret in (one.key, one.proxy_key)]
    return [secret.value for secret in held if secret is not None]


def _masked(event: Event, keys: list[str]) -> Event:
    """Mask keys in the event, before line breaks could split one."""

    def clean(text: str | None) -> str | None:
        return text and mask_secrets(keys, text)

    attempt, outcome = event.attempt, event.outcome
    reason = outcome.reason and Reason(clean(outcome.reason.key), clean(outcome.reason.text))
    return Event(
        attempt._replace(
            credential=clean(attempt.credential),
            member=clean(attempt.member),
            customer=clean(attempt.customer),
        ),
        outcome._replace(
            message=mask_secrets(keys, outcome.message), detail=clean(outcome.detail), reason=reason
        ),
    )


def _write(folder: Path, contents: Mapping[str, str]) -> None:
    """Write all files, readable by this user only. Never overwrite an existing file."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in contents.items():
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
    except FileExistsError as error:
        raise GatectlError(f"{error.filename}: is there already", "name another folder with -o") from error
    except OSError as error:
        hint = "name a folder that you may write to with -o"
        raise GatectlError(f"{error.filename}: {error.strerror}", hint) from error


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


_PACKAGES = ("evdev", "gpiozero", "h11", "lgpio", "pydantic", "pyserial", "rich")

_PATIENCE_S = 5.0
"""timedatectl asks a service, which systemd may have to start first."""

_CLOCK = ("Timezone", "NTP", "NTPSynchronized", "LocalRTC")


def versions() -> dict[str, str]:
    """Versions by the names of their programs."""
    return {
        "gatectl": __version__,
        "python": platform.python_version(),
        "system": _system(),
        "kernel": platform.release(),
        "machine": text_of(Path("/proc/device-tree/model")) or platform.machine(),
        "sqlite": sqlite3.sqlite_version,
        "openssl": ssl.OPENSSL_VERSION,
        **{name: _version(name) for name in _PACKAGES},
    }


def clock() -> dict[str, str]:
    """The time, and the clock's state from systemd where it has one."""
    state = {"now": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    command = ["timedatectl", "show", *(f"--property={name}" for name in _CLOCK)]
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            command, capture_output=True, text=True, timeout=_PATIENCE_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return state | {"timedatectl": "gives no answer here"}
    return state | dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
