"""The daemon's status in words: what is well; for the rest, since when, and what to do."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gatectl.decision.cause import fail_together, is_for_another_url
from gatectl.decision.local_time import when
from gatectl.decision.partner_condition import Condition
from gatectl.devices.reader.supervisor import SAME_DEVICE, LossCause
from gatectl.partners.registry import PROTOCOLS

_GATE_ADVICE = (
    "Nobody is let in here, and no partner is asked. It is tried again by itself, and at once by: gatectl "
    "open {door} --reason TEXT. Is the pin's number right, does another program hold it, is the relay wired?"
)

_SIGNAL_ADVICE = "Members are let in without it. Is the pin's number right, and does another program hold it?"

_MANY = 3
"""Some dropped readings are normal for a scanner; so many, and more than codes, are not."""

_SCANNER_ADVICE: dict[str, str] = {
    LossCause.UNPLUGGED: "Plug it in; `gatectl devices` shows under which name each scanner is there.",
    LossCause.HELD: "Another program has it open; `gatectl devices` shows which.",
    LossCause.DENIED: "Unplug it and plug it in again, or: systemctl start gatectl-devices. "
    "udev gives gatectl what the settings name.",
    LossCause.SLOW: "Unplug it and plug it in again; gatectl takes it up by itself. If that does not last: "
    "another cable, socket or hub.",
}

_SHARED_ADVICE = (
    "What it reads is missing in the codes. Stop it; a login prompt: "
    "systemctl disable --now serial-getty@NAME"
)

_UNCONNECTED_ADVICE = {
    "network": "Look at this door's own network, name server and firewall first, then at the partner: "
    "gatectl check --connect",
    "tls": "Is the clock right, and does the partner need a ca_file? gatectl check --connect",
}

_OWN_SIDE_FIRST = (
    "Look at this door's own network, name server and clock first: gatectl check --connect, timedatectl."
)

_MEMORY_ADVICE = (
    "Put journal.path on a disk that is written to: on Raspberry Pi OS a partition or a stick of its own, "
    "or raspi-config, Performance, Overlay File System: off."
)

_JOURNAL_ADVICE = (
    "Members are still let in; the records follow when the disk takes them. Is it full or failing? "
    "df -h, journalctl -k"
)

_MENDING_ADVICE = "Members are still let in; the records follow when it is repaired. journalctl -u gatectl"

_DAMAGED_ADVICE = (
    "Are all cards there? gatectl cards list. Is the disk failing? journalctl -k. "
    "The damaged file is kept next to the journal. When you know: gatectl status --acknowledge"
)

_CARDS_ADVICE = (
    "They are kept in the journal's file. Does another program hold it, is the disk failing? "
    "journalctl -u gatectl"
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the screen; `advice` says what to do, and is empty if all is well."""

    words: str
    advice: str = ""

    @property
    def is_well(self) -> bool:
        return not self.advice


def facts(status: Mapping[str, Any], pages: Mapping[str, str | None], now: datetime) -> list[Fact]:
    """Return the whole screen, from `status --json`; `pages` are the partners' status pages, by name."""
    found = [_runs(status)]
    for name, door in status["doors"].items():
        found.append(_door(name, door, now))
        signals = door.get("signals", {})  # a daemon of the previous version does not report it
        found += (_signal(name, signal, pin, now) for signal, pin in signals.items())
        found += (_scanner(name, scanner, now) for scanner in door["scanners"])
    alone = not fail_together(status)
    for name, partner in status["partners"].items():
        found += _partner(name, partner, pages.get(name), now, alone=alone)
    found.append(_journal(status["journal"]))
    if status.get("damaged"):
        found.append(_damaged(status["damaged"], now))
    return found


def _runs(status: Mapping[str, Any]) -> Fact:
    runs, cards = f"gatectl {status['version']} runs (process {status['pid']})", status["cards"]
    if cards is None:
        return Fact(f"{runs}, the enrolled cards cannot be read: every code is rejected", _CARDS_ADVICE)
    return Fact(f"{runs}, {cards} card{'' if cards == 1 else 's'} enrolled")


def _door(name: str, door: Mapping[str, Any], now: datetime) -> Fact:
    closes, cause = door["gate"]["closes_in_ms"], door["gate"].get("cause")
    gate = f"gate open, shuts in {closes / 1000:.1f} s" if door["gate"]["open"] else "gate shut"
    if cause is not None:
        gate = f"gate out of order, {since(door['gate']['since'], now)} ({cause})"
    words = [f"door {name}: {gate}", "free" if door["state"] == "free" else "deciding a scan"]
    if door["waiting"]:
        words.append(f"{door['waiting']} waiting")
    if door["dropped"]:
        words.append(f"{door['dropped']} codes dropped, as four waited already")
    return Fact(", ".join(words), "" if cause is None else _GATE_ADVICE.format(door=shlex.quote(name)))


def _signal(door: str, signal: str, pin: Mapping[str, Any], now: datetime) -> Fact:
    return Fact(f"signal {signal} of {door}: {since(pin['since'], now)}: {pin['cause']}", _SIGNAL_ADVICE)


