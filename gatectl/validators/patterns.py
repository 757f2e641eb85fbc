"""Compile the patterns of routes, and refuse those with which a hostile code could hold up every door.

Python's `re` backtracks, on the event loop. A code comes from a stranger and has up to 512 characters, so the
number of tries must be bounded before the pattern is used. `tries` computes an upper bound with one character
of look-ahead: where the next character alone decides between two ways, they count as one; else they multiply.
"""

from __future__ import annotations

import re
import warnings
from functools import cache, reduce
from itertools import combinations
from operator import or_
from pathlib import Path
from re import _constants as op  # type: ignore[attr-defined] # the parser that `re` itself compiles from
from re import _parser  # type: ignore[attr-defined]
from typing import Annotated, Any, NamedTuple

from gatectl.decision.reader.reading import MAX_CHARS
from gatectl.errors import near
from gatectl.validators.values import Validator, refuse

MAX_TRIES = 8 * MAX_CHARS**2
"""Two open repetitions that share characters, as in `.*-.*`, need 512 by 512 tries at most: some 10 ms on
a Raspberry Pi 3. Three need 512 times as many."""

_TRIES_OF_A_TURN = 8
"""The cost, in tries, of one more turn of a repeated group: `re` saves its state for each."""

_CHARACTERS_OF_A_TRY = 16
"""Characters of a run that `re` reads in the time of one try."""

_HUGE = 2 * MAX_TRIES

_HINTS = (
    r"give each repetition a length, as in \d{1,12}, and let no two in a row take the same characters",
    "a repeated group must not begin with what the end of its last turn can take: not (a+)+, (a|a)* or (.*)*",
)

GROUPS = ("member", "customer")
"""The names of groups that a route makes use of."""

_ABOUT_ERRORS = {
    "unknown extension ?<": "a group with a name is (?P<member>...)",
    "nothing to repeat": "any text is .*",
    "global flags": "(?i), which ignores case, must be at the very beginning",
    r"bad escape \z": "the whole code has to match in any case: leave it out",
    r"bad escape \k": "the same text as a group's is (?P=member)",
}
"""Hints for messages of `re`, by their beginnings."""

_SYNTAX = r"a pattern looks like \d{13} or WP-[0-9A-Z]{1,40}; \( and \[ are the characters themselves"

_CHARACTERS = {op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN}
"""Items that take exactly one character."""
_WITHOUT_A_CHOICE = {op.AT, op.GROUPREF, op.FAILURE}

_BEYOND_ASCII, _END = 1 << 128, 1 << 129
_ANY = _BEYOND_ASCII | (_BEYOND_ASCII - 1)
_ALL = _ANY | _END
"""Sets of characters: a bit each for the 128 of ASCII, one for all others, one for the end of the code."""

_CATEGORIES = {
    op.CATEGORY_DIGIT: r"\d",
    op.CATEGORY_NOT_DIGIT: r"\D",
    op.CATEGORY_SPACE: r"\s",
    op.CATEGORY_NOT_SPACE: r"\S",
    op.CATEGORY_WORD: r"\w",
    op.CATEGORY_NOT_WORD: r"\W",
}
_NEGATED = {op.CATEGORY_NOT_DIGIT, op.CATEGORY_NOT_SPACE, op.CATEGORY_NOT_WORD}


_OPEN_BRACE = r"\{\d+(?:,\d*)?(?![\d,]*\})"
_SET_OR_ESCAPE = r"\\.|\[(?:\\.|[^\]\\])*\]"
_OTHER_DASH = r"\[[^]]*\w([\u2010-\u2015\u2212])\w[^]]*\]"


class _Cost(NamedTuple):
    """A bound for one part of a pattern, from one place in a code on."""

    ways: int = 1
    """The number of ways in which it can end so that the next character fits too."""
    tries: int = 0
    """The number of ends tried for that."""


