"""Texts of the settings with placeholders for a scan's values: the target of a request, and its body.

A value replaces its placeholder once and exactly: no character of it can end a path segment, a parameter, a
JSON text or a header line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from gatectl.partners.exchange import quoted_target

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
