from __future__ import annotations

import contextlib
import string
from typing import get_args

import pytest
from evdev import ecodes
from hypothesis import given
from hypothesis import strategies as st

from gatectl.decision.reader import keys
from gatectl.decision.reader.keymap import Key, LayoutName, key_name
from gatectl.decision.reader.keys import KeyDecoder
from gatectl.decision.reader.reading import MAX_CHARS, Code, Dropped, DropReason
from gatectl.devices.reader.layouts import layout_of
from gatectl.sim.virtual_scanners import VirtualKeyboard

LOST = Dropped(DropReason.LOST)
UNKNOWN = Dropped(DropReason.KEY)
REPORT = (ecodes.EV_SYN, ecodes.SYN_REPORT, 0)
DROPPED = (ecodes.EV_SYN, ecodes.SYN_DROPPED, 0)


def down(name):
    return (ecodes.EV_KEY, ecodes.ecodes[f"KEY_{name}"], 1)


def up(name):
    return (ecodes.EV_KEY, ecodes.ecodes[f"KEY_{name}"], 0)


def taps(*names):
    return [event for name in names for event in (down(name), REPORT, up(name), REPORT)]


def held(modifier, *events):
    return [down(modifier), REPORT, *events, up(modifier), REPORT]


def typed(layout, *events, caps_lock=None):
    """The text of these events, ended by an Enter."""
    return KeyDecoder(layout_of(layout), caps_lock=caps_lock).feed([*events, *taps("ENTER")])


def test_the_numbers_are_the_kernels():
    assert {key.name: int(key) for key in Key} == {key.name: ecodes.ecodes[f"KEY_{key.name}"] for key in Key}
    assert (keys.EV_SYN, keys.EV_KEY) == (ecodes.EV_SYN, ecodes.EV_KEY)
    assert (keys.SYN_REPORT, keys.SYN_DROPPED) == (ecodes.SYN_REPORT, ecodes.SYN_DROPPED)


# Name of the key, then what it types alone, with Shift, with AltGr.
US = """
GRAVE ` ~
1 1 !   2 2 @   3 3 #   4 4 $   5 5 %   6 6 ^   7 7 &   8 8 *   9 9 (   0 0 )   MINUS - _   EQUAL = +
Q q Q   W w W   E e E   R r R   T t T   Y y Y   U u U   I i I   O o O   P p P   LEFTBRACE [ {   RIGHTBRACE ] }
A a A   S s S   D d D   F f F   G g G   H h H   J j J   K k K   L l L   SEMICOLON ; :   APOSTROPHE ' "
Z z Z   X x X   C c C   V v V   B b B   N n N   M m M   COMMA , <   DOT . >   SLASH / ?   BACKSLASH \\ |
102ND < >
"""
DE = """
GRAVE ^ °
1 1 !   2 2 " ²   3 3 § ³   4 4 $   5 5 %   6 6 &   7 7 / {   8 8 ( [   9 9 ) ]   0 0 = }   MINUS ß ? \\
EQUAL ´ `
Q q Q @   W w W   E e E €   R r R   T t T   Y z Z   U u U   I i I   O o O   P p P
LEFTBRACE ü Ü   RIGHTBRACE + * ~
A a A   S s S   D d D   F f F   G g G   H h H   J j J   K k K   L l L   SEMICOLON ö Ö   APOSTROPHE ä Ä
Z y Y   X x X   C c C   V v V   B b B   N n N   M m M µ   COMMA , ;   DOT . :   SLASH - _   BACKSLASH # '
102ND < > |
"""  # noqa: RUF001 - the layout has an acute accent


