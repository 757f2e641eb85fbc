"""`gatectl codes` against the simulator, with faults in every step."""

import csv
import http.server
import os
import re
import sqlite3
import threading
from contextlib import closing, contextmanager

import pytest
from control_server import daemon_that_answers
from partners import Partners

from gatectl.cli import codes, codes_client
from gatectl.cli.codes_client import CodesClient
from gatectl.cli.main import main
from gatectl.config.reader import load_with_keys
from gatectl.journal.reader import enrolled
from gatectl.partners.wellhub.codes import Change

GOOD, OTHER = "1000000000200", "1000000000201"

REST = """
[journal]
path = "journal.db"
[control]
socket = "control.sock"
[doors.main]
relay = { pin = 17 }
[[doors.main.scanners]]
type = "serial"
port = "scanner"
"""


class Rig:
    """A gym with the simulator as its partner."""

    def __init__(self, folder, partners, capsys):
        self.folder = folder
        self.partners = partners
        self.settings = folder / "gatectl.toml"
        self.settings.write_text(partners.simulator.partner_section("wellhub") + REST)
        self._capsys = capsys

    def run(self, *args):
        status = main(["codes", *args, "-c", str(self.settings)])
        out, err = self._capsys.readouterr()
        return status, out, err

    def enrol(self, code, member, partner="wellhub"):
        assert main(["cards", "add", code, partner, member, "-c", str(self.settings)]) == 0

    @property
    def here(self):
        return {card.code: card.member for card in enrolled(self.folder / "journal.db").values()}

    @property
    def there(self):
        return dict(self.partners.simulator.partners["wellhub"].codes)

    @property
    def asked(self):
        return [(request.method, request.member) for request in self.partners.requests]


@pytest.fixture
def rig(tmp_path, capsys):
    with Partners() as partners:
        yield Rig(tmp_path, partners, capsys)


def test_create_update_delete(rig):
    said = f"{GOOD}: the code A1 is set there and enrolled here\n"
    assert rig.run("create", GOOD, "A1", "--partner", "wellhub") == (0, said, "")
    assert (rig.there, rig.here) == ({GOOD: "A1"}, {"A1": GOOD})
    said = f"{GOOD}: the code A2 is set there and enrolled here; A1 is removed here\n"
    assert rig.run("update", GOOD, "A2") == (0, said, "")
    assert (rig.there, rig.here) == ({GOOD: "A2"}, {"A2": GOOD})
    said = f"{GOOD}: the code is deleted there; A2 is removed here\n"
    assert rig.run("delete", GOOD) == (0, said, "")
    assert (rig.there, rig.here) == ({}, {})


