"""The inputs of a door's machine, and its effects: all that passes between the rules and the shell.

Moments (`at_s`, `until_s`, `deadline_s`) are seconds on the event loop's clock. `of` is the id of the event
that an input or effect belongs to: the machine recognises a late result by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from gatectl.decision.cards import key_of
from gatectl.decision.door.grace import GraceRules, MemberPast
from gatectl.decision.door.inputs import InputName
from gatectl.decision.event import Attempt, Event, RequestRecord
from gatectl.decision.indication import Indication, View
from gatectl.decision.log import LogEntry
from gatectl.decision.timestamps import Instant, LoopTime, WallUs
from gatectl.decision.verdict import Decision

if TYPE_CHECKING:
    from gatectl.decision.door.modes import Order


# --- Inputs ---------------------------------------------------------------------------------------


class CodeRead(NamedTuple):
    """A complete code, the scanner it came from, and when it was complete."""

    code: str
    scanner: str
    at: Instant
    leaves: bool = False
    """Whether the scanner is on the inside."""

    @property
    def key(self) -> str:
        """The code in the form in which codes are compared."""
        return key_of(self.code)


class Recorded(NamedTuple):
    """The attempt is on disk."""

    of: str


class RecordLate(NamedTuple):
    """The disk has not confirmed the attempt until the moment that `Record` named."""

    of: str


class Answered(NamedTuple):
    """The exchange with the partner is over, with an answer or without.

    `request` makes the record of it, at the end: the relay comes before such work.
    """

    of: str
    decision: Decision
    request: Callable[[], RequestRecord]


class LookedUp(NamedTuple):
    """The journal's answer about the member's past: empty if the journal was slow."""

    of: str
    unanswered: Sequence[str] = ()
    """Ids of the member's unanswered requests, the latest first."""
    already_in: Sequence[tuple[str, WallUs]] | None = None
    """Openings on `already_in`, each with its event's id and time; None where they are not known."""
    came_back: bool = False
    """Whether the member passed lately."""


class LookedBack(NamedTuple):
    """The journal's evidence about a member in an outage; None if it was slow or cannot be trusted."""

    of: str
    past: MemberPast | None = None


class Retried(NamedTuple):
    """A relay that was out of order has been tried once more, with or without success."""

    of: str


class RelayOn(NamedTuple):
    """The relay was energised at `at_s`, and stays so for `open_ms`."""

    of: str
    at_s: LoopTime
    open_ms: int


class RelayStuck(NamedTuple):
    """The relay could not be energised; the cause is in a technician's words."""

    of: str
    cause: str


class OpenByHand(NamedTuple):
    """A person opens the gate, as event `of`. The caller has taken keys out of the reason."""

    of: str
    at: Instant
    reason: str


class Unreadable(NamedTuple):
    """A complete reading that is no code. `showing` says whether the lamps show an earlier outcome."""

    showing: bool


class GateBroken(NamedTuple):
    """The relay is known to be out of order, for this technical cause; None once it works again."""

    cause: str | None


class Stop(NamedTuple):
    """The daemon stops: no further code is taken, and the scan under way is decided."""


class InputChanged(NamedTuple):
    """An input has a level that is stable; `at` is when it began. The first level of each is a change too."""

    name: InputName
    active: bool
    at: Instant


class InputLost(NamedTuple):
    """An input's pin cannot be read, for this technical cause."""

    name: InputName
    cause: str
    at: Instant


class Unused(NamedTuple):
    """An admission of before this start whose member did not pass, as was known at `known_us`."""

    attempt: Attempt
    known_us: WallUs


class Ordered(NamedTuple):
    """A person orders a mode, as event `of`."""

    of: str
    at: Instant
    order: Order


class Resumed(NamedTuple):
    """The order that counted before this start, and when somebody was admitted here last, if known."""

    order: Order | None
    at: Instant
    admitted_us: WallUs | None = None


class ClockLooked(NamedTuple):
    """A look at the wall clock, each second where a schedule counts."""

    at: Instant
    trusted: bool
    """Whether the clock was set since the boot."""


