"""The rows of a measurement, of one figure each, and the figures of a series of times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class Unavailable(Exception):
    """A measurement that this machine does not allow; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `at_most` or `at_least` is its target; `beside` is the same figure of the baseline."""

    figure: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    beside: float | None = None
    note: str = ""

    @property
    def target(self) -> str:
        """In words; empty where there is none."""
        if self.at_most is not None:
            return f"≤ {self.at_most:g}"
        return "" if self.at_least is None else f"≥ {self.at_least:g}"

    @property
    def reached(self) -> bool | None:
        """None where there is no target; a figure that could not be had (NaN) reaches none."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return None if self.at_least is None else self.value >= self.at_least

    def to_json(self) -> dict[str, Any]:
        """All fields, numbers as they are; what is not finite is null."""
        return {
            "figure": self.figure,
            "value": self.value if math.isfinite(self.value) else None,
            "unit": self.unit,
            "target": self.target or None,
            "reached": self.reached,
            "beside": self.beside,
            "note": self.note,
        }


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that this share of them does not exceed; NaN of none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def median(values: Sequence[float]) -> float:
    return quantile(values, 0.5)
