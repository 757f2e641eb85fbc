"""The setting that names the place of a key or a password, so that the settings do not hold the secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from gatectl.validators.values import FilePath, Name, TableCheck, Variable, refuse


@dataclass(frozen=True, kw_only=True)
class KeySource:
    """The place of a key or a password: exactly one of the three is set."""

    file: FilePath | None = None
    """A file that holds it alone and that others cannot read."""
    credential: Name | None = None
    """The name of a systemd credential, a file in $CREDENTIALS_DIRECTORY."""
    env: Variable | None = None
    """The name of an environment variable."""


def _exactly_one(source: KeySource) -> KeySource:
    if sum(place is not None for place in (source.file, source.credential, source.env)) != 1:
        raise refuse("must have exactly one of file, credential and env")
    return source


def _in_a_file(source: KeySource) -> KeySource:
    if _exactly_one(source).env is not None:
        raise refuse("must be a file or a credential, since a private key is read from a file")
    return source


_ONE = {"minProperties": 1, "maxProperties": 1}
Key = Annotated[KeySource, TableCheck(_exactly_one, _ONE)]
KeyFile = Annotated[KeySource, TableCheck(_in_a_file, _ONE)]
"""The place of a private key in PEM form."""
