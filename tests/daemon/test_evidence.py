"""How a request's connection came about and what came back, from the daemon into the journal and the report.

Through real look-ups, connections and TLS; times are compared with each other, never with a limit.
"""

import hashlib
import re
import socket
import sqlite3
import threading
from contextlib import ExitStack, closing, suppress

import pytest
from harness import BRIEF_MS, GOOD, HANG, code
from limits import NET_S

from gatectl.decision.event import Evidence
from gatectl.journal.reader import Reader
from gatectl.sim.protocols import wellhub
from gatectl.sim.server import Authority

NOT_FOUND = "1000000000404"
ROUNDING_US = 2
"""Moments are kept in microseconds, and each is rounded for itself."""


class Entrance(threading.Thread):
    """A proxy in front of the simulator: the first connection is not let in, all others are."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.held = threading.Event()
        self.inside = 0
        self._stack = ExitStack()

    @property
    def url(self):
        return f"https://127.0.0.1:{self.listener.getsockname()[1]}"

    def run(self):
        with suppress(OSError):  # closed: the end
            self._stack.enter_context(self.listener.accept()[0])
            self.held.set()
            while True:
                outer = self._stack.enter_context(self.listener.accept()[0])
                inner = self._stack.enter_context(socket.create_connection(("127.0.0.1", self.inside)))
                for source, drain in ((outer, inner), (inner, outer)):
                    threading.Thread(target=self._pump, args=(source, drain), daemon=True).start()

    @staticmethod
    def _pump(source, drain):
        with suppress(OSError):
            while data := source.recv(65536):
                drain.sendall(data)
            drain.shutdown(socket.SHUT_WR)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.join()
        self._stack.close()


@pytest.fixture(scope="module")
def entrance():
    with closing(Entrance()) as entrance:
        yield entrance


@pytest.fixture(scope="module")
def gym(shared_gym, entrance, closed_port, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "authority.pem"
    other.write_bytes(Authority().pem)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and never says a word
        port = silent.getsockname()[1]
        gym = shared_gym(
            {
                "wellhub": {"budget_ms": BRIEF_MS},
                "wellhub-late": {"url": entrance.url},
                "wellhub-stalled": {"budget_ms": 200},
                "wellhub-unknown": {"url": "https://nobody.invalid"},
                "wellhub-closed": {"url": f"https://127.0.0.1:{closed_port}"},
                "wellhub-untrusted": {"ca_file": str(other)},
                "wellhub-silent": {"url": f"https://127.0.0.1:{port}", "budget_ms": BRIEF_MS},
                "capitan": {},
            },
            journal={"patience_ms": 5000},
        )
        entrance.inside = gym.partners.simulator.port
        entrance.start()
        yield gym


def recorded(gym, event):
    """The event as the journal has it."""
    with Reader(gym.journal) as reader:
        return reader.find(event["id"])


def evidence_of(gym, event):
    return recorded(gym, event).outcome.request.evidence


def reported(gym, event, folder):
    """The report's text."""
    done = gym.run("report", event["id"], "-o", str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    return (folder / "report.txt").read_text()


def done(dial):
    steps = {"look-up": dial.look_up_ms, "connect": dial.connect_ms, "TLS": dial.tls_ms}
    return [name for name, took_ms in steps.items() if took_ms is not None]


ALL = ["look-up", "connect", "TLS"]


def ready_us(dial):
    """The time at which the connection was ready."""
    return dial.begun_us + 1000 * (dial.look_up_ms + dial.connect_ms + dial.tls_ms)


def test_a_warm_connection_was_made_before_the_code_was_complete(gym, tmp_path):
    gym.until_connected("wellhub")
    first, second = gym.ask("wellhub", NOT_FOUND), gym.ask("wellhub", NOT_FOUND)
    event = recorded(gym, second)
    assert event.outcome.request.connection == "warm"
    dial = event.outcome.request.evidence.dial
    assert done(dial) == ALL
    assert dial.stale is False
    assert ready_us(dial) <= event.attempt.at_us
    # The same connection as before, named by this event's clock.
    before = evidence_of(gym, first).dial
    assert (dial.look_up_ms, dial.connect_ms, dial.tls_ms) == (
        before.look_up_ms,
        before.connect_ms,
        before.tls_ms,
    )
    assert re.search(r"\n  TLS +-\d+\.\d +-\d+\.\d  \d+\.\d ms\n", reported(gym, second, tmp_path / "r"))


def test_a_new_connection_was_made_for_this_scan(gym, entrance):
    assert entrance.held.wait(NET_S)  # so the daemon is still in its first handshake there
    event = recorded(gym, gym.ask("wellhub-late", GOOD["wellhub"]))
    request, dial = event.outcome.request, event.outcome.request.evidence.dial
    assert request.connection == "new"
    assert done(dial) == ALL
    assert event.attempt.at_us <= dial.begun_us
    assert ready_us(dial) <= request.sent_us + ROUNDING_US
    assert request.sent_us <= request.answered_us <= event.outcome.gate.opened_us


@pytest.mark.parametrize(
    ("partner", "fault", "steps"),
    [
        ("wellhub-unknown", "network", []),
        ("wellhub-closed", "network", ["look-up"]),
        ("wellhub-untrusted", "tls", ["look-up", "connect"]),
        ("wellhub-silent", "timeout", ["look-up", "connect"]),
    ],
)
def test_steps_of_a_connection_that_was_never_ready(gym, tmp_path, partner, fault, steps):
    found = gym.ask(partner, GOOD["wellhub"])
    event = recorded(gym, found)
    assert found["fault"] == fault
    evidence = event.outcome.request.evidence
    assert done(evidence.dial) == steps
    assert event.attempt.at_us <= evidence.dial.begun_us
    assert evidence.body is None
    text = reported(gym, found, tmp_path / "r")
    assert text.count("  not done\n") == 1
    assert text.count("  not begun\n") == 2 - len(steps)
    assert "Sent                                    none of its bytes left\n" in text


def test_a_partner_that_never_answers(gym, tmp_path):
    found = gym.ask("wellhub", HANG["wellhub"])
    evidence = evidence_of(gym, found)
    assert done(evidence.dial) == ALL
    assert evidence.body is None
    assert "Answer's body   none: no whole answer came\n" in reported(gym, found, tmp_path / "r")


def test_the_digest_is_of_the_body_as_the_partner_sent_it(gym, tmp_path):
    found = gym.ask("wellhub", NOT_FOUND)
    sent = wellhub.not_found().body
    body = evidence_of(gym, found).body
    assert (body.length, body.sha256) == (len(sent), hashlib.sha256(sent).digest())
    assert f"{len(sent)} bytes, SHA-256:\n    {hashlib.sha256(sent).hexdigest()}\n" in (
        reported(gym, found, tmp_path / "r")
    )


def test_no_digest_of_an_answer_that_names_somebody(gym, tmp_path):
    found = gym.ask("capitan", GOOD["capitan"])
    body = evidence_of(gym, found).body
    assert body.length > 100
    assert body.sha256 is None
    assert f"{body.length} bytes; there is no digest" in reported(gym, found, tmp_path / "r")


def test_no_steps_are_recorded_where_no_request_was_tried(gym, tmp_path):
    found = gym.ask("wellhub", "not thirteen digits")
    assert recorded(gym, found).outcome.request is None
    assert "Its times" not in reported(gym, found, tmp_path / "r")


def test_a_budget_that_ends_before_the_record_is_made_has_begun_no_connection(gym, tmp_path):
    with closing(sqlite3.connect(gym.journal, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # no other process can write, as on a stalled disk
        gym.scan(code("wellhub-stalled", GOOD["wellhub"]))
        gym.logged("rejected", "wellhub-stalled timeout")
        other.execute("ROLLBACK")
    found = gym.next_event()
    assert evidence_of(gym, found) == Evidence(None, None)
    assert reported(gym, found, tmp_path / "r").count("  not begun\n") == 3


def test_a_killed_exchange_was_not_recorded(gym, tmp_path):
    gym.scan(code("wellhub-late", HANG["wellhub"]))
    gym.until_state("asking")
    gym.kill9()
    gym.start()
    found = gym.next_event()
    assert found["fault"] == "interrupted"
    assert evidence_of(gym, found) is None
    assert reported(gym, found, tmp_path / "r").count("  not recorded\n") == 6
