"""The simulated gate through gatectl's own drivers: its lock follows the relay, its inputs are read."""

import queue

import pytest
from limits import NET_S

from gatectl.decision.door.inputs import InputName, LevelFilter
from gatectl.devices.gpio.input_watcher import InputWatcher, WatchedInput
from gatectl.devices.gpio.pin_threads import PinThreads
from gatectl.devices.gpio.pins import pin_factory
from gatectl.devices.gpio.relay_pin import RelayPin
from gatectl.sim.simulated_gate import RELAY, GateInput, SimulatedGate

NAMES = {
    GateInput.PASSAGE: InputName.PASSAGE,
    GateInput.CONTACT: InputName.CONTACT,
    GateInput.FIRE: InputName.FIRE,
    GateInput.EXIT_BUTTON: InputName.EXIT,
    GateInput.EXIT_PASSAGE: InputName.EXIT_PASSAGE,
}


@pytest.fixture
def gate():
    with SimulatedGate() as gate:
        yield gate


@pytest.fixture
def factory(gate, monkeypatch):
    for name, value in gate.environment.items():
        monkeypatch.setenv(name, value)
    made = pin_factory("lgpio", 0, gate.environment)  # the environment's factory wins
    yield made
    made.close()


@pytest.fixture
def relay(factory):
    made = RelayPin("main", RELAY, active_high=True, open_ms=60_000, factory=factory, log=lambda _: None)
    made.claim()
    yield made
    made.close()


def test_the_lock_follows_the_relay(gate, relay):
    gate.until_shut()
    before = gate.openings
    relay.energise()
    gate.until_open(before)
    assert gate.is_open
    assert gate.openings == before + 1
    relay.release()
    gate.until_shut()
    assert gate.openings == before + 1


def test_an_extension_is_an_opening_too(gate, relay):
    relay.energise()
    gate.until_open(0)
    relay.energise()
    gate.until_open(1)
    relay.release()
    gate.until_shut()
    assert gate.openings == 2


@pytest.mark.parametrize("what", list(GateInput), ids=lambda what: what.name.lower())
def test_an_input_is_read_at_rest_and_active(gate, factory, what):
    changes, threads = queue.Queue(), PinThreads()
    pin, active_low = what.value.pin, not what.value.active
    one = WatchedInput("main", NAMES[what], pin, active_low, LevelFilter(0), changes.put, factory, threads)
    InputWatcher([one], threads).start()
    threads.start()
    assert not changes.get(timeout=NET_S).active
    for active in (True, False):
        gate.move(what, active=active)
        assert changes.get(timeout=NET_S).active is active
    threads.stop()
