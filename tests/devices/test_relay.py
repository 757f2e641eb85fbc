"""The relay and the gate: one contract suite for every pin factory that can run here."""

import asyncio
import contextlib
import itertools
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from gpiozero.pins.mock import MockFactory, MockPin
from limits import NET_S
from virtual_loop import run_virtually

from gatectl import clock
from gatectl.decision.indication import BEEP_MS, RED_MS, Indication, Lamp
from gatectl.decision.log import Priority
from gatectl.decision.timestamps import FOREVER, LoopTime
from gatectl.devices.gpio import relay_pin
from gatectl.devices.gpio.gate import Gate
from gatectl.devices.gpio.output import FIRST_RETRY_S, LAST_RETRY_S, LampPin
from gatectl.devices.gpio.pins import PinsError, pin_factory
from gatectl.devices.gpio.relay_pin import RelayPin, StuckError
from gatectl.devices.gpio.relay_timer import LATE_S, OFF_RETRY_S, RelayTimer

PIN = 17
NO_CHIP = pytest.mark.skipif(not Path("/dev/gpiochip0").exists(), reason="this machine has no GPIO chip")


class _Watched:
    """Wraps a device: notifies of every change, and its pin can be made to stick or to fail."""

    def __init__(self, device):
        self._device = device
        self.changed = threading.Condition()
        self.stuck = False
        self.fails = False
        self.driven = []
        """The levels in their order."""

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
                self.driven.append(on)

    def wait_for(self, condition):
        with self.changed:
            assert self.changed.wait_for(condition, timeout=NET_S), "it never came"

    def __getattr__(self, name):
        return getattr(self._device, name)


@pytest.fixture(params=["mock", "simulated", pytest.param("lgpio", marks=NO_CHIP)])
def factory(request):
    made = pin_factory(request.param, 0, {})
    yield made
    made.close()


@pytest.fixture
def entries():
    return []


def unclaimed(factory, entries, *, active_high=True, open_ms=100, pulse_ms=None):
    return RelayPin(
        "main",
        PIN,
        active_high=active_high,
        open_ms=open_ms,
        factory=factory,
        log=entries.append,
        pulse_ms=pulse_ms,
    )


def claimed(factory, entries, **settings):
    one = unclaimed(factory, entries, **settings)
    one.claim()
    one._device = _Watched(one._device)
    return one


@pytest.fixture
def relay(factory, entries):
    return partial(claimed, factory, entries)


def level(factory):
    return bool(factory.pin(PIN).state)


@pytest.mark.parametrize("active_high", [True, False])
def test_it_is_off_from_the_start_and_off_at_the_end(relay, factory, active_high):
    one = relay(active_high=active_high)
    assert level(factory) is not active_high
    one.energise()
    assert level(factory) is active_high
    one.release()
    assert level(factory) is not active_high
    one.close()


def test_closing_an_energised_relay_switches_it_off_first(relay, factory):
    one = relay()
    one.energise()
    states = []
    device, release = one._device._device, one._device.close
    device.close = lambda: (states.append(level(factory)), release())
    one.close()
    assert states == [False]
    one.close()


@pytest.mark.parametrize(
    ("pulse_ms", "asked_ms", "lasts_s"),
    [(None, None, 60.0), (None, 5000, 5.0), (200, None, 0.2), (200, 5000, 0.2)],
)
def test_an_opening_lasts_its_own_time_the_relays_or_a_pulse(relay, pulse_ms, asked_ms, lasts_s):
    one = relay(open_ms=60_000, pulse_ms=pulse_ms)
    before = time.monotonic()
    off_at = one.energise(asked_ms)
    assert before + lasts_s <= off_at <= time.monotonic() + lasts_s
    assert one.off_at == off_at
    one.release_if_due(off_at - 0.001)
    assert one.is_on
    one.release_if_due(off_at)
    assert (one.is_on, one.off_at) == (False, None)
    one.close()


