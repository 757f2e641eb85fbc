"""A scanner's keys reach gatectl alone."""

from __future__ import annotations

COMMAND = "touch /typed"
"""Short: a code has three seconds to end, and the emulated keyboard types slowly."""


def console(door):
    return door.check("systemctl start getty@tty1; tr -d '\\0' </dev/vcs1")


def test_nothing_that_is_scanned_reaches_the_console(door):
    door.scan(COMMAND)
    door.until_logged(f"rejected {COMMAND}")
    assert "touch" not in console(door)
    assert "typed" not in door.check("journalctl -b -u getty@tty1 -u systemd-logind -o cat")


def test_without_the_daemon_it_would(door):
    door.check("systemctl stop gatectl")
    assert "login:" in console(door)
    door.scan("somebody", end="")
    door.check("until tr -d '\\0' </dev/vcs1 | grep -q somebody; do sleep 0.2; done")
