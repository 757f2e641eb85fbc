"""The catalogue: one fixed ID for each outcome and each fault, for every protocol.

A well-formed ID that is not here is unknown to the partner (404, in the protocol's form). The numeric IDs
share their last three digits: with `1` in front it is a perfectgym aggregatorId (with any customerId), with
`1000000000` a wellhub gympass_id. Capitan's barcodes are words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gatectl.decision.outcomes import Fault
from gatectl.decision.verdict import Verdict
from gatectl.sim import capitan, perfectgym, shared_rows, special_rows, wellhub
from gatectl.sim.http import PROTOCOLS, ProtocolName
from gatectl.sim.row import ALLOWED, ScenarioRow
from gatectl.sim.script import Build, fixed, good

LATE_S = {"perfectgym": perfectgym.LATE_S, "wellhub": wellhub.LATE_S, "capitan": capitan.LATE_S}
"""Delay of a late success, in seconds after the request."""

_ALREADY = {
    "wellhub": ("already validated", wellhub.already_validated()),
    "capitan": ("duplicate_check_in", capitan.already_checked_in()),
}
_LEADING_ZERO = "0123456789012"


@dataclass(frozen=True, slots=True)
class Entry:
    """One ID: the partner's answer, and gatectl's decision under the default budgets.

    `fault` is None if the partner decided. `then`, if any, is played from the member's second request on:
    this partner counted the first one, even if its answer was lost.
    """

    protocol: ProtocolName
    id: str
    what: str
    verdict: Verdict
    fault: Fault | None
    build: Build
    then: Build | None = None


def find(protocol: ProtocolName, member: str) -> Entry | None:
    """The documented answer for this ID."""
    return _INDEX.get((protocol, member))


def outcome(entry: Entry) -> str:
    """The interpretation by gatectl, in words: `allowed`, `not allowed`, `not found`, `timeout` …"""
    return (entry.fault or entry.verdict).value.replace("_", " ")


def _assemble() -> Iterator[Entry]:
    for protocol in PROTOCOLS:
        rows = (*shared_rows.SUCCESSES, *special_rows.ROWS[protocol], *shared_rows.FAILURES)
        yield from (_entry(protocol, row) for row in rows if protocol in row.protocols)
        if protocol == "wellhub":
            yield Entry(protocol, _LEADING_ZERO, "good, with a leading zero", *ALLOWED, good)


def _entry(protocol: ProtocolName, row: ScenarioRow) -> Entry:
    member = {
        "perfectgym": f"1{row.number}",
        "wellhub": f"1000000000{row.number}",
        "capitan": row.word,
    }[protocol]
    already, reply = _ALREADY.get(protocol, ("", None))
    what = row.what.format(late=LATE_S[protocol], already=already)
    then = fixed(reply) if row.remembered and reply is not None else None
    return Entry(protocol, member, what, *row.expected(protocol), row.build, then)


CATALOGUE: tuple[Entry, ...] = tuple(_assemble())
_INDEX = {(entry.protocol, entry.id): entry for entry in CATALOGUE}
