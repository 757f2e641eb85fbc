"""The relay goes off, whatever ends the daemon."""

from __future__ import annotations

GOOD = "1000000000200"
LIMIT_S = 60.0


def open_gate(door, relay):
    """A good scan, with the relay seen on; the settings keep it on for a minute."""
    door.change_settings("open_ms = 3000", "open_ms = 60000")
    door.scan(GOOD)
    return relay.wait(energised=True, limit_s=LIMIT_S)


def daemon_pid(door):
    return int(door.check("systemctl show --value --property=MainPID gatectl"))


def test_sigkill_with_the_relay_on(door, measured):
    with door.watch() as relay:
        open_gate(door, relay)
        pid = daemon_pid(door)
        begin = door.seconds()
        door.check(f"kill -KILL {pid}")
        off = relay.wait(energised=False, limit_s=LIMIT_S, after=1)
    measured("relay on after SIGKILL", off.at - begin)
    door.told("is ready", times=2)


def test_sigstop_with_the_relay_on(door, measured):
    with door.watch() as relay:
        open_gate(door, relay)
        pid = daemon_pid(door)
        begin = door.seconds()
        door.check(f"kill -STOP {pid}")
        off = relay.wait(energised=False, limit_s=LIMIT_S, after=1)
    measured("relay on after SIGSTOP", off.at - begin)
