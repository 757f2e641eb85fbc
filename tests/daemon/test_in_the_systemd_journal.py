"""The systemd journal's entry for each kind of event, at a socket of the test's own in its place."""

import os
import socket
import subprocess
import threading

import contract
import pytest
from harness import BRIEF_MS, GOOD, code
from limits import NET_S
from lines import fill
from viewing import Viewer

from gatectl.decision.outcomes import Message

SOCKET = "/run/systemd/journal/socket"

IN_ITS_PLACE = f"""
mount -t tmpfs gatectl-test /run/systemd && mkdir /run/systemd/journal && touch {SOCKET} &&
mount --bind "$0" {SOCKET} && exec "$@"
"""
"""In a mount namespace of the daemon's own, so that no other process ever sees it."""


class FakeJournal:
    """Takes entries in the journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._entries = []
        self._came = threading.Condition()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while datagram := self._socket.recv(65536):
            with self._came:
                self._entries.append(fields_of(datagram))
                self._came.notify_all()

    def wait(self, **wanted):
        """The first entry with these fields."""

        def found():
            return next((entry for entry in self._entries if wanted.items() <= entry.items()), None)

        with self._came:
            assert self._came.wait_for(found, NET_S), f"no {wanted} in {self._entries}"
            return found()

    @property
    def so_far(self):
        with self._came:
            return list(self._entries)

    def close(self):
        path = self._socket.getsockname()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.connect(path)
            last.send(b"")
        self._thread.join()
        self._socket.close()


def fields_of(datagram):
    fields = {}
    while datagram:
        line, _, datagram = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(datagram[:8], "little")
            value, datagram = datagram[8 : 8 + size], datagram[9 + size :]
        fields[name.decode()] = value.decode()
    return fields


@pytest.fixture(autouse=True)
def _own_file_systems():
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("only root may give a process its own file systems")


@pytest.fixture
def journal(tmp_path):
    fake = FakeJournal(tmp_path / "journal.socket")
    yield fake
    fake.close()


EVENTS = [
    # member, priority, the text in brackets before the time
    (GOOD["wellhub"], "6", "wellhub 200"),
    ("1000000000453", "5", "wellhub 400"),
    ("1000000000404", "5", "wellhub 404"),
    ("1000000000600", "4", "wellhub timeout"),
    ("1000000000610", "4", "wellhub network"),
    ("1000000000500", "4", "wellhub 500"),
    ("1000000000403", "3", "wellhub 403"),
    ("no ID of theirs", "5", None),
]


def test_an_entry_for_each_event(gym, journal, tmp_path):
    gym = gym({"wellhub": {"budget_ms": BRIEF_MS}})
    gym.start(["unshare", "-m", "sh", "-c", IN_ITS_PLACE, str(tmp_path / "journal.socket")])
    ids = {}
    for member, priority, brackets in EVENTS:
        event = gym.ask("wellhub", member)
        entry = journal.wait(GATECTL_EVENT_ID=event["id"])
        assert entry["PRIORITY"] == priority
        expected = {
            "GATECTL_EVENT_ID": event["id"],
            "GATECTL_DOOR": "main",
            "GATECTL_PARTNER": "wellhub",
            "GATECTL_MEMBER": member,
            "GATECTL_RESULT": event["result"],
            "GATECTL_KIND": event["kind"],
            "GATECTL_OF": event["of"],
            "GATECTL_BASIS": event["basis"],
            "GATECTL_DETAIL": event["detail"],
            "GATECTL_VERDICT": event["verdict"],
            "GATECTL_STATUS": event["status"] and str(event["status"]),
            "GATECTL_FAULT": event["fault"],
        }
        ours = {name: value for name, value in entry.items() if name.startswith("GATECTL_")}
        assert ours == {name: value for name, value in expected.items() if value is not None}
        said = ""
        if brackets:
            said = f" ({brackets}, {event['request']['elapsed_ms']:.0f} ms)"
        message = f"main: {event['result']} {code('wellhub', member)}{said}: {event['message']}"
        message += f": {event['detail']}" if event["detail"] else ""
        assert entry["MESSAGE"] == message
        assert len(bytes.fromhex(entry["MESSAGE_ID"])) == 16
        assert entry["SYSLOG_IDENTIFIER"] == "gatectl"
        ids.setdefault(event["message"], set()).add(entry["MESSAGE_ID"])
    assert all(len(of_one_message) == 1 for of_one_message in ids.values())
    assert len({next(iter(of_one_message)) for of_one_message in ids.values()}) == len(ids) == 5

    gym.fail("17=1")
    shut = gym.ask("wellhub", GOOD["wellhub"])
    entry = journal.wait(GATECTL_EVENT_ID=shut["id"])
    assert (entry["PRIORITY"], entry["GATECTL_FAULT"]) == ("3", "gate")
    assert entry["MESSAGE"].endswith(f"{contract.GATE_SHUT}: {shut['detail']}")
    gym.fail()

    assert gym.run("open", "main", "--reason", "Test").returncode == 0
    manual = gym.next_event()
    entry = journal.wait(GATECTL_EVENT_ID=manual["id"])
    assert (entry["PRIORITY"], entry["MESSAGE"]) == ("6", "main: admitted: Opened by hand: Test")

    scanner = gym.scanners["main"]
    scanner.unplug()
    journal.wait(PRIORITY="4", MESSAGE=f"scanner {scanner.link}: lost (unplugged)")
    scanner.plug()
    journal.wait(PRIORITY="5", MESSAGE=f"scanner {scanner.link}: ready")

    asked = len(gym.partners.requests)
    gym.scan(code("wellhub", "1000000000600"))
    gym.partners.until(lambda: len(gym.partners.requests) > asked)
    gym.kill9()
    gym.start(["unshare", "-m", "sh", "-c", IN_ITS_PLACE, str(tmp_path / "journal.socket")])
    interrupted = gym.next_event()
    entry = journal.wait(GATECTL_EVENT_ID=interrupted["id"])
    assert (entry["PRIORITY"], entry["GATECTL_RESULT"], entry["GATECTL_FAULT"]) == (
        "4",
        "unknown",
        "interrupted",
    )
    assert gym.terminate() == 0
    shown = [entry["GATECTL_EVENT_ID"] for entry in journal.so_far if "GATECTL_EVENT_ID" in entry]
    assert shown == [event["id"] for event in gym.events()]
    assert gym.stderr == []


SENSOR, LEAVING, FIRE, BUTTON, CONTACT = 27, 16, 20, 26, 19

GATE = {
    "open_ms": 60_000,
    "relay": {"continuous": True},
    "passage": {"pin": SENSOR, "debounce_ms": 0, "wait_ms": 60_000},
    "contact": {"pin": CONTACT, "active": "high", "debounce_ms": 0},
    "fire": {"pin": FIRE, "active": "high", "debounce_ms": 0},
    "exit": {"button": {"pin": BUTTON, "debounce_ms": 0}, "passage": {"pin": LEAVING, "debounce_ms": 0}},
}
"""A gate with every input."""


def moves(pin, level):
    return lambda gym: gym.drive(pin, level)


def let_go(gym):
    """End what the sensor and the button see: if it lasted, it would be an event of its own."""
    for pin in (SENSOR, BUTTON):
        gym.drive(pin, 1)


def orders(*arguments):
    return lambda gym: gym.run(*arguments)


AT_THE_GATE = [
    # what happens there; the event's kind, result and message; the priority
    (lambda gym: gym.scan(code("wellhub", GOOD["wellhub"])), "scan", "admitted", contract.CHECKED_IN, 6),
    (moves(SENSOR, 0), "passage", "passed", "Passed", 6),
    (moves(LEAVING, 0), "passage", "left", "Left", 6),
    (orders("lockdown", "main", "--reason", "threat"), "mode", "lockdown", "Locked down: threat", 4),
    (lambda gym: gym.scan(code("wellhub", GOOD["wellhub"])), "scan", "rejected", "Locked down", 5),
    (moves(BUTTON, 0), "exit", "opened", "Exit", 6),
    (moves(FIRE, 1), "mode", "fire", "Fire alarm", 2),
    (lambda gym: gym.scan(code("wellhub", GOOD["wellhub"])), "scan", "admitted", "Let in: fire alarm", 6),
    (orders("hold", "main", "--for", "1h", "--reason", "open day"), "mode", "held", "Held open until ", 5),
    (orders("normal", "main"), "mode", "normal", "Normal again", 5),
    (moves(FIRE, 0), "mode", "normal", "Normal again", 5),
    (lambda gym: gym.fail(f"{LEAVING}:unread"), "input", "lost", "The exit's passage sensor is lost", 3),
    (lambda gym: gym.fail(), "input", "ok", "The exit's passage sensor works again", 5),
]


def test_an_entry_for_each_event_of_a_gate(gym, journal, tmp_path):
    gym = gym(doors={"main": GATE})
    gym.start(["unshare", "-m", "sh", "-c", IN_ITS_PLACE, str(tmp_path / "journal.socket")])
    for happens, kind, result, message, priority in AT_THE_GATE:
        happens(gym)
        event = gym.next_event()
        let_go(gym)
        entry = journal.wait(GATECTL_EVENT_ID=event["id"])
        assert (event["kind"], event["result"]) == (kind, result)
        assert event["message"].startswith(message)
        assert (entry["PRIORITY"], entry["GATECTL_KIND"], entry["GATECTL_RESULT"]) == (
            str(priority),
            kind,
            result,
        )
        assert (entry.get("GATECTL_OF"), entry.get("GATECTL_BASIS")) == (event["of"], event["basis"])
        assert entry["MESSAGE"].startswith(f"main: {result}")
        assert event["message"] in entry["MESSAGE"]
        known = [one for one in Message if event["message"].startswith(one.value)]
        assert entry["MESSAGE_ID"] in {one.catalog_id for one in known or [Message.INPUT]}


ALARMS = [
    (moves(SENSOR, 0), "passage", "unexpected", "Passage without admission", 4),
    (moves(CONTACT, 1), "contact", "forced", "Door forced open", 3),
    (moves(CONTACT, 0), "contact", "closed", "Door closed again after ", 5),
]


def test_an_alarm_of_a_gate_is_more_urgent_than_its_end(gym, journal, tmp_path):
    gym = gym(doors={"main": GATE})
    gym.start(["unshare", "-m", "sh", "-c", IN_ITS_PLACE, str(tmp_path / "journal.socket")])
    for happens, kind, result, message, priority in ALARMS:
        happens(gym)
        event = gym.next_event()
        let_go(gym)
        assert (event["kind"], event["result"], event["message"][: len(message)]) == (kind, result, message)
        entry = journal.wait(GATECTL_EVENT_ID=event["id"])
        assert (entry["PRIORITY"], entry.get("GATECTL_OF")) == (str(priority), event["of"])


def test_scans_and_the_end_do_not_wait_for_a_journal_that_hangs(gym, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unread:
        unread.bind(str(tmp_path / "journal.socket"))
        fill(unread.getsockname())
        gym = gym({"wellhub": {}})
        gym.start(["unshare", "-m", "sh", "-c", IN_ITS_PLACE, str(tmp_path / "journal.socket")])
        with Viewer(gym) as viewer:
            viewer.next()
            assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
            assert [viewer.next()["screen"] for _ in range(2)] == ["checking", "welcome"]
        assert gym.status()["sinks"]["display feed"] == {"lost": 0, "trouble": None}
        assert gym.terminate() == 0


def test_words_for_the_member_are_in_no_entry_nor_in_the_store(gym, journal, tmp_path):
    gym = gym({"capitan": {}})
    gym.start(["unshare", "-m", "sh", "-c", IN_ITS_PLACE, str(tmp_path / "journal.socket")])
    with Viewer(gym) as viewer:
        assert viewer.next()["screen"] == "idle"
        event = gym.ask("capitan", "MILESTONES")
        assert viewer.next()["screen"] == "checking"
        assert viewer.next()["lines"] == ["Your 100th visit!", "Well done, …: every route of this wall"]
    journal.wait(GATECTL_EVENT_ID=event["id"])
    assert gym.terminate() == 0
    held = str(journal.so_far) + str(gym.events()) + str(gym.stderr)
    held += "".join(path.read_bytes().decode("latin-1") for path in gym.journal.parent.iterdir())
    assert event["id"] in held
    for private in ("100th visit", "Well done", "Buzz", "Pays late"):
        assert private not in held
