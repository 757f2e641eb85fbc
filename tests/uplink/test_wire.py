"""The messages between a gate and head office: whole after the way, and typed errors for everything else."""

import contextlib
import json
import random
import zlib

import messages
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatectl.uplink import wire
from gatectl.uplink.wire import Channel, EventBatch, GateState, Mark, NumberedEvent, Topic, WireError

JOURNAL = "9f" * 16
EVENT_ID = "01976f5e-7a00-7000-8000-000000000001"
DEFLATED = ((wire.ENCODING, "deflate"),)
EVENT = {"id": EVENT_ID}
MARK = {
    "v": 1,
    "journal": JOURNAL,
    "generation": 1,
    "mark": 12,
    "id": EVENT_ID,
    "window": 9,
    "again": False,
}
BATCH = {"v": 1, "journal": JOURNAL, "generation": 1, "after": 4, "until": 5}
BATCH["events"] = [{"number": 5, "event": EVENT}]
DECODERS = [wire.decode_mark, wire.decode_batch, wire.decode_state, wire.decode_presence]


def json_of(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def batch_of(count: int) -> EventBatch:
    listed = [NumberedEvent(number, {"id": EVENT_ID}) for number in range(1, count + 1)]
    return EventBatch(JOURNAL, 1, 0, count, tuple(listed))


@given(messages.batches())
def test_a_batch_arrives_as_it_was_sent(batch):
    assert wire.decode_batch(*wire.encode_batch(batch)) == batch


@given(messages.marks())
def test_a_mark_arrives_as_it_was_sent(mark):
    assert wire.decode_mark(wire.encode_mark(mark).data) == mark


@given(messages.presences)
def test_a_presence_arrives_as_it_was_sent(presence):
    assert wire.decode_presence(wire.encode_presence(presence).data) == presence


@given(messages.devices, st.sampled_from(Channel))
def test_a_topic_has_its_device_and_its_channel(device, channel):
    assert wire.topic_of(str(Topic(device, channel))) == (device, channel)


def test_a_mark_reads_as_the_fleet_writes_it():
    assert wire.encode_mark(Mark(JOURNAL, 1, 12, EVENT_ID, 9, again=False)).data == json_of(MARK)


def test_a_batch_is_deflated_from_eight_events_on():
    assert wire.encode_batch(batch_of(7)).properties == ()
    payload = wire.encode_batch(batch_of(8))
    assert payload.properties == DEFLATED
    assert len(json.loads(zlib.decompress(payload.data))["events"]) == 8


OTHER_TOPICS = ["gatectl", "gatectl/1/Gate/mark", "gatectl/1//mark", "gatectl/2/gate/mark"]
OTHER_CHANNELS = ["gatectl/1/gate/open", "gatectl/1/gate/mark/x", "gatectl/1/gate\n/mark"]


@pytest.mark.parametrize("text", [*OTHER_TOPICS, *OTHER_CHANNELS, f"gatectl/1/{'a' * 65}/mark"])
def test_other_topics_are_refused(text):
    with pytest.raises(WireError):
        wire.topic_of(text)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("v", [2, True, None]),
        ("journal", ["9F" * 16, None]),
        ("generation", [0, 2**31]),
        ("mark", [-1, 2**63, 12.0, True]),
        ("id", ["x", 5]),
        ("window", [-1, 2**16 + 1, None]),
        ("again", [1]),
    ],
)
def test_a_mark_out_of_its_bounds_is_refused(name, values):
    for value in values:
        with pytest.raises(WireError):
            wire.decode_mark(json_of(MARK | {name: value}))


@pytest.mark.parametrize("change", [{"id": None}, {"id": ""}, {"id": EVENT_ID}])
def test_a_mark_before_the_first_event_names_none(change):
    assert wire.decode_mark(json_of(MARK | {"mark": 0} | change)).id is None


def listed(*numbers: int, **event: str) -> list[dict[str, object]]:
    return [{"number": number, "event": EVENT | event} for number in numbers]


@pytest.mark.parametrize(
    "change",
    [
        {"after": 5},
        {"until": 4},
        {"events": {}},
    ],
    ids=str,
)
def test_a_batch_that_contradicts_itself_is_refused(change):
    with pytest.raises(WireError):
        wire.decode_batch(json_of(BATCH | change))


NO_EVENTS = [[5], [{"number": 5}], [{"number": 5, "event": [1]}], listed(4), listed(7), listed(5, id="x")]


@pytest.mark.parametrize("events", NO_EVENTS, ids=str)
def test_entries_that_are_no_events_are_left_out_and_counted(events):
    batch = wire.decode_batch(json_of(BATCH | {"until": 6, "events": [*events, *listed(6)]}))
    assert ([one.number for one in batch.events], batch.unreadable) == ([6], 1)


def test_numbers_that_do_not_ascend_are_left_out():
    batch = wire.decode_batch(json_of(BATCH | {"until": 9, "events": listed(6, 6, 5, 8)}))
    assert ([one.number for one in batch.events], batch.unreadable) == ([6, 8], 2)


UNSTORABLE = [
    (r"a\u0000b", "a\ufffdb"),
    (r"\ud800", "\ufffd"),
    (r"\udfff\ud800", "\ufffd\ufffd"),
    (r"\ud83d\ude00", "\U0001f600"),
]


