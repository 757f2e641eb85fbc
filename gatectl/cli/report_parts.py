"""The parts of a report: the picture of the Event Monitor, and the table of the exchange's times."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import tzinfo
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from gatectl.cli.render import EventList
from gatectl.decision.cards import key_of
from gatectl.decision.event import Event, RequestRecord, timestamp

_WIDTH = 100
"""Columns that a mail shows without scrolling."""

_SHOWN = 4
"""Support needs just enough of other members' codes to distinguish them."""

_SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""

_NOT_RECORDED = "not recorded"
_NOT_BEGUN = "not begun"


def picture(
    before: Iterable[Event],
    event: Event,
    after: Iterable[Event],
    status_pages: Mapping[str, str | None],
    title: str,
    zone: tzinfo | None,
) -> str:
    """Draw the Event Monitor as SVG: the rows around an event, which is marked.

    Of other members' codes only the end is shown. The picture needs no internet access; rich's own SVG export
    loads its fonts from there.
    """
    console = Console(
        record=True, width=_WIDTH, file=io.StringIO(), markup=False, emoji=False, highlight=False,
        force_terminal=True, color_system="standard", legacy_windows=False,
    )  # fmt: skip
    rows = EventList(status_pages, console, zone)
    for other in before:
        rows.show(_covered(other, event))
    console.print(Text("▼ the event of this report", "bold magenta"))
    rows.show(event)
    console.print(Text("▲", "bold magenta"))
    for other in after:
        rows.show(_covered(other, event))
    return console.export_svg(title=title, code_format=_SVG, unique_id="gatectl")


def _covered(other: Event, event: Event) -> Event:
    code, own = other.attempt.credential, event.attempt.credential
    if code is None or (own is not None and key_of(code) == key_of(own)):
        return other
    covered = "…" + code[-_SHOWN:] if len(code) > _SHOWN else "…"
    return other._replace(attempt=other.attempt._replace(credential=covered))


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
