import io
import json
import socket
import sqlite3
import subprocess
import sys
import threading

import pytest

from gatectl.journal.cards import load_all
from gatectl.journal.schema import open_store, transaction

MEMBER = "1234567890123"


@pytest.fixture
def enrolled(settings):
    """The cards in the store, as (code, partner, member) by their key."""

    def read():
        connection = open_store(settings.with_name("journal.db"))
        cards = load_all(connection)
        connection.close()
        return {
            key: (card.code, card.partner, card.member, *([card.customer] if card.customer else []))
            for key, card in cards.items()
        }

    return read


@pytest.fixture
def daemon(settings):
    """Listens where a daemon would; gives back what it was asked, and answers with `answer`."""

    class Daemon(list):
        answer = "{}"

    asked = Daemon()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(settings.with_name("control.sock")))
    listener.listen()

    def serve():
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rwb") as lines:
                request = json.loads(lines.readline())
                if request == "end":
                    return
                asked.append(request)
                lines.write(asked.answer.encode() + b"\n")

    thread = threading.Thread(target=serve)
    thread.start()
    yield asked
    with socket.socket(socket.AF_UNIX) as last:
        last.connect(listener.getsockname())
        last.sendall(b'"end"\n')
        thread.join()
    listener.close()


def test_a_card_is_enrolled_and_forgotten(run, enrolled):
    assert run("cards", "add", "04a3b2c1", "wellhub", MEMBER) == (0, "", "")
    assert enrolled() == {"04A3B2C1": ("04a3b2c1", "wellhub", MEMBER)}
    assert run("cards", "remove", "04A3B2C1") == (0, "", "")
    assert enrolled() == {}


def test_to_enrol_twice_for_the_same_member_is_fine(run, enrolled):
    run("cards", "add", "key-fob", "wellhub", MEMBER)
    assert run("cards", "add", "key-fob", "wellhub", MEMBER)[0] == 0
    assert len(enrolled()) == 1


def test_a_card_of_another_member_is_not_taken_away(run, enrolled):
    run("cards", "add", "04a3b2c1", "wellhub", MEMBER)
    before = enrolled()
    status, _, err = run("cards", "add", "04A3B2C1", "wellpass", "12")
    assert status == 1
    assert err == (
        f"card '04A3B2C1' already belongs to member '{MEMBER}' of wellhub\n"
        "hint: remove it first: gatectl cards remove 04A3B2C1\n"
    )
    assert enrolled() == before


@pytest.mark.parametrize(
    ("card", "message", "hint"),
    [
        (("x", "welhub", MEMBER), "there is no partner 'welhub' in the settings", "did you mean wellhub?"),
        (
            ("x", "?", MEMBER),
            "there is no partner '?' in the settings",
            "there are: wellhub, wellpass",
        ),
        (("x", "wellhub", "123"), "'123' is no member's number of wellhub", "wellhub: 13 digits"),
        (
            ("x", "wellpass", "012"),
            "'012' is no member's number of wellpass",
            "perfectgym: 1 to 18 digits without a leading zero",
        ),
    ],
)
def test_cards_that_cannot_be_enrolled(run, enrolled, card, message, hint):
    assert run("cards", "add", *card) == (1, "", f"{message}\nhint: {hint}\n")
    assert enrolled() == {}


SPOILED = (
    "is a number that a spreadsheet has shortened: format the column as text there,"
    " enter the number again and save the file again"
)


@pytest.mark.parametrize("card", [("6.5E+09", "wellpass", "12"), ("x", "wellpass", "6,5E+09")])
def test_a_number_that_a_spreadsheet_has_spoiled_is_refused(run, enrolled, tmp_path, card):
    spoiled = next(cell for cell in card if "E+" in cell)
    assert run("cards", "add", *card) == (1, "", f"{spoiled!r} {SPOILED}\n")
    file = tmp_path / "cards.csv"
    file.write_text("code;partner;member\nfine;wellpass;1\n" + ";".join(card) + "\n", "utf-8")
    status, _, err = run("cards", "import", str(file))
    assert (status, err.splitlines()[0]) == (1, f"{file}:3: {spoiled!r} {SPOILED}")
    assert enrolled() == {}


@pytest.mark.parametrize("code", ["", "a\nb", "a" * 513])
def test_texts_that_are_no_code(run, enrolled, code):
    status, _, err = run("cards", "add", code, "wellhub", MEMBER)
    assert status == 1
    assert "is not a code" in err
    assert enrolled() == {}


def test_a_card_that_is_not_there_cannot_be_removed(run):
    status, _, err = run("cards", "remove", "nope")
    assert (status, err.splitlines()[0]) == (1, "there is no card 'nope'")


