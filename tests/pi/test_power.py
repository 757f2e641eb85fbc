"""Power cuts, panics and boots: the relay throughout, and what the record says afterwards."""

from __future__ import annotations

import random
from contextlib import closing

from rig import card
from rig.pi import Pi

from gatectl.journal.filters import Filters
from gatectl.journal.reader import Reader
from gatectl.journal.schema import open_store
from gatectl.journal.statements import close_interrupted

LIMIT_S = 900.0
RESET_S = 300.0


def test_the_relay_is_off_from_power_on_to_ready(image, measured):
    with Pi(image, cold=True, paused=True) as pi, pi.watch() as relay:
        pi.go_on()
        pi.agent.wait_ready()
        pi.until_logged("is ready", limit_s=LIMIT_S)
        measured("cold boot to ready, on the emulated clock", pi.seconds())
        assert not relay.ever_energised
        assert relay.samples > 1000
        pi.check("systemctl restart gatectl")
        pi.check("systemctl stop gatectl")
        assert not relay.ever_energised


def test_after_a_panic_with_the_relay_on_the_machine_restarts_with_it_off(pi):
    pi.change_settings("open_ms = 3000", "open_ms = 60000")
    pi.check("gatectl open main --reason test")
    assert pi.energised()
    pi.agent.send("echo c >/proc/sysrq-trigger")
    pi.agent.wait_for(b"Kernel panic", RESET_S)
    pi.wait_for_reset(RESET_S)
    pi.boot(paused=True)
    with pi.watch() as relay:
        pi.go_on()
        pi.agent.wait_ready()
        pi.until_logged("is ready", limit_s=LIMIT_S)
        assert not relay.ever_energised
    (event,) = pi.events()
    assert event["message"] in {"Opened by hand: test", "Interrupted: the outcome was not recorded"}


def test_systemd_starts_the_machines_own_watchdog(pi):
    # The emulated one resets the machine as soon as it is started, so the rig runs without.
    pi.check("rm /etc/systemd/system.conf.d/90-rig.conf")
    pi.agent.send("systemctl daemon-reload")
    pi.wait_for_reset(RESET_S)


# Power cuts.

REFUSED, GOOD, ALSO_REFUSED = "2000000000001", "1000000000200", "2000000000002"
CODES = (REFUSED, GOOD, ALSO_REFUSED)
SILENT = "1000000000600"
JOURNAL = "/var/lib/gatectl/journal.db"

SEED = 20261122
MOMENTS = ("the request", "the relay", "the last key", "a key")
"""After which the power goes, in turn: from before the first request up to an open gate."""
LATER_S = {"the request": 0.3, "the relay": 0.3, "the last key": 2.0, "a key": 0.3}
"""So much later at most, by the guest's clock: from the last key to the relay it takes 1 to 2 s there."""


def cut_in_mid_scan(door, partners, relay, moment, chance):
    """Types codes and switches the power off at that moment; how many of their requests arrived."""
    before = len(partners.requests)
    scanned = 2 if moment == "the relay" else chance.randint(1, 3)
    text = "".join(f"{code}\n" for code in CODES[:scanned])
    if moment == "a key":
        text = text[: chance.randrange(len(text))]
    door.scan(text, end="")
    if moment == "the request":
        partners.until(lambda: len(partners.requests) == before + scanned)
    elif moment == "the relay":
        relay.wait(energised=True, limit_s=LIMIT_S)
    until = door.seconds() + chance.uniform(0, LATER_S[moment])
    while door.seconds() < until:
        pass
    door.cut()
    return len(partners.requests) - before


def next_start(store):
    """The store after the next start: all events, in the order of their scans."""
    with closing(open_store(store)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        close_interrupted(connection)
    with Reader(store) as reader:
        return [event.to_json() for event in reader.query(Filters())]


def test_power_cuts_at_any_moment_of_scans(image, partners, rounds, measured, tmp_path):
    chance = random.Random(SEED)
    scans, asked, interrupted, opened = 0, 0, 0, 0
    for turn in range(rounds):
        with Pi(image) as door:
            door.connect(partners)
            door.until_logged("partner wellhub: connected again")
            with door.watch() as relay:
                arrived = cut_in_mid_scan(door, partners, relay, MOMENTS[turn % len(MOMENTS)], chance)
            folder = tmp_path / str(turn)
            folder.mkdir()
            events = next_start(card.files(door.card, JOURNAL, folder))
        # Scans are decided one at a time and in their order: the first ones are those whose requests arrived.
        assert tuple(event["credential"] for event in events) == CODES[: len(events)], "one event for each"
        assert len(events) >= arrived, "no request without a record"
        *over, last = events or [None]
        for event in over if last and last["result"] == "unknown" else events:
            assert event["result"] == ("admitted" if event["credential"] == GOOD else "rejected")
            assert event["request"]["sent"] is True
        if last and last["result"] == "unknown":
            assert last["fault"] == "interrupted"
            interrupted += 1
        if relay.ever_energised:
            assert len(events) > CODES.index(GOOD), "nothing opened without a record"
        scans, asked, opened = scans + len(events), asked + arrived, opened + relay.ever_energised
    for name, number in {
        "scans on record": scans,
        "requests that arrived": asked,
        "interrupted": interrupted,
        "gates seen open": opened,
    }.items():
        measured(f"{rounds} power cuts: {name}", number, "")
    assert asked, "no cut came late enough to see anything"


def test_a_power_cut_with_the_relay_on_and_a_scan_under_way(door, partners):
    door.change_settings("open_ms = 3000", "open_ms = 60000")
    with door.watch() as relay:
        door.scan(f"{GOOD}\n{SILENT}")
        relay.wait(energised=True, limit_s=LIMIT_S)
        partners.until(lambda: partners.asked_for(SILENT) == 1)
        assert door.energised()
        door.cut()
    door.boot(paused=True)
    with door.watch() as relay:
        door.go_on()
        door.agent.wait_ready()
        door.until_logged("is ready", limit_s=LIMIT_S)
        assert not relay.ever_energised
    good, silent = door.events()
    assert (good["credential"], good["result"]) == (GOOD, "admitted")
    assert (silent["credential"], silent["result"], silent["fault"]) == (SILENT, "unknown", "interrupted")
