"""`gatectl demo` as a process: scripts of scans and plays, the tour, and keys through a terminal."""

import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from limits import NET_S

from gatectl.cli.demo_keys import TypedLine
from gatectl.sim.plays import PLAYS, TOUR

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-W", "error", "-m", "gatectl", "demo"]
ANNA, BEN = "1000000000200", "1000000000001"

IN = "Aggregator member checked in"
NO_ANSWER = "Unable to check in aggregator customer, partner service communication error, please try again"
CLOSED = "Closed by schedule renovation"
NOT_PASSED = "Admitted, but did not pass"


def demo(*arguments, stdin=""):
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=NET_S,
        check=False,
        env=environment,
    )
    return done.returncode, done.stdout, done.stderr


def messages(shown):
    """The message of each event, which is on the line below its facts."""
    lines = [line.rstrip() for line in shown.splitlines() if not line.startswith("journal: ")]
    times = [number for number, line in enumerate(lines) if re.match(r"\d\d:\d\d:\d\d ", line)]
    return [lines[number + 1].strip() for number in times]


def scenes(shown):
    """The messages of each scene, under its heading."""
    _, *parts = re.split(r"^-- (.*) --$", shown, flags=re.MULTILINE)
    return [(words, messages(below)) for words, below in zip(parts[::2], parts[1::2], strict=True)]


def test_a_member_passes():
    status, shown, complained = demo("--scan", ANNA, "--then", "passes")
    assert (status, complained) == (0, "")
    assert scenes(shown) == [("the member passes", [IN, "Passed"])]
    assert re.search(r"the gate opens .* for 1 s\n", shown)


def test_without_a_play_the_door_has_no_sensor():
    status, shown, complained = demo("--scan", ANNA, "--scan", ANNA, "--scan", "WP-1403")
    assert (status, complained) == (0, "")
    assert messages(shown) == [IN, IN, "Aggregator member check-in not allowed"]
    assert len(re.findall(r"the gate opens .* ms after the scan, for 3 s\n", shown)) == 2
    assert "the gate stays shut" in shown
    assert "inside" not in shown


def test_pairs_follow_each_other_and_a_scan_without_a_play_passes():
    status, shown, complained = demo(
        *("--scan", ANNA, "--then", "does-not-pass"),
        *("--scan", ANNA),
        *("--scan", "WP-1403", "--then", "passes"),
        *("--scan", BEN, "--then", "leaves", "--then", "closed"),
    )
    assert (status, complained) == (0, "")
    assert [below for _, below in scenes(shown)] == [
        [IN, NOT_PASSED],
        ["Let in again: had not passed", "Passed"],
        ["Aggregator member check-in not allowed"],
        [IN, "Passed", "Exit", "Left"],
        ["Closed at this time"],
    ]
    assert "the gate is shut: nobody can pass" in shown
    assert shown.splitlines()[-1] == "inside now: 1"  # two came in, and one left


MESSAGES = {
    "passes": [IN, "Passed"],
    "does-not-pass": [IN, NOT_PASSED],
    "turns-back": [IN, NOT_PASSED],
    "two-at-once": [IN, IN, "Passed", "Passed"],
    "tailgates": [IN, "Passed", "Passage without admission"],
    "bounces": [IN, "Passed"],
    "left-open": [IN, "Passed", "Door held open", "Door closed again after N s"],
    "leaves": ["Exit", "Left"],
    "forced": ["Door forced open", "Door closed again after N s"],
    "fire": ["Fire alarm", "Let in: fire alarm", "Normal again"],
    "held": ["Held open until TIME: open day", IN, "Passed", "Normal again"],
    "lockdown": ["Locked down: a threat in the street", "Locked down", "Normal again"],
    "closed": ["Closed at this time"],
}
"""The messages of each play of the tour."""


def test_the_tour_plays_every_play():
    status, shown, complained = demo("--tour")
    assert (status, complained) == (0, "")
    seen = scenes(shown)
    second = seen.pop(2)
    assert second == ("the member passes", ["Let in again: had not passed", "Passed"])
    expected = {PLAYS[play].words: below for play, below in MESSAGES.items()}
    messages = {words: [untimed(one) for one in below] for words, below in seen if words in expected}
    assert messages == expected
    assert {play for _, play in TOUR} == set(PLAYS)
    assert [below for _, below in seen[-3:]] == [
        [IN, "Passed"],
        [NO_ANSWER, NO_ANSWER, "Let in without the partner: outage (outage)", "Passed"],
        [IN, "Passed"],
    ]


def untimed(message):
    return re.sub(r"after \d+ s", "after N s", re.sub(r"until \d\d:\d\d:\d\d", "until TIME", message))


@pytest.mark.parametrize(
    ("bursts", "entries", "left"),
    [
        (["p"], ["p"], ""),
        (["p\r"], ["p"], ""),
        (["ppp\r"], ["ppp"], ""),
        (["plain\n"], ["plain"], ""),
        (["12\np"], ["12", "p"], ""),
        (["12\r\n34\r\n"], ["12", "34"], ""),
        (["1", "p", "\r"], ["1p"], ""),
        (["1", "\x7f", "p"], ["p"], ""),
        (["12", "\x15", "\r", "3"], [], "3"),
        (["\x1b[A", "p"], ["p"], ""),
        ([" p \r", "  \r"], ["p"], ""),
        (["1\x04\r"], ["1"], ""),
        (["\x07é\r"], ["é"], ""),
    ],
)
def test_a_key_acts_alone_and_a_code_with_enter(bursts, entries, left):
    line = TypedLine({"p"})
    assert [entry for burst in bursts for entry in line.feed(burst)] == entries
    assert (line.text, line.has_ended) == (left, False)


