import json
import stat
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest
from records import ADMITTED, MINUTE_US, NOT_FOUND, START_US, TIMEOUT, scan

from gatectl.cli.report import AROUND
from gatectl.decision.cause import NEIGHBOURS
from gatectl.decision.event import BodyRecord, DialRecord, Evidence, GateRecord, RequestRecord, interrupted
from gatectl.decision.outcomes import Fault
from gatectl.decision.verdict import Basis, Reason

FILES = {"report.txt", "event-monitor.svg", "event.json", "settings.json", "system.json"}
AT_US = START_US + 9 * MINUTE_US


def dialled(begun_ms, look_up_ms=None, connect_ms=None, tls_ms=None, *, stale=False):
    begun_us = AT_US + round(begun_ms * 1000)
    return DialRecord(begun_us, look_up_ms, None if look_up_ms is None else stale, connect_ms, tls_ms)


UNSENT = RequestRecord(
    False, None, None, 12.5, 2000, "new", Evidence(dialled(1.95, look_up_ms=4.271), body=None)
)
EVENT = "0199f0c6-0000-7000-8000-000000000009"
OF_THIS_ONE = {
    "fault": Fault.NETWORK,
    "request": UNSENT,
    "detail": "connection refused (203.0.113.4:443)",
    "customer": "4711",
    "of": "0199f0c6-0000-7000-8000-000000000004",
}

REPORT = """\
A case for Support: the request did not go out to wellhub at all.

What to do: The request did not go out to wellhub. Look at this door's own
network and clock first: `gatectl check --connect` and `timedatectl`. Ask the
member to try again in five minutes. Contact Support, with what `gatectl report
0199f0c6-0000-7000-8000-000000000009` collects.

What Support asks for
  Tenant          FitCo GmbH
  Studio          Berlin Mitte
  Member number   1234567890123 at wellhub
  Time            2025-11-22T19:44:01.000042Z (here 2025-11-22 20:44:01 CET)
  Picture         event-monitor.svg
  Error text      Unable to check in aggregator customer, partner service
                  communication error, please try again
  Request sent    no, none of its bytes left

The exchange
  Event           0199f0c6-0000-7000-8000-000000000009
  Kind            scan
  Belongs to      0199f0c6-0000-7000-8000-000000000004
  Door            main
  Scanner         /dev/serial/by-id/usb-1
  Code as read    1234567890123
  Customer        4711
  Result          rejected
  Verdict         none
  Fault           network
  Detail          connection refused (203.0.113.4:443)
  Outage          no
  Connection      new, begun 2025-11-22T19:44:01.001992Z
  Elapsed         12.5 ms of 2000 ms
  Answer's body   none: no whole answer came

Its times, in ms from the complete code
                        from          to
  Code complete                      0.0  2025-11-22T19:44:01.000042Z
  Look-up                1.9         6.2  4.3 ms
  Connect                6.2        12.5  not done
  TLS                                     not begun
  Sent                                    none of its bytes left
  Given up                          12.5  no whole answer came

Versions
"""


@pytest.fixture
def unsent(write):
    """A morning with an event that is a case for Support in its middle."""
    for number in range(9):
        write(number, credential=f"56780000{number:05d}")
    write(9, TIMEOUT, **OF_THIS_ONE)
    write(10, NOT_FOUND)  # the same member again
    for number in range(11, 20):
        write(number, NOT_FOUND, credential=f"56780000{number:05d}")


@pytest.mark.usefixtures("unsent", "in_berlin")
def test_the_report(run, tmp_path):
    folder = tmp_path / "for support"
    status, out, err = run("report", EVENT, "-o", str(folder))
    assert (status, err) == (0, "")
    assert out == (
        f"A case for Support: the request did not go out to wellhub at all.\nthe report is in {folder}\n"
    )
    assert {path.name for path in folder.iterdir()} == FILES
    text = (folder / "report.txt").read_text()
    assert text.startswith(REPORT)
    assert max(map(len, text.splitlines())) <= 80
    assert json.loads((folder / "event.json").read_text()) == scan(9, TIMEOUT, **OF_THIS_ONE).to_json()
    system = json.loads((folder / "system.json").read_text())
    assert {"gatectl", "python", "kernel", "h11"} <= system["versions"].keys()
    assert "now" in system["clock"]


