"""Convert events, status and screens to the texts that a page shows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gatectl.decision.cause import fail_together
from gatectl.decision.event import DialRecord, Event, RequestRecord, timestamp
from gatectl.decision.indication import Screen
from gatectl.decision.local_time import clock_text, local, when
from gatectl.decision.verdict import Basis, Result
from gatectl.decision.words import Language, chosen
from gatectl.decision.words.catalog import in_words
from gatectl.decision.words.event_words import (
    RESULTS,
    answer_of,
    basis_of,
    counted_of,
    elapsed_of,
    first_step_of,
    is_part,
    is_scan,
    sent_of,
)
from gatectl.decision.words.status_words import (
    alarm_words,
    grace_words,
    input_words,
    inside_words,
    mode_words,
    partner_advice,
    store_troubles,
)
from gatectl.errors import visible
from gatectl.monitor.texts import text
from gatectl.partners.registry import key_advice_of


@dataclass(frozen=True, slots=True)
class EventRow:
    """One line of the list."""

    id: str
    at: str
    day: str
    time: str
    door: str
    credential: str
    partner: str
    result: str
    mark: str
    result_text: str
    message: str
    answer: str
    elapsed: str
    sent: str
    notes: list[str]
    """Further facts: the detail, the customer's number, and a basis other than the partner's success."""
    part_of: str
    """The ID of the event under which it is listed; "" for one that has a place of its own."""
    studio: str
    device: str


def rows_of(events: Iterable[Event], language: Language, *, whole_codes: bool = False) -> list[EventRow]:
    """The rows of a page, the newest event first, its parts under it in their order."""
    rows = [row_of(event, language, whole_codes=whole_codes) for event in events]
    here = {row.id for row in rows}
    parts: dict[str, list[EventRow]] = {}
    for row in reversed(rows):
        if row.part_of in here:
            parts.setdefault(row.part_of, []).append(row)
    return [one for row in rows if row.part_of not in here for one in (row, *parts.get(row.id, ()))]


def row_of(event: Event, language: Language, *, whole_codes: bool = False) -> EventRow:
    """Return an event's line; a long code is shortened, or with `whole_codes` only a very long one."""
    attempt, outcome = event.attempt, event.outcome
    code = attempt.credential or ""
    moment = local(attempt.at_us, None)
    return EventRow(
        id=attempt.id,
        at=timestamp(attempt.at_us),
        day=day_text(moment, language),
        time=clock_text(moment, None),
        door=attempt.door,
        credential=visible(shortened(code, HEAD_CHARS if whole_codes else 0)),
        partner=attempt.partner or "",
        result=outcome.result.value,
        mark=RESULTS[outcome.result].mark,
        result_text=chosen(RESULTS[outcome.result].words, language),
        message=visible(in_words(language, outcome.message)),
        answer=answer_of(event),
        elapsed=elapsed_of(event),
        sent=chosen(sent_of(event).cell, language),
        notes=list(_notes(event, language)),
        part_of=(attempt.of or "") if is_part(event) else "",
        studio=visible(attempt.studio),
        device=event.device,
    )


HEAD_CHARS = 40
"""So much of a very long code is shown in a list of whole codes: a table is no place for 512 characters."""

SHOWN_CHARS = 4
"""Last characters of a code: enough to recognise a card in the hand, too few to copy it from the screen."""


def shortened(code: str, head: int = 0) -> str:
    """Shorten a long code for a list to its end, and to `head` characters of its beginning."""
    return code if len(code) <= head + SHOWN_CHARS + 2 else f"{code[:head]}…{code[-SHOWN_CHARS:]}"


@dataclass(frozen=True, slots=True)
class GraceRow:
    """One line of the list of who was let in during an outage."""

    id: str
    at: str
    time: str
    studio: str
    device: str
    door: str
    partner: str
    member: str
    credential: str
    fault: str
    counted: str


def grace_row_of(event: Event, language: Language) -> GraceRow:
    """Return the line of an admission during an outage."""
    attempt, moment = event.attempt, local(event.attempt.at_us, None)
    return GraceRow(
        id=attempt.id,
        at=timestamp(attempt.at_us),
        time=f"{moment:%Y-%m-%d} {clock_text(moment, None)}",
        studio=visible(attempt.studio),
        device=event.device,
        door=attempt.door,
        partner=attempt.partner or "",
        member=visible(attempt.member or ""),
        credential=visible(shortened(attempt.credential or "", HEAD_CHARS)),
        fault=event.outcome.fault or "",
        counted=chosen(counted_of(event), language),
    )


def _notes(event: Event, language: Language) -> Iterator[str]:
    outcome = event.outcome
    if outcome.detail:
        yield visible(outcome.detail)
    if outcome.basis and outcome.basis is not Basis.PARTNER and is_scan(event):
        yield f"{text(language, 'basis')}: {basis_of(outcome.basis, language)}"
    if event.attempt.customer:
        yield f"{text(language, 'customer')} {visible(event.attempt.customer)}"


