"""Check the files of `[uplink]`: the gate's certificate, its key, the authorities, the key of pseudonyms.

The daemon neither reads these files nor imports this module.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from gatectl.config import certificate_files, secrets
from gatectl.config.model import UplinkSettings
from gatectl.config.problems import SettingIssue
from gatectl.config.secrets import KeyRefused
from gatectl.errors import SUDO
from gatectl.validators.values import KeySource, facts_of

SOON_DAYS = 60
"""Head office signs a new one within days; a fleet's technician has many gates to visit."""

_RENEW = "sudo gatectl uplink csr makes a request for a new one, which head office signs"
_KEY_BYTES = 32


class UnreadableIssue(SettingIssue):
    """A file that this user may not read: the service's user may."""

    __slots__ = ()


def issues(
    uplink: UplinkSettings, environ: Mapping[str, str], *, dates: bool = True
) -> Iterator[SettingIssue]:
    """Yield the problems. Without `dates` an expired certificate is none: the clock may not be set yet."""
    readable = {}
    for setting in ("certificate", "ca_file", "key", "pseudonym_key"):
        path = _path(uplink, setting)
        readable[setting] = path is None or _may_read(path)
        if not readable[setting]:
            yield UnreadableIssue(("uplink", setting), f"{path} cannot be read by this user", (SUDO,))
    if readable["ca_file"] and (flaw := certificate_files.flaw_of_authorities(uplink.ca_file)):
        hint = "it holds head office's CA certificate, in PEM form: gatectl fleet init made it"
        yield SettingIssue(("uplink", "ca_file"), flaw, (hint,))
    key = None
    if readable["key"]:
        try:
            key = secrets.key_file(uplink.key, environ)
        except KeyRefused as refused:
            yield SettingIssue(("uplink", "key"), refused.message, (*refused.hints[:1], _RENEW))
    if readable["certificate"]:
        yield from _about_certificate(uplink, key, dates=dates)
    if uplink.pseudonym_key is not None and readable["pseudonym_key"]:
        try:
            pseudonym_key(uplink.pseudonym_key, environ)
        except KeyRefused as refused:
            yield SettingIssue(("uplink", "pseudonym_key"), refused.message, refused.hints)


def expiring(uplink: UplinkSettings) -> Iterator[str]:
    """Yield a warning if the certificate ends soon."""
    facts = facts_of(uplink.certificate)
    if facts is not None and (left := (facts.ends - datetime.now(UTC)).days) < SOON_DAYS:
        yield f"uplink.certificate: it ends in {left} days, on {facts.ends:%Y-%m-%d}: {_RENEW}"


def pseudonym_key(source: KeySource, environ: Mapping[str, str]) -> bytes:
    """Return the key of pseudonyms. Raises KeyRefused, whose message does not hold it."""
    text = secrets.read(source, environ).value
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        hint = "it is the file that head office has for all gates; openssl rand -hex 32 makes the first one"
        raise KeyRefused(f"the key is not {2 * _KEY_BYTES} hex digits", hint)
    return key


def _path(uplink: UplinkSettings, setting: str) -> Path | None:
    value = getattr(uplink, setting)
    return value.file if isinstance(value, KeySource) else value


def _may_read(path: Path) -> bool:
    """Return False only where the file's or a folder's mode keeps this user away."""
    try:
        path.stat()
    except PermissionError:
        return False
    except OSError:
        return True
    return os.access(path, os.R_OK)


def _about_certificate(uplink: UplinkSettings, key: Path | None, *, dates: bool) -> Iterator[SettingIssue]:
    for setting, flaw, _ in certificate_files.flaws_of_client(uplink.certificate, key, dates=dates):
        where = ("uplink", setting.removeprefix("client_"))
        yield SettingIssue(where, flaw.replace("client_", ""), (_RENEW,))
    facts = facts_of(uplink.certificate)
    if facts is not None and facts.common_name != uplink.device:
        what = f"is for {facts.common_name!r}, and uplink.device is {uplink.device!r}"
        yield SettingIssue(("uplink", "certificate"), what, ("both must be the gate's name in the fleet",))
