import csv
import io
import json
import os
import pty
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from records import MINUTE_US, NOT_ALLOWED, NOT_FOUND, START_US, TIMEOUT, UNRECOGNISED, scan

from gatectl.cli.events import _events
from gatectl.decision.event import Outcome, RequestRecord
from gatectl.decision.outcomes import KINDS, Fault, Message
from gatectl.decision.spreadsheet import plain
from gatectl.decision.verdict import Reason, Result, Verdict
from gatectl.journal.filters import Filters
from gatectl.journal.reader import Reader

CREDENTIALS = {
    "status": 401,
    "fault": Fault.CREDENTIALS,
    "verdict": Verdict.NONE,
    "message": Message.NO_VERDICT,
}
MANUAL = {
    "kind": "manual",
    "message": "Opened by hand: fire drill",
    **dict.fromkeys(["scanner", "credential", "partner", "member", "verdict", "status", "request"]),
}

GOLDEN = """\
Time     Door      Credential     Partner    Result     Answer           ms Sent
2025-11-22 Saturday
20:36:01 main      1234567890123  wellhub    admitted   200             182 yes
         Aggregator member checked in
20:37:01 main      1234567890123  wellhub    rejected   403             182 yes
         Aggregator member check-in not allowed
         wellhub declined: ask the member to contact wellhub directly to clarify
         the membership. This decision cannot be overridden here.
20:38:01 main      1234567890123  wellhub    rejected   403             182 yes
         Aggregator member check-in not allowed
20:39:01 main      1234567890123  wellhub    rejected   404             182 yes
         Aggregator member not found in partner system
         Reason: checkin.validation.notfound: no pending check-in
         wellhub has no check-in waiting: ask the member to check in in the app
         first and to try again. If that does not help, the member should
         contact wellhub directly to clarify the membership. This decision
         cannot be overridden here.
20:40:01 main      1234567890123  wellhub    rejected   timeout        2001 yes
         Unable to check in aggregator customer, partner service communication
         error, please try again
         Detail: no answer within 2000 ms
         Probably a brief hiccup at wellhub. Ask the member to try again in five
         minutes. If it keeps happening, wellhub should be contacted.
20:41:01 main      1234567890123  wellhub    rejected   timeout        2001 yes
         Unable to check in aggregator customer, partner service communication
         error, please try again (outage)
         wellhub fails for everyone, which is an outage: check its status page
         (https://status.example.com) and contact wellhub. There is no need to
         contact Support.
20:42:01 main      [red]x\\x1b[2J\\            rejected   unrecognised        no
                   u202e
         Credential not recognised
         No card and no route takes this code: check the card or the route with
         `gatectl route '[red]x\\x1b[2J\\u202e' --door main`. If they are as they
         should be: Contact Support, with what `gatectl report
         0199f0c6-0000-7000-8000-000000000007` collects.
20:43:01 main      1234567890123  wellhub    rejected   401             182 yes
         Unable to check in aggregator customer, partner service communication
         error, please try again
         The partner refuses this gym's own key, or the key is not for this
         gym's ID (at Wellhub: gym_id); no member can fix that. Contact Support,
         with what `gatectl report 0199f0c6-0000-7000-8000-000000000008`
         collects.
2025-11-23 Sunday
00:16:01 main      1234567890123  wellhub    unknown    interrupted         ?
         Interrupted: the outcome was not recorded
         gatectl stopped before it could record how this scan ended. The request
         may have gone out, and the partner may have counted the check-in. Ask
         the member to scan again; if the partner now refuses, the member should
         contact the partner.
00:17:01 back-entr                           admitted
         ance
         Opened by hand: fire drill
"""


