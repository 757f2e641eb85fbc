import tomllib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatectl.decision.reader import detect
from gatectl.decision.reader.detect import (
    DetectedFormat,
    NotRecognised,
    chosen,
    detect_serial,
    is_by_hand,
)
from gatectl.decision.reader.keymap import SPACING_ACCENTS, Key
from gatectl.decision.reader.keys import EV_KEY, EV_SYN, PRESSED, RELEASED, SYN_DROPPED, SYN_REPORT
from gatectl.decision.reader.reading import Code, reading_of_text
from gatectl.devices.reader.layouts import all_layouts

CARD = b"\x020500207B326C\x03"
SAME_WITH_LINE_END = b"\x020500207B326C\r\n\x03"

LINES = [
    (b"4006381333931\r", "4006381333931", "CR", None),
    (b"4006381333931\n", "4006381333931", "LF", None),
    (b"4006381333931\r\n", "4006381333931", "CR LF", None),
    (b"4006381333931\t", "4006381333931", "TAB", None),
    (b"4006381333931\x03", "4006381333931", "ETX", None),
    (b"4006381333931\x04", "4006381333931", "EOT", None),
    (b"4006381333931\r\x00\x00\x00", "4006381333931", "CR NUL NUL NUL", None),
    (b"\xef\xbb\xbfWP-1403 \r", "WP-1403", "CR", None),
    (b"4006381333931", "4006381333931", "a silence", None),
    (b"\r\n4006381333931", "4006381333931", "a silence", None),
    (b"\n0123456789\r", "0123456789", "CR", None),  # Parallax
    (b"4711\r4711\r4711\r", "4711", "CR", None),
    ("Käthe ☃\r".encode(), "Käthe ☃", "CR", None),
    (b"]E04006381333931\r", "4006381333931", "CR", "]E0"),
    (b"]C1WP-4711\r", "WP-4711", "CR", "]C1"),
    (b"]Q3https://x\r", "https://x", "CR", "]Q3"),
    (b"]4711\r", "]4711", "CR", None),
    (b"]E0\r", "]E0", "CR", None),
    (b"]B04711\r", "]B04711", "CR", None),
]


@pytest.mark.parametrize(("data", "code", "ending", "aim"), LINES)
def test_lines(data, code, ending, aim):
    seen = detect_serial(data)
    assert (seen.code, seen.ending, seen.aim, seen.settings["framing"], seen.checksum) == (
        code,
        ending,
        aim,
        "line",
        None,
    )


@pytest.mark.parametrize(
    ("data", "code", "framing", "checksum"),
    [
        (CARD, "0500207B32", "rdm6300", "right"),
        (CARD * 12, "0500207B32", "rdm6300", "right"),
        (SAME_WITH_LINE_END, "0500207B32", "id12la", "right"),
        (b"\x00junk" + CARD + b"more", "0500207B32", "rdm6300", "right"),
        (b"7B326C\x03" + CARD + CARD[:5], "0500207B32", "rdm6300", "right"),
        (b"\x02WP-4711\x03", "WP-4711", "stx-etx", None),
        (b"\x02WP-4711\x03\x00", "WP-4711", "stx-etx", None),
        (b"\x02AB\x03\x02", "AB", "stx-etx", "not checked"),  # 02 ^ 41 ^ 42 ^ 03
        (b"\x02]C1AB\x03", "AB", "stx-etx", None),
        (b"\x020500207B32\x03", "0500207B32", "stx-etx", None),
    ],
)
def test_frames(data, code, framing, checksum):
    seen = detect_serial(data)
    assert (seen.code, seen.settings["framing"], seen.checksum, seen.ending) == (
        code,
        framing,
        checksum,
        "ETX",
    )


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"\x020500207B326D\x03", "checksum is wrong"),
        (b"\x020500207B", "cut short"),
        (b"\xff\xfe\x80", "no text"),
        (b"\xff\xfe\r\xfe\xff\r", "no text"),
        (b"47\x0111\r", "no text"),
        (b"7" * 600, "more than a code"),
        (b"Firmware Version: 0x92 = v2.0\r\nScan PICC to see UID...\r\n", "restarts when its port is opened"),
    ],
)
def test_scans_that_cannot_be_read(data, word):
    found = detect_serial(data)
    assert isinstance(found, NotRecognised)
    assert word in found.what
    assert found.hint


def with_parity(text, parity):
    """Bytes of a line with seven bits, as a line with eight and no parity reads them."""
    high = {
        "E": lambda byte: byte.bit_count() % 2,
        "O": lambda byte: 1 - byte.bit_count() % 2,
        "M": lambda _: 1,
        "S": lambda _: 0,
    }[parity]
    return bytes(byte | high(byte) << 7 for byte in text)


