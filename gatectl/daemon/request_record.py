"""An exchange with a partner as the journal keeps it: the times on the wall clock, and the evidence."""

from __future__ import annotations

from gatectl.daemon.clock import ms_between
from gatectl.decision.door.messages import Instant
from gatectl.decision.event import DialRecord, Evidence, RequestRecord
from gatectl.partners.http.client import Exchange
from gatectl.partners.http.digest import digest_of


def request_record(exchange: Exchange, at: Instant, budget_ms: int) -> RequestRecord:
    """The record of an exchange about a code that was complete at `at`."""

    def us_at(moment_s: float | None) -> int | None:
        return None if moment_s is None else at.us_at(moment_s)

    return RequestRecord(
        sent=exchange.sent,
        sent_us=us_at(exchange.sent_at),
        answered_us=us_at(exchange.answered_at),
        elapsed_ms=ms_between(at.loop_s, exchange.ended_at),
        budget_ms=budget_ms,
        connection=exchange.connection,
        evidence=_evidence(exchange, at),
    )


def _evidence(exchange: Exchange, at: Instant) -> Evidence:
    dialled, dial = exchange.dialled, None
    if dialled is not None:
        dial = DialRecord(
            begun_us=at.us_at(dialled.at),
            look_up_ms=_ms(dialled.look_up_s),
            stale=dialled.stale,
            connect_ms=_ms(dialled.connect_s),
            tls_ms=_ms(dialled.tls_s),
        )
    return Evidence(dial, None if exchange.answer is None else digest_of(exchange.answer))


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 3)
