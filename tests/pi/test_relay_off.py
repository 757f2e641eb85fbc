"""The relay goes off after any end of the daemon."""

from __future__ import annotations

LIMIT_S = 300.0
OFF_S = 0.5
"""In seconds of the guest in which it could run: what others have of this machine's time does not count.

Where Python has to start for it, that is on a Pi; here it is as many times longer as Python takes longer.
"""
PI_PYTHON_S = 0.1
"""About what a Raspberry Pi 3B takes from `python3 -I -c pass` to its end."""
WATCHDOG_S = 10.0
SYSTEMD_S = 3.0
"""systemd's clock for it is a quarter of a second late on any machine; here its steps take tenths as well."""


def keep_open(pi):
    """The settings keep the gate open for a minute."""
    pi.change_settings("open_ms = 3000", "open_ms = 60000")


def open_gate(pi, relay):
    """By hand, with the relay seen on."""
    before = len(relay.changes)
    pi.check("gatectl open main --reason test")
    relay.wait(energised=True, limit_s=LIMIT_S, after=before)


KILL = """
/usr/bin/python3 -I - {name} {pids} <<'END'
import mmap, os, signal, struct, sys
timer = mmap.mmap(os.open("/dev/mem", os.O_RDONLY | os.O_SYNC), 4096, prot=mmap.PROT_READ, offset=0x3F003000)
for pid in sys.argv[2:]:
    os.kill(int(pid), signal.Signals["SIG" + sys.argv[1]])
print(struct.unpack_from("<I", timer, 4)[0])
END
"""
"""Says the moment on the clock that the relay is seen by: a command's way into the guest takes a second."""


def signal(pi, relay, name, *, failsafe=False):
    """Sends it to the daemon, and perhaps to what survives it; for how many seconds the relay stayed on."""
    pid = pi.daemon_pid()
    pids = f"{pid} {pi.check(f'cat /proc/{pid}/task/{pid}/children')}" if failsafe else str(pid)
    before, held_up = len(relay.changes), pi.held_up()
    sent_at = int(pi.check(KILL.format(name=name, pids=pids.strip()))) / 1e6
    off = relay.wait(energised=False, limit_s=LIMIT_S, after=before)
    return max(0.0, off.at - sent_at - (off.held_up - held_up))


def seconds(pi, command, runs=5):
    """The command's time in the idle guest, in the same seconds."""
    begin = pi.seconds() - pi.held_up()
    pi.check(f"for ((run = 0; run < {runs}; run++)); do {command}; done")
    return (pi.seconds() - pi.held_up() - begin) / runs


def slowness(pi):
    """How many times slower than a Pi this emulation is now."""
    return seconds(pi, "/usr/bin/python3 -I -c pass") / PI_PYTHON_S


def test_sigkill_with_the_relay_on(pi, rounds, measured):
    keep_open(pi)
    took = []
    with pi.watch() as relay:
        for turn in range(rounds):
            open_gate(pi, relay)
            took.append(signal(pi, relay, "KILL"))
            pi.until_logged("is ready", times=turn + 2)
    measured(f"relay on after SIGKILL, worst of {rounds}, on the emulated clock", max(took))
    assert max(took) < OFF_S, took


def test_sigkill_of_the_whole_service_with_the_relay_on(pi, measured):
    """The process that survives the daemon dies with it; the service's last step is left."""
    keep_open(pi)
    with pi.watch() as relay:
        open_gate(pi, relay)
        slow = slowness(pi)  # before: after the kill, the daemon's start is in the way
        took = signal(pi, relay, "KILL", failsafe=True)
    pi.until_logged("main: relay off", times=2)  # the first was that of the new settings' restart
    measured("relay on after SIGKILL of both processes, on the emulated clock", took)
    measured("the same, in a Pi's time", took / slow)
    pi.until_logged("is ready", times=2)


def test_how_much_of_it_is_the_last_step(pi, measured):
    pi.check("cp /run/gatectl/relays.json /run/rig && systemctl stop gatectl")
    alone = seconds(pi, "(cd /run/rig && RUNTIME_DIRECTORY=/run/rig gatectl relay off)")
    measured("`gatectl relay off` alone, on the emulated clock", alone)
    measured("the same, in a Pi's time", alone / slowness(pi))
    assert not pi.energised()


def test_sigstop_with_the_relay_on(pi, measured):
    """The watchdog ends the daemon, and it alone."""
    keep_open(pi)
    with pi.watch() as relay:
        open_gate(pi, relay)
        took = signal(pi, relay, "STOP")
    measured("relay on after SIGSTOP, on the emulated clock", took)
    assert took < WATCHDOG_S + SYSTEMD_S + OFF_S


def test_stop_with_the_relay_on(pi):
    keep_open(pi)
    with pi.watch() as relay:
        open_gate(pi, relay)
        pi.check("systemctl stop gatectl")
        assert not pi.energised()