def asked(evidence, connection="new", *, sent_ms=None, answered=False, elapsed_ms=182.4):
    """A request as it is recorded; `sent_ms` from the complete code."""
    sent_us = None if sent_ms is None else AT_US + round(sent_ms * 1000)
    answered_us = AT_US + round(elapsed_ms * 1000) if answered else None
    return RequestRecord(sent_ms is not None, sent_us, answered_us, elapsed_ms, 2000, connection, evidence)


GATE = GateRecord(AT_US + 183_500, 183.5, 3000)
DIGEST = bytes(range(32))
TIMES = {
    "over a warm connection": (
        ADMITTED,
        asked(
            Evidence(dialled(-86_400_000.5, 1.5, 20, 41.25), BodyRecord(214, DIGEST)),
            "warm",
            sent_ms=2,
            answered=True,
        ),
        """\
  Connection      warm, begun 2025-11-21T19:44:00.999542Z
  Elapsed         182.4 ms of 2000 ms
  Answer's body   214 bytes, SHA-256:
    000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f

Its times, in ms from the complete code
                        from          to
  Code complete                      0.0  2025-11-22T19:44:01.000042Z
  Look-up        -86400000.5 -86399999.0  1.5 ms
  Connect        -86399999.0 -86399979.0  20.0 ms
  TLS            -86399979.0 -86399937.8  41.2 ms
  Sent                               2.0  2025-11-22T19:44:01.002042Z
  Answered                         182.4  2025-11-22T19:44:01.182442Z
  Gate opened                      183.5  2025-11-22T19:44:01.183542Z
""",
    ),
    "over a new connection, to an address of before, an answer that names somebody": (
        NOT_FOUND,
        asked(
            Evidence(dialled(2, 100.2, 20, 41, stale=True), BodyRecord(131, None)),
            sent_ms=163.4,
            answered=True,
        ),
        """\
  Connection      new, begun 2025-11-22T19:44:01.002042Z
  Elapsed         182.4 ms of 2000 ms
  Answer's body   131 bytes; there is no digest of one that names somebody

Its times, in ms from the complete code
                        from          to
  Code complete                      0.0  2025-11-22T19:44:01.000042Z
  Look-up                2.0       102.2  100.2 ms, from an earlier answer
  Connect              102.2       122.2  20.0 ms
  TLS                  122.2       163.2  41.0 ms
  Sent                             163.4  2025-11-22T19:44:01.163442Z
  Answered                         182.4  2025-11-22T19:44:01.182442Z
""",
    ),
    "the look-up failed": (
        TIMEOUT,
        asked(Evidence(dialled(2), None), elapsed_ms=2000.7),
        """\
  Look-up                2.0      2000.7  not done
  Connect                                 not begun
  TLS                                     not begun
  Sent                                    none of its bytes left
  Given up                        2000.7  no whole answer came
""",
    ),
    "TLS failed": (
        TIMEOUT,
        asked(Evidence(dialled(2, 0.04, 20), None), elapsed_ms=63),
        """\
  Look-up                2.0         2.0  0.0 ms
  Connect                2.0        22.0  20.0 ms
  TLS                   22.0        63.0  not done
  Sent                                    none of its bytes left
  Given up                          63.0  no whole answer came
""",
    ),
    "without TLS": (
        TIMEOUT,
        asked(Evidence(dialled(2, 1, 1), None), sent_ms=4, elapsed_ms=2000.7),
        """\
  Look-up                2.0         3.0  1.0 ms
  Connect                3.0         4.0  1.0 ms
  TLS                                     none: plain http
  Sent                               4.0  2025-11-22T19:44:01.004042Z
  Given up                        2000.7  no whole answer came
""",
    ),
    "the disk took all the time": (
        TIMEOUT,
        asked(Evidence(None, None), elapsed_ms=2000.2),
        """\
  Connection      none was begun
  Elapsed         2000.2 ms of 2000 ms
  Answer's body   none: no whole answer came

Its times, in ms from the complete code
                        from          to
  Code complete                      0.0  2025-11-22T19:44:01.000042Z
  Look-up                                 not begun
  Connect                                 not begun
  TLS                                     not begun
  Sent                                    none of its bytes left
  Given up                        2000.2  no whole answer came
""",
    ),
    "before there was a place for the evidence": (
        NOT_FOUND,
        asked(None, "warm", sent_ms=2, answered=True),
        """\
  Connection      warm
  Elapsed         182.4 ms of 2000 ms
  Answer's body   not recorded

Its times, in ms from the complete code
                        from          to
  Code complete                      0.0  2025-11-22T19:44:01.000042Z
  Look-up                                 not recorded
  Connect                                 not recorded
  TLS                                     not recorded
  Sent                               2.0  2025-11-22T19:44:01.002042Z
  Answered                         182.4  2025-11-22T19:44:01.182442Z
""",
    ),
    "interrupted": (
        interrupted(scan(9).attempt),
        interrupted(scan(9).attempt).request,
        """\
  Outage          no
  Answer's body   not recorded

Its times, in ms from the complete code
                        from          to
  Code complete                      0.0  2025-11-22T19:44:01.000042Z
  Look-up                                 not recorded
  Connect                                 not recorded
  TLS                                     not recorded
  Sent                                    not recorded
  Answered                                not recorded
""",
    ),
}


