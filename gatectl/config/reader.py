"""Read the settings, or report all of their problems at once, each with its line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import tomli

from gatectl.config import certificate_files, cross_checks, error_messages, secrets
from gatectl.config.model import Settings
from gatectl.config.problems import Lines, Problem, SettingIssue, SettingsError, UnusableIssue, key_of
from gatectl.config.secrets import PartnerSecrets
from gatectl.errors import SUDO_OR_GROUP

DEFAULT = Path("/etc/gatectl/gatectl.toml")

_UPLINK = "uplink"

_PYTHONS_NAMES = re.compile(r"\('(.*?)',?\)")
"""How tomli's messages show a table: ('doors', 'main')."""

_TOML_HINTS = (
    (("Unescaped",), r"patterns need single quotes, as in match = '\d{13}'"),
    (
        ("twice", "overwrite", "Duplicate", "redefine", "mutate"),
        "each key and each [table] is written once; [[routes]] and scanners repeat, in two brackets",
    ),
)
_LINE_HINTS = (
    (
        r"[\u201c-\u201f\u2018-\u201b\u00ab\u00bb]",
        'the quotes are those of a word processor: type them again as "',
    ),
    (r"[\u00a0\u2007\u202f]", "a blank there is a non-breaking one: type it again"),
    (r"(?i)(?:true|yes|on|false|no|off)\b", "write true or false, in small letters"),
    (r"//", "a comment begins with #"),
    (r";", "a line ends without a semicolon"),
    (r":", "write = between a key and its value"),
)
"""Hints, by the text at the place of a TOML error."""

_HEADER_HINT = 'a table is [doors.NAME] or [[routes]]; a name with blanks needs quotes: [doors."main gate"]'
_TOML_HINT = "text needs quotes, and so do numbers with leading zeros; each setting has its own line"


def find(given: str | None, environ: Mapping[str, str]) -> Path:
    """Return the settings' path: as given, else $GATECTL_CONFIG, else the default. It need not exist."""
    return Path(given or environ.get("GATECTL_CONFIG") or DEFAULT)


def load(path: Path, *, for_uplink: bool = False) -> Settings:
    """Read the settings without the keys, which some users may not read.

    Leaves out a wrong [uplink] but `for_uplink`: a gate is looked at and opened as if there were none. Raises
    SettingsError with every problem.
    """
    text, raw = parsed(path)
    folder = path.absolute().parent
    settings, found = _checked(raw, folder)
    if found and not for_uplink and all(issue.where[:1] == (_UPLINK,) for issue in found):
        settings, found = _checked(_without_uplink(raw), folder)
    return _result(path, text, settings, found)


def load_with_keys(path: Path, environ: Mapping[str, str]) -> tuple[Settings, dict[str, PartnerSecrets]]:
    """Read the settings and every partner's secrets, by the partner's name.

    Raises SettingsError with every problem of the settings, the keys and the certificate files.
    """
    text, raw = parsed(path)
    folder = path.absolute().parent
    settings, found = _checked(raw, folder)
    held, about_keys = secrets.collect(raw, folder, environ)
    found = [*found, *about_keys, *certificate_files.issues(raw, folder, held)]
    return _result(path, text, settings, found), held


class Usable(NamedTuple):
    """Settings of which not every partner can be asked."""

    settings: Settings
    secrets: Mapping[str, PartnerSecrets]
    """Of the partners that can be asked."""
    unusable: Mapping[str, SettingIssue]
    """For each of the other partners, the first of its problems."""


def load_usable(path: Path, environ: Mapping[str, str]) -> Usable:
    """Read the settings and the secrets of the partners whose keys and certificates can be used.

    Leaves out [uplink], which is of another process: nothing that is wrong there may stop the gate. Raises
    SettingsError if anything else is wrong, or if no partner is left.
    """
    text, raw = parsed(path)
    raw = _without_uplink(raw)
    folder = path.absolute().parent
    settings, found = _checked(raw, folder)
    held, about_keys = secrets.collect(raw, folder, environ)
    about_files = [*about_keys, *certificate_files.issues(raw, folder, held, dates=False)]
    unusable: dict[str, SettingIssue] = {}
    for issue in about_files:
        if isinstance(issue, UnusableIssue):
            unusable.setdefault(str(issue.where[1]), issue)
    usable = {name: one for name, one in held.items() if name not in unusable}
    is_wrong = found or not usable or not all(isinstance(issue, UnusableIssue) for issue in about_files)
    return Usable(_result(path, text, settings, [*found, *about_files] if is_wrong else []), usable, unusable)