@pytest.mark.parametrize(("layout", "table"), [("us", US), ("de", DE)])
def test_every_key_types_its_character(layout, table):
    rows = [cap.split() for line in table.split("\n") for cap in line.strip().split("   ") if cap]
    assert len(rows) == 48
    for name, plain, shifted, *third in rows:
        assert typed(layout, *taps(name)) == [Code(plain)], name
        assert typed(layout, *held("LEFTSHIFT", *taps(name))) == [Code(shifted)], name
        assert typed(layout, *held("RIGHTSHIFT", *taps(name))) == [Code(shifted)], name
        if third or layout == "us":
            altgr = [Code(third[0])] if third else [UNKNOWN]
            assert typed(layout, *held("RIGHTALT", *taps(name))) == altgr, name
    assert typed(layout, *taps("1", "SPACE", "2")) == [Code("1 2")]


@pytest.mark.parametrize("layout", get_args(LayoutName))
def test_every_printable_ascii_character_comes_back(layout):
    text = string.digits + " " + string.ascii_letters + string.punctuation
    assert len(text) == 95
    with VirtualKeyboard(layout) as keyboard, contextlib.closing(keyboard.connect("")) as source:
        decoder = KeyDecoder(layout_of(layout))
        keyboard.type_code(text)
        readings = []
        while not readings:
            readings = decoder.feed(source.read())
    assert readings == [Code(text)]


@pytest.mark.parametrize("ending", ["ENTER", "KPENTER", "TAB", "UP", "DOWN", "LEFT", "RIGHT"])
def test_keys_that_end_a_code(ending):
    decoder = KeyDecoder(layout_of("us"))
    assert decoder.feed(taps("1", "2")) == []
    assert decoder.pending
    assert decoder.feed(taps(ending)) == [Code("12")]
    assert not decoder.pending
    assert decoder.feed(taps(ending, ending)) == []


def test_a_silence_ends_a_code():
    decoder = KeyDecoder(layout_of("us"))
    assert decoder.silence() == []
    assert decoder.feed(taps("1", "2")) == []
    assert decoder.silence() == [Code("12")]
    assert not decoder.pending


def test_caps_lock_inverts_letters_and_nothing_else():
    scan = taps("A", "1", "SEMICOLON", "MINUS")
    assert typed("us", *taps("CAPSLOCK"), *scan) == [Code("A1;-")]
    assert typed("us", *scan, caps_lock=True) == [Code("A1;-")]
    assert typed("us", *taps("CAPSLOCK"), *scan, caps_lock=True) == [Code("a1;-")]
    assert typed("us", *taps("CAPSLOCK"), *held("LEFTSHIFT", *scan)) == [Code("a!:_")]
    assert typed("us", *taps("A", "CAPSLOCK", "A", "CAPSLOCK", "A")) == [Code("aAa")]
    assert typed("de", *scan, caps_lock=True) == [Code("A1Öẞ")]
    assert typed("de", *held("RIGHTALT", *taps("Q", "E")), caps_lock=True) == [Code("@€")]


def test_caps_lock_stays_from_code_to_code():
    decoder = KeyDecoder(layout_of("us"))
    assert decoder.feed(taps("CAPSLOCK", "A", "ENTER", "A", "ENTER")) == [Code("A"), Code("A")]


KEYPAD = ["KP0", "KP1", "KP2", "KP3", "KP4", "KP5", "KP6", "KP7", "KP8", "KP9"]
KEYPAD += ["KPPLUS", "KPMINUS", "KPASTERISK", "KPSLASH", "KPEQUAL", "KPCOMMA", "KPDOT"]


@pytest.mark.parametrize(("layout", "decimal"), [("us", "."), ("de", ",")])
def test_the_keypad_types_digits_in_any_state_of_num_lock_and_shift(layout, decimal):
    text = "0123456789+-*/=." + decimal
    assert typed(layout, *taps(*KEYPAD)) == [Code(text)]
    assert typed(layout, *held("LEFTSHIFT", *taps(*KEYPAD)), caps_lock=True) == [Code(text)]
    locked = [name for key in KEYPAD for name in ("NUMLOCK", key)]
    assert typed(layout, *taps(*locked)) == [Code(text)]


