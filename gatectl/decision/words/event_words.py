"""An event's facts in words, for the lists of terminal and monitor and for the report."""

from __future__ import annotations

from typing import NamedTuple

from gatectl.decision.event import Event
from gatectl.decision.outcomes import KINDS
from gatectl.decision.verdict import Basis, Result
from gatectl.decision.words import Language, Pair, chosen
from gatectl.decision.words.catalog import in_words


class Sent(NamedTuple):
    """Whether the request was sent: the first question of every support case."""

    mark: str
    """For a narrow column of a terminal."""
    cell: Pair
    sentence: str
    """For the report."""


_SENT = Sent("yes", ("yes", "ja"), "yes")
_NONE_TRIED = Sent("no", ("no", "nein"), "no, none was tried")
_UNSENT = Sent("no", ("no", "nein"), "no, none of its bytes left")
_UNRECORDED = Sent("?", ("not recorded", "nicht erfasst"), "perhaps: that was not recorded")
_NOT_WANTED = Sent("", ("", ""), "no, and none was wanted")


class _KindWords(NamedTuple):
    step: Pair
    """The first line of its timeline."""
    no_request: str
    """Why no request was wanted, for the report."""


_KINDS = {
    "manual": _KindWords(
        ("Opened by a person", "Von einem Menschen geöffnet"),
        "no, and none was wanted: the door was opened by hand",
    ),
    "passage": _KindWords(("A passage", "Ein Durchgang"), _NOT_WANTED.sentence),
    "check_in": _KindWords(
        ("Check-in after passing", "Check-in nach dem Durchgang"), "no, none was tried: the partner rested"
    ),
    "mode": _KindWords(("The door's mode", "Die Betriebsart der Tür"), _NOT_WANTED.sentence),
    "exit": _KindWords(("Somebody left", "Jemand ging hinaus"), _NOT_WANTED.sentence),
    "contact": _KindWords(("The door contact", "Der Türkontakt"), _NOT_WANTED.sentence),
    "input": _KindWords(("An input of the gate", "Ein Eingang des Tors"), _NOT_WANTED.sentence),
    "erased": _KindWords(
        ("A member's data was erased", "Daten eines Mitglieds wurden gelöscht"), _NOT_WANTED.sentence
    ),
}


class ResultWords(NamedTuple):
    """The words of a result; mark and colour say the same at a glance."""

    words: Pair
    mark: str
    colour: str = ""
    """A terminal's; "" for the text's own."""


RESULTS: dict[Result, ResultWords] = {
    Result.ADMITTED: ResultWords(("Admitted", "Zugelassen"), "✓", "green"),
    Result.REJECTED: ResultWords(("Rejected", "Abgewiesen"), "✕", "red"),
    Result.UNKNOWN: ResultWords(("Unknown", "Unbekannt"), "?", "yellow"),
    Result.DONE: ResultWords(("Done", "Erledigt"), "\N{EN DASH}"),
    Result.FAILED: ResultWords(("Failed", "Fehlgeschlagen"), "✕", "red"),
    Result.PASSED: ResultWords(("Passed", "Durchgegangen"), "✓", "green"),
    Result.NOT_PASSED: ResultWords(("Not passed", "Nicht durchgegangen"), "\N{EN DASH}", "yellow"),
    Result.UNEXPECTED: ResultWords(("Unexpected", "Unerwartet"), "?", "yellow"),
    Result.LEFT: ResultWords(("Left", "Hinausgegangen"), "✓"),
    Result.OPENED: ResultWords(("Opened", "Geöffnet"), "✓", "green"),
    Result.FORCED: ResultWords(("Forced", "Aufgebrochen"), "✕", "red"),
    Result.HELD: ResultWords(("Held open", "Offen gehalten"), "?", "yellow"),
    Result.CLOSED: ResultWords(("Closed", "Geschlossen"), "\N{EN DASH}"),
    Result.FIRE: ResultWords(("Fire", "Brand"), "✕", "red"),
    Result.LOCKDOWN: ResultWords(("Locked down", "Gesperrt"), "✕", "red"),
    Result.NORMAL: ResultWords(("Normal", "Normal"), "✓"),
    Result.OK: ResultWords(("In order", "In Ordnung"), "✓"),
    Result.STUCK: ResultWords(("Stuck", "Hängt fest"), "✕", "yellow"),
    Result.SUSPECT: ResultWords(("Suspect", "Verdächtig"), "?", "yellow"),
    Result.FLUTTERS: ResultWords(("Flutters", "Flattert"), "?", "yellow"),
    Result.LOST: ResultWords(("Lost", "Verloren"), "✕", "red"),
}

