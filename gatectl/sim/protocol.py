"""The partner's side of a protocol: everything in which one protocol differs from another.

A new protocol is one module in `gatectl.sim.protocols`, with a subclass of `SimulatedProtocol`, and its
place in the list there. Server, scenarios, printed settings and demo are derived from it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import format_datetime
from functools import cache
from typing import ClassVar

from gatectl.sim.http import ReceivedRequest, Reply
from gatectl.sim.scenarios import FAILURES, SUCCESSES, Expect, Scenario, SharedScenario
from gatectl.sim.script import AnswerContext, Build, Script, fixed, whole


@dataclass(frozen=True, slots=True)
class SimulatedAnswer:
    """An answer, and its description for the log; `protocol` and `member` may be missing."""

    protocol: str | None
    member: str | None
    description: str
    script: Script


@dataclass(frozen=True, slots=True)
class DemoRoute:
    """A route of the demo to this protocol's partner: a pattern, and a comment about it."""

    match: str
    comment: str = ""


def refused(protocol: str | None, reply: Reply) -> SimulatedAnswer:
    """Return the refusal of a request that does not follow the protocol's page to the letter."""
    return SimulatedAnswer(protocol, None, f"refused: {reply.status}", whole(reply))


class SimulatedProtocol(ABC):
    """One protocol. An instance is the partner of one running simulator: its key and its memory."""

    name: ClassVar[str]
    """The protocol's name in the settings; the partner in the printed settings has the same name."""
    url_path: ClassVar[str] = ""
    """The path of the settings' `url`, which follows the simulator's address."""
    settings: ClassVar[tuple[str, ...]] = ()
    """Further lines of the partner's section in the settings."""
    id_note: ClassVar[str] = ""
    """A sentence about IDs, printed below the table of scenarios."""
    routes: ClassVar[tuple[DemoRoute, ...]]
    examples: ClassVar[tuple[tuple[str, str], ...]]
    """Codes to type in the demo, each with a few words about its scenario."""
    late_s: ClassVar[float] = 2.5
    """Delay of a late success, in seconds after the request: over the protocol's default budget."""
    scenarios: ClassVar[tuple[Scenario, ...]] = ()
    """This protocol's own scenarios: its documented answers and its peculiarities."""
    interpretations: ClassVar[Mapping[str, Expect]] = {}
    """Decisions about shared scenarios, by their word, where they differ from the shared one."""
    already: ClassVar[tuple[str, Reply] | None] = None
    """The documented refusal of a second check-in, with its description, if there is one."""

    def __init__(self, key: str) -> None:
        self.key = key
        self._checked_in: set[str] = set()

    @staticmethod
    @abstractmethod
    def owns(target: str) -> bool:
        """Return whether a request for this target (path and query) is this protocol's."""

    @abstractmethod
    def read(self, request: ReceivedRequest) -> str | Reply:
        """Return the member that a check-in request names, or its refusal."""

    @staticmethod
    @abstractmethod
    def success(member: str, now: datetime) -> Reply:
        """Return the documented success."""

    @staticmethod
    @abstractmethod
    def not_found() -> Reply:
        """Return the answer for a well-formed ID that no scenario has."""

    @staticmethod
    def shared_id(scenario: SharedScenario) -> str:
        """Return the ID of a shared scenario."""
        return scenario.word

    def answer(self, request: ReceivedRequest, now: datetime) -> SimulatedAnswer:
        """Return the answer to a request whose target this protocol owns. Change the partner's memory."""
        member = self.read(request)
        if isinstance(member, Reply):
            return refused(self.name, member)
        scenario = self.find(member)
        if scenario is None:
            return SimulatedAnswer(self.name, member, "not found", whole(dated(self.not_found(), now)))
        context = AnswerContext(member, dated(self.success(member, now), now), self.late_s, now)
        script = self._build(scenario)(context)
        return SimulatedAnswer(self.name, member, scenario.description, script)

    def forget(self) -> None:
        """Clear the memory of check-ins."""
        self._checked_in.clear()

    def _build(self, scenario: Scenario) -> Build:
        """Return the builder for now. If the partner remembers, this request counts from here on."""
        if scenario.then is None:
            return scenario.build
        if scenario.id in self._checked_in:
            return scenario.then
        self._checked_in.add(scenario.id)
        return scenario.build

    @classmethod
    def find(cls, member: str) -> Scenario | None:
        """Return the scenario of this ID."""
        return cls._index().get(member)

    @classmethod
    @cache
    def catalogue(cls) -> tuple[Scenario, ...]:
        """Return all scenarios of this protocol: the successes first, the failures last."""
        shared = [scenario for scenario in FAILURES if cls.already is not None or not scenario.remembered]
        return (*map(cls._own, SUCCESSES), *cls.scenarios, *map(cls._own, shared))

    @classmethod
    @cache
    def _index(cls) -> dict[str, Scenario]:
        return {scenario.id: scenario for scenario in cls.catalogue()}

    @classmethod
    def _own(cls, shared: SharedScenario) -> Scenario:
        already, reply = cls.already or ("", Reply(500))
        return Scenario(
            cls.name,
            cls.shared_id(shared),
            shared.description.format(late=cls.late_s, already=already),
            cls.interpretations.get(shared.word, shared.expect),
            shared.build,
            fixed(reply) if shared.remembered else None,
        )


def dated(reply: Reply, now: datetime) -> Reply:
    """Add the Date that every server with a clock sends (RFC 9110, section 6.6.1)."""
    return replace(reply, headers=(*reply.headers, ("Date", format_datetime(now, usegmt=True))))
