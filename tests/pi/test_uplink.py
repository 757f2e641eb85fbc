"""gatectl-uplink.service, set up as gatectl-uplink(1) says: what it sends, and what it can reach."""

from __future__ import annotations

import re
import shlex
import time

import pytest
from rig.office import head_office

from gatectl.errors import GatectlError

GOOD, UNKNOWN = "1000000000200", "1000000000404"
DEVICE = "berlin-mitte-1"
EXPOSURE_MAX = 1.5
MEMORY_MAX_MIB = 64
START_S = 300.0
SETTINGS = f"""
[uplink]
url = "mqtts://office.test:8883"
device = "{DEVICE}"
certificate = "uplink/device.crt"
key = {{ file = "uplink/device.key" }}
ca_file = "uplink/ca.crt"
pseudonym_key = {{ file = "uplink/pseudonym" }}
"""
_FILE = "printf %s {content} | install -m 640 -g gatectl-uplink /dev/stdin /etc/gatectl/uplink/{name}\n"
_AS_IT = """
pid=$(systemctl show --value --property=MainPID gatectl-uplink)
cd /
tried() {{
    nsenter --target "$pid" --mount -- setpriv --reuid=gatectl-uplink --regid=gatectl-uplink \
        --groups="$(getent group gatectl-monitor | cut -d : -f 3)" -- bash -c "$1" >/dev/null 2>&1
}}
for command in {commands}; do
    if tried "$command"; then echo "$command"; fi
done
"""
"""Prints which commands succeed as its user, with its groups and its view of the files."""

MAY = (
    "cat /etc/gatectl/gatectl.toml",
    "cat /var/lib/gatectl/journal.db",
    "cat /etc/gatectl/uplink/device.key",
    "ls /run/gatectl-watch",
)
MAY_NOT = (
    "cat /etc/gatectl/secrets/wellhub",
    "ls /etc/gatectl/secrets",
    "ls /run/gatectl",
    "ls /dev/gpiochip0",
    "ls /dev/input",
    "ls /root/.bashrc",
    "gatectl open main --reason nobody",
    "touch /var/lib/gatectl/new",
    ": >>/var/lib/gatectl/journal.db",
    ": >>/var/lib/gatectl/journal.db-wal",
    ": >>/etc/gatectl/gatectl.toml",
    ": >>/etc/gatectl/uplink/device.key",
)


@pytest.fixture
def office():
    try:
        with head_office() as running:
            yield running
    except GatectlError as error:
        pytest.skip("; ".join(error.lines()))


@pytest.fixture
def sending(pi, partners, office):
    """A gate of a fleet whose events are at head office."""
    set_clock(pi)
    pi.connect(partners, office.link)
    pi.check(f"printf %s {shlex.quote(SETTINGS)} >>/etc/gatectl/gatectl.toml")
    files = office.files_for_gate(pi.check("cat $(gatectl uplink csr)"))
    pi.check(
        "".join(_FILE.format(name=name, content=shlex.quote(text)) for name, text in files.items())
        + "gatectl check && systemctl enable --quiet --now gatectl-uplink",
        limit_s=START_S,
    )
    office.until(lambda: office.rows("SELECT mark FROM journal") == [(0,)])
    return pi


def set_clock(pi):
    """As the network's time does it: before, no certificate is valid yet."""
    pi.check(f"date --set @{time.time():.0f}")


def has_all(office, pi):
    """Returns when head office has every event of the gate, each once and in order; the events."""
    events = pi.events()
    office.until(lambda: len(office.ids()) >= len(events))
    assert office.ids() == [event["id"] for event in events]
    return events


def as_it(pi, commands):
    """Which of the commands succeed."""
    listed = " ".join(shlex.quote(command) for command in commands)
    return set(pi.check(_AS_IT.format(commands=listed), limit_s=START_S).splitlines())


def test_it_sends_what_the_door_decides_and_can_do_nothing_else(sending, office, measured):
    sending.scan(GOOD)
    sending.until_logged(f"admitted {GOOD}")
    (event,) = has_all(office, sending)
    ((device, member, result),) = office.rows("SELECT device, member, result FROM event")
    assert (device, result) == (DEVICE, "admitted")
    assert member.startswith("p:")
    assert event["member"] == GOOD
    assert "head office has every event" in sending.check("gatectl uplink status")

    pid = sending.check("systemctl show --value --property=MainPID gatectl-uplink").strip()
    assert sending.check(f"stat -c %U /proc/{pid}").strip() == "gatectl-uplink"
    assert as_it(sending, MAY) == set(MAY)
    assert not as_it(sending, MAY_NOT)
    assert len(sending.events()) == 1
    said = sending.check("systemd-analyze security --no-pager gatectl-uplink")
    (exposure,) = re.findall(r"Overall exposure level for gatectl-uplink.service: ([\d.]+)", said)
    assert float(exposure) <= EXPOSURE_MAX, said

    group = "/sys/fs/cgroup/system.slice/gatectl-uplink.service"
    assert sending.check(f"ps -o cls= -p {pid}; cat {group}/cpu.idle").split() == ["IDL", "1"]
    memory = int(sending.check(f"cat {group}/memory.peak")) / 2**20
    measured("memory of the uplink in the guest, peak", memory, "MiB")
    assert memory <= MEMORY_MAX_MIB
    assert sending.check("systemctl show --value --property=NRestarts gatectl-uplink").strip() == "0"


def test_a_power_cut_while_the_broker_is_away_loses_nothing(sending, office, partners):
    sending.scan(GOOD)
    sending.until_logged(f"admitted {GOOD}")
    has_all(office, sending)
    office.broker.stop()
    sending.scan(UNKNOWN)
    sending.until_logged(f"rejected {UNKNOWN}")
    sending.cut()
    sending.boot()
    office.broker.start()
    set_clock(sending)
    sending.connect(partners, office.link)
    events = has_all(office, sending)
    assert [event["credential"] for event in events] == [GOOD, UNKNOWN]
    assert office.rows("SELECT generation, mark FROM journal") == [(1, 2)]
    assert office.rows("SELECT kind FROM alarm") == []
