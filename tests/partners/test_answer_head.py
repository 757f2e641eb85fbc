"""An answer's head put right: what stays, what is skipped, and what is refused, for any lines."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatectl.partners.http.answer import LINES_MAX, cleaned
from gatectl.partners.http.failure import ExchangeFailed

STATUS = b"HTTP/1.1 200 OK"
TOKEN = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+:")

names = st.sampled_from([b"Content-Length", b"TRANSFER-ENCODING", b"X-Name", b"PHP Warning", b"", b"x"])
between = st.sampled_from([b"", b" ", b"\t", b":", b" :", b"\0", b"\r", b"\xa0", b"_", b"-"])
lines = st.builds(
    lambda *parts: b"".join(parts), between, names, between, st.sampled_from([b":", b""]), names
)
anything = st.binary(max_size=30).map(lambda line: line.replace(b"\n", b""))


def framing(line):
    """Whether a reader could take it for a line that frames the body."""
    return any(
        re.search(b"contentlength|transferencoding", re.sub(b"[^a-z]", b"", part.split(b":")[0].lower()))
        for part in line.split(b"\r")
    )


@given(st.lists(lines | anything, max_size=8), st.sampled_from([b"\n", b"\r\n"]))
def test_of_any_lines_valid_ones_are_kept_and_no_framing_is_hidden(given_lines, end):
    given_lines = [line for line in given_lines if line not in {b"", b"\r"}]  # they would end the head
    try:
        found = cleaned(end.join([STATUS, *given_lines, b"", b""]))
    except ExchangeFailed:
        assert any(framing(line) for line in given_lines if not TOKEN.match(line))
        return
    status, *kept = [line.removesuffix(b"\r") for line in found.split(b"\n")]
    assert status == STATUS
    assert kept[-2:] == [b"", b""]
    fields = [line for line in kept[:-2] if line[:1] not in {b" ", b"\t"}]
    assert fields == [line.removesuffix(b"\r") for line in given_lines if TOKEN.match(line)]
    assert not any(framing(line) for line in given_lines if not TOKEN.match(line))


def test_a_head_without_odd_lines_is_left_as_it_is():
    head = STATUS + b"\r\nA: b\r\nContent-Length: 2\r\n\r\n"
    assert cleaned(head) is head


def test_more_lines_than_any_server_sends():
    assert cleaned(STATUS + b"\n" + b"A: b\n" * (LINES_MAX - 2) + b"\n")
    with pytest.raises(ExchangeFailed, match="header lines"):
        cleaned(STATUS + b"\n" + b"A: b\n" * (LINES_MAX - 1) + b"\n")
