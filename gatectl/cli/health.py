"""The daemon's status in words: what is well; for the rest, since when, and what to do."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gatectl.decision.cause import fail_together
from gatectl.decision.door.inputs import InputHealth
from gatectl.decision.local_time import when
from gatectl.decision.partner_condition import OUT_OF_ORDER, Condition
from gatectl.decision.words.status_words import (
    alarm_words,
    cards_trouble,
    damaged_trouble,
    grace_words,
    input_words,
    inside_words,
    journal_trouble,
    mode_words,
    partner_advice,
)
from gatectl.devices.reader.port import SAME_DEVICE, LossCause
from gatectl.partners.registry import key_advice_of

_GATE_ADVICE = (
    "Nobody is let in here, and no partner is asked. It is tried again by itself, and at once by: gatectl "
    "open {door} --reason TEXT. Is the pin's number right, does another program hold it, is the relay wired?"
)

_EXIT_ADVICE = (
    "Its button and its scanners open nothing: is there another way out? It is tried again by itself, and at "
    "each press. Is the pin's number right, does another program hold it, is the relay wired?"
)

_SIGNAL_ADVICE = "Members are let in without it. Is the pin's number right, and does another program hold it?"

_INPUT_ADVICE: dict[str, str] = {
    InputHealth.STUCK: "The door goes on. Is something jammed, or in front of it? Else look at its wiring.",
    InputHealth.SUSPECT: "Who does not pass is not noticed until its next signal. Look at the sensor, its "
    "wiring, and at active in the settings.",
    InputHealth.FLUTTERS: "Its alarms rest until it has been quiet for a minute. Is a wire loose?",
    InputHealth.LOST: "The door goes on without it, and it is tried again by itself. Is the pin's number "
    "right, and does another program hold it?",
}

_ALARM_ADVICE = "It ends when the door is closed."

_MANY = 3
"""Some dropped readings are normal for a scanner; so many, and more than codes, are not."""

_SCANNER_ADVICE: dict[str, str] = {
    LossCause.UNPLUGGED: "Plug it in; `gatectl devices` shows under which name each scanner is there.",
    LossCause.HELD: "Another program has it open; `gatectl devices` shows which.",
    LossCause.DENIED: "Unplug it and plug it in again, or: systemctl start gatectl-devices. "
    "udev gives gatectl what the settings name.",
    LossCause.SLOW: "Unplug it and plug it in again; gatectl takes it up by itself. If that does not last: "
    "another cable, socket or hub.",
    LossCause.SEVERAL: "Name it by its path, or by its Bluetooth address; `gatectl devices` prints it.",
}

_SHARED_ADVICE = (
    "What it reads is missing in the codes. Stop it; a login prompt: "
    "systemctl disable --now serial-getty@NAME"
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
        found += _alarm(name, door, now)
        found += _exit_gate(name, door, now)
        # A daemon of the previous version reports neither signals nor inputs.
        found += (_signal(name, signal, pin, now) for signal, pin in door.get("signals", {}).items())
        found += (_input(name, which, state, now) for which, state in door.get("inputs", {}).items())
        found += (_scanner(name, scanner, now) for scanner in door["scanners"])
    alone = not fail_together(status)
    for name, partner in status["partners"].items():
        found += _partner(name, partner, pages.get(name), now, alone=alone)
    found.append(Fact(*(journal_trouble(status["journal"]) or ("journal: written",))))
    damaged = damaged_trouble(status, lambda moment: since(moment, now))
    return [*found, Fact(*damaged)] if damaged else found


def _runs(status: Mapping[str, Any]) -> Fact:
    runs, cards = f"gatectl {status['version']} runs (process {status['pid']})", status["cards"]
    unreadable = cards_trouble(status)
    if unreadable is not None:
        return Fact(f"{runs}, {unreadable.words}", unreadable.advice)
    return Fact(f"{runs}, {cards} card{'' if cards == 1 else 's'} enrolled")


def _door(name: str, door: Mapping[str, Any], now: datetime) -> Fact:
    closes, cause = door["gate"]["closes_in_ms"], door["gate"].get("cause")
    gate = "gate open" if door["gate"]["open"] else "gate shut"
    if closes is not None:
        gate += f", shuts in {closes / 1000:.1f} s"
    if cause is not None:
        gate = f"gate out of order, {since(door['gate']['since'], now)} ({cause})"
    shown = ", ".join(part for part in (_mode(door, now), gate) if part)
    words = [f"door {name}: {shown}", "free" if door["state"] == "free" else "deciding a scan"]
    if inside := inside_words(door):
        words.append(inside)
    if door["waiting"]:
        words.append(f"{door['waiting']} waiting")
    if door["dropped"]:
        words.append(f"{door['dropped']} codes dropped, as four waited already")
    return Fact(", ".join(words), "" if cause is None else _GATE_ADVICE.format(door=shlex.quote(name)))


def _mode(door: Mapping[str, Any], now: datetime) -> str:
    """The door's mode, with its end if that is known."""
    until = door.get("mode", {}).get("until")
    words = mode_words(door)
    return f"{words} (until {when(until, now, seconds=False)})" if words and until else words


def _alarm(name: str, door: Mapping[str, Any], now: datetime) -> Iterator[Fact]:
    if words := alarm_words(door):
        yield Fact(f"{name}: {words}, {since(door['alarm']['since'], now)}", _ALARM_ADVICE)


def _exit_gate(name: str, door: Mapping[str, Any], now: datetime) -> Iterator[Fact]:
    """The exit's own relay; a daemon of the previous version does not report it."""
    if gate := door.get("exit_gate"):
        yield Fact(
            f"exit of {name}: out of order, {since(gate['since'], now)} ({gate['cause']})", _EXIT_ADVICE
        )


def _signal(door: str, signal: str, pin: Mapping[str, Any], now: datetime) -> Fact:
    return Fact(f"signal {signal} of {door}: {since(pin['since'], now)}: {pin['cause']}", _SIGNAL_ADVICE)


def _input(door: str, name: str, state: Mapping[str, Any], now: datetime) -> Fact:
    thing, condition, _ = input_words(name, state)
    changed = f", {since(state['since'], now)}" if state["since"] else ""
    return Fact(f"{thing} of {door}: {condition}{changed}", _INPUT_ADVICE.get(state["state"], ""))


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
    if state == OUT_OF_ORDER:
        words += f", {since(partner['since'], now)}: {lost['detail']}"
        yield Fact(words, partner_advice(name, partner, page, alone=alone))
        return
    if state != Condition.HEALTHY:
        words += f", {since(partner['since'], now)}"
    if state == Condition.OUTAGE and partner["failing"]:
        words += f", last {partner['failing']['detail'] or partner['failing']['fault']}"
    if grace := grace_words(partner, lambda moment: when(moment, now, seconds=False)):
        words += f", {grace}"
    if lost is None:
        words += f", {ready} connection{'' if ready == 1 else 's'} ready"
    else:
        words += f", no connection ({lost['fault']}: {lost['detail']})"
    key_advice = key_advice_of(partner.get("protocol", ""))
    yield Fact(words, partner_advice(name, partner, page, alone=alone, key_advice=key_advice))
    ahead = partner["clock_ahead_s"]
    if ahead:
        off = f"{abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'}"
        yield Fact(f"this machine's clock is {off} {name}'s", "Is the time set by the network? timedatectl")


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
