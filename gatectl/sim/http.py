"""A request as the protocols see it, and an answer before its bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

_NO_BODY = frozenset({204, 304})
"""Statuses that carry neither a body nor a Content-Length (RFC 9110, section 8.6)."""


SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+")
"""One segment of a path (RFC 3986, section 3.3)."""


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A whole request. Header names are lower case; repeated headers are joined with `, `."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    def media_type(self) -> tuple[str, str]:
        """Return the content type and its charset, both lower case; empty if there is none."""
        kind, _, parameters = self.headers.get("content-type", "").partition(";")
        name, _, value = parameters.partition("=")
        charset = value.strip().strip('"') if name.strip().lower() == "charset" else parameters.strip()
        return kind.strip().lower(), charset.lower()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer before it is bytes. It gets a Content-Length, so that the connection can stay open."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def head(self, *framing: tuple[str, str]) -> bytes:
        """Return status line, headers and empty line; `framing` are the headers for the body's end."""
        lines = [f"HTTP/1.1 {self.status} {_phrase(self.status)}"]
        lines += [f"{name}: {value}" for name, value in (*self.headers, *framing)]
        return "\r\n".join((*lines, "", "")).encode("ascii")

    def render(self) -> bytes:
        """Return the whole answer, framed by its length."""
        if self.status in _NO_BODY:
            return self.head()
        return self.head(("Content-Length", str(len(self.body)))) + self.body


def json_reply(status: int, value: Any, *headers: tuple[str, str]) -> Reply:
    """Make a JSON answer, in UTF-8."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return Reply(status, body, (("Content-Type", "application/json"), *headers))


def text_reply(status: int, text: str = "", *headers: tuple[str, str]) -> Reply:
    """Make a plain text answer, as a web server or proxy in front of the protocol sends it."""
    return Reply(status, text.encode(), (("Content-Type", "text/plain; charset=utf-8"), *headers))


def html_reply(status: int, title: str, *headers: tuple[str, str]) -> Reply:
    """Make a page for people: a captive portal's, or a proxy's error."""
    page = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Reply(status, page.encode(), (("Content-Type", "text/html; charset=utf-8"), *headers))


def json_object(request: ReceivedRequest) -> dict[str, Any] | None:
    """Return the body as a JSON object; None if it is not one, or has a key twice."""
    try:
        value = json.loads(request.body.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def refuse_method(request: ReceivedRequest, *allowed: str) -> Reply | None:
    """Return 405 for any other method, else None."""
    if request.method in allowed:
        return None
    return Reply(405, headers=(("Allow", ", ".join(allowed)),))


def refuse_media_type(request: ReceivedRequest, *charsets: str) -> Reply | None:
    """Return 415 unless the body is declared as JSON, with one of these charsets (empty: without one)."""
    kind, charset = request.media_type()
    if kind == "application/json" and charset in charsets:
        return None
    return text_reply(415, "Unsupported Media Type")


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase
