import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatectl.cli.cards import Enrolment, from_csv, to_csv
from gatectl.decision.cards import Card, key_of
from gatectl.decision.spreadsheet import BadLine, NotTextError, decoded, plain, protected, shortened


def anything(_card):
    return None


@pytest.mark.parametrize(
    ("code", "key"),
    [
        ("0a3f9c21", "0A3F9C21"),  # MIFARE, 4 bytes; EM4100 without its version
        ("1a00ff3cde", "1A00FF3CDE"),  # EM4100
        ("04a3b2c1d2e3f4", "04A3B2C1D2E3F4"),  # MIFARE, 7 bytes
        ("04a3b2c1d2e3f405a6b7", "04A3B2C1D2E3F405A6B7"),  # MIFARE, 10 bytes
        ("04a3b2", "04A3B2"),  # 26-bit Wiegand
        ("e004015012345678", "E004015012345678"),  # ISO 15693
        ("e0:04:01:50:12:34:56:78", "E004015012345678"),
        ("04-a3-b2-c1", "04A3B2C1"),
        ("04 A3 b2 c1", "04A3B2C1"),
        ("04a3-b2c1", "04A3B2C1"),
        ("0a3f9c2", "0a3f9c2"),
        ("0a3f9c21a", "0a3f9c21a"),
        ("0a:3f:9c:2", "0a:3f:9c:2"),
        ("0a3f", "0a3f"),
        ("04a3b2c1d2e3f405a6b7c8", "04a3b2c1d2e3f405a6b7c8"),
        ("12-34-56", "12-34-56"),  # no letter: it may be decimal
        ("04::a3:b2:c1", "04::a3:b2:c1"),
        ("04.a3.b2.c1", "04.a3.b2.c1"),
        (":04a3b2c1", ":04a3b2c1"),
        ("04a3b2c1-", "04a3b2c1-"),
        ("0a3f9c2g", "0a3f9c2g"),
        ("0a3f9c21\n", "0a3f9c21\n"),
        ("0a3f9c2٣", "0a3f9c2٣"),
        ("Anna", "Anna"),
        ("", ""),
    ],
)
def test_hex_card_numbers_compare_without_case_and_separators(code, key):
    assert key_of(code) == key


@given(st.text("0123456789abcdefABCDEF:- ", max_size=30))
def test_a_key_is_its_own_key(code):
    assert key_of(key_of(code)) == key_of(code)


def cards_in(text, check=anything):
    enrolments, problems = from_csv(text, check)
    assert problems == []
    return [one.card for one in enrolments]


@pytest.mark.parametrize("header", ["", "code,partner,member\n", "Code,Partner,MEMBER\r\n"])
def test_a_header_is_taken_or_left(header):
    text = header + 'a,wellhub,1\r\n\n"b,""c",wellpass,2\n'
    assert cards_in(text) == [Card("a", "wellhub", "1"), Card('b,"c', "wellpass", "2")]


@pytest.mark.parametrize(
    "header",
    [
        "Karte;Partner;Mitglied;Kunde",
        "Kartennummer;Partner;Mitgliedsnummer;Kundennummer",
        "code;partner;member;customer",
        "Code;Partner;Mitglied;",
        "",
    ],
)
def test_files_as_german_spreadsheets_save_them(header):
    text = f"{header}\r\n04A3B2C1;wellpass;1001;55\r\n;;;\r\n04A3B2C2;wellhub;1234567890123;\r\n"
    if header.endswith(";"):
        text = text.replace(";55", ";")
    cards = cards_in(text)
    assert [(card.code, card.partner, card.member) for card in cards] == [
        ("04A3B2C1", "wellpass", "1001"),
        ("04A3B2C2", "wellhub", "1234567890123"),
    ]
    assert [card.customer for card in cards] == [None if header.endswith(";") else "55", None]


def test_columns_are_in_the_order_of_the_header():
    text = "Mitgliedsnummer\tKunde\tKarte\tPartner\n1001\t55\tabc\twellpass\n1002\t\tdef\twellhub\n"
    assert cards_in(text) == [Card("abc", "wellpass", "1001", "55"), Card("def", "wellhub", "1002")]


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ("Karte;Partner;Mitglied;Name", "the column 'Name' is none of code, partner, member, customer"),
        ("Karte;Partner;Karte;Mitglied", "two columns are the code"),
        ("Karte;Mitglied;Kunde", "there is no column partner"),
    ],
)
def test_a_header_that_is_none_of_ours_is_one_error(header, what):
    assert from_csv(f"{header}\n1;2;3;4\n5;6;7;8\n", anything) == ([], [BadLine(1, what)])


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u202f", "\ufeff", "\u200b", " \ufeff\u00a0"])
def test_blanks_at_the_ends_of_a_cell_are_taken_off(blank):
    assert cards_in(f"{blank}a b{blank},{blank}wellhub{blank},1{blank}\n") == [Card("a b", "wellhub", "1")]


