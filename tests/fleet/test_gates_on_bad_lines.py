"""Gates on lines that lose, repeat or end without a word, and whom head office shows as offline."""

import asyncio
import contextlib
import signal

import pytest
from fleet_rig import context_of, enrol, running, until
from gate_bench import drain
from mqtt_proxy import MqttProxy
from uplink_rig import UplinkGate
from virtual_gate import VirtualGate

from gatectl.fleet.local_services import LocalBroker
from gatectl.uplink.mqtt import KEEPALIVE_S, WILL_DELAY_S


def online(fleet):
    return dict(fleet.rows("SELECT device, online FROM device"))


def sessions(fleet):
    return dict(fleet.rows("SELECT device, session FROM device WHERE online"))


FEW_LOST = 653
"""A seed by which each kind of packet is soon lost and repeated, and few acknowledgements are waited for."""


class HastyGate(VirtualGate):
    """Begins a new connection after five seconds without an acknowledgement; an uplink waits for thirty."""

    acknowledge_s = 5.0


def test_a_line_that_loses_and_repeats_a_twentieth(fleet):
    """With a virtual gate; scripts/fleet-bench does it with a real uplink."""

    async def scenario(proxy):
        gate = HastyGate(proxy, context_of(fleet.office, "berlin-1"), "berlin-1")
        async with running(gate):
            while not (proxy.has_disturbed_everything and gate.mark == gate.journal.last):
                # A lost batch is noticed by the one behind it; without that, after a minute.
                gate.journal.append()
                gate.wake()
                with contextlib.suppress(TimeoutError):
                    await until(lambda: gate.mark == gate.journal.last, within_s=0.5)
        return gate

    enrol(fleet.office, "berlin-1")
    with MqttProxy(fleet.office, fleet.broker.port, share=0.05, seed=FEW_LOST) as proxy:
        gate = asyncio.run(scenario(proxy))
    assert sorted(fleet.ids("berlin-1")) == sorted(gate.journal.ids())
    assert fleet.alarms() == []


def test_what_was_decided_behind_a_cut_line_arrives_in_order(tmp_path, fleet):
    """scripts/fleet-bench does it with 100,000 events."""
    said = []
    drain(fleet, tmp_path / "gates", 300, said.append)
    assert "in order" in said[0]
    assert len(fleet.ids("berlin-1")) == 300


@pytest.fixture
def impatient(fleet):
    """The broker ends a connection after 15 s without a word, as soon as it can, and not after 45 s."""
    settings = fleet.office / "mosquitto.conf"
    settings.write_text(f"{settings.read_text()}max_keepalive 10\n")
    fleet.broker.stop()
    LocalBroker(fleet.office)  # takes the settings over
    fleet.broker.start()


def test_a_plug_that_is_pulled_or_a_line_that_is_cut_is_shown(tmp_path, fleet, impatient):  # noqa: ARG001
    """It takes those 15 s and the will's delay."""
    assert 1.5 * KEEPALIVE_S + WILL_DELAY_S <= 80, "else it would be shown after more than 90 s"
    with MqttProxy(fleet.office, fleet.broker.port, "cut") as proxy:
        unplugged = UplinkGate(tmp_path / "unplugged", fleet.office, fleet.broker.port, "unplugged")
        cut = UplinkGate(tmp_path / "cut", fleet.office, proxy.port, "cut")
        with cut, unplugged:
            unplugged.wait(lambda _: online(fleet) == {"unplugged": True, "cut": True})
            unplugged.send_signal(signal.SIGSTOP)
            proxy.go_silent()
            cut.wait(lambda _: online(fleet) == {"unplugged": False, "cut": False})
            unplugged.send_signal(signal.SIGCONT)
            cut.stop(signal.SIGKILL)


def test_after_a_brokers_restart_each_gate_is_there_again(tmp_path, fleet):
    gates = [UplinkGate(tmp_path / name, fleet.office, fleet.broker.port, name) for name in ("a", "b")]
    with gates[0], gates[1]:
        for how in (signal.SIGTERM, signal.SIGKILL):
            gates[0].wait(lambda _: len(sessions(fleet)) == len(gates))
            before = sessions(fleet)
            fleet.broker.stop(how)
            fleet.broker.start()
            gates[0].wait(
                lambda _, before=before: (
                    len(sessions(fleet)) == len(gates) and not sessions(fleet).items() & before.items()
                )
            )
