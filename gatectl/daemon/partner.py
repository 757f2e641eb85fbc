"""A partner as the daemon keeps it: its client, its rest, its outage, and what `status` says of it."""

from __future__ import annotations

import ssl
from typing import Any

from gatectl.config import model
from gatectl.daemon import clock
from gatectl.decision.event import timestamp
from gatectl.decision.notice import Notice, Priority, Tell
from gatectl.decision.outage import Streak
from gatectl.decision.routing import carries
from gatectl.decision.verdict import Fault, Ruling, Verdict
from gatectl.partners.capitan import DUPLICATE, Capitan
from gatectl.partners.client import Client, Exchange, Request
from gatectl.partners.date import clock_ahead_s
from gatectl.partners.dial import Dialler, tls_context
from gatectl.partners.exchange import Endpoint, Partner
from gatectl.partners.perfectgym import PerfectGym
from gatectl.partners.pool import Pool
from gatectl.partners.wellhub import ALREADY_VALIDATED, Wellhub
from gatectl.partners.wire import Lost

ALREADY_IN = frozenset({ALREADY_VALIDATED, DUPLICATE})
"""Refusals that may be the late answer to our own request."""


def protocol_of(settings: model.Partner, endpoint: Endpoint, key: str, others: tuple[str, ...]) -> Partner:
    """The protocol's pure half, with this partner's values."""
    match settings:
        case model.PerfectGym():
            return PerfectGym(endpoint, settings.aggregator_id, key, others)
        case model.Wellhub():
            return Wellhub(endpoint, settings.gym_id, key, settings.send_custom_code, others)
        case model.Capitan():
            return Capitan(endpoint, settings.location_id, key, others)


class PartnerDesk:
    """Asks one partner for all doors."""

    def __init__(
        self,
        name: str,
        settings: model.Partner,
        key: str,
        other_keys: tuple[str, ...],
        *,
        context: ssl.SSLContext | None,
        doors: int,
        tell: Tell,
    ) -> None:
        endpoint = Endpoint.of(settings.url)
        self.name = name
        self.budget_ms = settings.budget_ms
        self.settle_s = 0 if isinstance(settings, model.PerfectGym) else settings.settle_s
        self.streak = Streak()
        self._protocol_name = settings.protocol
        self._protocol = protocol_of(settings, endpoint, key, other_keys)
        self._pool = Pool(Dialler(endpoint, context).dial, doors, self._linked)
        self._client = Client(endpoint, self._pool)
        self._tell = tell
        self._rests_until = 0.0
        self._refuses_key = False
        self._unlinked: Lost | None = None
        self._dated: tuple[str | None, int] = (None, 0)
        """The last answer's Date, and when it came by our own clock."""
        self._condition = "healthy"
        self._since = clock.now()

    async def keep_connected(self) -> None:
        """Holds connections ready, for as long as the daemon runs."""
        await self._pool.keep()

    def carries(self, member: str) -> bool:
        return carries(self._protocol_name, member)

    def rests_for(self) -> float:
        """Seconds for which no request may go out; 0 is none."""
        return max(self._rests_until - clock.now(), 0.0)

    def prepare(self, member: str, code: str) -> Request:
        """The check-in, ready to leave."""
        return self._client.prepare(self._protocol.question(member, code))

    async def ask(self, request: Request, deadline: float) -> tuple[Exchange, Ruling]:
        """Asks once; never raises for what a partner or a network does."""
        exchange = await self._client.ask(request, deadline)
        if exchange.answer is None:
            fault = exchange.lost.fault if exchange.lost else None
            return exchange, Ruling(Verdict.NONE, fault)
        self._dated = exchange.answer.headers.get("date"), exchange.answer.received_us
        ruling = self._protocol.judge(exchange.answer)
        if ruling.rest_s is not None:
            self._rests_until = clock.now() + ruling.rest_s
        return exchange, ruling

    def is_perhaps_ours(self, ruling: Ruling) -> bool:
        """Does this refusal say that the member is in already, and may that have been our doing?"""
        return self.settle_s > 0 and ruling.reason is not None and ruling.reason.key in ALREADY_IN

    def take(self, member: str, ruling: Ruling) -> bool:
        """Notes a finished scan; says whether it is part of an outage."""
        outage = self.streak.take(
            member, ruling.verdict, ruling.fault, ruling.reason.key if ruling.reason else None
        )
        if ruling.status is not None:
            self._refuses_key = ruling.fault is Fault.CREDENTIALS
        self._note_condition()
        return outage

    def _note_condition(self) -> None:
        condition = self.condition
        if condition == self._condition:
            return
        self._condition, self._since = condition, clock.now()
        worst = {"healthy": Priority.NOTICE, "refusing our key": Priority.ERROR}
        self._tell(
            Notice(
                worst.get(condition, Priority.WARNING),
                f"partner {self.name}: {condition}",
                {"PARTNER": self.name},
            )
        )

    @property
    def condition(self) -> str:
        """`healthy`, `outage`, `resting` or `refusing our key`."""
        if self._refuses_key:
            return "refusing our key"
        if self.rests_for() > 0:
            return "resting"
        return "outage" if self.streak.is_outage else "healthy"

    def _linked(self, lost: Lost | None) -> None:
        if lost is None and self._unlinked is not None:
            self._tell(
                Notice(Priority.NOTICE, f"partner {self.name}: connected again", {"PARTNER": self.name})
            )
        elif lost is not None and self._unlinked is None:
            self._tell(
                Notice(
                    Priority.WARNING,
                    f"partner {self.name}: no connection ({lost.fault}: {lost.detail})",
                    {"PARTNER": self.name, "FAULT": lost.fault.value},
                )
            )
        self._unlinked = lost

    def status(self) -> dict[str, Any]:
        """For `gatectl status --json`."""
        self._note_condition()
        resting = self.rests_for()
        return {
            "protocol": self._protocol_name,
            "state": self.condition,
            "since": timestamp(clock.wall_us(self._since)),
            "rests_until": timestamp(clock.wall_us(self._rests_until)) if resting else None,
            "ready_connections": self._pool.ready,
            "clock_ahead_s": clock_ahead_s(*self._dated),
            "unconnected": self._unlinked
            and {"fault": self._unlinked.fault.value, "detail": self._unlinked.detail},
        }

    def close(self) -> None:
        self._pool.close()


def contexts(partners: dict[str, model.Partner]) -> dict[str, ssl.SSLContext | None]:
    """A TLS context for each partner; those that trust the system's store share one."""
    made: dict[Any, ssl.SSLContext] = {}
    result: dict[str, ssl.SSLContext | None] = {}
    for name, settings in partners.items():
        if not Endpoint.of(settings.url).tls:
            result[name] = None
            continue
        if settings.ca_file not in made:
            made[settings.ca_file] = tls_context(settings.ca_file)
        result[name] = made[settings.ca_file]
    return result