def test_a_key_is_one_character_however_long_it_is_held():
    assert typed("us", down("1"), *[(ecodes.EV_KEY, ecodes.KEY_1, 2)] * 5, up("1")) == [Code("1")]
    assert typed("us", down("CAPSLOCK"), (ecodes.EV_KEY, ecodes.KEY_CAPSLOCK, 2), *taps("A")) == [Code("A")]


def test_either_shift_counts_until_both_are_up():
    events = [
        down("LEFTSHIFT"),
        down("RIGHTSHIFT"),
        up("LEFTSHIFT"),
        *taps("A"),
        up("RIGHTSHIFT"),
        *taps("A"),
    ]
    assert typed("us", *events) == [Code("Aa")]


@pytest.mark.parametrize(
    "events",
    [
        taps("1", "INSERT", "2"),
        taps("DELETE"),
        taps("1", "BACKSPACE", "2"),
        [*taps("1"), (ecodes.EV_KEY, ecodes.BTN_LEFT, 1)],
        [*taps("1"), *held("RIGHTCTRL", *taps("2"))],
        [*taps("1"), *held("LEFTALT", *taps("A"))],
        [*taps("1"), *held("LEFTALT", *taps("KP6", "KP5", "A"))],
        [*taps("1"), *held("LEFTALT", *taps("KP9", "KP9", "KP9"))],
        [*taps("1"), *held("LEFTALT", *taps("KP0", "KP1", "KP2", "KP9"))],  # no character of Windows-1252
        [*taps("1"), *held("LEFTALT", *taps("KP1", "KP0", "KP0", "KP0", "KP0"))],
        [*taps("1"), *held("LEFTMETA", *taps("R"))],
        [*taps("1"), *held("RIGHTALT", *taps("INSERT"))],
    ],
)
@pytest.mark.parametrize("layout", ["us", "de"])
def test_a_key_without_a_character_spoils_the_code_once(layout, events):
    decoder = KeyDecoder(layout_of(layout))
    assert decoder.feed(events) == []
    assert decoder.pending
    assert decoder.feed(taps("3", "ENTER", "4", "ENTER")) == [UNKNOWN, Code("4")]
    assert decoder.feed([*events, *events, *taps("3", "ENTER")]) == [UNKNOWN]


@pytest.mark.parametrize(
    ("events", "detail"),
    [
        (taps("1", "INSERT", "HOME"), "key 110 (Insert)"),
        (held("LEFTCTRL", *held("RIGHTSHIFT", *taps("1"))), "Ctrl + Shift + key 2"),
        (held("LEFTALT", *taps("KP9", "KP9", "KP9")), "Alt 999"),
        ([down("LEFTALT"), *taps("KP5")], "Alt 5, without its end"),
        (taps("MUTE"), "key 113"),
    ],
)
def test_the_key_that_types_nothing_is_named(events, detail):
    (dropped,) = typed("us", *events)
    assert dropped.detail == detail


def test_the_names_of_keys_are_those_of_the_kernels_numbers():
    for name in ("BACKSPACE", "HOME", "END", "INSERT", "DELETE", "PAUSE"):
        assert key_name(ecodes.ecodes[f"KEY_{name}"]).endswith(f"({name.capitalize()})")
    spaced = {"SCROLLLOCK": "Scroll Lock", "SYSRQ": "Print", "PAGEUP": "Page Up", "PAGEDOWN": "Page Down"}
    for name, shown in spaced.items():
        assert key_name(ecodes.ecodes[f"KEY_{name}"]).endswith(f"({shown})")


def test_a_spoilt_code_ends_at_a_silence_too():
    decoder = KeyDecoder(layout_of("us"))
    assert decoder.feed(taps("1", "INSERT", "2")) == []
    assert decoder.silence() == [UNKNOWN]
    assert decoder.feed(taps("3", "ENTER")) == [Code("3")]