def test_energised_twice_it_stays_on_for_a_full_time_from_the_second(relay):
    one = relay(open_ms=60_000)
    first = one.energise()
    second = one.energise()
    assert second > first
    one.release_if_due(first)
    assert one.is_on
    one.release_if_due(second)
    assert not one.is_on
    one.close()


def test_a_shorter_opening_cuts_no_longer_one_short(relay):
    one = relay(open_ms=60_000)
    off_at = one.energise()
    assert one.energise(100) == off_at
    one.close()


def test_a_pulse_is_never_longer_than_the_opening(factory, entries):
    one = RelayPin(
        "main", PIN, active_high=True, open_ms=100, factory=factory, log=entries.append, pulse_ms=1000
    )
    one.claim()
    assert one.energise() <= clock.monotonic() + 0.1
    one.close()


def test_an_opening_may_be_made_to_end_earlier_and_never_later(relay):
    one = relay(open_ms=60_000)
    guard = RelayTimer([one])  # never started
    gate = Gate(one, guard, [])

    async def opened():
        gate.entry.open()
        end_s = clock.monotonic() + 30
        gate.entry.release(LoopTime(end_s + 60))
        assert end_s < one.off_at < end_s + 60
        gate.entry.release(LoopTime(end_s))
        assert (one.off_at, one.is_on) == (end_s, True)
        gate.entry.release()
        assert (one.off_at, one.is_on) == (None, False)

    asyncio.run(opened())
    gate.close()


def test_the_guard_switches_off_while_the_event_loop_is_stuck(relay):
    one = relay()
    guard = RelayTimer([one])
    gate = Gate(one, guard, [])
    guard.start()

    async def stuck():
        gate.entry.open()
        one._device.wait_for(lambda: one._device.driven == [1, 0])  # only the guard's thread can do it

    asyncio.run(stuck())
    guard.stop()
    gate.close()


def test_an_opening_wakes_the_guard_only_if_it_would_sleep_longer(relay):
    one = relay(open_ms=60_000)
    guard = RelayTimer([one])  # never started
    guard._pass()
    guard.threads._sleeps_until = guard.threads._next_due_s()
    calls = guard.threads._calls
    guard.changed(one.energise())
    assert guard.threads._calls == calls, "it looks at the pins within a second anyway"
    one.release()
    guard.changed(one.energise(10))
    assert guard.threads._calls == calls + 1
    guard.changed()
    assert guard.threads._calls == calls + 2, "a relay that failed cannot wait"
    one.close()


def test_an_opening_that_fails_wakes_the_guard(relay):
    """The pin may be on: the guard switches it off at once."""
    one = relay(open_ms=60_000)
    guard = RelayTimer([one])  # never started
    guard._pass()
    guard.threads._sleeps_until = guard.threads._next_due_s()
    calls = guard.threads._calls
    one._device.stuck = True
    with pytest.raises(StuckError):
        Gate(one, guard, []).entry.open()
    assert guard.threads._calls == calls + 1
    assert guard.due_s(clock.monotonic()) <= clock.monotonic()
    one._device.stuck = False
    one.close()


def test_an_opening_wakes_a_guard_that_is_awake(relay):
    """It may have read the relay's time already, and would then sleep beyond it."""
    one = relay(open_ms=60_000)
    guard = RelayTimer([one])  # never started
    calls = guard.threads._calls
    guard.changed(one.energise())
    assert guard.threads._calls == calls + 1
    one.close()


def test_the_loop_switches_off_while_the_guard_is_dead(relay):
    one = relay()
    guard = RelayTimer([one])  # never started
    gate = Gate(one, guard, [])

    async def turning():
        gate.entry.open()
        while one.is_on:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(turning(), NET_S))
    gate.close()


@pytest.fixture
def stubborn(entries):
    factory = pin_factory("mock", 0, {})
    one = claimed(factory, entries)
    yield one
    one._device.stuck = one._device.fails = False
    one.close()
    factory.close()


