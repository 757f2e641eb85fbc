"""The way of a scan: what the table allows, and above all what it lacks."""

import itertools

import pytest

from gatectl.decision.scan import TABLE, IllegalStepError, Scan, State, Step


def walk(*steps):
    scan = Scan()
    for step in steps:
        scan.take(step)
    return scan.state


@pytest.mark.parametrize(
    ("steps", "end"),
    [
        ((Step.NOBODY_TO_ASK,), State.REJECTED),
        ((Step.PLANNED, Step.RECORDED, Step.ALLOWED, Step.OPENED), State.ADMITTED),
        ((Step.PLANNED, Step.RECORD_LATE, Step.ALLOWED, Step.OPENED), State.ADMITTED),
        ((Step.PLANNED, Step.RECORDED, Step.ALLOWED, Step.STUCK), State.REJECTED),
        ((Step.PLANNED, Step.RECORDED, Step.REFUSED), State.REJECTED),
        ((Step.PLANNED, Step.OUT_OF_TIME), State.REJECTED),
        ((Step.PLANNED, Step.RECORDED, Step.PERHAPS_OURS, Step.ALLOWED, Step.OPENED), State.ADMITTED),
        ((Step.PLANNED, Step.RECORDED, Step.PERHAPS_OURS, Step.REFUSED), State.REJECTED),
    ],
)
def test_the_ways_to_an_end(steps, end):
    assert walk(*steps) is end


def every_way(state=State.READ, before=()):
    yield state, before
    for (source, step), target in TABLE.items():
        if source is state:
            yield from every_way(target, (*before, (state, step)))


def test_nobody_is_asked_before_the_record_is_made_or_known_to_be_late():
    for state, before in every_way():
        if state is State.ASKING:
            assert before[-1] in {(State.RECORDING, Step.RECORDED), (State.RECORDING, Step.RECORD_LATE)}


def test_nobody_is_admitted_without_the_partners_own_success():
    ways = [before for state, before in every_way() if state is State.ADMITTED]
    assert ways
    for before in ways:
        assert Step.ALLOWED in [step for _, step in before]
        assert State.ASKING in [state for state, _ in before]


def test_what_the_table_lacks_is_an_error_that_names_state_and_step():
    for state, step in itertools.product(State, Step):
        if (state, step) in TABLE:
            continue
        scan = Scan()
        scan.state = state
        with pytest.raises(IllegalStepError, match=f"{state.value}.*{step.value}"):
            scan.take(step)
        assert scan.state is state
