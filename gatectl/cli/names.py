"""Check names in filters: an unknown name is a typing error, which would silently match nothing."""

from __future__ import annotations

from collections.abc import Iterable

from gatectl.errors import GatectlError, near
from gatectl.journal.reader import Named, Reader


def require_known(what: Named, name: str | None, set_up: Iterable[str], reader: Reader) -> None:
    """Raise GatectlError for a name that is neither set up nor in the journal; None is any name."""
    if name is None or name in (known := list(set_up)):
        return
    known = sorted({*known, *reader.names(what)})
    if name not in known:
        hints = near(name, known) or (f"there are: {', '.join(known) or 'none'}",)
        raise GatectlError(f"there is no {what} {name!r}, neither in the settings nor in the journal", *hints)
