"""The relay goes off, whatever ends the daemon."""

from __future__ import annotations

LIMIT_S = 60.0
OFF_S = 0.5
"""On a Pi. Here it is as many times longer as Python takes longer to start, and what others have of this
machine's time does not count."""
PI_PYTHON_S = 0.1
"""About what a Raspberry Pi 3B takes from `python3 -I -c pass` to its end."""
WATCHDOG_S = 10.0


def keep_open(pi):
    """The settings keep the gate open for a minute."""
    pi.change_settings("open_ms = 3000", "open_ms = 60000")


def open_gate(pi, relay):
    """By hand, with the relay seen on."""
    before = len(relay.changes)
    pi.check("gatectl open main --reason bench")
    relay.wait(energised=True, limit_s=LIMIT_S, after=before)


def signal(pi, relay, name):
    """Sends it to the daemon; how long the relay stayed on, in seconds of the guest in which it could run."""
    pid = int(pi.check("systemctl show --value --property=MainPID gatectl"))
    before = len(relay.changes)
    begin = pi.seconds() - pi.held_up()
    pi.check(f"kill -{name} {pid}")
    off = relay.wait(energised=False, limit_s=LIMIT_S, after=before)
    return off.at - off.held_up - begin


def seconds(pi, command, runs=5):
    """What the command takes in the guest, while nothing else runs there, in such seconds too."""
    begin = pi.seconds() - pi.held_up()
    pi.check(f"for ((run = 0; run < {runs}; run++)); do {command}; done")
    return (pi.seconds() - pi.held_up() - begin) / runs


def slowness(pi):
    """How many times slower than a Pi this emulation is now."""
    return seconds(pi, "/usr/bin/python3 -I -c pass") / PI_PYTHON_S


def test_sigkill_with_the_relay_on(pi, rounds, measured):
    keep_open(pi)
    took, on_a_pi = [], []
    with pi.watch() as relay:
        for turn in range(rounds):
            open_gate(pi, relay)
            slow = slowness(pi)  # before: after the kill, the daemon's start is in the way
            took.append(signal(pi, relay, "KILL"))
            on_a_pi.append(took[-1] / slow)
            pi.told("is ready", times=turn + 2)
    measured(f"relay on after SIGKILL, worst of {rounds}, on the emulated clock", max(took))
    measured(f"the same, told in a Pi's time, worst of {rounds}", max(on_a_pi))
    assert max(on_a_pi) < OFF_S, on_a_pi


def test_how_much_of_it_is_the_last_step(pi, measured):
    pi.check("cp /run/gatectl/relays.json /run/rig && systemctl stop gatectl")
    alone = seconds(pi, "(cd /run/rig && RUNTIME_DIRECTORY=/run/rig gatectl relay off)")
    measured("`gatectl relay off` alone, on the emulated clock", alone)
    measured("the same, told in a Pi's time", alone / slowness(pi))
    assert not pi.energised()


def test_sigstop_with_the_relay_on(pi, measured):
    keep_open(pi)
    with pi.watch() as relay:
        open_gate(pi, relay)
        slow = slowness(pi)
        took = signal(pi, relay, "STOP")
    measured("relay on after SIGSTOP, on the emulated clock", took)
    assert took < WATCHDOG_S + OFF_S * slow


def test_stop_with_the_relay_on(pi):
    keep_open(pi)
    with pi.watch() as relay:
        open_gate(pi, relay)
        pi.check("systemctl stop gatectl")
        assert not pi.energised()
