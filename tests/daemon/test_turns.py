"""One scan at a time, a short queue, and one scan for a code that is read again and again."""

import itertools
import threading
import time

import contract
import pytest
from harness import BRIEF_MS, GOOD, HANG, code
from limits import NET_S

FIRST = "1000000000210"


@pytest.fixture
def busy(gym):
    """A gym whose door waits for its partner's answer about FIRST until `release` is called."""
    gym = gym().start()
    asked, released = threading.Event(), threading.Event()

    def hold_back(_request):
        asked.set()
        assert released.wait(NET_S)

    gym.partners.on_request, gym.release = hold_back, released.set
    gym.scan(code("wellhub", FIRST))
    assert asked.wait(NET_S)
    yield gym
    released.set()


def until_read(gym, codes):
    """Return when the daemon has read so many codes."""
    until = time.monotonic() + NET_S
    while gym.call({"command": "status"})["doors"]["main"]["scanners"][0]["codes"] < codes:
        assert time.monotonic() < until


def test_four_wait_in_order_and_a_sixth_is_dropped(busy):
    members = ["1000000000001", "1000000000404", "1000000000002", "1000000000453", GOOD["wellhub"]]
    for member in members:
        busy.scan(code("wellhub", member))
    busy.logged("main: too many codes at once")
    busy.release()
    events = busy.next_events(5)
    assert [event["member"] for event in events] == [FIRST, *members[:4]]
    assert busy.partners.asked_for(GOOD["wellhub"]) == []
    assert busy.status()["doors"]["main"]["dropped"] == 1

    # A member whose code was dropped may scan again at once.
    assert busy.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"

    requests = busy.partners.requests
    assert [request.member for request in requests] == [FIRST, *members]
    for before, after in itertools.pairwise(requests):
        assert after.first_byte > before.answered


def test_several_dropped_codes_are_logged_by_their_number_alone(busy):
    for number in range(20):
        busy.scan(code("wellhub", f"{number:013}"))
    until_read(busy, 21)
    busy.release()
    busy.next_events(5)
    busy.logged("main: 16 codes were dropped in a row")
    assert busy.count_logged("dropped") == 2
    assert busy.terminate() == 0


def test_a_waiting_scan_has_its_whole_budget(gym):
    gym = gym({"wellhub": {"budget_ms": BRIEF_MS}}).start()
    # Both are read at once; the second answer drips for longer than two budgets.
    gym.scan("\r".join(code("wellhub", member) for member in (HANG["wellhub"], "1000000000601")))
    hung, dripped = gym.next_events(2)
    assert (hung["fault"], dripped["fault"]) == ("timeout", "timeout")
    assert hung["request"]["elapsed_ms"] >= BRIEF_MS
    # Its own budget, behind the wait for the door.
    assert dripped["request"]["elapsed_ms"] > 1.5 * BRIEF_MS
    first, second = gym.partners.requests
    assert second.first_byte - first.first_byte >= BRIEF_MS / 2000


def test_the_code_that_is_being_decided_is_the_same_scan(busy):
    for member in (FIRST, FIRST, GOOD["wellhub"]):
        busy.scan(code("wellhub", member))
    until_read(busy, 4)
    busy.release()
    assert [event["member"] for event in busy.next_events(2)] == [FIRST, GOOD["wellhub"]]


def test_a_code_that_waits_is_the_same_scan(busy):
    for member in (GOOD["wellhub"], GOOD["wellhub"], "1000000000404", GOOD["wellhub"]):
        busy.scan(code("wellhub", member))
    until_read(busy, 5)
    busy.release()
    events = busy.next_events(3)
    assert [event["member"] for event in events] == [FIRST, GOOD["wellhub"], "1000000000404"]
    busy.stop_following()
    assert len(busy.events()) == 3


def test_with_repeat_ms_0_the_same_code_is_a_new_scan_once_it_is_decided(busy):
    busy.release()
    assert busy.next_event()["member"] == FIRST
    for _ in range(3):
        assert busy.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    assert len(busy.partners.asked_for(GOOD["wellhub"])) == 3


def test_a_code_that_lies_on_the_reader_is_one_scan(gym):
    gym = gym(doors={"main": {"repeat_ms": 60_000}}).start()
    lying = code("wellhub", GOOD["wellhub"])
    for _ in range(12):
        gym.scan(lying)  # as RFID readers repeat a card
    first = gym.next_event()
    # A different code is another scan, at once.
    other = gym.ask("wellhub", "1000000000001")
    gym.scan(lying)
    last = gym.ask("wellhub", "1000000000404")
    assert [event["member"] for event in (first, other, last)] == [
        GOOD["wellhub"],
        "1000000000001",
        "1000000000404",
    ]
    assert len(gym.partners.requests) == 3
    assert gym.status()["doors"]["main"]["scanners"][0]["codes"] == 15


def test_a_card_that_was_taken_away_for_repeat_ms_is_a_new_scan(gym):
    gym = gym(doors={"main": {"repeat_ms": 200}}).start()
    events = []
    for _ in range(2):
        events.append(gym.ask("wellhub", GOOD["wellhub"]))
        read_at = contract.moment(events[-1]["at"])
        while time.time() < read_at + 0.3:
            gym.call({"command": "status"})
    assert [event["result"] for event in events] == ["admitted"] * 2
    assert len(gym.partners.requests) == 2


def test_repeat_ms_counts_per_door(gym):
    gym = gym(doors={"main": {"repeat_ms": 60_000}, "side": {"repeat_ms": 60_000}}).start()
    events = [gym.ask("wellhub", GOOD["wellhub"], door) for door in ("main", "side")]
    assert [event["door"] for event in events] == ["main", "side"]
    assert [len(gym.openings(door)) for door in ("main", "side")] == [1, 1]


def test_a_code_that_ends_by_silence_is_complete_at_its_end(gym):
    gym = gym(doors={"main": {"scanner": {"idle_ms": 1000}}}).start()
    typed = time.time()
    gym.scanners["main"].send(code("wellhub", GOOD["wellhub"]).encode())
    event = gym.next_event()
    assert event["result"] == "admitted"
    assert contract.moment(event["at"]) > typed + 0.5