@pytest.fixture
def evening(write):
    write(1)
    write(2, NOT_ALLOWED)
    write(3, NOT_ALLOWED)
    write(4, NOT_FOUND)
    write(5, TIMEOUT, detail="no answer within 2000 ms")
    write(6, TIMEOUT, outage=True)
    write(7, UNRECOGNISED, partner=None, member=None, credential="[red]x\x1b[2J\u202e")
    write(8, **CREDENTIALS, result=Result.REJECTED)
    write(
        221,
        result=Result.UNKNOWN,
        message=Message.INTERRUPTED,
        fault=Fault.INTERRUPTED,
        status=None,
        verdict=Verdict.NONE,
        request=RequestRecord(None, None, None, None, 2000, None),
    )
    write(222, **MANUAL, door="back-entrance")


@pytest.mark.parametrize(
    ("kind", "result", "message"),
    [(kind, result, row.message) for kind in KINDS for result, row in KINDS[kind].rows.items()],
)
def test_every_kind_of_event_is_shown(run, write, tmp_path, kind, result, message):
    event = write(
        1, Outcome(result, message), kind=kind, scanner=None, credential=None, partner=None, member=None
    )
    status, out, err = run("events")
    assert (status, err) == (0, "")
    assert message in " ".join(out.split())
    assert result.value in out.split(), "no part of it on the next line"
    assert run("report", event.attempt.id, "-o", str(tmp_path / "report"))[0] == 0


def test_two_partners_that_fail_at_once_and_one_that_refuses_everyone(run, write):
    for number in range(1, 6):
        write(number, NOT_ALLOWED, member=str(number))
    write(6, TIMEOUT, partner="wellpass", outage=True)
    write(7, TIMEOUT, outage=True)
    _, out, _ = run("events")
    said = " ".join(out.split())
    assert said.count("has refused five different members in a row") == 1
    assert said.count("Another partner fails at the same time as wellhub.") == 1


@pytest.mark.parametrize("chosen", [("-n", "1"), ("--member", "5"), ("--door", "main")])
def test_events_outside_the_list_count_for_the_advice(run, write, chosen):
    for number in range(1, 6):
        write(number, NOT_ALLOWED, member=str(number))
    assert "five different members in a row" in " ".join(run("events", *chosen)[1].split())


def test_an_admission_that_the_list_leaves_out_ends_a_row_of_refusals(run, write):
    for number in (1, 2, 3):
        write(number, NOT_ALLOWED, member=str(number))
    write(4, member="4")
    for number in (5, 6):
        write(number, NOT_ALLOWED, member=str(number))
    assert "in a row" not in run("events", "--result", "rejected")[1]


def test_a_partner_that_fails_next_to_the_listed_one_is_named(run, write):
    write(6, TIMEOUT, partner="wellpass", outage=True)
    write(7, TIMEOUT, outage=True)
    said = " ".join(run("events", "--partner", "wellhub")[1].split())
    assert "Another partner fails at the same time as wellhub." in said


def test_the_detail_of_a_failure_is_shown(run, write):
    write(1, TIMEOUT, detail="502 with a text/html page, as a proxy sends it")
    assert "Detail: 502 with a text/html page, as a proxy sends it" in run("events")[1]


def lines(text):
    return [line.rstrip() for line in text.splitlines()]


def test_junk_codes_fill_no_screen(run, write):
    for number in (1, 2, 3):
        write(number, UNRECOGNISED, partner=None, member=None, credential=f"{number}" + "x" * 511)
    _, out, _ = run("events")
    assert out.count("No card and no route takes this code") == 1
    for number in (2, 3):
        assert f"As before: gatectl report {scan(number).attempt.id}" in out
    assert len(out.splitlines()) < 30
    _, whole, _ = run("events", "--json")
    assert whole.count("x" * 511) == 3


