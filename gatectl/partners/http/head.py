"""Clean an answer's head for a parser that accepts no malformed lines (RFC 9112, section 5)."""

from __future__ import annotations

import re

from gatectl.decision.verdict import Fault
from gatectl.partners.http.connection import ExchangeFailed

LINES_MAX = 256
"""Servers send about twenty header lines. Each costs the event loop time, which all doors share."""

END = re.compile(rb"\n\r?\n")
"""The blank line after the last header line; a server may leave out the carriage returns."""

_FIELD = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+:")
"""A header line's name, a token (RFC 9110, section 5.6.2), and its colon."""

_ALL_FIELDS = re.compile(rb"[^\n]*\n(?:[-!#$%&'*+.^_`|~0-9a-zA-Z]+:[^\n]*\n)*\r?\n")

_NO_LETTER = re.compile(rb"[^a-z]+")
_FRAMING = (b"contentlength", b"transferencoding")


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


def _refuse_framing(line: bytes) -> None:
    # Some parsers end a line at a lone carriage return.
    for part in line.split(b"\r"):
        name = _NO_LETTER.sub(b"", part.partition(b":")[0].lower())
        if any(framing in name for framing in _FRAMING):
            raise ExchangeFailed(
                Fault.PARTNER, "not an HTTP answer: a line that frames the body is misspelled"
            )
