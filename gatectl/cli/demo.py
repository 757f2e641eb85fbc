"""`gatectl demo`: run a whole door on this machine, without hardware and without a partner."""

from __future__ import annotations

import argparse
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, NoReturn

from rich.text import Text

from gatectl.cli.demo_keys import Prompt, typed
from gatectl.cli.demo_stage import DemoStage
from gatectl.cli.render import TextConsole, show_table
from gatectl.decision.reader.reading import Code, reading_of_text
from gatectl.decision.verdict import Result
from gatectl.errors import GatectlError, UsageError, near, visible
from gatectl.journal.reader import Reader
from gatectl.sim.plays import PLAYS, TOUR, Play
from gatectl.sim.protocols import PROTOCOLS
from gatectl.sim.simulated_door import QUICK, UNHURRIED, GateTimes, SimulatedDoor
from gatectl.sim.simulated_gate import SimulatedGate

KEYS = {play.key: play for play in PLAYS.values()}
HELP = "?"
AT_THE_GATE = ("p", "n", "t")
"""The keys to remind of, once a member stands at the gate."""

NO_ROUTE = ("hello", "no route takes it: nobody is asked")


class Scene(NamedTuple):
    """A code to scan, a play, or both in this order."""

    code: str | None
    play: Play | None


class _Scanned(NamedTuple):
    """The value of `--scan`, to tell it from one of `--then`."""

    code: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a script; without any, the user types codes and keys."""
    parser.add_argument(
        "--scan",
        dest="script",
        action="append",
        default=[],
        type=_scanned,
        metavar="CODE",
        help="scan this and end; may be repeated",
    )
    parser.add_argument(
        "--then",
        dest="script",
        action="append",
        type=_play_name,
        choices=tuple(PLAYS),
        metavar="PLAY",
        help="what happens at the gate then, a play from the list below; may be repeated",
    )
    parser.add_argument("--tour", action="store_true", help="play every play once, and end")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    plays = (f"  {play.name:<15} {play.key}  {play.words}" for play in PLAYS.values())
    parser.epilog = "\n".join(("plays, each with its key in the interactive demo:", *plays))


def run(args: argparse.Namespace) -> int:
    """Return 0 when every scan and every play has its events."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)  # else the daemon would go on alone
    if args.tour and args.script:
        raise UsageError("gatectl demo: --tour plays a script of its own, so leave out --scan and --then")
    script = [Scene(code, PLAYS[play]) for code, play in TOUR] if args.tour else scenes(args.script)
    is_gate = not script or any(scene.play for scene in script)
    with ExitStack() as stack:
        prompt = Prompt()
        stage = _stage(stack, prompt, is_gate=is_gate, times=QUICK if script else UNHURRIED)
        if is_gate:
            stage.expect("mode", Result.CLOSED)  # the side door's, which the start records
        if script:
            _play_all(stage, script)
        else:
            _play_typed(stage, prompt)
    return 0


def _end(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)


def _stage(stack: ExitStack, prompt: Prompt, *, is_gate: bool, times: GateTimes) -> DemoStage:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="gatectl-demo-"))
    gate = stack.enter_context(SimulatedGate()) if is_gate else None
    console = TextConsole()

    def on_line(line: str) -> None:
        with prompt.hidden():
            console.print(Text(f"journal: {visible(line)}", "bright_black"))

    door = stack.enter_context(SimulatedDoor(Path(folder), on_line, gate, times))
    reader = stack.enter_context(Reader(door.journal))
    return DemoStage(door, gate, times.wait_ms, reader, console, prompt.hidden)


def scenes(words: Sequence[_Scanned | str]) -> list[Scene]:
    """Pair each code with the play that follows it; where there are plays, a member without one passes.

    Raises UsageError for a play of a member where no member has scanned.
    """
    script: list[Scene] = []
    for word in words:
        if isinstance(word, _Scanned):
            script.append(Scene(word.code, None))
        elif script and script[-1].play is None:
            script[-1] = Scene(script[-1].code, PLAYS[word])
        elif PLAYS[word].member:
            raise UsageError(
                f"gatectl demo: --then {word} wants a member at the gate", "put a --scan CODE in front of it"
            )
        else:
            script.append(Scene(None, PLAYS[word]))
    if not any(scene.play for scene in script):
        return script
    return [Scene(scene.code, scene.play or PLAYS["passes"]) for scene in script]


def _play_all(stage: DemoStage, script: Iterable[Scene]) -> None:
    for scene in script:
        if scene.play is not None:
            stage.say(f"-- {scene.play.words} --", "cyan")
        if scene.code is not None:
            stage.scan(scene.code)
        if scene.play is not None:
            stage.play(scene.play)
    if (inside := stage.inside) is not None:
        stage.say(f"inside now: {inside}")


def _scanned(text: str) -> _Scanned:
    if not isinstance(reading_of_text(text), Code):
        raise UsageError("gatectl demo: this is no code: 1 to 512 characters without control characters")
    return _Scanned(text)


def _play_name(text: str) -> str:
    if text not in PLAYS:
        hints = near(text, PLAYS) or (f"there are {', '.join(PLAYS)}",)
        raise UsageError(f"gatectl demo: there is no play {text!r}", *hints)
    return text


def _examples() -> Iterator[tuple[str, str]]:
    """Give codes to type, a choice from the simulator's scenarios (`gatectl sim` prints them all)."""
    for protocol in PROTOCOLS.values():
        yield from protocol.examples
    yield NO_ROUTE


def _show_keys() -> None:
    show_table(("Key", "What happens at the gate"), ((play.key, play.words) for play in KEYS.values()))


def _play_typed(stage: DemoStage, prompt: Prompt) -> None:
    show_table(("Type", "What happens"), _examples())
    print("Then Enter, as a scanner does. Ctrl-D ends.")
    _show_keys()
    print("A key acts at once, at an empty line. ? shows them again.")
    print(f"As web pages, from another terminal: {_typed_as()} monitor -c {stage.settings}")
    for entry in typed(prompt, stage.show_new, {*KEYS, HELP}):
        try:
            _play_entry(stage, entry)
        except GatectlError as error:  # another process may have changed the door's mode
            stage.say(error.message, "red")


def _typed_as() -> str:
    """Return the command as a shell finds it: a checkout's is not on the path."""
    here = Path(sys.executable).with_name("gatectl")
    return "gatectl" if shutil.which("gatectl") or not here.exists() else shlex.quote(str(here))


def _play_entry(stage: DemoStage, entry: str) -> None:
    if entry == HELP:
        _show_keys()
    elif entry in KEYS:
        stage.say(f"-- {KEYS[entry].words} --", "cyan")
        stage.play(KEYS[entry])
    elif stage.awaits(entry):
        stage.say("the same scan: the gate still waits for this member to pass")
    elif isinstance(reading_of_text(entry), Code) and stage.scan(entry):
        stage.say("         " + ", ".join(f"{key}: {KEYS[key].words}" for key in AT_THE_GATE), "")
