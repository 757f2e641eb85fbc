"""The settings of head office, `fleet.toml`: read them, or report all of their problems, each with its line.

The string below a setting is for who edits the file, as in gatectl-fleet(1). No `from __future__ import
annotations`: tables are read by their annotations.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from gatectl.config import certificate_files, schema, secrets
from gatectl.config.model import MonitorSettings
from gatectl.config.problems import Lines, Problem, SettingIssue, SettingsError, Where, key_of
from gatectl.config.reader import located, parsed
from gatectl.config.schema import Flaw, InvalidError
from gatectl.errors import SUDO, near
from gatectl.journal.reader import UnreadableError
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

if TYPE_CHECKING:
    from psycopg import ConnectionInfo

T = TypeVar("T")

DEFAULT = Path("/etc/gatectl-fleet/fleet.toml")

POSTGRESQL_LEAST = 15
"""The version of Debian 12."""

_KEY_HINT = 'put it alone into a file with mode 640, and write {} = {{ file = "{}" }}'


def _dsn(value: object, _folder: Path) -> str:
    import psycopg  # noqa: PLC0415 - with libpq
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    text = string(value)
    try:
        given = conninfo_to_dict(text)
    except psycopg.ProgrammingError:
        # libpq's words may show a part of it, and that may be a password.
        raise refuse(
            "is not a connection string of libpq", 'as in "host=db.example.com dbname=gatectl"'
        ) from None
    if "password" in given:
        raise refuse("must not have the password", _KEY_HINT.format("password", "database-password"))
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
    schema.NO_LIST: "must be a list in square brackets",
}
"""Words for what is wrong. A value that is refused brings its own."""


def load(path: Path) -> FleetSettings:
    """Read the settings. Raises SettingsError with every problem."""
    _require_readable(path)
    text, raw = parsed(path)
    try:
        settings: FleetSettings = schema.read(FleetSettings, raw, path.absolute().parent)
    except InvalidError as error:
        lines = Lines(text)
        raise SettingsError(path, [_problem(flaw, lines) for flaw in error.flaws]) from None
    return settings


def _require_readable(path: Path) -> None:
    hints = (f"gatectl fleet reads -c FILE, else {DEFAULT}", "`gatectl fleet init DIR` makes one")
    try:
        with path.open("rb"):
            return
    except (FileNotFoundError, NotADirectoryError):
        problem = Problem(1, "settings", "the file does not exist", hints)
    except OSError as error:
        about = (SUDO,) if isinstance(error, PermissionError) else hints
        problem = Problem(1, "settings", f"the file cannot be read: {error.strerror}", about)
    raise SettingsError(path, [problem])


def _problem(flaw: Flaw, lines: Lines) -> Problem:
    what, hints = flaw.what or _WORDS.get(flaw.kind, "is not what it should be"), flaw.hints
    if flaw.kind == schema.UNKNOWN:
        *way, name = flaw.where
        known = settings_of(_TABLES[str(way[0])] if way else FleetSettings)
        hints = near(str(name), known) or (f"known here: {', '.join(known)}",)
    elif flaw.kind == schema.NO_TABLE and len(flaw.where) > 1:
        hints = (_KEY_HINT.format(flaw.where[-1], "PATH"),)
    elif flaw.kind == schema.MISSING:
        hints = ("`gatectl fleet init DIR` makes a whole fleet.toml", *hints)
    hints = hints or ("man gatectl-fleet has each setting",)
    return Problem(lines.of(flaw.where), key_of(flaw.where), what, hints)


DATABASE_OPTIONS = "-E UTF8 --locale=C.UTF-8 -T template0"
"""Of createdb(1): the database holds every name, whatever the server's locale is."""


def require_postgresql(info: "ConnectionInfo") -> None:
    """Raise UnreadableError for a server that is too old, and for a database that cannot hold every name."""
    require_version(info.server_version)
    encoding = info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise UnreadableError(
            f"the database's encoding is {encoding}: head office needs UTF8",
            f"if it is empty: dropdb gatectl; createdb -O OWNER {DATABASE_OPTIONS} gatectl",
        )


def require_version(version: int) -> None:
    """Raise UnreadableError for a server that is too old. `version` is libpq's number: 150003 is 15.3."""
    if version >= POSTGRESQL_LEAST * 10_000:
        return
    first, rest = divmod(version, 10_000)
    name = f"{first}.{rest if first >= 10 else rest // 100}"  # before 10, two numbers were the version
    raise UnreadableError(
        f"PostgreSQL {name} is too old: head office needs {POSTGRESQL_LEAST} or later",
        "install a later one, and bring the database over: pg_upgradecluster(1), or pg_dump and psql",
    )


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