@pytest.mark.usefixtures("evening", "in_berlin")
def test_the_list_for_people(run):
    status, out, err = run("events")
    assert lines(out) == lines(GOLDEN)
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.usefixtures("in_berlin")
def test_changes_of_the_clock_are_shown_between_the_events(run, write):
    hour, day = 60 * MINUTE_US, 24 * 60 * MINUTE_US
    write(1)
    write(2, at_us=START_US + 2 * MINUTE_US + 3 * 365 * day + 2 * day)
    write(3, at_us=START_US + 3 * MINUTE_US + 3 * 365 * day + 2 * day - hour)
    write(4, at_us=START_US + 3 * MINUTE_US + 3 * 365 * day + 3 * day, boot="b" * 32, since_boot_us=7)
    write(5, boot="c" * 32, since_boot_us=8)
    notes = [line.strip() for line in lines(run("events")[1]) if line.startswith("         --")]
    assert notes == [
        "-- the clock was set forward by 3 years 2 days --",
        "-- the clock was set back by 1 h --",
        "-- restarted --",
        "-- restarted, the clock back by at least 3 years 2 days --",
    ]
    assert "clock" not in run("events", "--json")[1]


def test_text_shows_the_last_twenty_and_json_all(run, write):
    for number in range(30):
        write(number)
    assert run("events")[1].count("checked in") == 20
    assert run("events", "-n", "25")[1].count("checked in") == 25
    assert len(run("events", "--json")[1].splitlines()) == 30
    assert len(run("events", "--json", "-n", "3")[1].splitlines()) == 3
    assert run("events", "--json", "-n", "0")[1] == ""


def test_json_is_the_contracts_object_a_line(run, write):
    written = [write(1), write(2, NOT_FOUND, credential="Käthe\u2028☃")]
    status, out, err = run("events", "--json")
    assert (status, err) == (0, "")
    # A code may hold what Unicode takes for the end of a line.
    lines = out.splitlines()
    assert [json.loads(line) for line in lines] == [event.to_json() for event in written]
    assert "Käthe\\u2028☃" in lines[1]
    assert list(json.loads(lines[0])) == list(scan(1).to_json())


def test_json_is_utf_8_in_any_terminal(start, write):
    write(1, credential="Käthe ☃")
    process = start("events", "--json", env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert json.loads(process.stdout.read())["credential"] == "Käthe ☃"


def test_text_survives_a_terminal_without_the_letters(start, write):
    write(1, credential="Käthe")
    process = start("events", env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert r"K\xe4the" in process.stdout.read()


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--door", "side"], [2]),
        (["--partner", "wellpass"], [3]),
        (["--member", "7"], [3]),
        (["--code", "\ufeff 1234567890123\u00a0"], [1, 2, 3]),
        (["--result", "rejected"], [2, 4]),
        (["--since", "2025-11-22T20:38:01.000042+01:00"], [3, 4]),
        (["--since", "2025-11-22T20:38:01.000042"], [3, 4]),
        (["--since", "2025-11-22T19:38:01.000043Z"], [4]),
        (["--since", "2025-11-22"], [1, 2, 3, 4]),
        (["--since", "2025-11-23"], []),
        (["--since", "3650000d", "-n", "2"], [3, 4]),
        (["--since", "9" * 18 + "d", "-n", "9" * 18], [1, 2, 3, 4]),
        (["--since", "1s"], []),
        (["--until", "2025-11-22T20:38:01.000042"], [1, 2, 3]),
        (["--until", "2025-11-22"], [1, 2, 3, 4]),
        (["--until", "2025-11-21"], []),
        (["--since", "2025-11-22T20:37", "--until", "2025-11-22T20:39"], [2, 3]),
        (["--code", "04:a3:b2:c1"], [4]),
        (["--code", "1234567890123"], [1, 2, 3]),
        (["--code", "234567890123"], []),
        (["--kind", "scan"], [1, 2, 3, 4]),
        (["--kind", "manual"], []),
    ],
)
@pytest.mark.usefixtures("in_berlin")
def test_filters(run, write, args, expected):
    write(1)
    write(2, NOT_ALLOWED, door="side")
    write(3, partner="wellpass", member="7")
    write(4, NOT_ALLOWED, credential="04A3B2C1")
    status, out, _ = run("events", "--json", *args)
    assert status == 0
    assert [int(json.loads(line)["id"][-2:]) for line in out.splitlines()] == expected


