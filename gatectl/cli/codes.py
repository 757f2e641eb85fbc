"""`gatectl codes`: change Wellhub custom codes, at Wellhub and in the store, in one step.

Codes come as arguments or from a CSV file. At Wellhub first: a code that it refuses is not enrolled here.
A failure in between is reported, and each command may be repeated.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import shlex
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gatectl.cli.cards import BadCsvError, notify_daemon, opened, text_of
from gatectl.cli.codes_client import CodesClient
from gatectl.config.model import Settings
from gatectl.config.reader import find, load_usable, located
from gatectl.decision import spreadsheet
from gatectl.decision.cards import Card, key_of
from gatectl.decision.reader.reading import Code, reading_of_text
from gatectl.decision.routing import objection
from gatectl.decision.spreadsheet import BadLine, Columns, bad_lines, shortened, zeros_lost
from gatectl.errors import GatectlError, UsageError, near, visible
from gatectl.journal import cards as store
from gatectl.partners.wellhub.check_in import CUSTOM_CODE_CHARS, NUMBERS, WellhubSettings
from gatectl.partners.wellhub.codes import Action, Change, ChangeKind, ChangeOutcome

RATE = 5.0
"""Requests per second. Wellhub documents no limit; this changes all of a gym's members within minutes."""

_TRIES = 3
"""The number of requests for a change that Wellhub puts off."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True)
    for name, summary in (
        ("create", "give a member a custom code, and enrol it here"),
        ("update", "replace a member's custom code, there and here"),
        ("delete", "take a member's custom code away, there and here"),
    ):
        adding = actions.add_parser(name, help=summary)
        adding.add_argument("wellhub_id", metavar="WELLHUB_ID", nargs="?", help="13 digits")
        adding.add_argument("code", metavar="CODE", nargs="?", help=f"1 to {CUSTOM_CODE_CHARS} characters")
        adding.add_argument("--partner", metavar="P", help="the partner's name (else the only wellhub one)")
        adding.add_argument("--from", dest="file", metavar="FILE", help="many: a CSV file wellhub_id,code")
        adding.add_argument(
            "--rate",
            type=_rate,
            default=RATE,
            metavar="N",
            help=f"with --from: requests a second (else {RATE:g})",
        )
        adding.add_argument(
            "--report",
            metavar="FILE",
            help="with --from: what was done, to go on from (else FILE.report.csv)",
        )


def run(args: argparse.Namespace) -> int:
    """Return 0 when everything is done at Wellhub and here."""
    path = find(args.config, os.environ)
    usable = load_usable(path, os.environ)
    settings = usable.settings
    name, partner = _partner(settings, args.partner)
    if name in usable.unusable:
        raise located(path, usable.unusable[name])
    with CodesClient(partner, usable.secrets[name]) as client:
        changer = CodeChanger(settings, name, client)
        if args.file is None:
            return _one(changer, _change_of(args))
        if args.wellhub_id is not None:
            raise UsageError("gatectl codes: either WELLHUB_ID or --from, not both")
        return _many(changer, args)


def _rate(text: str) -> float:
    if not re.fullmatch(r"\d{1,3}(\.\d{1,3})?", text, re.ASCII) or float(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate, such as 5 or 0.5")
    return float(text)


def _partner(settings: Settings, wanted: str | None) -> tuple[str, WellhubSettings]:
    there = {name: one for name, one in settings.partners.items() if isinstance(one, WellhubSettings)}
    if wanted is None and len(there) == 1:
        return next(iter(there.items()))
    if wanted is None:
        names = f"there are {', '.join(there)}" if there else "there is none in the settings"
        raise UsageError("gatectl codes: which wellhub partner? --partner names it", names)
    if wanted not in there:
        if wanted in settings.partners:
            raise GatectlError(f"{wanted} does not speak wellhub, which alone has custom codes")
        hints = near(wanted, there) or (f"there are: {', '.join(there) or 'none that speak wellhub'}",)
        raise GatectlError(f"there is no partner {wanted!r} in the settings", *hints)
    return wanted, there[wanted]


def _change_of(args: argparse.Namespace) -> Change:
    if args.wellhub_id is None or (args.code is None and args.action != "delete"):
        raise UsageError(f"gatectl codes {args.action}: WELLHUB_ID and CODE are needed, or --from FILE")
    return Change(args.action, args.wellhub_id, args.code or "")


# --- One change -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a change: `problem` is None where it is done there and here."""

    problem: GatectlError | None = None
    said: str = ""
    is_key_refused: bool = False


