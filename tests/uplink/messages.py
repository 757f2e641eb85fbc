"""Strategies for the messages of the wire."""

from hypothesis import strategies as st

from gatectl.uplink.wire import NUMBER_MAX, EventBatch, Mark, NumberedEvent, Presence

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
journals = st.integers(0, 2**128 - 1).map(lambda number: f"{number:032x}")
generations = st.integers(1, 2**31 - 1)
event_ids = st.uuids().map(str)
events = st.builds(
    lambda fields, event_id: {**fields, "id": event_id}, st.dictionaries(texts, values, max_size=4), event_ids
)
devices = st.from_regex(r"[a-z0-9-]{1,64}", fullmatch=True)
presences = st.builds(Presence, st.booleans(), st.from_regex(r"[0-9a-f]{8,32}-[0-9]{1,10}", fullmatch=True))


@st.composite
def marks(draw) -> Mark:
    number = draw(st.integers(0, NUMBER_MAX))
    event_id = draw(st.none() | event_ids) if number else None
    return Mark(
        draw(journals), draw(generations), number, event_id, draw(st.integers(0, 2**16)), draw(st.booleans())
    )


@st.composite
def batches(draw) -> EventBatch:
    numbers = sorted(draw(st.sets(st.integers(1, NUMBER_MAX), min_size=1, max_size=12)))
    until = draw(st.integers(numbers[-1], NUMBER_MAX))
    listed = tuple(NumberedEvent(number, draw(events)) for number in numbers)
    return EventBatch(draw(journals), draw(generations), draw(st.integers(0, numbers[0] - 1)), until, listed)
