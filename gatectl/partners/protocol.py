"""The descriptor of a partner's protocol: the rest of gatectl derives from it all that differs by protocol.

A protocol is one module or folder of this package. It defines its settings, the numbers that it can carry,
its request and the interpretation of its answers, and ends in its descriptor; `registry.py` lists them. A
simulator of the same name is in `gatectl/sim`.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple

from gatectl.decision.door.grace import GraceRules
from gatectl.decision.routing import Numbers
from gatectl.partners.exchange import Endpoint, PartnerProtocol, PartnerResponse
from gatectl.validators.addresses import ProxyUrl, Url
from gatectl.validators.values import FilePath, Key, KeyFile, Name, Table, Text, whole

Budget = Annotated[int, whole(50, 30_000)]
"""Milliseconds from the complete code to the whole answer. Under 50 not even a near partner answers;
after 30 seconds the member has left the gate."""

Settle = Annotated[int, whole(0, 3600)]
"""Seconds for which a refusal may be the late answer to our own request; 0 is never."""

AlreadyInPerDay = Annotated[int, whole(0, 20)]
"""How often in a day such a refusal lets a member in; 0 is never."""


class GraceSettings(Table):
    """Admission during an outage of this partner. The gym may not be paid for these visits."""

    seen_days: Annotated[int, whole(1, 90)] = 14
    """Only members whom this partner admitted here within these days."""
    visits: Annotated[int, whole(1, 50)] = 2
    """At least so often."""
    admissions: Annotated[int, whole(1, 10_000)] = 60
    """At most so many in one outage."""
    hours: Annotated[int, whole(1, 72)] = 12
    """And no longer than this after the outage began."""
    per_member_h: Annotated[int, whole(1, 72)] = 12
    """One member not more often than once in these hours."""
    probe_ms: Annotated[int, whole(50, 30_000)] = 300
    """The budget in milliseconds with which the partner is asked while the outage lasts; at most
    `budget_ms`."""

    def rules(self) -> GraceRules:
        """Return the settings in the form that the decision takes."""
        return GraceRules(**vars(self))


class PartnerSettings(Table):
    """The settings that all partners have. A protocol adds its own, and its name as `protocol`'s Literal."""

    protocol: Name
    """How the partner is asked."""
    url: Url
    """The partner's address."""
    key: Key
    budget_ms: Budget = 2000
    ca_file: FilePath | None = None
    """A file of certificates in PEM form to trust instead of the system's store."""
    proxy: ProxyUrl | None = None
    """An HTTP proxy that opens a tunnel to the partner (CONNECT)."""
    proxy_key: Key | None = None
    """The name and password for the proxy, as `name:password`."""
    client_certificate: FilePath | None = None
    """A certificate in PEM form, with its chain, by which the partner knows this gym (mutual TLS)."""
    client_key: KeyFile | None = None
    """The private key of the client certificate, in PEM form, without a password."""
    status_page: Text | None = None
    """Shown in advice, never asked."""
    grace: GraceSettings | None = None
    """Left out, nobody is let in without this partner's word."""


class SettlingSettings(PartnerSettings):
    """The settings of partners whose refusals say that a member is in already."""

    settle_s: Settle = 0
    already_in_per_day: AlreadyInPerDay = 0


KeyForm = Literal["key", "header value", "user:password"]
"""How a key is written: visible ASCII without blanks, the same with blanks inside, or any text with a user's
name before a colon."""

Remark = tuple[str | tuple[str | int, ...], str]
"""A setting's name or path, and a warning about its value, which is valid but most likely a mistake."""


class Contradiction(NamedTuple):
    """A setting's place below its partner's table, and why it contradicts another, with hints."""

    where: tuple[str | int, ...]
    what: str
    hints: tuple[str, ...] = ()


def no_contradictions(_raw: Mapping[str, Any]) -> Iterable[Contradiction]:
    """Return none, for a protocol whose settings do not depend on each other."""
    return ()


def no_remarks(_settings: PartnerSettings) -> Iterable[Remark]:
    """Return no warnings, for a protocol without any of its own."""
    return ()


def no_words(_settings: PartnerSettings) -> Iterable[str]:
    """Return no words, for a protocol that works as its own page says."""
    return ()


def never_asks_only(
    _settings: PartnerSettings, _endpoint: Endpoint, _key: str, _other_keys: tuple[str, ...]
) -> None:
    """Return nothing, for a protocol that has no question without a check-in."""


class ProtocolDescriptor(NamedTuple):
    """A protocol. The callables take an instance of `settings`, unless they say otherwise."""

    name: str
    """The value of the setting `protocol`, and the simulator's name."""
    settings: type[PartnerSettings]
    make: Callable[[Any, Endpoint, str, tuple[str, ...]], PartnerProtocol]
    """Makes the pure half of settings, endpoint, key, and the other partners' keys, to be masked."""
    numbers: Callable[[Any], Numbers]
    """The member's numbers that it is asked with, and those which it can carry."""
    already_in: frozenset[str] = frozenset()
    """The keys of refusals that say that the member has been checked in already."""
    any_refusal_may_be_return: bool = False
    """Whether every `not_allowed` may be for a second visit, as no key of its own says so."""
    gives_reasons: Callable[[Any], bool] = lambda _settings: True
    """Returns whether every `not_allowed` carries the partner's reason."""
    make_asking_only: Callable[..., PartnerProtocol | None] = never_asks_only
    """Makes, of what `make` takes, the pure half that asks without checking in; None where there is none."""
    also_called: Mapping[str, str] = MappingProxyType({})
    """Other words that an installer may write as `protocol`, in small letters, each with a hint."""
    examples: Mapping[str, str] = MappingProxyType({})
    """Hints with an example, by the protocol's own settings."""
    contradictions: Callable[[Mapping[str, Any]], Iterable[Contradiction]] = no_contradictions
    """Finds contradictions in the partner's raw table, whose values may be of any type."""
    remarks: Callable[[Any], Iterable[Remark]] = no_remarks
    explain: Callable[[Any], Iterable[str]] = no_words
    """Returns lines for `gatectl check` that say in words how this partner is asked and understood."""
    explain_answer: Callable[[Any, PartnerResponse], str] = lambda _settings, _answer: ""
    """Returns the setting by which an answer was decided, in words."""
    key_form: Callable[[Mapping[str, Any]], KeyForm] = lambda _table: "key"
    """Returns the form of the key, from the partner's table as it is in the file."""
    key_advice: tuple[str, str] = ("", "")
    """The addition to the advice for a refused key, in English and German: what else may be wrong."""
