"""The settings of head office, `fleet.toml`: read them, or report all of their problems, each with its line.

The string below a setting is for who edits the file, as in gatectl-fleet(1). No `from __future__ import
annotations`: tables are read by their annotations.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

from gatectl.config import certificate_files, schema, secrets
from gatectl.config.model import MonitorSettings
from gatectl.config.problems import Lines, Problem, SettingIssue, SettingsError, Where, key_of
from gatectl.config.reader import located, parsed
from gatectl.config.schema import Flaw, InvalidError
from gatectl.errors import near
from gatectl.validators.addresses import BrokerUrl
from gatectl.validators.values import (
    FilePath,
    Key,
    KeyFile,
    KeySource,
    Table,
    Validator,
    refuse,
    settings_of,
    string,
    whole,
)

T = TypeVar("T")

DEFAULT = Path("/etc/gatectl-fleet/fleet.toml")


def _dsn(value: object, _folder: Path) -> str:
    import psycopg  # noqa: PLC0415 - with libpq
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    text = string(value)
    try:
        conninfo_to_dict(text)
    except psycopg.ProgrammingError:
        # libpq's words may show a part of it, and that may be a password.
        raise refuse(
            "is not a connection string of libpq", 'as in "host=db.example.com dbname=gatectl"'
        ) from None
    return text


Dsn = Annotated[str, Validator(_dsn, {"type": "string"})]


class BrokerSettings(Table):
    """The broker, and the certificate with which ingest shows itself there."""

    url: BrokerUrl
    """As in `mqtts://localhost:8883`."""
    certificate: FilePath
    key: KeyFile
    """The certificate's private key, in PEM form."""
    ca_file: FilePath
    """The certificate of the authority that signed the broker's."""


class DatabaseSettings(Table):
    """PostgreSQL."""

    dsn: Dsn
    """As libpq takes it: `host=… dbname=…` or `postgresql://…`, without a password."""
    password: Key | None = None
    """Left out where none is asked for, as over PostgreSQL's own socket."""
    keep_days: Annotated[int, whole(0, 3650)] = 90
    """Events that came in longer ago are pruned; 0 keeps all."""


class FleetMonitorSettings(MonitorSettings):
    """How `gatectl fleet monitor` serves the pages, as `[monitor]` of a gate does."""

    pseudonym_key: Key | None = None
    """The tenant's key, by which members and codes are found by their numbers: 32 bytes as 64 hex digits."""


class FleetSettings(Table):
    """The whole file."""

    broker: BrokerSettings
    database: DatabaseSettings
    monitor: FleetMonitorSettings = FleetMonitorSettings()


_TABLES = {"broker": BrokerSettings, "database": DatabaseSettings, "monitor": FleetMonitorSettings}

_WORDS = {
    schema.MISSING: "is missing",
    schema.UNKNOWN: "is not a known key",
    schema.NO_TABLE: "must be a table",
}
"""Words for what is wrong. A value that is refused brings its own."""


def load(path: Path) -> FleetSettings:
    """Read the settings. Raises SettingsError with every problem."""
    if not path.exists():
        hints = (f"gatectl fleet reads -c PATH, else {DEFAULT}", "`gatectl fleet init DIR` makes one")
        raise SettingsError(path, [Problem(1, "settings", "the file does not exist", hints)])
    text, raw = parsed(path)
    try:
        settings: FleetSettings = schema.read(FleetSettings, raw, path.absolute().parent)
    except InvalidError as error:
        lines = Lines(text)
        raise SettingsError(path, [_problem(flaw, lines) for flaw in error.flaws]) from None
    return settings


def _problem(flaw: Flaw, lines: Lines) -> Problem:
    what, hints = flaw.what or _WORDS.get(flaw.kind, "is not what it should be"), flaw.hints
    if flaw.kind == schema.UNKNOWN:
        *way, name = flaw.where
        known = settings_of(_TABLES[str(way[0])] if way else FleetSettings)
        hints = near(str(name), known) or (f"known here: {', '.join(known)}",)
    return Problem(lines.of(flaw.where), key_of(flaw.where), what, hints)


# --- The files that the settings name ------------------------------------------------------------

_MADE = "`gatectl fleet init DIR` made it"


def require_broker_files(path: Path, broker: BrokerSettings, environ: Mapping[str, str]) -> None:
    """Raise SettingsError with all that is wrong with ingest's certificate and key, and the authority's."""
    if found := list(_about_files(broker, environ)):
        raise located(path, *found)


def _about_files(broker: BrokerSettings, environ: Mapping[str, str]) -> Iterator[SettingIssue]:
    if flaw := certificate_files.flaw_of_authorities(broker.ca_file):
        yield SettingIssue(("broker", "ca_file"), flaw, (_MADE,))
    key = None
    try:
        key = secrets.key_file(broker.key, environ)
    except secrets.KeyRefused as refused:
        yield SettingIssue(("broker", "key"), refused.message, refused.hints)
    for setting, flaw, _ in certificate_files.flaws_of_client(broker.certificate, key, dates=True):
        where = ("broker", setting.removeprefix("client_"))
        yield SettingIssue(where, flaw.replace("client_", ""), (_MADE,))


def password_of(path: Path, database: DatabaseSettings, environ: Mapping[str, str]) -> str | None:
    """Return the database's password, None for none. Raises SettingsError."""
    where = ("database", "password")
    found = secret_of(path, where, database.password, lambda source: secrets.read_password(source, environ))
    return None if found is None else found.value


def secret_of(path: Path, where: Where, source: KeySource | None, read: Callable[[KeySource], T]) -> T | None:
    """Return what `read` makes of a secret's place; None where the settings name none.

    Raises SettingsError for a secret that cannot be used.
    """
    try:
        return None if source is None else read(source)
    except secrets.KeyRefused as refused:
        raise located(path, SettingIssue(where, refused.message, refused.hints)) from None