def _pattern(value: object, _folder: Path) -> re.Pattern[str]:
    if isinstance(value, list):
        raise refuse("must be one pattern", "(?:A|B) takes either of two; further routes may lead there too")
    if not isinstance(value, str):
        raise refuse("must be a pattern in single quotes")
    if not value:
        raise refuse("must not be empty")
    _refuse_other_notations(value)
    pattern = _compiled(value)
    if _has_possessive_group(_parser.parse(value, re.ASCII)):
        raise refuse(
            "has a group inside a possessive repetition, with which Python fails on some codes",
            "leave out the + behind the repetition, or make the group one without a number, (?:...)",
        )
    unknown = next((name for name in pattern.groupindex if name not in GROUPS), None)
    if unknown is not None:
        hints = near(unknown, GROUPS) or ("a group that only holds together is (?:...)",)
        raise refuse(f"has a group {unknown!r}; the groups with a meaning are member and customer", *hints)
    return pattern


def _refuse_other_notations(text: str) -> None:
    """Refuse other tools' notations: `re` would accept them and match none of the gym's codes."""
    if text.startswith("/") and (between := re.fullmatch(r"/(.+)/[a-z]*", text)):
        raise refuse("is between slashes", f"write '{between[1]}'; a slash of the code itself is [/]")
    if text != text.strip() and "(?x" not in text:
        raise refuse("begins or ends with a blank, and no code does", "leave the blank out")
    if "\\\\" in text and (twice := re.search(r"\\\\([dDsSwW])(?![A-Za-z])", text)):
        raise refuse("has a backslash twice", rf"in single quotes it is written once: \{twice[1]}")
    if text.count("{") != text.count("}") and re.search(_OPEN_BRACE, re.sub(_SET_OR_ESCAPE, "", text)):
        raise refuse("has a { without its }", r"\d{13} are thirteen digits; a brace of the code itself is \{")
    if "[:" in text and (named := re.search(r"\[:[a-z]+:\]", text)):
        raise refuse(
            f"has {named[0]}, which is not known here", r"write \d for a digit, [A-Za-z] for a letter"
        )
    if not text.isascii() and (dash := re.search(_OTHER_DASH, text)):
        raise refuse(f"has a dash {dash[1]!r} where a range has a hyphen", "type it again as -, as in [0-9]")


def _has_possessive_group(items: Any, *, is_inside: bool = False) -> bool:
    """Is a numbered group inside a repetition such as `++`?

    Python 3.11 and 3.12 raise SystemError there ("The span of capturing group is wrong", cpython#101955).
    """
    for kind, value in items:
        if kind is op.SUBPATTERN and value[0] is not None and is_inside:
            return True
        inside = is_inside or kind is op.POSSESSIVE_REPEAT
        if any(_has_possessive_group(part, is_inside=inside) for part in _parts(value)):
            return True
    return False


def _parts(value: Any) -> list[Any]:
    """Return the parsed patterns inside one item's value, at any depth."""
    if isinstance(value, _parser.SubPattern):
        return [value]
    return [part for one in value for part in _parts(one)] if isinstance(value, tuple | list) else []


def _compiled(text: str) -> re.Pattern[str]:
    with warnings.catch_warnings():
        # Python warns of patterns whose meaning may change one day; an installer cannot act on that.
        warnings.simplefilter("ignore")
        try:
            pattern = re.compile(text, re.ASCII)
            too_many = tries(text) > MAX_TRIES
        except re.error as error:
            position = "" if error.pos is None else f", at character {error.pos + 1}"
            hints = [hint for word, hint in _ABOUT_ERRORS.items() if error.msg.startswith(word)]
            raise refuse(f"does not compile: {error.msg}{position}", *(hints or [_SYNTAX])) from None
        except (ValueError, OverflowError, RecursionError):
            # Flags that contradict ASCII, numbers too large, and brackets too deep are not `re.error`.
            what = "does not compile: too large, or with flags that do not go with ASCII"
            raise refuse(what, _SYNTAX) from None
    if too_many:
        raise refuse(
            f"could take too long: a code of {MAX_CHARS} characters can fit it in too many ways", *_HINTS
        )
    return pattern


AsciiPattern = Annotated[re.Pattern[str], Validator(_pattern, {"type": "string", "minLength": 1})]


def lengths(pattern: re.Pattern[str], group: str) -> tuple[int, int]:
    """Return the least and the most characters of a group, or of the whole pattern if it lacks the group."""
    parsed = _parser.parse(pattern.pattern, re.ASCII)
    number = pattern.groupindex.get(group)
    least, most = parsed.getwidth() if number is None else parsed.state.groupwidths[number]
    return int(least), int(most)


