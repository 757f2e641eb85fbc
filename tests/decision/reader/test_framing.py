from __future__ import annotations

import random
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatectl.decision.reader.framing import framer
from gatectl.decision.reader.reading import MAX_BYTES, MAX_CHARS, Code, Dropped, DropReason

FRAMINGS = ("line", "rdm6300", "id12la", "stx-etx", "stx-line")

TOO_LONG = Dropped(DropReason.TOO_LONG)
DAMAGED = Dropped(DropReason.FRAME)
NOISE = Dropped(DropReason.NOISE)
CHECKSUM = Dropped(DropReason.CHECKSUM)
CONTROL = Dropped(DropReason.CONTROL)

RDM = bytes.fromhex("02 30 44 30 30 33 31 39 43 44 30 37 30 03")
RDM_2 = bytes.fromhex("02 30 31 30 30 36 33 45 39 41 45 32 35 03")
ID12 = bytes.fromhex("02 30 35 30 30 32 30 37 42 33 32 36 43 0D 0A 03")
CARD, CARD_2, CARD_ID12 = Code("0D00319CD0"), Code("010063E9AE"), Code("0500207B32")


def codes(*texts):
    return [Code(text) for text in texts]


@pytest.mark.parametrize(
    ("data", "readings"),
    [
        (b"1234567890123\r", codes("1234567890123")),
        (b"1\n2\t3\r\n4\r", codes("1", "2", "3", "4")),
        (b"\r\n\r\n\t\r", []),
        (b"\r\n111\r\n222\r\n", codes("111", "222")),
        (b"111", []),
        ("ä€\r".encode(), codes("ä€")),
        (b"]C1ABC\r", codes("]C1ABC")),
        (b"\x01\r\xff\r1\r", [CONTROL, Dropped(DropReason.UNDECODABLE), Code("1")]),
        (b"1\x032\x043\x004\r\x00\x00\x005\x04\x03", codes("1", "2", "3", "4", "5")),
        (b"\xef\xbb\xbfWP-1403\r WP-1403 \r \xef\xbb\xbf\r", codes("WP-1403", "WP-1403")),
        (b"\xef\xbb\xbf " + "😀".encode() * MAX_CHARS + b"  \r", codes("😀" * MAX_CHARS)),
        (b"x" * MAX_CHARS + b"\r", codes("x" * MAX_CHARS)),
        (b"x" * (MAX_CHARS + 1) + b"\r1\r", [TOO_LONG, Code("1")]),
        (b"x" * 10_000 + b"\r1\r", [TOO_LONG, Code("1")]),
        (b"\xff" * 10_000 + b"\n\n", [TOO_LONG]),
    ],
)
def test_a_line_ends_at_a_control_character_that_readers_end_with(data, readings):
    assert framer("line").feed(data) == readings


def test_a_line_ends_at_a_silence():
    line = framer("line")
    assert not line.pending
    assert line.feed(b"12") == []
    assert line.pending
    assert line.feed(b"34") == []
    assert line.silence() == codes("1234")
    assert not line.pending
    assert line.silence() == []
    assert line.feed(b"5\r") == codes("5")
    assert not line.pending


def test_the_ending_may_come_first():
    line = framer("line")
    assert line.feed(b"\r\n111") == []
    assert line.feed(b"\r\n222") == codes("111")
    assert line.silence() == codes("222")


def test_too_long_a_line_is_discarded_to_its_end_and_is_one_reading():
    line = framer("line")
    readings = [reading for _ in range(1000) for reading in line.feed(b"x" * 100)]
    assert readings == [TOO_LONG]
    assert line.pending
    assert line.silence() == []
    assert not line.pending
    assert line.feed(b"1\r") == codes("1")


def test_aim_prefixes_are_stripped_where_that_is_set():
    assert framer("line", strip_aim=True).feed(b"]E0123\r]E0\r]Q1]X\r") == codes("123", "]X")
    assert framer("stx-etx", strip_aim=True).feed(b"\x02]E0123\x03\x02]E0\x03") == codes("123")


def spoilt(frame, position, byte):
    return frame[:position] + bytes([byte]) + frame[position + 1 :]