@pytest.mark.parametrize(("written", "read"), UNSTORABLE)
def test_text_that_no_database_holds_costs_no_event(written, read):
    event = json_of(EVENT).decode()[:-1] + f', "door": "{written}", "later": {{"{written}": 1}}}}'
    body = json_of(BATCH | {"events": []}).decode().replace("[]", f'[{{"number": 5, "event": {event}}}]')
    (one,) = wire.decode_batch(body.encode()).events
    assert (one.event["door"], one.event["later"]) == (read, {read: 1})


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "1" + "0" * 5000])
def test_numbers_that_no_database_holds_cost_no_event(number):
    event = json_of(EVENT).decode()[:-1] + f', "later": [{number}, 10000000000000000000000000000000]}}'
    body = json_of(BATCH | {"events": []}).decode().replace("[]", f'[{{"number": 5, "event": {event}}}]')
    (one,) = wire.decode_batch(body.encode()).events
    assert one.event["later"] == [None, 10**31]


def test_what_is_nested_too_deep_costs_no_event():
    deep = json.loads("[" * 40 + "]" * 40)
    (one,) = wire.decode_batch(json_of(BATCH | {"events": listed(5, later=deep)})).events
    assert str(one.event["later"]).count("[") < 32


NO_OBJECTS = [b"", b"\xff", b"null", b"[]", b"{", b'{"v":NaN}', b'{"v":1' + b"0" * 5000 + b"}"]
TOO_MUCH = [b'{"x":' + b"[" * 100_000, b'{"x":' + b"[" * 40 + b"]" * 40 + b"}"]


@pytest.mark.parametrize("data", [*NO_OBJECTS, *TOO_MUCH], ids=lambda data: data[:8].decode("latin-1"))
@pytest.mark.parametrize("decode", DECODERS)
def test_bytes_that_are_no_object_are_refused(decode, data):
    with pytest.raises(WireError):
        decode(data)


def test_a_batch_inflates_to_a_mebibyte_at_most():
    bomb = zlib.compress(b" " * (wire.INFLATED_BYTES_MAX + 1))
    with pytest.raises(WireError, match="size"):
        wire.decode_batch(bomb, DEFLATED)
    just = json_of(BATCH).ljust(wire.INFLATED_BYTES_MAX)
    assert wire.decode_batch(zlib.compress(just), DEFLATED).until == 5


EMPTY = zlib.compress(b"{}")
FLAWED = [b"", b"no", EMPTY[:-1], EMPTY + b"x", bytes(wire.PAYLOAD_BYTES_MAX + 1)]


@pytest.mark.parametrize("data", FLAWED, ids=len)
def test_what_does_not_inflate_as_a_whole_is_refused(data):
    with pytest.raises(WireError):
        wire.decode_batch(data, DEFLATED)


def test_a_deflated_batch_is_read_though_a_bridge_took_its_property_off():
    payload = wire.encode_batch(batch_of(8))
    assert wire.decode_batch(payload.data) == batch_of(8)


@pytest.mark.parametrize("properties", [((wire.ENCODING, "br"),), DEFLATED * 2])
def test_other_encodings_are_refused(properties):
    with pytest.raises(WireError, match="encoding"):
        wire.decode_batch(json_of(BATCH), properties)


def test_a_state_has_the_known_fields_and_those_of_the_conversation():
    mark = Mark(JOURNAL, 2, 7, EVENT_ID)
    payload = wire.encode_state({"version": "1", "later": [1]}, journal=JOURNAL, last=9, mark=mark, fork=None)
    state = wire.decode_state(payload.data)
    assert state[:-1] == (JOURNAL, 9, 2, 7, None)
    assert state.body["later"] == [1]


def test_a_state_before_the_first_mark_has_none():
    payload = wire.encode_state({}, journal=None, last=0, mark=None, fork=3)
    assert wire.decode_state(payload.data)[:-1] == GateState(None, 0, None, None, 3, {})[:-1]


@pytest.mark.parametrize("body", [{}, {"mark": 4}, {"generation": 2}, {"last": None}])
def test_a_state_need_not_say_how_far_the_gate_is(body):
    state = wire.decode_state(json_of({"v": 1, "journal": JOURNAL, **body}))
    assert state[:-1] == (JOURNAL, None, None, None, None)


@pytest.mark.parametrize("session", ["s", 7, "4e6a9c3e-58c5-4f43-9f2c-1f6b4a1de6f2", "a" * 64])
def test_a_session_has_any_name(session):
    presence = wire.decode_presence(json_of({"online": True, "session": session}))
    assert presence == (True, str(session))


@pytest.mark.parametrize("session", [None, "", " ", "a" * 65, -1, 2**63, True, ["s"]])
def test_a_session_without_a_bounded_name_is_refused(session):
    with pytest.raises(WireError):
        wire.decode_presence(json_of({"online": True, "session": session}))


@pytest.mark.parametrize(
    "decode", [wire.decode_mark, wire.decode_batch, wire.decode_state, wire.decode_presence]
)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_a_message_or_a_wire_error(decode, data, deflated):
    with contextlib.suppress(WireError):
        decode(data, *([DEFLATED] if decode is wire.decode_batch and deflated else []))


def test_a_hundred_thousand_mutated_marks_are_marks_or_wire_errors():
    chance = random.Random(5)
    genuine = wire.encode_mark(Mark(JOURNAL, 1, 1200, EVENT_ID)).data
    read = 0
    for _ in range(100_000):
        data = bytearray(genuine)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            wire.decode_mark(bytes(data))
            read += 1
        except WireError:
            pass
    assert 0 < read < 100_000  # some mutations hit a digit, which is another mark
