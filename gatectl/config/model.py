"""The settings as values: frozen, complete, every path absolute. One field for each of gatectl.toml(5).

They are not checked when made in code; the contents of a file are checked by their annotations
(`config/schema.py`). A missing key is None, since TOML has no null. The string below a setting is
for the installer too: editors show it (`config/json_schema.py`).
"""

from collections.abc import Mapping
from datetime import tzinfo
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, NamedTuple

from gatectl.decision.routing import Route
from gatectl.devices.reader import reader_types
from gatectl.devices.reader.reader_types import READER_TYPES, ScannerSettings
from gatectl.partners.protocol import PartnerSettings
from gatectl.partners.registry import PROTOCOLS, settings_class
from gatectl.validators.addresses import BrokerUrl, DeviceName, HostName, IpAddress, ListenAddress
from gatectl.validators.patterns import AsciiPattern
from gatectl.validators.schedules import ScheduleTable
from gatectl.validators.values import (
    Chip,
    FilePath,
    Key,
    KeyFile,
    Name,
    NotEmpty,
    SocketPath,
    Table,
    TaggedBy,
    Text,
    TimeZone,
    whole,
)

Pin = Annotated[int, whole(0, 53)]
"""A BCM number. The chip has 54 lines; the pin factory knows which of them a board brings out."""


class Site(Table):
    """The gym's company and studio; Support asks for both."""

    tenant: Text = ""
    """The company, as in the management system."""
    studio: Text = ""
    """The studio, as in the management system."""
    timezone: TimeZone | None = None
    """An IANA name such as Europe/Berlin, for schedules, lists and exports; left out, the system's own."""

    @property
    def zone(self) -> tzinfo | None:
        """The time zone of lists and exports; None is the system's."""
        if self.timezone is None:
            return None
        from zoneinfo import ZoneInfo  # noqa: PLC0415 - the daemon needs no zone

        return ZoneInfo(self.timezone)


class Gpio(Table):
    """How pins are driven."""

    pin_factory: Name = "lgpio"
    """The entry-point name of a gpiozero pin factory."""
    chip: Chip = "auto"
    """lgpio only: "auto" finds the chip of a Raspberry Pi's header by its label; else the N of
    /dev/gpiochipN, a path, or a label."""


class JournalSettings(Table):
    """The place and the size of the journal."""

    path: FilePath = Path("/var/lib/gatectl/journal.db")
    """The database of all scans and of the enrolled cards."""
    keep_days: Annotated[int, whole(0, 3650)] = 400
    """Older events are pruned; 0 keeps all."""
    patience_ms: Annotated[int, whole(0, 5000)] = 100
    """How long a member waits for the disk before the scan goes on without it."""


class Control(Table):
    """The daemon's socket for `status` and `open`."""

    socket: SocketPath = Path("/run/gatectl/control.sock")
    """A Unix socket that the daemon makes; 107 bytes at most."""


class Secret(NamedTuple):
    """A partner's key. Its repr hides it, also when an object that holds it is printed."""

    value: str

    def __repr__(self) -> str:
        return "Secret()"


class MonitorSettings(Table):
    """How `gatectl monitor` serves the Event Monitor; its command-line options override these."""

    listen: ListenAddress = "127.0.0.1:8480"
    """An address and a port."""
    password: Key | None = None
    """Needed for any address but this machine's own: any text, in a file that others cannot read."""
    names: tuple[HostName, ...] = ()
    """Names by which browsers reach it, besides this machine's own."""
    proxies: tuple[IpAddress, ...] = ()
    """Addresses of proxies whose X-Forwarded-For and X-Forwarded-Proto count."""


class UplinkSettings(Table):
    """How `gatectl uplink` reaches the head office of a fleet. No other process needs these files."""

    url: BrokerUrl
    """The broker: mqtts://HOST:PORT."""
    device: DeviceName
    """The gate's name in the fleet, which must be the CN of its certificate."""
    certificate: FilePath
    """The certificate that head office signed for this gate (`gatectl uplink csr` makes the request)."""
    key: KeyFile
    """The certificate's private key, in a file that others cannot read."""
    ca_file: FilePath
    """The certificates by which the broker is known, in PEM form."""
    members: Literal["pseudonym", "none", "plain"] = "pseudonym"
    """How members leave the gym: by a pseudonym, not at all, or by their numbers. Codes never leave as they
    are."""
    pseudonym_key: Key | None = None
    """Makes the pseudonyms: 32 random bytes as 64 hex digits, the same at all gates of a tenant."""


Partner = Annotated[PartnerSettings, TaggedBy("protocol", lambda: PROTOCOLS, settings_class)]


class RouteSettings(Table):
    """Codes that `match` as a whole go to `partner`."""

    match: AsciiPattern
    """Compiled with re.ASCII; its groups `member` and `customer`, if any, are the member's number and the
    customer's."""
    partner: Name
    """The name of one of the partners' tables."""
    doors: Annotated[tuple[Name, ...], NotEmpty()] | None = None
    """Only at these doors; left out, at all."""

    def route(self) -> Route:
        """Return the route in the form that the decision takes."""
        return Route(self.match, self.partner, None if self.doors is None else frozenset(self.doors))