def tries(pattern: str, length: int = MAX_CHARS) -> int:
    """Return an upper bound of the ways that `re` tries with a code of this length; large ones are capped."""
    parsed = _parser.parse(pattern, re.ASCII)
    items, follow = parsed, _END
    if items and _is_rest_of_code(*items[-1]):
        items, follow = items[:-1], _ALL  # it takes all that is left, so there is only one try
    return _Bounds(length).sequence(items, _Place(0, follow, parsed.state.flags)).tries


def _is_rest_of_code(kind: Any, value: Any) -> bool:
    """Is it `.*`?"""
    if kind not in {op.MAX_REPEAT, op.MIN_REPEAT}:
        return False
    least, most, items = value
    return least == 0 and most == op.MAXREPEAT and list(items) == [(op.ANY, None)]


class _Place(NamedTuple):
    """The surroundings of a part: the possible characters before and after it, and `re`'s flags."""

    before: int
    follow: int
    flags: int

    def inside(self, group: Any) -> _Place:
        """Return the same place with the flags that a group sets for itself."""
        _, added, removed, _ = group
        return self._replace(flags=(self.flags | added) & ~removed)

    def alone(self) -> _Place:
        """Return the place for a part without backtracking: the character after it does not matter."""
        return self._replace(follow=_ALL)


