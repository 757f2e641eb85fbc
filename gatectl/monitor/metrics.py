"""The page for Prometheus, for a program that has the password or runs without one."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gatectl.errors import visible
from gatectl.journal.reader import UnreadableError
from gatectl.monitor.control_client import Away, ControlClient
from gatectl.monitor.password import Password
from gatectl.monitor.security import session_in

Rendered = Callable[[], Awaitable[tuple[str, str]]]
"""Makes the page's text and its content type. Raises Away, or UnreadableError."""


class Metrics:
    """Answers `/metrics`. A password comes by a session, or by HTTP Basic (RFC 7617) with any name."""

    def __init__(self, rendered: Rendered, password: Password | None) -> None:
        self._rendered = rendered
        self._password = password

    async def answer(self, request: Request) -> Response:
        """Send the metrics; 503 while their source does not answer."""
        if self._password is not None and (refusal := _refusal(request, self._password)):
            return refusal
        try:
            content, content_type = await self._rendered()
        except (Away, UnreadableError) as error:
            words = "gatectl does not answer." if isinstance(error, Away) else f"{visible(error.message)}."
            return PlainTextResponse(words, 503)
        return Response(content, media_type=content_type)


LinkStatus = Callable[[], Mapping[str, Any] | None]
"""Returns the status of the uplink to head office: empty if none runs, None if there is none to run."""


def of_gate(daemon: ControlClient, link: LinkStatus) -> Rendered:
    """Return what makes the metrics of a gate."""

    async def rendered() -> tuple[str, str]:
        found = await daemon.metrics()
        # In a thread: its import takes longer than a frame of a display.
        return await asyncio.to_thread(_rendered, found, link)

    return rendered


def _rendered(found: dict[str, Any], link: LinkStatus) -> tuple[str, str]:
    from gatectl.monitor import openmetrics  # noqa: PLC0415 - loads prometheus-client

    return openmetrics.text(found, link()), openmetrics.CONTENT_TYPE


def _refusal(request: Request, password: Password) -> Response | None:
    if session_in(request.headers, password) is not None:
        return None
    given = _given(request.headers.get("authorization", ""))
    if given is None:
        return PlainTextResponse(
            "The password is needed.", 401, {"WWW-Authenticate": 'Basic realm="gatectl"'}
        )
    # Do not await between here and the comparison: parallel tries could all pass the limit at once.
    address = request.client.host if request.client else ""
    wait_s = password.wait_s(address)
    if wait_s > 0:
        return PlainTextResponse("Too many tries.", 429, {"Retry-After": str(int(wait_s) + 1)})
    return None if password.is_right(address, given) else PlainTextResponse("Not the password.", 403)


def _given(header: str) -> str | None:
    """Return the password in an Authorization header, else None."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return None
