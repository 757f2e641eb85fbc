"""Output in a terminal: the list of events, and tables.

Colour alone is used, so that NO_COLOR leaves plain text. What comes from outside is never taken for
markup, and characters that would move the cursor or turn the writing around are shown as escapes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Final

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gatectl.decision.advice import advice
from gatectl.decision.cause import Around, Past
from gatectl.decision.event import Event
from gatectl.decision.local_time import clock_text, local
from gatectl.decision.moment import Moment, what_happened
from gatectl.decision.verdict import Result
from gatectl.errors import visible

_COLOUR = {Result.ADMITTED: "green", Result.REJECTED: "red", Result.UNKNOWN: "yellow", Result.DONE: ""}

_TIME, _RESULT, _ANSWER, _MS, _SENT = 8, 8, 13, 5, 4
"""Widths that do not depend on the gym; the longest answer is `configuration`."""

_NARROWEST = (9, 16, 10)
"""Door, credential and partner where the terminal has 80 columns; wider ones share what there is."""

_CODE_CHARS = 64
"""No card, barcode or QR code of a partner is longer."""

_INDENT = _TIME + 1


class TextConsole(Console):
    """Plain text in, no guesses: no markup, no emoji, no highlighting."""

    def __init__(self, *, stderr: bool = False) -> None:
        # A terminal that lacks a letter shows its number rather than stopping the command.
        (sys.stderr if stderr else sys.stdout).reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        super().__init__(markup=False, emoji=False, highlight=False, stderr=stderr)

    def on_broken_pipe(self) -> None:
        """Leaves a reader who has gone to the command line's frame."""
        raise  # noqa: PLE0704 - rich calls this while it handles the BrokenPipeError


def show_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A plain table of text."""
    table = Table(box=None, pad_edge=False, header_style="cyan")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    TextConsole().print(table)


class EventList:
    """Events one below the other as they come, under a heading for each day."""

    HEADINGS: Final = ("Time", "Door", "Credential", "Partner", "Result", "Answer", "ms", "Sent")

    def __init__(
        self,
        status_pages: Mapping[str, str | None],
        console: Console | None = None,
        zone: tzinfo | None = None,
        around: Callable[[Event], Around] | None = None,
    ) -> None:
        """`status_pages` by the partner's name; on the terminal, unless another console is given.

        Times are those of the zone, None for the system's. `around` is what the events next to one say;
        without it those that were shown before count.
        """
        self._console = console or TextConsole()
        self._status_pages = status_pages
        self._zone = zone
        self._day = ""
        self._advice = ""
        self._around = around or Past().take
        self._last: Moment | None = None
        self.is_empty = True

    def show(self, event: Event) -> None:
        """Two lines and more: the facts, the message, the partner's reason, what failed, what to do.

        Before them, a quiet line where the machine was restarted, or its clock was set, since the last.
        """
        moment = local(event.attempt.at_us, self._zone)
        day = moment.strftime("%Y-%m-%d %A")
        if self.is_empty:
            self._row(self.HEADINGS, "cyan", "cyan")
        self._tell_of_clocks(event.attempt.moment)
        if day != self._day:
            self._console.print(Text(day, "cyan"))
        self.is_empty, self._day = False, day
        colour = _COLOUR[event.outcome.result]
        self._row(_facts(event, clock_text(moment, self._zone)), "", colour)
        self._below(event.outcome.message + (" (outage)" if event.outcome.outage else ""), colour)
        if event.outcome.reason is not None:
            reason = event.outcome.reason
            self._below(f"Reason: {': '.join(part for part in (reason.key, reason.text) if part)}", "")
        if event.outcome.detail:
            self._below(f"Detail: {event.outcome.detail}", "")
        self._advise(event)

    def _tell_of_clocks(self, moment: Moment) -> None:
        happened = what_happened(self._last, moment) if self._last else None
        if happened:
            self._below(f"-- {happened} --", "bright_black")
        self._last = moment

    def _advise(self, event: Event) -> None:
        # A row of failures with one cause needs the same words once.
        page = self._status_pages.get(event.attempt.partner or "")
        said = self._around(event)
        words = advice(event, page, around=said)
        anyones = advice(_without_code(event), page, around=said)
        if anyones and anyones != self._advice:
            self._below(words, "yellow")
        elif event.attempt.id in words:
            self._below(f"As before: gatectl report {event.attempt.id}", "yellow")
        self._advice = anyones

    def _row(self, cells: Sequence[str], colour: str, result_colour: str) -> None:
        door, credential, partner = self._widths()
        grid = Table.grid(padding=(0, 1, 0, 0))
        for width in (_TIME, door, credential, partner, _RESULT, _ANSWER):
            grid.add_column(width=width, overflow="fold")
        grid.add_column(width=_MS, justify="right")
        grid.add_column(width=_SENT)
        result = self.HEADINGS.index("Result")
        styles = [result_colour if index == result else colour for index in range(len(cells))]
        grid.add_row(*(Text(visible(cell), style) for cell, style in zip(cells, styles, strict=True)))
        self._console.print(grid)

    def _widths(self) -> tuple[int, int, int]:
        gaps = len(self.HEADINGS) - 1
        spare = self._console.width - _TIME - _RESULT - _ANSWER - _MS - _SENT - gaps
        door, credential, partner = _NARROWEST
        more = max(0, spare - sum(_NARROWEST))
        return door + more // 4, credential + more - more // 4 - more // 4, partner + more // 4

    def _below(self, words: str, colour: str) -> None:
        self._console.print(Padding(Text(visible(words), colour), (0, 0, 0, _INDENT)))


def _without_code(event: Event) -> Event:
    """The same event by anybody: by its advice a row of one kind of failure is known."""
    return replace(event, attempt=replace(event.attempt, id="", credential=""))


def _facts(event: Event, time: str) -> tuple[str, ...]:
    attempt, outcome = event.attempt, event.outcome
    answer = outcome.fault.value if outcome.fault else ""
    if outcome.status is not None:
        answer = str(outcome.status)
    return (
        time,
        attempt.door,
        _short(attempt.credential or ""),
        attempt.partner or "",
        outcome.result.value,
        answer,
        _elapsed(event),
        _sent(event),
    )


def _short(code: str) -> str:
    """A code in a few rows of its column; `--json` has the whole of a longer one."""
    return code if len(code) <= _CODE_CHARS else f"{code[: _CODE_CHARS - 5]}…{code[-4:]}"


def _elapsed(event: Event) -> str:
    request = event.outcome.request
    return "" if request is None or request.elapsed_ms is None else f"{request.elapsed_ms:.0f}"


def _sent(event: Event) -> str:
    """Whether the request went out: the first question of every support case."""
    if event.attempt.kind != "scan":
        return ""
    request = event.outcome.request
    if request is None:
        return "no"
    return {True: "yes", False: "no", None: "?"}[request.sent]
