"""Format the exchange's record for a report: the times of each step, and the answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gatectl.decision.event import Event, RequestRecord, timestamp

_NOT_RECORDED = "not recorded"
_NOT_BEGUN = "not begun"


class _Step(NamedTuple):
    """A line of the table; `begin` and `end` are milliseconds from the complete code, if known."""

    name: str
    begin: float | None
    end: float | None
    note: str

    def line(self) -> str:
        begin, end = ("" if ms is None else f"{ms:.1f}" for ms in (self.begin, self.end))
        return f"  {self.name:<14}{begin:>12}{end:>12}  {self.note}"


def times(event: Event, request: RequestRecord) -> list[str]:
    """Return the table. A ready connection's steps came before the code was complete, so are below 0."""
    at_us, gate = event.attempt.at_us, event.outcome.gate
    steps = [
        _Step("Code complete", None, 0.0, timestamp(at_us)),
        *_dialled(request, at_us),
        *_exchanged(request, at_us),
    ]
    if gate is not None:
        steps.append(_Step("Gate opened", None, gate.after_ms, timestamp(gate.opened_us)))
    return [f"  {'':<14}{'from':>12}{'to':>12}", *(step.line() for step in steps)]


def _dialled(request: RequestRecord, at_us: int) -> Iterator[_Step]:
    names = ("Look-up", "Connect", "TLS")
    evidence = request.evidence
    if evidence is None or evidence.dial is None:
        note = _NOT_RECORDED if evidence is None else _NOT_BEGUN
        yield from (_Step(name, None, None, note) for name in names)
        return
    dial = evidence.dial
    begin: float | None = _since(at_us, dial.begun_us)
    for name, took in zip(names, (dial.look_up_ms, dial.connect_ms, dial.tls_ms), strict=True):
        if begin is None:
            yield _Step(name, None, None, _NOT_BEGUN)
        elif took is not None:
            source = ", from an earlier answer" if dial.stale and name == "Look-up" else ""
            yield _Step(name, begin, begin + took, f"{took:.1f} ms{source}")
            begin += took
        elif request.sent:
            yield _Step(name, None, None, "none: plain http")
        else:
            yield _Step(name, begin, request.elapsed_ms, "not done")
            begin = None


def _exchanged(request: RequestRecord, at_us: int) -> Iterator[_Step]:
    if request.sent is None:
        yield _Step("Sent", None, None, _NOT_RECORDED)
        yield _Step("Answered", None, None, _NOT_RECORDED)
        return
    if request.sent_us is None:
        yield _Step("Sent", None, None, "none of its bytes left")
    else:
        yield _Step("Sent", None, _since(at_us, request.sent_us), timestamp(request.sent_us))
    if request.answered_us is None:
        yield _Step("Given up", None, request.elapsed_ms, "no whole answer came")
    else:
        yield _Step("Answered", None, request.elapsed_ms, timestamp(request.answered_us))


def _since(at_us: int, moment_us: int) -> float:
    return (moment_us - at_us) / 1000


def connection(request: RequestRecord) -> str | None:
    """Return whether the connection was ready or dialled for this scan, and since when."""
    if request.evidence is None:
        return request.connection
    dial = request.evidence.dial
    return "none was begun" if dial is None else f"{request.connection}, begun {timestamp(dial.begun_us)}"


def body(request: RequestRecord) -> str:
    """The record of the answer's body."""
    if request.evidence is None:
        return _NOT_RECORDED
    kept = request.evidence.body
    if kept is None:
        return "none: no whole answer came"
    if kept.sha256 is None:
        return f"{kept.length} bytes; there is no digest of one that names somebody"
    return f"{kept.length} bytes, SHA-256:"


def digest(request: RequestRecord) -> list[str]:
    """Return the digest in a line of its own: it is wide, and must be easy to copy."""
    kept = request.evidence and request.evidence.body
    return [f"    {kept.sha256.hex()}"] if kept and kept.sha256 else []