@pytest.mark.parametrize(
    ("data", "readings"),
    [
        (RDM, [CARD]),
        (RDM_2, [CARD_2]),
        (RDM * 3, [CARD] * 3),
        (b"junk" + RDM + b"\r\n" + RDM_2 + b"junk", [NOISE, CARD, NOISE, CARD_2, NOISE]),
        (RDM.lower(), [Code("0d00319cd0")]),
        (spoilt(RDM, 1, ord("1")), [CHECKSUM]),
        (spoilt(RDM, 12, ord("1")), [CHECKSUM]),
        (spoilt(RDM, 5, ord("Z")) + RDM, [DAMAGED, CARD]),
        (spoilt(RDM, 13, 0x0D) + RDM, [DAMAGED, CARD]),
        (RDM[:7] + RDM_2, [DAMAGED, CARD_2]),
        (RDM[:-1] + RDM_2, [DAMAGED, CARD_2]),
        (RDM[:7] + RDM[8:] + RDM_2, [DAMAGED, CARD_2]),
        (RDM[:7] + b"0" + RDM[7:] + RDM_2, [DAMAGED, CARD_2]),
        (b"\x02" + RDM, [DAMAGED, CARD]),
        (b"\x02\x02\x02" + RDM, [DAMAGED, DAMAGED, DAMAGED, CARD]),
        (RDM[:7], []),
        (RDM[1:], [NOISE]),
        (ID12, [DAMAGED]),
        # the checksum without the version byte, as some published texts have it
        (b"\x02" + b"0D00319CD0" + b"7D" + b"\x03", [CHECKSUM]),
    ],
)
def test_rdm6300(data, readings):
    assert framer("rdm6300").feed(data) == readings


@pytest.mark.parametrize(
    ("data", "readings"),
    [
        (ID12, [CARD_ID12]),
        (ID12 * 2, [CARD_ID12] * 2),
        (b"\r\n" + ID12 + b"\x03" + ID12, [NOISE, CARD_ID12, NOISE, CARD_ID12]),
        (spoilt(ID12, 13, 0x0A) + ID12, [DAMAGED, CARD_ID12]),
        (spoilt(ID12, 2, ord("6")), [CHECKSUM]),
        (RDM + ID12, [DAMAGED, CARD_ID12]),
    ],
)
def test_id12la(data, readings):
    assert framer("id12la").feed(data) == readings


@pytest.mark.parametrize("framing", ["rdm6300", "id12la"])
def test_half_a_card_stays_half_a_card(framing):
    reader = framer(framing)
    assert reader.feed((RDM if framing == "rdm6300" else ID12)[:-1]) == []
    assert reader.pending
    assert reader.silence() == []
    assert reader.feed(b"\x03") == ([CARD] if framing == "rdm6300" else [CARD_ID12])


@pytest.mark.parametrize(
    ("data", "readings"),
    [
        (b"\x02ABC\x03", codes("ABC")),
        (b"noise\x03\x02ABC\x03\x17\r\n\x02DEF\x03x", codes("ABC", "DEF")),
        (b"\x02AB\x02CD\x03", [DAMAGED, Code("CD")]),
        (b"\x02\x03", []),
        (b"\x02A\rB\x03\x02C\x03", [CONTROL, Code("C")]),
        (b"\x02\xff\x03", [Dropped(DropReason.UNDECODABLE)]),
        (b"\x02" + b"x" * MAX_CHARS + b"\x03", codes("x" * MAX_CHARS)),
        (b"\x02" + b"x" * 600 + b"\x03\x02C\x03", [TOO_LONG, Code("C")]),
        (b"\x02" + b"x" * 9000 + b"\x03\x02C\x03", [TOO_LONG, Code("C")]),
        (b"\x02" + b"x" * 9000 + b"\x02C\x03", [TOO_LONG, Code("C")]),
        (b"\x02never ended", []),
    ],
)
def test_stx_etx(data, readings):
    assert framer("stx-etx").feed(data) == readings


@pytest.mark.parametrize(
    ("data", "readings"),
    [
        (b"\x02WP-1403\r\n", codes("WP-1403")),
        (b"\x02WP-1403\r\n\x03\x02WP-1404\n", codes("WP-1403", "WP-1404")),
        (b"noise\r\n\x02A\x02B\r", [DAMAGED, Code("B")]),
        (b"\x02\r\n", []),
        (b"\x02A\x03B\r", [CONTROL]),
        (b"\x02" + b"x" * 600 + b"\r\x02C\r", [TOO_LONG, Code("C")]),
    ],
)
def test_stx_line(data, readings):
    assert framer("stx-line").feed(data) == readings


@pytest.mark.parametrize("framing", ["line", "stx-line", "stx-etx"])
def test_encoding_prefix_and_suffix(framing):
    start = b"" if framing == "line" else b"\x02"
    reader = framer(framing, encoding="latin-1", strip_prefix="P:", strip_suffix="#")
    text = "P:Müller#".encode("latin-1")
    assert reader.feed(start + text + (b"\x03" if framing == "stx-etx" else b"\r\n")) == codes("Müller")


