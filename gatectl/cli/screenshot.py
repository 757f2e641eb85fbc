"""Draw the Event Monitor as SVG, in place of the screenshot that Support asks for.

The picture needs no internet access; rich's own SVG export loads its fonts from there.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from datetime import tzinfo

from rich.console import Console
from rich.text import Text

from gatectl.cli.render import EventList
from gatectl.decision.cards import key_of
from gatectl.decision.event import Event

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


def picture(
    before: Iterable[Event],
    event: Event,
    after: Iterable[Event],
    status_pages: Mapping[str, str | None],
    title: str,
    zone: tzinfo | None,
) -> str:
    """Draw the rows around an event and mark it; of other members' codes show only the end."""
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
