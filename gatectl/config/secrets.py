"""Read the partners' secrets from the places in the settings, and check that they fit their use."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from gatectl.config import schema
from gatectl.config.cross_checks import tables
from gatectl.config.model import Secret
from gatectl.config.problems import SettingIssue, UnusableIssue, key_hint
from gatectl.errors import SUDO_OR_GROUP, GatectlError
from gatectl.partners.protocol import KeyForm
from gatectl.partners.registry import PROTOCOLS
from gatectl.validators.values import Key, KeySource, is_visible_ascii

KEY_CHARS_LEAST = 16
"""Characters. Shorter keys can be guessed."""

MAX_BYTES = 8192
"""No server takes a longer header (8 KiB is nginx's and Apache's limit); a longer file is another file."""


_SCHEME = re.compile(r"(Bearer|Token)\s", re.IGNORECASE)
"""The word before a key in an Authorization header."""


class KeyRefused(GatectlError):
    """A key cannot be used; the message does not hold it."""


class KeyExposed(KeyRefused):
    """Others can read the key: a mistake in the set-up, which is refused at any time."""


NO_KEY = Secret("")


class PartnerSecrets(NamedTuple):
    """The secrets of one partner; None for those that its settings do not name."""

    key: Secret = NO_KEY
    """Empty for a partner that is asked without one."""
    proxy_key: Secret | None = None
    """`name:password`."""
    client_key: Path | None = None
    """A file that only gatectl can read: OpenSSL reads it itself."""


def collect(
    raw: dict[str, Any], folder: Path, environ: Mapping[str, str]
) -> tuple[dict[str, PartnerSecrets], list[SettingIssue]]:
    """Return the secrets of the partners that have all of theirs, by name, and the problems of the others.

    Works on the raw tables, so that a key is checked even where the rest of its partner is wrong.
    """
    secrets: dict[str, PartnerSecrets] = {}
    found: list[SettingIssue] = []
    for name, partner in tables(raw, "partners"):
        held: dict[str, Any] = {}
        for setting, source in _sources(partner, folder):
            try:
                held[setting] = _readers(partner)[setting](source, environ)
            except KeyRefused as refused:
                found.append(_issue(name, setting, source, partner[setting], refused))
        if "key" in held or "key" not in partner:
            secrets[name] = PartnerSecrets(**held)
    return secrets, found


def _sources(partner: dict[str, Any], folder: Path) -> Iterator[tuple[str, KeySource]]:
    """Yield the settings of a partner that name secrets, each with the place that it names."""
    for setting in [name for name in ("key", "proxy_key", "client_key") if name in partner]:
        with suppress(schema.InvalidError):  # a wrong shape is reported with the rest of the model
            yield setting, schema.read(Key, partner[setting], folder)


def _readers(partner: Mapping[str, Any]) -> Mapping[str, Callable[[KeySource, Mapping[str, str]], Any]]:
    """Return the readers of a partner's secrets, by the settings that name them."""
    descriptor = PROTOCOLS.get(str(partner.get("protocol")))
    form: KeyForm = descriptor.key_form(partner) if descriptor else "key"
    return {"key": partial(read, form=form), "proxy_key": read_proxy_key, "client_key": key_file}


def _issue(
    partner: str, setting: str, source: KeySource, raw: Mapping[str, str], refused: KeyRefused
) -> SettingIssue:
    place = next(key for key in ("file", "credential", "env") if getattr(source, key) is not None)
    where = ("partners", partner, setting, place)
    if _looks_like_a_key(place, raw[place]):
        # The message of the refusal would show it.
        hints = (key_hint(partner, setting),)
        return UnusableIssue(where, "is not there; is this the key itself?", hints)
    kind = SettingIssue if isinstance(refused, KeyExposed) else UnusableIssue
    return kind(where, refused.message, refused.hints)


def _looks_like_a_key(place: str, text: str) -> bool:
    """Guess whether the key itself was written instead of its place.

    Keys are long and mix letters and digits. Paths have slashes, names of variables are capitals.
    """
    is_mixed = any(map(str.isdigit, text)) and any(map(str.isalpha, text))
    is_name = "/" in text or (place == "env" and text.isupper())
    return len(text) >= KEY_CHARS_LEAST and is_mixed and not is_name


def read(source: KeySource, environ: Mapping[str, str], form: KeyForm = "key") -> Secret:
    """Return the key without surrounding white space.

    Raises KeyRefused if it is missing, empty, readable by others, or not of its form.
    """
    content = _held(source, environ)
    if form == "user:password":
        return _fit_user(content)
    return _fit(content, with_blanks=form == "header value")


