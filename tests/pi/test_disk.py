"""A card that is full, or that the kernel has made read-only: the door works, and the records follow."""

from __future__ import annotations

import pytest

GOOD, UNKNOWN = "1000000000200", "1000000000404"
LIMIT_S = 300.0

LOG_IN_MEMORY = """
mkdir -p /etc/systemd/journald.conf.d
printf '[Journal]\\nStorage=volatile\\n' >/etc/systemd/journald.conf.d/volatile.conf
systemctl restart systemd-journald
"""
"""As on newer Raspberry Pi OS: otherwise log entries are lost with the card."""

FILL = """
mkdir /filler
for ((size = 1 << 30; size >= 4096; size /= 2)); do
    while fallocate --length $size /filler/$((++number)) 2>/dev/null; do :; done
done
sync
"""
READ_ONLY = """
sync
echo u >/proc/sysrq-trigger
until grep -q '^/dev/mmcblk0 / ext4 ro' /proc/mounts; do sleep 0.1; done
"""
"""All at once and without asking a process, as the kernel does when the card fails."""

FAILURES = {
    "full": (FILL, "rm -r /filler && sync"),
    "read-only": (READ_ONLY, "mount -o remount,rw /"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_card_that_takes_no_record(door, partners, failure):
    fail, repair = FAILURES[failure]
    door.check(LOG_IN_MEMORY)
    door.check(fail)
    with door.watch() as relay:
        door.scan(GOOD)
        relay.wait(energised=True, limit_s=LIMIT_S)
        door.scan(UNKNOWN)
        door.until_logged(f"rejected {UNKNOWN}")
    door.until_logged("/var/lib/gatectl/journal.db cannot be written")
    door.until_logged("is late: the disk does not answer")
    assert door.events() == []
    door.check(repair)
    door.until_logged("/var/lib/gatectl/journal.db is written again")
    assert [event["credential"] for event in door.events()] == [GOOD, UNKNOWN]
    assert partners.asked_for(GOOD) == partners.asked_for(UNKNOWN) == 1
    assert door.check("systemctl show --value --property=NRestarts gatectl").strip() == "0"
