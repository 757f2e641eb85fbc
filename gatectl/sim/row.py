"""A row of the catalogue, before it is expanded to one entry per protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gatectl.decision.outcomes import Fault
from gatectl.decision.verdict import Verdict
from gatectl.sim.http import PROTOCOLS, ProtocolName
from gatectl.sim.script import Build

Expect = tuple[Verdict, Fault | None]
"""gatectl's interpretation of the answer, under the default budgets; a fault where there is no decision."""

ALLOWED: Expect = (Verdict.ALLOWED, None)
NOT_ALLOWED: Expect = (Verdict.NOT_ALLOWED, None)
NOT_FOUND: Expect = (Verdict.NOT_FOUND, None)
PARTNER: Expect = (Verdict.NONE, Fault.PARTNER)
NETWORK: Expect = (Verdict.NONE, Fault.NETWORK)
TIMEOUT: Expect = (Verdict.NONE, Fault.TIMEOUT)
CREDENTIALS: Expect = (Verdict.NONE, Fault.CREDENTIALS)
CONFIGURATION: Expect = (Verdict.NONE, Fault.CONFIGURATION)


@dataclass(frozen=True, slots=True)
class ScenarioRow:
    """A row. `number`: the last three digits of numeric IDs; `word`: capitan's barcode.

    `remembered`: the partner counts the member as checked in as soon as the request is whole, and answers
    the next one with its documented refusal.
    """

    number: str
    word: str
    what: str
    expect: Expect | Mapping[ProtocolName, Expect]
    build: Build
    protocols: tuple[ProtocolName, ...] = PROTOCOLS
    remembered: bool = False

    def expected(self, protocol: ProtocolName) -> Expect:
        return self.expect if isinstance(self.expect, tuple) else self.expect[protocol]


def each(perfectgym: Expect, wellhub: Expect, capitan: Expect) -> Mapping[ProtocolName, Expect]:
    """Make the expectation for an answer that the protocols interpret differently."""
    return {"perfectgym": perfectgym, "wellhub": wellhub, "capitan": capitan}
