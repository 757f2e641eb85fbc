"""Keep ready connections to one partner, so that scans need not wait for a handshake. They stay unused."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Never

from gatectl.decision.event import Connection
from gatectl.decision.outcomes import Fault
from gatectl.partners.http.connection import ConnectTiming, OnProgress, PartnerConnection
from gatectl.partners.http.failure import ExchangeFailed, TunnelRefused

DIAL_PATIENCE_S = 5.0
"""For look-up, connect and TLS over the slowest line that a door has; then try again."""

STABLE_S = 1.0
"""A connection that the partner closes sooner, unused, was refused: after the handshake, as TLS 1.3 refuses
a client without a certificate."""

OLDEST_S = 300.0
"""The greatest age: a partner's name may move to another address while the old server still answers."""

IDLE_S = 60.0
"""Servers close idle connections after 5 s to minutes. If it happens within a minute, replacing them is
costly: every 5 s is 17,000 handshakes a day."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 1.0
"""From one attempt to the next. A connection is ready within two seconds after a line comes back, one of them
for TLS over the longest distance. One attempt a second is a negligible load."""

LONGEST_CLOSED_PAUSE_S = 300.0
"""If a partner keeps closing idle connections, they are replaced more and more rarely until the next scan. It
may have to wait for a handshake; from then on they are replaced at once again."""

LONGEST_TLS_PAUSE_S = 30.0
"""A handshake is refused because of a certificate, a key or a clock, which is not fixed in seconds. Nor is a
proxy's refusal, and a wrong password each second could lock an account."""


