"""The interface of a reader type's driver, and the way from a scanner's settings to its driver."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from gatectl.decision.log import Log
from gatectl.devices.reader.contention import Claims, holders
from gatectl.devices.reader.port import Decoder, DeviceLost, Port, ReaderConnection
from gatectl.devices.reader.reader_types import READER_TYPES, ScannerSettings
from gatectl.devices.reader.supervisor import OnCode, Scanner
from gatectl.devices.reader.system import DeviceClass

if TYPE_CHECKING:
    from gatectl.decision.reader.detect import DetectedFormat, NotRecognised

Settings_contra = TypeVar("Settings_contra", contravariant=True)


class Input(NamedTuple):
    """The input of one scan."""

    port: Any
    """The open device."""
    chunks: Sequence[Any]
    """The results of the port's `read`."""
    seconds: float
    """Time from the first input to the last."""
    gap_s: float
    """The longest time without input in between."""


class Driver(Protocol[Settings_contra]):
    """Opens, reads and recognises the readers of one type. A driver has no state."""

    @property
    def device_class(self) -> DeviceClass:
        """Return the devices that may be readers of this type."""

    @property
    def is_exclusive(self) -> bool:
        """Return whether no other program gets input while the device is open."""

    @property
    def quiet_s(self) -> float:
        """Return the silence that ends a scan of an unknown reader: longer than a pause within a code."""

    @property
    def longest_s(self) -> float:
        """Return the longest scan of an unknown reader."""

    def describe(self, settings: Settings_contra) -> str:
        """Return in a few words how the reader is read."""

    def locate(self, settings: Settings_contra) -> str:
        """Return the device's present node. DeviceLost if it cannot be found; may block."""

    def open(self, settings: Settings_contra, node: str) -> Port:
        """Open the device at a node. DeviceLost if that fails; may block."""

    def decoder(self, settings: Settings_contra, port: Port) -> Decoder:
        """Return a new decoder for an open device."""

    def open_shared(self, path: str, baud: int) -> Port:
        """Open an unknown reader without taking it from other programs. DeviceLost if that fails."""

    def recognise(self, scan: Input, baud: int) -> list[DetectedFormat] | NotRecognised | None:
        """Return the settings that read this scan, in the order of their likelihood; None for no scan."""


def driver_of(name: str) -> Driver[Any]:
    """Return the driver of a reader type; the first call loads it."""
    driver: Driver[Any] = import_module(READER_TYPES[name].driver).DRIVER
    return driver


def all_drivers() -> dict[str, Driver[Any]]:
    """Return the drivers of all reader types, by their names: keyboards, the most frequent, come first."""
    return {name: driver_of(name) for name in sorted(READER_TYPES)}


def locate(settings: ScannerSettings) -> str:
    """Return the present node of a scanner's device. DeviceLost if it cannot be found; may block."""
    return driver_of(settings.type).locate(settings)


def others_at(settings: ScannerSettings) -> tuple[str, ...]:
    """Return the other programs that have a scanner's device open, as `holders` does."""
    try:
        return holders(locate(settings))
    except DeviceLost:
        return ()


def claims_of(scanners: Iterable[ScannerSettings]) -> Claims:
    """Return the devices that one process may have open at once, one scanner each."""
    return Claims({scanner.path: partial(locate, scanner) for scanner in scanners})


def scanner_of(
    settings: ScannerSettings,
    claims: Claims,
    *,
    on_code: OnCode,
    log: Log,
    on_unreadable: Callable[[], None] = lambda: None,
    drivers: Mapping[str, Driver[Any]] | None = None,
) -> Scanner:
    """Make a scanner from its settings; `drivers` replaces those of the registry."""
    driver = (drivers or {}).get(settings.type) or driver_of(settings.type)

    def connect() -> ReaderConnection:
        port, close = claims.opened(settings.path, partial(driver.open, settings))
        return ReaderConnection(port, driver.decoder(settings, port), close)

    return Scanner(
        settings.path,
        settings.type,
        connect,
        settings.idle_ms / 1000,
        _converted(settings, on_code),
        log,
        is_exclusive=driver.is_exclusive,
        holders=partial(others_at, settings),
        on_unreadable=on_unreadable,
    )


def _converted(settings: ScannerSettings, on_code: OnCode) -> OnCode:
    """Return `on_code` for codes in the notation that the gym uses."""
    if settings.card is None:
        return on_code
    conversion = settings.card.conversion
    return lambda code, at: on_code(conversion.convert(code), at)
