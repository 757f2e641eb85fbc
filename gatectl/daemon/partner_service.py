"""One partner in the running daemon: its client, its rest after a 429, its condition, its status."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

from gatectl import clock
from gatectl.config.problems import SettingIssue, key_of
from gatectl.config.secrets import PartnerSecrets
from gatectl.decision.door.grace import OutageGrace, PastScan
from gatectl.decision.event import DETAIL_CHARS, timestamp
from gatectl.decision.log import Log, LogEntry, Priority
from gatectl.decision.outcomes import Fault, Message
from gatectl.decision.partner_condition import OUT_OF_ORDER, Condition, Conditions, FinishedScan
from gatectl.decision.timestamps import HOUR_US, LoopTime, WallUs
from gatectl.decision.verdict import Decision, Verdict
from gatectl.partners.exchange import Endpoint, clock_ahead_s, interpret
from gatectl.partners.http.client import NOTHING, Client, Exchange, PreparedRequest, out_of_time
from gatectl.partners.http.connection import OnProgress, PartnerConnection
from gatectl.partners.http.dial import Dialler, tls_context
from gatectl.partners.http.failure import ExchangeFailed
from gatectl.partners.http.pool import Pool
from gatectl.partners.http.proxy import Proxy
from gatectl.partners.protocol import PartnerSettings, SettlingSettings
from gatectl.partners.registry import PROTOCOLS

if TYPE_CHECKING:  # the commands that try a partner have read the settings in another way
    from gatectl.config.reader import Usable


_PRIORITIES = {Condition.HEALTHY: Priority.NOTICE, Condition.REFUSING_KEY: Priority.ERROR}
_MORE = {Condition.REFUSING_EVERYONE: ", five different members in a row: check key, url and IDs"}


Dial = Callable[[OnProgress], Awaitable[PartnerConnection]]


class Diallers:
    """Makes the partners' diallers; those that trust the system's store share one TLS context."""

    def __init__(self) -> None:
        self._contexts: dict[Path | None, ssl.SSLContext] = {}

    def dialler(self, settings: PartnerSettings, secrets: PartnerSecrets) -> Dialler:
        """Return the dialler for one partner. Raises OSError for a certificate file that cannot be used."""
        context = self.context(settings, secrets.client_key)
        return Dialler(Endpoint.of(settings.url), context, proxy_of(settings, secrets))

    def context(self, settings: PartnerSettings, client_key: Path | None) -> ssl.SSLContext | None:
        """Return the TLS context for one partner, None without TLS; raises OSError as `dialler` does."""
        if not Endpoint.of(settings.url).tls:
            return None
        ca_file, certificate = settings.ca_file, settings.client_certificate
        if certificate is not None:
            return tls_context(ca_file, certificate, client_key)
        if ca_file not in self._contexts:
            self._contexts[ca_file] = tls_context(ca_file)
        return self._contexts[ca_file]


def proxy_of(settings: PartnerSettings, secrets: PartnerSecrets) -> Proxy | None:
    """Return the proxy on the way to a partner; None for a direct one."""
    if settings.proxy is None:
        return None
    return Proxy.of(settings.proxy, secrets.proxy_key.value if secrets.proxy_key else None)


class PartnerService:
    """Asks one partner for all doors."""

    def __init__(
        self,
        name: str,
        settings: PartnerSettings,
        key: str,
        other_keys: tuple[str, ...],
        *,
        way: Dialler | ExchangeFailed,
        doors: int,
        log: Log,
    ) -> None:
        """`way` leads to the partner; an ExchangeFailed is the reason why it cannot be asked at all."""
        endpoint = Endpoint.of(settings.url)
        self.name = name
        self.budget_ms = settings.budget_ms
        self.settle_s = self.already_in_per_day = 0
        if isinstance(settings, SettlingSettings):
            self.settle_s, self.already_in_per_day = settings.settle_s, settings.already_in_per_day
        self.grace = None if settings.grace is None else OutageGrace(settings.grace.rules())
        self._descriptor = PROTOCOLS[settings.protocol]
        self.numbers = self._descriptor.numbers(settings)
        self._protocol = self._descriptor.make(settings, endpoint, key, other_keys)
        self._asking_only = self._descriptor.make_asking_only(settings, endpoint, key, other_keys)
        self.checks_in_after_passage = self._asking_only is not None
        # A door checks one member in while the next one scans.
        want = doors * (2 if self.checks_in_after_passage else 1)
        self._pool = Pool(way.dial if isinstance(way, Dialler) else _raising(way), want, self._linked)
        self._client = Client(endpoint, self._pool)
        self._log = log
        self.conditions = Conditions(clock.now())
        self._logged = Condition.HEALTHY
        self._logged_refusing_everyone = False
        self._rest_over: asyncio.TimerHandle | None = None
        self._unlinked = self._unusable = way if isinstance(way, ExchangeFailed) else None
        self._dated: tuple[str | None, int] = (None, 0)
        """The last answer's Date, and when it came by our own clock."""

    async def keep_connected(self) -> None:
        """Hold connections ready, for as long as the daemon runs."""
        if self._unusable is None:
            await self._pool.keep()

    def prepare(
        self, member: str, code: str, customer: str | None, door: str, *, checks_in: bool = True
    ) -> PreparedRequest:
        """Prepare the check-in's request, or without `checks_in` the question alone.

        The numbers must be ones that the protocol can carry.
        """
        if self._unusable is not None:
            return NOTHING
        protocol = self._protocol if checks_in or self._asking_only is None else self._asking_only
        return self._client.prepare(protocol.request(member, code, customer or "", door))

    async def ask(self, request: PreparedRequest, deadline_s: LoopTime) -> tuple[Exchange, Decision]:
        """Ask once. Failures of the partner or the network are results, not exceptions."""
        exchange = await self._client.ask(request, deadline_s)
        if exchange.answer is None:
            lost = exchange.lost or out_of_time(exchange)
            return exchange, Decision(Verdict.NONE, lost.fault, detail=lost.detail[:DETAIL_CHARS])
        self._dated = exchange.answer.headers.get("date"), exchange.answer.received_us
        decision = interpret(self._protocol, exchange.answer)
        if decision.rest_s is not None:
            self._rest(decision.rest_s)
        return exchange, decision

    def says_already_in(self, decision: Decision) -> bool:
        """Whether this refusal says that the member has been checked in already."""
        return decision.reason is not None and decision.reason.key in self._descriptor.already_in

    def may_refuse_return(self, decision: Decision) -> bool:
        """Whether this refusal may be for no other reason than an earlier visit."""
        if self._descriptor.any_refusal_may_be_return:
            return decision.verdict is Verdict.NOT_ALLOWED and decision.fault is None
        return self.says_already_in(decision)

    def _rest(self, rest_s: float) -> None:
        now_s = clock.now()
        until_s = LoopTime(now_s + rest_s)
        self.conditions.rest(until_s)
        self.conditions.update(now_s)
        if self._rest_over is not None:
            self._rest_over.cancel()
        # The loop may call it a clock tick early, so pass the moment that it is for.
        self._rest_over = asyncio.get_running_loop().call_at(until_s, self._end_rest, until_s)

    def _end_rest(self, until_s: LoopTime) -> None:
        self.conditions.update(max(until_s, clock.now()))
        self.note_condition()

    def recall(self, scans: Iterable[tuple[int, FinishedScan]]) -> None:
        """Take the journal's last scans, the oldest first, each with its time (`at_us`).

        Their condition was logged when it began, and is not logged again.
        """
        # If the clock was set back since, these times would be in the future.
        self.conditions.recall(
            (scan, min(clock.loop_time(WallUs(at_us)), clock.now())) for at_us, scan in scans
        )
        self._logged = self.conditions.condition
        self._logged_refusing_everyone = self.conditions.refuses_everyone

    def recall_outage(self, since_verdict: Sequence[PastScan]) -> None:
        """Take the journal's scans since the last verdict, for the grace of an outage that still lasts."""
        if self.grace is not None:
            self.grace.recall(since_verdict if self.conditions.has_outage else ())

    def note_condition(self) -> None:
        """Log the condition if it differs from the last one logged."""
        condition = self.conditions.condition
        if self._logged_refusing_everyone:
            self._logged_refusing_everyone = self.conditions.refuses_everyone
        if condition is self._logged:
            return
        self._logged = condition
        if condition is Condition.REFUSING_EVERYONE:
            known, self._logged_refusing_everyone = self._logged_refusing_everyone, True
            if known:  # it was logged before a rest or a refused key hid it for a while
                return
        self._log(
            LogEntry(
                _PRIORITIES.get(condition, Priority.WARNING),
                f"partner {self.name}: {condition}{_MORE.get(condition, '')}",
                {"PARTNER": self.name},
                Message.REFUSING_EVERYONE.catalog_id if condition is Condition.REFUSING_EVERYONE else None,
            )
        )

    def _linked(self, lost: ExchangeFailed | None) -> None:
        if lost is None and self._unlinked is not None:
            self._log(
                LogEntry(Priority.NOTICE, f"partner {self.name}: connected again", {"PARTNER": self.name})
            )
        elif lost is not None and self._unlinked is None:
            self._log(
                LogEntry(
                    Priority.WARNING,
                    f"partner {self.name}: no connection ({lost.fault}: {lost.detail})",
                    {"PARTNER": self.name, "FAULT": lost.fault.value},
                )
            )
        self._unlinked = lost

    def status(self) -> dict[str, Any]:
        """For `gatectl status --json`."""
        conditions = self.conditions
        failure = conditions.failure
        resting = conditions.rests_until > clock.now()
        return {
            "protocol": self._descriptor.name,
            "state": OUT_OF_ORDER if self._unusable else conditions.condition.value,
            "since": timestamp(clock.wall_us(conditions.since)),
            "rests_until": timestamp(clock.wall_us(conditions.rests_until)) if resting else None,
            "failing": failure
            and {"fault": failure.fault, "status": failure.status, "detail": failure.detail},
            "grace": self._grace(),
            "ready_connections": self._pool.ready,
            "clock_ahead_s": clock_ahead_s(*self._dated),
            "unconnected": self._unlinked
            and {"fault": self._unlinked.fault.value, "detail": self._unlinked.detail},
        }

    def _grace(self) -> dict[str, Any] | None:
        """The grace of the outage under way; None without one, or where its time is over."""
        grace, now_us = self.grace, clock.timestamp_now().at_us
        if grace is None or grace.outage is None or not self.conditions.has_outage or not grace.lasts(now_us):
            return None
        return {
            "since": timestamp(grace.outage.began_us),
            "until": timestamp(grace.outage.began_us + grace.rules.hours * HOUR_US),
            "admissions_left": grace.admissions_left,
        }

    def close(self) -> None:
        """Close every connection, in use or not."""
        if self._rest_over is not None:
            self._rest_over.cancel()
        self._pool.close()