@pytest.mark.parametrize(
    ("text", "framing"),
    [
        (b"1234567890123\r", "line"),
        (b"\x02WP-1403\r\n", "stx-line"),
        (CARD, "rdm6300"),
        (b"WP-1403\x03", "line"),
    ],
)
@pytest.mark.parametrize(("parity", "mode"), [("E", "7E1"), ("O", "7O1"), ("M", "7M1"), ("S", "8N1")])
def test_seven_bits_are_recognised_by_their_parity(text, framing, parity, mode):
    plain, seen = detect_serial(text), detect_serial(with_parity(text, parity))
    assert (seen.settings.get("mode", "8N1"), seen.settings["framing"], seen.code) == (
        mode,
        framing,
        plain.code,
    )
    table = tomllib.loads(seen.toml("main", "serial", "port", "p"))["doors"]["main"]["scanners"][0]
    assert table.get("mode", "8N1") == mode


@pytest.mark.parametrize(
    ("data", "code", "encoding"),
    [
        ("Müller\r".encode("latin-1"), "Müller", "latin-1"),
        ("Müller 5 €\r".encode("cp1252"), "Müller 5 €", "cp1252"),
        ("Müller\r".encode(), "Müller", "utf-8"),
    ],
)
def test_the_encoding_is_recognised(data, code, encoding):
    seen = detect_serial(data)
    assert (seen.code, seen.settings.get("encoding", "utf-8")) == (code, encoding)
    table = tomllib.loads(seen.toml("main", "serial", "port", "p"))["doors"]["main"]["scanners"][0]
    assert table.get("encoding", "utf-8") == encoding


def test_a_line_in_a_frame_is_recognised():
    seen = detect_serial(b"\x02]E04006381333931\r\n")
    assert (seen.code, seen.settings["framing"], seen.aim) == ("4006381333931", "stx-line", "]E0")
    assert detect_serial(b"\x02WP-1403\r\n\x03").settings["framing"] == "stx-line"


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\t"])
def test_nothing(data):
    assert detect_serial(data) is None


@given(st.binary(max_size=80))
@example(b"\x02\x03")
@example(b"\x02")
@example(b"]")
def test_no_bytes_are_too_odd(data):
    found = detect_serial(data)
    assert found is None or isinstance(found, DetectedFormat | NotRecognised)
    if isinstance(found, DetectedFormat):
        assert found.code


@given(st.binary(min_size=5, max_size=5), st.sampled_from([b"", b"\r\n"]), st.binary(max_size=5))
def test_every_card_is_known_by_its_checksum(number, tail, junk):
    check = number[0] ^ number[1] ^ number[2] ^ number[3] ^ number[4]
    digits = number.hex().upper().encode() + f"{check:02X}".encode()
    frame = b"\x02" + digits + tail + b"\x03"
    seen = detect_serial(junk.replace(b"\x02", b"").replace(b"\x03", b"") + frame + frame)
    assert (seen.code, seen.settings["framing"]) == (number.hex().upper(), "id12la" if tail else "rdm6300")


LAYOUTS = all_layouts()

TYPEABLE = {
    name: sorted({levels[at] for levels in layout.keys.values() for at in (0, 1)} - {"", *SPACING_ACCENTS})
    for name, layout in LAYOUTS.items()
}


def detect_keys(events, **options):
    return detect.detect_keys(list(events), LAYOUTS, **options)


def typed(text, layout, ending=Key.ENTER):
    """The events of a scanner in this layout; no text has an accent of a dead key."""
    strokes = {}
    for level, modifier in enumerate((None, Key.LEFTSHIFT, Key.RIGHTALT)):
        for key, levels in LAYOUTS[layout].keys.items():
            strokes.setdefault(levels[level], (key, modifier))
    events = []
    for char in text:
        key, modifier = strokes[char]
        events += [(EV_KEY, modifier, PRESSED)] * (modifier is not None)
        events += [(EV_KEY, key, PRESSED), (EV_KEY, key, RELEASED)]
        events += [(EV_KEY, modifier, RELEASED)] * (modifier is not None)
    if ending:
        events += [(EV_KEY, ending, PRESSED), (EV_KEY, ending, RELEASED)]
    return [step for event in events for step in (event, (EV_SYN, SYN_REPORT, 0))]


@pytest.mark.parametrize(
    ("ending", "words"),
    [(Key.ENTER, "Enter"), (Key.KPENTER, "the keypad's Enter"), (Key.TAB, "Tab"), (None, "a silence")],
)
def test_how_keys_end(ending, words):
    seen = detect_keys(typed("4006381333931", "de", ending))[0]
    assert (seen.code, seen.settings["layout"], seen.ending) == ("4006381333931", "us", words)


def shown(found):
    return [(one.settings["layout"], one.code) for one in found]


def test_all_readings_of_differing_layouts_are_shown_the_likely_ones_first():
    found = shown(detect_keys(typed("WP-4711", "us")))
    assert found[0] == ("us", "WP-4711")
    assert ("de", "WPß4711") in found
    assert not {"gb", "br"} & {layout for layout, _ in found}, "they agree with us"
    french = shown(detect_keys(typed("WP-1403", "fr")))
    assert french[0] == ("fr", "WP-1403")
    assert ("us", "ZP6!$)#") in french


def test_a_layout_that_lacks_what_was_typed_is_left_out():
    found = detect_keys(typed("a@b", "de"))
    assert ("gb", "a@b") in shown(found)
    assert "in the layout gb (or de, ch, at, es, it, pt …)" in next(
        one.how for one in found if one.code == "a@b"
    )
    assert not {"us", "fi"} & {layout for layout, _ in shown(found)}


