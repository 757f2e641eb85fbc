"""Check a partner's own certificate authorities: can the file be used?"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gatectl.config.cross_checks import tables
from gatectl.config.problems import SettingIssue
from gatectl.validators.values import resolve

_HINT = "ca_file holds the certificates to trust, in PEM form; leave it out to use the system's store"


def findings(raw: dict[str, Any], folder: Path) -> Iterator[SettingIssue]:
    """Yield the problems of each `ca_file`."""
    for name, partner in tables(raw, "partners"):
        text = partner.get("ca_file")
        path = resolve(text, folder) if isinstance(text, str) else None
        flaw = path and _flaw(path)
        if flaw:
            yield SettingIssue(("partners", name, "ca_file"), flaw, (_HINT,))


def _flaw(path: Path) -> str | None:
    import ssl  # noqa: PLC0415 - costs a quarter of this package's import, and few settings need it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return f"{path} is not a plain file"  # and opening a pipe would block the start
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        return f"{path} holds no certificates"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return None if context.cert_store_stats()["x509"] else f"{path} holds no certificates"
