"""Words for people: one place for what command line, monitor and catalogs say, in English and in German.

The daemon needs none of them, and imports none: they would cost it time at the start.
"""

from __future__ import annotations

from typing import Literal

Language = Literal["en", "de"]
LANGUAGES: tuple[Language, ...] = ("en", "de")

Pair = tuple[str, str]
"""The same words in each of `LANGUAGES`."""


def chosen(words: Pair, language: Language) -> str:
    """The words in this language."""
    return words[LANGUAGES.index(language)]
