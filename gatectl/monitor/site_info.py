"""The settings, as far as the pages need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SiteInfo:
    """The site, its doors by name, and of each partner, by its name, the status page."""

    tenant: str
    studio: str
    doors: tuple[str, ...]
    status_pages: Mapping[str, str | None]
