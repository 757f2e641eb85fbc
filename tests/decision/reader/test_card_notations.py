"""The other notations of a card: shown, found from what is printed on it, and recognised again."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatectl.decision.reader.card_notations import (
    KnownCards,
    Sample,
    fits_of,
    looks_like_card,
    notations,
    search_terms,
)
from gatectl.decision.reader.card_numbers import Conversion

EM4100 = {
    "010063E9AE": Conversion("hex"),
    "0006547886": Conversion("hex", 4, "as-read", "decimal10"),
    "6547886": Conversion("hex", 4, "as-read", "decimal"),
    "099,59822": Conversion("hex", 3, "as-read", "facility-padded"),
    "AEE9630001": Conversion("hex", 5, "reversed", "hex"),
}
"""One card in five notations."""

SIZES = (4, 5, 7, 8, 10)
SHORTEST = 6
"""Digits: shorter decimals are rather PINs than cards."""
CARDS = st.sampled_from(SIZES).flatmap(lambda size: st.binary(min_size=size, max_size=size))


def fits(*samples):
    return [fit.conversion for fit in fits_of(Sample(*sample) for sample in samples)]


def test_a_card_is_shown_in_all_its_notations():
    shown = {one.text: one.conversion for one in notations("010063E9AE")}
    assert EM4100.items() <= shown.items()
    assert notations("WP-1403") == notations("099,59822") == []


@given(CARDS)
def test_every_notation_shown_is_made_by_its_conversion(number):
    text = number.hex().upper()
    shown = notations(text)
    assert [one.text for one in shown] == [one.conversion.convert(text) for one in shown]
    assert len({one.text for one in shown}) == len(shown)


@pytest.mark.parametrize("printed", [text for text in EM4100 if text != "010063E9AE"])
def test_the_setting_is_found_from_each_notation(printed):
    assert fits(("010063E9AE", printed)) == [EM4100[printed]]


@pytest.mark.parametrize(
    ("read", "printed", "conversion"),
    [
        ("61008EB2F9", "0009351929", Conversion("hex", 4, "as-read", "decimal10")),
        ("61008EB2F9", "9351929", Conversion("hex", 4, "as-read", "decimal")),
        ("51e69621", "0563537489", Conversion("hex", 4, "reversed", "decimal10")),
        ("51e69621", "21:96:e6:51", None),
        ("51e69621", "2196E651", Conversion("hex", 4, "reversed", "hex")),
        ("51e69621", "8598,58961", Conversion("hex", 4, "reversed", "facility")),
        ("0A004D7603", "077,30211", Conversion("hex", 3, "as-read", "facility-padded")),
        ("042b73321a3180", "80311a32732b04", Conversion("hex", 7, "reversed", "hex")),
        ("042b73321a3180", "1173673668653440", Conversion("hex", 7, "as-read", "decimal")),
        ("0006547886", "099,59822", Conversion("decimal", 3, "as-read", "facility-padded")),
        ("0042954749443", "0A004D7603", Conversion("decimal", 5, "as-read", "hex")),
    ],
)
def test_settings_for_cards_from_the_field(read, printed, conversion):
    expected = conversion or Conversion("hex", 4, "reversed", "hex")
    assert expected in fits((read, printed))


@given(CARDS, st.data())
def test_a_setting_that_is_found_makes_what_is_printed(number, data):
    read = number.hex().upper()
    wanted = data.draw(st.sampled_from(notations(read)))
    found = fits((read, wanted.text))
    assert found
    assert all(conversion.convert(read) == wanted.text for conversion in found)


def test_a_card_that_does_not_say_whether_zeros_are_written():
    assert fits(("51E69621", "1374066209")) == [
        Conversion("hex", 4, "as-read", "decimal10"),
        Conversion("hex", 4, "as-read", "decimal"),
    ]
    with_zeros, without = ("010063E9AE", "0006547886"), ("010063E9AE", "6547886")
    assert fits(("0151E69621", "1374066209"), with_zeros) == [Conversion("hex", 4, "as-read", "decimal10")]
    assert fits(("0151E69621", "1374066209"), without) == [Conversion("hex", 4, "as-read", "decimal")]


def test_a_number_that_is_the_same_from_both_ends_does_not_show_the_order():
    orders = [conversion.order for conversion in fits(("A1B2B2A1", "2712842913"), ("A1B2B2A1", "2712842913"))]
    assert set(orders) == {"as-read", "reversed"}


@pytest.mark.parametrize(
    ("read", "printed", "comes"),
    [
        ("0A004D7603", "0042954749443", "42954749443"),
        ("0A004D7603", "07730211", "077,30211"),
        ("0A004D7603", "77 30211", "77,30211"),
        ("010063E9AE", "006547886", "0006547886"),
    ],
)
def test_a_padding_that_no_setting_writes(read, printed, comes):
    (fit,) = fits_of([Sample(read, printed)])
    assert fit.is_exact is False
    assert fit.conversion.convert(read).lstrip("0") == comes.lstrip("0")


@pytest.mark.parametrize("printed", ["1234567", "", "x", "099,59823", "0" * 30])
def test_numbers_that_are_no_notation_of_the_card(printed):
    assert fits(("010063E9AE", printed)) == []


@given(st.text(), st.text())
def test_any_text_may_be_read_and_printed(read, printed):
    for fit in fits_of([Sample(read, printed)]):
        assert fit.conversion.convert(read) != read or read == printed


# --- Recognised again -----------------------------------------------------------------------------


@given(CARDS)
@example(b"\x04\x00\x00\x12\x34\x56\x78")  # its hex digits are all decimal
def test_a_card_is_recognised_in_every_notation(number):
    read = number.hex().upper()
    for one in notations(read)[1:]:
        if len(one.text) >= SHORTEST:
            assert KnownCards([one.text]).others(read) == [one.text]
            assert KnownCards([read]).others(one.text) == [read]


def test_another_notation_is_recognised_and_the_same_one_is_no_other():
    known = KnownCards(["0006547886", "51e69621", "WP-1403", "1234567890123", "4711"])
    assert known.others("010063E9AE") == known.others("099,59822") == ["0006547886"]
    assert known.others("0563537489") == ["51e69621"]
    assert known.others("51:E6:96:21") == known.others("0006547886") == []
    for stranger in ("WP-1404", "1234567890124", "4711", "1267", "020063E9AF"):
        assert known.others(stranger) == []


@pytest.mark.parametrize("searched", EM4100)
@pytest.mark.parametrize("stored", EM4100)
def test_a_search_finds_every_notation(searched, stored):
    if searched != stored:
        assert search_terms(searched).fit(stored)


def test_a_search_for_what_is_no_card_has_no_more_terms():
    for text in ("1234567890123", "WP-1403", "4711", ""):
        assert search_terms(text) == search_terms("x")
        assert not looks_like_card(text)
