"""The types of readers and their settings. A reader type is one entry of `READER_TYPES`.

The driver of a type is named and not imported here: reading the settings loads no driver, and the daemon
loads those that it uses.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

from gatectl.decision.reader.card_numbers import BYTES_MAX, ByteOrder, Conversion, ReadAs, WriteAs
from gatectl.decision.reader.framing import Flow, Framing
from gatectl.decision.reader.keymap import CapsLock, LayoutName
from gatectl.decision.reader.reading import Affixes, Encoding
from gatectl.devices.reader.paths import BluetoothAddress, InputDevice, SerialPort, is_stable
from gatectl.validators.values import LineMode, Name, Table, TableCheck, Text, refuse, whole

Idle = Annotated[int, whole(5, 2000, or_zero=True)]
"""Milliseconds of silence that end a code, for readers that send no ending; 0 for none. Under 5 a gap
between two characters at 9600 baud (1.04 ms each, and the USB bridge's own latency) could cut a code in
two."""

_USUAL_BAUD = frozenset(
    {300, 600, 1200, 2400, 4800, 9600, 14_400, 19_200, 28_800, 38_400, 57_600, 76_800, 115_200, 230_400}
    | {250_000, 256_000, 460_800, 500_000, 921_600, 1_000_000}
)


class CardSettings(Table):
    """The way from the numbers that a reader of cards sends to those that the gym uses."""

    read: ReadAs = "hex"
    """How the reader writes a number; a code that is none passes as it is."""
    bytes: Annotated[int, whole(1, BYTES_MAX)] | None = None
    """Only so many bytes count, the last ones as the reader sends them; left out, all."""
    order: ByteOrder = "as-read"
    """Whether those bytes are to be reversed."""
    write: WriteAs = "as-read"
    """How the gym writes a number: "decimal10" has ten digits, "facility" is 99,59822 and "facility-padded"
    099,59822."""

    @property
    def conversion(self) -> Conversion:
        """Return it in the form that the decision takes."""
        return Conversion(self.read, self.bytes, self.order, self.write)


class ScannerSettings(Table):
    """The settings that readers of all types have."""

    type: str
    direction: Literal["in", "out"] = "in"
    """"out" for a reader on the inside: any code opens the way out, and no partner is asked."""
    idle_ms: Idle = 0
    strip_aim: bool = False
    """Whether the reader sends an AIM identifier such as ]C1 before each code, to be removed."""
    strip_prefix: Text = ""
    """Text to remove once from the beginning of each code, if it is there."""
    strip_suffix: Text = ""
    """Text to remove once from the end of each code, if it is there."""
    card: CardSettings | None = None
    """For readers of cards whose numbers the gym writes in another way: `gatectl devices --printed NUMBER`
    finds this setting."""

    @property
    def path(self) -> str:
        """The path by which the settings name the device, or another name of it."""
        raise NotImplementedError

    @property
    def affixes(self) -> Affixes:
        """The options for what a reader adds around its codes."""
        return {
            "strip_aim": self.strip_aim,
            "strip_prefix": self.strip_prefix,
            "strip_suffix": self.strip_suffix,
        }


class SerialScanner(ScannerSettings):
    """A reader on a serial line."""

    type: Literal["serial"]
    """It is on a serial line."""
    port: SerialPort
    """The device's path, one that stays when it is plugged in again."""
    baud: Annotated[int, whole(50, 4_000_000)] = 9600
    """Bits a second: the lowest and the highest speed that Linux names (termios(3))."""
    mode: LineMode = "8N1"
    """Data bits (7 or 8), parity (N, E, O, M, S) and stop bits (1 or 2)."""
    flow: Flow = "none"
    """Flow control."""
    dtr: bool = True
    """False leaves DTR and RTS low at the opening, for readers that restart when DTR rises."""
    framing: Framing = "line"
    """How a code begins and ends: barcode readers send lines, card readers one of the others."""
    encoding: Encoding = "utf-8"
    """The character encoding of the reader's bytes."""

    @property
    def path(self) -> str:
        return str(self.port)