@pytest.mark.parametrize("flaw", ["stuck", "fails"])
def test_a_pin_that_does_not_follow_is_an_error_and_not_an_open_gate(stubborn, flaw):
    setattr(stubborn._device, flaw, True)
    with pytest.raises(StuckError):
        stubborn.energise()
    assert not stubborn.is_on
    assert stubborn.off_at is not None, "the guard still has to see to it"


def test_a_pin_that_does_not_go_off_is_retried_until_it_does_and_logged_once(stubborn, entries):
    guard = RelayTimer([stubborn])
    guard.start()
    stubborn.energise()
    stubborn._device.stuck = True
    guard.changed()
    stubborn._device.wait_for(lambda: entries)
    stubborn._device.stuck = False
    stubborn._device.wait_for(lambda: not stubborn.is_on)
    guard.stop()
    assert said(entries) == [
        (Priority.ERROR, "main: THE RELAY DOES NOT GO OFF (the pin did not follow): the gate may stand open"),
        (Priority.NOTICE, "main: the gate is in order again"),
    ]


def test_between_two_tries_of_a_pin_that_does_not_go_off_the_timer_sleeps(stubborn):
    timer = RelayTimer([stubborn])
    stubborn.energise()
    stubborn._device.stuck = True
    stubborn._off_at = 0.0
    with pytest.raises(StuckError):
        stubborn.release()
    timer._check_at = FOREVER
    assert timer.due_s(clock.monotonic()) == timer._passed_at + OFF_RETRY_S
    assert OFF_RETRY_S < FIRST_RETRY_S, "sooner than any other failure: the gate stands open"


def test_a_failure_that_is_worse_is_logged_too_and_one_that_is_not_is_not(stubborn, entries):
    stubborn._device.stuck = True
    for _ in range(2):
        with pytest.raises(StuckError):
            stubborn.energise()
    assert len(entries) == 1
    stubborn._device.stuck = False
    stubborn._device.value = True
    stubborn._device.stuck = True
    for _ in range(2):
        with pytest.raises(StuckError):
            stubborn.release()
    assert [entry.message.partition(" (")[0] for entry in entries] == [
        "main: the relay cannot be energised",
        "main: THE RELAY DOES NOT GO OFF",
    ]


def test_many_threads_may_open_and_close_at_once(relay, monkeypatch):
    monkeypatch.setattr(relay_pin, "LOCK_S", NET_S)  # on a busy machine one may have the lock for long
    one = relay(open_ms=60_000)
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


def said(entries):
    return [(entry.priority, entry.message) for entry in entries]


def shown(gate):
    return {name for name, pin in gate.lamps.items() if pin._device.value}


def lamps_of(pins, factory, entries):
    lamps = [LampPin("main", lamp, pin, factory, entries.append) for lamp, pin in pins.items()]
    for lamp in lamps:
        lamp.recover()
    return lamps


def test_signals_of_the_lamps(relay, factory, entries):
    one = relay(open_ms=60_000)
    lamps = lamps_of({Lamp.GREEN: 22, Lamp.RED: 23, Lamp.BUZZER: 24}, factory, entries)
    gate = Gate(one, RelayTimer([one], lamps), lamps)

    async def show():
        gate.show(Indication.WELCOME)
        assert shown(gate) == {Lamp.GREEN, Lamp.BUZZER}
        gate.show(Indication.REFUSED)
        assert shown(gate) == {Lamp.RED, Lamp.BUZZER}, "what was shown before ends"
        await asyncio.sleep(1.5 * BEEP_MS / 1000)
        assert shown(gate) == {Lamp.RED}
        await asyncio.sleep(RED_MS / 1000)
        assert shown(gate) == set()

    run_virtually(show())
    gate.close()
    assert {factory.pin(pin).function for pin in (22, 23, 24)} == {"input"}


FAULTS = set()
"""`(pin, "claim")`, `(pin, level)`: what fails now."""


class FaultyPin(MockPin):
    def output_with_state(self, state):
        self._fail("claim")
        self._fail(int(state))
        super().output_with_state(state)

    def _set_state(self, value):
        self._fail(int(value))
        super()._set_state(value)

    def _fail(self, what):
        if (int(self.info.name.removeprefix("GPIO")), what) in FAULTS:
            raise OSError("GPIO busy")


