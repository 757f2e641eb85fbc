"""The client for all partners: sends one request within one absolute deadline, and records both exactly."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import h11

from gatectl import __version__
from gatectl.decision.event import Connection
from gatectl.decision.outcomes import Fault
from gatectl.partners.exchange import Endpoint, PartnerRequest, PartnerResponse
from gatectl.partners.http.answer import BODY_MAX, AnswerReader
from gatectl.partners.http.connection import ConnectTiming
from gatectl.partners.http.failure import ExchangeFailed
from gatectl.partners.http.pool import Pool


@dataclass(slots=True)
class Exchange:
    """The record of one exchange. Times are of the event loop's clock, in seconds.

    Exactly one of `answer` and `lost` is set in the end.
    """

    sent: bool = False
    """Whether any byte of the request was written to a connection."""
    sent_at: float | None = None
    answered_at: float | None = None
    """When the answer was whole; None if and only if no whole answer came in time."""
    ended_at: float = 0.0
    """When the answer was whole, or was given up."""
    connection: Connection = "new"
    dialled: ConnectTiming | None = None
    """The steps of making that connection; None where none was begun."""
    answer: PartnerResponse | None = None
    lost: ExchangeFailed | None = None

    def on_progress(self, dialled: ConnectTiming) -> None:
        """Record how far the connection dialled for this request has got."""
        self.connection, self.dialled = "new", dialled


class PreparedRequest(NamedTuple):
    """A request as bytes: prepared while the journal writes to disk, so that it can be sent at once."""

    http: h11.Connection
    data: bytes

    def __repr__(self) -> str:
        return "PreparedRequest()"  # the data hold the key


@lru_cache(maxsize=16)  # most protocols ask about every member with the same head
def _head(
    authority: str, method: str, target: str, headers: tuple[tuple[str, str], ...], length: int
) -> h11.Request:
    # A GET has no content, and some firewalls refuse one that names its length (RFC 9110, section 8.6).
    framing = () if method == "GET" else (("Content-Length", str(length)),)
    return h11.Request(
        method=method,
        target=target,
        headers=[("Host", authority), ("User-Agent", f"gatectl/{__version__}"), *headers, *framing],
    )


NOTHING = PreparedRequest(h11.Connection(h11.CLIENT), b"")
"""In place of a request that no connection will carry."""


class Client:
    """Asks one partner."""

    def __init__(self, endpoint: Endpoint, pool: Pool) -> None:
        self._authority = endpoint.authority
        self._pool = pool

    def prepare(self, request: PartnerRequest) -> PreparedRequest:
        """Serialise the request for one `ask`; send nothing yet."""
        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=BODY_MAX)
        head = _head(self._authority, request.method, request.target, request.headers, len(request.body))
        # One write, so one TLS record and one packet.
        parts = (head, h11.Data(data=request.body), h11.EndOfMessage())
        return PreparedRequest(http, b"".join(http.send(part) or b"" for part in parts))

    async def ask(self, request: PreparedRequest, deadline: float) -> Exchange:
        """Send the request once; the answer must be whole before `deadline` (event loop's clock).

        Never raises for a failure of the partner or the network: `Exchange.lost` reports it.
        """
        exchange = Exchange()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self._once(request, exchange, deadline)
        except TimeoutError:
            exchange.lost = out_of_time(exchange)
        except ExchangeFailed as lost:
            # A new error: the old one's traceback keeps the connection's buffers, and this exchange, alive.
            exchange.lost = ExchangeFailed(lost.fault, lost.detail)
        else:
            # `timeout_at` does not stop a body that never suspends: check the clock itself.
            now = loop.time()
            if now > deadline:
                exchange.lost = out_of_time(exchange)
            else:
                exchange.answer, exchange.answered_at = answer, now
        exchange.ended_at = loop.time() if exchange.answered_at is None else exchange.answered_at
        return exchange

    async def _once(self, request: PreparedRequest, exchange: Exchange, deadline: float) -> PartnerResponse:
        loop = asyncio.get_running_loop()
        while True:
            wire, exchange.connection = await self._pool.acquire(exchange.on_progress)
            exchange.dialled = wire.dialled
            reusable = False
            before = wire.bytes_sent
            try:
                # `timeout_at` acts at the next suspension, and a ready connection has none until the
                # request is sent: do not make a check-in whose answer must come too late.
                if loop.time() >= deadline:
                    reusable = True
                    raise TimeoutError
                try:
                    await wire.send(request.data)
                finally:
                    if wire.bytes_sent > before:
                        exchange.sent, exchange.sent_at = True, loop.time()
                answer = await AnswerReader(wire, request.http).read()
                wire.answers += 1
                # A 5xx may come from a server to which the partner's name no longer points.
                reusable = _is_over(request.http) and not answer.has_surplus and answer.status < 500
            except ExchangeFailed:
                # A ready connection that died unnoticed: none of the request's bytes left on it, so
                # another may carry it. Once a byte has left, the partner may have acted on it.
                if exchange.sent or exchange.connection == "new":
                    raise
            else:
                return answer
            finally:
                self._pool.release(wire, reusable=reusable)


def _is_over(http: h11.Connection) -> bool:
    """Return whether both sides are done."""
    return http.our_state is http.their_state is h11.DONE


def out_of_time(exchange: Exchange | None = None) -> ExchangeFailed:
    """Make the loss for an exceeded budget; it names the step of the exchange."""
    dialled = exchange.dialled if exchange else None
    if exchange and exchange.sent:
        detail = "no whole answer within the budget"
    elif dialled is None or dialled.tls_s is not None:
        detail = "the budget ended before the request could leave"
    else:
        detail = dialled.late("within the budget")
    return ExchangeFailed(Fault.TIMEOUT, detail)
