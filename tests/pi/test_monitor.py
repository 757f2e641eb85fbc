"""gatectl-monitor.service in its own sandbox: what it shows, what it can reach, and its upgrade."""

from __future__ import annotations

import re

import pytest
from test_upgrade_on_a_pi import PREPARE, install, uninstall

UNKNOWN, REASON = "1000000000404", "looked at by the rig"
EXPOSURE_MAX = 1.5
START_S = 300.0
"""Its start imports the web's half of Python; seconds on a Pi."""

_LOOK = """
/usr/bin/python3 -I - <<'END'
from urllib.request import urlopen
print(urlopen("http://127.0.0.1:8480/?codes=whole").read().decode())
END
"""
_STREAM = """
setsid /usr/bin/python3 -I - >/run/rig/stream 2>&1 <<'END' &
from urllib.request import urlopen
for line in urlopen("http://127.0.0.1:8480/live/events"):
    print(line.decode(), end="", flush=True)
END
until grep -q '^event: health' /run/rig/stream; do sleep 0.2; done
"""
"""Returns when the page's stream has begun."""
_AS_IT = """
pid=$(systemctl show --value --property=MainPID gatectl-monitor)
cd /
nsenter --target "$pid" --mount -- \
    setpriv --reuid=gatectl-monitor --regid=gatectl-monitor --clear-groups -- bash -c {command}
"""
"""With its eyes: its user, its groups, its view of the files."""

MAY = ("cat /etc/gatectl/gatectl.toml", "cat /var/lib/gatectl/journal.db", "ls /run/gatectl-watch")
MAY_NOT = (
    "cat /etc/gatectl/secrets/wellhub",
    "ls /etc/gatectl/secrets",
    "ls /run/gatectl",
    "ls /dev/gpiochip0",
    "ls /dev/input",
    "ls /root/.bashrc",
    "gatectl open main --reason nobody",
    "touch /etc/gatectl/new",
    "touch /var/lib/gatectl/new",
    ": >>/var/lib/gatectl/journal.db",
    ": >>/etc/gatectl/gatectl.toml",
)


@pytest.fixture
def monitored(door):
    """A Pi on which somebody wants the Event Monitor, and it is up."""
    door.check("systemctl enable --quiet --now gatectl-monitor", limit_s=START_S)
    return door


def as_it(pi, command):
    return pi.agent.run(_AS_IT.format(command=f"'{command}'"))


def test_it_shows_the_record_and_each_event_as_it_comes(monitored):
    assert UNKNOWN not in monitored.check(_LOOK)
    monitored.check(_STREAM)
    monitored.scan(UNKNOWN)
    monitored.until_logged(f"rejected {UNKNOWN}")
    (event,) = monitored.events()
    monitored.check(f"until grep -q {event['id']} /run/rig/stream; do sleep 0.2; done")
    assert UNKNOWN in monitored.check(_LOOK)
    assert event["id"] in monitored.check(_LOOK)


def test_it_can_look_and_do_nothing_else(monitored):
    said = monitored.check("systemd-analyze security --no-pager gatectl-monitor")
    (exposure,) = re.findall(r"Overall exposure level for gatectl-monitor.service: ([\d.]+)", said)
    assert float(exposure) <= EXPOSURE_MAX, said

    # It reads what is in the record: the store's write-ahead log too, while the daemon writes to it.
    monitored.check(f"gatectl open main --reason '{REASON}'")
    assert REASON in monitored.check(_LOOK)
    assert not {command for command in MAY if as_it(monitored, command).status}
    assert not {command for command in MAY_NOT if not as_it(monitored, command).status}
    assert len(monitored.events()) == 1


def test_an_upgrade_takes_it_along_and_uninstalling_takes_it_off(monitored):
    monitored.check(f"gatectl open main --reason '{REASON}'")
    monitored.check(PREPARE.format(version="0.9.3", more=""))
    status, said = install(monitored)
    assert (status, "gatectl 0.9.3 runs" in said) == (0, True), said
    pid = monitored.check("systemctl show --value --property=MainPID gatectl-monitor").strip()
    assert "/versions/0.9.3-" in monitored.check(f"tr '\\0' ' ' </proc/{pid}/cmdline")
    assert REASON in monitored.check(_LOOK)
    assert monitored.check("systemctl show --value --property=NRestarts gatectl-monitor").strip() == "0"

    uninstall(monitored)
    assert monitored.agent.run(_LOOK).status
    assert not monitored.check("find /etc/systemd -name 'gatectl*'")
    assert monitored.agent.run("systemctl cat gatectl-monitor").status
    assert monitored.check("stat -c %s /var/lib/gatectl/journal.db").strip() != "0"
