"""The relay goes off, whatever ends the daemon."""

from __future__ import annotations

GOOD = "1000000000200"
LIMIT_S = 60.0
OFF_S = 0.5
"""On a Pi. Here it is as many times longer as Python takes longer to start."""
PI_PYTHON_S = 0.1
"""About what a Raspberry Pi 3B takes from `python3 -I -c pass` to its end."""
WATCHDOG_S = 10.0


def open_gate(door, relay):
    """A good scan, with the relay seen on; the settings keep it on for a minute."""
    door.change_settings("open_ms = 3000", "open_ms = 60000")
    door.scan(GOOD)
    return relay.wait(energised=True, limit_s=LIMIT_S)


def daemon_pid(door):
    return int(door.check("systemctl show --value --property=MainPID gatectl"))


def slowness(door):
    """How many times slower than a Pi this emulation is now."""
    runs = 5
    begin = door.seconds()
    door.check(f"for ((run = 0; run < {runs}; run++)); do /usr/bin/python3 -I -c pass; done")
    return (door.seconds() - begin) / runs / PI_PYTHON_S


def test_sigkill_with_the_relay_on(door, measured):
    with door.watch() as relay:
        open_gate(door, relay)
        pid = daemon_pid(door)
        begin = door.seconds()
        door.check(f"kill -KILL {pid}")
        off = relay.wait(energised=False, limit_s=LIMIT_S, after=1)
    took, slow = off.at - begin, slowness(door)
    measured("relay on after SIGKILL, on the emulated clock", took)
    measured("slowness of the emulation at that time", slow, "times a Pi")
    assert took < OFF_S * slow
    door.told("is ready", times=2)


def test_sigstop_with_the_relay_on(door, measured):
    with door.watch() as relay:
        open_gate(door, relay)
        pid = daemon_pid(door)
        begin = door.seconds()
        door.check(f"kill -STOP {pid}")
        off = relay.wait(energised=False, limit_s=LIMIT_S, after=1)
    took, slow = off.at - begin, slowness(door)
    measured("relay on after SIGSTOP, on the emulated clock", took)
    assert took < WATCHDOG_S + OFF_S * slow
