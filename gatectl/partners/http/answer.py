"""Read one answer from a connection: clean its head, let h11 parse it, undo its content coding.

h11 accepts no malformed lines, and some servers send them; `cleaned` drops those that are safe to ignore
(RFC 9112, section 5). Some servers compress although identity is requested; `undone` decodes that (RFC 9110,
section 8.4).
"""

from __future__ import annotations

import asyncio
import re
import time
import zlib

import h11

from gatectl.decision.outcomes import Fault
from gatectl.partners.exchange import PartnerResponse
from gatectl.partners.http.connection import PartnerConnection
from gatectl.partners.http.failure import ExchangeFailed

INTERIM_MAX = 100
"""Servers send one or two interim answers; a flood of them would delay the other doors."""

BODY_MAX = 65536
"""No protocol's answer comes near 64 KiB; a larger one is a page, or an attack on a small memory."""

RECEIVED_MAX = 4 * BODY_MAX
"""Bytes in all, with heads, interim answers and chunk framing, which may be many times their content."""

EVENTS_AT_ONCE = 256
"""Yield to the other doors after so many: 64 KiB may come as thousands of chunks in one read."""

LINES_MAX = 256
"""Servers send about twenty header lines. Each costs the event loop time, which all doors share."""

_HEAD_END = re.compile(rb"\n\r?\n")
"""The blank line after the last header line; a server may leave out the carriage returns."""

_FIELD = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+:")
"""A header line's name, a token (RFC 9110, section 5.6.2), and its colon."""

_ALL_FIELDS = re.compile(rb"[^\n]*\n(?:[-!#$%&'*+.^_`|~0-9a-zA-Z]+:[^\n]*\n)*\r?\n")

_NO_LETTER = re.compile(rb"[^a-z]+")
_FRAMING = (b"contentlength", b"transferencoding")

CODINGS_MAX = 2
"""Even two are unusual; each costs the event loop time."""

_WINDOW_BITS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}
"""For zlib. Many servers send `deflate` without the zlib header that it should have."""

_UNREADABLE = frozenset({"br", "compress", "x-compress", "dcb", "dcz", "zstd"})
"""Registered codings without a library in Python. Any other name, such as `utf-8`, is a mistake for
identity."""

_BEGINS = b"HTTP/1."
"""Checked here, since h11 accepts any version."""

_INTERIM = re.compile(rb"HTTP/1\.[0-9]+ +1")
"""The beginning of an interim answer's status line."""


class AnswerReader:
    """Reads one answer from a connection. Passes each head to h11 when it is whole and cleaned."""

    def __init__(self, connection: PartnerConnection, http: h11.Connection) -> None:
        self._connection = connection
        self._http = http
        self._held = bytearray()
        """Received bytes that h11 has not had yet."""
        self._searched = 0
        """The part of them in which the end of a head was looked for."""
        self._received = 0
        self._has_ended = False

    async def read(self) -> PartnerResponse:
        """Return the whole answer; skip interim ones (RFC 9110, section 15.2). Raises ExchangeFailed."""
        response: h11.Response | None = None
        body = bytearray()
        interim = events = 0
        await self._feed()
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
                    raise too_large(BODY_MAX)
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
        while (end := _HEAD_END.search(self._held, self._searched)) is None:
            _refuse_large_head(len(self._held))
            self._searched = max(len(self._held) - 2, 0)
            data = await self._more()
            if not data:
                began = "before the answer was whole" if self._received else "before an answer came"
                raise ExchangeFailed(Fault.NETWORK, f"closed {began}")
            self._held += data
            if not _BEGINS.startswith(self._held[: len(_BEGINS)]):
                # At once: other protocols may never end a line, and waiting would use up the budget.
                raise ExchangeFailed(Fault.PARTNER, "not an HTTP answer")
        _refuse_large_head(end.end())
        self._searched = 0
        found = bytes(self._held[: end.end()])
        del self._held[: end.end()]
        head = cleaned(found)
        if _INTERIM.match(head):
            return head  # another head follows, which has to be cleaned too
        data, self._held = head + self._held, bytearray()
        return data

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
        detail = next((said for begin, said in _NOT_UNDERSTOOD.items() if words.startswith(begin)), None)
        return ExchangeFailed(Fault.PARTNER, "not an HTTP answer" + (f": {detail}" if detail else ""))

    def _whole(self, response: h11.Response, body: bytes) -> PartnerResponse:
        headers: dict[str, str] = {}
        codings = []
        for raw_name, raw_value in response.headers:
            name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
            headers.setdefault(name, value)
            if name == "content-encoding":
                codings.append(value)
        unpacked = undone(",".join(codings), body, BODY_MAX) if codings else body
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


def cleaned(head: bytes) -> bytes:
    """Return the head without the lines whose name is not a token; raises ExchangeFailed.

    PHP and firewalls add such lines (`PHP Warning: x`), which are safe to ignore. A line that resembles one
    that frames the body, such as `Content-Length : 5`, is refused instead: another parser might obey it and
    find another end of the answer.
    """
    if head.count(b"\n") > LINES_MAX:
        raise ExchangeFailed(Fault.PARTNER, f"over {LINES_MAX} header lines")
    if _ALL_FIELDS.fullmatch(head):
        return head
    status_line, *lines = head.split(b"\n")
    kept = [status_line]
    # A continuation line belongs to the line before it; directly after the status line it is an error.
    is_skipped = True
    for line in lines:
        if line[:1] in {b" ", b"\t"}:
            _refuse_framing(line)
        else:
            is_field = _FIELD.match(line) is not None
            if not is_field:
                _refuse_framing(line)
            is_skipped = not is_field and line not in {b"", b"\r"}
        if not is_skipped:
            kept.append(line)
    return b"\n".join(kept)


def _refuse_large_head(size: int) -> None:
    if size > BODY_MAX:
        raise ExchangeFailed(Fault.PARTNER, "header larger than 64 KiB")


def _refuse_framing(line: bytes) -> None:
    # Some parsers end a line at a lone carriage return.
    for part in line.split(b"\r"):
        name = _NO_LETTER.sub(b"", part.partition(b":")[0].lower())
        if any(framing in name for framing in _FRAMING):
            raise ExchangeFailed(
                Fault.PARTNER, "not an HTTP answer: a line that frames the body is misspelled"
            )


def undone(codings: str, body: bytes, size_max: int) -> bytes | None:
    """Return the body without its codings, or None if they cannot be undone; ExchangeFailed over `size_max`.

    `codings` is the header's value: names separated by commas, in the order in which they were applied.
    """
    names = [name.strip().lower() for name in codings.split(",")]
    names = [name for name in names if name in _WINDOW_BITS or name in _UNREADABLE]
    if not body or not names:
        return body
    if len(names) > CODINGS_MAX or not _UNREADABLE.isdisjoint(names):
        return None
    for name in reversed(names):
        tries = (_inflated(body, bits, size_max) for bits in _WINDOW_BITS[name])
        inflated = next((found for found in tries if found is not None), None)
        if inflated is None:
            return None
        body = inflated
    return body


def _inflated(body: bytes, window_bits: int, size_max: int) -> bytes | None:
    stream = zlib.decompressobj(window_bits)
    try:
        inflated = stream.decompress(body, size_max + 1)
    except zlib.error:
        return None
    if len(inflated) > size_max:
        raise too_large(size_max)
    return inflated if stream.eof and not stream.unused_data else None


def too_large(size_max: int) -> ExchangeFailed:
    return ExchangeFailed(Fault.PARTNER, f"answer larger than {size_max // 1024} KiB")
