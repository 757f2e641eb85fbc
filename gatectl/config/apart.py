"""Reads the settings beside the daemon's start, in a process of its own that ends when they are read.

What reading needs, pydantic's engine above all, is a tenth of the daemon's memory: so it is never the
daemon's. Meanwhile the daemon imports its own modules, on another core.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping
from functools import partial
from typing import Never

from gatectl.config.model import Secret, Settings

Read = tuple[Settings, dict[str, Secret]]


def begin(given: str | None, environ: Mapping[str, str]) -> Callable[[], Read]:
    """What is returned waits for the settings and the keys, and is to be called once.

    `given` is the path, if one was given (see `reader.find`). No thread may run yet: the process forks.
    """
    taking, giving = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(taking)
        _hand_over(giving, given, environ)
    os.close(giving)
    return partial(_taken_over, taking, child, given, environ)


def _hand_over(giving: int, given: str | None, environ: Mapping[str, str]) -> Never:
    status = os.EX_SOFTWARE
    try:
        with os.fdopen(giving, "wb") as pipe:
            pickle.dump(_read(given, environ), pipe)
        status = os.EX_OK
    finally:
        # At once, and without a word: what is wrong the parent finds again, and says it.
        os._exit(status)


def _taken_over(taking: int, child: int, given: str | None, environ: Mapping[str, str]) -> Read:
    with os.fdopen(taking, "rb") as pipe:
        handed = pipe.read()
    try:
        _, status = os.waitpid(child, 0)
    except ChildProcessError:
        status = os.EX_SOFTWARE  # whoever started us ignores SIGCHLD, and the kernel forgot how it ended
    if status == os.EX_OK:
        read: Read = pickle.loads(handed)  # noqa: S301 - from our own child
        return read
    return _read(given, environ)


def _read(given: str | None, environ: Mapping[str, str]) -> Read:
    """Raises SettingsError with all that is wrong."""
    from gatectl.config.reader import find, load_with_keys  # noqa: PLC0415 - what the daemon does without

    return load_with_keys(find(given, environ), environ)
