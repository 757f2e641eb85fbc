"""An event's facts in words, as terminal, monitor and report show them."""

import pytest
from records import ADMITTED, TIMEOUT, UNRECOGNISED, scan

from gatectl.cli.render import EventList
from gatectl.decision.event import Outcome, RequestRecord, interrupted
from gatectl.decision.verdict import Basis, Reason, Result
from gatectl.decision.words.event_words import (
    BASES,
    RESULTS,
    answer_of,
    elapsed_of,
    first_step_of,
    reason_of,
    sent_of,
)
from gatectl.monitor.presenters import row_of, timeline_of

UNSENT = RequestRecord(False, None, None, 12.0, 2000, None)
MANUAL = scan(1, UNRECOGNISED, kind="manual")
LATER = scan(1, Outcome(Result.DONE, "Weather: rain"), kind="weather", partner=None)


@pytest.mark.parametrize(
    ("event", "mark", "german", "sentence"),
    [
        (scan(1, ADMITTED), "yes", "ja", "yes"),
        (scan(1, TIMEOUT, request=UNSENT), "no", "nein", "no, none of its bytes left"),
        (scan(1, UNRECOGNISED), "no", "nein", "no, none was tried"),
        (scan(1, interrupted(scan(1).attempt)), "?", "nicht erfasst", "perhaps: that was not recorded"),
        (
            scan(1, UNRECOGNISED, kind="manual"),
            "",
            "",
            "no, and none was wanted: the door was opened by hand",
        ),
        (scan(1, UNRECOGNISED, kind="erased"), "", "", "no, and none was wanted"),
        (LATER, "", "", "no, and none was wanted"),
    ],
)
def test_whether_the_request_was_sent(event, mark, german, sentence):
    words = sent_of(event)
    assert (words.mark, words.cell[1], words.sentence) == (mark, german, sentence)


def test_the_answer_its_time_and_its_reason():
    assert (answer_of(scan(1, ADMITTED)), elapsed_of(scan(1, ADMITTED))) == ("200", "182")
    assert (answer_of(scan(1, TIMEOUT)), elapsed_of(scan(1, TIMEOUT))) == ("timeout", "2001")
    assert (answer_of(LATER), elapsed_of(LATER), reason_of(LATER)) == ("", "", "")
    assert reason_of(scan(1, reason=Reason("duplicate_check_in", None))) == "duplicate_check_in"
    assert reason_of(scan(1, reason=Reason("key", "text"))) == "key: text"


def test_an_event_of_a_later_version_begins_with_its_message():
    assert first_step_of(LATER, "de") == "Weather: rain"
    assert [words for _, words in timeline_of(LATER, "de")] == ["Weather: rain"]
    assert first_step_of(scan(1, kind="manual"), "de") == "Von einem Menschen geöffnet"


@pytest.mark.parametrize("result", Result)
def test_every_result_has_its_words_in_terminal_and_monitor(result, capsys):
    event = scan(1, Outcome(result, "m"), kind="mode")
    EventList({}).show(event)
    assert result.value in "".join(capsys.readouterr().out.split())
    row = row_of(event, "de")
    assert (row.mark, row.result_text) == (RESULTS[result].mark, RESULTS[result].words[1])


def test_every_basis_has_its_words():
    assert set(BASES) == set(Basis)