@pytest.fixture
def customers(settings):
    """A partner that is asked with the customer's number and the member's."""
    more = """
[partners.urban]
protocol = "perfectgym"
url = "https://localhost:1/check"
key = { file = "a key that nobody can read" }
"""
    settings.write_text(settings.read_text() + more)


@pytest.mark.usefixtures("customers")
def test_the_customers_number_is_kept_where_the_partner_needs_it(run, enrolled):
    assert run("cards", "add", "x", "urban", "0123-abc", "293123213") == (0, "", "")
    assert run("cards", "add", "y", "wellhub", MEMBER, "5") == (0, "", "")
    assert enrolled() == {"x": ("x", "urban", "0123-abc", "293123213"), "y": ("y", "wellhub", MEMBER)}
    lines = [line.split() for line in run("cards", "list")[1].splitlines()]
    assert lines[0] == ["Code", "Partner", "Member", "Customer"]
    assert ["x", "urban", "0123-abc", "293123213"] in lines
    rows = [json.loads(line) for line in run("cards", "list", "--json")[1].splitlines()]
    assert {row["code"]: row["customer"] for row in rows} == {"x": "293123213", "y": None}


@pytest.mark.usefixtures("customers")
def test_customers_go_through_a_file_and_back(run, enrolled, tmp_path):
    run("cards", "add", "x", "urban", "m", "293123213")
    before = enrolled()
    out = run("cards", "export")[1]
    assert out == "code,partner,member,customer\nx,urban,m,293123213\n"
    run("cards", "remove", "x")
    (tmp_path / "cards.csv").write_text(out)
    assert run("cards", "import", str(tmp_path / "cards.csv"))[0] == 0
    assert enrolled() == before
    # The number is the same member's: to add or to correct it takes no --replace.
    (tmp_path / "cards.csv").write_text("x;urban;m;7\n")
    assert run("cards", "import", str(tmp_path / "cards.csv"))[0] == 0
    assert enrolled() == {"x": ("x", "urban", "m", "7")}


@pytest.mark.usefixtures("customers")
@pytest.mark.parametrize(
    ("customer", "message", "hint"),
    [
        ([], "there is no customer's number for member 'm' of urban", "CUSTOMER on the card"),
        (["0123"], "'0123' is no customer's number of urban", "1 to 18 digits without a leading zero"),
        (["12a"], "'12a' is no customer's number of urban", "1 to 18 digits without a leading zero"),
        (["1" * 19], f"'{'1' * 19}' is no customer's number of urban", "1 to 18 digits without a leading"),
        (["2,9E+08"], "'2,9E+08' is a number that a spreadsheet has shortened", "format the column as text"),
    ],
)
def test_a_customers_number_that_the_partner_needs_and_cannot_have(
    run, enrolled, tmp_path, customer, message, hint
):
    status, _, err = run("cards", "add", "x", "urban", "m", *customer)
    assert status == 1
    assert err.startswith(message)
    assert hint in err
    file = tmp_path / "cards.csv"
    file.write_text(";".join(["x", "urban", "m", *customer]))
    status, _, err = run("cards", "import", str(file))
    assert status == 1
    assert err.startswith(f"{file}:1: {message}")
    assert hint in err
    assert enrolled() == {}


def test_zeros_that_a_spreadsheet_took_away(run, tmp_path):
    words = "did a spreadsheet take zeros away from '0012345678901'?"
    assert words in run("cards", "add", "x", "wellhub", "12345678901")[2]
    file = tmp_path / "cards.csv"
    file.write_text("x,wellhub,12345678901\n")
    assert words in run("cards", "import", str(file))[2]
    assert "zeros" not in run("cards", "add", "x", "wellhub", "12345678901234")[2]
    assert "zeros" not in run("cards", "add", "x", "wellhub", "1234567890x")[2]


