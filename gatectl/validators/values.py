"""The tables of settings and the kinds of their values; each refuses a wrong value in an installer's words.

Kinds do not coerce: "3000" is not 3000 and true is not 1. `config/schema.py` reads values by these marks.
"""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Never, dataclass_transform

from gatectl.errors import near

_LINE_MODE = re.compile(r"[78][NEOMS][12]")
_CHIP_HINTS = (
    'chip = "auto" finds the chip of a Raspberry Pi\'s header',
    '`gpiodetect` lists the chips with their labels: chip = 0, "/dev/gpiochip0" or "pinctrl-rp1"',
)


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Table:
    """A table of the settings: a record that is frozen, compared by value, and cheap to define.

    Its settings are the annotations of its class and its base classes; one with a value may be left out. They
    are evaluated at import: a module of tables has no `from __future__ import annotations`.

    A dataclass would compile its methods at every start, half a millisecond for each class. There are some
    thirty tables, a door's settings use ten of them, and a Raspberry Pi is several times as slow.
    """

    def __init__(self, **given: Any) -> None:
        values = self.__dict__
        for name in settings_of(type(self)):
            values[name] = given.pop(name) if name in given else default_of(type(self), name)
        if given:
            raise TypeError(f"{type(self).__name__} has no {', '.join(given)}")

    def __setattr__(self, name: str, _value: object) -> Never:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be set")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({values})"


def settings_of(table: type) -> Mapping[str, Any]:
    """Return the annotations of a table's settings by their names, those of its base classes first."""
    annotations: dict[str, Any] = {}
    for part in reversed(table.__mro__):
        annotations.update(vars(part).get("__annotations__", {}))
    return annotations


def is_optional(table: type, name: str) -> bool:
    """Return whether a setting may be left out."""
    return hasattr(table, name)


def default_of(table: type, name: str) -> Any:
    """Return the value of a setting that is left out. Raises TypeError if it may not be."""
    if not is_optional(table, name):
        raise TypeError(f"{table.__name__} needs {name}")
    return getattr(table, name)


class Validator:
    """A mark in `Annotated[…]`: the conditions on a value.

    `check` takes the value from TOML and the folder at which relative paths start. It returns the setting's
    value, or raises the error that `refuse` makes. `json` is the same in JSON Schema, as far as possible.
    """

    __slots__ = ("check", "json")

    def __init__(self, check: Callable[[object, Path], Any], json: Mapping[str, Any]) -> None:
        self.check = check
        self.json = json


class TaggedBy:
    """A mark on tables of several kinds: the value of `key` in a table selects its kind.

    `names` returns all of these values, and `table` the kind for one: a kind is loaded when it is used.
    """

    __slots__ = ("key", "names", "table")

    def __init__(self, key: str, names: Callable[[], Collection[str]], table: Callable[[str], Any]) -> None:
        self.key = key
        self.names = names
        self.table = table


class NotEmpty:
    """A mark on a list or a table of tables: at least one."""


class TableCheck:
    """A mark on a table: conditions between its parts; `check` raises the error that `refuse` makes."""

    __slots__ = ("check", "json")

    def __init__(self, check: Callable[[Any], Any], json: Mapping[str, Any]) -> None:
        self.check = check
        self.json = json


class ValueRefused(Exception):
    """A value is refused: `what` is wrong, without a full stop; `hints` say what to do instead."""

    def __init__(self, what: str, hints: tuple[str, ...]) -> None:
        super().__init__(what)
        self.what = what
        self.hints = hints


def refuse(what: str, *hints: str) -> ValueRefused:
    """Make the error to raise."""
    return ValueRefused(what, hints)


def whole(low: int, high: int | None = None, *, or_zero: bool = False) -> Validator:
    """A whole number from `low` to `high`, or 0 where that means none."""
    span = f"{low} or more" if high is None else f"{low} to {high}"
    words = f"must be a whole number, {'0 or ' if or_zero else ''}{span}"

    def check(value: object, _folder: Path) -> int:
        if isinstance(value, str):
            raise refuse(f"{words}, without quotes")
        if not isinstance(value, int) or isinstance(value, bool):
            raise refuse(words)
        within = low <= value and (high is None or value <= high)
        if not within and not (or_zero and value == 0):
            raise refuse(words)
        return value

    span_json = {"minimum": low} if high is None else {"minimum": low, "maximum": high}
    json = {"anyOf": [{"const": 0}, span_json]} if or_zero else span_json
    return Validator(check, {"type": "integer", **json})


