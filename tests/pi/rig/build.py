"""The image in all its layers, and how long each took to make."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rig import host
from rig.base import base
from rig.image import Image, image
from rig.snapshot import ensure_booted


def ready_image() -> Image:
    """The image with its snapshot, built where they are not there. Raises CannotError."""
    host.require_programs()
    with _timed("base"):
        lower = base()
    with _timed("image"):
        upper = image(lower)
    with _timed("snapshot"):
        ensure_booted(upper)
    return upper


@contextmanager
def _timed(what: str) -> Iterator[None]:
    """Says how long it took, where it was more than a look."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    if took > 2:
        print(f"{what}: {took:.0f} s", file=sys.stderr)  # noqa: T201