@pytest.fixture
def faulty():
    FAULTS.clear()
    factory = MockFactory(pin_class=FaultyPin)
    yield factory
    FAULTS.clear()
    factory.close()


def passes(guard, until):
    """The guard's own passes, one after the other and without its pauses, until this is so."""
    while not until():
        for one in guard._retried:
            if one.trouble.retry_at is not None:
                one.trouble.retry_at = 0.0
        guard._check_at = 0.0
        guard._pass()


def test_a_pin_that_is_busy_is_taken_when_it_is_free(faulty, entries):
    one = unclaimed(faulty, entries)
    FAULTS.add((PIN, "claim"))
    with pytest.raises(OSError, match="GPIO busy"):
        one.claim()
    one.failed("GPIO busy")
    guard = RelayTimer([one])
    for _ in range(3):
        one.trouble.retry_at = 0.0
        guard._pass()
        with pytest.raises(StuckError):
            one.energise()
        assert one.trouble.cause
    FAULTS.clear()
    passes(guard, lambda: one.trouble.cause is None)
    one.energise()
    assert level(faulty)
    one.close()
    assert said(entries) == [
        (Priority.ERROR, "main: the relay's pin 17 cannot be driven (GPIO busy)"),
        (Priority.NOTICE, "main: the gate is in order again"),
    ]


def test_the_pauses_between_two_tries_grow_to_a_limit(faulty, entries):
    one = unclaimed(faulty, entries)
    FAULTS.add((PIN, "claim"))
    one.failed("GPIO busy")
    pauses = []
    guard = RelayTimer([one])
    for _ in range(8):
        one.trouble.retry_at = 0.0
        before = time.monotonic()
        guard._pass()
        pauses.append((one.trouble.retry_at - time.monotonic(), one.trouble.retry_at - before))
    doubled = (min(FIRST_RETRY_S * 2**tries, LAST_RETRY_S) for tries in itertools.count(1))
    assert all(least <= pause <= most for (least, most), pause in zip(pauses, doubled, strict=False))


def test_a_relay_that_cannot_be_energised_is_logged_once_until_it_can(faulty, entries):
    """Driving it off works all the time, and says nothing about driving it on."""
    one = unclaimed(faulty, entries)
    one.claim()
    guard = RelayTimer([one])
    FAULTS.add((PIN, 1))
    for _ in range(3):
        with pytest.raises(StuckError):
            one.energise()
        assert one.trouble.cause == "the relay cannot be energised (GPIO busy)"
        passes(guard, lambda: one.trouble.cause is None)
    assert said(entries) == [(Priority.ERROR, "main: the relay cannot be energised (GPIO busy)")]
    FAULTS.clear()
    one.energise()
    one.close()
    assert said(entries)[1:] == [(Priority.NOTICE, "main: the gate is in order again")]


@pytest.mark.parametrize("what", ["claim", 1])
def test_a_relay_that_a_mode_keeps_on_goes_on_as_soon_as_it_can(faulty, entries, what):
    one = unclaimed(faulty, entries)
    FAULTS.add((PIN, what))
    if what == "claim":
        one.failed("GPIO busy")
    else:
        one.claim()
    guard = RelayTimer([one])
    for _ in range(3):
        with contextlib.suppress(StuckError):
            one.keep_on(FOREVER)
        one.trouble.retry_at = 0.0
        guard._pass()
        assert one.trouble.cause is not None
    FAULTS.clear()
    passes(guard, lambda: one.trouble.cause is None)
    assert level(faulty)
    assert said(entries)[1:] == [(Priority.NOTICE, "main: the gate is in order again")]
    one.close()


def test_a_line_that_cannot_be_driven_off_is_claimed_again(faulty, entries):
    one = unclaimed(faulty, entries, open_ms=60_000)
    one.claim()
    one.energise()
    dead = one._device
    one._device = _Watched(dead)
    one._device.fails = True
    guard = RelayTimer([one])
    with pytest.raises(StuckError):
        one.release()
    passes(guard, lambda: one.trouble.cause is None)
    assert one._device is not dead
    assert not level(faulty)
    assert one.off_at is None
    one.close()
    assert [priority for priority, _ in said(entries)] == [Priority.ERROR, Priority.NOTICE]


