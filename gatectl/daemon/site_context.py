"""The parts of the daemon that all doors share."""

from __future__ import annotations

from dataclasses import dataclass, field

from gatectl.daemon import clock
from gatectl.daemon.partner import PartnerDesk
from gatectl.daemon.viewers import Viewers
from gatectl.decision.door.context import Site
from gatectl.decision.event import Event
from gatectl.journal.store import Store
from gatectl.journal.systemd import Teller


@dataclass(slots=True)
class SiteContext:
    """`site` has what the doors' rules share; the rest does their work."""

    site: Site
    partners: dict[str, PartnerDesk]
    store: Store
    teller: Teller
    keys: tuple[str, ...] = field(default=(), repr=False)
    """Every partner's: a person's reason is kept without them."""
    names: clock.Names = field(default_factory=clock.Names)
    viewers: Viewers = field(default_factory=Viewers)
    last_event: Event | None = None
    in_memory: bool = False
    """Whether the store lies where it is lost with the power."""