class PagesDeletion(http.server.BaseHTTPRequestHandler):
    """Answers a deletion as the example on Wellhub's page does."""

    def do_DELETE(self):
        body = b'{ "metadata": { "total": 1, "errors": 0 }, "results": {} }'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def served(handler, rig):
    """A Wellhub on loopback whose requests this handler answers; the settings name it."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f'url = "http://127.0.0.1:{server.server_address[1]}"'
        text = rig.settings.read_text()
        rig.settings.write_text(re.sub('url = ".*"', url, re.sub("ca_file = .*", "", text)))
        yield server
        server.shutdown()


def test_a_deletion_answered_as_the_page_shows_it(rig):
    rig.enrol("A1", GOOD)
    with served(PagesDeletion, rig):
        said = f"{GOOD}: the code is deleted there; A1 is removed here\n"
        assert rig.run("delete", GOOD) == (0, said, "")
    assert rig.here == {}


def test_a_refusal_by_wellhub_changes_nothing_here(rig):
    rig.run("create", GOOD, "A1")
    status, _, err = rig.run("create", GOOD, "A2")
    assert (status, "replace it: gatectl codes update" in err) == (1, True)
    status, _, err = rig.run("update", OTHER, "B1")
    assert (status, "make one: gatectl codes create" in err) == (1, True)
    status, _, err = rig.run("delete", OTHER)
    assert (status, "there is nothing to delete" in err) == (1, True)
    assert (rig.there, rig.here) == ({GOOD: "A1"}, {"A1": GOOD})


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ("1000000000401", "refuses this gym's key or gym_id (401)"),
        ("1000000000403", "refuses this gym's key or gym_id (403)"),
        ("1000000000500", "Wellhub failed (500)"),
        ("1000000000503", "Wellhub failed (503)"),
        ("1000000000302", "not documented (302)"),
        ("1000000000205", "not documented (200)"),
        ("1000000000440", "not documented (404)"),
        ("1000000000610", "the connection to Wellhub broke"),
        ("1000000000611", "the connection to Wellhub broke"),
        ("1000000000612", "the connection to Wellhub broke"),
        ("1000000000614", "larger than 64 KiB"),
        ("1000000000616", "the connection to Wellhub broke"),
    ],
)
@pytest.mark.parametrize("action", ["create", "update", "delete"])
def test_faults_there(rig, action, member, words):
    if action == "delete" and member[-3:] in {"612", "614"}:
        return  # its answer has no body that could be cut or be too long
    rig.partners.call(lambda: rig.partners.simulator.partners["wellhub"].codes.update({member: "old"}))
    rig.enrol("old", member)
    status, out, err = rig.run(action, member, *([] if action == "delete" else ["new"]))
    assert (status, out) == (1, "")
    line, *hints = err.splitlines()
    assert words in line
    assert all(hint.startswith("hint: ") for hint in hints)
    assert hints
    assert (rig.there, rig.here) == ({member: "old"}, {"old": member})


@pytest.mark.parametrize("member", ["1000000000600", "1000000000601"])
def test_a_wellhub_that_hangs_or_drips(rig, monkeypatch, member):
    monkeypatch.setattr(codes_client, "PATIENCE_S", 2)
    status, _, err = rig.run("create", member, "A1")
    assert status == 1
    assert "gave no whole answer within 2 s" in err
    assert "codes update" in err
    assert rig.here == {}


@pytest.mark.parametrize("member", ["1000000000703", "1000000000704", "1000000000705"])
def test_a_change_whose_answer_was_lost_is_repeated_safely(rig, member):
    status, _, err = rig.run("create", member, "A1")
    assert (status, "it may have been done there; repeat it" in err) == (1, True)
    assert (rig.there, rig.here) == ({member: "A1"}, {})
    status, _, err = rig.run("create", member, "A1")
    assert (status, "gatectl codes update" in err) == (1, True)
    assert rig.run("update", member, "A1")[0] == 0
    assert (rig.there, rig.here) == ({member: "A1"}, {"A1": member})
    assert rig.run("delete", member)[0] == 0
    assert (rig.there, rig.here) == ({}, {})


@pytest.mark.parametrize("member", ["1000000000703", "1000000000705"])
def test_a_deletion_whose_answer_was_lost_is_repeated_safely(rig, member):
    rig.partners.call(lambda: rig.partners.simulator.partners["wellhub"].codes.update({member: "A1"}))
    rig.enrol("A1", member)
    assert rig.run("delete", member)[0] == 1
    assert (rig.there, rig.here) == ({}, {"A1": member})
    said = f"{member}: the code was not there any more; A1 is removed here\n"
    assert rig.run("delete", member) == (0, said, "")
    assert rig.here == {}


class WellhubBesideALockedStore(http.server.BaseHTTPRequestHandler):
    """Does what it is asked; meanwhile another program begins to write to the store, and does not end."""

    def do_PUT(self):
        self.server.lock.execute("BEGIN IMMEDIATE")
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_DELETE = do_PUT  # noqa: N815 - the library's name

    def log_message(self, *_):
        pass


def test_a_failure_here_is_reported_and_repeated_safely(rig, monkeypatch):
    rig.enrol("A1", GOOD)
    monkeypatch.setattr("gatectl.journal.schema.BUSY_TIMEOUT_MS", 50)
    lock = sqlite3.connect(rig.folder / "journal.db", isolation_level=None, check_same_thread=False)
    with closing(lock), served(WellhubBesideALockedStore, rig) as server:
        server.lock = lock
        status, _, err = rig.run("update", GOOD, "A 2")
        assert status == 1
        line, hint = err.splitlines()
        assert line.startswith("Wellhub has the code now, but here it is not done: ")
        assert hint == f"hint: gatectl cards add 'A 2' wellhub {GOOD}"
        lock.execute("ROLLBACK")
        status, _, err = rig.run("delete", GOOD)
        assert status == 1
        assert err.startswith("Wellhub has no such code now, but here it is not done: ")
        lock.execute("ROLLBACK")
    with served(PagesDeletion, rig):
        assert rig.run("delete", GOOD)[0] == 0
    assert rig.here == {}


def test_a_store_that_cannot_be_written_is_reported_before_any_request(rig):
    (rig.folder / "journal.db").write_text("this is no database, and it is long enough to say so" * 20)
    assert rig.run("create", GOOD, "A1")[0] == 78
    assert rig.asked == []


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["create", "123", "A1"], "13 digits"),
        (["create", "12345678901", "A1"], "zeros away from '0012345678901'?"),
        (["create", GOOD, "12345678901234"], "1 to 13 characters"),
        (["create", GOOD, "  "], "not blank"),
        (["create", GOOD, "a\x01b"], "control characters"),
        (["create", GOOD, "6,5E+09"], "format the column as text"),
        (["update", GOOD, "taken"], "is enrolled here for member 1000000000404"),
        (
            ["create", GOOD, "A1", "--partner", "nobody"],
            "there is no partner 'nobody' in the settings\nhint: there are: ",
        ),
    ],
)
def test_arguments_refused_before_any_request(rig, args, words):
    rig.enrol("taken", "1000000000404")
    status, _, err = rig.run(*args)
    assert status == 1
    assert words in err
    assert rig.asked == []


@pytest.mark.parametrize(
    "args",
    [
        ["create", GOOD],
        ["update"],
        ["delete"],
        ["create", GOOD, "A1", "--from", "x"],
        ["create", "--rate", "0"],
    ],
)
def test_wrong_usage(rig, args):
    assert rig.run(*args)[0] == 2
    assert rig.asked == []


def test_a_wellhub_that_cannot_be_reached(rig, closed_port):
    text = rig.settings.read_text()
    rig.settings.write_text(text.replace(str(rig.partners.simulator.port), str(closed_port)))
    status, _, err = rig.run("create", GOOD, "A1")
    assert status == 1
    assert err.startswith("no connection to Wellhub, so nothing was asked")


def test_a_member_with_several_cards_keeps_those_that_were_no_code(rig):
    rig.enrol("0500207B32", GOOD)
    rig.run("create", GOOD, "A1")
    status, _, err = rig.run("update", GOOD, "A2")
    assert status == 1
    assert "which card here was the old code: 0500207B32, A1?" in err
    assert rig.here == dict.fromkeys(["0500207B32", "A1", "A2"], GOOD)
    assert rig.run("delete", GOOD, "A2")[0] == 0
    assert rig.here == dict.fromkeys(["0500207B32", "A1"], GOOD)


def test_a_running_gatectl_is_notified(rig):
    with daemon_that_answers(rig.folder / "control.sock", {}) as requests:
        assert rig.run("create", GOOD, "A1")[0] == 0
    assert requests == [{"command": "reload_cards"}]


def test_no_key_in_any_output(rig):
    key = rig.partners.simulator.partners["wellhub"].key
    for member in (GOOD, "1000000000403", "1000000000610", "1000000000616"):
        assert key not in "".join(rig.run("create", member, "A1")[1:])


# --- Many -----------------------------------------------------------------------------------------


FAST = ("--rate", "999")
"""Pauses of a millisecond; `test_many_are_paced` has those that count."""


def members(*numbers):
    return [f"100000000{number:04d}" for number in numbers]


def test_many_are_paced():
    slept, clock = [], [0.0]

    def sleep(seconds):
        slept.append(seconds)
        clock[0] += seconds

    def asks(change):
        clock[0] += 0.25 if change == 2 else 0.75  # the third is asked late, by more than a pause
        return change

    changes = [asks(change) for change in codes.paced([1, 2, 3, 4], 2, lambda: clock[0], sleep)]
    assert (changes, slept) == ([1, 2, 3, 4], [0.25])


def test_many(rig):
    file = rig.folder / "codes.csv"
    listed = members(1, 2, 404, 451)
    file.write_text("wellhub_id,code\n" + "".join(f"{member},C-{member[-3:]}\n" for member in listed))
    status, out, err = rig.run("create", *FAST, "--from", str(file))
    assert (status, out, err) == (0, "", "done: 4 of 4\n")
    assert rig.here == {f"C-{member[-3:]}": member for member in listed}
    assert rig.there == {member: f"C-{member[-3:]}" for member in listed}


def test_an_interrupted_run_goes_on_where_it_was(rig):
    file = rig.folder / "codes.csv"
    listed = members(1, 500, 2)
    file.write_text("".join(f"{member},C-{member[-3:]}\n" for member in listed))
    status, _, err = rig.run("create", *FAST, "--from", str(file))
    assert status == 1
    assert "Wellhub failed (500)" in err
    assert "done: 2 of 3" in err
    report = list(csv.DictReader((rig.folder / "codes.csv.report.csv").read_text().splitlines()))
    assert [(row["wellhub_id"], row["outcome"]) for row in report] == list(
        zip(listed, ["done", "failed", "done"], strict=True)
    )
    before = len(rig.asked)
    status, _, err = rig.run("create", *FAST, "--from", str(file))
    assert status == 1
    assert err.startswith("done before: 2\n")
    assert rig.asked[before:] == [("POST", listed[1])]


def test_no_cell_of_a_report_is_a_formula_and_it_goes_on_all_the_same(rig):
    file, report = rig.folder / "codes.csv", rig.folder / "r.csv"
    (member,) = members(1)
    file.write_text(f"{member},=1+1\n")
    assert rig.run("create", *FAST, "--from", str(file), "--report", str(report))[0] == 0
    assert rig.here == {"=1+1": member}
    assert f"{member},'=1+1," in report.read_text()
    asked = len(rig.asked)
    assert "done before: 1" in rig.run("create", *FAST, "--from", str(file), "--report", str(report))[2]
    assert len(rig.asked) == asked


def test_a_report_that_was_cut_short(rig):
    file, report = rig.folder / "codes.csv", rig.folder / "r.csv"
    one, two = members(1, 2)
    file.write_text(f"{one},A\n{two},B\n")
    report.write_text(f"action,wellhub_id,code,outcome,what\ncreate,{one},A,done,\ncreate,{two},B,do")
    assert rig.run("create", *FAST, "--from", str(file), "--report", str(report))[0] == 0
    assert rig.asked == [("POST", two)]
    before = len(rig.asked)
    assert rig.run("create", *FAST, "--from", str(file), "--report", str(report))[0] == 0
    assert len(rig.asked) == before


def test_a_refused_key_ends_the_run(rig):
    file = rig.folder / "codes.csv"
    file.write_text("".join(f"{member},C{member[-3:]}\n" for member in members(403, 1, 2)))
    status, _, err = rig.run("create", *FAST, "--from", str(file))
    assert status == 1
    assert "done: 0 of 3" in err
    assert len(rig.asked) == 1


def test_wellhubs_pause_is_kept(rig):
    slept = []
    settings, secrets = load_with_keys(rig.settings, os.environ)
    change = Change("create", *members(429), "A")
    with CodesClient(settings.partners["wellhub"], secrets["wellhub"]) as client:
        done = codes.CodeChanger(settings, "wellhub", client, slept.append).do(change)
    assert "asks to be left alone for 2 s" in done.problem.message
    assert slept == [2.0, 2.0]
    assert len(rig.asked) == 3


def test_a_bad_file_changes_nothing(rig):
    file = rig.folder / "codes.csv"
    one, two, three = members(1, 2, 3)
    file.write_text(f"{one},A\n{one},B\n12,C\n{two}\n{two},12345678901234\n{three},6.5E+09\n1.2E+12,D\n")
    status, _, err = rig.run("create", *FAST, "--from", str(file))
    assert status == 1
    assert [line.split(":")[1] for line in err.splitlines()[:-1]] == ["2", "3", "4", "5", "6", "7"]
    assert rig.asked == []


def test_many_deletions_by_their_ids_alone(rig):
    file = rig.folder / "codes.csv"
    listed = members(1, 2)
    for number, member in enumerate(listed):
        rig.run("create", member, f"A{number}")
    file.write_text("wellhub_id\n" + "\n".join(listed))
    assert rig.run("delete", *FAST, "--from", str(file))[0] == 0
    assert (rig.there, rig.here) == ({}, {})