def services_of(usable: Usable, keys: Mapping[str, str], log: Log) -> dict[str, PartnerService]:
    """Make the service of each partner; `keys` are those that could be read, by partner.

    A partner whose files cannot be used is out of order, and logged: the others' doors and scans go on.
    """
    settings, diallers = usable.settings, Diallers()
    return {
        name: PartnerService(
            name,
            partner,
            keys.get(name, ""),
            tuple(key for other, key in keys.items() if other != name),
            way=_way_to(name, partner, usable, diallers, log),
            doors=len(settings.doors),
            log=log,
        )
        for name, partner in settings.partners.items()
    }


def _way_to(
    name: str, partner: PartnerSettings, usable: Usable, diallers: Diallers, log: Log
) -> Dialler | ExchangeFailed:
    """Return the way to a partner, or why it cannot be asked."""
    issue = usable.unusable.get(name)
    if issue is None:
        try:
            return diallers.dialler(partner, usable.secrets[name])
        except OSError as error:  # a file has changed since it was checked
            setting = "client_certificate" if partner.client_certificate else "ca_file"
            issue = SettingIssue(("partners", name, setting), f"cannot be used: {error.strerror}")
    failed = _unusable(issue)
    words = f"partner {name} is out of order: {failed.detail}; gatectl check says what to do"
    log(LogEntry(Priority.ERROR, words, {"PARTNER": name, "FAULT": failed.fault.value}))
    return failed


def _unusable(issue: SettingIssue) -> ExchangeFailed:
    """Return the loss of every exchange with a partner whose key or certificate cannot be used."""
    setting = key_of(issue.where[2:])
    fault = Fault.CONFIGURATION if setting == "ca_file" else Fault.CREDENTIALS
    return ExchangeFailed(fault, f"{setting}: {issue.what}")


def _raising(failed: ExchangeFailed) -> Dial:
    async def dial(_on_progress: OnProgress) -> Never:
        # A new error each time: a traceback grows with each raise.
        raise ExchangeFailed(failed.fault, failed.detail)

    return dial