def read_proxy_key(source: KeySource, environ: Mapping[str, str]) -> Secret:
    """Return `name:password` for a proxy. Raises KeyRefused as `read_password` does, and without a colon."""
    secret = read_password(source, environ)
    name, colon, _ = secret.value.partition(":")
    if not (name and colon and secret.value.isprintable()):
        raise KeyRefused("is not a name and a password", "the file holds name:password on one line")
    return secret


def key_file(source: KeySource, environ: Mapping[str, str]) -> Path:
    """Return the file of a private key, which can be read here and not by others; raises KeyRefused."""
    if source.file is not None:
        path, absent = source.file, "put the private key there, in PEM form"
    else:
        path, absent = _credential(source.credential or "", environ)
    _content(path, absent, private=source.file is not None)
    return path


def read_password(source: KeySource, environ: Mapping[str, str]) -> Secret:
    """Return a password for people, without white space at its ends: any UTF-8 text, blanks and umlauts too.

    Raises KeyRefused, with the place in its message, if it is missing, empty, or readable by others.
    """
    place = source.file or (f"the credential {source.credential}" if source.credential else f"${source.env}")
    content = _held(source, environ)
    if len(content) > MAX_BYTES:
        raise KeyRefused(f"{place} is longer than {MAX_BYTES} bytes", "the file holds the password alone")
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise KeyRefused(f"{place}: the password is not UTF-8 text", "save the file as UTF-8") from None
    if not text:
        raise KeyRefused(f"{place}: the password is empty", "put a password on the first line")
    return Secret(text)


def _held(source: KeySource, environ: Mapping[str, str]) -> bytes:
    """Return the bytes that the source holds."""
    if source.file is not None:
        return _content(source.file, "put it alone into this file", private=True)
    if source.credential is not None:
        return _content(*_credential(source.credential, environ), private=False)
    variable = source.env or ""
    if variable not in environ:
        raise KeyRefused(f"${variable} is not set", "set it where gatectl is started")
    return os.fsencode(environ[variable])


def _credential(name: str, environ: Mapping[str, str]) -> tuple[Path, str]:
    """Return the path of a systemd credential, which only the service sees, and the hint if it is missing."""
    load = f"give the service LoadCredential={name}:PATH, with the path of the file that holds it"
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise KeyRefused(
            "$CREDENTIALS_DIRECTORY is not set, so there are no credentials", f"{load}, or use file"
        )
    if "/" in name or "\0" in name or name in {".", ".."}:
        raise KeyRefused("is not the name of a credential", "it is the NAME in LoadCredential=NAME:PATH")
    return Path(folder) / name, load


def _content(path: Path, absent: str, *, private: bool) -> bytes:
    """Read at most one byte more than a key may have; `absent` is the hint for a missing file."""
    try:
        # Do not wait for a writer: a pipe instead of the file must not block the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise KeyRefused(f"{path} is not a plain file", absent)
            if private and mode & stat.S_IROTH:
                raise KeyExposed(f"{path} can be read by everyone on this machine", f"chmod 640 {path}")
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise KeyRefused(f"{path} does not exist", absent) from None
    except OSError as error:
        hint = "the service's user must be able to: chgrp gatectl (at head office gatectl-fleet), chmod 640"
        raise KeyRefused(f"{path} cannot be read: {error.strerror}", SUDO_OR_GROUP, hint) from None


def _fit_user(content: bytes) -> Secret:
    if len(content) > MAX_BYTES:
        raise KeyRefused(f"is longer than the {MAX_BYTES} bytes of a key", "the file holds the key alone")
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise KeyRefused("user and password are not UTF-8 text", "save the file as UTF-8") from None
    user, colon, _ = text.partition(":")
    if not (user and colon and text.isprintable()):
        raise KeyRefused("the key is not user:password", 'with auth = "basic" it is one line, user:password')
    return Secret(text)


def _fit(content: bytes, *, with_blanks: bool) -> Secret:
    key = content.strip()
    if not key:
        raise KeyRefused("the key is empty", "put the key that the partner gave there")
    if len(content) > MAX_BYTES:
        raise KeyRefused(f"is longer than the {MAX_BYTES} bytes of a key", "the file holds the key alone")
    # Latin-1 decodes any bytes; the caller refuses those that are not ASCII.
    text = key.decode("latin-1")
    if not with_blanks and (word := _SCHEME.match(text)):
        raise KeyRefused(f"begins with the word {word[1]}", "put the key alone there: gatectl adds that word")
    if not is_visible_ascii(text.replace(" ", "") if with_blanks else text):
        raise KeyRefused(
            "the key holds characters that cannot be in an HTTP header",
            "a key is one line of visible ASCII characters without blanks",
        )
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        raise KeyRefused("the key is in quotes", "put the key alone there, without quotes")
    return Secret(text)
