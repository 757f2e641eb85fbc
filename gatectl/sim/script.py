"""The script by which an answer goes onto the connection: steps of bytes and waits, and an end.

Each builder below is one fault of the catalogue, for every protocol: it takes the scene (the success, and the
delay that is too late) and returns the script.
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
    """Whether the steps, played to their end, are a whole answer."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Values for a builder: this protocol's success for this member, and its sense of late."""

    member: str
    success: Reply
    late_s: float
    now: datetime


Build = Callable[[Scenario], Script]

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
    return lambda _scenario: script


def good(scenario: Scenario) -> Script:
    return whole(scenario.success)


def slow(scenario: Scenario) -> Script:
    return _after(SLOW_S, scenario)


def late(scenario: Scenario) -> Script:
    return _after(scenario.late_s, scenario)


def _after(seconds: float, scenario: Scenario) -> Script:
    return Script(
        (ScriptStep(seconds, scenario.success.render()),), End.KEEP, scenario.success.status, whole=True
    )


def hang(_scenario: Scenario) -> Script:
    return Script((), End.HANG, None, whole=False)


def reset(_scenario: Scenario) -> Script:
    return Script((), End.RESET, None, whole=False)


def closed(_scenario: Scenario) -> Script:
    return Script((), End.CLOSE, None, whole=False)


def drip(scenario: Scenario) -> Script:
    data = scenario.success.render()
    steps = tuple(ScriptStep(DRIP_S, data[at : at + 1]) for at in range(len(data)))
    return Script(steps, End.KEEP, scenario.success.status, whole=True)


def truncated(scenario: Scenario) -> Script:
    """Send the success, ten bytes short of its Content-Length."""
    reply = scenario.success
    data = reply.head(("Content-Length", str(len(reply.body) + 10))) + reply.body
    return Script((ScriptStep(0, data),), End.CLOSE, reply.status, whole=False)


def reset_inside(scenario: Scenario) -> Script:
    """Send only the head, then RST: the status has arrived, the answer has not."""
    data = scenario.success.head(("Content-Length", str(len(scenario.success.body) + 10)))
    return Script(
        (ScriptStep(0, data), ScriptStep(0.01, b"")), End.RESET, scenario.success.status, whole=False
    )


def by_close(scenario: Scenario) -> Script:
    """Send no Content-Length: the end of the connection ends the body (RFC 9112, section 6.3)."""
    data = scenario.success.head(("Connection", "close")) + scenario.success.body
    return Script((ScriptStep(0, data),), End.CLOSE, scenario.success.status, whole=True)


def chunked(scenario: Scenario) -> Script:
    """Send the success in chunks of at most 16 bytes."""
    return _chunks(scenario.success, 16)


def _chunks(reply: Reply, size: int) -> Script:
    parts = [reply.body[at : at + size] for at in range(0, len(reply.body), size)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    data = reply.head(("Transfer-Encoding", "chunked")) + body
    return Script((ScriptStep(0, data),), End.KEEP, reply.status, whole=True)


def too_large(scenario: Scenario) -> Script:
    return whole(_padded(scenario.success))


def too_large_chunked(scenario: Scenario) -> Script:
    return _chunks(_padded(scenario.success), 4096)


def _padded(reply: Reply) -> Reply:
    """Return the same JSON with trailing blanks, over the limit."""
    return Reply(reply.status, reply.body.ljust(OVERSIZE), reply.headers)


def not_http(_scenario: Scenario) -> Script:
    return Script((ScriptStep(0, b"220 mail.example.com ESMTP ready\r\n"),), End.CLOSE, None, whole=False)


def behind(scenario: Scenario) -> Script:
    """Send a Content-Length two bytes short of the body, so that the body's end follows the answer."""
    reply = scenario.success if scenario.success.body else json_reply(200, {"authorized": False})
    data = reply.head(("Content-Length", str(len(reply.body) - 2))) + reply.body
    return Script((ScriptStep(0, data),), End.CLOSE, reply.status, whole=True)


def typed_as_html(scenario: Scenario) -> Script:
    """As frameworks type an answer whose type is not set."""
    return whole(replace(_with_body(scenario.success), headers=AS_HTML))


def coded_as_utf_8(scenario: Scenario) -> Script:
    """Send the charset in place of the content coding."""
    reply = _with_body(scenario.success)
    return whole(replace(reply, headers=(*reply.headers, ("Content-Encoding", "utf-8"))))


def gzipped(scenario: Scenario) -> Script:
    """Send the success compressed, although `identity` was requested."""
    reply = _with_body(scenario.success)
    headers = (*reply.headers, ("Content-Encoding", "gzip"))
    return whole(Reply(reply.status, gzip.compress(reply.body, mtime=0), headers))


def with_odd_header(scenario: Scenario) -> Script:
    """Send a header line whose name is not a token (RFC 9110, section 5.1), as faulty scripts do."""
    return whole(replace(scenario.success, headers=(("PHP Warning", "x"), *scenario.success.headers)))


def _with_body(success: Reply) -> Reply:
    """Return the success, with a body also where the protocol has none."""
    return success if success.body else json_reply(200, {"authorized": True})


def after_interim(*statuses: int) -> Build:
    """Make a builder that sends informational answers, then the success."""
    before = b"".join(Reply(status).head() for status in statuses)

    def build(scenario: Scenario) -> Script:
        step = ScriptStep(0, before + scenario.success.render())
        return Script((step,), End.KEEP, scenario.success.status, whole=True)

    return build


def interim_only(_scenario: Scenario) -> Script:
    return Script((ScriptStep(0, Reply(103).head()),), End.CLOSE, None, whole=False)


def switching(_scenario: Scenario) -> Script:
    """Send 101: no HTTP follows; the connection stays open and silent."""
    head = Reply(101).head(("Connection", "Upgrade"), ("Upgrade", "websocket"))
    return Script((ScriptStep(0, head),), End.HANG, 101, whole=False)


def empty(scenario: Scenario) -> Script:
    return whole(Reply(scenario.success.status))


def busy_until(scenario: Scenario) -> Script:
    """Send 429 with an HTTP date, rounded up to whole seconds."""
    until = scenario.now.replace(microsecond=0) + timedelta(seconds=RETRY_AFTER_S + 1)
    date = format_datetime(until, usegmt=True)
    return whole(text_reply(429, "Too Many Requests", ("Retry-After", date)))


AS_HTML = (("Content-Type", "text/html; charset=utf-8"),)
BROKEN_JSON = Reply(200, b'{"authorized": tru', (("Content-Type", "application/json"),))
BUSY = text_reply(429, "Too Many Requests", ("Retry-After", str(RETRY_AFTER_S)))
PORTAL = html_reply(200, "Guest Wi-Fi: please sign in")
MAINTENANCE = html_reply(503, "Service Unavailable")
MOVED = Reply(302, headers=(("Location", "https://login.example.com/"),))
