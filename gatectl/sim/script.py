"""The script by which an answer goes onto the connection: steps of bytes and waits, and an end.

Each builder below is the answer of one scenario, in every protocol: it takes the context (the success, and
the delay that is too late) and returns the script.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from enum import Enum

from gatectl.sim.http import Reply, html_reply, json_reply, text_reply


class End(Enum):
    """The end of the connection after the last step."""

    KEEP = "kept open for the next request"
    CLOSE = "closed in good order (FIN, with TLS's close_notify before it)"
    RESET = "reset (RST)"
    HANG = "open and silent"


@dataclass(frozen=True, slots=True)
class ScriptStep:
    """Wait, then send."""

    after_s: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Script:
    """A whole answer. `status` is the final one, None if there is none."""

    steps: tuple[ScriptStep, ...]
    end: End
    status: int | None
    whole: bool
    """Whether the steps, sent to their end, are a whole answer."""


@dataclass(frozen=True, slots=True)
class AnswerContext:
    """Values for a builder: this protocol's success for this member, and its sense of late."""

    member: str
    success: Reply
    late_s: float
    now: datetime


Build = Callable[[AnswerContext], Script]

SLOW_S = 0.3
"""Seconds, inside every protocol's default budget (750 ms and 2 s)."""
DRIP_S = 0.05
"""One byte every 50 ms: each read succeeds, but the whole takes longer than any budget."""
OVERSIZE = 70_000
"""Bytes of a body over the limit of 64 KiB."""
RETRY_AFTER_S = 2


def whole(reply: Reply, *, end: End = End.KEEP) -> Script:
    """Send the answer at once."""
    return Script((ScriptStep(0, reply.render()),), end, reply.status, whole=True)


def fixed(reply: Reply) -> Build:
    """Make a builder of the same answer for every member."""
    script = whole(reply)
    return lambda _context: script


def good(context: AnswerContext) -> Script:
    return whole(context.success)


def slow(context: AnswerContext) -> Script:
    return _after(SLOW_S, context)


def late(context: AnswerContext) -> Script:
    return _after(context.late_s, context)


def _after(seconds: float, context: AnswerContext) -> Script:
    return Script(
        (ScriptStep(seconds, context.success.render()),), End.KEEP, context.success.status, whole=True
    )


def hang(_context: AnswerContext) -> Script:
    return Script((), End.HANG, None, whole=False)


def reset(_context: AnswerContext) -> Script:
    return Script((), End.RESET, None, whole=False)


def closed(_context: AnswerContext) -> Script:
    return Script((), End.CLOSE, None, whole=False)


def drip(context: AnswerContext) -> Script:
    data = context.success.render()
    steps = tuple(ScriptStep(DRIP_S, data[at : at + 1]) for at in range(len(data)))
    return Script(steps, End.KEEP, context.success.status, whole=True)


def truncated(context: AnswerContext) -> Script:
    """Send the success, ten bytes short of its Content-Length."""
    reply = context.success
    data = reply.head(("Content-Length", str(len(reply.body) + 10))) + reply.body
    return Script((ScriptStep(0, data),), End.CLOSE, reply.status, whole=False)


def reset_inside(context: AnswerContext) -> Script:
    """Send only the head, then RST: the status has arrived, the answer has not."""
    data = context.success.head(("Content-Length", str(len(context.success.body) + 10)))
    return Script(
        (ScriptStep(0, data), ScriptStep(0.01, b"")), End.RESET, context.success.status, whole=False
    )


def by_close(context: AnswerContext) -> Script:
    """Send no Content-Length: the end of the connection ends the body (RFC 9112, section 6.3)."""
    data = context.success.head(("Connection", "close")) + context.success.body
    return Script((ScriptStep(0, data),), End.CLOSE, context.success.status, whole=True)


def chunked(context: AnswerContext) -> Script:
    """Send the success in chunks of at most 16 bytes."""
    return _chunks(context.success, 16)