def test_modifiers_alone_are_nothing():
    assert typed("de", *taps("LEFTSHIFT", "LEFTCTRL", "LEFTALT", "RIGHTALT", "LEFTMETA", "NUMLOCK")) == []


def test_other_kinds_of_events_are_nothing():
    scan = [(ecodes.EV_MSC, ecodes.MSC_SCAN, 458_782), (ecodes.EV_LED, ecodes.LED_CAPSL, 1), *taps("1")]
    assert typed("us", *scan) == [Code("1")]


def test_dropped_events_spoil_the_code_once():
    decoder = KeyDecoder(layout_of("us"))
    assert (
        decoder.feed([*taps("1", "INSERT"), DROPPED, *taps("2"), DROPPED, REPORT, *taps("3", "INSERT")]) == []
    )
    assert decoder.pending
    assert decoder.feed(taps("ENTER", "4", "ENTER")) == [LOST, Code("4")]


def test_dropped_events_spoil_the_code_up_to_a_silence():
    decoder = KeyDecoder(layout_of("us"))
    assert decoder.feed([*taps("1"), DROPPED, REPORT, *taps("2")]) == []
    assert decoder.silence() == [LOST]
    assert decoder.feed(taps("3", "ENTER")) == [Code("3")]


def test_nothing_counts_between_the_drop_and_the_next_report():
    decoder = KeyDecoder(layout_of("us"))
    other = (ecodes.EV_SYN, ecodes.SYN_MT_REPORT, 0)
    stale = [DROPPED, other, down("ENTER"), up("ENTER"), down("CAPSLOCK"), down("LEFTSHIFT")]
    assert decoder.feed(stale) == []
    assert decoder.feed([REPORT, *taps("ENTER", "A", "ENTER")]) == [LOST, Code("a")]


def test_no_key_is_held_after_a_drop():
    decoder = KeyDecoder(layout_of("us"))
    decoder.feed([down("LEFTSHIFT"), DROPPED, REPORT])
    assert decoder.feed(taps("ENTER", "A", "ENTER")) == [LOST, Code("a")]
    decoder.feed([DROPPED, REPORT, down("RIGHTSHIFT")])
    assert decoder.feed(taps("ENTER", "A", "ENTER")) == [LOST, Code("A")]


def test_a_code_that_does_not_end_in_time_is_given_up_whole():
    decoder = KeyDecoder(layout_of("us"))
    assert decoder.give_up() == []
    decoder.feed(taps("1", "2"))
    assert decoder.give_up() == [Dropped(DropReason.INCOMPLETE)]
    assert decoder.give_up() == []
    assert decoder.feed(taps("3", "ENTER", "4", "ENTER")) == [Code("4")]
    decoder.feed(taps("1", "2"))
    decoder.give_up()
    assert decoder.silence() == []  # a pause: what follows is another code
    assert decoder.feed(taps("4", "ENTER")) == [Code("4")]
    decoder.feed(taps("1", "INSERT"))
    assert decoder.give_up() == [UNKNOWN]  # the flaw that is known says more


def test_each_code_that_begins_is_counted_once():
    decoder = KeyDecoder(layout_of("us"))
    counts = []
    for event in [
        *taps("CAPSLOCK", "LEFTSHIFT", "1", "2", "ENTER", "INSERT", "3", "ENTER", "ENTER"),
        DROPPED,
    ]:
        decoder.feed([event])
        counts.append(decoder.begun)
    assert counts[:8] == [0] * 8  # modifiers begin nothing; a tap is two events and two reports
    assert counts[-1] == 3
    assert counts == sorted(counts)


def test_blanks_around_what_was_typed_are_taken_off():
    assert typed("us", *taps("SPACE", "1", "SPACE", "2", "SPACE")) == [Code("1 2")]
    assert typed("us", *taps("SPACE")) == []


