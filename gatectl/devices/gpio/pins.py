"""Load the settings' pin factory; raise an error rather than fall back to another."""

from __future__ import annotations

import contextlib
import importlib
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gatectl.errors import GatectlError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

LGPIO = "lgpio"
GROUP = "gpiozero_pin_factories"
ENVIRONMENT = "GPIOZERO_PIN_FACTORY"


OTHER_HINT = "are this pin factory's driver and its device there, and may this user open them?"


class PinsError(GatectlError):
    """The pins cannot be driven."""


def factory_name(name: str, environ: Mapping[str, str]) -> str:
    """Return the entry-point name to use: the environment's overrides the settings'."""
    return environ.get(ENVIRONMENT, name)


def pin_factory(name: str, chip: int, environ: Mapping[str, str]) -> Any:
    """Load a gpiozero pin factory by its entry-point name; the environment overrides it. Raises PinsError.

    gpiozero itself falls back to the next factory silently; a relay must not end up on a mock.
    """
    name, entry = _known(name, environ)
    # Drivers fail in many ways: an import, an ioctl, an unknown board revision.
    try:
        return _lgpio(chip) if entry is None else entry.load()()
    except PinsError:
        raise
    except Exception as error:
        from gatectl.devices.gpio import chips  # noqa: PLC0415 - only where something is wrong

        hints = chips.hints(chips.chips_of()) if name == LGPIO else (OTHER_HINT,)
        what = f"the pin factory {name!r} does not start: {str(error) or type(error).__name__}"
        raise PinsError(what, *hints) from error


def known_factory(name: str, environ: Mapping[str, str]) -> str:
    """Return the entry-point name to use, without loading it. Raises PinsError if it does not exist."""
    return _known(name, environ)[0]


def _known(name: str, environ: Mapping[str, str]) -> tuple[str, EntryPoint | None]:
    wanted = factory_name(name, environ)
    if wanted == LGPIO:
        return wanted, None  # gpiozero's own: skip reading all packages' metadata at every start
    known = _entry_points()
    for found in (wanted, wanted.lower()):
        if found in known:
            return found, known[found]
    origin = f" (${ENVIRONMENT} names it)" if ENVIRONMENT in environ else ""
    raise PinsError(f"there is no pin factory {wanted!r}{origin}", f"there are {', '.join(sorted(known))}")


def _entry_points() -> dict[str, EntryPoint]:
    from importlib import metadata  # noqa: PLC0415 - slow, and most doors do not need it

    return {entry.name: entry for entry in metadata.entry_points(group=GROUP)}


def import_lgpio() -> Any:
    """Import lgpio in a safe folder: it makes a pipe in the working directory, which may not be ours."""
    with tempfile.TemporaryDirectory(prefix="gatectl-") as folder, contextlib.chdir(folder):
        return importlib.import_module("lgpio")


def _lgpio(chip: int) -> Any:
    lgpio = import_lgpio()
    from gpiozero.pins.lgpio import LGPIOFactory, LGPIOPin  # noqa: PLC0415 - it imports lgpio: only where that is wanted

    class SafePin(LGPIOPin):  # type: ignore[misc] # gpiozero ships no types
        """A pin that claims an output with its level and its pull at once, and keeps both when closed.

        gpiozero's own pin first claims the output low, which energises an active-low relay, and on closing
        leaves an input without a pull, whose level is undefined.
        """

        _off: int | None = None
        """The level at which it was claimed; gatectl claims all pins off."""
        _is_held = True

        def output_with_state(self, state: bool) -> None:  # noqa: FBT001 - gpiozero's signature
            level, handle = int(state), self.factory._handle  # noqa: SLF001 - no public way
            pull = lgpio.SET_PULL_UP if level else lgpio.SET_PULL_DOWN
            try:
                lgpio.gpio_claim_output(handle, self._number, level, pull)
            except lgpio.error:  # a chip without pulls must drive the line too
                lgpio.gpio_claim_output(handle, self._number, level)
            self._off, self._is_held = level, True

        def close(self) -> None:
            handle = self.factory._handle  # noqa: SLF001
            if handle is None or not self._is_held:
                return
            self._is_held = False
            try:
                if self._off is not None:
                    lgpio.gpio_write(handle, self._number, self._off)
            finally:
                lgpio.gpio_free(handle, self._number)

    factory = LGPIOFactory(chip=chip)
    factory.pin_class = SafePin
    _require_pi(factory)
    return factory


def _require_pi(factory: Any) -> None:
    """Raise PinsError if gpiozero does not know the board, once rather than at each pin."""
    from gpiozero.exc import PinUnknownPi  # noqa: PLC0415 - only where lgpio is wanted

    try:
        factory.board_info  # noqa: B018 - reading it raises for an unknown board
    except PinUnknownPi as error:
        factory.close()
        raise PinsError(
            f"this board is no Raspberry Pi, so its pins have no BCM numbers: {error}",
            "another board needs a gpiozero pin factory of its own, in gpio.pin_factory",
        ) from error
