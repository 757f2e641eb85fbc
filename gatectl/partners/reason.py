"""Make a partner's own words fit to store or show: cut them, and remove names, addresses and keys."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from gatectl.decision.verdict import MemberWords, Reason

REASON_CHARS = 200
TEXT_CHARS_MAX = 8192
"""A reason for people has a line or two. A longer text is not searched, and so not kept."""
LINES_MAX = 5
"""A member at a gate does not read more."""
FIRST_NAME_CHARS = 40
MASK = "[masked]"
HIDDEN_MAX = 64
"""An answer about one member holds a few texts. If there are more, no words are kept."""
WORD_CHARS = 3
"""Texts up to this length are masked only as whole words: "Al" must not be found in "allowed"."""
NAME_WORDS_MAX = 4
"""A text of up to so many words, each with a capital letter, may be somebody's name under any key."""
DECODINGS_MAX = 3
"""Two programs in a row may encode a text twice; each round of decoding costs the event loop time."""

_NAMING = re.compile(
    r"name|nome|nombre|apellido|inhaber|holder|titular"
    r"|(nom|member|mitglied|miembro|socio|user|customer|client|cliente|kunde|person|owner)s?$"
)
"""Matches the lower-case key of somebody's name, in the languages of the partners."""

_AT_SIGN = re.compile(r"[\uff20\ufe6b]|[(\[{] ?at ?[)\]}]", re.IGNORECASE)
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_ENCODES = re.compile(r"[&%\\]|[^\x00-\x7f]")
"""The characters that begin an encoding, or may be encoded in two ways."""


def reason_of(
    key: Any, text: Any, body: Any, secrets: Collection[str], documented: Collection[str] = ()
) -> Reason | None:
    """Return the partner's own reason, fit to store.

    Every other text of the answer `body` that occurs in it is masked, under any key, since it may name
    somebody. `text` may be a tuple of texts, which are joined. A documented key is the protocol's own word
    and is not masked.
    """
    texts = [own for own in (text if isinstance(text, tuple) else (text,)) if isinstance(own, str)]
    is_documented = isinstance(key, str) and key in documented
    hidden = _hidden_in(body, {_plain(own) for own in (key, *texts) if isinstance(own, str)})
    if hidden is None:
        return Reason(key, None) if is_documented else None
    clean_key = key if is_documented else _clean(key, hidden, secrets)
    clean_text = _clean("; ".join(texts), hidden, secrets)
    return None if clean_key is None and clean_text is None else Reason(clean_key, clean_text)


def member_words_of(
    first_name: Any, texts: Iterable[Any], body: Any, secrets: Collection[str]
) -> MemberWords | None:
    """The partner's words for the member, fit for a screen that others see too.

    Only texts under the key of a name are masked: the partner wrote the words for this member.
    """
    hidden = _hidden_in(body, frozenset(), names_only=True)
    if hidden is None:
        return None
    cleaned = (_clean(text, hidden, secrets) for text in texts)
    lines = tuple(text.replace(MASK, "…") for text in cleaned if text is not None)[:LINES_MAX]
    name = _clean(first_name, [], secrets)
    shown = name[:FIRST_NAME_CHARS] if name and MASK not in name else None
    return MemberWords(shown, lines) if shown or lines else None


def names_somebody(body: Any) -> bool:
    """Return whether the answer has a text under the key of a name; numbers do not count as names."""
    return any(any(map(str.isalpha, _plain(text))) for text, is_name in _texts_in(body) if is_name)


