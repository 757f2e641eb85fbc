"""Head office's side of the conversation: what a gate's message changes there, and the answer. Pure.

The rules are Raft's for a follower's log (Ongaro and Ousterhout 2014, section 5.3), for a gate's journal: a
batch is taken only if it continues what is committed. The caller keeps one `Stream` for each journal and
stores a step's stream and events in one transaction, before it sends the answer. So a mark never
covers an event that is not committed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from gatectl.uplink.wire import WINDOW, EventBatch, GateState, Mark, NumberedEvent, Presence

GENERATION_PAUSE_S = 300.0
"""The least time between two new generations of one journal. Two machines that take turns with one journal
would otherwise make each other send all of it without end."""

_REPLACED_MAX = 8
"""Earlier processes of a gate that are remembered: a second machine returns within some turns."""


class Stream(NamedTuple):
    """A journal as it is committed at head office."""

    journal: str
    generation: int = 1
    mark: int = 0
    id: str | None = None
    """The ID of the event with that number; None for 0, or if the gate had pruned it."""
    opened_s: float = 0.0
    """When the generation began, in seconds since the epoch."""


class Answer(StrEnum):
    """The reply to the gate."""

    MARK = "mark"
    """The mark. As an answer to a repeat, once a second is enough."""
    AGAIN = "again"
    """The mark, with the request to send everything beyond it again."""


class Notice(StrEnum):
    """A fact for the people at head office."""

    NEW_GENERATION = "new_generation"
    """The journal went back in time, as when an old image or a backup is restored; all of it comes again."""
    TWO_MACHINES = "two_machines"
    """Two machines write under one name, as when an SD card was cloned. An alarm."""


class Step(NamedTuple):
    """The effect of one message."""

    stream: Stream
    answer: Answer
    insert: tuple[NumberedEvent, ...] = ()
    """Events to commit together with the stream, in this order; one whose ID is there already is left out."""
    committed: tuple[NumberedEvent, ...] = ()
    """Events that should be there already. One whose ID is not there has the number of another event: it is
    to be kept as a conflict, and is a case of TWO_MACHINES."""
    pruned: int = 0
    """How many numbers up to the new mark were pruned at the gate before they were sent."""
    unreadable: int = 0
    """How many more are missing, since what was sent cannot be read."""
    notice: Notice | None = None


def greet(stream: Stream | None, state: GateState, now_s: float) -> Step | None:
    """Return the effect of a gate's state; None if the gate has no journal. `now_s` is since the epoch.

    Each state is answered, so that a lost mark comes again with the next one.
    """
    if state.journal is None:
        return None
    if stream is None:
        return Step(Stream(state.journal, opened_s=now_s), Answer.AGAIN)
    if state.fork == stream.generation:
        if stream.generation > 1 and now_s - stream.opened_s < GENERATION_PAUSE_S:
            return Step(stream, Answer.MARK, notice=Notice.TWO_MACHINES)
        begun = Stream(stream.journal, stream.generation + 1, opened_s=now_s)
        return Step(begun, Answer.AGAIN, notice=Notice.NEW_GENERATION)
    is_ahead = (state.generation, state.mark) != (None, None) and (
        state.generation != stream.generation or (state.mark or 0) > stream.mark
    )
    return Step(stream, Answer.AGAIN if is_ahead else Answer.MARK)


def take(stream: Stream | None, batch: EventBatch, now_s: float) -> Step:
    """Return the effect of a batch. `now_s` is since the epoch."""
    if stream is None:
        stream = Stream(batch.journal, opened_s=now_s)
    if batch.generation != stream.generation or batch.after > stream.mark:
        return Step(stream, Answer.AGAIN)
    committed = tuple(one for one in batch.events if one.number <= stream.mark)
    if committed and committed[-1].number == stream.mark and stream.id not in {None, committed[-1].id}:
        # The gate will see that the mark is not its own, and say so.
        return Step(stream, Answer.AGAIN, committed=committed, notice=Notice.TWO_MACHINES)
    if batch.until <= stream.mark:
        return Step(stream, Answer.MARK, committed=committed)
    insert = batch.events[len(committed) :]
    last_id = insert[-1].id if insert and insert[-1].number == batch.until else None
    moved = stream._replace(mark=batch.until, id=last_id)
    missing = batch.until - stream.mark - len(insert)
    unreadable = min(batch.unreadable, missing)
    return Step(moved, Answer.MARK, insert, committed, missing - unreadable, unreadable)


def mark_of(stream: Stream, answer: Answer, window: int = WINDOW) -> Mark:
    """Return the message of an answer. At its start head office sends each gate AGAIN."""
    again = answer is Answer.AGAIN
    return Mark(stream.journal, stream.generation, stream.mark, stream.id, window, again)


class Attendance(NamedTuple):
    """A gate's presence as head office has it."""

    online: bool
    session: str
    replaced: tuple[str, ...] = ()
    """Earlier processes of the gate, the latest last."""


def attend(known: Attendance | None, news: Presence) -> tuple[Attendance, Notice | None]:
    """Return a gate's new presence, and a notice if a process returns that another one had replaced.

    One machine never goes back to an earlier process, so there are two.
    """
    if known is None:
        return Attendance(news.online, news.session), None
    process, before = (session.partition("-")[0] for session in (news.session, known.session))
    if process == before:
        is_late = not news.online and news.session != known.session
        return known if is_late else known._replace(online=news.online, session=news.session), None
    if not news.online:
        return known, None  # the late will of an earlier process
    notice = Notice.TWO_MACHINES if process in known.replaced else None
    replaced = (*(one for one in known.replaced if one != process), before)[-_REPLACED_MAX:]
    return Attendance(online=True, session=news.session, replaced=replaced), notice
