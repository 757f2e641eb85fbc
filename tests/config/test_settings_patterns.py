"""Patterns that could hold up every door are refused, and ordinary ones are not."""

from __future__ import annotations

import json
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from re import _constants as op
from re import _parser

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from gatectl.validators.patterns import MAX_TRIES, tries

MATCH = "match = '\\d{13}'"

TOO_LONG = [
    "(a+)+b",
    "(a|a)*b",
    r"(\d+)*x",
    "(.*)*x",
    r"(\w+\s?)*$",
    "(a|b|ab)*c",
    "(?:a|aa)+$",
    "(?:a?){30}b",
    r"(?:\d+|\w+)+-",
    r"^(\w+\.?)+@",
    r"([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*@",
    "((a*)*)*b",
    "(?:a*?)*?b",
    "(a{1,40}){1,40}b",
    "(?:(?:ab?)+b?)+c",
    "(?i:[a-c]+|[B-D]+)+x",
    "(?=(a+)+b)a+",
    "(?>(a+)+b)",
    "(?:(?:a+)+b)++",
    "(x)?(?:(?(1)a|a))*b",
    r"(a)(?:\1|a)*b",
    ".*a.*a.*b",
    r"\d*\d*\d*x",
    "(?:a(?:){1,3})+b",
    r"\w*\w*\w*\W",
    r".*a.*a[^x]*x",
]
ORDINARY = [
    r"\d{13}",
    r"WP-(?P<member>[0-9A-Za-z-]{1,40})/(?P<customer>\d{1,12})",
    r"(?:A|B)\d+",
    ".*",
    r"CAP-(?P<member>.+)",
    r"(?i)wp-(?P<member>\d+)",
    r"(?!0)\d{1,18}",
    r"0*(?P<member>\d{1,12})",
    r"\s*(?P<member>\d+)\s*",
    r"(?:MEM|MBR|CAP)-\w+",
    "(ab|ac)+x",
    "[A-Z]+(?:-[A-Z]+)*",
    r"(\d+,)*\d+",
    r"(?:\d{4} ?){4}",
    "([0-9A-F]{2}[:-]?){4,10}",
    "[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}",
    r"[\w.-]+@[\w.-]+\.\w+",
    r"(?P<member>.+?)(?:\..*)?",
    r"https?://[^/]+/.*/(?P<member>\d+)/?",
    r".*\?id=(?P<member>\d+).*",
    r".*[?&]m=(?P<member>\w+)(&.*)?",
    r"(?:[^,]*,){3}(?P<member>\d+),.*",
    r".*-.*-\d+",
    r"(?>\d+)-\d++",
]
HOSTILE = [
    *(char * 512 for char in "aA0 -/,.&é"),
    *("a" * 511 + end for end in "!b\u2028"),
    *((part * 512)[:512] for part in ("ab", "a-", "1,", "0-", "a.", "?id=1", "&m=1", "/0", "-WP-", "1 ")),
]


@pytest.mark.parametrize("pattern", TOO_LONG)
def test_a_pattern_that_takes_too_long_is_refused(write, refusal, pattern):
    (problem,) = refusal(write(MATCH, f"match = '''{pattern}'''")).problems
    assert (problem.line, problem.key) == (21, "routes[0].match")
    assert problem.what == "could take too long: a code of 512 characters can fit it in too many ways"
    assert [hint.split(",")[0] for hint in problem.hints] == [
        r"give each repetition a length",
        "a repeated group must not begin with what the end of its last turn can take: not (a+)+",
    ]


@pytest.mark.parametrize("pattern", ORDINARY)
def test_an_ordinary_pattern_is_taken(pattern):
    assert tries(pattern) <= MAX_TRIES


def matched_within(seconds: int, patterns: list[str]) -> int:
    """Python's own engine on every pattern and every hostile code, with so much of the processor's time."""
    child = (
        "import json, re, sys\n"
        "patterns, codes = json.load(sys.stdin)\n"
        "for pattern in patterns:\n"
        "    for code in codes:\n"
        "        re.compile(pattern, re.ASCII).fullmatch(code)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", child],
        input=json.dumps([patterns, HOSTILE]),
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds)),
    ).returncode


def test_accepted_patterns_end_soon_and_refused_ones_do_not():
    assert matched_within(20, ORDINARY) == 0
    assert matched_within(1, TOO_LONG[:1]) in {-signal.SIGXCPU, -signal.SIGKILL}


class Reference:
    """Backtracking as `re` does it, one step after the other, counted."""

    def __init__(self, code: str, most: int) -> None:
        self.code, self.left = code, most

    def ends(self, items, at: int, index: int = 0) -> Iterator[int]:
        self.left -= 1
        assert self.left >= 0, "more steps than the bound allows"
        if index == len(items):
            yield at
            return
        for end in self.part(*items[index], at):
            yield from self.ends(items, end, index + 1)

    def part(self, kind, value, at: int) -> Iterator[int]:
        if kind is op.SUBPATTERN:
            yield from self.ends(value[3], at)
        elif kind is op.BRANCH:
            for items in value[1]:
                yield from self.ends(items, at)
        elif kind in {op.MAX_REPEAT, op.MIN_REPEAT}:
            yield from self.repeat(*value, at, lazy=kind is op.MIN_REPEAT)
        elif at < len(self.code) and self.takes(kind, value, self.code[at]):
            yield at + 1

    def repeat(self, least, most, items, at, *, lazy) -> Iterator[int]:
        if lazy and least <= 0:
            yield at
        if most > 0:
            for end in self.ends(items, at):
                if end > at or least > 0:
                    yield from self.repeat(least - 1, most - 1, items, end, lazy=lazy)
        if not lazy and least <= 0:
            yield at

    @staticmethod
    def takes(kind, value, char: str) -> bool:
        one = {op.LITERAL: "{}", op.NOT_LITERAL: "[^{}]"}.get(kind)
        if one:
            return re.fullmatch(one.format(re.escape(chr(value))), char) is not None
        return kind is op.ANY or any(
            (what is op.LITERAL and chr(of) == char) or (what is op.RANGE and of[0] <= ord(char) <= of[1])
            for what, of in value
        )


ATOMS = st.sampled_from(["a", "b", "ab", "[ab]", "[^a]", "[b-c]", ".", "c", "(?:)"])
REPEATS = st.sampled_from(["", "*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "+?"])


def grown(inner):
    parts = st.lists(
        st.tuples(inner, REPEATS).map(lambda pair: f"(?:{pair[0]}){pair[1]}"), min_size=1, max_size=3
    )
    return parts.map("".join) | st.lists(inner, min_size=2, max_size=3).map("|".join)


PATTERNS = st.recursive(st.tuples(ATOMS, REPEATS).map("".join), grown, max_leaves=6)


@settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=600,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(PATTERNS, st.text("abc", max_size=18), st.sampled_from("abcd"))
@example("(?:a+)+b", "a" * 18, "d")
@example("(?:a|a)+b", "a" * 18, "d")
@example("(?:a(?:){1,3})+b", "a" * 18, "d")
def test_the_bound_holds(pattern, start, end):
    code = start + end
    bound = tries(pattern, len(code))
    assume(bound <= 3000)
    parsed = _parser.parse(pattern, re.ASCII)
    # In addition to the attempts, each character is read once, through every pair of brackets.
    reference = Reference(code, 4 * (bound + 1) * (len(code) + 1) * (len(pattern) + 1))
    found = any(found == len(code) for found in reference.ends(parsed, 0))
    assert found is (re.fullmatch(pattern, code, re.ASCII) is not None)