def test_times_are_counted_from_now_in_the_gyms_zone(run, write, settings):
    settings.write_text('[site]\ntimezone = "Pacific/Kiritimati"\n' + settings.read_text())  # 14 hours ahead
    now = datetime.now(ZoneInfo("Pacific/Kiritimati"))
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    times = [now - timedelta(days=3), midnight - timedelta(hours=25), midnight - timedelta(hours=1), midnight]
    for number, at in enumerate(times):
        write(number, at_us=round(at.timestamp() * 1_000_000))

    def shown(*args):
        return [int(json.loads(line)["id"][-2:]) for line in run("events", "--json", *args)[1].splitlines()]

    assert shown("--since", "yesterday") == [2, 3]
    assert shown("--since", "0:00") == [3]
    assert shown("--since", "4d") == [0, 1, 2, 3]
    assert shown("--since", f"{now:%Y-%m-%d}") == [3]
    assert shown("--until", f"{midnight - timedelta(hours=1):%Y-%m-%d}") == [0, 1, 2]
    assert shown("--since", f"{times[1]:%Y-%m-%d}", "--until", f"{times[1]:%Y-%m-%d}") == [1]
    assert f"{midnight:%Y-%m-%d %A}" in run("events")[1]


@pytest.mark.parametrize(
    "args",
    [
        ["-n", "-1"],
        ["-n", "many"],
        ["-n", "9" * 400],
        ["--since", "9" * 400 + "s"],
        ["--since", "9" * 5000 + "d"],
        ["--since", "9" * 400],
        ["--since", "9999-12-31T23:59:59-23:59"],
        ["-n", "٣"],
        ["--since", "tomorrow"],
        ["--until", "25:00"],
        ["--json", "--csv"],
        ["--since", "-5m"],
        ["--since", "0001-01-01"],
        ["--since", ""],
        ["--result", "maybe"],
        ["main"],
    ],
)
def test_wrong_usage(run, args):
    status, out, err = run("events", *args)
    assert (status, out) == (2, "")
    first, hint = err.splitlines()
    assert first.startswith("gatectl events: ")
    assert hint == "hint: `gatectl events --help` shows the usage"


@pytest.mark.usefixtures("write")
def test_nothing_to_show_is_said_politely(run):
    assert run("events") == (0, "", "no events\n")
    assert run("events", "--json") == (0, "", "")


def test_no_journal_yet(run):
    status, out, err = run("events")
    assert (status, out) == (1, "")
    assert "there is no journal yet\nhint: " in err


@pytest.mark.parametrize("form", [["--json"], []])
def test_following_shows_the_last_ones_and_then_each_as_it_comes(start, write, form):
    write(1)
    write(2, door="back")
    process = start("events", "-f", "-n", "1", *form)

    def wait_for(text):
        return any(text in line for line in process.stdout)

    # That the last one is shown means that the place from which to go on is known.
    assert wait_for("back")
    for door in ("one", "two"):
        write(3 if door == "one" else 4, door=door)
        assert wait_for(door), "it must come while the command still runs"
    assert process.poll() is None


def test_an_event_between_the_last_ones_and_the_next_is_shown_once(settings, write):
    class Busy(Reader):
        def mark(self):
            mark = super().mark()
            if mark == 1:
                write(2)
            return mark

    write(1)
    with Busy(settings.with_name("journal.db")) as reader:
        shown = _events(reader, Filters(), None, follow=True)
        assert [next(shown).attempt.id[-1] for _ in range(2)] == ["1", "2"]
        write(3)
        assert next(shown).attempt.id[-1] == "3"


