"""The kinds of settings of generic HTTP partners alone: statuses, JSON, URL, templates, the key's header."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from gatectl.partners.exchange import quoted_target
from gatectl.validators.addresses import URL_PATTERN, valid_url
from gatectl.validators.values import Validator, refuse, string

PLACEHOLDERS = ("code", "member", "door", "key")
"""The code as read, the member's number, the door's name, and the partner's key."""

# Compiled at their first use: most gyms have no partner with templates, and each start would pay for it.
_KNOWN = rf"\{{({'|'.join(PLACEHOLDERS)})\}}"
_ANY = r"\{([\w -]*)\}"

Values = Mapping[str, str]
"""A text for each placeholder."""


def names_in(text: str) -> list[str]:
    """Return the names in all placeholders of a text, known or not."""
    return re.findall(_ANY, text)


def filled(text: str, values: Values) -> str:
    """Return the text with its values. Braces in a value are no placeholders."""
    return re.sub(_KNOWN, lambda found: values[found[1]], text)


class TargetTemplate(NamedTuple):
    """Path and query of a URL: literal parts in turns with the names of placeholders."""

    parts: tuple[str, ...]

    @classmethod
    def of(cls, url: str) -> TargetTemplate:
        """Take path and query of a valid URL, and encode in them what needs it."""
        behind_host = re.sub(r"^[^:]+://[^/?]*", "", url)
        target = behind_host if behind_host.startswith("/") else f"/{behind_host}"
        parts = re.split(_KNOWN, target)
        return cls(tuple(part if at % 2 else quoted_target(part) for at, part in enumerate(parts)))

    def fill(self, values: Values) -> str:
        """Return the target of a request."""
        return "".join(_encoded(values[part]) if at % 2 else part for at, part in enumerate(self.parts))


def _encoded(value: str) -> str:
    # quote() leaves dots as they are, but a segment of one or two of them alone would be resolved away.
    return "%2E" * len(value) if value and not value.strip(".") else quote(value, safe="")


def body_of(template: Any, values: Values) -> Any:
    """Return a value for JSON with the scan's values in all its texts, but not in the names of members."""
    match template:
        case str():
            return filled(template, values)
        case dict():
            return {name: body_of(value, values) for name, value in template.items()}
        case list():
            return [body_of(value, values) for value in template]
    return template


_STATUS = range(200, 600)
"""Final statuses; those below are not answers yet (RFC 9110, section 15)."""

_HEADER_NAME = r"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
"""The name of a header (RFC 9110, section 5.6.2)."""

