"""Card numbers in the notation of the reader, turned into the gym's."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatectl.decision.reader.card_numbers import BYTES_MAX, Conversion

NUMBERS = st.binary(min_size=3, max_size=BYTES_MAX)
SIZES = st.none() | st.integers(1, BYTES_MAX)


def converted(text, read="hex", size=None, order="as-read", write="as-read"):
    return Conversion(read, size, order, write).convert(text)


@pytest.mark.parametrize(
    ("read", "size", "order", "write", "comes"),
    [
        ("hex", None, "as-read", "as-read", "010063e9ae"),
        ("hex", None, "as-read", "hex", "010063E9AE"),
        ("hex", 5, "as-read", "as-read", "010063e9ae"),
        ("hex", 4, "as-read", "as-read", "0063E9AE"),
        ("hex", 3, "as-read", "hex", "63E9AE"),
        ("hex", 5, "reversed", "as-read", "AEE9630001"),
        ("hex", 4, "reversed", "hex", "AEE96300"),
        ("hex", 4, "as-read", "decimal", "6547886"),
        ("hex", 4, "as-read", "decimal10", "0006547886"),
        ("hex", 5, "as-read", "decimal10", "4301515182"),
        ("hex", 3, "as-read", "facility", "99,59822"),
        ("hex", 3, "as-read", "facility-padded", "099,59822"),
        ("hex", 4, "as-read", "facility-padded", "099,59822"),
        ("hex", 5, "as-read", "facility-padded", "099,59822"),
        ("hex", None, "as-read", "facility", "99,59822"),
        ("hex", 2, "as-read", "decimal", "59822"),
        ("decimal", 4, "as-read", "hex", "010063e9ae"),  # it is no decimal
    ],
)
def test_the_notations_of_one_card(read, size, order, write, comes):
    assert converted("010063e9ae", read, size, order, write) == comes


@pytest.mark.parametrize(
    ("text", "conversion", "comes"),
    [
        ("042b73321a3180", Conversion("hex", 7, "reversed", "hex"), "80311A32732B04"),
        ("042b73321a3180", Conversion("hex", None, "as-read", "decimal"), "1173673668653440"),
        ("1173673668653440", Conversion("decimal", 7, "as-read", "hex"), "042B73321A3180"),
        ("51:E6-96 21", Conversion("hex", 4, "reversed", "decimal10"), "0563537489"),
        ("0563537489", Conversion("decimal", 4, "reversed", "hex"), "51E69621"),
        ("51E69621", Conversion("hex", 4, "as-read", "facility"), "20966,38433"),
        ("51E69621", Conversion("hex", None, "as-read", "facility"), "230,38433"),
        ("0042954749443", Conversion("decimal", 5, "as-read", "hex"), "0A004D7603"),
        ("0042954749443", Conversion("decimal", 4, "as-read", "as-read"), "0000005076483"),
        ("42954749443", Conversion("decimal", 4, "as-read", "as-read"), "5076483"),
        ("0005076483", Conversion("decimal", 4, "as-read", "as-read"), "0005076483"),
        ("5076483", Conversion("decimal", None, "reversed", "hex"), "03764D00"),
        ("3405691582", Conversion("decimal", None, "reversed", "hex"), "BEBAFECA"),  # four bytes, all used
        ("000063e9ae", Conversion("hex", 4, "as-read", "as-read"), "0063E9AE"),
    ],
)
def test_cards_from_the_field(text, conversion, comes):
    assert conversion.convert(text) == comes


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("WP-1403", "hex"),
        ("1234567890123", "hex"),  # 13 digits are no whole bytes
        ("12AB", "hex"),  # a card has three bytes or more
        ("AA" * 11, "hex"),
        ("01::02:03", "hex"),
        ("099,59822", "decimal"),
        ("-1", "decimal"),
        ("1" * 26, "decimal"),
        (str(256**10), "decimal"),
        ("٣٤٥٦٧٨", "decimal"),
        ("", "decimal"),
    ],
)
@pytest.mark.parametrize("write", ["hex", "decimal10", "facility-padded", "as-read"])
def test_other_texts_are_unchanged(text, read, write):
    assert converted(text, read, 4, "reversed", write) == text


@given(text=st.text(), read=st.sampled_from(["hex", "decimal"]), size=SIZES)
def test_without_an_order_and_a_notation_no_whole_number_changes(text, read, size):
    assert converted(text, read, None) == text
    again = converted(converted(text, read, size), read, size)
    assert again == converted(text, read, size), "what was cut once stays"


@given(NUMBERS)
def test_reversed_twice_is_the_same(number):
    text = number.hex().upper()
    assert converted(converted(text, order="reversed"), order="reversed") == text


@given(NUMBERS)
@example(b"\0\0\0")
@example(b"\xff" * 10)
def test_to_decimal_and_back(number):
    text = number.hex().upper()
    for write in ("decimal", "decimal10"):
        decimal = converted(text, write=write)
        assert decimal.isdigit()
        assert converted(decimal, "decimal", len(number), write="hex") == text
        assert converted(decimal, "decimal", len(number), "reversed", "hex") == number[::-1].hex().upper()


@given(st.binary(min_size=4, max_size=4))
def test_facility_and_number_hold_the_same_bits(number):
    for size, bits in ((3, 24), (4, 32)):
        facility, low = converted(number.hex(), size=size, write="facility").split(",")
        assert int(facility) << 16 | int(low) == int.from_bytes(number) & (1 << bits) - 1
        padded = converted(number.hex(), size=size, write="facility-padded").split(",")
        assert [int(part) for part in padded] == [int(facility), int(low)]
        assert (len(padded[0]) >= 3, len(padded[1])) == (True, 5)
