"""Check certificates' files: can they be used, and for how long?"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatectl.config.cross_checks import tables
from gatectl.config.problems import SettingIssue, UnusableIssue
from gatectl.config.secrets import PartnerSecrets
from gatectl.partners.protocol import PartnerSettings
from gatectl.validators.values import facts_of, resolve

SOON_DAYS = 30
"""A gym needs weeks to get a new certificate: a person at the partner signs it."""

_CA_HINT = "ca_file holds the certificates to trust, in PEM form; leave it out to use the system's store"
_CERTIFICATE_HINT = "it holds the certificate that the partner signed for this gym, in PEM form"
_KEY_HINT = "it holds the certificate's private key, in PEM form"
_OPEN_HINT = "the service starts without a person: openssl pkey -in KEY -out NEW writes it without a password"


def issues(
    raw: dict[str, Any], folder: Path, secrets: Mapping[str, PartnerSecrets], *, dates: bool = True
) -> Iterator[SettingIssue]:
    """Yield the problems of the partners' `ca_file` and client certificates.

    Without `dates` an expired certificate is none: a machine without a clock of its own starts in the past.
    """
    for name, partner in tables(raw, "partners"):
        where = ("partners", name)
        ca_file, certificate = _path(partner, "ca_file", folder), _path(partner, "client_certificate", folder)
        if ca_file is not None and (flaw := flaw_of_authorities(ca_file)):
            yield UnusableIssue((*where, "ca_file"), flaw, (_CA_HINT,))
        key = secrets[name].client_key if name in secrets else None
        if certificate is not None:
            for setting, flaw, hint in flaws_of_client(certificate, key, dates=dates):
                yield UnusableIssue((*where, setting), flaw, (hint,))


def expiring(partners: Mapping[str, PartnerSettings]) -> Iterator[str]:
    """Yield a warning for each client certificate that ends within `SOON_DAYS`."""
    for name, partner in partners.items():
        facts = partner.client_certificate and facts_of(partner.client_certificate)
        if facts and (left := (facts.ends - datetime.now(UTC)).days) < SOON_DAYS:
            yield (
                f"partners.{name}.client_certificate: it ends in {left} days, on {facts.ends:%Y-%m-%d}: "
                "ask the partner for a new one"
            )


def _path(partner: dict[str, Any], key: str, folder: Path) -> Path | None:
    text = partner.get(key)
    return resolve(text, folder) if isinstance(text, str) else None


def _unreadable(path: Path) -> str | None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return f"{path} is not a plain file"  # and opening a pipe would block the start
        with path.open("rb"):
            return None
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"


def flaw_of_authorities(path: Path) -> str | None:
    """Return what is wrong with a file of certificates to trust."""
    return _unreadable(path) or (None if _holds_certificates(path) else f"{path} holds no certificates")


def _holds_certificates(path: Path) -> bool:
    import ssl  # noqa: PLC0415 - costs a quarter of this package's import, and few settings need it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=path)
    except (ssl.SSLError, OSError):
        return False
    return bool(context.cert_store_stats()["x509"])


def flaws_of_client(certificate: Path, key: Path | None, *, dates: bool) -> Iterator[tuple[str, str, str]]:
    """Yield setting, flaw and hint. The key is None where its own problem is reported elsewhere."""
    if flaw := _unreadable(certificate):
        yield "client_certificate", flaw, _CERTIFICATE_HINT
        return
    facts = facts_of(certificate) if dates else None
    if not (facts or _holds_certificates(certificate)):
        yield "client_certificate", f"{certificate} holds no certificate", _CERTIFICATE_HINT
        return
    if facts is not None:
        yield from _flaws_of_dates(facts.begins, facts.ends, datetime.now(UTC))
    if key is not None:
        yield from _flaws_of_pair(certificate, key)


def _flaws_of_dates(begins: datetime, ends: datetime, now: datetime) -> Iterator[tuple[str, str, str]]:
    if ends < now:
        yield "client_certificate", f"expired on {ends:%Y-%m-%d}", "ask the partner for a new one"
    elif begins > now:
        yield (
            "client_certificate",
            f"is not valid before {begins:%Y-%m-%d}",
            "is the clock right? timedatectl",
        )


def _flaws_of_pair(certificate: Path, key: Path) -> Iterator[tuple[str, str, str]]:
    import ssl  # noqa: PLC0415

    asked: list[bool] = []

    def no_password() -> str:
        asked.append(True)
        return ""

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, no_password)
    except (ssl.SSLError, OSError) as error:
        if asked:
            yield "client_key", f"{key} is protected by a password", _OPEN_HINT
        elif getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            hint = "each certificate has one key: the one with which it was requested"
            yield "client_key", f"{key} does not belong to client_certificate", hint
        else:
            yield "client_key", f"{key} holds no private key that can be read", _KEY_HINT
