"""The gate's side of the conversation: what to send next, and when. No I/O and no clock.

The caller reports connections, marks and new events, reads the events that `wanted` names, and sends the
batches that `batch` makes. Times are seconds on any clock that only goes forward.

Nothing is sent before a mark has come, and the position is nowhere but in the mark: so there is nothing at
the gate that could be lost or restored wrongly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from gatectl.uplink.wire import (
    BATCH_BYTES_MAX,
    BATCH_EVENTS_MAX,
    BATCH_HEAD_BYTES,
    EventBatch,
    Mark,
    NumberedEvent,
    size_of,
)

Chance = Callable[[], float]
"""Returns a random number from 0 to 1."""

RECONNECT_MAX_S = 120.0
"""A line that comes back is found within two minutes, and a thousand gates do not all come at once."""

PATIENCE_S = 60.0
"""Without progress for so long, a message was lost: the broker's acknowledgement means nothing, since
Mosquitto acknowledges messages that it drops."""

RETRY_MAX_S = 600.0
"""The longest pause between two batches that are sent again without progress."""

AGAIN_S = 1.0
"""The least time between two returns to the mark on one connection: each batch behind a gap is answered by a
request, and a hostile broker could have everything sent again without end."""


def reconnect_delays(chance: Chance) -> Iterator[float]:
    """Yield the seconds to wait before each next try: up to 1 s, doubling to 120 s, with full jitter."""
    longest = 1.0
    while True:
        yield chance() * longest
        longest = min(longest * 2, RECONNECT_MAX_S)


class OwnEvent(NamedTuple):
    """The journal at the number of a mark."""

    last: int
    """The number of the journal's last event, those that were pruned included."""
    id: str | None
    """The ID of the event with the mark's number; None if there is none, or not any more."""

    def fits(self, mark: Mark) -> bool:
        """Return whether the mark is about this journal's own event."""
        return mark.mark <= self.last and (None in {mark.id, self.id} or mark.id == self.id)


class Wanted(NamedTuple):
    """The events to read next: at most `most` with numbers after `after`."""

    after: int
    most: int