def timeline_of(event: Event, language: Language) -> list[tuple[str, str]]:
    """The steps of the scan: the time and the words of each."""
    attempt, outcome = event.attempt, event.outcome
    steps = [(_milliseconds(attempt.at_us), _first_step(event, language))]
    if outcome.request is not None:
        steps += _request_steps(outcome.request, attempt.partner or "", language)
    elif is_scan(event):
        steps.append(("", text(language, "step_not_asked")))
    gate = outcome.gate
    if gate is not None:
        words = text(language, "step_opened", seconds=f"{gate.open_ms / 1000:g}")
        steps.append((_milliseconds(gate.opened_us), f"{words}, {_after(language, gate.after_ms)}"))
    elif outcome.result in {Result.ADMITTED, Result.REJECTED}:
        steps.append(("", text(language, "step_shut")))
    return steps


def _request_steps(request: RequestRecord, partner: str, language: Language) -> Iterator[tuple[str, str]]:
    dial = request.evidence.dial if request.evidence else None
    if dial is not None and request.connection == "new":
        words = _dialled(dial, language, cut_short=not request.sent)
        yield _milliseconds(dial.begun_us), text(language, "step_dialled", steps=words)
    if request.sent is None:
        yield "", text(language, "step_unrecorded")
    elif not request.sent:
        yield "", text(language, "step_not_sent", partner=partner)
    else:
        how = f", {text(language, f'connection_{request.connection}')}" if request.connection else ""
        yield _milliseconds(request.sent_us), text(language, "step_sent", partner=partner) + how
    if request.answered_us is not None:
        after = "" if request.elapsed_ms is None else ", " + _after(language, request.elapsed_ms)
        yield _milliseconds(request.answered_us), text(language, "step_answered", partner=partner) + after
    elif request.sent is not None:
        yield "", text(language, "step_unanswered", budget=request.budget_ms)


def _first_step(event: Event, language: Language) -> str:
    if not is_scan(event):
        return visible(first_step_of(event, language))
    return text(language, "step_read", scanner=visible(event.attempt.scanner or ""))


def _dialled(dial: DialRecord, language: Language, *, cut_short: bool) -> str:
    """Describe the completed steps, and the first one that failed."""
    steps = []
    for name, ms in (("look_up", dial.look_up_ms), ("connect", dial.connect_ms), ("tls", dial.tls_ms)):
        step = text(language, f"dial_{name}")
        if ms is not None:
            steps.append(f"{step} {ms:.0f} ms")
        elif cut_short:
            steps.append(f"{step} {text(language, 'dial_not_done')}")
            break
    return ", ".join(steps)


def _after(language: Language, ms: float) -> str:
    return text(language, "after", ms=f"{ms:.0f}")


def _milliseconds(at_us: int | None) -> str:
    """Return the local time, to the millisecond."""
    if at_us is None:
        return ""
    return f"{local(at_us, None):%H:%M:%S}.{at_us // 1000 % 1000:03}"


_DAYS = (
    ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
)


def day_text(moment: datetime, language: Language) -> str:
    """Return the day of the week and the date."""
    if language == "de":
        return f"{_DAYS[1][moment.weekday()]}, {moment.strftime('%d.%m.%Y')}"
    return f"{_DAYS[0][moment.weekday()]}, {moment.strftime('%Y-%m-%d')}"


@dataclass(frozen=True, slots=True)
class HealthView:
    """The strip at the top: a badge for each door and partner, and a sentence for each problem to fix."""

    badges: list[tuple[str, str, bool]]
    """Name, state, and whether all is well."""
    sentences: list[str]


def health_of(status: Mapping[str, Any], pages: Mapping[str, str | None], language: Language) -> HealthView:
    """Make the strip from the running daemon's status; `pages` are the partners' status pages.

    The alarms come first. They are the daemon's state: they stay until they end, whenever a page is opened.
    """
    badges = [_door_badge(name, door, language) for name, door in status["doors"].items()]
    badges += [partner_badge(name, partner, language) for name, partner in status["partners"].items()]
    alarms = [
        visible(words) for name, door in status["doors"].items() for words in _alarms(name, door, language)
    ]
    return HealthView(badges, [*alarms, *_sentences(status, pages, language)])


def _alarms(name: str, door: Mapping[str, Any], language: Language) -> Iterator[str]:
    """The alarms of a door, one sentence each: fire, lockdown, its contact, its gate, its inputs."""
    mode, gate = door.get("mode", {}), door["gate"]
    if mode.get("name") in {"fire", "lockdown"}:
        yield text(language, "alarm", door=name, what=mode_words(door, language), since=_when(mode["since"]))
    if what := alarm_words(door, language):
        yield text(language, "alarm", door=name, what=what, since=_when(door["alarm"]["since"]))
    if gate.get("cause") is not None:
        yield f"{name}: {text(language, 'gate_out_of_order', **_fault(gate))}"
    for which, state in door.get("inputs", {}).items():
        thing, condition, is_trusted = input_words(which, state, language)
        if not is_trusted:
            yield f"{name}: {thing} {condition}"