@pytest.mark.parametrize(
    ("framing", "half", "rest", "readings"),
    [
        ("line", b"12", b"34\r", []),  # the rest of a code that was given up is no code
        ("rdm6300", RDM[:5], RDM[5:], []),
        ("id12la", ID12[:5], ID12[5:], []),
        ("stx-etx", b"\x0212", b"34\x03", []),
        ("stx-line", b"\x0212", b"34\r\n", []),
    ],
)
def test_a_code_that_does_not_end_in_time_is_given_up_whole(framing, half, rest, readings):
    reader = framer(framing)
    whole = {"line": b"1\r", "rdm6300": RDM, "id12la": ID12, "stx-etx": b"\x021\x03"}
    whole = (whole | {"stx-line": b"\x021\n"})[framing]
    assert reader.feed(half) == []
    assert reader.give_up() == [Dropped(DropReason.INCOMPLETE)]
    assert reader.give_up() == []
    assert reader.feed(rest) == readings
    assert len(reader.feed(whole)) == 1
    assert not reader.pending
    assert reader.give_up() == []


def test_after_a_pause_the_next_character_is_another_code():
    line = framer("line")
    line.feed(b"12")
    line.give_up()
    assert line.discarding
    assert line.silence() == []
    assert not line.discarding
    assert line.feed(b"4711\r") == codes("4711")


@pytest.mark.parametrize("framing", FRAMINGS)
def test_each_code_that_begins_is_counted_once(framing):
    reader = framer(framing)
    whole = {"line": b"12\r", "rdm6300": RDM, "id12la": ID12, "stx-etx": b"\x0212\x03"}
    whole = (whole | {"stx-line": b"\x0212\n"})[framing]
    began = []
    for byte in whole + whole:
        before = reader.begun
        reader.feed(bytes([byte]))
        began.append(reader.begun - before)
        if reader.pending:
            assert sum(began) > 0
    assert began == [1, *[0] * (len(whole) - 1)] * 2
    assert not reader.pending


def test_an_unknown_framing_is_an_error():
    with pytest.raises(ValueError, match="'lines' is none of line, rdm6300, id12la, stx-etx, stx-line"):
        framer("lines")


PIECES = st.one_of(
    st.sampled_from([RDM, RDM_2, ID12, RDM[:5], ID12[4:], b"\x02", b"\x03", b"\r", b"\n", b"]E0", b"1"]),
    st.binary(max_size=20),
    st.integers(500, 2200).map(lambda size: b"x" * size),
)
STREAMS = st.lists(PIECES, max_size=12).map(b"".join)


@pytest.mark.parametrize("framing", FRAMINGS)
@given(parts=st.lists(STREAMS, max_size=3), strip_aim=st.booleans(), seed=st.randoms())
def test_any_split_of_any_bytes_gives_the_same_readings(framing, parts, strip_aim, seed):
    whole, split = framer(framing, strip_aim=strip_aim), framer(framing, strip_aim=strip_aim)
    for part in parts:  # a silence after each
        expected = whole.feed(part) + whole.silence()
        readings = []
        cuts = sorted(seed.randrange(len(part) + 1) for _ in range(seed.randrange(20)))
        for start, end in zip([0, *cuts], [*cuts, len(part)], strict=True):
            readings += split.feed(part[start:end])
        assert readings + split.silence() == expected
        assert split.give_up() == whole.give_up()
        split.silence()
        whole.silence()
        assert not split.pending


@pytest.mark.parametrize("framing", FRAMINGS)
@given(data=STREAMS)
def test_byte_by_byte_is_the_same(framing, data):
    single = framer(framing)
    readings = [reading for byte in data for reading in single.feed(bytes([byte]))]
    assert readings == framer(framing).feed(data)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("pattern", ["random", "endless", "starts"])
def test_a_megabyte_of_rubbish_is_read_fast_and_in_flat_memory(framing, pattern):
    data = {
        "random": random.Random(6300).randbytes(1_000_000),
        "endless": b"\x02" + b"x" * 999_999,
        "starts": b"\x02" * 1_000_000,
    }[pattern]
    reader = framer(framing)
    begun = time.process_time()
    for start in range(0, len(data), 4096):
        reader.feed(data[start : start + 4096])
    assert time.process_time() - begun < 5
    tracemalloc.start()
    for start in range(0, 200_000, 4096):
        reader.feed(data[start : start + 4096])
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 10_000


@pytest.mark.parametrize("more", [0, 1])
def test_a_frame_in_latin_1_is_as_long_as_a_code_and_not_longer(more):
    """Its blanks count as bytes, and are taken off."""
    reader = framer("stx-etx", encoding="latin-1")
    payload = b" " * (MAX_BYTES - 3 + more) + b"abc"
    assert reader.feed(b"\x02" + payload + b"\x03") == ([TOO_LONG] if more else codes("abc"))


def test_a_frame_that_another_one_cuts_short_is_dropped_for_it():
    reader = framer("stx-etx")
    assert reader.feed(b"\x02ab") == []
    assert (reader.begun, reader.pending) == (1, True)
    assert reader.feed(b"\x02cd") == [DAMAGED]
    assert (reader.begun, reader.pending) == (2, True)
    assert not reader.discarding