def test_the_list_does_without_rich_which_takes_seconds_for_a_great_gym(run, settings):
    run("cards", "add", "x", "wellpass", "1")
    code = (
        "import sys\n"
        "from gatectl.cli.main import main\n"
        f"main(['cards', 'list', '-c', {str(settings)!r}])\n"
        "sys.exit('rich' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def test_a_very_long_code_widens_no_column(run):
    run("cards", "add", "c" * 512, "wellhub", MEMBER)
    run("cards", "add", "short", "wellhub", MEMBER)
    lines = run("cards", "list")[1].splitlines()
    assert sorted(map(len, lines))[-2] < 80
    assert f"{'c' * 512}  wellhub" in lines[-1] + lines[-2]


def test_the_list(run, settings):
    assert run("cards", "list") == (0, "", "no cards\n")
    assert not settings.with_name("journal.db").exists(), "looking makes nothing"
    run("cards", "add", "[red]x", "wellhub", MEMBER)
    run("cards", "add", "04a3b2c1", "wellhub", "0123456789012")
    _, out, _ = run("cards", "list")
    assert [line.split() for line in out.splitlines()] == [
        ["Code", "Partner", "Member"],
        ["04a3b2c1", "wellhub", "0123456789012"],
        ["[red]x", "wellhub", MEMBER],
    ]
    _, out, _ = run("cards", "list", "--json")
    assert [json.loads(line) for line in out.splitlines()] == [
        {"code": "04a3b2c1", "partner": "wellhub", "member": "0123456789012", "customer": None},
        {"code": "[red]x", "partner": "wellhub", "member": MEMBER, "customer": None},
    ]


def test_an_export_can_be_imported(run, enrolled, tmp_path):
    for code in ("04a3b2c1", "a,b", 'say "hi"', "=1+1"):
        run("cards", "add", code, "wellhub", MEMBER)
    status, out, _ = run("cards", "export")
    assert status == 0
    assert out.startswith("code,partner,member\n")
    before = enrolled()
    assert "\n'=1+1," in out
    for code in ("04a3b2c1", "a,b", 'say "hi"', "=1+1"):
        run("cards", "remove", code)
    (tmp_path / "cards.csv").write_text(out, "utf-8")
    assert run("cards", "import", str(tmp_path / "cards.csv")) == (0, "", "imported: 4\n")
    assert enrolled() == before


def test_an_import_takes_no_card_from_another_member_without_a_word(run, enrolled, tmp_path):
    run("cards", "add", "04a3b2c1", "wellhub", MEMBER)
    run("cards", "add", "x", "wellpass", "7")
    before = enrolled()
    file = tmp_path / "cards.csv"
    file.write_bytes("\ufeffnew,wellpass,1\r\n04:A3:B2:C1,wellpass,12\r\nx,wellpass,7\r\n".encode())
    status, _, err = run("cards", "import", str(file))
    assert status == 1
    assert err.splitlines() == [
        f"{file}:2: card '04:A3:B2:C1' already belongs to member '{MEMBER}' of wellhub",
        "hint: nothing was imported; --replace gives such cards to their new members",
    ]
    assert enrolled() == before
    assert run("cards", "import", "--replace", str(file)) == (
        0,
        "",
        "imported: 3; 1 of them belonged to another member\n",
    )
    assert enrolled() == {
        "04A3B2C1": ("04:A3:B2:C1", "wellpass", "12"),
        "new": ("new", "wellpass", "1"),
        "x": ("x", "wellpass", "7"),
    }


def test_import_from_standard_input(run, enrolled, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"x,wellpass,12\n")))
    assert run("cards", "import", "-")[0] == 0
    assert enrolled() == {"x": ("x", "wellpass", "12")}


def test_nothing_is_imported_where_a_line_is_bad(run, enrolled, tmp_path):
    file = tmp_path / "cards.csv"
    file.write_text(f"good,wellhub,{MEMBER}\nbad,welhub,{MEMBER}\nworse,wellhub,1\n", "utf-8")
    status, _, err = run("cards", "import", str(file))
    assert status == 1
    assert err.splitlines() == [
        f"{file}:2: there is no partner 'welhub' in the settings; did you mean wellhub?",
        f"{file}:3: '1' is no member's number of wellhub; wellhub: 13 digits",
        "hint: nothing was imported; correct the lines and try again",
    ]
    assert enrolled() == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory"),
        (b"\x81", "neither UTF-8 nor Windows-1252 text"),
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf \r\n", "the file is empty"),
        (b"code,partner,member\n", "there is no card in it"),
    ],
)
def test_a_file_that_cannot_be_read(run, tmp_path, content, message):
    file = tmp_path / "cards.csv"
    if content is not None:
        file.write_bytes(content)
    status, _, err = run("cards", "import", str(file))
    assert status == 1
    assert err.splitlines()[0] == f"{file}: {message}"


def test_an_import_that_fails_half_way_leaves_nothing(settings, enrolled, run, tmp_path):
    store = open_store(settings.with_name("journal.db"))
    store.execute(
        "CREATE TRIGGER full BEFORE INSERT ON cards WHEN NEW.code = 'last'"
        " BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
    )
    store.close()
    file = tmp_path / "cards.csv"
    file.write_text("first,wellpass,1\nlast,wellpass,2\n", "utf-8")
    status, _, err = run("cards", "import", str(file))
    assert status == 1
    assert "the disk is full" in err
    assert enrolled() == {}


