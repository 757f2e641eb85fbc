"""Warn about settings that are valid but most likely a mistake: one line each, without a full stop."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gatectl.config.model import (
    DoorSettings,
    RouteSettings,
    Settings,
)
from gatectl.config.problems import key_of
from gatectl.devices.reader.reader_types import READER_TYPES
from gatectl.partners.protocol import PartnerSettings
from gatectl.partners.registry import PROTOCOLS, numbers_of
from gatectl.validators.addresses import host_and_port, is_loopback
from gatectl.validators.patterns import lengths

_GLOB = re.compile(r"[\w.-]*([\w-])\*")
"""A file-name pattern, in which * matches any text."""

_TAKES_ALL = frozenset({".*", ".+", "(?P<member>.*)", "(?P<member>.+)"})

_MAX_SOCKET_PATH = 107
"""Bytes: the kernel's sockaddr_un has 108, the last of them for the terminator (unix(7))."""

_ON_THE_HEADER = range(28)
"""The BCM numbers that a Raspberry Pi's header has; those behind it drive the board's own parts."""

_PULLED_UP = range(9)
"""The BCM numbers that a Raspberry Pi pulls up until something drives them; it pulls the others down (the
data sheets of the BCM2835 and the RP1)."""


_PULLED_ON = {
    True: ("up", "a pin from 9 to 27, or a relay board that a low level switches on (active_high = false)"),
    False: ("down", "a relay board that a high level switches on (active_high = true), or a pin from 4 to 8"),
}


def warnings_of(settings: Settings) -> list[str]:
    """Return all warnings; each begins with the setting's key."""
    return [
        *_about_site(settings),
        *(line for name, partner in settings.partners.items() for line in _about_partner(name, partner)),
        *_about_routes(settings),
        *(line for name, door in settings.doors.items() for line in _about_door(name, door)),
        *_returns_without_reason(settings),
        *_pulled_on(settings),
        *_about_sockets(settings),
    ]


def _about_site(settings: Settings) -> Iterator[str]:
    for name in ("tenant", "studio"):
        if not getattr(settings.site, name):
            yield f"site.{name} is not set: Support asks for it"
    if not settings.partners:
        yield "partners: there is none, so nobody is admitted"


def _about_sockets(settings: Settings) -> Iterator[str]:
    if len(bytes(settings.control.socket)) > _MAX_SOCKET_PATH:
        yield f"control.socket: is longer than the {_MAX_SOCKET_PATH} bytes that Linux allows"
    listen = host_and_port(settings.monitor.listen)
    is_open = listen is not None and not is_loopback(listen[0])
    if is_open and settings.monitor.password is None:
        yield (
            f"monitor.listen: {settings.monitor.listen} can be reached from elsewhere, and there is no "
            "monitor.password: `gatectl monitor` does not start without one"
        )


def _about_partner(name: str, partner: PartnerSettings) -> Iterator[str]:
    for setting, words in PROTOCOLS[partner.protocol].remarks(partner):
        path = setting if isinstance(setting, tuple) else (setting,)
        yield f"{key_of(('partners', name, *path))}: {words}"
    if partner.grace is not None:
        yield (
            f"{key_of(('partners', name, 'grace'))}: the gym may not be paid for visits during an outage; "
            "`gatectl grace` lists them, for settling with the partner"
        )
    page = partner.status_page
    if page is not None and not page.lower().startswith(("https://", "http://")):
        yield f"{key_of(('partners', name, 'status_page'))}: {page!r} is no address that a browser can open"


def _about_routes(settings: Settings) -> Iterator[str]:
    for index, route in enumerate(settings.routes):
        key = f"routes[{index}].match"
        yield from (f"{key}: {words}" for words in _about_route(route, settings.partners[route.partner]))
        yield from _never_reached(settings.routes, index)


def _about_route(route: RouteSettings, partner: PartnerSettings) -> Iterator[str]:
    pattern, needed = route.match, numbers_of(partner)
    if glob := _GLOB.fullmatch(pattern.pattern):
        yield f"takes any number of {glob[1]!r} at its end; any text is .*"
    if not _fit(lengths(pattern, "member"), needed.member.lengths):
        yield f"takes no number of a member that {route.partner} can have: {needed.member.rule}"
    if needed.customer is None:
        return
    if "customer" not in pattern.groupindex:
        yield (
            f"{route.partner} is asked with the customer's number, and without a group (?P<customer>...) "
            "no code of this route is recognised"
        )
    elif not _fit(lengths(pattern, "customer"), needed.customer.lengths):
        yield f"takes no number of a customer that {route.partner} can have: {needed.customer.rule}"


def _fit(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two ranges of lengths overlap."""
    return one[0] <= other[1] and other[0] <= one[1]


def _never_reached(routes: Sequence[RouteSettings], index: int) -> Iterator[str]:
    route = routes[index]
    for number, earlier in enumerate(routes[:index]):
        everywhere = earlier.doors is None or {*(route.doors or (None,))} <= {*earlier.doors}
        pattern = earlier.match.pattern
        if everywhere and (pattern in _TAKES_ALL or pattern == route.match.pattern):
            yield f"routes[{index}]: is never reached, since routes[{number}] takes every code that it could"
            return


def _about_door(name: str, door: DoorSettings) -> Iterator[str]:
    lamps = vars(door.signals)
    pins = [
        (("relay", "pin"), door.relay.pin),
        *((("signals", lamp), pin) for lamp, pin in lamps.items() if pin),
    ]
    for way, pin in pins:
        if pin not in _ON_THE_HEADER:
            yield (
                f"{key_of(('doors', name, *way))}: BCM {pin} is not on a Raspberry Pi's header; "
                "`pinout` shows which place there has which BCM number"
            )
    for index, scanner in enumerate(door.scanners):
        for key, words in READER_TYPES[scanner.type].remarks(scanner):
            yield f"{key_of(('doors', name, 'scanners', index, key))}: {words}"


def _returns_without_reason(settings: Settings) -> Iterator[str]:
    silent = [
        name
        for name, partner in settings.partners.items()
        if PROTOCOLS[partner.protocol].any_refusal_may_be_return
        and not PROTOCOLS[partner.protocol].gives_reasons(partner)
    ]
    for name, door in settings.doors.items():
        for partner in silent if door.return_min else ():
            yield (
                f"{key_of(('doors', name, 'return_min'))}: a refusal of {partner} carries no reason, so a "
                "second visit cannot be told from an ended contract: both are let in"
            )


def _pulled_on(settings: Settings) -> Iterator[str]:
    """Warn about relays that the board may switch on between power-on and gatectl's start."""
    for name, door in settings.doors.items():
        pin, active_high = door.relay.pin, door.relay.active_high
        if active_high != (pin in _PULLED_UP):
            continue
        where = key_of(("doors", name, "relay", "pin"))
        how, remedy = _PULLED_ON[active_high]
        yield (
            f"{where}: a Raspberry Pi pulls BCM {pin} {how} until gatectl starts, so the gate may stand open "
            f"at each boot: take {remedy}"
        )
