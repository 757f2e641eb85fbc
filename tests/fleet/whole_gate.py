"""A whole gate: the real daemon with a scanner and a partner, and the real uplink over its journal."""

import itertools
import random
import signal
import time
from collections import Counter
from contextlib import ExitStack

from harness import Gym, code
from uplink_rig import UplinkGate

SCANS_AHEAD = 3
"""Codes that are typed at each start; each request at the partner brings one more."""


class WholeGate:
    """A context manager. Each scan is of a member of its own, whose number reaches head office as it is."""

    def __init__(self, folder, office, port, device="berlin-1"):
        self.uplink = UplinkGate(folder, office, port, device, members='members = "plain"')
        self.gym = Gym(folder, journal_folder=folder)
        self._numbers = itertools.count(1)
        self._stack = ExitStack()

    def __enter__(self):
        self._stack.enter_context(self.gym)
        return self

    def __exit__(self, *error):
        return self._stack.__exit__(*error)

    def kill(self, times, chance: random.Random):
        """Kill daemon and uplink so many times each, at any moment, while members come."""
        partner = self.gym.partners
        for _ in range(times):
            self.gym.spawn()
            self.uplink.start()
            if chance.random() < 0.7:  # else in the middle of the start
                self.gym.wait_for_notice("READY=1")
                partner.on_request = lambda _: self.scan()
                for _ in range(SCANS_AHEAD):
                    self.scan()
                pid = self.uplink.pid
                self.uplink.wait(lambda status, pid=pid: status.get("pid") == pid and status.get("mark"))
            for kill in chance.sample([self.gym.kill9, lambda: self.uplink.stop(signal.SIGKILL)], 2):
                time.sleep(chance.uniform(0, 0.3))
                kill()
            partner.on_request = None

    def scan(self):
        # Also in the partner's thread: a generator could not be asked by two at once.
        self.gym.scan(code("wellhub", f"1{next(self._numbers):09}200"))

    def catch_up(self):
        """Start both again; return when head office has every event."""
        self.gym.start()
        self.uplink.start()
        assert self.gym.terminate() == 0
        self.uplink.last = len(self.gym.events())
        pid = self.uplink.pid
        self.uplink.wait(lambda status: status.get("pid") == pid and self.uplink.has_sent_all(status))
        assert self.uplink.stop() == 0

    def verify(self, fleet):
        """Each event is at head office once, in order, and each request is one; return how many they are."""
        ids = [event["id"] for event in self.gym.events()]
        rows = fleet.rows(
            "SELECT id::text, member FROM event WHERE device = %s ORDER BY number", self.uplink.device
        )
        assert [row[0] for row in rows] == ids
        requests = Counter(request.member for request in self.gym.partners.requests if request.whole)
        assert set(requests.values()) <= {1}, "a member was asked for twice"
        assert requests.keys() <= {row[1] for row in rows}, "a request has no event"
        return len(ids), len(requests)