def test_json_does_not_wait_for_rich(settings, write):
    write(1)
    code = (
        "import sys\n"
        "from gatectl.cli.main import main\n"
        f"main(['events', '--json', '-c', {str(settings)!r}])\n"
        "sys.exit('rich' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def on_a_terminal(settings, **environ):
    """A command's output on a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gatectl", "events", "-c", str(settings)]
    environ = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": "80"} | environ
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environ) as process:
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65536):
                shown += chunk
        except OSError:  # Linux says EIO when the other end is closed
            pass
        os.close(ours)
    assert process.returncode == 0
    return shown.decode()


@pytest.mark.usefixtures("evening")
def test_colours_on_a_terminal_and_none_where_they_are_not_wanted(settings):
    assert "\x1b[31mrejected" in on_a_terminal(settings)
    assert "\x1b" not in on_a_terminal(settings, NO_COLOR="1")


@pytest.mark.usefixtures("evening")
def test_a_wide_terminal_is_used(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    _, out, _ = run("events")
    assert any("back-entrance" in line for line in out.splitlines())
    assert max(map(len, out.splitlines())) <= 120


def test_days_are_local(run, write, monkeypatch):
    write(1)
    for zone, day in {"Pacific/Auckland": "2025-11-23 Sunday", "America/Lima": "2025-11-22 Saturday"}.items():
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert day in run("events")[1]
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("args", "what", "hint"),
    [
        (["--door", "mian"], "there is no door 'mian'", "did you mean main?"),
        (["--door", "?"], "there is no door '?'", "there are: main, side"),
        (["--partner", "welhub"], "there is no partner 'welhub'", "did you mean wellhub?"),
        (["--partner", "goone"], "there is no partner 'goone'", "did you mean gone?"),
        (["--kind", "scans"], "there is no kind 'scans'", "did you mean scan?"),
    ],
)
def test_a_name_that_is_nowhere_is_an_error(run, write, args, what, hint):
    write(1, door="side", partner="gone")
    assert run("events", *args) == (
        1,
        "",
        f"{what}, neither in the settings nor in the journal\nhint: {hint}\n",
    )


@pytest.mark.parametrize("args", [["--door", "main"], ["--door", "side"], ["--partner", "gone"]])
def test_a_name_that_the_settings_or_the_journal_have_is_none(run, write, args):
    write(1, door="side", partner="gone")
    assert run("events", "--json", *args)[0] == 0


@pytest.mark.usefixtures("in_berlin")
def test_both_passes_of_a_repeated_hour_are_distinguished(run, write):
    twice_us = round(datetime(2026, 10, 25, 0, 10, tzinfo=UTC).timestamp()) * 1_000_000
    for number, hours in enumerate((-1, 0, 1, 2)):
        write(number, at_us=twice_us + hours * 60 * MINUTE_US, since_boot_us=hours * 60 * MINUTE_US)
    text = [
        line.split()[0] for line in run("events")[1].splitlines() if line[:1].isdigit() or line[:1] == "+"
    ]
    assert text == ["2026-10-25", "01:10:00", "02:10:00", "+02:00", "02:10:00", "+01:00", "03:10:00"]


def table(out):
    """The rows of a CSV file by their columns; the file begins with a byte order mark."""
    assert out.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(out.removeprefix("\ufeff"), newline="")))


@pytest.mark.usefixtures("in_berlin")
def test_csv_for_a_spreadsheet(run, write):
    for number in range(30):
        write(number, at_us=START_US + number * MINUTE_US)
    formulas = {"credential": "=1+1", "member": "@x", "customer": "-5", "detail": "+49", "door": "\t=1"}
    write(
        30,
        TIMEOUT,
        **formulas,
        reason=Reason("-k", 'say "=1", Käthe'),
        of="0199f0c6-0000-7000-8000-000000000007",
    )
    status, out, err = run("events", "--csv")
    rows = table(out)
    assert (status, err, len(rows)) == (0, "", 31)
    assert (rows[0]["time"], rows[0]["utc_offset"]) == ("2025-11-22 20:35:01", "'+01:00")
    assert not [cell for row in rows for cell in row.values() if cell[:1] in set("=+-@\t\r\n")]
    last = {name: plain(cell) for name, cell in rows[-1].items()}
    assert {name: last[name] for name in formulas} | {"door": "\t=1"} == formulas
    assert (last["reason_key"], last["reason"]) == ("-k", 'say "=1", Käthe')
    assert (last["fault"], last["status"], last["outage"]) == ("timeout", "", "no")
    assert last["of"].endswith("7")
    assert len(table(run("events", "--csv", "-n", "2")[1])) == 2


def test_csv_is_utf_8_in_any_terminal(start, write):
    write(1, credential="Käthe ☃")
    process = start("events", "--csv", env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert table(process.stdout.read())[0]["credential"] == "Käthe ☃"


def test_csv_names_each_hour_around_the_change_of_clocks(run, write, settings):
    settings.write_text('[site]\ntimezone = "Europe/Berlin"\n' + settings.read_text())
    twice_us = round(datetime(2026, 10, 25, 0, 10, tzinfo=UTC).timestamp()) * 1_000_000
    for number in range(2):
        write(number, at_us=twice_us + number * 60 * MINUTE_US)
    assert [(row["time"], row["utc_offset"]) for row in table(run("events", "--csv")[1])] == [
        ("2026-10-25 02:10:00", "'+02:00"),
        ("2026-10-25 02:10:00", "'+01:00"),
    ]


@pytest.mark.usefixtures("write")
def test_csv_without_events_is_the_header(run):
    assert table(run("events", "--csv")[1]) == []


NOT_PASSED = Outcome(Result.NOT_PASSED, Message.NOT_PASSED.value)
PASSED = Outcome(Result.PASSED, Message.PASSED.value)
FORCED = Outcome(Result.FORCED, Message.FORCED.value)
CLOSED = Outcome(Result.CLOSED, f"{Message.CLOSED_AGAIN.value} 2 min")
NO_CODE = dict.fromkeys(["scanner", "credential", "partner", "member"])


@pytest.fixture
def morning(write):
    first = write(1)
    write(2, NOT_ALLOWED, credential="2000000000000")
    write(3, NOT_PASSED, kind="passage", of=first.attempt.id, scanner=None)
    alarm = write(4, FORCED, kind="contact", **NO_CODE)
    again = write(5, credential="1234567890123", of=first.attempt.id, message=Message.AGAIN)
    write(6, PASSED, kind="passage", of=again.attempt.id, scanner=None)
    write(7, CLOSED, kind="contact", of=alarm.attempt.id, **NO_CODE)


@pytest.mark.usefixtures("morning", "in_berlin")
def test_passages_and_the_end_of_an_alarm_are_listed_under_what_they_belong_to(run):
    status, out, err = run("events")
    assert (status, err) == (0, "")
    lines = [line.strip() for line in out.splitlines()]
    at = [lines.index(f"- {line}") for line in (
        "20:38:01 Admitted, but did not pass",
        "20:41:01 Passed",
        "20:42:01 Door closed again after 2 min",
    )]  # fmt: skip
    assert [lines[index - 1] for index in at] == [
        "Aggregator member checked in",
        "Let in again: had not passed",
        "Door forced open",
    ]


@pytest.mark.usefixtures("morning", "in_berlin")
def test_without_their_scan_passages_say_whose_they_are(run):
    _, out, _ = run("events", "--kind", "passage")
    lines = [line.strip() for line in out.splitlines()]
    assert "Belongs to: 1234567890123, 20:36:01" in lines
    assert "Belongs to: 1234567890123, 20:40:01" in lines
    _, out, _ = run("events", "-n", "1")
    assert "Belongs to: Door forced open, 20:39:01" in [line.strip() for line in out.splitlines()]


@pytest.mark.usefixtures("morning")
def test_json_keeps_the_order_of_the_decisions(run):
    _, out, _ = run("events", "--json")
    kinds = [json.loads(line)["kind"] for line in out.splitlines()]
    assert kinds == ["scan", "scan", "passage", "contact", "scan", "passage", "contact"]


def test_following_a_passage_says_whose_it_is(start, write):
    first = write(1)
    process = start("events", "-f", "-n", "1")
    assert any("wellhub" in line for line in process.stdout)
    write(2, PASSED, kind="passage", of=first.attempt.id, scanner=None, member="4711")
    assert any("Belongs to: 1234567890123, " in line for line in process.stdout)