def located(path: Path, *issues: SettingIssue) -> SettingsError:
    """Make an error of problems found later, by the hardware, each with its line in the file."""
    lines = Lines(_text(path))
    return SettingsError(
        path, [Problem(lines.of(one.where), key_of(one.where), one.what, one.hints) for one in issues]
    )


def _without_uplink(raw: dict[str, Any]) -> dict[str, Any]:
    return {name: table for name, table in raw.items() if name != _UPLINK}


def _checked(raw: dict[str, Any], folder: Path) -> tuple[Settings | None, list[SettingIssue]]:
    settings, found, meant = error_messages.check(raw, folder)
    crossed = list(cross_checks.issues(raw, folder))
    if meant is not raw:
        still = list(cross_checks.issues(meant, folder))
        crossed = [issue for issue in crossed if issue in still]
    # Of two issues about one value, the cross-check's says more: it knows the other values.
    known = {issue.where for issue in crossed}
    return settings, [*(issue for issue in found if issue.where not in known), *crossed]


def _result(path: Path, text: str, settings: Settings | None, found: Iterable[SettingIssue]) -> Settings:
    found = list(found)
    if settings is not None and not found:
        return settings
    lines = Lines(text)
    raise SettingsError(
        path, [Problem(lines.of(one.where), key_of(one.where), one.what, one.hints) for one in found]
    )


def parsed(path: Path) -> tuple[str, dict[str, Any]]:
    """Return a TOML file's text and tables. Raises SettingsError for a file that cannot be read or parsed."""
    text = _text(path)
    try:
        return text, tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        problem = Problem(error.lineno, "toml", *_about_toml(error))
        raise SettingsError(path, [problem]) from None
    except (ValueError, RecursionError):
        # Python's own limits: numbers of over 4300 digits, and brackets too deep.
        problem = Problem(1, "toml", "a number is too long, or brackets are too deep")
        raise SettingsError(path, [problem]) from None


def _about_toml(error: tomli.TOMLDecodeError) -> tuple[str, tuple[str, ...]]:
    """Return the message and the hints for a TOML error."""
    flaw = _PYTHONS_NAMES.sub(lambda names: names[1].replace("', '", "."), error.msg)
    if flaw == r"Illegal character '\n'":
        flaw = "Text is not closed by a quote in its line"
    hint = next((hint for words, hint in _TOML_HINTS if any(word in flaw for word in words)), None)
    return f"{flaw[:1].lower()}{flaw[1:]}, at column {error.colno}", (hint or _about_line(error),)


def _about_line(error: tomli.TOMLDecodeError) -> str:
    """Return the hint for a line that is not TOML, by the text at the place of the error."""
    line = error.doc.split("\n")[error.lineno - 1]
    rest = line[error.colno - 1 :]
    hint = next((hint for pattern, hint in _LINE_HINTS if re.match(pattern, rest)), _TOML_HINT)
    return _HEADER_HINT if hint == _TOML_HINT and line.lstrip().startswith("[") else hint


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        hints = (
            f"gatectl reads -c PATH, else $GATECTL_CONFIG, else {DEFAULT}",
            "scripts/install puts a sample there",
        )
        problem = Problem(1, "settings", "the file does not exist", hints)
    except OSError as error:
        problem = Problem(1, "settings", f"the file cannot be read: {error.strerror}", (SUDO_OR_GROUP,))
    else:
        try:
            # Some editors put a byte order mark in front.
            return content.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            problem = Problem(line, "settings", "is not UTF-8", ("save the file in UTF-8",))
    raise SettingsError(path, [problem])
