"""The measured partner's reactions to a check-in: a good answer, or seven kinds that must open nothing."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

Kind = Literal["good", "drip", "hang", "reset", "truncated", "garbage", "late", "large"]

HOSTILE: tuple[Kind, ...] = ("drip", "hang", "reset", "truncated", "garbage", "late", "large")

LARGE = 70_000
"""Bytes of a body that is over the cap of 64 KiB."""

BODY = (
    b'{"metadata":{"total":1,"errors":0},"results":{"user":{"gympass_id":"1000000000000"},'
    b'"gym":{"Id":1234,"product":{"Id":77,"description":"Open gym"}},"validated_at":"2026-11-22T19:35:00Z"}}'
)
"""A success as Wellhub documents it."""


@dataclass(frozen=True, slots=True)
class Step:
    """Wait, then send."""

    after_s: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Script:
    """The steps, and whether the connection is `kept`, `closed`, `reset`, or left `open` in silence."""

    steps: tuple[Step, ...]
    end: Literal["kept", "closed", "reset", "open"]


def success(body: bytes = BODY, *, length: int | None = None) -> bytes:
    """An answer of status 200; `length` is what it says of its body, the truth if None."""
    said = len(body) if length is None else length
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % said + body


GOOD = Script((Step(0.0, success()),), "kept")


def kind_of(seed: int, member: str, *, hostile: bool) -> Kind:
    """This member's reaction; the same for the same seed. One in eight is good, so that gates do open."""
    return random.Random(f"{seed}:{member}").choice(("good", *HOSTILE)) if hostile else "good"


def script_of(kind: Kind, seed: int, member: str, budget_s: float) -> Script:
    """The performance, with its own chances; every one but `good` must end without an open gate."""
    chance = random.Random(f"{seed}:{member}:{kind}")
    whole = success()
    match kind:
        case "good":
            return GOOD
        case "drip":
            pause_s = 2 * budget_s / len(whole)
            return Script(tuple(Step(pause_s, whole[at : at + 1]) for at in range(len(whole))), "kept")
        case "hang":
            return Script((), "open")
        case "reset":
            return Script((Step(chance.uniform(0, budget_s / 4), whole[: chance.randrange(60)]),), "reset")
        case "truncated":
            return Script((Step(0.0, success(length=len(BODY) + 10)),), "closed")
        case "garbage":
            return Script((Step(0.0, chance.randbytes(chance.randint(1, 400))),), "open")
        case "late":
            return Script((Step(budget_s * chance.uniform(1.0, 1.2) + 0.002, whole),), "kept")
        case "large":
            return Script((Step(0.0, success(BODY.ljust(LARGE))),), "kept")