def test_one_relay_that_does_not_go_off_holds_up_no_other(faulty, entries):
    one, other = (
        unclaimed(faulty, entries),
        RelayPin("side", 27, active_high=True, open_ms=100, factory=faulty, log=entries.append),
    )
    for relay in (one, other):
        relay.claim()
        relay.energise()
        relay._off_at = 0.0
    FAULTS.update({(PIN, 0), (PIN, "claim")})
    guard = RelayTimer([one, other])
    guard._pass()
    assert not other.is_on
    assert other.off_at is None
    assert one.off_at is not None, "it is tried again"
    FAULTS.clear()
    passes(guard, lambda: not level(faulty))
    one.close()
    other.close()


@pytest.mark.parametrize("on", [True, False])
def test_a_pin_that_another_program_moved_is_driven_back(relay, entries, on):
    one = relay(open_ms=60_000)
    if on:
        one.energise()
    guard = RelayTimer([one])
    for _ in range(3):
        one._device._device.value = not on
        guard._check_at = 0.0
        guard._pass()
        assert one.is_on is on
    one.close()
    assert said(entries) == [
        (Priority.WARNING, "main: another program moved the relay's pin; it was driven back")
    ]


def test_a_driver_that_does_not_come_back_holds_up_no_caller_for_long(relay, entries):
    one = relay()
    with one._lock:  # as a driver's call in another thread has it
        with pytest.raises(StuckError):
            one.energise()
        with pytest.raises(StuckError):
            one.release_if_due(0.0)
    assert said(entries) == [
        (Priority.ERROR, "main: the relay cannot be energised (its driver does not come back)")
    ]
    one.close()


def test_a_guard_that_does_not_pass_any_more_is_not_alive(relay):
    guard = RelayTimer([relay()])
    guard.start()
    guard.stop()
    assert guard.is_alive(guard._passed_at + LATE_S / 2)
    assert not guard.is_alive(guard._passed_at + LATE_S)


def test_a_bug_in_the_guards_thread_is_not_hidden(relay):
    one = relay()
    one.recover = None
    guard = RelayTimer([one])
    one.trouble.retry_at = 0.0
    guard.start()
    assert "TypeError" in str(guard.threads.broken.exception(timeout=NET_S))


def test_a_broken_lamp_is_logged_once_and_stops_no_scan(relay, factory, entries):
    one = relay()
    (lamp,) = lamps = lamps_of({Lamp.GREEN: 22}, factory, entries)
    lamp._device = _Watched(lamp._device)
    lamp._device.fails = True
    gate = Gate(one, RelayTimer([one], lamps), lamps)

    async def show():
        for _ in range(3):
            gate.show(Indication.WELCOME)
        assert lamp.trouble.cause == "the signal green cannot be driven (EIO)"
        lamp._device.fails = False
        gate.show(Indication.WELCOME)

    asyncio.run(show())
    gate.close()
    assert lamp.trouble.cause is None
    assert said(entries) == [
        (Priority.ERROR, "main: the signal green cannot be driven (EIO)"),
        (Priority.NOTICE, "main: the signal green can be driven again"),
    ]


def test_a_lamps_pin_that_is_busy_is_taken_when_it_is_free(faulty, entries):
    one = unclaimed(faulty, entries)
    FAULTS.add((22, "claim"))
    (lamp,) = lamps_of({Lamp.GREEN: 22}, faulty, entries)
    lamp.set(on=True)
    FAULTS.clear()
    passes(RelayTimer([one], [lamp]), lambda: lamp.trouble.cause is None)
    lamp.set(on=True)
    assert faulty.pin(22).state
    lamp.close()
    assert [priority for priority, _ in said(entries)] == [Priority.ERROR, Priority.NOTICE]


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
