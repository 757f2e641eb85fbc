"""The lines on the control socket, which the daemon and its clients share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatectl.decision.control_messages import (
    NoAnswerError,
    RefusedError,
    answer_of,
    message_line,
    refusal_line,
)

MESSAGES = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers() | st.booleans())


@given(MESSAGES.filter(lambda message: "error" not in message))
def test_an_answer_comes_through_in_one_line(message):
    line = message_line(message)
    assert (line.count(b"\n"), answer_of(line)) == (1, message)


def test_a_refusal_comes_through_with_its_hints():
    with pytest.raises(RefusedError) as refused:
        answer_of(refusal_line(RefusedError("no such door 'Süd'", "there are main", "see the settings")))
    assert str(refused.value) == "no such door 'Süd'"
    assert refused.value.hints == ("there are main", "see the settings")


@pytest.mark.parametrize("line", [b"", b"{}", b'{"pid": 1', b"[]\n", b"1\n", b"not JSON\n", b"\xff\n"])
def test_half_a_line_and_other_things_are_no_answer(line):
    with pytest.raises(NoAnswerError):
        answer_of(line)
