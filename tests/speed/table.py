"""The rows as a person reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table

from speed.row import Row

VERDICTS = {None: "", True: "[green]reached[/]", False: "[red]missed[/]"}


def heading(console: Console, machine: Mapping[str, str]) -> None:
    """The machine, one line each."""
    for what, words in machine.items():
        console.print(f"[bold]{what}[/]: {words}", highlight=False)


def table(console: Console, title: str, rows: Iterable[Row]) -> None:
    """One measurement."""
    drawn = Table(title=title, title_justify="left", title_style="bold", expand=False)
    drawn.add_column("figure", overflow="fold")
    for name in ("value", "target"):
        drawn.add_column(name, justify="right", no_wrap=True)
    drawn.add_column("verdict", no_wrap=True)
    drawn.add_column("beside", justify="right", no_wrap=True)
    drawn.add_column("note", overflow="fold", style="dim")
    for row in rows:
        beside = "" if row.beside is None else number(row.beside)
        value = f"{number(row.value)} {row.unit}".strip()
        drawn.add_row(row.figure, value, row.target, VERDICTS[row.reached], beside, row.note)
    console.print(drawn)


def number(value: float) -> str:
    """Three digits that count; whole numbers as they are."""
    if value == int(value) if abs(value) < 1e15 else False:
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