@pytest.mark.parametrize(
    ("first", "card"),
    [
        ("123,45678;wellhub;1", Card("123,45678", "wellhub", "1")),  # facility,number
        ("a;b,wellhub,1", Card("a;b", "wellhub", "1")),
        ("a;b\twellpass\t1\t2", Card("a;b", "wellpass", "1", "2")),
        ('"a;b";wellhub;"1;2"', Card("a;b", "wellhub", "1;2")),
    ],
)
def test_the_separator_is_what_makes_columns_of_the_first_row(first, card):
    assert cards_in(first) == [card]


def test_blank_cells_that_a_spreadsheet_adds_to_a_row_are_nothing():
    text = "code;partner;member;\na;wellhub;1;;\nb;wellpass;2;77;;\n"
    assert from_csv(text.replace("member;", "member;customer;"), lambda _: None) == (
        [Enrolment(2, Card("a", "wellhub", "1")), Enrolment(3, Card("b", "wellpass", "2", "77"))],
        [],
    )


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
    assert cards == [Enrolment(2, Card("a", "wellhub", "1"))]
    columns = "columns instead of code,partner,member and, where needed, customer"
    assert problems == [
        BadLine(3, f"1 {columns}"),
        BadLine(5, "no such partner"),
        BadLine(6, "card 'a' is in line 2 for another member"),
        BadLine(8, f"4 {columns}"),
    ]


def test_the_same_card_in_another_notation_is_the_same():
    _, problems = from_csv("0a3f9c21,wellhub,1\n0A:3F:9C:21,wellhub,2\n", anything)
    assert [problem.line for problem in problems] == [2]


def test_a_card_cannot_have_two_customers():
    _, problems = from_csv("a,wellpass,1,5\na,wellpass,1,6\n", anything)
    assert problems == [BadLine(2, "card 'a' is in line 1 with another customer's number")]


def test_quotes_that_do_not_close():
    (one,), (problem,) = from_csv('a,wellhub,1\n"b,wellhub,2\n', anything)
    assert one.card == Card("a", "wellhub", "1")
    assert problem.what.startswith("not CSV: ")


@pytest.mark.parametrize(
    "content",
    [
        "Käthe,wellhub,1".encode(),
        "\ufeffKäthe,wellhub,1".encode(),
        "Käthe,wellhub,1".encode("cp1252"),
        "Käthe,wellhub,1".encode("utf-16"),
    ],
)
def test_the_encodings_of_spreadsheets(content):
    assert cards_in(decoded(content)) == [Card("Käthe", "wellhub", "1")]


def test_bytes_that_are_no_text():
    with pytest.raises(NotTextError):
        decoded(b"\x81")  # neither UTF-8 nor in Windows-1252


@pytest.mark.parametrize("text", ["6.547886E+09", "6,5E+09", "6E+09", "6.5e9", "1,23457E+12", "6.E+09"])
def test_a_number_that_a_spreadsheet_has_shortened(text):
    assert "format the column as text" in shortened(text)


@pytest.mark.parametrize(
    "text", ["12E034", "6547886", "0E1234567890", "E+09", "6.5E", "1.5", "", "6,5", "\u0666.\u0665E+\u0669"]
)
def test_numbers_that_only_look_shortened(text):
    assert shortened(text) is None


@pytest.mark.parametrize(
    "cell", ["=1+1", "+49", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1", "'=1", "''=1"]
)
def test_no_cell_is_a_formula(cell):
    assert protected(cell) == f"'{cell}"


@given(st.text(st.sampled_from("'=+-@ab1\t ;,\"\uff1d")))
def test_protected_cells_are_read_plain_and_never_as_formulas(text):
    cell = text.strip()
    assert not protected(cell).startswith(("=", "+", "-", "@", "\t", "\uff1d"))
    assert plain(protected(cell)) == cell


words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda word: word == word.strip(" \u200b\ufeff") == word.strip()
)


@given(
    st.lists(
        st.builds(Card, words, words, words, st.none() | words), unique_by=lambda card: key_of(card.code)
    )
)
def test_printed_csv_is_read_back(cards):
    assert cards_in(to_csv(cards)) == cards