def test_an_identifier_in_front_is_found_in_the_layout_that_has_it():
    us, *others = detect_keys(typed("]C1WP", "us"))
    assert (us.code, us.aim) == ("WP", "]C1")
    assert ("+C1WP", None) in [(one.code, one.aim) for one in others]


def test_the_layout_whose_code_somebody_takes_is_chosen():
    seen = detect_keys(typed("WP-4711", "de"))
    assert chosen(seen, lambda code: code == "WP-4711").settings["layout"] == "de"
    assert chosen(seen, lambda _: False).settings["layout"] == "us"


def test_with_the_lamp_of_caps_lock_both_readings_are_shown():
    plain = {(one.code, one.settings.get("caps_lock")) for one in detect_keys(typed("bcd", "us"))}
    assert plain == {("bcd", None)}
    lit = {
        (one.code, one.settings.get("caps_lock")) for one in detect_keys(typed("bcd", "us"), caps_lock=True)
    }
    assert lit == {("bcd", None), ("BCD", "follow")}


def test_an_ending_by_a_control_character_or_an_arrow_is_named():
    scan = typed("1", "us", None)
    ctrl_m = [(EV_KEY, Key.LEFTCTRL, PRESSED), *typed("m", "us", None), (EV_KEY, Key.LEFTCTRL, RELEASED)]
    assert detect_keys([*scan, *ctrl_m])[0].ending == "CR"
    assert detect_keys(typed("1", "us", Key.DOWN))[0].ending == "the arrow down"


def test_dropped_events_and_unknown_keys_are_reported():
    lost = detect_keys([(EV_SYN, SYN_DROPPED, 0), (EV_SYN, SYN_REPORT, 0), *typed("4711", "us")])
    assert "dropped" in lost.what
    unknown = detect_keys([(EV_KEY, 240, PRESSED), *typed("4711", "us")])
    assert "no character" in unknown.what


def test_no_keys_are_nothing():
    assert detect_keys([]) is None
    assert detect_keys(typed("", "us")) is None


@given(
    st.sampled_from(sorted(LAYOUTS)).flatmap(
        lambda name: st.tuples(st.just(name), st.text(TYPEABLE[name], min_size=1))
    )
)
def test_the_typed_code_is_among_those_shown(given_):
    layout, text = given_
    whole = reading_of_text(text)
    found = detect_keys(typed(text, layout))
    if whole is None:  # nothing but blanks
        assert found is None
    else:
        assert any(reading_of_text(text, strip_aim=bool(one.aim)) == Code(one.code) for one in found)


@given(st.lists(st.tuples(st.sampled_from([0, 1, 4]), st.integers(0, 300), st.integers(0, 2)), max_size=40))
def test_no_keys_are_too_odd(events):
    found = detect_keys(events)
    assert found is None or found


@pytest.mark.parametrize(
    ("characters", "seconds", "by_hand"),
    [(13, 0.12, False), (13, 0.6, False), (13, 1.2, True), (1, 0.0, False), (2, 0.2, True)],
)
def test_a_person_types_slower_than_any_scanner(characters, seconds, by_hand):
    assert is_by_hand(characters, seconds) is by_hand


@pytest.mark.parametrize(
    ("seen", "table"),
    [
        (
            detect_serial(CARD, baud=115200),
            {"type": "serial", "port": 'p"\\', "baud": 115200, "framing": "rdm6300"},
        ),
        (
            detect_serial(b"]E04711\r", baud=115200),
            {"type": "serial", "port": 'p"\\', "baud": 115200, "framing": "line", "strip_aim": True},
        ),
        (detect_keys(typed("WP", "us"))[0], {"type": "evdev", "device": 'p"\\', "layout": "us"}),
        # Without an ending a silence has to end the code: longer than any gap within one.
        (
            detect_serial(b"\r4711", baud=115200),
            {"type": "serial", "port": 'p"\\', "baud": 115200, "framing": "line", "idle_ms": 100},
        ),
        (
            detect_serial(b"4711", gap_s=0.09, baud=115200),
            {"type": "serial", "port": 'p"\\', "baud": 115200, "framing": "line", "idle_ms": 300},
        ),
        (
            detect_keys(typed("WP", "us", ending=Key.LEFTSHIFT), gap_s=0.9)[0],
            {"type": "evdev", "device": 'p"\\', "layout": "us", "idle_ms": 2000},
        ),
        (
            detect_keys(typed("WP", "us", ending=Key.LEFTSHIFT))[0],
            {"type": "evdev", "device": 'p"\\', "layout": "us", "idle_ms": 500},
        ),
    ],
)
@pytest.mark.parametrize("door", ["main", "Side door", 'a"b.c'])
def test_the_settings_that_read_it_so(seen, table, door):
    key = "port" if table["type"] == "serial" else "device"
    toml = seen.toml(door, table["type"], key, 'p"\\')
    assert tomllib.loads(toml) == {"doors": {door: {"scanners": [table]}}}