class _Bounds:
    """The costs of a pattern's parts."""

    def __init__(self, length: int) -> None:
        self._length = length

    def sequence(self, items: Any, place: _Place) -> _Cost:
        cost = _Cost()
        for index in range(len(items) - 1, -1, -1):
            kind, value = items[index]
            before = _edge(items[:index], place.before, place.flags, at_end=True)
            follow = _edge(items[index + 1 :], place.follow, place.flags)
            part = self._part(kind, value, _Place(before, follow, place.flags))
            cost = _Cost(_cut(part.ways * cost.ways), _cut(part.tries + part.ways * cost.tries))
        return cost

    def _part(self, kind: Any, value: Any, place: _Place) -> _Cost:
        if kind in _CHARACTERS or kind in _WITHOUT_A_CHOICE:
            return _Cost()
        if kind is op.SUBPATTERN:
            return self.sequence(value[3], place.inside(value))
        if kind is op.BRANCH:
            return self._branch(value[1], place)
        if kind is op.GROUPREF_EXISTS:
            return self._branch([value[1], value[2] or ()], place.alone())
        if kind in {op.MAX_REPEAT, op.MIN_REPEAT}:
            return self._repeat(value, place)
        return self._final(kind, value, place.alone())

    def _final(self, kind: Any, value: Any, place: _Place) -> _Cost:
        """Return the cost of parts without backtracking: lookaround, atomic groups, possessive repeats."""
        if kind in {op.ASSERT, op.ASSERT_NOT}:
            return _Cost(1, self.sequence(value[1], place._replace(before=_ALL)).tries)
        if kind is op.ATOMIC_GROUP:
            return _Cost(1, self.sequence(value, place).tries)
        if kind is op.POSSESSIVE_REPEAT:
            _, most, items = value
            turn = self.sequence(items, place._replace(before=_ALL))
            return _Cost(1, _cut(min(most, self._length) * (turn.tries + _TRIES_OF_A_TURN)))
        return _Cost(_HUGE, _HUGE)  # an item of a later Python: assume the worst

    def _branch(self, branches: Any, place: _Place) -> _Cost:
        costs = [self.sequence(items, place) for items in branches]
        firsts = [_edge(items, place.follow, place.flags) for items in branches]
        is_decided = not any(one & other for one, other in combinations(firsts, 2))
        ways = [cost.ways for cost in costs]
        return _Cost(
            _cut(max(ways) if is_decided else sum(ways)),
            _cut(len(costs) + sum(cost.tries for cost in costs)),
        )

    def _repeat(self, repeat: Any, place: _Place) -> _Cost:
        least, most, items = repeat
        again = _edge(items, 0, place.flags)
        shortest = items.getwidth()[0]
        turns = min(most, self._length // max(shortest, 1))
        # The next character cannot decide how often a turn that takes no character is repeated.
        is_decided = least == most or (shortest > 0 and not again & place.follow)
        ways = 1 if is_decided else max(turns - least, 0) + 1
        if len(items) == 1 and items[0][0] in _CHARACTERS:
            # If it cannot begin inside itself, all its runs together are at most as long as the code.
            is_read_over_and_over = is_decided and again & place.before
            return _Cost(ways, turns // _CHARACTERS_OF_A_TRY + 1 if is_read_over_and_over else ways)
        if most > 1:
            before = place.before | _edge(items, 0, place.flags, at_end=True)
            place = _Place(before, again | place.follow, place.flags)
        turn = self.sequence(items, place)
        if turn.ways > 1:
            # Every turn multiplies: the last one has more ends than all turns before it together.
            # Beyond 64 turns even two ways each are too many.
            ways = _cut(2 * turn.ways ** min(turns, 64))
        return _Cost(ways, _cut(max(ways if turn.ways > 1 else 1, turns) * (turn.tries + _TRIES_OF_A_TURN)))


def _edge(items: Any, beyond: int, flags: int, *, at_end: bool = False) -> int:
    """Return the characters that a part can begin or end with; if it can be empty, also those beyond it."""
    found = 0
    for kind, value in reversed(items) if at_end else items:
        edge, can_be_empty = _edge_of(kind, value, flags, at_end=at_end)
        found |= edge
        if not can_be_empty:
            return found
    return found | beyond


def _edge_of(kind: Any, value: Any, flags: int, *, at_end: bool) -> tuple[int, bool]:
    """Return the same for one item, and whether it can be empty."""
    if kind in _CHARACTERS:
        return _set(kind, value, flags), False
    if kind is op.AT:
        return 0, True
    if kind is op.SUBPATTERN:
        flags = _Place(0, 0, flags).inside(value).flags
        return _edge(value[3], 0, flags, at_end=at_end), value[3].getwidth()[0] == 0
    if kind is op.ATOMIC_GROUP:
        return _edge(value, 0, flags, at_end=at_end), value.getwidth()[0] == 0
    if kind is op.BRANCH:
        edges = [_edge(items, 0, flags, at_end=at_end) for items in value[1]]
        return reduce(or_, edges), any(items.getwidth()[0] == 0 for items in value[1])
    if kind in {op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT}:
        least, _, items = value
        return _edge(items, 0, flags, at_end=at_end), least == 0 or items.getwidth()[0] == 0
    return _ALL, True  # lookaround and backreferences: the next character alone does not decide


def _set(kind: Any, value: Any, flags: int) -> int:
    """Return the characters that one place takes; in doubt more of them, to keep `tries` an upper bound."""
    if kind is op.ANY:
        return _ANY
    members = value if kind is op.IN else [(op.LITERAL, value)]
    found = reduce(or_, (_member(what, one, flags) for what, one in members))
    if flags & re.IGNORECASE:
        letters = (found >> ord("A") | found >> ord("a")) & (1 << 26) - 1
        found |= letters << ord("A") | letters << ord("a")
    if kind is op.NOT_LITERAL or members[0][0] is op.NEGATE:
        return (_ANY & ~found) | _BEYOND_ASCII
    # Some letters beyond ASCII have their other case within it.
    return _ANY if flags & re.IGNORECASE and found & _BEYOND_ASCII else found


def _member(kind: Any, value: Any, flags: int) -> int:
    if kind is op.NEGATE:
        return 0
    if kind is op.CATEGORY:
        is_wide = flags & re.UNICODE or value in _NEGATED
        return _category(value) | (_BEYOND_ASCII if is_wide else 0)
    low, high = value if kind is op.RANGE else (value, value)
    within = sum(1 << char for char in range(low, min(high, 127) + 1))
    return within | (_BEYOND_ASCII if high > 127 else 0)


@cache
def _category(category: Any) -> int:
    pattern = re.compile(_CATEGORIES[category], re.ASCII)
    return sum(1 << char for char in range(128) if pattern.match(chr(char)))


def _cut(number: int) -> int:
    return min(number, _HUGE)
