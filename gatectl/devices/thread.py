"""Give each device a thread of its own for as long as it has calls: each may block in the kernel.

A USB serial adapter that does not answer blocks an open, a close or an ioctl for 5 s per control transfer,
and for ever where its driver hangs. In the event loop that would stop every door; in a shared pool of
threads a few such devices would stop all others.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Never, TypeVar

T = TypeVar("T")


class DeviceThread:
    """Runs calls one at a time, in order; made and used on an event loop.

    A device has a few calls an hour, so the thread ends with the last of them: an idle one would cost memory.
    It is a daemon thread, so that one stuck in the kernel does not keep the process from ending.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._calls: deque[Callable[[], None]] = deque()
        self._is_working = False

    def submit(self, call: Callable[[], T], discard: Callable[[T], None] | None = None) -> asyncio.Future[T]:
        """Return a future of the call's result or error. If cancelled, the result goes to `discard`."""
        future: asyncio.Future[T] = self._loop.create_future()
        with self._lock:
            self._calls.append(partial(self._run, call, future, discard))
            is_working, self._is_working = self._is_working, True
        if not is_working:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._calls:
                    self._is_working = False
                    return
                call = self._calls.popleft()
            call()

    def _run(
        self, call: Callable[[], T], future: asyncio.Future[T], discard: Callable[[T], None] | None
    ) -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - raised where the call was submitted
            self._deliver(partial(_fail, future, error))
            return
        if not self._deliver(partial(_succeed, future, result, discard)) and discard is not None:
            discard(result)

    def _deliver(self, callback: Callable[[], None]) -> bool:
        """Run a callback on the loop; return False if the loop is closed, because the daemon has stopped."""
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            return False
        return True


def bounded(call: Callable[[], T], seconds: float, discard: Callable[[T], None]) -> T:
    """Return the call's result or raise its error, for a command; TimeoutError after `seconds`.

    A late result goes to `discard`.
    """
    results: queue.SimpleQueue[Callable[[], T]] = queue.SimpleQueue()
    lock = threading.Lock()
    is_late = False

    def work() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - raised where the call was made
            results.put(partial(_raise, error))
            return
        with lock:
            if not is_late:
                results.put(lambda: result)
                return
        discard(result)

    threading.Thread(target=work, daemon=True).start()
    try:
        return results.get(timeout=seconds)()
    except queue.Empty:
        with lock:
            is_late = True
        if results.empty():
            raise TimeoutError from None
        return results.get()()


def _raise(error: BaseException) -> Never:
    raise error


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _succeed(future: asyncio.Future[T], result: T, discard: Callable[[T], None] | None) -> None:
    if not future.done():
        future.set_result(result)
    elif discard is not None:  # cancelled; the device's own thread may have been stopped since
        threading.Thread(target=discard, args=(result,), name="device discarded", daemon=True).start()
