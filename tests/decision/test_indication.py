"""The signals of lamps and buzzer."""

import pytest

from gatectl.decision.indication import Indication, Lamp, lamp_steps
from gatectl.decision.outcomes import Fault, outcome_row
from gatectl.decision.verdict import Result, Verdict

SHUT = (Fault.CLOSED, Fault.LOCKDOWN)


@pytest.mark.parametrize(
    ("result", "fault", "indication"),
    [
        (Result.ADMITTED, None, Indication.WELCOME),
        (Result.REJECTED, None, Indication.REFUSED),
        (Result.REJECTED, Fault.UNRECOGNISED, Indication.REFUSED),
        *((Result.REJECTED, fault, Indication.REFUSED) for fault in SHUT),
        *(
            (Result.REJECTED, fault, Indication.TRY_AGAIN)
            for fault in Fault
            if fault not in (*SHUT, Fault.UNRECOGNISED, Fault.INTERRUPTED)
        ),
    ],
)
def test_which_indication(result, fault, indication):
    verdict = Verdict.NOT_ALLOWED if fault is None else Verdict.NONE
    assert outcome_row(result, verdict, fault).indication is indication
    assert outcome_row(result, verdict if fault is None else None, fault).indication is indication


def spans(indication, lamp, open_ms=3000):
    """When a lamp is on: [(from, to)] in ms."""
    edges = [step for step in lamp_steps(indication, open_ms) if step.lamp is lamp]
    assert [step.on for step in edges] == [True, False] * (len(edges) // 2), "what goes on goes off"
    return [(on.at_ms, off.at_ms) for on, off in zip(edges[::2], edges[1::2], strict=True)]


def test_admitted_is_green_while_open_and_one_beep():
    assert spans(Indication.WELCOME, Lamp.GREEN, 4321) == [(0, 4321)]
    assert spans(Indication.WELCOME, Lamp.RED) == []
    assert len(spans(Indication.WELCOME, Lamp.BUZZER)) == 1


def test_refused_is_red_and_two_beeps():
    assert len(spans(Indication.REFUSED, Lamp.RED)) == 1
    assert spans(Indication.REFUSED, Lamp.GREEN) == []
    assert len(spans(Indication.REFUSED, Lamp.BUZZER)) == 2


def test_no_verdict_is_red_blinking_and_three_beeps():
    assert len(spans(Indication.TRY_AGAIN, Lamp.RED)) > 2
    assert spans(Indication.TRY_AGAIN, Lamp.GREEN) == []
    assert len(spans(Indication.TRY_AGAIN, Lamp.BUZZER)) == 3


@pytest.mark.parametrize("indication", Indication)
def test_the_steps_come_in_order_and_begin_at_once(indication):
    times = [step.at_ms for step in lamp_steps(indication, 3000)]
    assert times == sorted(times)
    assert times[0] == 0
