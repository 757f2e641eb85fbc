"""Reduce events and the status to what may leave the gym. Pure.

A field leaves only if it is named here, so a new field stays at the gate until somebody decides about it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from gatectl.decision.outcomes import Message

Members = Literal["pseudonym", "none", "plain"]

PREFIX = "p:"
"""Marks a pseudonym; the rest is 32 hex digits."""

_PSEUDONYM_BYTES = 16
"""128 bits of the digest: two numbers of a fleet never have one pseudonym."""

_NUMBER_CHARS_LEAST = 4
"""A shorter number of a member occurs in any text by chance, and says nothing about him."""

_MASK = "…"
_ADDRESS = re.compile(
    r"\[?(?:\d{1,3}(?:\.\d{1,3}){3}"  # IPv4
    r"|(?=[0-9a-fA-F.]*:[0-9a-fA-F.]*:)[0-9a-fA-F:.]+(?:%\w+)?)"  # IPv6: at least two colons
    r"\]?(?::\d+)?"
)
_REASON_KEY = re.compile(r"[\w.:-]{1,100}", re.ASCII)

_UNCHANGED = (
    *("id", "kind", "at", "of", "tenant", "studio", "door", "scanner", "partner", "result", "basis"),
    *("verdict", "status", "fault", "outage"),
)
_REQUEST = ("sent", "sent_at", "answered_at", "elapsed_ms", "budget_ms", "connection")
_GATE = ("opened_at", "after_ms", "open_ms")

_INPUT = r"The [a-z ]{1,40} (?:is [a-z]+|flutters|works again)"
"""An input's name and its state, both our own words."""
_OWN_WORDS = re.compile(
    "|".join(
        [
            _INPUT,
            rf"{Message.CLOSED_AGAIN} [\w ]{{1,40}}",
            # The name of a schedule is the installer's, from the settings.
            rf"(?:{Message.HELD} by schedule|{Message.CLOSED_BY_SCHEDULE}) .{{1,200}}",
        ]
    )
)
_UNTIL = re.compile(rf"{Message.HELD} until [\d :.+-]{{1,40}}(?=: )")
"""A hold's end; a person's reason follows."""
_MESSAGES = frozenset(message.value for message in Message)


