"""The man pages: whole, and without a complaint from those who show them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gatectl.cli.completion.outline import outline
from gatectl.decision.event import Attempt, Event, GateRecord, Outcome, RequestRecord
from gatectl.decision.outcomes import KINDS, Fault, Message
from gatectl.decision.verdict import Basis, Reason, Result, Verdict
from gatectl.sinks.systemd_journal import entry_of

ROOT = Path(__file__).parents[2]
MAN = ROOT / "config/man"
EVENTS = MAN / "gatectl-events.5"
FLEET = MAN / "gatectl-fleet.1"
UPLINK = MAN / "gatectl-uplink.1"
PAGES = [MAN / "gatectl.1", MAN / "gatectl.toml.5", EVENTS, MAN / "gatectl-wiring.7", FLEET, UPLINK]
COMMANDS = [command for command in outline().all() if not command.commands]


def plain(page):
    """The page's source without its marks, the continued lines joined."""
    text = page.read_text().replace("\\\n", "")
    text = re.sub(r"^\.(B|I|[BIR]{2}) (.*)$", lambda line: _words(*line.groups()), text, flags=re.MULTILINE)
    return re.sub(r"\\f[RIB]", "", text).replace("\\-", "-")


def _words(macro, arguments):
    """Macros of two fonts join their words."""
    between = "" if len(macro) == 2 else " "
    return between.join(quoted or word for quoted, word in re.findall(r'"([^"]*)"|(\S+)', arguments))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.line)
def test_every_command_is_documented_with_its_options_and_arguments(command):
    name = " ".join(command.path[1:])
    headings = re.findall(r"^\.TP\n(.*)$", plain(PAGES[0]) + plain(FLEET) + plain(UPLINK), re.MULTILINE)
    named = [line for line in headings if re.match(rf"{name.replace(' ', ' *')}(?![a-z])", line)]
    assert len(named) == 1, name
    for option in command.options:
        if not {"-h", "-c"} & set(option.flags):
            value = "" if option.value is None else rf" {option.value.name}\b"
            assert re.search(rf"(?<![\w-]){option.flags[0]}{value}(?![\w-])", named[0])
    for place in command.places:
        words = place.value.words or (place.value.name,)
        assert all(word in named[0] for word in words)


def test_the_manual_has_the_options_of_all_commands():
    text = plain(PAGES[0])
    for option in outline().options:
        assert all(flag in text for flag in option.flags)


def readme_rows():
    """The first column of the README's table of commands."""
    readme = (ROOT / "README.md").read_text()
    return re.findall(r"^\| (`gatectl [^|]*) \|", readme, re.MULTILINE)


def test_the_readme_has_every_command_and_no_option_that_is_not_there():
    rows = " ".join(readme_rows())
    for command in outline().commands:
        assert f"`gatectl {command.path[1]}" in rows
    flags = {flag for command in outline().all() for option in command.options for flag in option.flags}
    assert set(re.findall(r"(?<!\w)--?[a-z][\w-]*", rows)) <= flags


def sample_settings():
    """Every name before a `=` in the sample, which has all settings."""
    sample = (ROOT / "config/gatectl.toml").read_text()
    return sorted(set(re.findall(r"(?<![\w<])([a-z_]+) = ", sample)))


@pytest.mark.parametrize("name", sample_settings())
def test_every_setting_is_documented(name):
    assert re.search(rf"^\.(?:B|BR|BI|RB) .*\b{name}\b", PAGES[1].read_text(), re.MULTILINE)


def test_every_table_is_documented():
    tables = re.findall(r"^\.SS (\[.*\])$", PAGES[1].read_text(), re.MULTILINE)
    sample = (ROOT / "config/gatectl.toml").read_text()
    for table in re.findall(r"^(?:# )?(\[.*\])$", sample, re.MULTILINE):
        assert re.sub(r"\b(partners|doors|schedules)\.\w+", r"\1.NAME", table) in tables


SCAN = Attempt(
    id="01a2177c-7cfc-7c6a-96fc-04e7bda70d21",
    kind="scan",
    at_us=0,
    tenant="FitCo GmbH",
    studio="Berlin Mitte",
    door="main",
    scanner="/dev/ttyUSB0",
    credential="1",
    partner="p",
    member="2",
    budget_ms=750,
    boot="b",
    since_boot_us=0,
    of="01a2177c-7cfc-7c6a-96fc-04e7bda70d20",
    customer="3",
)
FULL = Event(
    SCAN,
    Outcome(
        Result.ADMITTED,
        Message.CHECKED_IN.value,
        Verdict.ALLOWED,
        200,
        Fault.GATE,
        basis=Basis.PARTNER,
        detail="d",
        reason=Reason("k", "t"),
        request=RequestRecord(True, 0, 0, 1.0, 750, "warm"),
        gate=GateRecord(0, 1.0, 3000),
    ),
)
"""Every field has a value."""


LINES = [message.value for message in Message if message is not Message.REFUSING_EVERYONE]
LINES[LINES.index("Opened by hand")] += ": REASON"
LINES[LINES.index("Door closed again after")] += " DURATION"
LINES[LINES.index("Held open")] += " until TIME: REASON"
LINES[LINES.index("Closed by schedule")] += " NAME"
LINES[LINES.index(Message.INPUT)] = "The INPUT STATE"
"""The messages that events have."""


def event_fields():
    printed = FULL.to_json()
    return [*printed, *printed["request"], *printed["gate"]]


def headings(section):
    """The words of the headings in a section of the page about events."""
    text = plain(EVENTS).replace("\\(aq", "'")
    body = re.search(rf"^\.SH {section}\n(.*?)^\.SH ", text, re.MULTILINE | re.DOTALL)[1]
    return re.findall(r"^\.TP\n(.*)$", body, re.MULTILINE)


def test_the_manual_has_an_events_fields_in_their_order():
    described = [name for line in headings("FIELDS") for name in line.split(", ")]
    assert described == event_fields()


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("KINDS", KINDS),
        ("VERDICTS", [verdict.value for verdict in Verdict]),
        ("FAULTS", [fault.value for fault in Fault]),
        ("BASES", [basis.value for basis in Basis]),
        ("RESULTS AND MESSAGES", LINES),
    ],
)
def test_every_value_of_a_field_is_documented(section, values):
    assert sorted(headings(section)) == sorted(values)


def test_every_result_is_documented():
    text = plain(EVENTS)
    assert all(re.search(rf"^{result.value}\b", text, re.MULTILINE) for result in Result)


def test_every_field_in_the_systemd_journal_is_documented():
    described = [name for line in headings("THE SYSTEMD JOURNAL") for name in line.split(", ")]
    fields = [f"GATECTL_{name}" for name in entry_of(FULL).fields]
    assert described == [*fields, "PRIORITY", "MESSAGE_ID"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.parametrize(
    "command",
    [
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8"],
        ["groff", "-man", "-ww", "-z", "-Tutf8"],
        ["mandoc", "-Tlint", "-W", "style"],
    ],
    ids=lambda command: command[0],
)
def test_man_shows_it_without_warnings(command, page):
    if not shutil.which(command[0]):
        pytest.skip(f"there is no {command[0]} here: apt-get install {command[0]}")
    done = subprocess.run([*command, page], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    if command[0] == "mandoc":
        assert done.stdout == ""
