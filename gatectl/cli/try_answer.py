"""The part of `gatectl check` that says what a given answer would come to, at each partner."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from gatectl.config.model import Settings
from gatectl.config.secrets import PartnerSecrets
from gatectl.decision.verdict import Decision
from gatectl.errors import GatectlError, UsageError
from gatectl.partners.exchange import Endpoint, PartnerResponse, interpret
from gatectl.partners.http.answer import BODY_MAX
from gatectl.partners.protocol import PartnerSettings
from gatectl.partners.registry import PROTOCOLS

STATUSES = range(200, 1000)
"""Those of final answers; h11 takes any number of three digits."""


def outcomes(
    settings: Settings, secrets: Mapping[str, PartnerSecrets], status: str, file: str | None
) -> Iterator[str]:
    """Yield a line for each partner. `file` is the path of a body, `-` standard input, None an empty body.

    Raises UsageError for another status, GatectlError for a body that cannot be read.
    """
    if not (status.isascii() and status.isdigit() and int(status) in STATUSES):
        span = f"{STATUSES[0]} to {STATUSES[-1]}"
        raise UsageError(f"gatectl check: {status!r} is not the status of an answer, {span}")
    answer = PartnerResponse(int(status), {}, b"" if file is None else _body(file))
    for name, partner in settings.partners.items():
        keys = {other: one.key.value for other, one in secrets.items() if one.key.value}
        key = keys.pop(name, "")
        yield f"partner {name}: {_outcome(partner, key, tuple(keys.values()), answer)}"


def _body(path: str) -> bytes:
    try:
        if path == "-":
            return sys.stdin.buffer.read(BODY_MAX + 1)
        with Path(path).open("rb") as file:
            return file.read(BODY_MAX + 1)
    except OSError as error:
        raise GatectlError(
            f"{path} cannot be read: {error.strerror}", "FILE holds the answer's body alone, without its head"
        ) from error


def _outcome(partner: PartnerSettings, key: str, other_keys: tuple[str, ...], answer: PartnerResponse) -> str:
    if len(answer.body) > BODY_MAX:
        return f"no verdict (fault partner): answer larger than {BODY_MAX // 1024} KiB"
    descriptor = PROTOCOLS[partner.protocol]
    protocol = descriptor.make(partner, Endpoint.of(partner.url), key, other_keys)
    decision = interpret(protocol, answer)
    by = descriptor.explain_answer(partner, answer) if decision.by_rule else ""
    return _in_words(decision) + (f", {by}" if by else "")


def _in_words(decision: Decision) -> str:
    if decision.fault is not None:
        return f"no verdict (fault {decision.fault.value}): {decision.detail}"
    verdict = "" if decision.verdict is None else decision.verdict.value.replace("_", " ")
    reason = decision.reason
    said = ": ".join(part for part in (reason.key, reason.text) if part) if reason else ""
    opens = "the gate opens" if decision.admits else "the gate stays shut"
    return f"{verdict}, {opens}" + (f", reason: {said}" if said else "")
