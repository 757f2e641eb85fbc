"""The network, the name server and the partner's certificate fail and come back, without a restart of
anything."""

from __future__ import annotations

import shlex

GOOD = "1000000000200"
BACK_S = 300.0
"""A dead connection is given up after 25 s of keep-alive, a refused handshake tried again within 30 s."""

LINK = """
for link in /sys/class/net/*; do
    if [[ -e $link/device ]]; then ip link set "${{link##*/}}" {state}; fi
done
"""
NAME_SERVER = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
while True:
    asked, client = server.recvfrom(512)
    end = asked.index(0, 12) + 5
    is_address = asked[end - 3] == 1  # type A; for others there is no answer, and no error
    answer = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\0\\0\\4" + socket.inet_aton("10.0.2.100")
    counts = bytes([0, 1, 0, is_address, 0, 0, 0, 0])
    server.sendto(asked[:2] + b"\\x81\\x80" + counts + asked[12:end] + answer * is_address, client)
"""
_NAMES = f"""
sed -i /partner.test/d /etc/hosts
printf 'nameserver 127.0.0.1\\noptions timeout:2 attempts:1\\n' >/run/resolv.conf
ln -sf /run/resolv.conf /etc/resolv.conf
printf %s {shlex.quote(NAME_SERVER)} >/run/name-server.py
"""
_NAME_SERVER_ON = """
systemd-run --quiet --unit=name-server python3 -I /run/name-server.py
until ss -Huln 'sport = 53' | grep -q .; do sleep 0.1; done
"""


def refused(door, fault):
    """A scan that comes to nothing by this fault, before a byte of a request left."""
    seen = len(door.events())
    door.scan(GOOD)
    door.until_logged(f"rejected {GOOD} (wellhub {fault}")
    *_, event = events = door.events()
    assert len(events) == seen + 1
    assert (event["fault"], event["verdict"], event["status"]) == (fault, "none", None)
    assert event["request"]["sent"] is False
    assert event["gate"] is None


def last_entry(door, fault):
    """The last line about the partner that is lost."""
    *_, line = (entry for entry in door.journal() if "partner wellhub: no connection" in entry["MESSAGE"])
    assert (line["PRIORITY"], line["GATECTL_FAULT"], line["GATECTL_PARTNER"]) == ("4", fault, "wellhub")
    return line["MESSAGE"]


def admitted(door, partners, times):
    door.scan(GOOD)
    door.until_logged(f"admitted {GOOD}", times=times)
    assert partners.asked_for(GOOD) == times


def test_the_network_goes_and_comes_back(door, partners, measured):
    pid = door.daemon_pid()
    admitted(door, partners, 1)
    door.check(LINK.format(state="down"))
    door.until_logged("partner wellhub: no connection (network", limit_s=BACK_S)
    refused(door, "network")
    assert "unreachable" in last_entry(door, "network")
    begin = door.seconds()
    door.check(LINK.format(state="up"))
    door.until_logged("partner wellhub: connected again", limit_s=BACK_S)
    measured("network back to connected again, on the emulated clock", door.seconds() - begin)
    admitted(door, partners, 2)
    assert door.daemon_pid() == pid


def test_a_network_that_swallows_everything_is_a_timeout(door, partners):
    admitted(door, partners, 1)  # so a connection is ready
    door.set_link(up=False)
    door.scan(GOOD)
    door.until_logged(f"rejected {GOOD} (wellhub timeout")
    door.set_link(up=True)
    *_, event = door.events()
    assert event["request"]["sent"] is True
    assert event["gate"] is None
    door.scan(GOOD)
    door.until_logged(f"admitted {GOOD}", times=2)
    assert partners.asked_for(GOOD) == 2, "what was given up must not arrive later"


def test_the_name_server_goes_and_comes_back(pi, partners):
    pi.check(_NAMES + _NAME_SERVER_ON + "systemctl restart gatectl")
    pi.connect(partners)
    admitted(pi, partners, 1)

    pi.check("systemctl stop name-server")
    before = partners.simulator.handshakes
    partners.call(partners.simulator.drop_all)
    partners.until(lambda: partners.simulator.handshakes > before)  # the addresses are known
    admitted(pi, partners, 2)

    pi.check("systemctl restart gatectl")
    pi.until_logged("partner wellhub: no connection (network", limit_s=BACK_S)
    pid = pi.daemon_pid()
    refused(pi, "network")
    assert "the name partner.test was not found" in last_entry(pi, "network")

    pi.check(_NAME_SERVER_ON)
    pi.until_logged("partner wellhub: connected again", limit_s=BACK_S)
    admitted(pi, partners, 3)
    assert pi.daemon_pid() == pid


def test_the_partners_certificate_expires_and_is_renewed(door, partners):
    pid = door.daemon_pid()
    partners.expire()
    door.until_logged("partner wellhub: no connection (tls", limit_s=BACK_S)
    refused(door, "tls")
    assert "expired" in last_entry(door, "tls")
    partners.renew()
    admitted(door, partners, 1)  # at once: a scan does not wait for the next attempt
    door.until_logged("partner wellhub: connected again", limit_s=BACK_S)
    assert door.daemon_pid() == pid
