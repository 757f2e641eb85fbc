"""Screens for viewers over the control socket; no scan waits for viewers."""

import asyncio
import contextlib
import json
import time

import pytest
from harness import GOOD, code
from limits import NET_S
from viewing import Viewer

from gatectl.decision.indication import Screen, View
from gatectl.sinks.display_feed import AFTER_S, VIEWERS_MAX, DisplayFeed


@pytest.fixture(scope="module")
def shared(shared_gym):
    return shared_gym(
        {"wellhub": {}, "capitan": {}, "perfectgym": {}}, {"main": {"open_ms": 300}, "side": {}}
    )


def shown(door, screen, partner=None, **more):
    return {
        "door": door,
        "screen": screen,
        "partner": partner,
        "open_ms": None,
        "name": None,
        "lines": [],
    } | more


def test_a_viewer_gets_the_present_state_of_the_doors(shared):
    with Viewer(shared) as viewer:
        assert viewer.answer == {"doors": ["main", "side"]}
        assert [viewer.next(), viewer.next()] == [shown("main", "idle"), shown("side", "idle")]


@pytest.mark.parametrize(
    ("partner", "member", "screen", "more"),
    [
        ("wellhub", GOOD["wellhub"], "welcome", {"open_ms": 300}),
        ("wellhub", "1000000000404", "check_in_first", {}),
        ("wellhub", "1000000000453", "check_in_again", {}),
        ("wellhub", "1000000000454", "already_in", {}),
        ("perfectgym", "1403", "declined", {}),
        ("perfectgym", "1404", "not_found", {}),
        ("perfectgym", "1503", "try_again", {}),
        ("capitan", "ALERTS", "ask_at_desk", {"lines": ["No waiver."]}),
        ("capitan", "GOOD-1", "welcome", {"open_ms": 300}),
    ],
)
def test_a_scan_is_shown_while_it_is_checked_and_when_it_is_decided(shared, partner, member, screen, more):
    with Viewer(shared) as viewer:
        viewer.next(), viewer.next()
        shared.ask(partner, member)
        assert viewer.next() == shown("main", "checking", partner)
        assert viewer.next() == shown("main", screen, partner, **more)


def test_a_code_without_a_route(shared):
    with Viewer(shared) as viewer:
        viewer.next(), viewer.next()
        shared.scan("nobody's")
        assert viewer.next() == shown("main", "unrecognised")
        shared.next_event()


def test_an_opening_by_hand_is_a_welcome(shared):
    with Viewer(shared) as viewer:
        viewer.next(), viewer.next()
        shared.call({"command": "open", "door": "side", "reason": "Delivery"})
        assert viewer.next() == shown("side", "welcome", open_ms=100)
        shared.next_event()


def count(gym):
    return gym.call({"command": "status"})["viewers"]


def until_nobody_watches(gym):
    until = time.monotonic() + NET_S
    while count(gym):
        assert time.monotonic() < until


def test_status_counts_the_viewers_and_forgets_those_who_are_gone(shared):
    until_nobody_watches(shared)
    with Viewer(shared), Viewer(shared):
        assert count(shared) == 2
    until_nobody_watches(shared)


def test_there_is_room_for_so_many_viewers_and_no_more(shared):
    until_nobody_watches(shared)
    viewers = [Viewer(shared) for _ in range(VIEWERS_MAX)]
    assert shared.call({"command": "watch"})["error"] == "too many viewers watch already"
    for viewer in viewers:
        viewer.__exit__()
    until_nobody_watches(shared)


def test_a_viewer_who_does_not_read_is_dropped_and_no_scan_waits_for_him(gym):
    gym = gym({"capitan": {}}).start()
    with Viewer(gym), Viewer(gym) as reading:
        assert reading.next() == shown("main", "idle")
        scans = 0
        while gym.call({"command": "status"})["viewers"] == 2:
            assert scans < 2000, "he was never dropped"
            scans += 1
            event = gym.ask("capitan", "ALERTS")
            assert event["verdict"] == "not_allowed"
            assert reading.next()["screen"] == "checking"
            assert reading.next()["screen"] == "ask_at_desk"


SENSOR, CONTACT, BUTTON = 27, 5, 26
ALL_INPUTS = {
    "passage": {"pin": SENSOR, "debounce_ms": 0},
    "contact": {"pin": CONTACT, "active": "high", "debounce_ms": 0},
    "exit": {"button": {"pin": BUTTON, "debounce_ms": 0}},
}