def alt(digits, alt_key="LEFTALT"):
    return held(alt_key, *taps(*(f"KP{digit}" for digit in digits)))


@pytest.mark.parametrize("layout", ["us", "de", "fr"])
@pytest.mark.parametrize(
    ("digits", "char"),
    [("052", "4"), ("52", "4"), ("0252", "ü"), ("252", "ⁿ"), ("129", "ü"), ("0128", "€"), ("065", "A")],
)
def test_alt_and_the_digits_of_the_keypad_type_a_character_by_its_number(layout, digits, char):
    assert typed(layout, *alt(digits), *taps("KP1")) == [Code(char + "1")]
    with_num_lock = [*taps("NUMLOCK"), *alt(digits)]
    assert typed(layout, *with_num_lock, *with_num_lock) == [Code(char * 2)]


def test_the_digits_of_a_number_may_come_in_one_report():
    burst = [down("LEFTALT"), down("KP0"), down("KP5"), down("KP2"), REPORT]
    ends = [up("KP0"), up("KP5"), up("KP2"), up("LEFTALT"), REPORT]
    assert typed("us", *burst, *ends, *burst, *ends) == [Code("44")]


def test_the_right_alt_counts_where_it_is_no_altgr():
    assert typed("us", *alt("65", "RIGHTALT")) == [Code("A")]
    assert typed("de", *alt("65", "RIGHTALT")) != [Code("A")]


@pytest.mark.parametrize(
    ("events", "readings"),
    [
        (alt("013"), [Code("1"), Code("2")]),
        (alt("029"), [Dropped(DropReason.CONTROL)]),
        (held("LEFTCTRL", *taps("M")), [Code("1"), Code("2")]),
        (held("LEFTCTRL", *held("LEFTSHIFT", *taps("M"))), [Code("1"), Code("2")]),
        (held("RIGHTCTRL", *taps("J")), [Code("1"), Code("2")]),
        (held("LEFTCTRL", *taps("I")), [Code("1"), Code("2")]),
        (held("LEFTCTRL", *taps("C")), [Code("1"), Code("2")]),
        (held("LEFTCTRL", *taps("RIGHTBRACE")), [Dropped(DropReason.CONTROL)]),
        (held("LEFTCTRL", *held("LEFTSHIFT", *taps("RIGHTBRACE"))), [Dropped(DropReason.CONTROL)]),
    ],
)
def test_control_characters_end_a_code_or_spoil_it_as_bytes_do(events, readings):
    found = typed("us", *taps("1"), *events, *taps("2"))
    assert found == readings
    assert {one.detail for one in found if isinstance(one, Dropped)} <= {"byte 0x1D"}


def test_ctrl_counts_by_the_letter_of_the_layout():
    assert typed("fr", *taps("Q"), *held("LEFTCTRL", *taps("SEMICOLON")), *taps("Q")) == [
        Code("a"),
        Code("a"),
    ]
    # The Turkish key of i, whose capital is none of ASCII.
    assert typed("tr", *taps("1"), *held("LEFTCTRL", *taps("APOSTROPHE")), *taps("2")) == [
        Code("1"),
        Code("2"),
    ]


def test_ctrl_with_alt_is_altgr():
    at = held("LEFTCTRL", *held("LEFTALT", *taps("Q")))
    assert typed("de", *taps("A"), *at, *taps("B")) == [Code("a@b")]
    assert typed("us", *taps("A"), *at, *taps("B")) == [UNKNOWN]


def test_keys_in_front_that_mean_nothing():
    front = taps("ESC", *[f"F{number}" for number in range(1, 25)])
    assert typed("us", *front) == []
    assert typed("us", *front, *taps("1", "F5", "2")) == [Code("12")]


