"""The client for all partners: sends one request within one absolute deadline, and records both exactly."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import h11

from gatectl import __version__
from gatectl.decision.event import Connection
from gatectl.decision.verdict import Fault
from gatectl.partners.exchange import Endpoint, PartnerRequest, PartnerResponse
from gatectl.partners.http import coding, head
from gatectl.partners.http.connection import ConnectTiming, ExchangeFailed, PartnerConnection
from gatectl.partners.http.pool import Pool

INTERIM_MAX = 100
"""Servers send one or two interim answers; a flood of them would delay the other doors."""

BODY_MAX = 65536
"""No protocol's answer comes near 64 KiB; a larger one is a page, or an attack on a small memory."""

RECEIVED_MAX = 4 * BODY_MAX
"""Bytes in all, with heads, interim answers and chunk framing, which may be many times their content."""

EVENTS_AT_ONCE = 256
"""Yield to the other doors after so many: 64 KiB may come as thousands of chunks in one read."""


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
        """Record how far the connection dialled for this question has got."""
        self.connection, self.dialled = "new", dialled


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A question as bytes: prepared while the journal writes to disk, so that it can be sent at once."""

    http: h11.Connection
    data: bytes = field(repr=False)  # they hold the key


class Client:
    """Asks one partner."""

    def __init__(self, endpoint: Endpoint, pool: Pool) -> None:
        self._authority = endpoint.authority
        self._pool = pool

    def prepare(self, question: PartnerRequest) -> PreparedRequest:
        """Serialise the question for one `ask`; send nothing yet."""
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
                answer = await _Reading(wire, request.http).answer()
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
    """Return whether both sides are done, and nothing more has come."""
    return http.our_state is http.their_state is h11.DONE and not http.trailing_data[0]


def out_of_time(exchange: Exchange | None = None) -> ExchangeFailed:
    """Make the loss for an exceeded budget; it names the step of the exchange."""
    dialled = exchange.dialled if exchange else None
    if exchange and exchange.sent:
        detail = "no whole answer within the budget"
    elif dialled is None or dialled.tls_s is not None:
        detail = "the budget ended before the request could leave"
    elif dialled.look_up_s is None:
        detail = "the name was not looked up within the budget"
    elif dialled.connect_s is None:
        detail = "no connection within the budget"
    else:
        detail = "no TLS handshake within the budget"
    return ExchangeFailed(Fault.TIMEOUT, detail)


_BEGINS = b"HTTP/1."
"""Checked here, since h11 accepts any version."""


class _Reading:
    """Reads one answer from a connection. Passes each head to h11 when it is whole and cleaned."""

    def __init__(self, wire: PartnerConnection, http: h11.Connection) -> None:
        self._connection = wire
        self._http = http
        self._held = bytearray()
        """Received bytes that h11 has not had yet."""
        self._searched = 0
        """The part of them in which the end of a head was looked for."""
        self._received = 0
        self._has_ended = False

    async def answer(self) -> PartnerResponse:
        """Return the whole answer; skip interim ones (RFC 9110, section 15.2). Raises ExchangeFailed."""
        response: h11.Response | None = None
        body = bytearray()
        interim = events = 0
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise self._not_understood(error) from error
            if event is h11.NEED_DATA:
                await self._feed()
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > BODY_MAX:
                    raise coding.too_large(BODY_MAX)
            elif isinstance(event, h11.EndOfMessage) and response is not None:
                return self._whole(response, bytes(body))
            elif isinstance(event, h11.InformationalResponse):
                interim += 1
                if interim > INTERIM_MAX:
                    raise ExchangeFailed(Fault.PARTNER, f"over {INTERIM_MAX} interim answers")
            else:
                raise ExchangeFailed(Fault.NETWORK, "closed before the answer was whole")
            events += 1
            if events % EVENTS_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _feed(self) -> None:
        if self._http.their_state is h11.SEND_RESPONSE:
            self._http.receive_data(await self._head())
        elif self._held:
            self._http.receive_data(bytes(self._held))
            self._held.clear()
        else:
            self._http.receive_data(await self._more())

    async def _head(self) -> bytes:
        while (end := head.END.search(self._held, self._searched)) is None:
            if len(self._held) > BODY_MAX:
                raise ExchangeFailed(Fault.PARTNER, "header larger than 64 KiB")
            self._searched = max(len(self._held) - 2, 0)
            data = await self._more()
            if not data:
                began = "before the answer was whole" if self._received else "before an answer came"
                raise ExchangeFailed(Fault.NETWORK, f"closed {began}")
            self._held += data
            if not _BEGINS.startswith(self._held[: len(_BEGINS)]):
                # At once: other protocols may never end a line, and waiting would use up the budget.
                raise ExchangeFailed(Fault.PARTNER, "not an HTTP answer")
        self._searched = 0
        found = bytes(self._held[: end.end()])
        del self._held[: end.end()]
        return head.cleaned(found)

    async def _more(self) -> bytes:
        data = await self._connection.receive()
        self._received += len(data)
        self._has_ended = not data
        if self._received > RECEIVED_MAX:
            raise ExchangeFailed(Fault.PARTNER, f"over {RECEIVED_MAX // 1024} KiB around the answer")
        return data

    def _not_understood(self, error: h11.RemoteProtocolError) -> ExchangeFailed:
        if self._has_ended:
            return ExchangeFailed(Fault.NETWORK, "closed before the answer was whole")
        # h11's messages quote the received bytes, so compare only their beginning.
        words = str(error)
        detail = next((told for begin, told in _NOT_UNDERSTOOD.items() if words.startswith(begin)), None)
        return ExchangeFailed(Fault.PARTNER, "not an HTTP answer" + (f": {detail}" if detail else ""))

    def _whole(self, response: h11.Response, body: bytes) -> PartnerResponse:
        headers: dict[str, str] = {}
        codings = []
        for raw_name, raw_value in response.headers:
            name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
            headers.setdefault(name, value)
            if name == "content-encoding":
                codings.append(value)
        unpacked = coding.undone(",".join(codings), body, BODY_MAX) if codings else body
        status = response.status_code
        # Only bytes that have come by now count. Do not wait: most answers have nothing after them.
        has_more = self._connection.has_more()
        return PartnerResponse(
            status,
            headers,
            body if unpacked is None else unpacked,
            time.time_ns() // 1000,
            has_surplus=bool(self._http.trailing_data[0] or self._held) or (200 <= status < 300 and has_more),
            is_packed=unpacked is None,
        )


_NOT_UNDERSTOOD = {
    "illegal status line": "its status line cannot be read",
    "illegal header line": "a header line cannot be read",
    "illegal chunk header": "the length of a chunk cannot be read",
    "malformed chunk footer": "a chunk is longer than its length",
    "bad Content-Length": "its Content-Length cannot be read",
    "conflicting Content-Length": "two Content-Lengths that differ",
    "multiple Transfer-Encoding": "two Transfer-Encodings",
    "Only Transfer-Encoding: chunked": "a Transfer-Encoding that is not chunked",
    "Received server _SWITCH": "it switches to another protocol",
    "Receive buffer too long": "a line larger than 64 KiB",
}
"""The beginnings of h11's errors, and the same in our own words."""