_OWN_HEADERS = {
    *("accept", "accept-encoding", "content-length", "content-type", "host"),
    *("connection", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
}
"""Headers that gatectl sets by itself, or that change how a message is read."""

_KEY_LIKE = r"(?i)(?:.*[_-])?(?:api_?key|token|secret|passw(?:or)?d)"

_KNOWN_LIST = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
_KEY_HINT = 'write {key} in its place, and put the key into a file: key = { file = "/etc/gatectl/secrets/…" }'


def _url(value: object, _folder: Path) -> str:
    url = string(value)
    refuse_unknown_placeholders(url)
    if names_in(url.partition("://")[2].partition("/")[0].partition("?")[0]):
        raise refuse("must not have a placeholder in the host", "it may be in the path and in the query")
    valid_url(filled(url, dict.fromkeys(PLACEHOLDERS, "x")))
    for name, text in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        _refuse_open_secret(name, text)
    return url


def refuse_unknown_placeholders(text: str) -> None:
    """Raise the error that `refuse` makes for a placeholder that nothing would replace."""
    for name in names_in(text):
        if name not in PLACEHOLDERS:
            raise refuse(f"has the placeholder {{{name}}}, which is not known", f"known are {_KNOWN_LIST}")


def _refuse_open_secret(name: str, text: str) -> None:
    if re.fullmatch(_KEY_LIKE, name) and text and not names_in(text):
        raise refuse(f"holds the partner's key in the open, as {name}", _KEY_HINT)


def _statuses(value: object, _folder: Path) -> tuple[int, ...]:
    statuses = value if isinstance(value, list) else [value]
    if not statuses:
        raise refuse("must not be empty", "leave it out for any status")
    for status in statuses:
        if not isinstance(status, int) or isinstance(status, bool) or status not in _STATUS:
            raise refuse("must be a status from 200 to 599, or a list of them", "as in [403, 404]")
    return tuple(statuses)


def _members(value: object, _folder: Path) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not value:
        raise refuse("must be a table of members and their values", "as in { granted = true }")
    for path, wanted in value.items():
        _refuse_bad_path(path)
        _refuse_no_json(wanted)
    return value


def _member_path(value: object, _folder: Path) -> str:
    path = string(value)
    _refuse_bad_path(path)
    return path


def _refuse_bad_path(path: str) -> None:
    if not all(path.split(".")):
        raise refuse(f"has an empty name in {path!r}", 'a dot goes deeper: "result.text"')


def _body(value: object, _folder: Path) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise refuse("must be a table, which is sent as JSON", 'as in { code = "{code}", door = "{door}" }')
    _refuse_no_json(value)
    for name, text in _texts_in(value):
        refuse_unknown_placeholders(text)
        if names_in(name):
            raise refuse("must not have a placeholder in a member's name", "it is for its value's text")
        _refuse_open_secret(name, text)
    return value


def _refuse_no_json(value: Any) -> None:
    match value:
        case str() | bool() | int():
            return
        case float() if math.isfinite(value):
            return
        case dict():
            for inner in value.values():
                _refuse_no_json(inner)
        case list():
            for inner in value:
                _refuse_no_json(inner)
        case _:
            raise refuse(
                f"holds {value}, which JSON does not have",
                "JSON has text, numbers, true, false, lists and tables; a date is text in quotes",
            )


def _texts_in(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text in the value with its member's name."""
    match value:
        case str():
            yield name, value
        case dict():
            for inner_name, inner in value.items():
                yield inner_name, ""
                yield from _texts_in(inner, inner_name)
        case list():
            for inner in value:
                yield from _texts_in(inner, name)


def texts_of(value: Any) -> list[str]:
    """Return all texts in a value of the settings."""
    return [text for _, text in _texts_in(value)]


def _auth(value: object, _folder: Path) -> str:
    text = string(value)
    if text in {"bearer", "basic", "none"}:
        return text
    kind, colon, name = text.partition(":")
    if kind != "header" or not colon:
        raise refuse(
            'must be "bearer", "basic", "header:NAME" or "none"',
            'a header of the backend is "header:X-Api-Key"',
        )
    if not re.fullmatch(_HEADER_NAME, name):
        raise refuse("has no valid name of a header behind header:", 'as in "header:X-Api-Key"')
    if name.lower() in _OWN_HEADERS:
        raise refuse(f"names {name}, a header that gatectl sets by itself", 'as in "header:X-Api-Key"')
    return text


_STATUS_JSON = {"type": "integer", "minimum": _STATUS.start, "maximum": _STATUS.stop - 1}

UrlTemplate = Annotated[str, Validator(_url, {"type": "string", "pattern": URL_PATTERN})]
Statuses = Annotated[
    tuple[int, ...],
    Validator(_statuses, {"anyOf": [_STATUS_JSON, {"type": "array", "items": _STATUS_JSON, "minItems": 1}]}),
]
JsonMembers = Annotated[Mapping[str, Any], Validator(_members, {"type": "object", "minProperties": 1})]
MemberPath = Annotated[str, Validator(_member_path, {"type": "string", "minLength": 1})]
JsonBody = Annotated[Mapping[str, Any], Validator(_body, {"type": "object"})]
Auth = Annotated[
    str, Validator(_auth, {"type": "string", "pattern": "^(?:bearer|basic|none|header:[!-~]+)$"})
]