@pytest.mark.parametrize(
    ("layout", "keys", "text"),
    [
        ("fr", taps("LEFTBRACE", "E"), "ê"),
        ("fr", taps("LEFTBRACE", "SPACE", "E"), "^e"),
        ("fr", taps("LEFTBRACE", "1"), "^&"),
        ("fr", taps("LEFTBRACE", "LEFTBRACE"), "^^"),
        ("fr", [*held("LEFTSHIFT", *taps("LEFTBRACE")), *held("LEFTSHIFT", *taps("I"))], "Ï"),
        ("es", taps("APOSTROPHE", "A"), "á"),
        ("pt", taps("BACKSLASH", "N"), "ñ"),
        ("de", taps("GRAVE"), "^"),
        ("cz", [*held("LEFTSHIFT", *taps("EQUAL")), *taps("C")], "č"),
    ],
)
def test_an_accent_joins_the_next_letter(layout, keys, text):
    assert typed(layout, *keys) == [Code(text)]
    decoder = KeyDecoder(layout_of(layout))
    assert decoder.feed(keys) == []
    assert decoder.pending
    assert decoder.begun == 1
    assert decoder.silence() == [Code(text)]


def lamp(*, on):
    return [(ecodes.EV_LED, ecodes.LED_CAPSL, int(on)), REPORT]


def test_the_lamp_counts_for_a_scanner_that_follows_it_alone():
    scan = [*taps("A"), *lamp(on=True), *taps("A"), *lamp(on=False), *taps("A")]
    assert typed("us", *scan) == [Code("aaa")]
    assert typed("us", *scan, caps_lock=False) == [Code("aAa")]
    assert typed("us", *taps("A"), *lamp(on=False), *taps("A"), caps_lock=True) == [Code("Aa")]


def test_too_long_a_code_is_dropped_once():
    assert typed("us", *taps(*["1"] * MAX_CHARS)) == [Code("1" * MAX_CHARS)]
    decoder = KeyDecoder(layout_of("us"))
    for _ in range(10):
        assert decoder.feed(taps(*["1"] * MAX_CHARS)) == []
        assert len(decoder._text) < 2 * MAX_CHARS  # flat memory
    assert decoder.feed(taps("ENTER", "2", "ENTER")) == [Dropped(DropReason.TOO_LONG), Code("2")]


def test_the_longest_code_behind_an_aim_prefix():
    prefix, ending = taps("RIGHTBRACE", "E", "0"), taps("ENTER")
    for length, reading in (
        (MAX_CHARS, Code("1" * MAX_CHARS)),
        (MAX_CHARS + 1, Dropped(DropReason.TOO_LONG)),
    ):
        decoder = KeyDecoder(layout_of("us"), strip_aim=True)
        assert decoder.feed([*prefix, *taps(*["1"] * length), *ending]) == [reading]


NAMES = st.sampled_from(
    [
        *("1", "A", "Q", "GRAVE", "INSERT", "F5", "LEFTSHIFT", "LEFTALT", "RIGHTALT", "LEFTCTRL"),
        *("CAPSLOCK", "NUMLOCK", "ENTER", "DOWN", "KP0", "KP7"),
    ]
)
EVENTS = st.lists(
    st.one_of(
        st.tuples(
            st.just(ecodes.EV_KEY), NAMES.map(lambda name: ecodes.ecodes[f"KEY_{name}"]), st.integers(0, 2)
        ),
        st.sampled_from([REPORT, DROPPED]),
        st.tuples(st.integers(0, 0x1F), st.integers(0, 0x2FF), st.integers(-(2**31), 2**31 - 1)),
    ),
    max_size=60,
)


@pytest.mark.parametrize("layout", ["us", "de", "fr"])
@given(events=EVENTS, at=st.integers(0, 60))
def test_any_split_of_any_events_gives_the_same_readings(layout, events, at):
    whole, split = KeyDecoder(layout_of(layout)), KeyDecoder(layout_of(layout))
    readings = split.feed(events[:at]) + split.feed(events[at:]) + split.silence()
    assert readings == whole.feed(events) + whole.silence()
    assert not split.pending