def string(value: object) -> str:
    """Return the value if it is text; else raise the error that `refuse` makes."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        raise refuse("must be text in quotes", "a number loses its leading zeros: write it in quotes")
    raise refuse("must be text in quotes")


def _text(value: object, _folder: Path) -> str:
    text = string(value)
    if not text.isprintable():
        raise refuse("must not hold line breaks or control characters")
    return text


def _name(value: object, folder: Path) -> str:
    text = _text(value, folder)
    if not text.strip():
        raise refuse("must not be empty")
    _refuse_placeholder(text)
    return text


def _header_text(value: object, _folder: Path) -> str:
    text = string(value)
    if not text or not is_visible_ascii(text):
        raise refuse("must be visible ASCII characters without blanks, since it travels in an HTTP header")
    _refuse_placeholder(text)
    return text


def is_visible_ascii(text: str) -> bool:
    """Whether the text is valid in a header or a URL as it is (RFC 9110, section 5.5)."""
    return all("!" <= char <= "~" for char in text)


def resolve(text: str, folder: Path) -> Path | None:
    """Return the absolute path, relative ones from `folder`; None if the text cannot be a path.

    Do not follow symbolic links: a device keeps the name that is stable across unplugging.
    """
    return folder / text if text and "\0" not in text else None


def path_of(value: object, folder: Path) -> Path:
    """Return the absolute path that a setting names; else raise the error that `refuse` makes."""
    if not isinstance(value, str):
        raise refuse("must be a path in quotes")
    path = resolve(value, folder)
    if path is None:
        raise refuse("must be a path")
    if value.startswith("~"):
        raise refuse("must be a full path: ~ is not expanded here", "write the folder out, as in /home/pi/…")
    return path


def _file(value: object, folder: Path) -> Path:
    path = path_of(value, folder)
    if "://" in str(value):
        raise refuse(
            "must be a path, not an address", "it looks like /var/lib/gatectl/…, without file:// or the like"
        )
    if str(value).endswith("/"):
        raise refuse("must be a file, and this is a folder", "add the file's name to it")
    return path


def _socket(value: object, folder: Path) -> Path:
    if isinstance(value, str) and value.rpartition(":")[2].isdecimal() and "/" not in value:
        raise refuse("must be the path of a Unix socket", "the daemon listens on no port; leave it out")
    return _file(value, folder)


def _variable(value: object, folder: Path) -> str:
    text = _name(value, folder)
    if not (text.isascii() and text.isidentifier()):
        hint = 'it is the name alone, without $ and without the value: { env = "WELLHUB_KEY" }'
        raise refuse("must be the name of an environment variable", hint)
    return text


def _refuse_placeholder(text: str) -> None:
    if text.startswith("<") and text.endswith(">"):
        raise refuse("is a placeholder in < >", "put the gym's own in its place")


def _line_mode(value: object, _folder: Path) -> str:
    text = string(value)
    if not _LINE_MODE.fullmatch(text):
        what = "must be data bits, parity and stop bits, as in 8N1"
        raise refuse(what, '7 or 8; N none, E even, O odd, M mark or S space; 1 or 2: "7E1", "8N1"')
    return text


def _time_zone(value: object, _folder: Path) -> str:
    import zoneinfo  # noqa: PLC0415 - few settings name a zone

    text = string(value)
    try:
        zoneinfo.ZoneInfo(text)
    except (LookupError, ValueError, OSError):  # unknown; no relative path; a folder such as "Europe"
        raise refuse("is not a time zone that this machine knows", *_zone_hints(text)) from None
    return text


def _zone_hints(text: str) -> tuple[str, ...]:
    import zoneinfo  # noqa: PLC0415

    known = [name for name in zoneinfo.available_timezones() if "/" in name]
    if not known:
        return ("install the package tzdata: this machine has no list of time zones",)
    return near(text, known) or ('it looks like "Europe/Berlin"; `timedatectl list-timezones` lists them',)


def _chip(value: object, _folder: Path) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise refuse("must be a number of 0 or more, a path or a label", *_CHIP_HINTS)
    if value.isdecimal():
        raise refuse("must be a number without quotes, a path or a label", *_CHIP_HINTS)
    if "/" in value and not value.startswith("/"):
        raise refuse("must be a number, a whole path or a label", f'write chip = "/{value.lstrip("./")}"')
    if value.startswith("gpiochip") and value.removeprefix("gpiochip").isdecimal():
        raise refuse("must be a number, a path or a label", f'write chip = "/dev/{value}"')
    return value


_PLAIN = r"[^\u0000-\u001f\u007f]"
"""For JSON Schema, whose patterns have no flags (ECMA-262). Looser than the checks here, never stricter."""

LineMode = Annotated[str, Validator(_line_mode, {"type": "string", "pattern": "^[78][NEOMS][12]$"})]
Text = Annotated[str, Validator(_text, {"type": "string", "pattern": f"^{_PLAIN}*$"})]
Name = Annotated[str, Validator(_name, {"type": "string", "pattern": rf"^{_PLAIN}*\S{_PLAIN}*$"})]
HeaderText = Annotated[str, Validator(_header_text, {"type": "string", "pattern": "^[!-~]+$"})]
FilePath = Annotated[Path, Validator(_file, {"type": "string", "minLength": 1})]
SocketPath = Annotated[Path, Validator(_socket, {"type": "string", "minLength": 1})]
Variable = Annotated[str, Validator(_variable, {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"})]
TimeZone = Annotated[str, Validator(_time_zone, {"type": "string", "pattern": "^[0-9A-Za-z_+/-]+$"})]
Chip = Annotated[int | str, Validator(_chip, {"type": ["integer", "string"], "minimum": 0, "minLength": 1})]


class KeySource(Table):
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


# --- The content of a certificate, here for the uplink: the checks of the settings cost 6 MiB more -----


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
