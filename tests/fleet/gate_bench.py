"""Real gates and head office: killed, on a bad line, unplugged. Each measurement gets a running `Fleet`."""

import random
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from mqtt_proxy import UP, MqttProxy
from speed import history
from uplink_rig import UplinkGate, peak_kib
from whole_gate import WholeGate

from gatectl.fleet.local_services import LocalBroker

SEED = 20
CATCH_UP_S = 900.0
WATCH_S = 0.1
DOWN_S = (0.0, 0.0, 1.0, 5.0, 15.0)
GATES = 10
IN_ORDER = "SELECT id FROM attempts JOIN outcomes USING (seq) ORDER BY ended"


def kills(fleet, folder, times, say):
    """Kill a daemon and an uplink so many times each, while members come."""
    begun = time.monotonic()
    folder.mkdir()
    with WholeGate(folder, fleet.office, fleet.broker.port) as gate:
        gate.kill(times, random.Random(SEED))
        gate.catch_up()
        events, requests = gate.verify(fleet)
    say(
        f"daemon and uplink killed {times} times each in {time.monotonic() - begun:.0f} s: {requests} members"
        f" asked for, {events} events at the gate, 0 lost, 0 double; alarms: {fleet.alarms() or 'none'}"
    )


def lossy(fleet, folder, events, say):
    """Send events over a line that loses and repeats a twentieth, to a broker that keeps ten messages."""
    _set(fleet, {"max_queued_messages 50000": "max_queued_messages 10"})
    gate = UplinkGate(folder, fleet.office, 0)
    ids = gate.scan(events)
    begun = time.monotonic()
    with MqttProxy(fleet.office, fleet.broker.port, share=0.05, seed=SEED) as proxy:
        gate.connect_to(proxy.port)
        with gate:
            gate.wait(gate.has_sent_all, within_s=CATCH_UP_S)
    wall_s = time.monotonic() - begun
    there = fleet.ids("berlin-1")
    say(
        f"{events} events over a line that lost {proxy.lost.total()} packets and repeated"
        f" {proxy.repeated.total()}: {wall_s:.0f} s; {len(set(ids) - set(there))} lost,"
        f" {len(there) - len(set(there))} double; alarms: {fleet.alarms() or 'none'}"
    )


def drain(fleet, folder, events, say):
    """Send what a gate decided while its line was cut."""
    gate = UplinkGate(folder, fleet.office, 0)
    history.fill(gate.journal, events)
    gate.last = events
    with closing(sqlite3.connect(gate.journal)) as connection:
        ids = [event_id for (event_id,) in connection.execute(IN_ORDER)]
    with MqttProxy(fleet.office, fleet.broker.port) as proxy:
        gate.connect_to(proxy.port)
        begun = time.monotonic()
        with gate:
            gate.wait(gate.has_sent_all, within_s=CATCH_UP_S)
            wall_s, peak = time.monotonic() - begun, peak_kib(gate.pid)
    there = [event_id for (event_id,) in fleet.rows("SELECT id::text FROM event ORDER BY received")]
    order = "in order" if there == ids else "NOT as at the gate"
    say(
        f"{events} events in {wall_s:.0f} s (to reach: 120), {order};"
        f" {proxy.passed_bytes[UP] / events:.0f} bytes an event in MQTT's packets (150),"
        f" {peak / 1024:.1f} MiB at most for the uplink (40); alarms: {fleet.alarms() or 'none'}"
    )


def presence(fleet, folder, say):
    """Say how long a gate is shown as online without being there, and as offline after a broker's restart."""
    folder.mkdir()
    with MqttProxy(fleet.office, fleet.broker.port, "cut") as proxy:
        unplugged = UplinkGate(folder / "unplugged", fleet.office, fleet.broker.port, "unplugged")
        cut = UplinkGate(folder / "cut", fleet.office, proxy.port, "cut")
        for gate in (unplugged, cut):
            gate.start()
        unplugged.wait(lambda _: _online(fleet) == {"unplugged": True, "cut": True})
        time.sleep(random.uniform(0, 30))  # at any moment between two signs of life
        unplugged.send_signal(signal.SIGSTOP)
        proxy.go_silent()
        begun, shown = time.monotonic(), {}
        while len(shown) < 2:
            for name, is_online in _online(fleet).items():
                if not is_online:
                    shown.setdefault(name, time.monotonic() - begun)
            time.sleep(WATCH_S)
        for gate in (unplugged, cut):
            gate.stop(signal.SIGKILL)
    for name, took_s in shown.items():
        say(f"{name}: shown offline after {took_s:.1f} s (to reach: 90)")
    _restarts(fleet, folder, say)


def _restarts(fleet, folder, say):
    names = [f"gate-{number}" for number in range(GATES)]
    gates = [UplinkGate(folder / name, fleet.office, fleet.broker.port, name) for name in names]
    for gate in gates:
        gate.start()
    gates[0].wait(lambda _: _sessions(fleet).keys() >= set(names), within_s=CATCH_UP_S)
    for down_s in DOWN_S:
        _restart(fleet, names, down_s, say)
    for gate in gates:
        gate.stop()


def _restart(fleet, names, down_s, say):
    before, over = _sessions(fleet), []
    with ThreadPoolExecutor(1) as watching:
        longest = watching.submit(_longest_offline, fleet, names, over)
        begun = time.monotonic()
        fleet.broker.stop()
        time.sleep(down_s)
        fleet.broker.start()
        while not all(_sessions(fleet).get(name, before[name]) != before[name] for name in names):
            time.sleep(WATCH_S)
        back_s = time.monotonic() - begun
        over.append(True)
        say(
            f"broker restarted, down for {down_s:.0f} s: all {GATES} uplinks connected again after"
            f" {back_s:.1f} s, shown offline for {longest.result():.1f} s at most (to reach: 60)"
        )


def _longest_offline(fleet, names, over):
    """Return the longest time in which one of the gates was shown as offline."""
    since, longest = {}, 0.0
    while not over:
        now = time.monotonic()
        for name, is_online in _online(fleet).items():
            if is_online:
                since.pop(name, None)
            elif name in names:
                longest = max(longest, now - since.setdefault(name, now))
        time.sleep(WATCH_S)
    return longest


def _online(fleet):
    return dict(fleet.rows("SELECT device, online FROM device"))


def _sessions(fleet):
    """Return the connection of each gate that is online."""
    return dict(fleet.rows("SELECT device, session FROM device WHERE online"))


def _set(fleet, changes):
    """Restart the broker with other settings."""
    settings = fleet.office / "mosquitto.conf"
    text = settings.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    settings.write_text(text)
    fleet.broker.stop()
    LocalBroker(fleet.office)  # takes the settings over
    fleet.broker.start()