class Privacy:
    """The rules of one gate. `key` makes pseudonyms; it is needed for them alone."""

    def __init__(self, members: Members, key: bytes = b"") -> None:
        self._members = members
        self._hmac = hmac.new(key, digestmod=hashlib.sha256) if key else None

    def pseudonym(self, *parts: str) -> str:
        """Return the pseudonym of `"member", PARTNER, NUMBER` or of `"credential", CODE`."""
        if self._hmac is None:
            raise ValueError("there is no key for pseudonyms")
        keyed = self._hmac.copy()
        keyed.update("\0".join(parts).encode())
        return PREFIX + keyed.digest()[:_PSEUDONYM_BYTES].hex()

    def event(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return what may leave of an event that `gatectl events --json` prints."""
        hide = _hider(event)
        shaped: dict[str, Any] = {name: event.get(name) for name in _UNCHANGED}
        shaped["message"] = _message(event)
        shaped["detail"] = _detail(event.get("detail"), hide)
        shaped["reason"] = _reason(event.get("reason"), hide)
        shaped["request"] = _only(event.get("request"), _REQUEST)
        shaped["gate"] = _only(event.get("gate"), _GATE)
        shaped |= self._whose(event)
        return shaped

    def _whose(self, event: Mapping[str, Any]) -> dict[str, str | None]:
        member, code = event.get("member"), event.get("credential")
        match self._members:
            case "plain":
                return {"member": member, "credential": None, "customer": None}
            case "none":
                return {"member": None, "credential": None, "customer": None}
        return {
            "member": member and self.pseudonym("member", event.get("partner") or "", member),
            "credential": code and self.pseudonym("credential", code),
            "customer": None,
        }

    def status(self, status: Mapping[str, Any]) -> dict[str, Any]:
        """Return what may leave of the daemon's status."""
        shaped: dict[str, Any] = {
            name: status.get(name) for name in ("version", "cards", "damaged", "viewers")
        }
        shaped["journal"] = _only(status.get("journal"), ("error", "late", "lost", "in_memory"))
        shaped["sinks"] = _each(status.get("sinks"), lambda sink: _only(sink, ("lost", "trouble")))
        shaped["doors"] = _each(status.get("doors"), _door)
        shaped["partners"] = _each(status.get("partners"), _partner)
        last = status.get("last_event")
        shaped["last_event"] = self.event(last) if isinstance(last, Mapping) else None
        return shaped


def _only(value: object, names: tuple[str, ...]) -> dict[str, Any] | None:
    return {name: value[name] for name in names if name in value} if isinstance(value, Mapping) else None


def _each(value: object, shape: Callable[[Any], Any]) -> dict[str, Any]:
    return {str(name): shape(one) for name, one in value.items()} if isinstance(value, Mapping) else {}


def _hider(event: Mapping[str, Any]) -> Callable[[str], str]:
    """Return a function that masks the event's own numbers in a text."""
    numbers = (event.get(name) for name in ("credential", "member", "customer"))
    long = [number for number in numbers if isinstance(number, str) and len(number) >= _NUMBER_CHARS_LEAST]

    def hide(text: str) -> str:
        for number in long:
            text = text.replace(number, _MASK)
        return text

    return hide


def _message(event: Mapping[str, Any]) -> str:
    """Return the message without a person's reason."""
    message = str(event.get("message") or "")
    if message in _MESSAGES or _OWN_WORDS.fullmatch(message):
        return message
    if until := _UNTIL.match(message):
        return until[0]
    begun = [one for one in _MESSAGES if message.startswith((f"{one}: ", f"{one} "))]
    return max(begun, key=len, default="")


def _detail(detail: object, hide: Callable[[str], str]) -> str | None:
    return _ADDRESS.sub(_MASK, hide(detail)) if isinstance(detail, str) else None


def _reason(reason: object, hide: Callable[[str], str]) -> dict[str, str | None] | None:
    """Return the key of a reason; the text is the partner's, or a person's."""
    key = reason.get("key") if isinstance(reason, Mapping) else None
    if not isinstance(key, str) or not _REASON_KEY.fullmatch(key):
        return None
    return {"key": hide(key), "text": None}


def _door(door: Any) -> dict[str, Any] | None:
    shaped = _only(door, ("state", "waiting", "dropped", "gate", "signals", "inputs", "inside"))
    if shaped is None:
        return None
    # Of the door's contact.
    shaped["alarm"] = _only(door.get("alarm"), ("name", "since"))
    # Its reason is what a person typed.
    shaped["mode"] = _only(door.get("mode"), ("name", "since", "until"))
    scanners = door.get("scanners")
    shaped["scanners"] = [_scanner(one) for one in scanners] if isinstance(scanners, list) else []
    return shaped


def _scanner(scanner: Any) -> dict[str, Any] | None:
    shaped = _only(scanner, ("scanner", "type", "state", "since", "cause", "held_by", "codes", "dropped"))
    if shaped is not None:
        # Its detail may hold parts of a code.
        shaped["last_dropped"] = _only(scanner.get("last_dropped"), ("flaw", "at"))
    return shaped


def _partner(partner: Any) -> dict[str, Any] | None:
    kept = ("protocol", "state", "since", "rests_until", "ready_connections", "clock_ahead_s")
    shaped = _only(partner, kept)
    if shaped is not None:
        for name in ("failing", "unconnected"):
            fault = _only(partner.get(name), ("fault", "status", "detail"))
            if fault is not None:
                fault["detail"] = _detail(fault.get("detail"), str)
            shaped[name] = fault
    return shaped
