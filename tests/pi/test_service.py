"""The service as systemd and its journal see it."""

from __future__ import annotations

import re

GOOD, CANCELLED = "1000000000200", "1000000000451"
EXPOSURE_MAX = 1.5


def test_the_service_is_locked_up(pi):
    said = pi.check("systemd-analyze security --no-pager gatectl")
    (exposure,) = re.findall(r"Overall exposure level for gatectl.service: ([\d.]+)", said)
    assert float(exposure) <= EXPOSURE_MAX, said


def test_the_journal_explains_each_event(door):
    door.scan(CANCELLED)
    door.until_logged(f"rejected {CANCELLED}")
    (entry,) = [entry for entry in door.journal() if "GATECTL_EVENT_ID" in entry]
    (event,) = door.events()
    assert entry["GATECTL_EVENT_ID"] == event["id"]
    assert (entry["GATECTL_DOOR"], entry["GATECTL_PARTNER"]) == ("main", "wellhub")
    assert (entry["GATECTL_RESULT"], entry["GATECTL_VERDICT"]) == ("rejected", "not_allowed")
    assert entry["PRIORITY"] == "5"
    explained = door.check("journalctl -b -u gatectl -x --no-pager MESSAGE_ID=" + entry["MESSAGE_ID"])
    assert len(explained.splitlines()) > 3, explained


def test_it_runs_as_a_user_of_its_own_and_is_small(pi, measured):
    pid = pi.check("systemctl show --value --property=MainPID gatectl").strip()
    assert pi.check(f"stat -c %U /proc/{pid}").strip() == "gatectl"
    memory = int(pi.check("systemctl show --value --property=MemoryCurrent gatectl"))
    measured("memory of the daemon in the guest", memory / 2**20, "MiB")
    assert memory < 150 * 2**20


_MISSES = """
cat >/usr/local/bin/journalctl <<'END'
#!/bin/bash
for word; do
    if [[ $word == -f ]]; then
        /usr/bin/journalctl "${@/#-f/--no-pager}"
        exec sleep infinity
    fi
done
exec /usr/bin/journalctl "$@"
END
chmod 755 /usr/local/bin/journalctl
setsid bash -c 'sleep 3; gatectl open main --reason parcel' >/dev/null 2>&1 &
"""
"""A follower of the journal that shows nothing that comes after its start, and a line that does."""


def test_the_rig_finds_a_line_that_a_follower_of_the_journal_misses(pi):
    pi.check(_MISSES)
    pi.until_logged("Opened by hand: parcel", limit_s=120)