class RelaySettings(Table):
    """The relay that holds the gate open."""

    pin: Pin
    active_high: bool = True
    """Whether a high level holds the gate open."""
    open_ms: Annotated[int, whole(100, 60_000)] = 3000
    """Milliseconds for which it is open. Under 100 many strikes do not move; over a minute
    the gate no longer keeps others out."""
    control: Literal["hold", "pulse"] = "hold"
    """"pulse" for a turnstile that keeps its arm free itself; `open_ms` is then the time for the member."""
    pulse_ms: Annotated[int, whole(100, 1000)] = 200
    """The length of that pulse in milliseconds."""
    continuous: bool = False
    """Whether the lock may stay energised for hours, as `hold_open` and `gatectl hold` need it."""


Active = Literal["low", "high"]
"""The level at which an input means what it is named for."""

Debounce = Annotated[int, whole(0, 1000)]
"""Milliseconds for which a level must stand before it counts; contacts bounce for some 10 ms."""


class InputSettings(Table):
    """A pin that is read."""

    pin: Pin
    active: Active = "low"
    """The level that counts as active. It also sets the pull: up for low, down for high."""
    debounce_ms: Debounce = 50


class ContactSettings(InputSettings):
    """The door contact; active is open."""

    held_s: Annotated[int, whole(0, 3600)] = 30
    """Seconds after which an open door is an alarm; 0 raises none."""
    warn_s: Annotated[int, whole(0, 3600)] = 0
    """Seconds before that alarm at which the buzzer begins to warn."""
    relock: Literal["open_ms", "on_open", "on_close"] = "open_ms"
    """When the relay goes off after an admission: after `open_ms`, or when the door opens or closes."""


class PassageSettings(InputSettings):
    """The passage sensor of a turnstile; active is somebody passing."""

    wait_ms: Annotated[int, whole(100, 60_000)] | None = None
    """Milliseconds in which a member passes after the relay went on; left out, `open_ms` and a second."""
    release: Literal["start", "end"] = "start"
    """Whether the relay goes off at the start or at the end of the signal."""


class ExitRelaySettings(Table):
    """A relay for the way out alone."""

    pin: Pin
    active_high: bool = True
    """Whether a high level lets out."""


class ExitSettings(Table):
    """The way out. It must also have a button that cuts the lock's power by wire."""

    button: InputSettings | None = None
    """The exit button."""
    unlock: bool = True
    """False if the button itself cuts the lock's power: then it is only recorded."""
    open_ms: Annotated[int, whole(100, 60_000)] = 5000
    """Milliseconds for which the way out is open; a button that stays pressed extends it."""
    relay: ExitRelaySettings | None = None
    """The relay of the way out's own lock, if it has one; else the door's relay opens."""
    passage: InputSettings | None = None
    """A sensor of its own that counts who leaves."""


class Signals(Table):
    """The lamps and the buzzer for the member; each is optional."""

    green: Pin | None = None
    red: Pin | None = None
    buzzer: Pin | None = None


Scanner = Annotated[ScannerSettings, TaggedBy("type", lambda: READER_TYPES, reader_types.table_of)]


class DoorSettings(Table):
    """A gate and its devices."""

    repeat_ms: Annotated[int, whole(0, 60_000)] = 3000
    """Milliseconds. The same code again within this time of its last reading is the same scan."""
    relay: RelaySettings
    signals: Signals = Signals()
    passage: PassageSettings | None = None
    contact: ContactSettings | None = None
    fire: InputSettings | None = None
    """A contact of the fire alarm: while it is active the gate is open. The alarm's own wire comes first."""
    hold_open: Name | None = None
    """The schedule in which the gate stands open; needs `relay.continuous`."""
    first_in: bool = False
    """True: such a hold begins only with the first admission of its span."""
    closed: Name | None = None
    """The schedule in which nobody is let in, and nobody is asked."""
    exit: ExitSettings | None = None
    again_s: Annotated[int, whole(0, 3600)] = 120
    """Seconds after "did not pass" in which the same code opens once more without asking anybody; 0 never."""
    return_min: Annotated[int, whole(0, 1440)] = 0
    """Minutes in which a member who passed may come in again although the partner now says "in already"; 0
    never."""
    show_name: bool = False
    """Whether the display at the door may welcome a member by the first name that the partner sends. Others
    read it too."""
    scanners: Annotated[tuple[Scanner, ...], NotEmpty()]
    """The readers at this door."""


_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


class Settings(Table):
    """The whole file."""

    site: Site = Site()
    gpio: Gpio = Gpio()
    journal: JournalSettings = JournalSettings()
    control: Control = Control()
    monitor: MonitorSettings = MonitorSettings()
    uplink: UplinkSettings | None = None
    partners: Mapping[Name, Partner] = _NONE
    """The partners that decide, by the names that events show."""
    routes: tuple[RouteSettings, ...] = ()
    """In their order; the first that takes a code wins."""
    schedules: Mapping[Name, ScheduleTable] = _NONE
    """Times of the week in `site.timezone`, by the names that doors use."""
    doors: Annotated[Mapping[Name, DoorSettings], NotEmpty()]
    """The gates, by the names that events show."""