def _chunks(reply: Reply, size: int) -> Script:
    parts = [reply.body[at : at + size] for at in range(0, len(reply.body), size)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    data = reply.head(("Transfer-Encoding", "chunked")) + body
    return Script((ScriptStep(0, data),), End.KEEP, reply.status, whole=True)


def too_large(context: AnswerContext) -> Script:
    return whole(_padded(context.success))


def too_large_chunked(context: AnswerContext) -> Script:
    return _chunks(_padded(context.success), 4096)


def _padded(reply: Reply) -> Reply:
    """Return the same JSON with trailing blanks, over the limit."""
    return Reply(reply.status, reply.body.ljust(OVERSIZE), reply.headers)


def not_http(_context: AnswerContext) -> Script:
    return Script((ScriptStep(0, b"220 mail.example.com ESMTP ready\r\n"),), End.CLOSE, None, whole=False)


def behind(context: AnswerContext) -> Script:
    """Send a Content-Length two bytes short of the body, so that the body's end follows the answer."""
    reply = context.success if context.success.body else json_reply(200, {"authorized": False})
    data = reply.head(("Content-Length", str(len(reply.body) - 2))) + reply.body
    return Script((ScriptStep(0, data),), End.CLOSE, reply.status, whole=True)


def typed_as_html(context: AnswerContext) -> Script:
    """As frameworks type an answer whose type is not set."""
    return whole(replace(_with_body(context.success), headers=AS_HTML))


def coded_as_utf_8(context: AnswerContext) -> Script:
    """Send the charset in place of the content coding."""
    reply = _with_body(context.success)
    return whole(replace(reply, headers=(*reply.headers, ("Content-Encoding", "utf-8"))))


def gzipped(context: AnswerContext) -> Script:
    """Send the success compressed, although `identity` was requested."""
    reply = _with_body(context.success)
    headers = (*reply.headers, ("Content-Encoding", "gzip"))
    return whole(Reply(reply.status, gzip.compress(reply.body, mtime=0), headers))


def with_odd_header(context: AnswerContext) -> Script:
    """Send a header line whose name is not a token (RFC 9110, section 5.1), as faulty scripts do."""
    return whole(replace(context.success, headers=(("PHP Warning", "x"), *context.success.headers)))


def _with_body(success: Reply) -> Reply:
    """Return the success, with a body also where the protocol has none."""
    return success if success.body else json_reply(200, {"authorized": True})


def after_interim(*statuses: int) -> Build:
    """Make a builder that sends informational answers, then the success."""
    before = b"".join(Reply(status).head() for status in statuses)

    def build(context: AnswerContext) -> Script:
        step = ScriptStep(0, before + context.success.render())
        return Script((step,), End.KEEP, context.success.status, whole=True)

    return build


def interim_only(_context: AnswerContext) -> Script:
    return Script((ScriptStep(0, Reply(103).head()),), End.CLOSE, None, whole=False)


def switching(_context: AnswerContext) -> Script:
    """Send 101: no HTTP follows; the connection stays open and silent."""
    head = Reply(101).head(("Connection", "Upgrade"), ("Upgrade", "websocket"))
    return Script((ScriptStep(0, head),), End.HANG, 101, whole=False)


def empty(context: AnswerContext) -> Script:
    return whole(Reply(context.success.status))


def busy_until(context: AnswerContext) -> Script:
    """Send 429 with an HTTP date, rounded up to whole seconds."""
    until = context.now.replace(microsecond=0) + timedelta(seconds=RETRY_AFTER_S + 1)
    date = format_datetime(until, usegmt=True)
    return whole(text_reply(429, "Too Many Requests", ("Retry-After", date)))


AS_HTML = (("Content-Type", "text/html; charset=utf-8"),)
BROKEN_JSON = Reply(200, b'{"authorized": tru', (("Content-Type", "application/json"),))
BUSY = text_reply(429, "Too Many Requests", ("Retry-After", str(RETRY_AFTER_S)))
PORTAL = html_reply(200, "Guest Wi-Fi: please sign in")
MAINTENANCE = html_reply(503, "Service Unavailable")
MOVED = Reply(302, headers=(("Location", "https://login.example.com/"),))