class CodeChanger:
    """Changes codes at Wellhub and here."""

    def __init__(
        self,
        settings: Settings,
        partner: str,
        client: CodesClient,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings = settings
        self.partner = partner
        self._sleep = sleep
        self._client = client

    def objection(self, change: Change, enrolled: dict[str, Card]) -> str | None:
        """An objection to a change, before Wellhub is asked."""
        spoiled = shortened(change.wellhub_id) or shortened(change.code)
        if spoiled is not None:
            return spoiled
        flaw = objection(NUMBERS, change.wellhub_id, None)
        if flaw is not None:
            hints = zeros_lost(change.wellhub_id, NUMBERS.member.pattern)
            return "; ".join((f"{change.wellhub_id!r} is no wellhub_id: {flaw.needed}", *hints))
        if change.action == "delete" and not change.code:
            return None
        if not change.code.strip() or len(change.code) > CUSTOM_CODE_CHARS:
            return f"{change.code!r} is no custom code: 1 to {CUSTOM_CODE_CHARS} characters, not blank"
        if not isinstance(reading_of_text(change.code), Code):
            return f"{change.code!r} is no code that a scanner can read: no control characters"
        card = enrolled.get(key_of(change.code))
        if card is not None and (card.partner, card.member) != (self.partner, change.wellhub_id):
            return f"the code {change.code!r} is enrolled here for member {card.member} of {card.partner}"
        return None

    def do(self, change: Change) -> Done:
        """Change the code at Wellhub, then here."""
        outcome = self._ask(change)
        gone_already = outcome.kind is ChangeKind.MISSING and change.action == "delete"
        if outcome.kind is not ChangeKind.DONE and not gone_already:
            problem = GatectlError(outcome.line, outcome.hint)
            return Done(problem, is_key_refused=outcome.kind is ChangeKind.KEY)
        try:
            with opened(self.settings) as connection:
                return self._here(connection, change, outcome)
        except GatectlError as error:
            there = "has no such code" if change.action == "delete" else "has the code"
            problem = GatectlError(
                f"Wellhub {there} now, but here it is not done: {error.message}", self._again(change)
            )
            return Done(problem)

    def _ask(self, change: Change) -> ChangeOutcome:
        for _ in range(_TRIES - 1):
            outcome = self._client.change(change)
            if outcome.kind is not ChangeKind.BUSY:
                return outcome
            self._sleep(outcome.wait_s)
        return self._client.change(change)

    def _here(self, connection: sqlite3.Connection, change: Change, outcome: ChangeOutcome) -> Done:
        cards = store.load_all(connection).values()
        own = [card for card in cards if (card.partner, card.member) == (self.partner, change.wellhub_id)]
        if change.action != "delete":
            card = Card(change.code, self.partner, change.wellhub_id)
            store.add(connection, card)
            own = [other for other in own if key_of(other.code) != key_of(change.code)]
            if change.action == "create":
                return Done(said=_set(change))
        elif change.code:
            own = [card for card in own if key_of(card.code) == key_of(change.code)]
        if len(own) > 1:
            return Done(self._which(change, own))
        for card in own:
            store.remove(connection, card.code)
        removed = "".join(f"; {card.code} is removed here" for card in own)
        if change.action == "update":
            return Done(said=_set(change) + removed)
        if outcome.kind is ChangeKind.MISSING and not own:
            return Done(GatectlError(outcome.line, "nor is one enrolled here: there is nothing to delete"))
        there = "was not there any more" if outcome.kind is ChangeKind.MISSING else "is deleted there"
        return Done(said=f"{change.wellhub_id}: the code {there}{removed or '; none was enrolled here'}")

    def _which(self, change: Change, own: list[Card]) -> GatectlError:
        """Make the error for a member with several cards here: Wellhub does not report which one it was."""
        codes = ", ".join(card.code for card in own)
        return GatectlError(
            f"{change.wellhub_id}: done at Wellhub, but which card here was the old code: {codes}?",
            "forget it here: gatectl cards remove CODE",
        )

    def _again(self, change: Change) -> str:
        if change.action == "delete":
            return "repeat it; Wellhub will say that the code is gone, and it is removed here"
        words = (change.code, self.partner, change.wellhub_id)
        return f"gatectl cards add {' '.join(map(shlex.quote, words))}"


def _set(change: Change) -> str:
    return f"{change.wellhub_id}: the code {change.code} is set there and enrolled here"


def _one(changer: CodeChanger, change: Change) -> int:
    with opened(changer.settings) as connection:  # check before the request that it can be enrolled
        objection = changer.objection(change, store.load_all(connection))
    if objection is not None:
        raise GatectlError(objection)
    done = changer.do(change)
    notify_daemon(changer.settings)
    if done.problem is not None:
        raise done.problem
    print(visible(done.said))
    return 0


# --- Many -----------------------------------------------------------------------------------------


def _many(changer: CodeChanger, args: argparse.Namespace) -> int:
    with opened(changer.settings) as connection:
        enrolled = store.load_all(connection)
    listed, bad = changes(text_of(args.file), args.action, lambda change: changer.objection(change, enrolled))
    if bad:
        raise BadCsvError(args.file, bad)
    report_path = Path(args.report or (f"{args.file}.report.csv" if args.file != "-" else "codes.report.csv"))
    report = Report(report_path)
    left = [change for change in listed if not report.has(change)]
    if len(left) < len(listed):
        print(f"done before: {len(listed) - len(left)}", file=sys.stderr)
    done = failed = 0
    try:
        with report.writing() as write, _progress(len(left)) as advance:
            for change in paced(left, args.rate):
                became = changer.do(change)
                advance()
                if became.problem is None:
                    done += 1
                    write(change, DONE, became.said)
                    continue
                failed += 1
                write(change, "failed", became.problem.message)
                print(*became.problem.lines(), sep="\n", file=sys.stderr)
                if became.is_key_refused:
                    break
    finally:
        notify_daemon(changer.settings)
    print(f"done: {done} of {len(left)}", file=sys.stderr)
    if failed:
        hint = f"correct what failed and repeat the same command: it goes on from {report_path}"
        print(f"hint: {hint}", file=sys.stderr)
    return 1 if failed else 0


def paced(
    left: list[Change],
    rate: float,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Change]:
    """Yield the changes one by one, at most `rate` per second."""
    due = now()
    for change in left:
        pause = due - now()
        if pause > 0:
            sleep(pause)
        due = max(due, now()) + 1 / rate
        yield change


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], Any]]:
    """Show a progress bar on a terminal, and elsewhere nothing."""
    from rich.progress import Progress  # noqa: PLC0415 - only a list of changes has a bar

    from gatectl.cli.render import TextConsole  # noqa: PLC0415

    console = TextConsole(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("codes", total=total)
        yield lambda: bar.advance(task)


_COLUMNS: Final = ("action", "wellhub_id", "code", "outcome", "what")

DONE = "done"

Check = Callable[[Change], str | None]
"""An objection to a change, or None."""


def changes(text: str, action: Action, check: Check) -> tuple[list[Change], list[BadLine]]:
    """Return the changes of a CSV file `wellhub_id,code`, and all its errors; a header line is optional.

    A deletion may leave out the code.
    """
    columns = Columns(
        names=("wellhub_id", "code"),
        least=1 if action == "delete" else 2,
        headings={},
        shape="wellhub_id,code",
    )
    found: dict[str, tuple[int, Change]] = {}

    def take(line: int, values: dict[str, str]) -> str | None:
        change = Change(action, values["wellhub_id"], values.get("code", ""))
        problem = check(change)
        if problem is not None:
            return problem
        first, other = found.setdefault(change.wellhub_id, (line, change))
        return None if other == change else f"{change.wellhub_id} is in line {first} with another code"

    bad = bad_lines(text, columns, take)
    return [change for _, change in found.values()], bad


class Report:
    """The report of changes that were made: a line each, on disk as soon as it is known."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done = {row[:3] for row in self._rows() if row[3] == DONE}

    def has(self, change: Change) -> bool:
        """Return whether this change was done before."""
        return (change.action, change.wellhub_id, change.code) in self._done

    def _rows(self) -> Iterator[tuple[str, ...]]:
        try:
            with self._path.open(encoding="utf-8", newline="") as file:
                for row in csv.reader(file):
                    if len(row) == len(_COLUMNS):  # the last line of an interrupted run may be incomplete
                        yield tuple(map(spreadsheet.plain, row))
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise GatectlError(
                f"{self._path}: not a report of gatectl codes: {error}", "--report names it"
            ) from error

    @contextmanager
    def writing(self) -> Iterator[Callable[[Change, str, str], None]]:
        """Open the report; yield a function that records a change, its outcome and a remark."""
        try:
            with self._path.open("a", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                if file.tell() == 0:
                    writer.writerow(_COLUMNS)
                else:
                    file.write("\n")  # after an incomplete line

                def write(change: Change, outcome: str, what: str) -> None:
                    cells = (change.action, change.wellhub_id, change.code, outcome, what)
                    writer.writerow(map(spreadsheet.protected, cells))
                    file.flush()

                yield write
        except OSError as error:
            raise GatectlError(f"{self._path}: {error.strerror}", "--report names another place") from error