def test_ctrl_d_ends_at_an_empty_line_alone():
    line = TypedLine({"p"})
    line.feed("1\x04")
    assert not line.has_ended
    line.feed("\x7f\x04")
    assert line.has_ended


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scan", ANNA, "--then", "pases"], ["there is no play 'pases'", "hint: did you mean passes?"]),
        (["--then", "xyzzy"], ["there is no play 'xyzzy'", "hint: there are passes, does-not-pass, "]),
        (["--then", "passes"], ["--then passes wants a member at the gate", "hint: put a --scan CODE"]),
        (["--tour", "--scan", ANNA], ["--tour plays a script of its own, so leave out --scan and --then"]),
    ],
)
def test_wrong_usage_names_the_remedy(arguments, said):
    status, shown, complained = demo(*arguments)
    assert (status, shown) == (2, "")
    lines = complained.splitlines()
    assert len(lines) == len(said)
    assert all(
        line.removeprefix("gatectl demo: ").startswith(words) for line, words in zip(lines, said, strict=True)
    )


def test_help_and_man_page_list_every_play():
    _, shown, _ = demo("--help")
    manual = (ROOT / "config/man/gatectl.1").read_text().replace("\\-", "-")
    for play in PLAYS.values():
        assert re.search(rf"^  {play.name} +{play.key}  {re.escape(play.words)}$", shown, re.MULTILINE)
        heading = f'.IP "\\fB{play.name}\\fR (key \\fB{play.key}\\fR)"'
        assert f"{heading}\n{play.words[0].upper()}{play.words[1:]}." in manual


def test_the_command_for_the_web_pages_is_one_that_a_shell_finds():
    _, shown, _ = demo()
    command = shlex.split(re.search(r"^As web pages, from another terminal: (.*)$", shown, re.MULTILINE)[1])
    assert command[1:3] == ["monitor", "-c"]
    found = subprocess.run([command[0], "--version"], capture_output=True, text=True, check=True)
    assert found.stdout.startswith("gatectl ")


def test_a_key_plays_only_with_somebody_at_the_gate():
    """The exit's opening lets nobody in, and a scan in a fire alarm is no admission that waits."""
    status, shown, complained = demo(stdin=f"p\nl\np\na\n{BEN}\nl\n")
    assert (status, complained) == (0, "")
    assert shown.index("the gate is shut: nobody can pass") < shown.index("no member stands at the gate")
    assert messages(shown) == [
        *(CLOSED, "Exit", "Left"),
        *("Fire alarm", "Let in: fire alarm", "Normal again"),
        *(IN, "Passed", "Exit", "Left"),
    ]


def test_codes_and_keys_come_through_a_pipe_a_line_each():
    status, shown, complained = demo(stdin=f"{ANNA}\n{ANNA}\np\n?\nhello\n")
    assert (status, complained) == (0, "")
    assert messages(shown) == [CLOSED, IN, "Passed", "Credential not recognised"]
    assert "the same scan: the gate still waits for this member to pass" in shown


class Terminal:
    """A person's side of the demo's terminal."""

    def __init__(self, line):
        self._line = line
        self._shown = ""

    def type(self, text):
        os.write(self._line, text.encode())

    def until(self, *words):
        """Return the output up to the last of the words, which come in this order."""
        seen = ""
        for word in words:
            while word not in self._shown:
                assert select.select([self._line], [], [], NET_S)[0], f"{word!r} was not shown: {self._shown}"
                self._shown += os.read(self._line, 65536).decode()
            before, _, self._shown = self._shown.partition(word)
            seen += before + word
        return seen


@contextmanager
def terminal():
    line, end = pty.openpty()
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "xterm"}
    with subprocess.Popen(
        [*COMMAND], stdin=end, stdout=end, stderr=subprocess.PIPE, env=environment
    ) as process:
        os.close(end)
        try:
            yield Terminal(line), process
        finally:
            process.terminate()
            os.close(line)


def test_keys_act_at_once_and_codes_end_with_enter():
    with terminal() as (person, process):
        person.until("p    the member passes", "a key acts at once".capitalize(), "scan> ")
        person.type("f")
        person.until("-- somebody forces the door open --", "Door forced open", "Door closed again")
        person.type("hello\r")  # a scanner's burst begins with a key, and is none
        person.until("Credential not recognised", "scan> ")
        person.type("10000")
        person.until("scan> 10000")
        person.type("\x7f000000200")
        person.type("\r")
        person.until("the gate opens", "p: the member passes")
        person.type("p")
        person.until("-- the member passes --", "Passed", "scan> ")
        person.type("\x04")
        assert process.wait(NET_S) == 0
        assert process.stderr.read() == b""


def test_an_event_appears_above_a_code_that_is_being_typed():
    with terminal() as (person, process):
        person.until("scan> ")
        person.type(f"{ANNA}\r")
        person.until("p: the member passes", "scan> ")
        person.type("10")
        person.until(NOT_PASSED, "scan> 10")
        person.type("\x15\x04")
        assert process.wait(NET_S) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_the_daemon_ends_with_the_demo(number):
    with terminal() as (person, process):
        person.until("scan> ")
        (daemon,) = children(process.pid)
        ended = os.pidfd_open(daemon)
        process.send_signal(number)
        assert process.wait(NET_S) == (-number if number == signal.SIGKILL else 128 + number)
        assert select.select([ended], [], [], NET_S)[0], "the daemon goes on alone"
        os.close(ended)


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
