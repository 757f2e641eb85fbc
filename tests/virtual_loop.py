"""A loop whose time passes at once, whenever nothing else is to be done."""

import asyncio
import selectors


class Skipping(selectors.DefaultSelector):
    """Waits for nothing: what would have been waited for passes at once, on the loop's own clock."""

    now = 0.0

    def select(self, timeout=None):
        found = super().select(0)
        if not found and timeout:
            self.now += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self._skipping = Skipping()
        super().__init__(self._skipping)

    def time(self):
        return self._skipping.now

    def skip(self, seconds):
        """Let time pass while nothing runs."""
        self._skipping.now += seconds


def run_virtually(story):
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story)
