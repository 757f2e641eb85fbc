"""The partners' part of `gatectl check`: look-up, connection and TLS, and what a given answer would come to.

No protocol here has a request without effects, so none is sent, not even for the time. The remarks about the
clock come from the answers that a running gatectl has received.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from gatectl.cli.check import CheckResult
from gatectl.cli.control import call
from gatectl.config import model
from gatectl.config.model import Settings
from gatectl.config.secrets import PartnerSecrets
from gatectl.daemon.partner_service import Diallers, proxy_of
from gatectl.decision.outcomes import Fault
from gatectl.decision.verdict import Decision
from gatectl.errors import GatectlError, UsageError
from gatectl.partners.exchange import Endpoint, PartnerResponse, interpret
from gatectl.partners.http.answer import BODY_MAX
from gatectl.partners.http.connection import ConnectTiming, PartnerConnection
from gatectl.partners.http.dial import Dialler
from gatectl.partners.http.failure import ExchangeFailed
from gatectl.partners.protocol import PartnerSettings
from gatectl.partners.registry import PROTOCOLS

CONNECT_PATIENCE_S = 10.0
"""Far over any budget: a slow partner is reported as slow, not as absent."""

BEHIND_THE_HANDSHAKE_S = 0.3
"""In TLS 1.3 a refusal of this door's certificate, or a firewall's reset, comes after the handshake: one
way over any line."""

_SOON_DAYS = 14
"""Public certificates are renewed 30 days before they expire; those for 45 days, a week or more before."""

_STEPS = ("the look-up", "the connection", "TLS")

_HINTS = {
    Fault.NETWORK: "this door's own network, name server and firewall come first, then the partner",
    Fault.TLS: "is the clock right (`date`), and does the partner need a ca_file?",
}

_BEHIND_A_PROXY = {
    Fault.NETWORK: "is the address in proxy right, and does it let this machine through to the partner?",
}

_REFUSED = "does the partner want a client certificate, or know this gym's address (an allow list)?"


def partners(
    settings: model.Settings,
    secrets: Mapping[str, PartnerSecrets],
    patience_s: float = CONNECT_PATIENCE_S,
) -> Iterator[CheckResult]:
    """Yield a result for each partner, as it comes; give up a connection after `patience_s`.

    Each is reached in the way that a scan takes.
    """
    diallers = Diallers()
    ahead = _clocks(settings)
    with asyncio.Runner() as runner:
        for name, partner in settings.partners.items():
            endpoint = Endpoint.of(partner.url)
            proxy = proxy_of(partner, secrets[name])
            through = f" through the proxy {proxy}" if proxy else ""
            where = f"partner {name} at {endpoint.host}:{endpoint.port}{through}"
            dialler = diallers.dialler(partner, secrets[name])
            hints = _HINTS | (_BEHIND_A_PROXY if proxy else {})
            yield runner.run(_connection(where, dialler, hints, patience_s, ahead.get(name)))


def _clocks(settings: model.Settings) -> dict[str, int | None]:
    """Seconds by which this clock is ahead of each partner's, as a running gatectl has seen it."""
    try:
        status = call(settings.control.socket, {"command": "status"})
    except GatectlError:
        return {}
    return {name: partner["clock_ahead_s"] for name, partner in status["partners"].items()}


async def _connection(
    where: str, dialler: Dialler, hints: Mapping[Fault, str], patience_s: float, ahead_s: int | None
) -> CheckResult:
    progress: list[ConnectTiming] = []
    try:
        async with asyncio.timeout(patience_s):
            connection = await dialler.dial(progress.append)
    except TimeoutError:
        slow = f"{_STEPS[len(_done(progress[-1]))]} took over {patience_s:g} s"
        return CheckResult(f"{where}: {slow}{_so_far(progress[-1])}", hints[Fault.NETWORK])
    except ExchangeFailed as lost:
        return CheckResult(f"{where}: {lost.fault}: {lost.detail}{_so_far(progress[-1])}", hints[lost.fault])
    try:
        refused = await connection.disturbed_within(BEHIND_THE_HANDSHAKE_S)
        if refused:
            ended = f"{where}: {refused.fault}: {refused.detail}, right behind the handshake"
            return CheckResult(f"{ended}{_so_far(progress[-1])}", _REFUSED)
        return _found(where, progress[-1], connection, ahead_s)
    finally:
        connection.close()


def _found(
    where: str, dialled: ConnectTiming, connection: PartnerConnection, ahead_s: int | None
) -> CheckResult:
    look_up, connected, *tls = (_ms(seconds) for seconds in _done(dialled))
    warnings = []
    line = f"{where}: look-up {look_up}, connect {connected}, TLS "
    if connection.certificate_ends is None:
        line += "none"
    else:
        ends = datetime.fromtimestamp(connection.certificate_ends, UTC)
        left = (ends - datetime.now(UTC)).days
        line += f"{tls[0]} ({connection.tls_version}), certificate to {ends:%Y-%m-%d}"
        if left < _SOON_DAYS:
            warnings.append(
                f"{where}: the certificate ends in {left} days: ask the partner whether it is renewed"
            )
    if ahead_s == 0:
        line += ", clock agrees"
    elif ahead_s is not None:
        off = f"{abs(ahead_s)} s {'ahead of' if ahead_s > 0 else 'behind'} the partner's"
        line += f", clock {off}"
        warnings.append(f"{where}: this machine's clock is {off}, by its last answer: is NTP on? timedatectl")
    return CheckResult(line, warnings=tuple(warnings))


def _so_far(dialled: ConnectTiming) -> str:
    """Describe the completed steps, and how long the failed one was tried."""
    done = _done(dialled)
    tried_s = time.monotonic() - dialled.at - sum(done)
    timed = [f"{step} {_ms(took)}" for step, took in zip(_STEPS, done, strict=False)]
    return f" ({', '.join([*timed, f'tried for {_ms(tried_s)}'])})"


def _done(dialled: ConnectTiming) -> list[float]:
    steps = (dialled.look_up_s, dialled.connect_s, dialled.tls_s)
    return [seconds for seconds in steps if seconds is not None]


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms"


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
