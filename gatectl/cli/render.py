"""Output in a terminal: the list of events, and tables.

Colour is the only style, so that NO_COLOR leaves plain text. Text from outside is never interpreted as
markup, and characters that would move the cursor or reverse the text direction are shown as escapes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo
from typing import Final

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gatectl.decision.cause import Around, Past
from gatectl.decision.event import Event
from gatectl.decision.local_time import clock_text, local
from gatectl.decision.timestamps import Timestamp, describe_change
from gatectl.decision.verdict import Basis
from gatectl.decision.words.advice import advice
from gatectl.decision.words.event_words import (
    RESULTS,
    answer_of,
    basis_of,
    elapsed_of,
    is_scan,
    reason_of,
    sent_of,
)
from gatectl.errors import visible

_TIME, _RESULT, _ANSWER, _MS, _SENT = 8, 10, 13, 5, 4
"""Column widths that do not depend on the gym; the longest answer is `configuration`."""

_NARROWEST = (9, 14, 10)
"""Door, credential and partner at 80 columns; in a wider terminal they share the rest."""

_CODE_CHARS = 64
"""The longest card, barcode or QR code of a partner."""

_INDENT = _TIME + 1


class TextConsole(Console):
    """Plain text in, no guesses: no markup, no emoji, no highlighting."""

    def __init__(self, *, stderr: bool = False) -> None:
        # A letter that the terminal's encoding lacks is shown as an escape instead of failing the command.
        (sys.stderr if stderr else sys.stdout).reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        super().__init__(markup=False, emoji=False, highlight=False, stderr=stderr)

    def on_broken_pipe(self) -> None:
        """Re-raise, so that `main` handles a closed pipe."""
        raise  # noqa: PLE0704 - rich calls this while it handles the BrokenPipeError


def show_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a plain table of text."""
    table = Table(box=None, pad_edge=False, header_style="cyan")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    TextConsole().print(table)


class EventList:
    """Prints events as they come, under a heading for each day."""

    HEADINGS: Final = ("Time", "Door", "Credential", "Partner", "Result", "Answer", "ms", "Sent")

    def __init__(
        self,
        status_pages: Mapping[str, str | None],
        console: Console | None = None,
        zone: tzinfo | None = None,
        around: Callable[[Event], Around] | None = None,
    ) -> None:
        """Take `status_pages` by the partner's name, and a console, by default the terminal.

        Times are in the zone, None for the system's. `around` returns the context of an event; without it the
        events shown before are the context.
        """
        self._console = console or TextConsole()
        self._status_pages = status_pages
        self._zone = zone
        self._day = ""
        self._advice = ""
        self._around = around or Past().take
        self._last: Timestamp | None = None
        self.is_empty = True

    def show(self, event: Event, whole: Event | None = None) -> None:
        """Print two or more lines: the facts, the message, the partner's reason, the failure, the advice.

        Before them, a quiet line where the machine was restarted, or its clock was set, since the last.
        `whole` is the event that it belongs to, if that is not printed right above.
        """
        moment = local(event.attempt.at_us, self._zone)
        day = moment.strftime("%Y-%m-%d %A")
        if self.is_empty:
            self._row(self.HEADINGS, "cyan", "cyan")
        self._add_clock_notes(event.attempt.moment)
        if day != self._day:
            self._console.print(Text(day, "cyan"))
        self.is_empty, self._day = False, day
        colour = RESULTS[event.outcome.result].colour
        self._row(_facts(event, clock_text(moment, self._zone)), "", colour)
        self._below(event.outcome.message + (" (outage)" if event.outcome.outage else ""), colour)
        if whole is not None:
            self._below(f"Belongs to: {self._name(whole, day)}", "")
        basis = event.outcome.basis
        if basis not in {None, Basis.PARTNER} and is_scan(event):
            self._below(f"Basis: {basis_of(basis, 'en')}", "")
        self._show_causes(event)
        self._advise(event)

    def show_part(self, event: Event) -> None:
        """Print an event under the one that it belongs to: its time, its message, and what else it says."""
        time = clock_text(local(event.attempt.at_us, self._zone), self._zone)
        self._below(f"- {time} {event.outcome.message}", RESULTS[event.outcome.result].colour)
        self._show_causes(event)
        if words := advice(event, self._status_pages.get(event.attempt.partner or "")):
            self._below(words, "yellow")

    def _name(self, event: Event, day: str) -> str:
        """Name an event by its time, its code and its member, as far as it has them."""
        moment = local(event.attempt.at_us, self._zone)
        that_day = moment.strftime("%Y-%m-%d %A")
        time = clock_text(moment, self._zone)
        attempt = event.attempt
        code = _short(attempt.credential) if attempt.credential else event.outcome.message
        member = f" (member {attempt.member})" if attempt.member not in {None, attempt.credential} else ""
        return f"{code}{member}, {'' if that_day == day else that_day.partition(' ')[0] + ' '}{time}"

    def _show_causes(self, event: Event) -> None:
        if reason := reason_of(event):
            self._below(f"Reason: {reason}", "")
        if event.outcome.detail:
            self._below(f"Detail: {event.outcome.detail}", "")

    def _add_clock_notes(self, moment: Timestamp) -> None:
        happened = describe_change(self._last, moment) if self._last else None
        if happened:
            self._below(f"-- {happened} --", "bright_black")
        self._last = moment

    def _advise(self, event: Event) -> None:
        # Show the same words once for a series of failures with one cause.
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
    """Return the event without its code, to compare the advice of a series of failures."""
    return event._replace(attempt=event.attempt._replace(id="", credential=""))


def _facts(event: Event, time: str) -> tuple[str, ...]:
    attempt = event.attempt
    return (
        time,
        attempt.door,
        _short(attempt.credential or ""),
        attempt.partner or "",
        event.outcome.result.value,
        answer_of(event),
        elapsed_of(event),
        sent_of(event).mark,
    )


def _short(code: str) -> str:
    """Shorten a code to a few rows of its column; `--json` shows longer ones whole."""
    return code if len(code) <= _CODE_CHARS else f"{code[: _CODE_CHARS - 5]}…{code[-4:]}"