class EvdevScanner(ScannerSettings):
    """A reader that types like a keyboard."""

    type: Literal["evdev"]
    """It is a USB or Bluetooth keyboard to the system."""
    device: InputDevice | None = None
    """The device's path, one that stays when it is plugged in again."""
    name: Name | None = None
    """The name that the device reports, where no path stays. No other keyboard may have it."""
    bluetooth: BluetoothAddress | None = None
    """The address of a Bluetooth device, which has no path that stays."""
    layout: LayoutName = "us"
    """The layout that the reader is set to; the host's own layout does not matter."""
    caps_lock: CapsLock = "ignore"
    """Whether the reader looks at the host's Caps Lock lamp and types accordingly: "follow"; "ignore" for all
    others."""

    @property
    def path(self) -> str:
        return str(self.device or self.name or self.bluetooth)


class ReaderType(NamedTuple):
    """A type of readers, as everything that differs between types is derived from."""

    settings: type[ScannerSettings]
    driver: str
    """The module whose `DRIVER` is a `gatectl.devices.reader.driver.Driver` for these settings."""
    path_key: str
    """The setting that names the device by its path."""
    is_for: str
    """The readers that it is for, in words."""
    other_keys: tuple[str, ...] = ()
    """The settings that may name it instead."""
    check: TableCheck | None = None
    """Conditions between the settings."""
    also_called: frozenset[str] = frozenset()
    """Other words that an installer may write for it, in small letters."""
    remarks: Callable[[Any], Iterable[tuple[str, str]]] = lambda _: ()
    """Find settings that are valid but most likely a mistake: the key, and the words."""


def _about_serial(settings: SerialScanner) -> Iterator[tuple[str, str]]:
    if settings.baud not in _USUAL_BAUD:
        yield "baud", f"{settings.baud} is no usual speed"
    yield from _about_path("port", settings.port, "/dev/serial/by-id")


def _about_evdev(settings: EvdevScanner) -> Iterator[tuple[str, str]]:
    if settings.device is not None:
        yield from _about_path("device", settings.device, "/dev/input/by-id")


def _exactly_one_device(settings: EvdevScanner) -> EvdevScanner:
    if sum(way is not None for way in (settings.device, settings.name, settings.bluetooth)) != 1:
        raise refuse("must have exactly one of device, name and bluetooth", "`gatectl devices` prints it")
    return settings


def _about_path(key: str, path: Path, links: str) -> Iterator[tuple[str, str]]:
    if not is_stable(path):
        words = f"{path} may be another device after a restart"
        yield key, f"{words}: `gatectl devices` prints its name below {links}, which stays"


READER_TYPES: Final[dict[str, ReaderType]] = {
    "serial": ReaderType(
        settings=SerialScanner,
        driver="gatectl.devices.reader.serial_port",
        path_key="port",
        is_for="a reader on a serial port, also over USB,",
        also_called=frozenset({"rs232", "uart", "tty"}),
        remarks=_about_serial,
    ),
    "evdev": ReaderType(
        settings=EvdevScanner,
        driver="gatectl.devices.reader.evdev_keyboard",
        path_key="device",
        other_keys=("name", "bluetooth"),
        check=TableCheck(
            _exactly_one_device,
            {"oneOf": [{"required": [key]} for key in ("device", "name", "bluetooth")]},
        ),
        is_for="one that types like a keyboard",
        also_called=frozenset({"usb", "hid", "hidraw", "keyboard", "kbd", "input", "barcode"}),
        remarks=_about_evdev,
    ),
}
"""The types by their names in the settings."""


def path_keys() -> list[str]:
    """Return the settings that name a device by its path, of all types."""
    return [kind.path_key for kind in READER_TYPES.values()]


def other_keys() -> list[str]:
    """Return the settings that name a device otherwise, of all types."""
    return [key for kind in READER_TYPES.values() for key in kind.other_keys]


def settings_classes() -> dict[str, type[ScannerSettings]]:
    """Return the class of settings of each type."""
    return {name: kind.settings for name, kind in READER_TYPES.items()}


def table_of(name: str) -> Any:
    """Return the table of a type: its class, with its check if it has one."""
    kind = READER_TYPES[name]
    return Annotated[kind.settings, kind.check] if kind.check else kind.settings
