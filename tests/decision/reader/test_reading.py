from __future__ import annotations

import unicodedata

import pytest

from gatectl.decision.reader.reading import MAX_CHARS, Code, Dropped, DropReason, reading_of, reading_of_text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"1234567890123", "1234567890123"),
        (b" blanks  between stay ", "blanks  between stay"),
        ("\ufeffWP-1403".encode(), "WP-1403"),
        ("\u3000\u00a0 \ufeff1\ufeff2\ufeff\u2028".encode(), "1\ufeff2"),
        (b" " + b"x" * MAX_CHARS + b"  ", "x" * MAX_CHARS),
        ("Müller-€-😀".encode(), "Müller-€-😀"),
        (b"]C1", "]C1"),
        (b"]C1234", "]C1234"),
        ("\u200bzero width".encode(), "\u200bzero width"),
        (("😀" * MAX_CHARS).encode(), "😀" * MAX_CHARS),
    ],
)
def test_text_is_a_code_as_it_was_sent(raw, text):
    assert reading_of(raw) == Code(text)


@pytest.mark.parametrize(
    ("raw", "flaw"),
    [
        (b"12\xff34", DropReason.UNDECODABLE),
        (b"\xc3", DropReason.UNDECODABLE),
        (b"\xed\xa0\x80", DropReason.UNDECODABLE),
        (b"12\x0034", DropReason.CONTROL),
        (b"12\x7f", DropReason.CONTROL),
        ("12\x85".encode(), DropReason.CONTROL),
        (b"x" * (MAX_CHARS + 1), DropReason.TOO_LONG),
        (b"x" * 1_000_000, DropReason.TOO_LONG),
        (("ü" * (MAX_CHARS + 1)).encode(), DropReason.TOO_LONG),
    ],
)
def test_texts_that_are_no_code_are_dropped_with_their_flaw(raw, flaw):
    assert reading_of(raw) == Dropped(flaw)


@pytest.mark.parametrize(
    ("raw", "detail"), [(b"12\xff34", "byte 0xFF"), (b"12\x1d34", "byte 0x1D"), (b"\xb0\xae", "byte 0xB0")]
)
def test_the_byte_that_cannot_be_read_is_named(raw, detail):
    assert reading_of(raw).detail == detail


def test_every_control_character_and_no_other_spoils_a_code():
    for number in range(0x3000):
        char = chr(number)
        control = number < 32 or 127 <= number < 160
        assert reading_of_text(f"a{char}b") == (Dropped(DropReason.CONTROL) if control else Code(f"a{char}b"))


@pytest.mark.parametrize(
    ("raw", "reading"),
    [
        (b"]E04012345678901", Code("4012345678901")),
        (b"]C1ABC", Code("ABC")),
        (b"]Q3]Q3ABC", Code("]Q3ABC")),
        (b"]d\xe2\x82\xacABC", Code("ABC")),
        (b"]E", Code("]E")),
        (b"]1AB", Code("]1AB")),
        ("]üAB".encode(), Code("]üAB")),
        (b"X]C1", Code("X]C1")),
        (b"\xef\xbb\xbf ]E0 123 ", Code("123")),
        (b"]E0\xef\xbb\xbf123", Code("123")),
        (b"]E0 ", None),
        (b" \xef\xbb\xbf ", None),
        (b"]E0", None),
        (b"", None),
        (b"]E\n123", Dropped(DropReason.CONTROL)),
        (b"]E0" + b"x" * MAX_CHARS, Code("x" * MAX_CHARS)),
        (b"]E0" + b"x" * (MAX_CHARS + 1), Dropped(DropReason.TOO_LONG)),
        (("]E😀" + "😀" * MAX_CHARS).encode(), Code("😀" * MAX_CHARS)),
    ],
)
def test_an_aim_prefix_is_stripped_where_that_is_set(raw, reading):
    assert reading_of(raw, strip_aim=True) == reading


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ID:4711#", "4711"),
        (" ID:4711# ", "4711"),
        ("ID:ID:4711##", "ID:4711#"),  # once
        ("4711", "4711"),
        ("ID:", None),
        ("ID:]E04711#", "4711"),
        ("]E0ID:4711#", "4711"),
        ("ID: 4711 #", "4711"),
        ("ID:ID:]E04711", "ID:]E04711"),
        ("ID:]E0ID:4711", "ID:4711"),
    ],
)
def test_a_prefix_and_a_suffix_are_taken_off_once_where_they_are(text, code):
    reading = reading_of_text(text, strip_aim=True, strip_prefix="ID:", strip_suffix="#")
    assert reading == (None if code is None else Code(code))


@pytest.mark.parametrize(
    ("encoding", "raw", "reading"),
    [
        ("latin-1", b"M\xfcller", Code("Müller")),
        ("latin-1", b"5\x80", Dropped(DropReason.CONTROL)),
        ("cp1252", b"5\x80", Code("5€")),
        ("cp1252", b"5\x81", Dropped(DropReason.UNDECODABLE)),
        ("ascii", b"M\xfcller", Dropped(DropReason.UNDECODABLE)),
        ("ascii", b"4711", Code("4711")),
    ],
)
def test_encodings(encoding, raw, reading):
    assert reading_of(raw, encoding=encoding) == reading


def test_every_blank_of_unicode_is_taken_off_around_a_code_and_nothing_else_is():
    for number in (*range(0xD800), *range(0xE000, 0x110000)):
        char = chr(number)
        if unicodedata.category(char) != "Cc":
            blank = char.isspace() or char == "\ufeff"
            assert reading_of_text(f"{char}a{char}") == Code("a" if blank else f"{char}a{char}")