def _door_badge(name: str, door: Mapping[str, Any], language: Language) -> tuple[str, str, bool]:
    troubles = list(_troubles(door, language))
    state = text(language, "door_open" if door["gate"]["open"] else "door_shut")
    mode = mode_words(door, language)
    parts = [mode, state, inside_words(door, language), *(words for words, _ in _inputs(door, language))]
    shown = troubles or [part for part in parts if part]
    return name, visible("; ".join(shown)), not troubles


def _inputs(door: Mapping[str, Any], language: Language) -> Iterator[tuple[str, bool]]:
    """Each of a door's inputs in words, and whether it is trusted."""
    for name, state in door.get("inputs", {}).items():
        thing, condition, is_trusted = input_words(name, state, language)
        yield f"{thing}: {condition}", is_trusted


def _troubles(door: Mapping[str, Any], language: Language) -> Iterator[str]:
    """The troubles of a door, the gate first."""
    for gate in (door["gate"], door.get("exit_gate") or {}):
        if gate.get("cause") is not None:
            yield text(language, "gate_out_of_order", **_fault(gate))
    for signal, pin in door.get("signals", {}).items():
        if pin["cause"] is not None:
            yield text(language, "signal_out_of_order", signal=signal, **_fault(pin))
    yield from (words for words, is_trusted in _inputs(door, language) if not is_trusted)
    for scanner in door["scanners"]:
        where = scanner["scanner"].rpartition("/")[2]
        if scanner["state"] != "ready":
            since, cause = _when(scanner["since"]), scanner["cause"]
            yield text(language, "scanner_lost", scanner=where, since=since, cause=cause)
        if scanner.get("held_by"):
            yield text(language, "scanner_shared", scanner=where, names=", ".join(scanner["held_by"]))


def _fault(pin: Mapping[str, Any]) -> dict[str, str]:
    return {"since": _when(pin["since"]), "cause": pin["cause"]}


def partner_badge(name: str, partner: Mapping[str, Any], language: Language) -> tuple[str, str, bool]:
    """Return a partner's name, its state in words, and whether all is well."""
    since = _when(partner["since"])
    match partner["state"]:
        case "outage":
            return name, text(language, "partner_outage", since=since), False
        case "resting":
            return name, text(language, "partner_resting", until=_when(partner["rests_until"] or "")), False
        case "refusing our key":
            return name, text(language, "partner_refuses", since=since), False
        case "refusing everyone":
            return name, text(language, "partner_refuses_everyone", since=since), False
        case "out of order":
            detail = visible(partner["unconnected"]["detail"])
            return name, text(language, "partner_out_of_order", since=since, detail=detail), False
    lost = partner["unconnected"]
    if lost:
        return name, text(language, "partner_unconnected", fault=lost["fault"]), False
    return name, text(language, "partner_healthy"), True


def _sentences(
    status: Mapping[str, Any], pages: Mapping[str, str | None], language: Language
) -> Iterator[str]:
    alone = not fail_together(status)
    for name, partner in status["partners"].items():
        key_advice = key_advice_of(partner.get("protocol", ""))
        page = pages.get(name)
        advice = partner_advice(name, partner, page, language, alone=alone, key_advice=key_advice)
        if advice:
            _, state, _ = partner_badge(name, partner, language)
            grace = grace_words(partner, _when, language)
            yield f"{name}: {'; '.join(part for part in (state, grace) if part)}. {advice}"
    for words, advice in store_troubles(status, _when, language):
        yield visible(f"{words[0].upper()}{words[1:]}. {advice}")


def _when(stamp: str) -> str:
    """Return the local time of a timestamp, with its day if not today; "" where there is none."""
    return when(stamp, datetime.fromtimestamp(time.time(), UTC), seconds=False) if stamp else ""


HOLD_MS = 6000
"""An outcome stays so long on the display: a sentence or two are read in that time, and the next member's
scan takes its place at once."""
LINE_MS = 3000
"""Additional time for each line of the partner's."""
CHECKING_MS = 35_000
"""The longest budget and the wait for the disk: a display that was cut off meanwhile gets no outcome."""

OFFLINE = "offline"


def screen_of(view: Mapping[str, Any], language: Language) -> dict[str, Any]:
    """Convert a door's view (`decision/indication.py`) for its display; `hold_ms` 0 is until the next one."""
    screen = view["screen"]
    partner = view.get("partner") or text(language, "partner_unknown")
    name, lines = view.get("name"), list(view.get("lines") or ())
    title = text(language, f"display_{screen}")
    if screen == Screen.WELCOME and name:
        title = text(language, "display_welcome_name", name=name)
    more = text(language, f"display_{screen}_more", partner=partner)
    if screen in (Screen.DECLINED, Screen.ASK_AT_DESK) and lines:
        more = ""  # show the partner's own words instead
    if screen in (Screen.IDLE, OFFLINE):
        hold_ms = 0
    elif screen == Screen.CHECKING:
        hold_ms = CHECKING_MS
    else:
        hold_ms = max(HOLD_MS + LINE_MS * len(lines), view.get("open_ms") or 0)
    return {"screen": screen, "title": title, "more": more, "lines": lines, "hold_ms": hold_ms}
