"""Events and health in head office's tables, put there by ingest's own code, and the monitor over them."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from limits import NET_S
from virtual_gate import VirtualJournal, event_of

from gatectl.decision.event import timestamp
from gatectl.fleet.database import Database
from gatectl.fleet.intake import Incoming, Round
from gatectl.uplink.privacy import Privacy
from gatectl.uplink.wire import (
    EventBatch,
    NumberedEvent,
    Presence,
    decode_presence,
    decode_state,
    encode_presence,
    encode_state,
)

KEY = bytes(range(32))
PRIVACY = Privacy("pseudonym", KEY)

SINCE = "2026-11-26T08:00:00.000000Z"


def at(minutes_ago):
    """The time so many minutes ago, as events have it."""
    moment = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return timestamp(round(moment.timestamp() * 1_000_000))


class Office:
    """Head office's tables without a broker: each `take` is one round of ingest, which holds its lock."""

    def __init__(self, dsn):
        self.dsn = dsn
        self._journals = {}
        # In a thread, since a browser of a test occupies the main thread's event loop.
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._database = self._run(Database.open(dsn, None, lambda: None))
        self.broker(connected=True)

    def stop(self):
        """End as ingest does."""
        self._run(self._database.close())

    def close(self):
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, operation):
        return asyncio.run_coroutine_threadsafe(operation, self._loop).result(NET_S)

    def broker(self, *, connected):
        """Ingest reaches the broker, or has lost it."""
        self._run(self._database.note_broker(connected=connected))

    def take(self, *messages):
        self._run(self._take(messages))

    async def _take(self, messages):
        intake, done = await self._database.load(), Round()
        for message in messages:
            intake.take(done, message, datetime.now(UTC))
        await self._database.write(done)

    def prune(self, keep_days):
        return self._run(self._database.prune(keep_days))

    def events(self, device, *events):
        """A gate's next events come in; return their IDs."""
        journal, begun = self._journals.setdefault(device, (VirtualJournal().identity, 0))
        listed = [NumberedEvent(begun + 1 + index, event) for index, event in enumerate(events)]
        self._journals[device] = journal, begun + len(events)
        self.take(Incoming(device, EventBatch(journal, 1, begun, begun + len(events), tuple(listed))))
        return [event["id"] for event in events]

    def scan(self, device, studio, number="1400", partner="wellhub", **fields):
        """A scan of a member comes in, as a gate sends it; return its ID."""
        plain = event_of(1, studio, partner=partner, member=number, credential=f"card-{number}", **fields)
        return self.events(device, PRIVACY.event(plain))[0]

    def here(self, device, online=True, session=f"{1:016x}-1"):
        self.take(Incoming(device, decode_presence(encode_presence(Presence(online, session)).data)))

    def health(self, device, *, last=None, **fields):
        """A gate's state comes in."""
        journal, committed = self._journals.setdefault(device, (VirtualJournal().identity, 0))
        known = {"at": at(0), "version": "1.0", "status": status(), **fields}
        payload = encode_state(
            known, journal=journal, last=committed if last is None else last, mark=None, fork=None
        )
        self.take(Incoming(device, decode_state(payload.data)))


def status(partners=None, **fields):
    """The daemon's status, as the uplink sends it."""
    plain = {
        "version": "1.0",
        "cards": 3,
        "damaged": None,
        "viewers": 0,
        "journal": {"error": None, "late": 0, "lost": 0, "in_memory": False},
        "sinks": {},
        "doors": {"main": door()},
        "partners": partners or {"wellhub": partner()},
        "last_event": None,
        **fields,
    }
    return PRIVACY.status(plain)


def door(mode="normal", scanner="ready", **fields):
    cause = None if scanner == "ready" else "unplugged"
    return {
        "state": "ready",
        "waiting": 0,
        "dropped": 0,
        "gate": {"open": False, "state": "ready", "since": SINCE, "cause": None},
        "signals": {},
        "inputs": {},
        "inside": None,
        "mode": {"name": mode, "since": SINCE, "until": None, "reason": "a person wrote this"},
        "scanners": [
            {
                "scanner": "/dev/ttyUSB0",
                "type": "serial",
                "state": scanner,
                "since": SINCE,
                "cause": cause,
                "held_by": [],
                "codes": 1,
                "dropped": 0,
                "last_dropped": None,
            }
        ],
        **fields,
    }


def partner(state="healthy", **fields):
    return {
        "protocol": "wellhub",
        "state": state,
        "since": SINCE,
        "rests_until": None,
        "ready_connections": 1,
        "clock_ahead_s": 0.0,
        "failing": None,
        "unconnected": None,
        **fields,
    }


WITH_KEY = 'pseudonym_key = { file = "pseudonym" }'


def settings_of(folder, dsn, monitor=WITH_KEY):
    """A fleet.toml for the monitor over this database; none of the broker's files is there."""
    (folder / "pseudonym").write_text(f"{KEY.hex()}\n")
    (folder / "pseudonym").chmod(0o600)
    path = folder / "fleet.toml"
    path.write_text(
        '[broker]\nurl = "mqtts://localhost:8883"\ncertificate = "ingest.crt"\n'
        'key = { file = "ingest.key" }\nca_file = "ca.crt"\n'
        f'[database]\ndsn = "{dsn}"\n'
        '[monitor]\nlisten = "127.0.0.1:0"\n'
        f"{monitor}\n"
    )
    return path


@contextmanager
def fleet_monitor(settings):
    """`gatectl fleet monitor` as a process of its own, which must end in order; gives its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gatectl", "fleet", "monitor", "-c", settings],
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"},
    )
    try:
        line = process.stderr.readline()
        found = re.search(r"http://\S+:\d+", line)
        assert found, line + process.stderr.read()
        yield found[0]
    finally:
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        process.stderr.close()
        assert (process.wait(NET_S), rest) == (0, "")