def test_the_daemon_is_notified_of_every_change(run, daemon, tmp_path):
    file = tmp_path / "cards.csv"
    file.write_text("y,wellpass,12\n", "utf-8")
    for change in (["add", "x", "wellpass", "1"], ["remove", "x"], ["import", str(file)]):
        assert run("cards", *change)[0] == 0
        assert daemon.pop() == {"command": "reload_cards"}
    for change in (["list"], ["export"], ["remove", "x"]):
        run("cards", *change)
    assert daemon == []


def test_a_refusal_by_the_daemon_is_shown(run, daemon, enrolled):
    daemon.answer = '{"error": "it will not"}'
    status, _, err = run("cards", "add", "x", "wellpass", "1")
    assert status == 0
    assert err.splitlines() == [
        "the cards are saved, but the daemon could not be notified: it will not",
        "hint: restart it: systemctl restart gatectl",
    ]
    assert "x" in enrolled()


def test_values_read_before_a_change_still_hold_at_the_change(settings):
    ours, other = (open_store(settings.with_name("journal.db")) for _ in range(2))
    other.execute("PRAGMA busy_timeout = 0")
    with transaction(ours), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    ours.close()
    other.close()


def test_a_busy_store_is_reported(run, settings, monkeypatch):
    monkeypatch.setattr("gatectl.journal.schema.BUSY_TIMEOUT_MS", 1)
    other = open_store(settings.with_name("journal.db"))
    other.execute("BEGIN IMMEDIATE")
    status, _, err = run("cards", "add", "x", "wellpass", "1")
    other.close()
    assert status == 1
    assert "database is locked\nhint: another program holds it" in err


def test_a_file_that_is_no_journal(run, settings):
    settings.with_name("journal.db").write_bytes(b"no database at all" * 100)
    for action in (["list"], ["add", "x", "wellpass", "1"]):
        status, _, err = run("cards", *action)
        assert status == 78
        assert "is not a gatectl store\nhint: " in err
    assert settings.with_name("journal.db").read_bytes() == b"no database at all" * 100


# --- Other numbers of the same card ---------------------------------------------------------------


def test_a_card_that_is_enrolled_under_another_number_is_pointed_out(run, enrolled):
    assert run("cards", "add", "0006547886", "wellhub", MEMBER) == (0, "", "")
    status, _, err = run("cards", "add", "010063E9AE", "wellhub", "9999999999999")
    assert (status, set(enrolled())) == (0, {"0006547886", "010063E9AE"})
    assert err == (
        "note: 010063E9AE may be the card that is also enrolled as 0006547886, for member 1234567890123 of "
        "wellhub: gatectl devices --printed 0006547886 says which one the reader sends\n"
    )
    assert run("cards", "add", "010063e9ae", "wellhub", "9999999999999")[2].count("note: ") == 1
    assert run("cards", "add", "010063E9AF", "wellhub", MEMBER) == (0, "", "")


def test_a_list_of_cards_that_are_enrolled_under_other_numbers(run, tmp_path):
    file = tmp_path / "cards.csv"
    numbers = [0x63E9AE + number for number in range(12)]
    file.write_text("".join(f"{number:010},wellhub,{MEMBER}\n" for number in numbers))
    assert run("cards", "import", str(file))[2] == "imported: 12\n"
    file.write_text("".join(f"01{number:08X},wellhub,{MEMBER}\n" for number in numbers))
    status, _, err = run("cards", "import", str(file))
    assert status == 0
    assert err.count("may be the card that is also enrolled as") == 10
    assert "note: and 2 more such cards\nimported: 12\n" in err


def test_a_route_says_under_which_number_a_card_is_known(run):
    run("cards", "add", "0006547886", "wellhub", MEMBER)
    assert run("route", "010063E9AE")[1] == (
        "main: no card and no route takes this code; but the same card may be enrolled as 0006547886, for "
        "member 1234567890123 of wellhub: gatectl devices --printed 0006547886 finds the reader's setting\n"
    )
    found = json.loads(run("route", "99,59822", "--json")[1])
    assert (found["recognised"], "enrolled as 0006547886" in found["why"]) == (False, True)
    assert "enrolled as" not in run("route", "010063E9AF")[1]


def test_a_route_says_which_number_of_a_card_a_route_takes(run, settings):
    route = "[[routes]]\nmatch = '000(?P<member>[1-9]\\d{6})'\npartner = \"wellpass\"\n"
    settings.write_text(route + settings.read_text())
    out = run("route", "010063E9AE")[1]
    assert out == (
        "main: no card and no route takes this code; but routes[0] takes its other number 0006547886, which "
        'the reader\'s setting card = { read = "hex", bytes = 4, write = "decimal10" } makes of it\n'
    )
