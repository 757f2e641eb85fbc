"""One accepted connection: reads requests with h11, gets their answers, and sends them.

Requests on one connection are answered in order; pipelined ones wait. h11 is used only for reading: answers
are scripts of bytes, since many of them are wrong on purpose.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

import h11

from gatectl.sim.http import ReceivedRequest, text_reply
from gatectl.sim.protocol import SimulatedAnswer
from gatectl.sim.script import End, Script, ScriptStep, whole

_MAX_BODY = 64 * 1024
_LINGER_NOT = struct.pack("ii", 1, 0)
"""SO_LINGER on, for zero seconds: closing then sends RST instead of FIN."""


@dataclass(slots=True)
class Received:
    """A request as received. Times are of the monotonic clock, in seconds.

    `method`, `path` and `headers` are set once the head is complete, the rest once the request is `whole`.
    `answered` is when the last byte of a whole answer was passed to the socket; None for a hang, a reset, a
    cut answer, or an answer that has not been sent to its end.
    """

    connection: int
    first_byte: float
    last_byte: float
    protocol: str | None = None
    method: str = ""
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict, repr=False)  # they hold the key
    body: bytes = b""
    member: str | None = None
    whole: bool = False
    description: str = ""
    status: int | None = None
    answered: float | None = None


@dataclass(frozen=True, slots=True)
class Hooks:
    """The callbacks of a connection to its simulator."""

    made: Callable[[ClientConnection], None]
    lost: Callable[[ClientConnection], None]
    received: Callable[[Received], None]
    """Called at the first byte of a request."""
    answer: Callable[[Received, ReceivedRequest], SimulatedAnswer]
    """Called with a whole request; returns the answer to send."""
    changed: Callable[[], None]


def set_reset(sock: socket.socket) -> None:
    """Make closing this socket send RST; do nothing to a closed socket."""
    if sock.fileno() != -1:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)


class ClientConnection(asyncio.Protocol):
    """One accepted connection, after its TLS handshake."""

    def __init__(self, number: int, sock: socket.socket, hooks: Hooks) -> None:
        self.number = number
        self._sock = sock  # the transport drops it before it reports the lost connection
        self._hooks = hooks
        self._http = h11.Connection(h11.SERVER)
        self._transport: asyncio.Transport | None = None
        self._record: Received | None = None
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._ahead = bytearray()
        self._sending: Script | None = None
        self._steps: Iterator[ScriptStep] = iter(())
        self._timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Return whether it is between two requests: no bytes of one, no answer under way, not closing."""
        return self._record is None and self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """Close in good order."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Send RST, at once."""
        if self._transport is not None:
            set_reset(self._sock)
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._hooks.made(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self._hooks.lost(self)

    def data_received(self, data: bytes) -> None:
        if self._sending is not None:
            self._ahead += data
            return
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        now = time.monotonic()
        if self._record is None:
            self._record = Received(self.number, now, now)
            self._hooks.received(self._record)
        self._record.last_byte = now
        try:
            self._http.receive_data(data)
            self._read(self._record)
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint)

    def _read(self, record: Received) -> None:
        while self._sending is None:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                self._request = event
                record.method = event.method.decode("ascii")
                record.path = event.target.decode("ascii")
                record.headers = _headers(event)
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > _MAX_BODY:
                    self._refuse(413)
            elif isinstance(event, h11.EndOfMessage):
                self._whole(record)
            else:
                break
        self._hooks.changed()

    def _whole(self, record: Received) -> None:
        record.whole, record.body = True, bytes(self._body)
        request = ReceivedRequest(record.method, record.path, record.headers, record.body)
        self._start(self._hooks.answer(record, request).script)

    def _refuse(self, status: int) -> None:
        """Answer bytes that are not HTTP, or too much of it, with an error, and close."""
        self._start(whole(text_reply(status, "", ("Connection", "close")), end=End.CLOSE))

    def _start(self, script: Script) -> None:
        self._sending, self._steps = script, iter(script.steps)
        self._advance()

    def _advance(self) -> None:
        """Send until the next wait, or to the end."""
        for step in self._steps:
            if step.after_s:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(step.after_s, self._after_wait, step)
                return
            self._send(step.data)
        self._finish()

    def _after_wait(self, step: ScriptStep) -> None:
        self._send(step.data)
        self._advance()

    def _send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _finish(self) -> None:
        script, record = self._sending, self._record
        if script is None or record is None:
            raise RuntimeError("an answer ended that never began")
        record.status = script.status
        if script.whole:
            record.answered = time.monotonic()
        match script.end:
            case End.KEEP if self._http.their_state is h11.DONE:
                self._next()
            case End.KEEP | End.CLOSE:
                self.close()
            case End.RESET:
                self.reset()
            case End.HANG:
                pass
        self._hooks.changed()

    def _next(self) -> None:
        ahead = self._http.trailing_data[0] + bytes(self._ahead)
        self._http = h11.Connection(h11.SERVER)
        self._record = self._request = self._sending = self._timer = None
        self._body.clear()
        self._ahead.clear()
        if ahead:
            self._feed(ahead)


def _headers(event: h11.Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in event.headers:
        key, text = name.decode("ascii"), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found
