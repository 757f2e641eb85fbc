import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatectl.decision.cards import BadLine, Card, from_csv, key_of, to_csv


def anything(_card):
    return None


@pytest.mark.parametrize(
    ("code", "key"),
    [
        ("0a3f9c21", "0A3F9C21"),  # MIFARE, 4 bytes; EM4100 without its version
        ("1a00ff3cde", "1A00FF3CDE"),  # EM4100
        ("04a3b2c1d2e3f4", "04A3B2C1D2E3F4"),  # MIFARE, 7 bytes
        ("04a3b2c1d2e3f405a6b7", "04A3B2C1D2E3F405A6B7"),  # MIFARE, 10 bytes
        ("0a3f9c2", "0a3f9c2"),
        ("0a3f9c21a", "0a3f9c21a"),
        ("0a3f9c2g", "0a3f9c2g"),
        ("0a3f9c21\n", "0a3f9c21\n"),
        ("0a3f9c2٣", "0a3f9c2٣"),
        ("Anna", "Anna"),
        ("", ""),
    ],
)
def test_hex_card_numbers_compare_whatever_their_case(code, key):
    assert key_of(code) == key


@pytest.mark.parametrize("header", ["", "code,partner,member\n", "Code,Partner,MEMBER\r\n"])
def test_a_header_is_taken_or_left(header):
    text = header + 'a,wellhub,1\r\n\n"b,""c",wellpass, 2\n'
    assert from_csv(text, anything) == ([Card("a", "wellhub", "1"), Card('b,"c', "wellpass", " 2")], [])


def test_all_problems_come_at_once_with_their_lines():
    text = (
        "code,partner,member\n"
        "a,wellhub,1\n"
        "b;wellhub;2\n"
        "\n"
        "c,nobody,3\n"
        "a,wellhub,4\n"
        "a,wellhub,1\n"
        "d,wellhub,5,6\n"
    )
    cards, problems = from_csv(text, lambda card: "no such partner" if card.partner == "nobody" else None)
    assert cards == [Card("a", "wellhub", "1")]
    assert problems == [
        BadLine(3, "1 columns instead of the three code,partner,member"),
        BadLine(5, "no such partner"),
        BadLine(6, "card 'a' stands in line 2 for another member"),
        BadLine(8, "4 columns instead of the three code,partner,member"),
    ]


def test_the_same_card_in_another_case_is_the_same():
    _, problems = from_csv("0a3f9c21,wellhub,1\n0A3F9C21,wellhub,2\n", anything)
    assert [problem.line for problem in problems] == [2]


def test_quotes_that_do_not_close():
    cards, (problem,) = from_csv('a,wellhub,1\n"b,wellhub,2\n', anything)
    assert cards == [Card("a", "wellhub", "1")]
    assert problem.what.startswith("not CSV: ")


words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)


@given(st.lists(st.builds(Card, words, words, words), unique_by=lambda card: key_of(card.code)))
def test_what_is_printed_is_read_back(cards):
    assert from_csv(to_csv(cards), anything) == (cards, [])
