"""The facts in a certificate's file that people and head office see: its name and when it ends."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple


class CertificateFacts(NamedTuple):
    """The name in a file's first certificate, and the times from and to which it is valid."""

    common_name: str
    begins: datetime
    ends: datetime


def facts_of(path: Path) -> CertificateFacts | None:
    """Return the facts of a certificate; None for another file, and for one that cannot be read."""
    if not path.is_file():  # opening a pipe would wait for its writer
        return None
    import ssl  # noqa: PLC0415 - costs more than all else here, and few gates have certificates
    from _ssl import _test_decode_cert  # type: ignore[attr-defined]  # noqa: PLC0415 - no public way to dates

    try:
        decoded = _test_decode_cert(str(path))
    except (ssl.SSLError, OSError):
        return None
    names = [value for part in decoded["subject"] for name, value in part if name == "commonName"]
    begins, ends = (ssl.cert_time_to_seconds(decoded[which]) for which in ("notBefore", "notAfter"))
    common_name = names[-1] if names else ""
    return CertificateFacts(
        common_name, datetime.fromtimestamp(begins, UTC), datetime.fromtimestamp(ends, UTC)
    )
