"""Power cuts, panics and boots: the relay throughout, and what the record says afterwards."""

from __future__ import annotations

import random

from rig.pi import Pi

GOOD = "1000000000200"
LIMIT_S = 300.0
RESET_S = 120.0


def test_the_relay_is_off_from_power_on_to_ready(image, measured):
    with Pi(image, cold=True, paused=True) as pi, pi.watch() as relay:
        pi.go_on()
        pi.agent.wait_ready()
        pi.told("is ready", limit_s=LIMIT_S)
        measured("cold boot to ready, on the emulated clock", pi.seconds())
        assert not relay.ever_energised
        assert relay.samples > 1000
        pi.check("systemctl restart gatectl")
        pi.check("systemctl stop gatectl")
        assert not relay.ever_energised


def test_after_a_panic_with_the_relay_on_the_machine_starts_anew_with_it_off(pi):
    pi.change_settings("open_ms = 3000", "open_ms = 60000")
    pi.check("gatectl open main --reason bench")
    assert pi.energised()
    pi.agent.send("echo c >/proc/sysrq-trigger")
    pi.agent.wait_for(b"Kernel panic", RESET_S)
    pi.wait_for_reset(RESET_S)
    pi.boot(paused=True)
    with pi.watch() as relay:
        pi.go_on()
        pi.agent.wait_ready()
        pi.told("is ready", limit_s=LIMIT_S)
        assert not relay.ever_energised
    (event,) = pi.events()
    assert event["message"] in {"Opened by hand: bench", "Interrupted: the outcome was not recorded"}


def test_systemd_starts_the_machines_own_watchdog(pi):
    # The emulated one resets the machine as soon as it is started, so the bench runs without.
    pi.check("rm /etc/systemd/system.conf.d/90-rig.conf")
    pi.agent.send("systemctl daemon-reload")
    pi.wait_for_reset(RESET_S)


# Power cuts.

SEED = 20261122
MOMENTS = ("the request", "the relay", "the last key", "a key")
"""After which the power goes, in turn: from before the first request up to an open gate."""
LATER_S = {"the request": 0.3, "the relay": 0.3, "the last key": 2.0, "a key": 0.3}
"""So much later at most, by the guest's clock: from the last key to the relay it takes 1 to 2 s there."""


class Scans:
    """Those up to one power cut: a refused one, a good one, a refused one, each with its own code."""

    def __init__(self, turn):
        self.cards = [f"{turn:02}-{place}" for place in range(3)]
        self.members = [f"20000000{turn:03}{place:02}" for place in range(3)]
        self.members[1] = GOOD


def cut_in_mid_scan(door, partners, relay, scans, moment, chance):
    """Types codes and switches the power off at that moment; how many of their requests arrived."""
    before = len(partners.requests)
    scanned = 2 if moment == "the relay" else chance.randint(1, 3)
    text = "".join(f"{card}\n" for card in scans.cards[:scanned])
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


def boot_again(door, partners):
    """A cold boot, up to a door that can take a scan; the relay was off throughout."""
    before = partners.simulator.handshakes
    door.boot(paused=True)
    with door.watch() as relay:
        door.plug_network(partners)
        door.go_on()
        door.agent.wait_ready()
        door.told("is ready", limit_s=LIMIT_S)
        assert not relay.ever_energised
    partners.until(lambda: partners.simulator.handshakes > before, limit_s=LIMIT_S)


INTEGRITY = """
/usr/bin/python3 -I -c '
import sqlite3
store = sqlite3.connect("file:/var/lib/gatectl/journal.db?mode=ro", uri=True)
print(*(row[0] for row in store.execute("PRAGMA integrity_check")))
'
"""


def test_power_cuts_in_the_middle_of_scans(door, partners, rounds, measured):
    chance = random.Random(SEED)
    cuts = [(Scans(turn), MOMENTS[turn % len(MOMENTS)]) for turn in range(rounds)]
    cards = [
        f"{card},wellhub,{member}"
        for scans, _ in cuts
        for card, member in zip(scans.cards, scans.members, strict=True)
    ]
    door.check("gatectl cards import - <<'END'\n" + "\n".join(["code,partner,member", *cards]) + "\nEND")
    known, asked, opened = [], 0, 0
    for scans, moment in cuts:
        with door.watch() as relay:
            arrived = cut_in_mid_scan(door, partners, relay, scans, moment, chance)
        boot_again(door, partners)
        assert door.check(INTEGRITY).strip() == "ok"
        events = door.events()
        assert events[: len(known)] == known, "what was on disk before is there as it was"
        new = {event["credential"]: event for event in events[len(known) :]}
        assert len(new) == len(events) - len(known), "one event for each scan"
        # Scans are decided in their order, so the first ones are those whose requests arrived.
        assert list(new) == scans.cards[: len(new)]
        assert len(new) >= arrived, "no request without a record"
        for place, event in enumerate(new.values()):
            assert event["result"] in {"rejected", "admitted", "unknown"}
            assert (event["result"] == "unknown") == (event["fault"] == "interrupted")
            if event["result"] != "unknown":
                assert event["result"] == ("admitted" if place == 1 else "rejected")
                assert event["request"]["sent"] is True
        cut_off = [event for event in new.values() if event["result"] == "unknown"]
        assert cut_off in ([], [*new.values()][-1:]), "the last one at most was under way"
        if relay.ever_energised:
            assert scans.cards[1] in new, "nothing opened without a record"
        known, asked, opened = events, asked + arrived, opened + relay.ever_energised
    interrupted = sum(event["result"] == "unknown" for event in known)
    for name, number in (
        ("scans on record", len(known)),
        ("requests that arrived", asked),
        ("interrupted", interrupted),
        ("gates seen open", opened),
    ):
        measured(f"{rounds} power cuts, {name}", number, "")
    assert asked, "no cut came late enough to see anything"