@pytest.mark.parametrize(("outcome", "request_record", "expected"), TIMES.values(), ids=TIMES)
def test_the_times(run, write, tmp_path, outcome, request_record, expected):
    write(9, outcome, request=request_record, gate=GATE if outcome is ADMITTED else None)
    assert run("report", EVENT, "-o", str(tmp_path / "r"))[0] == 0
    text = (tmp_path / "r" / "report.txt").read_text()
    assert f"\n{expected}\nVersions\n" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.usefixtures("unsent", "in_berlin")
def test_the_picture_shows_the_rows_around(run, tmp_path):
    run("report", EVENT, "-o", str(tmp_path / "r"))
    svg = (tmp_path / "r" / "event-monitor.svg").read_text()
    words = "".join(ET.fromstring(svg).itertext()).replace("\xa0", " ")
    assert words.count("1234567890123") == 2
    assert words.index("the event of this report") < words.index("1234567890123")
    # Other members' codes by their end alone.
    shown = [number for number in range(20) if f"…{number:04d}" in words]
    assert shown == [*range(9 - AROUND, 9), *range(11, 10 + AROUND)]
    assert "5678000" not in words
    assert "20:44:01" in words
    assert "Sent" in words


def test_the_picture_shows_the_same_card_whole_however_it_was_read(run, write, tmp_path):
    write(8, credential="04:a3:b2:c1", member=None)
    write(9, TIMEOUT, credential="04A3B2C1")
    run("report", EVENT, "-o", str(tmp_path / "r"))
    svg = (tmp_path / "r" / "event-monitor.svg").read_text()
    assert "04:a3:b2:c1" in "".join(ET.fromstring(svg).itertext())


def test_a_report_reads_no_more_than_the_events_around(run, write, tmp_path):
    unreadable = SimpleNamespace(value="not a fault")
    for number in range(-NEIGHBOURS, NEIGHBOURS + 20):
        # Nothing within the hour but the event itself: to look further is to fail.
        far = number if number == 9 else number * 100
        close = number in range(9 - NEIGHBOURS, 10 + NEIGHBOURS)
        write(
            far,
            TIMEOUT,
            **({} if close else {"fault": unreadable}),
            id=f"0199f0c6-0000-7000-8000-{number + 1000:012d}",
        )
    assert run("report", "0199f0c6-0000-7000-8000-000000001009", "-o", str(tmp_path / "r"))[0] == 0
    assert (tmp_path / "r" / "event-monitor.svg").read_text().count("1234567890123") == 1


