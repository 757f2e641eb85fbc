"""The settings of head office, `fleet.toml`: read them, or report all of their problems, each with its line.

The string below a setting is for who edits the file, as in gatectl-fleet(1). No `from __future__ import
annotations`: tables are read by their annotations.
"""

from pathlib import Path
from typing import Annotated

from gatectl.config import schema
from gatectl.config.lines import Lines
from gatectl.config.model import MonitorSettings
from gatectl.config.problems import Problem, SettingsError, key_of
from gatectl.config.reader import parsed
from gatectl.config.schema import Flaw, InvalidError
from gatectl.errors import near
from gatectl.validators.addresses import BrokerUrl
from gatectl.validators.values import FilePath, Key, KeyFile, Name, Table, settings_of, whole

DEFAULT = Path("/etc/gatectl-fleet/fleet.toml")


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

    dsn: Name
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
