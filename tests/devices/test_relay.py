"""The relay and the gate: one contract suite for every pin factory that can run here."""

import asyncio
import threading
from pathlib import Path

import pytest
from gpiozero import OutputDevice

from gatectl.decision.signals import Lamp, Sight
from gatectl.devices.gate import Gate, lamp_devices
from gatectl.devices.pins import PinsError, pin_factory
from gatectl.devices.relay import Guard, Relay, StuckError

PIN = 17
NO_CHIP = pytest.mark.skipif(not Path("/dev/gpiochip0").exists(), reason="this machine has no GPIO chip")


class _Watched:
    """Wraps a device: tells of every change, and its pin can be made to stick or to fail."""

    def __init__(self, device):
        self._device = device
        self.changed = threading.Condition()
        self.stuck = False
        self.fails = False

    @property
    def value(self):
        return self._device.value

    @value.setter
    def value(self, on):
        with self.changed:
            self.changed.notify_all()
            if self.fails:
                raise OSError("EIO")
            if not self.stuck:
                self._device.value = on

    def wait_for(self, condition):
        with self.changed:
            assert self.changed.wait_for(condition, timeout=10), "it never came"

    def __getattr__(self, name):
        return getattr(self._device, name)


@pytest.fixture(params=["mock", pytest.param("lgpio", marks=NO_CHIP)])
def factory(request):
    made = pin_factory(request.param, 0, {})
    yield made
    made.close()


@pytest.fixture
def notices():
    return []


def relay(factory, *, active_high=True, open_ms=100):
    one = Relay("main", PIN, active_high=active_high, open_ms=open_ms, factory=factory)
    one._device = _Watched(one._device)
    return one


def level(factory):
    return bool(factory.pin(PIN).state)


@pytest.mark.parametrize("active_high", [True, False])
def test_it_is_off_from_the_start_and_off_at_the_end(factory, active_high):
    one = relay(factory, active_high=active_high)
    assert level(factory) is not active_high
    one.energise()
    assert level(factory) is active_high
    one.release()
    assert level(factory) is not active_high
    one.close()


def test_closing_an_energised_relay_switches_it_off_first(factory):
    one = relay(factory)
    one.energise()
    states = []
    device, release = one._device._device, one._device.close
    device.close = lambda: (states.append(level(factory)), release())
    one.close()
    assert states == [False]
    one.close()


def test_energised_twice_it_stays_on_for_a_full_time_from_the_second(factory):
    one = relay(factory, open_ms=60_000)
    first = one.energise()
    second = one.energise()
    assert second > first
    one.release_if_due(first)
    assert one.is_on
    one.release_if_due(second)
    assert not one.is_on
    one.close()


def test_the_guard_switches_off_while_the_event_loop_is_stuck(factory, notices):
    one = relay(factory)
    guard = Guard([one], notices.append)
    gate = Gate(one, guard, {}, notices.append)
    guard.start()

    async def stuck():
        gate.open()
        assert one.is_on
        one._device.wait_for(lambda: not one.is_on)  # blocks the loop: only the guard's thread can do it

    asyncio.run(stuck())
    guard.stop()
    gate.close()


def test_the_loop_switches_off_while_the_guard_is_dead(factory, notices):
    one = relay(factory)
    guard = Guard([one], notices.append)  # never started
    gate = Gate(one, guard, {}, notices.append)

    async def turning():
        gate.open()
        while one.is_on:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(turning(), 10))
    gate.close()


@pytest.fixture
def stubborn():
    made = pin_factory("mock", 0, {})
    one = relay(made)
    yield one
    one._device.stuck = one._device.fails = False
    one.close()
    made.close()


@pytest.mark.parametrize("flaw", ["stuck", "fails"])
def test_a_pin_that_does_not_follow_is_an_error_and_not_an_open_gate(stubborn, flaw):
    setattr(stubborn._device, flaw, True)
    with pytest.raises(StuckError):
        stubborn.energise()
    assert not stubborn.is_on
    assert stubborn.off_at is not None, "the guard still has to see to it"


def test_a_pin_that_does_not_go_off_is_tried_until_it_does_and_told_once(stubborn, notices):
    guard = Guard([stubborn], notices.append)
    guard.start()
    stubborn.energise()
    stubborn._device.stuck = True
    guard.changed()
    stubborn._device.wait_for(lambda: notices)
    stubborn._device.stuck = False
    stubborn._device.wait_for(lambda: not stubborn.is_on)
    guard.stop()
    assert [notice.message for notice in notices] == [
        "main: THE RELAY DOES NOT GO OFF (the pin did not follow): the gate may stand open"
    ]


def test_many_threads_may_open_and_close_at_once(factory):
    one = relay(factory, open_ms=60_000)
    threads = [
        threading.Thread(target=lambda: [(one.energise(), one.release()) for _ in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not one.is_on
    assert one.off_at is None
    one.close()


def shown(gate):
    return {lamp for lamp, device in gate._lamps.items() if device.value}


def test_what_lamps_show(factory, notices):
    one = relay(factory, open_ms=60_000)
    lamps = lamp_devices({Lamp.GREEN: 22, Lamp.RED: 23, Lamp.BUZZER: 24}, factory)
    gate = Gate(one, Guard([one], notices.append), lamps, notices.append)

    async def show():
        gate.show(Sight.WELCOME)
        assert shown(gate) == {Lamp.GREEN, Lamp.BUZZER}
        gate.show(Sight.REFUSED)
        assert shown(gate) == {Lamp.RED, Lamp.BUZZER}, "what was shown before ends"
        while Lamp.BUZZER in shown(gate):
            await asyncio.sleep(0)
        assert shown(gate) == {Lamp.RED}

    asyncio.run(show())
    gate.close()
    assert all(device.closed for device in lamps.values())


def test_a_broken_lamp_is_told_once_and_stops_nobody(factory, notices):
    one = relay(factory)
    lamps = {Lamp.GREEN: _Watched(OutputDevice(22, pin_factory=factory))}
    lamps[Lamp.GREEN].fails = True
    gate = Gate(one, Guard([one], notices.append), lamps, notices.append)

    async def show():
        for _ in range(3):
            gate.show(Sight.WELCOME)

    asyncio.run(show())
    gate.close()
    assert [notice.message for notice in notices] == ["main: the signal green cannot be driven (EIO)"]


def test_the_factory_is_the_one_of_the_settings_or_an_error():
    with pytest.raises(PinsError) as error:
        pin_factory("no-such", 0, {})
    assert "'no-such'" in error.value.message
    assert any("mock" in hint for hint in error.value.hints)


def test_the_environments_factory_wins():
    factory = pin_factory("no-such", 0, {"GPIOZERO_PIN_FACTORY": "mock"})
    assert type(factory).__name__ == "MockFactory"
    factory.close()


@pytest.mark.skipif(Path("/dev/gpiochip0").exists(), reason="this machine has a GPIO chip")
def test_without_a_chip_nothing_else_takes_its_place():
    with pytest.raises(PinsError, match="lgpio"):
        pin_factory("lgpio", 0, {})
