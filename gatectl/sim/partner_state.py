"""The data that a protocol reads out of a request, and the partners' memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gatectl.sim.http import ProtocolName

GYM_ID = "1234"
"""The only gym for which the wellhub key is valid."""

AGGREGATOR_ID = "fitco-4711"
"""The aggregatorId of a whole gym: with it, the customerId identifies the member."""

LOCATIONS = range(1, 100)
"""Capitan's known locations; any other is `invalid_location`."""


@dataclass(frozen=True, slots=True)
class CheckInRequest:
    """The member of a check-in request; `custom_code` is wellhub's optional field."""

    member: str
    custom_code: str | None = None


@dataclass(slots=True)
class PartnerState:
    """The partners' memory, and their keys. It lives as long as the simulator."""

    keys: Mapping[ProtocolName, str]
    validated: set[tuple[ProtocolName, str]] = field(default_factory=set)
    """Members who have been checked in, for protocols that document a refusal of the second check-in."""
    codes: dict[str, str] = field(default_factory=dict)
    """Wellhub's custom codes: wellhub_id to code."""
    unanswered_codes: set[str] = field(default_factory=set)
    """Members whose change was made although its answer was lost; their next change is answered."""