def test_each_finished_event_rings_for_those_who_follow_the_journal(gym):
    gym = gym(doors={"main": ALL_INPUTS}).start()
    order = {"command": "lockdown", "door": "main", "reason": "Delivery"}
    steps = {
        "contact": lambda: gym.drive(CONTACT, 1),
        "scan": lambda: gym.scan(code("wellhub", "1000000000404")),
        "manual": lambda: gym.call(order | {"command": "open"}),
        "exit": lambda: gym.drive(BUTTON, 0),
        "passage": lambda: gym.drive(SENSOR, 0),
        "mode": lambda: gym.call(order),
    }
    with Viewer(gym, events=True) as viewer, Viewer(gym) as display:
        for kind, step in steps.items():
            step()
            viewer.until_finished()
            assert gym.next_event()["kind"] == kind
        gym.run("erase", "--member", "1000000000404")
        viewer.until_finished()
        assert '"erased"' in gym.run("events", "--json", "--kind", "erased").stdout
        assert gym.terminate() == 0
        shown = [json.loads(line) for line in display._lines]
    assert shown
    assert all("screen" in view for view in shown)


class Taking:
    """A viewer who takes everything."""

    is_closed = False

    def __init__(self):
        self.written = []
        self.show = self.written.append


def test_views_go_out_after_their_step_and_those_of_one_moment_together():
    later, viewer = [], Taking()

    async def story():
        asyncio.get_running_loop().call_later = lambda delay, send: later.append((delay, send))
        viewers = DisplayFeed()
        viewers.take(View("main", Screen.IDLE))
        assert later == []
        viewers.add(viewer, [View("main", Screen.IDLE)])
        for screen in (Screen.CHECKING, Screen.WELCOME):
            viewers.take(View("main", screen))
        assert len(viewer.written) == 1
        ((delay, send),) = later
        send()
        assert delay == AFTER_S
        viewers.take(View("main", Screen.DECLINED))
        assert len(later) == 2
        viewer.is_closed = True
        assert len(viewers) == 0

    asyncio.run(story())
    assert [[json.loads(line)["screen"] for line in lines.splitlines()] for lines in viewer.written] == [
        ["idle"],
        ["checking", "welcome"],
    ]


def test_the_first_name_is_shown_where_the_settings_allow_and_kept_nowhere(gym):
    gym = gym({"capitan": {}}, {"main": {"show_name": True}, "side": {}}).start()
    with Viewer(gym) as viewer:
        viewer.next(), viewer.next()
        for door, name in (("main", "Buzz"), ("side", None)):
            gym.ask("capitan", "GOOD-1", door)
            assert viewer.next() == shown(door, "checking", "capitan")
            assert viewer.next() == shown(door, "welcome", "capitan", open_ms=100, name=name)
        gym.ask("capitan", "ALERT-NAMES")
        viewer.next()
        refusal = viewer.next()
        assert refusal["name"] == "Buzz"
        assert "Buzz" not in str(refusal["lines"])
        assert "…" in str(refusal["lines"])
    gym.stop_following()
    held = json.dumps(gym.events()) + json.dumps(gym.status()) + str(gym.lines_so_far())
    held += "".join(path.read_bytes().decode("latin-1") for path in gym.journal.parent.iterdir())
    assert "Buzz" not in held


def test_staffs_notes_are_not_shown(shared):
    with Viewer(shared) as viewer:
        viewer.next(), viewer.next()
        shared.ask("capitan", "GOOD-1")
        assert "Pays late" not in str([viewer.next(), viewer.next()])


def test_nothing_that_is_shown_is_kept(shared):
    shared.scan(code("capitan", "ALERTS"))
    shared.next_event()
    held = json.dumps(shared.events()) + json.dumps(shared.status())
    assert "Buzz" not in held


def test_the_watch_socket_allows_no_action(gym):
    gym = gym()
    looking = gym.folder / "watch.sock"
    gym.start(GATECTL_WATCH_SOCKET=str(looking))
    gym.socket, control = looking, gym.socket
    assert gym.call({"command": "status"})["pid"] == gym.pid
    for command in ("open", "reload_cards"):
        assert "error" in gym.call({"command": command, "door": "main", "reason": "x"})
    assert gym.openings() == []
    with Viewer(gym) as viewer:
        assert viewer.next() == shown("main", "idle")
    gym.socket = control
    assert gym.call({"command": "status"})["viewers"] in {0, 1}


def test_doors_work_without_a_watch_socket(gym):
    gym = gym()
    gym.start(GATECTL_WATCH_SOCKET=str(gym.folder / "nowhere" / "watch.sock"))
    gym.logged("no viewer can connect")
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"


def test_an_end_with_a_viewer_connected_is_quiet(gym):
    gym = gym().start()
    with Viewer(gym) as viewer:
        viewer.next()
        assert gym.terminate() == 0
    assert not [line for line in gym.stderr if "Traceback" in line or "CancelledError" in line]


def test_a_viewer_who_says_anything_more_is_dropped(gym):
    gym = gym().start()
    with Viewer(gym) as viewer:
        viewer.next()
        viewer.connection.sendall(b"x" * 100_000)
        with contextlib.suppress(ConnectionResetError):
            assert viewer.connection.recv(1) == b""
        assert gym.call({"command": "status"})["viewers"] == 0