@pytest.mark.usefixtures("unsent")
def test_the_picture_asks_the_internet_for_nothing(run, tmp_path):
    run("report", EVENT, "-o", str(tmp_path / "r"))
    svg = (tmp_path / "r" / "event-monitor.svg").read_text()
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")


def test_markup_in_a_code_stays_text(run, write, tmp_path):
    write(9, TIMEOUT, credential="</text><script>alert(1)</script>", member=None, partner=None)
    run("report", EVENT, "-o", str(tmp_path / "r"))
    picture = ET.parse(tmp_path / "r" / "event-monitor.svg")
    assert not [node for node in picture.iter() if node.tag.endswith("script")]


def test_a_case_that_is_none_says_whom_to_ask(run, write, tmp_path):
    write(9, NOT_FOUND)
    status, out, _ = run("report", EVENT, "-o", str(tmp_path / "r"))
    assert status == 0
    first = "No case for Support: wellhub decided; the member checks in in the app first."
    assert out.splitlines()[0] == first
    text = (tmp_path / "r" / "report.txt").read_text()
    assert text.startswith(first)
    assert "HTTP status     404" in text
    assert "Reason          checkin.validation.notfound: no pending check-in" in text


def test_why_the_gate_opened(run, write, tmp_path):
    write(9, basis=Basis.ALREADY_IN)
    run("report", EVENT, "-o", str(tmp_path / "r"))
    assert "  Basis           already_in\n" in (tmp_path / "r" / "report.txt").read_text()