def _scanner(door: str, scanner: Mapping[str, Any], now: datetime) -> Fact:
    head = f"scanner {scanner['scanner']} of {door}: "
    dropped = "".join(f", {count} {flaw.replace('_', ' ')}" for flaw, count in scanner["dropped"].items())
    last = _last_dropped(scanner.get("last_dropped"), now)
    codes = f"{scanner['codes']} code{'' if scanner['codes'] == 1 else 's'}{dropped}{last}"
    if scanner["state"] == "ready":
        if scanner.get("held_by"):
            return Fact(f"{head}ready, {codes}; also open in {', '.join(scanner['held_by'])}", _SHARED_ADVICE)
        lost = sum(scanner["dropped"].values())
        odd = lost > max(scanner["codes"], _MANY)
        advice = "More is dropped than read. Framing, speed and layout: `gatectl devices` finds them."
        return Fact(f"{head}ready, {codes}", advice if odd else "")
    cause = scanner["cause"] or "not looked for yet"
    advice = _SCANNER_ADVICE.get(cause, "`gatectl devices` shows which scanners are there.")
    if cause.startswith(SAME_DEVICE):
        advice = "Two identical scanners share their names below by-id; `gatectl devices` shows one for each."
    if scanner.get("held_by"):
        cause += f": {', '.join(scanner['held_by'])}"
    return Fact(f"{head}{cause}, {since(scanner['since'], now)}, {codes}", advice)


def _last_dropped(dropped: Mapping[str, Any] | None, now: datetime) -> str:
    if dropped is None:
        return ""
    what = dropped["flaw"].replace("_", " ") + (f", {dropped['detail']}" if dropped["detail"] else "")
    ago = length(max((now - datetime.fromisoformat(dropped["at"])).total_seconds(), 0.0))
    return f" (the last one {ago} ago: {what})"


def _partner(
    name: str, partner: Mapping[str, Any], page: str | None, now: datetime, *, alone: bool
) -> Iterator[Fact]:
    state, lost = partner["state"], partner["unconnected"]
    ready = partner["ready_connections"]
    words = f"partner {name}: {state}"
    if state != Condition.HEALTHY:
        words += f", {since(partner['since'], now)}"
    if state == Condition.OUTAGE and partner["failing"]:
        words += f", last {partner['failing']['detail'] or partner['failing']['fault']}"
    if lost is None:
        words += f", {ready} connection{'' if ready == 1 else 's'} ready"
    else:
        words += f", no connection ({lost['fault']}: {lost['detail']})"
    yield Fact(words, _partner_advice(name, partner, page, alone=alone))
    ahead = partner["clock_ahead_s"]
    if ahead:
        off = f"{abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'}"
        yield Fact(f"this machine's clock is {off} {name}'s", "Is the time set by the network? timedatectl")


def _partner_advice(name: str, partner: Mapping[str, Any], page: str | None, *, alone: bool) -> str:
    lost = partner["unconnected"]
    match partner["state"]:
        case Condition.OUTAGE:
            where = f" ({page})" if page else ""
            failing = partner["failing"]
            if failing and is_for_another_url(failing["status"]):
                status = failing["status"]
                return f"{name}'s server has nothing at this url (HTTP {status}): check it in the settings."
            check = f"check the status page of {name}{where} and contact {name}."
            if lost is None and alone:
                return f"C{check[1:]} There is no need to contact Support."
            return f"{_OWN_SIDE_FIRST} If they are in order, {check} Else it is a case for Support."
        case Condition.RESTING:
            return f"{name} asked for a pause, and is asked again by itself. If it goes on, contact {name}."
        case Condition.REFUSING_KEY:
            also = PROTOCOLS[partner["protocol"]].key_advice
            also = also and f", {also}"
            return (
                f"Ask {name} whether the key is still valid{also}; after a change: systemctl restart gatectl"
            )
        case Condition.REFUSING_EVERYONE:
            return (
                f"{name} refused five different members in a row and admitted none: check key, url and IDs "
                f"in the settings; after a change: systemctl restart gatectl"
            )
    if lost is None:
        return ""
    if "not yet valid" in lost["detail"]:
        return "Is this machine's clock right, and does the network set it? timedatectl"
    return _UNCONNECTED_ADVICE.get(lost["fault"], "gatectl check --connect")


def _journal(journal: Mapping[str, Any]) -> Fact:
    if journal["error"] is not None:
        advice = _MENDING_ADVICE if "is damaged" in journal["error"] else _JOURNAL_ADVICE
        return Fact(f"journal: {journal['error']}; {journal['late']} records wait", advice)
    if journal["lost"]:
        return Fact(f"journal: written, but {journal['lost']} records were lost", _JOURNAL_ADVICE)
    if journal.get("in_memory"):
        return Fact(
            "journal: written to memory, no record and no enrolled card outlives the power", _MEMORY_ADVICE
        )
    return Fact("journal: written")


def _damaged(damaged: Mapping[str, Any], now: datetime) -> Fact:
    cards, events = damaged["cards"], damaged["events"]
    carried = f"{cards} card{'' if cards == 1 else 's'} and {events} event{'' if events == 1 else 's'}"
    when = since(damaged["since"], now)
    words = f"the journal was damaged, {when}: {carried} were carried over into a new one"
    return Fact(words, _DAMAGED_ADVICE)


def since(moment: str, now: datetime) -> str:
    """Return `since 20:35:01, 12 min`: local time, with the day if not today, and how long ago."""
    age_s = (now - datetime.fromisoformat(moment)).total_seconds()
    return f"since {when(moment, now, seconds=True)}, {length(max(age_s, 0.0))}"


def length(seconds: float) -> str:
    """Return a duration for people: `40 s`, `12 min`, `3 h`, `2 days`."""
    for unit, size, next_size in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < next_size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds // 86_400:.0f} days"