BASES: dict[Basis, Pair] = {
    Basis.PARTNER: ("the partner admitted", "der Partner hat zugelassen"),
    Basis.SETTLED: (
        "the late answer to an unanswered request",
        "die späte Antwort auf eine unbeantwortete Anfrage",
    ),
    Basis.ALREADY_IN: ("the partner says: already validated", "der Partner sagt: schon eingecheckt"),
    Basis.RETURN: ("the member had passed, and came back", "durchgegangen und wiedergekommen"),
    Basis.AGAIN: ("the member had been admitted and did not pass", "zugelassen, aber nicht durchgegangen"),
    Basis.GRACE: (
        "the partner has an outage and admitted the member here lately",
        "der Partner ist gestört und hat das Mitglied hier kürzlich zugelassen",
    ),
    Basis.FIRE: ("the fire input keeps the gate open", "der Brandmelder hält das Tor offen"),
    Basis.MANUAL: ("a person opened", "ein Mensch hat geöffnet"),
    Basis.EXIT: ("somebody left", "jemand ging hinaus"),
}


_COUNTED: dict[bool, Pair] = {
    True: ("perhaps counted", "vielleicht gezählt"),
    False: ("not counted", "nicht gezählt"),
}


def is_scan(event: Event) -> bool:
    """Whether a code was read; an event of a later version's kind counts as none."""
    return event.attempt.kind in KINDS and KINDS[event.attempt.kind].is_scan


def is_part(event: Event) -> bool:
    """Whether lists show it under the event that it belongs to: a passage under its scan, for example.

    A second try is a scan of its own.
    """
    return event.attempt.of is not None and not is_scan(event)


def answer_of(event: Event) -> str:
    """The status, else the fault."""
    outcome = event.outcome
    if outcome.status is not None:
        return str(outcome.status)
    return outcome.fault.value if outcome.fault else ""


def elapsed_of(event: Event) -> str:
    """Whole milliseconds from the complete code to the answer, or to giving up."""
    request = event.outcome.request
    return "" if request is None or request.elapsed_ms is None else f"{request.elapsed_ms:.0f}"


def reason_of(event: Event) -> str:
    """The partner's own reason: its key and its text, as far as there are any."""
    reason = event.outcome.reason
    return ": ".join(part for part in reason if part) if reason else ""


def sent_of(event: Event) -> Sent:
    """Whether its request was sent."""
    request = event.outcome.request
    if request is not None:
        return {True: _SENT, False: _UNSENT, None: _UNRECORDED}[request.sent]
    if not is_scan(event):
        words = _KINDS.get(event.attempt.kind)
        return _NOT_WANTED._replace(sentence=words.no_request) if words else _NOT_WANTED
    return _NONE_TRIED


def counted_of(event: Event) -> Pair:
    """Whether a partner that gave no verdict may have counted the visit: only where the request went out."""
    request = event.outcome.request
    return _COUNTED[request is not None and request.sent is not False]


def first_step_of(event: Event, language: Language) -> str:
    """The beginning of an event that is no scan; for a later version's kind, its message."""
    words = _KINDS.get(event.attempt.kind)
    return chosen(words.step, language) if words else in_words(language, event.outcome.message)


def basis_of(basis: Basis, language: Language) -> str:
    """The basis's name in the journal, and its meaning."""
    return f"{basis.value} ({chosen(BASES[basis], language)})"
