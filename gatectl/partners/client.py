"""The one client for all partners: one request, one absolute deadline, and an exact account of both."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import h11

from gatectl import __version__
from gatectl.decision.event import Connection
from gatectl.decision.verdict import Fault
from gatectl.partners.exchange import Answer, Endpoint, Question
from gatectl.partners.pool import Pool
from gatectl.partners.wire import Dialled, Lost, Wire

INTERIM_MAX = 100
"""Servers send one or two interim answers; a flood of them would only keep the other doors waiting."""

BODY_MAX = 65536
"""No protocol's answer comes near 64 KiB; more is a page, or an attack on a small memory."""


@dataclass(slots=True)
class Exchange:
    """What became of one question. Times are of the event loop's clock, in seconds.

    Exactly one of `answer` and `lost` is set in the end.
    """

    sent: bool = False
    """Whether any byte of the request was written to a connection."""
    sent_at: float | None = None
    answered_at: float | None = None
    """When the answer was whole; None exactly where no whole one came in time."""
    ended_at: float = 0.0
    """When the answer was whole, or was given up."""
    connection: Connection = "new"
    dialled: Dialled | None = None
    """How that connection came about, or how far that came; None where none was begun."""
    answer: Answer | None = None
    lost: Lost | None = None

    def hear(self, dialled: Dialled) -> None:
        """Takes note of how far the connection came that is dialled for this question."""
        self.connection, self.dialled = "new", dialled


@dataclass(frozen=True, slots=True)
class Request:
    """A question as bytes: made while the record is on its way to the disk, so that it can leave at once."""

    http: h11.Connection
    data: bytes = field(repr=False)  # they hold the key


class Client:
    """Asks one partner."""

    def __init__(self, endpoint: Endpoint, pool: Pool) -> None:
        self._authority = endpoint.authority
        self._pool = pool

    def prepare(self, question: Question) -> Request:
        """The question as it goes out, for one `ask`; nothing is sent yet."""
        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=BODY_MAX)
        head = h11.Request(
            method=question.method,
            target=question.target,
            headers=[
                ("Host", self._authority),
                ("User-Agent", f"gatectl/{__version__}"),
                *question.headers,
                ("Content-Length", str(len(question.body))),
            ],
        )
        # One write, so one TLS record and one packet.
        parts = (head, h11.Data(data=question.body), h11.EndOfMessage())
        return Request(http, b"".join(http.send(part) or b"" for part in parts))

    async def ask(self, request: Request, deadline: float) -> Exchange:
        """Sends the request once; the answer must be whole before `deadline` (event loop's clock).

        Never raises for what a partner or a network does: `Exchange.lost` says it.
        """
        exchange = Exchange()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self._once(request, exchange, deadline)
        except TimeoutError:
            exchange.lost = out_of_time()
        except Lost as lost:
            exchange.lost = lost
        else:
            # A body that never suspends outlives `timeout_at`: the clock has the last word.
            now = loop.time()
            if now > deadline:
                exchange.lost = out_of_time()
            else:
                exchange.answer, exchange.answered_at = answer, now
        exchange.ended_at = loop.time() if exchange.answered_at is None else exchange.answered_at
        return exchange

    async def _once(self, request: Request, exchange: Exchange, deadline: float) -> Answer:
        loop = asyncio.get_running_loop()
        while True:
            wire, exchange.connection = await self._pool.acquire(exchange.hear)
            exchange.dialled = wire.dialled
            reusable = False
            before = wire.bytes_sent
            try:
                # `timeout_at` waits for the next suspension, and a ready connection has none until the
                # request is gone: a check-in whose answer must come too late is not made.
                if loop.time() >= deadline:
                    reusable = True
                    raise TimeoutError
                try:
                    await wire.send(request.data)
                finally:
                    if wire.bytes_sent > before:
                        exchange.sent, exchange.sent_at = True, loop.time()
                answer = await _answer(wire, request.http)
                wire.answers += 1
                reusable = _is_over(request.http)
            except Lost:
                # A ready connection that died unnoticed: none of the request's bytes left on it, so
                # another may carry it. Once a byte has left, the partner may have acted on it.
                if exchange.sent or exchange.connection == "new":
                    raise
            else:
                return answer
            finally:
                self._pool.release(wire, reusable=reusable)


def _is_over(http: h11.Connection) -> bool:
    """Have both sides said all, and nothing more?"""
    return http.our_state is http.their_state is h11.DONE and not http.trailing_data[0]


def out_of_time() -> Lost:
    """The budget is over."""
    return Lost(Fault.TIMEOUT, "no whole answer within the budget")


async def _answer(wire: Wire, http: h11.Connection) -> Answer:
    """The whole answer; interim ones are skipped (RFC 9110, section 15.2). Raises Lost."""
    head: h11.Response | None = None
    body = bytearray()
    source = _Source(wire)
    interim = 0
    try:
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await source.more())
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > BODY_MAX:
                    raise Lost(Fault.PARTNER, "the answer is over 64 KiB")
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return _whole(head, bytes(body))
            elif isinstance(event, h11.InformationalResponse):
                interim += 1
                if interim > INTERIM_MAX:
                    raise Lost(Fault.PARTNER, "interim answers without end")
            else:
                raise Lost(Fault.NETWORK, "closed before the answer was whole")
    except h11.RemoteProtocolError as error:
        if source.ended and source.is_http:
            raise Lost(Fault.NETWORK, "closed before the answer was whole") from error
        raise Lost(Fault.PARTNER, f"not an HTTP answer: {error}") from error


_BEGINS = b"HTTP/1."
"""h11 itself takes any version."""


class _Source:
    """The bytes of one answer, and whether they can be HTTP's."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._start = b""
        self.ended = False

    @property
    def is_http(self) -> bool:
        return _BEGINS.startswith(self._start)

    async def more(self) -> bytes:
        data = await self._wire.receive()
        self.ended = not data
        self._start += data[: len(_BEGINS) - len(self._start)]
        if not self.is_http:
            # Told at once: something else than HTTP need not end its lines, and would use up the budget.
            raise Lost(Fault.PARTNER, "not an HTTP answer")
        return data


def _whole(head: h11.Response, body: bytes) -> Answer:
    headers: dict[str, str] = {}
    for name, value in head.headers:
        headers.setdefault(name.decode("ascii"), value.decode("latin-1"))
    return Answer(head.status_code, headers, body, time.time_ns() // 1000)