class Conversation:
    """One gate's conversation with head office, over any number of connections."""

    def __init__(self, chance: Chance) -> None:
        self.journal: str | None = None
        self.last = 0
        """The number of the journal's last event."""
        self.mark: Mark | None = None
        """The mark that counts; None before one has come on this connection."""
        self.fork: int | None = None
        """The generation whose mark is not about this journal's own event; see GateState."""
        self._chance = chance
        self._connected = False
        self._sent = 0
        """The number up to which everything beyond the mark was sent."""
        self._sent_id: str | None = None
        """The ID of the event with that number; None for 0, or if it is not known."""
        self._read_after = 0
        """The events that are being read come after this number."""
        self._outstanding: deque[tuple[int, int]] = deque()
        """For each batch beyond the mark, its `until` and its number of events."""
        self._empty_to = 0
        """Numbers up to this one are known to have no events any more."""
        self._pause_s = PATIENCE_S
        """How long to wait for progress; longer after each try."""
        self._retry_at: float | None = None
        self._again_at = float("-inf")
        self._again_due: float | None = None
        self._held_until: float | None = None
        """Nothing is sent before this time, after too many returns to the mark."""
        self._probing = False
        """Whether only one batch is sent at a time, until there is progress."""

    @property
    def behind(self) -> int | None:
        """How many events head office has not committed; None while no mark says what it has."""
        return None if self.mark is None else max(self.last - self.mark.mark, 0)

    @property
    def retry_at(self) -> float | None:
        """When `wanted` will have something although nothing happens; None for never."""
        times = (self._retry_at, self._again_due, self._held_until)
        return min((at for at in times if at is not None), default=None)

    # --- Input -----------------------------------------------------------------------------------

    def connected(self) -> None:
        """A connection begins; its first mark counts, whatever the one before it was."""
        self._forget()
        self._again_at, self._held_until = float("-inf"), None
        self._connected = True

    def disconnected(self) -> None:
        """The connection has ended; nothing is wanted until the next one has a mark."""
        self._forget()
        self._connected = False

    def opened(self, journal: str, last: int) -> bool:
        """The journal was looked at: its identity and its last number.

        Return whether it is another one, or an older image of it. The next mark will show where that begins:
        a state asks for one.
        """
        is_other = journal != self.journal or last < self.last
        if is_other:
            self._forget()
        self.journal, self.last = journal, last
        return is_other

    def marked(self, mark: Mark, own: OwnEvent, now: float) -> bool:
        """Take a mark; `own` is the journal at its number. Return whether it counts."""
        if mark.journal != self.journal or self._is_stale(mark):
            return False
        self.last = max(self.last, own.last)
        if not own.fits(mark):
            self._forget()
            self.fork = mark.generation
            return True
        before, self.mark, self.fork = self.mark, mark, None
        position = None if before is None else (before.generation, before.mark)
        if position is None or mark.generation != position[0] or mark.mark < position[1]:
            self._go_back(mark, now)
        elif mark.mark > position[1]:
            self._progress(mark, now)
        if mark.again:
            self._again(mark, now)
        return True

    def _is_stale(self, mark: Mark) -> bool:
        """Return whether a mark is older than the one that counts; head office goes back by `again` alone."""
        if mark.again:
            return False
        if self.fork is not None:
            return mark.generation <= self.fork
        return self.mark is not None and (mark.generation, mark.mark) < (self.mark.generation, self.mark.mark)

    # --- Output ----------------------------------------------------------------------------------

    def wanted(self, now: float) -> Wanted | None:
        """Return what to read and send now; None if there is nothing to do before the next input."""
        if not self._connected or self.mark is None:
            return None
        if self._held_until is not None and now < self._held_until:
            return None
        self._held_until = None
        if self._again_due is not None and now >= self._again_due:
            self._go_back(self.mark, now)
        elif self._retry_at is not None and now >= self._retry_at:
            self._retry(self.mark, now)
        if self._probing and self._outstanding:
            return None
        room = self.mark.window - sum(count for _, count in self._outstanding)
        if room <= 0 or self.last <= max(self._sent, self._empty_to):
            return None
        self._read_after = self._sent
        return Wanted(self._sent, min(room, BATCH_EVENTS_MAX))

    def batch(self, read: Sequence[NumberedEvent], own: OwnEvent, now: float) -> EventBatch | None:
        """Make a batch of the events read for the last `wanted`; it counts as sent.

        `own` is the journal at the number `after` of `wanted`. Return None if all of them were pruned, if a
        mark that came meanwhile wants something else, or if an older image took the journal's place. In the
        last case there is no mark any more, and a state asks for one.
        """
        if self.journal is None or self.mark is None or self._read_after != self._sent:
            return None
        if own.last < self.last or (None not in {own.id, self._sent_id} and own.id != self._sent_id):
            self._forget()
            self.last = own.last
            return None
        if not read:
            # A pruned range is announced together with the next event.
            self._empty_to = own.last
            return None
        events = _cut(read)
        batch = EventBatch(self.journal, self.mark.generation, self._sent, events[-1].number, events)
        self._sent, self._sent_id = batch.until, events[-1].id
        self._outstanding.append((batch.until, len(events)))
        if self._retry_at is None:
            self._wait(now)
        return batch

    # --- Pacing ----------------------------------------------------------------------------------

    def _forget(self) -> None:
        self.mark = self.fork = None
        self._begin_at(0, None)

    def _begin_at(self, number: int, event_id: str | None) -> None:
        """Send everything beyond this number, without a memory of failures."""
        self._outstanding.clear()
        self._sent, self._sent_id, self._empty_to = number, event_id, 0
        self._pause_s, self._probing = PATIENCE_S, False
        self._retry_at = self._again_due = None

    def _go_back(self, mark: Mark, now: float) -> None:
        self._begin_at(mark.mark, mark.id)
        if self._held_until is None:
            self._again_at = max(now, self._again_at + AGAIN_S)
            self._held_until = self._again_at if self._again_at > now else None

    def _progress(self, mark: Mark, now: float) -> None:
        while self._outstanding and self._outstanding[0][0] <= mark.mark:
            self._outstanding.popleft()
        if mark.mark > self._sent:
            self._sent, self._sent_id = mark.mark, mark.id
        self._pause_s, self._probing = PATIENCE_S, False
        self._retry_at = self._again_due = None
        if self._outstanding:
            self._wait(now)

    def _again(self, mark: Mark, now: float) -> None:
        if now - self._again_at >= AGAIN_S:
            self._go_back(mark, now)
        elif self._outstanding:
            self._again_due = self._again_at + AGAIN_S

    def _retry(self, mark: Mark, now: float) -> None:
        """Send one batch from the mark, and wait longer next time."""
        if mark.window == 0:
            self._wait(now)
            return
        pause_s = min(self._pause_s * 2, RETRY_MAX_S)
        self._go_back(mark, now)
        self._pause_s, self._probing = pause_s, True

    def _wait(self, now: float) -> None:
        self._retry_at = now + self._pause_s * (0.9 + 0.2 * self._chance())


def _cut(read: Sequence[NumberedEvent]) -> tuple[NumberedEvent, ...]:
    """Return as many of the first events as one batch takes, at least one."""
    size = BATCH_HEAD_BYTES
    for index, one in enumerate(read[:BATCH_EVENTS_MAX]):
        size += size_of(one)
        if size > BATCH_BYTES_MAX and index:
            return tuple(read[:index])
    return tuple(read[:BATCH_EVENTS_MAX])