def test_the_folders_name_and_who_may_read_it(run, write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(9)
    assert run("report", EVENT.upper())[0] == 0
    folder = tmp_path / f"gatectl-report-{EVENT}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_nothing_that_is_there_is_touched(run, write, tmp_path):
    write(9)
    folder = tmp_path / "r"
    folder.mkdir()
    secret = tmp_path / "precious"
    (folder / "report.txt").symlink_to(secret)
    status, _, err = run("report", EVENT, "-o", str(folder))
    assert status == 1
    assert err.startswith(f"{folder}/report.txt: is there already\nhint: ")
    assert not secret.exists()


def test_a_folder_that_cannot_be_made(run, write, tmp_path):
    write(9)
    (tmp_path / "file").touch()
    status, _, err = run("report", EVENT, "-o", str(tmp_path / "file" / "r"))
    assert status == 1
    assert err.splitlines()[0].endswith("Not a directory")


@pytest.mark.parametrize("text", ["../../etc/passwd", "", "9", "0199f0c6-0000-7000-8000-00000000000/"])
def test_texts_that_are_no_id(run, write, text):
    write(9)
    status, _, err = run("report", text)
    assert status == 1
    assert "is no event's ID" in err


def test_an_event_that_is_not_there(run, write):
    write(9)
    write(10, outcome=None)
    for number in (7, 10):
        status, _, err = run("report", f"0199f0c6-0000-7000-8000-{number:012d}")
        assert status == 1
        assert "there is no finished event" in err


def test_no_key_in_any_field(run, write, settings, tmp_path):
    key = "Sup3rS3cretK3y"
    (tmp_path / "key").write_text(key)
    (tmp_path / "key").chmod(0o600)
    text = settings.read_text().replace("a key that nobody can read", "key")
    text = text.replace("https://localhost:1/check", f"https://localhost:1/check?token={key}-2&x=1")
    settings.write_text(text.replace('status_page = "', f'status_page = "https://{key}.example.com/'))
    write(9, TIMEOUT, reason=Reason("odd", f"echoed {key}"), credential="x" * 20 + key)
    assert run("report", EVENT, "-o", str(tmp_path / "r"))[0] == 0
    for path in (tmp_path / "r").iterdir():
        text = path.read_text()
        # A line may end in the middle of it.
        assert key[:5] not in text, path
        assert key[-5:] not in text, path
    kept = json.loads((tmp_path / "r" / "settings.json").read_text())
    assert kept["partners"]["wellpass"]["url"] == "https://localhost:1/check?[masked]"
    assert kept["partners"]["wellhub"]["key"]["file"] == str(tmp_path / "key")
    assert kept["routes"][0]["match"] == r"\d{13}"


def test_the_settings_schedules(run, write, settings, tmp_path):
    schedules = '[schedules.opening]\nmon = ["06:00-22:00"]\nexcept = { 2026-12-24 = ["06:00-13:00"] }\n'
    settings.write_text(f"{settings.read_text()}\n{schedules}")
    write(9, TIMEOUT)
    assert run("report", EVENT, "-o", str(tmp_path / "r"))[0] == 0
    kept = json.loads((tmp_path / "r" / "settings.json").read_text())
    opening = kept["schedules"]["opening"]
    assert opening == {"week": [[[360, 1320]], *[[]] * 6], "exceptions": {"2026-12-24": [[360, 780]]}}


def test_a_key_is_masked_although_another_partners_is_missing(run, write, settings, tmp_path):
    key = "Sup3rS3cretK3y"
    (tmp_path / "key").write_text(key)
    (tmp_path / "key").chmod(0o600)
    settings.write_text(settings.read_text().replace("a key that nobody can read", "key", 1))
    write(9, TIMEOUT, credential="x" * 20 + key)
    assert run("report", EVENT, "-o", str(tmp_path / "r"))[0] == 0
    assert not [path for path in (tmp_path / "r").iterdir() if key in path.read_text()]


HOUSE = """
[partners.house]
protocol = "http"
url = "https://members.example.com/{code}"
auth = "none"
answers = [{ status = 200, verdict = "allowed" }]
"""


def test_a_partner_without_a_key_masks_nothing(run, write, settings, tmp_path):
    (tmp_path / "key").write_text("Sup3rS3cretK3y")
    (tmp_path / "key").chmod(0o600)
    text = settings.read_text().replace("a key that nobody can read", "key")
    settings.write_text(text + HOUSE)
    write(9, TIMEOUT)
    assert run("report", EVENT, "-o", str(tmp_path / "r"))[0] == 0
    assert not [path for path in (tmp_path / "r").iterdir() if "[masked]" in path.read_text()]


def test_of_two_keys_where_one_begins_the_other_both_are_masked_whole(run, write, settings, tmp_path):
    short, long = "Sup3r-K3y", "Sup3r-K3y-with-secret-ending"
    text = settings.read_text()
    for number, key in enumerate((short, long)):
        (tmp_path / f"key{number}").write_text(key)
        (tmp_path / f"key{number}").chmod(0o600)
        text = text.replace("a key that nobody can read", f"key{number}", 1)
    settings.write_text(text)
    message = f"Opened by hand: {long}"
    codes = dict.fromkeys(("member", "customer", "credential", "detail"), long)
    write(9, TIMEOUT, message=message, reason=Reason(long, long), **codes)
    assert run("report", EVENT, "-o", str(tmp_path / "r"))[0] == 0
    for path in (tmp_path / "r").iterdir():
        assert "secret" not in path.read_text(), path
        assert "ending" not in path.read_text(), path


def test_a_manual_opening(run, write, tmp_path):
    write(
        9,
        kind="manual",
        message="Opened by hand: fire drill",
        credential=None,
        partner=None,
        member=None,
        request=None,
    )
    assert run("report", EVENT, "-o", str(tmp_path / "r"))[1].startswith("No case for Support: the door was")
    text = (tmp_path / "r" / "report.txt").read_text()
    assert "none was wanted" in text
    assert "Gate opened     2025-11-22T19:35:01.183542Z, 183.5 ms on\n\nVersions\n" in text