class Pool:
    """Keeps `want` connections open, idle or in use: one for each door, since a door asks one at a time."""

    def __init__(
        self,
        dial: Callable[[OnProgress], Awaitable[PartnerConnection]],
        want: int,
        when_linked: Callable[[ExchangeFailed | None], None],
    ) -> None:
        """`when_linked` is called after every attempt to get a ready connection, with None or the loss."""
        self._dial = dial
        self._want = want
        self._when_linked = when_linked
        self._idle: dict[PartnerConnection, float] = {}
        """The idle connections, each with the time since when it is idle; the last one is used first."""
        self._in_use: set[PartnerConnection] = set()
        self._waiting: list[asyncio.Future[PartnerConnection]] = []
        self._lacking = asyncio.Event()
        self._lacking.set()
        self._used = asyncio.Event()
        """Set by each exchange."""
        self._closings = 0
        """The count of closings of idle connections in a row, since the last exchange. Those that were open
        together count once."""
        self._closed_at = 0.0
        self._pause_is_due = False
        self._refused = False
        """Whether the last of them was closed directly after its handshake."""
        self._closed = False

    @property
    def ready(self) -> int:
        """The number of connections that wait for a scan."""
        return len(self._idle)

    async def keep(self) -> Never:
        """Replace lost and old connections, for as long as the daemon runs."""
        failures = 0
        while True:
            await self._lack()
            if self._pause_is_due:
                self._pause_is_due = False
                await self._pause(pause_s(self._closings, LONGEST_CLOSED_PAUSE_S))
                if not self._lacking.is_set():
                    continue
            began = asyncio.get_running_loop().time()
            steps = [ConnectTiming(began)]
            try:
                async with asyncio.timeout(DIAL_PATIENCE_S):
                    connection = await self._dial(steps.append)
            except (TimeoutError, ExchangeFailed) as error:
                lost = (
                    error
                    if isinstance(error, ExchangeFailed)
                    else ExchangeFailed(Fault.NETWORK, steps[-1].late("in time"))
                )
                failures += 1
                self._when_linked(lost)
                is_lasting = lost.fault is Fault.TLS or isinstance(lost, TunnelRefused)
                longest_s = LONGEST_TLS_PAUSE_S if is_lasting else LONGEST_PAUSE_S
                took_s = asyncio.get_running_loop().time() - began
                await asyncio.sleep(pause_s(failures, longest_s) - took_s)
            else:
                failures = 0
                if self._refused:
                    asyncio.get_running_loop().call_later(STABLE_S, self._note_stable, connection)
                else:
                    self._when_linked(None)
                self._offer_new(connection)

    async def _lack(self) -> None:
        """Wait until a connection is missing; drop old ones meanwhile."""
        while True:
            now = asyncio.get_running_loop().time()
            for connection in [connection for connection in self._idle if _is_old(connection, now)]:
                self._keeps_idle()
                self._forget(connection)
            self._count()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(map(_old_at, self._idle), default=None)):
                    await self._lacking.wait()
                    return

    async def _pause(self, seconds: float) -> None:
        """Wait until the time is over, or an exchange shows that connections are needed."""
        self._used.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._used.wait()

    def _note_stable(self, connection: PartnerConnection) -> None:
        if self._refused and (connection in self._idle or connection in self._in_use):
            self._is_accepted()

    def _is_accepted(self) -> None:
        if self._refused:
            self._refused = False
            self._when_linked(None)

    async def acquire(self, on_progress: OnProgress) -> tuple[PartnerConnection, Connection]:
        """Return a connection for one request: a ready one, or the first that is made; raises ExchangeFailed.

        If none is ready, `on_progress` gets the progress of the one that is dialled for this request.
        """
        while self._idle:
            connection, _ = self._idle.popitem()
            connection.when_disturbed = None
            # Not known to have ended; `send` looks at the socket itself, and then another one is taken.
            if not _is_old(connection, asyncio.get_running_loop().time()):
                self._in_use.add(connection)
                return connection, "warm"
            self._drop(connection)
        connection = await self._new(on_progress)
        return connection, "warm" if connection.answers else "new"

    async def _new(self, on_progress: OnProgress) -> PartnerConnection:
        # `keep` may be half-way through a handshake, or stuck in an attempt from before the line
        # came back: dial for this scan too, and take the connection that is ready first.
        own = asyncio.ensure_future(self._dial(on_progress))
        arrival: asyncio.Future[PartnerConnection] = asyncio.get_running_loop().create_future()
        self._waiting.append(arrival)
        connection: PartnerConnection | None = None
        try:
            await asyncio.wait({own, arrival}, return_when=asyncio.FIRST_COMPLETED)
            connection = arrival.result() if arrival.done() else own.result()
            self._in_use.add(connection)
        finally:
            self._waiting.remove(arrival)
            for other in (own, arrival):
                if not (other.done() and connection is not None and _result(other) is connection):
                    other.add_done_callback(self._adopt)
                    other.cancel()
        return connection

    def _adopt(self, other: asyncio.Future[PartnerConnection]) -> None:
        connection = _result(other)
        if connection is not None:
            self._in_use.discard(connection)
            self._offer_new(connection)

    def release(self, connection: PartnerConnection, *, reusable: bool) -> None:
        """Return a connection to the pool after its exchange; replace it if it is not reusable.

        The exchange has looked at its socket after the answer.
        """
        self._in_use.discard(connection)
        if connection.answers:
            self._keeps_idle()
            self._used.set()
            self._is_accepted()
        if reusable and connection.seems_quiet and not _is_old(connection, asyncio.get_running_loop().time()):
            self._offer(connection)
        else:
            self._drop(connection)

    def _offer_new(self, connection: PartnerConnection) -> None:
        """Take a connection that may have ended since its handshake."""
        self._offer(connection)
        if connection in self._idle and not connection.is_quiet():
            self._idle_lost(connection)

    def _offer(self, connection: PartnerConnection) -> None:
        for arrival in self._waiting:
            if not arrival.done():
                self._in_use.add(connection)
                arrival.set_result(connection)
                return
        if self._closed or len(self._idle) + len(self._in_use) >= self._want:
            connection.close()
            return
        connection.when_disturbed = lambda: self._idle_lost(connection)
        self._idle[connection] = asyncio.get_running_loop().time()
        self._count()

    def _idle_lost(self, connection: PartnerConnection) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._idle.get(connection, now) >= IDLE_S:
            self._keeps_idle()
        elif connection.opened_at >= self._closed_at:
            self._closings, self._closed_at, self._pause_is_due = self._closings + 1, now, True
        if now - connection.opened_at < STABLE_S and not connection.answers:
            self._refused = True
            self._when_linked(connection.disturbance())
        else:
            self._is_accepted()
        self._forget(connection)

    def _keeps_idle(self) -> None:
        """Reset the count: the partner keeps idle connections long enough, or a scan needs them anyway."""
        self._closings, self._pause_is_due = 0, False

    def _forget(self, connection: PartnerConnection) -> None:
        self._idle.pop(connection, None)
        self._drop(connection)

    def _drop(self, connection: PartnerConnection) -> None:
        connection.close()
        self._count()

    def _count(self) -> None:
        if len(self._idle) + len(self._in_use) < self._want:
            self._lacking.set()
        else:
            self._lacking.clear()

    def close(self) -> None:
        """Close every connection, in use or not, and those still being made."""
        self._closed = True
        for connection in (*self._idle, *self._in_use):
            connection.close()
        self._idle.clear()
        self._in_use.clear()


def _is_old(connection: PartnerConnection, now: float) -> bool:
    return now >= _old_at(connection)


def _old_at(connection: PartnerConnection) -> float:
    return connection.opened_at + OLDEST_S


def pause_s(failures: int, longest_s: float) -> float:
    """Return the seconds to wait after so many failures in a row (at least one)."""
    # 2 ** 20 pauses exceed every maximum; the bound keeps the power small.
    return min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 20), longest_s)


def _result(done: asyncio.Future[PartnerConnection]) -> PartnerConnection | None:
    return None if done.cancelled() or done.exception() else done.result()
