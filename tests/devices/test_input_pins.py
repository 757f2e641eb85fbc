"""The inputs' thread: with edges and without, with simulated pins, pins that are lost, drivers that hang."""

import queue
import socket
import threading
from contextlib import contextmanager
from functools import partial

import pytest
from gpiozero.pins.mock import MockFactory, MockPin
from limits import NET_S

from gatectl import clock
from gatectl.decision.door.inputs import InputName, LevelChange, LevelFilter
from gatectl.decision.timestamps import FOREVER, LONG_AGO
from gatectl.devices.gpio.input_watcher import CLOSE_S, HANGS, InputWatcher, Lost, WatchedInput
from gatectl.devices.gpio.pin_threads import PinThreads
from gatectl.sim.simulated_pins import WIRES, SimulatedFactory, SimulatedPin, packet

PIN, OTHER = 26, 16


class WithoutEdges(MockPin):
    """A pin of a factory that cannot listen for edges."""

    def _set_edges(self, _value):
        raise OSError("no edges here")


class Failing(MockPin):
    """A pin whose reading fails while there is a cause."""

    cause = None

    def _get_state(self):
        if self.cause:
            raise OSError(self.cause)
        return super()._get_state()


@pytest.fixture
def failing():
    yield Failing
    Failing.cause = None


@contextmanager
def pins(pin_class):
    """A factory of such pins, and a function that sets the input's level from outside."""
    if pin_class is not SimulatedPin:
        factory = MockFactory(pin_class=pin_class)
        yield factory, lambda level: factory.pin(PIN).drive_high() if level else factory.pin(PIN).drive_low()
        factory.reset()
        return
    gate, daemon = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with gate, daemon, pytest.MonkeyPatch.context() as patch:
        patch.setenv(WIRES, str(daemon.fileno()))
        factory = SimulatedFactory()
        yield factory, lambda level: gate.send(packet(PIN, level))
        factory.close()


@contextmanager
def watching(pin_class=MockPin, name=InputName.CONTACT, *, active_low=True, debounce_s=0.0):
    seen, threads = queue.Queue(), PinThreads()
    with pins(pin_class) as (factory, drive):
        one = WatchedInput("main", name, PIN, active_low, LevelFilter(debounce_s), seen.put, factory, threads)
        InputWatcher([one], threads).start()
        threads.start()
        try:
            yield factory, seen, drive
            assert one.edges is (pin_class is not WithoutEdges)
        finally:
            threads.stop()


def next_of(seen):
    return seen.get(timeout=NET_S)


def until_claimed(seen):
    """The first level is reported; an open input is inactive by its pull."""
    first = next_of(seen)
    assert (type(first), first.active) == (LevelChange, False)


@pytest.mark.parametrize(("active_low", "pull"), [(True, "up"), (False, "down")])
@pytest.mark.parametrize("pin_class", [MockPin, SimulatedPin])
def test_an_open_input_is_inactive_by_its_pull(pin_class, active_low, pull):
    with watching(pin_class, active_low=active_low) as (factory, seen, _):
        until_claimed(seen)
        pin = factory.pin(PIN)
        assert (pin.function, pin.pull) == ("input", pull)


@pytest.mark.parametrize(
    ("pin_class", "name"),
    [
        (MockPin, InputName.CONTACT),
        (MockPin, InputName.EXIT),
        (WithoutEdges, InputName.EXIT),
        (SimulatedPin, InputName.CONTACT),
        (SimulatedPin, InputName.EXIT),
    ],
    ids=["edges", "edges of an exit", "no edges", "simulated", "simulated exit"],
)
def test_a_level_is_reported_once(pin_class, name):
    with watching(pin_class, name) as (_, seen, drive):
        until_claimed(seen)
        drive(0)
        assert next_of(seen).active
        drive(1)
        assert not next_of(seen).active
        assert seen.empty()


def test_a_level_without_an_edge_is_found_by_reading():
    with watching(WithoutEdges) as (_, seen, drive):
        until_claimed(seen)
        drive(0)
        assert next_of(seen).active


def test_a_pin_that_cannot_be_read_is_lost_once_and_found_again(failing):
    with watching(failing) as (factory, seen, _):
        until_claimed(seen)
        failing.cause = "bus error"
        assert next_of(seen) == Lost("bus error")
        failing.cause = None
        factory.pin(PIN)  # the present level is reported again in any case
        assert not next_of(seen).active
        assert seen.empty()


def test_a_pin_that_another_program_holds_is_lost_and_claimed_later():
    class Busy(MockPin):
        tries = 0

        def _set_function(self, value):
            type(self).tries += 1
            if self.tries == 1:
                raise OSError("GPIO busy")
            super()._set_function(value)

    with watching(Busy) as (_, seen, _):
        assert next_of(seen) == Lost("GPIO busy")
        assert not next_of(seen).active


