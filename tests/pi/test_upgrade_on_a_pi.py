"""`scripts/install` again, in the running Pi: an upgrade that works, and three that do not.

What pip makes of a version takes ten minutes here, is the same in the image's own installation, and touches
nothing that runs. So it is a copy of the version that runs; all that comes after it is the installer's.
"""

from __future__ import annotations

import pytest
from rig.machine import INSTRUCTION_NS
from rig.pi import Pi
from test_relay_off import LIMIT_S

GOOD = "1000000000200"
INSTALL_S = 1800.0
BACK_S = 3.0
CLOCK_MHZ = 1200
CYCLES = 2
"""A Raspberry Pi 3B's clock, and the cycles that its core may take for an instruction on the average."""
SETTINGS = "/etc/gatectl/gatectl.toml"
_INSTALLER = "/usr/local/src/gatectl/scripts/install"
_WHEELS = "--wheelhouse /usr/local/src/wheels"
PREPARE = """
set -e
cd /usr/local/src/gatectl
sed -i 's/^__version__ = .*/__version__ = "{version}"/' gatectl/__init__.py
# The installer's own functions say the name.
cat >scripts/name <<'END'
source scripts/install
read_arguments --wheelhouse /usr/local/src/wheels
stamp=$(ingredients | sha256sum)
echo "$(version_of_sources)-${{stamp:0:8}}"
END
name=$(bash scripts/name)
old=$(basename "$(readlink /opt/gatectl/current)")
cd /opt/gatectl/versions
cp -al "$old" "$name"
sed -i "s/$old/$name/g" $(grep -lIr "$old" "$name/bin" "$name/pyvenv.cfg")
package=$(echo "$name"/lib/python3.*/site-packages/gatectl)
sed -i 's/^__version__ = .*/__version__ = "{version}"/' "$package/__init__.py"
{more}
"""
_BROKEN = "echo 'raise SystemExit(\"broken\")' >$package/cli/new; mv $package/cli/new $package/cli/run.py"
_CHANGES_THE_STORE = """
echo 'CREATE TABLE made_up (x TEXT) STRICT;' >$package/journal/schemas/2.sql
fail='await context.store.opened; raise RuntimeError'
sed -i "s/await self._until_upgraded(context.store)/$fail/" $package/daemon/serve.py
grep -q "$fail" $package/daemon/serve.py
"""
"""A version that brings the store up to date, and then fails."""


def install(door):
    """Its exit status and what it said."""
    done = door.agent.run(f"{_INSTALLER} {_WHEELS}", limit_s=INSTALL_S)
    return done.status, done.err


def uninstall(door):
    door.check(f"{_INSTALLER} --uninstall", limit_s=INSTALL_S)


def admitted(door, partners, times):
    door.scan(GOOD)
    door.until_logged(f"admitted {GOOD}", times=times)
    assert partners.asked_for(GOOD) == times


def seconds_away(door, version):
    """From the last stop of the service to this version being ready, on the guest's clock."""
    at = {}
    for entry in door.journal():
        message = entry["MESSAGE"]
        if message.startswith("Stopping gatectl.service") or message == f"gatectl {version} is ready":
            at[message.split()[0]] = int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6
    return at["gatectl"] - at["Stopping"]


def test_upgrades(door, partners):
    pid = door.daemon_pid()
    door.check(PREPARE.format(version="0.9.1", more=_BROKEN))
    with door.watch() as relay:
        # Settings that the new version does not take: the old one is not touched.
        door.check(f"cp -p {SETTINGS} /run/settings && echo 'nonsense = 1' >>{SETTINGS}")
        status, said = install(door)
        assert (status, "nothing was changed" in said) == (1, True), said
        assert door.daemon_pid() == pid
        door.check(f"cp -p /run/settings {SETTINGS}")

        # One that does not start: the old one is put back.
        status, said = install(door)
        assert (status, "the old one was put back" in said) == (1, True), said
        door.until_logged("is ready")
        assert not relay.ever_energised
    admitted(door, partners, 1)

    # One that changes the store and then does not start: the store is put back too.
    door.check(PREPARE.format(version="0.9.2", more=_CHANGES_THE_STORE))
    status, said = install(door)
    assert (status, "the old one was put back" in said) == (1, True), said
    door.check("ls /var/lib/gatectl/journal.db.replaced-*")
    admitted(door, partners, 2)

    door.check(PREPARE.format(version="0.9.3", more=""))
    with door.watch() as relay:
        status, said = install(door)
        assert (status, "gatectl 0.9.3 runs" in said) == (0, True), said
        assert not relay.ever_energised
        assert relay.samples > 100
    with door.watch() as relay:
        admitted(door, partners, 3)
        relay.wait(energised=True, limit_s=LIMIT_S)


@pytest.mark.long
def test_the_service_is_back_in_time(image, measured):
    """In instructions, of which this machine's speed makes neither more nor less.

    Those of all four cores count, as if one had done them all.
    """
    with Pi(image, cold=True, counted=True) as door:
        door.until_logged("is ready", limit_s=INSTALL_S)
        door.check(PREPARE.format(version="0.9.4", more=""))
        status, said = install(door)
        assert (status, "gatectl 0.9.4 runs" in said) == (0, True), said
        millions = seconds_away(door, "0.9.4") * 1e3 / INSTRUCTION_NS
    measured("service away for an upgrade", millions, "million instructions")
    assert millions * CYCLES / CLOCK_MHZ < BACK_S
