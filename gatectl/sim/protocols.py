"""Serve all protocols together: find the protocol of a request, and the answer to play."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import format_datetime

from gatectl.decision.verdict import Verdict
from gatectl.sim import capitan, perfectgym, wellhub
from gatectl.sim.catalogue import LATE_S, Entry, find
from gatectl.sim.http import ProtocolName, ReceivedRequest, Reply, text_reply
from gatectl.sim.partner_state import CheckInRequest, PartnerState
from gatectl.sim.script import Build, Scenario, Script, whole


@dataclass(frozen=True, slots=True)
class SimulatedProtocol:
    """The entry that is played, the member, and a description; `protocol` and `member` may be missing."""

    protocol: ProtocolName | None
    member: str | None
    what: str
    script: Script


@dataclass(frozen=True, slots=True)
class _Desk:
    """The check-in functions of a protocol."""

    read: Callable[[ReceivedRequest, PartnerState], CheckInRequest | Reply]
    success: Callable[[str, datetime], Reply]
    not_found: Callable[[], Reply]


_DESKS: dict[ProtocolName, _Desk] = {
    "perfectgym": _Desk(perfectgym.read, perfectgym.success, perfectgym.not_found),
    "wellhub": _Desk(wellhub.read, wellhub.success, wellhub.not_found),
    "capitan": _Desk(capitan.read, capitan.success, capitan.not_found),
}


def play(request: ReceivedRequest, state: PartnerState, now: datetime) -> SimulatedProtocol:
    """Return the answer to a whole request. Changes the books, the partners' memory."""
    protocol = _protocol_of(request.target)
    if request.method == "HEAD":
        return _refusal(protocol, Reply(405))  # no protocol has it, and its answer has no body
    if protocol is None:
        return _refusal(None, text_reply(404, "Not Found"))
    if request.target.startswith(wellhub.CODE):
        return _change_code(request, state, now)
    check_in = _DESKS[protocol].read(request, state)
    if isinstance(check_in, Reply):
        return _refusal(protocol, check_in)
    return _check_in(protocol, check_in, state, now)


def _protocol_of(target: str) -> ProtocolName | None:
    if target == perfectgym.PATH:
        return "perfectgym"
    if target == wellhub.VALIDATE or target.startswith(wellhub.CODE):
        return "wellhub"
    if target.startswith(capitan.PREFIX):
        return "capitan"
    return None


def _check_in(
    protocol: ProtocolName, check_in: CheckInRequest, state: PartnerState, now: datetime
) -> SimulatedProtocol:
    desk, member = _DESKS[protocol], check_in.member
    entry = find(protocol, member)
    if entry is None:
        return SimulatedProtocol(protocol, member, "not found", whole(_dated(desk.not_found(), now)))
    if check_in.custom_code is not None and _knows_check_in(entry):
        state.codes[member] = check_in.custom_code
    build = _build(entry, state)
    success = _dated(desk.success(member, now), now)
    return SimulatedProtocol(
        protocol, member, entry.what, build(Scenario(member, success, LATE_S[protocol], now))
    )


def _dated(reply: Reply, now: datetime) -> Reply:
    """Add the Date that every server with a clock sends (RFC 9110, section 6.6.1)."""
    return replace(reply, headers=(*reply.headers, ("Date", format_datetime(now, usegmt=True))))


def _build(entry: Entry, state: PartnerState) -> Build:
    """The answer that this entry plays now. If the partner remembers, this request counts from here on."""
    if entry.then is None:
        return entry.build
    member = (entry.protocol, entry.id)
    if member in state.validated:
        return entry.then
    state.validated.add(member)
    return entry.build


def _knows_check_in(entry: Entry) -> bool:
    """Whether it has custom codes: check-ins good, cancelled, expired or validated do, errors do not."""
    return entry.verdict in {Verdict.ALLOWED, Verdict.NOT_ALLOWED} or entry.then is not None


def _change_code(request: ReceivedRequest, state: PartnerState, now: datetime) -> SimulatedProtocol:
    """Change a custom code. An ID with a fault at check-in has it here too, and its code stays unchanged.

    If a check-in counts although its answer is lost, so does the first change of the code.
    """
    change = wellhub.read_code(request, state)
    if isinstance(change, Reply):
        return _refusal("wellhub", change)
    entry = find("wellhub", change.member)
    is_lost = entry is not None and entry.fault is not None and change.member not in state.unanswered_codes
    if entry is None or not is_lost:
        reply = _dated(wellhub.change_code(change, state.codes), now)
        return SimulatedProtocol("wellhub", change.member, f"custom code: {reply.status}", whole(reply))
    is_taken = entry.then is not None
    if is_taken:
        state.unanswered_codes.add(change.member)
    reply = wellhub.change_code(change, state.codes if is_taken else dict(state.codes))
    script = entry.build(Scenario(change.member, reply, LATE_S["wellhub"], now))
    return SimulatedProtocol("wellhub", change.member, f"custom code: {entry.what}", script)


def _refusal(protocol: ProtocolName | None, reply: Reply) -> SimulatedProtocol:
    return SimulatedProtocol(protocol, None, f"refused: {reply.status}", whole(reply))