def test_a_bug_in_the_thread_ends_the_daemon():
    factory = MockFactory()
    threads = PinThreads()
    one = WatchedInput("main", InputName.EXIT, PIN, True, LevelFilter(0), lambda _: 1 / 0, factory, threads)
    threads.add(one)
    threads.start()
    with pytest.raises(RuntimeError, match="the exit input of main failed: ZeroDivisionError"):
        threads.broken.result(NET_S)
    threads.stop()
    factory.reset()


class Hanging(MockPin):
    """Pins whose driver does not come back while they are named here."""

    names = frozenset()
    goes_on = threading.Event()

    def _get_state(self):
        if self.info.name in self.names:
            assert self.goes_on.wait(NET_S)
        return super()._get_state()


class HangingWithoutEdges(Hanging):
    def _set_edges(self, _value):
        raise OSError("no edges here")


@pytest.fixture(params=[Hanging, HangingWithoutEdges], ids=["edges", "no edges"])
def hanging(request):
    yield request.param
    Hanging.names = frozenset()
    Hanging.goes_on.set()


def test_a_driver_that_hangs_at_one_pin_holds_up_no_other(hanging):
    """The edge itself, or the spare thread, replaces the thread that hangs: no event loop looks here."""
    factory, seen, threads = MockFactory(pin_class=hanging), queue.Queue(), PinThreads()
    inputs = [
        WatchedInput(
            *(door, InputName.EXIT, pin, True, LevelFilter(0), partial(_put, seen, door), factory, threads)
        )
        for door, pin in (("main", PIN), ("side", OTHER))
    ]
    InputWatcher(inputs, threads).start()
    threads.start()
    try:
        assert {next_of(seen)[0], next_of(seen)[0]} == {"main", "side"}
        Hanging.goes_on.clear()
        Hanging.names = frozenset({f"GPIO{PIN}"})
        factory.pin(PIN).drive_low()
        for press in range(3):
            factory.pin(OTHER).drive_low() if press % 2 == 0 else factory.pin(OTHER).drive_high()
            door, change = next_of(seen)
            assert (door, change.active) == ("side", press % 2 == 0)
        while True:  # a daemon looks a few times a minute
            threads.look()
            if not seen.empty():
                break
        assert next_of(seen) == ("main", Lost(HANGS))
        Hanging.names = frozenset()
        Hanging.goes_on.set()
        door, change = next_of(seen)
        assert (door, change.active) == ("main", True)
        assert seen.empty()
    finally:
        threads.stop()
        factory.reset()


def test_an_awaited_level_is_read_at_the_moment_at_which_it_is_due():
    factory, threads = MockFactory(pin_class=WithoutEdges), PinThreads()
    one = WatchedInput("main", InputName.PASSAGE, PIN, True, LevelFilter(0), lambda _: None, factory, threads)
    read_s = clock.monotonic()
    one.run(read_s)
    InputWatcher([one], threads).watch_closely("main", read_s + 60)
    due_s = one.due_s(read_s + 0.001)
    assert due_s <= read_s + CLOSE_S
    assert one.due_s(due_s) <= due_s
    factory.reset()


class Repeating:
    """A task that is due once more after its run. The two threads take turns at its first run."""

    name, wants_spare, spare_looks = "repeating", True, False

    def __init__(self):
        self.planned = threading.Semaphore(0)
        self.next_s = FOREVER
        self.ran_it = None
        self.is_taken, self.is_over = threading.Event(), threading.Event()

    def due_s(self, _now_s):
        if threading.current_thread() is self.ran_it:
            self.is_taken.wait(CLOSE_S)
        return self.next_s

    def run(self, _now_s):
        if self.next_s == LONG_AGO:
            self.ran_it = threading.current_thread()
            self.is_taken.set()
            for _ in range(2):  # the other thread asks once for what is due, and once before it sleeps
                self.planned.acquire(timeout=CLOSE_S / 4)
            self.next_s = clock.monotonic()
        else:
            self.next_s = FOREVER
            self.is_over.set()

    def hangs(self):
        """Never called."""


class Idle(Repeating):
    """A task that is never due. Without it the first thread would wake once a second."""

    wants_spare = False

    def __init__(self, other):
        super().__init__()
        self.other = other

    def due_s(self, now_s):
        if threading.current_thread() is not self.other.ran_it:
            self.other.planned.release()
        return now_s + 3600


def test_a_task_is_run_again_on_time_whichever_thread_ran_it_before():
    threads, task = PinThreads(), Repeating()
    threads.add(task, Idle(task))
    threads.start()
    try:
        for _ in range(20):
            task.is_taken.clear()
            while task.planned.acquire(blocking=False):
                pass
            task.next_s = LONG_AGO
            threads.wake()
            assert task.is_over.wait(NET_S)
            task.is_over.clear()
    finally:
        threads.stop()


def _put(seen, door, change):
    seen.put((door, change))