class Recalled(NamedTuple):
    """The unused admissions of this door that the journal has."""

    unused: Sequence[Unused]
    at: Instant


class TimeUp(NamedTuple):
    """The timer of this name has run out, at this moment."""

    name: str
    at: Instant


Feedback = Recorded | RecordLate | Answered | LookedUp | LookedBack | Retried | RelayOn | RelayStuck
"""The results of effects; each belongs to one event."""

Input = (
    CodeRead
    | Unreadable
    | OpenByHand
    | GateBroken
    | InputChanged
    | InputLost
    | Ordered
    | Resumed
    | ClockLooked
    | Recalled
    | TimeUp
    | Stop
    | Feedback
)


# --- Effects --------------------------------------------------------------------------------------


class Record(NamedTuple):
    """Write the attempt. `Recorded` or, at `until_s`, `RecordLate` follows.

    `after` is a whole event that comes before it: both are on disk or neither is.
    """

    attempt: Attempt
    until_s: LoopTime
    after: Event | None = None


class Prepare(NamedTuple):
    """Make the request ready while the disk takes the record.

    Without `checks_in` the partner decides, and nobody is checked in.
    """

    attempt: Attempt
    partner: str
    checks_in: bool = True


class Ask(NamedTuple):
    """Send the prepared request, once. `Answered` follows, at the deadline at the latest."""

    attempt: Attempt
    at: Instant
    partner: str
    deadline_s: LoopTime


class LookUp(NamedTuple):
    """Ask the journal for what it has of this attempt's partner and member. `LookedUp` follows.

    With a `settle_s` of 0 no unanswered request is looked for, with a `return_s` of 0 no passage.
    """

    attempt: Attempt
    settle_s: int
    return_s: int
    until_s: LoopTime


class LookBack(NamedTuple):
    """Ask the journal for its evidence about this attempt's partner and member. `LookedBack` follows."""

    attempt: Attempt
    rules: GraceRules
    until_s: LoopTime


class Energise(NamedTuple):
    """Open the gate for its time. `RelayOn` or `RelayStuck` follows.

    With `try_again`, a relay that is known to be out of order is only tried once more, and `Retried` follows:
    the door may be locked down by then. An `open_ms` of None is the relay's own time; `for_exit` means the
    exit's relay, where it has one.
    """

    of: str
    try_again: bool = False
    open_ms: int | None = None
    for_exit: bool = False


class Release(NamedTuple):
    """Switch the door's relay off before its time: at `at_s`, or now if that has passed."""

    at_s: LoopTime


class KeepOn(NamedTuple):
    """Keep the relay on until then, whatever openings end meanwhile."""

    until_s: LoopTime
    for_exit: bool = False


class StopKeeping(NamedTuple):
    """End what keeps the relay on; an opening under way has its full time."""

    for_exit: bool = False


class WatchClosely(NamedTuple):
    """Read the door's inputs every 20 ms until then."""

    until_s: LoopTime


class Warn(NamedTuple):
    """Let the buzzer sound, or no longer."""

    on: bool


class StartTimer(NamedTuple):
    """Give `TimeUp` of this name at `at_s`, in place of an earlier time; None stops the timer."""

    name: str
    at_s: LoopTime | None


class Show(NamedTuple):
    """Show the view on the door's displays, and the indication on its lamps where there is one."""

    view: View
    indication: Indication | None = None


class PartnerChanged(NamedTuple):
    """Look whether the partner's condition is another one since the scan that is being concluded."""

    partner: str


class Conclude(NamedTuple):
    """Write the outcome, and pass the finished event to the sinks."""

    event: Event


class Note(NamedTuple):
    """Write a whole event, and pass it to the sinks, without waiting for the disk."""

    event: Event


class Log(NamedTuple):
    """Write a line to the systemd journal."""

    entry: LogEntry


Effect = (
    Record
    | Prepare
    | Ask
    | LookUp
    | LookBack
    | PartnerChanged
    | Conclude
    | Note
    | Log
    | Energise
    | Release
    | KeepOn
    | StopKeeping
    | Show
    | Warn
    | WatchClosely
    | StartTimer
)