def mask_secrets(secrets: Collection[str], text: str) -> str:
    """Mask every key in the text, the longest first: one may be a part of another.

    The key of a partner that is asked without one is empty, and masks nothing.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if secret:
            text = text.replace(secret, MASK)
    return text


def _clean(value: Any, hidden: list[str], secrets: Collection[str]) -> str | None:
    if not isinstance(value, str) or len(value) > TEXT_CHARS_MAX:
        return None
    # Before decoding too: a key may itself look encoded.
    text = mask_secrets(secrets, _plain(mask_secrets(secrets, _composed(value))))
    text = _without_addresses(text)
    for other in hidden:
        if other.casefold() in text.casefold():  # much faster than a pattern
            text = re.sub(_pattern_of(other), MASK, text, flags=re.IGNORECASE)
    # Remove control characters from the line.
    words = "".join(char if char.isprintable() else " " for char in text).split()
    return " ".join(words)[:REASON_CHARS] or None


def _plain(text: str) -> str:
    """Return the text as a reader sees it: decoded, normalised, with single blanks, only visible letters."""
    if not _ENCODES.search(text):  # as most are: nothing to decode, and ASCII has no invisible letters
        return " ".join(text.split())
    import html  # noqa: PLC0415 - its list of entities costs the start a millisecond

    for _ in range(DECODINGS_MAX):
        decoded = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), unquote(html.unescape(text)))
        if decoded == text:
            break
        text = decoded
    text = "".join(char for char in _composed(text) if unicodedata.category(char) != "Cf")
    return " ".join(text.split())


def _composed(text: str) -> str:
    """Normalise letters that Unicode can encode in two ways; replace lone surrogates, which UTF-8 lacks."""
    return unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))


def _without_addresses(text: str) -> str:
    """Mask e-mail addresses in the text, also with blanks around the at sign."""
    words = _AT_SIGN.sub("@", text).split()
    masked = list(words)
    for at, word in enumerate(words):
        if "@" not in word:
            continue
        masked[at] = MASK
        seen = [char for char in word if char.isprintable()]
        if seen[0] == "@" and at > 0:
            masked[at - 1] = MASK
        if seen[-1] == "@" and at + 1 < len(words):
            masked[at + 1] = MASK
    return " ".join(masked)


def _pattern_of(hidden: str) -> str:
    if not hidden.isascii():  # scripts without spaces have no word edges
        return re.escape(hidden)
    # An underscore separates words; a longer name may take an ending, as in "Aldrins".
    begin = r"(?<![^\W_])" if hidden[0].isalnum() else ""
    if not hidden[-1].isalnum():
        return f"{begin}{re.escape(hidden)}"
    end = r"(?![^\W_])" if len(hidden) <= WORD_CHARS else r"[^\W_]*"
    return f"{begin}{re.escape(hidden)}{end}"


def _hidden_in(body: Any, own: Collection[str], *, names_only: bool = False) -> list[str] | None:
    """Return the answer's texts that a reason must not repeat, longest first; None if they are too many.

    `own` are the reason's own words, as `_plain` makes them. A text that may be a name is also searched for
    word by word.
    """
    found: set[str] = set()
    for raw, is_name in _texts_in(body):
        if names_only and not is_name:
            continue
        text = _plain(raw)
        if not is_name and text in own:
            continue
        words = text.split()
        may_be_name = is_name or (
            1 < len(words) <= NAME_WORDS_MAX and all(word[0].isupper() for word in words)
        )
        found.update(part for part in (text, *(words if may_be_name else ())) if any(map(str.isalnum, part)))
        if len(found) > HIDDEN_MAX:
            return None
    return sorted(found, key=len, reverse=True)


@lru_cache(maxsize=64)  # a partner sends the same few keys with each answer
def _is_naming(key: str) -> bool:
    return _NAMING.search(key.lower()) is not None


def _texts_in(body: Any) -> Iterator[tuple[str, bool]]:
    """Yield every text of the answer, and whether it is at or below a name's key."""
    waiting = [(body, False)]
    while waiting:
        value, is_name = waiting.pop()
        if isinstance(value, str):
            yield value, is_name
        elif isinstance(value, list):
            waiting += [(item, is_name) for item in value if isinstance(item, _HOLD_TEXT)]
        elif isinstance(value, dict):
            waiting += [
                (item, is_name or _is_naming(key))
                for key, item in value.items()
                if isinstance(item, _HOLD_TEXT)
            ]


_HOLD_TEXT = str, list, dict
