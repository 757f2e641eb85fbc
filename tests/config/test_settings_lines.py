"""The line of each key."""

from __future__ import annotations

import pytest

from gatectl.config.problems import Lines

TEXT = """\
# A comment with a [table] = "in it"
top = 1
dotted.a.b = 2
[one]
key = "[two]"
"quoted key" = 1
text = '''
[not.a.table]
key = 2
'''
after = [
  1,
  { inner = 2 },
  [3,
   4], # ]
] # the end
[[list]]
x = 1
[list.sub]
y = 1
[[list]]
x = 2
[[list.deep]]
z = 1
[[list.deep]]
z = 2
[late.child]
a = 1
[late]
b = 1
last = \"\"\"a\u2028b
\"\"\"
end = 1"""


@pytest.mark.parametrize(
    ("where", "line"),
    [
        (("top",), 2),
        (("dotted", "a", "b"), 3),
        (("one",), 4),
        (("one", "key"), 5),
        (("one", "quoted key"), 6),
        (("one", "text"), 7),
        (("one", "after"), 11),
        (("one", "after", 1, "inner"), 11),
        (("one", "after", 2, 1), 11),
        (("list", 0), 17),
        (("list", 0, "x"), 18),
        (("list", 0, "sub"), 19),
        (("list", 0, "sub", "y"), 20),
        (("list", 1), 21),
        (("list", 1, "x"), 22),
        (("list", 1, "deep", 0, "z"), 24),
        (("list", 1, "deep", 1), 25),
        (("list", 1, "deep", 1, "z"), 26),
        (("late", "child", "a"), 28),
        (("late",), 29),
        (("late", "b"), 30),
        (("late", "last"), 31),
        (("late", "end"), 33),
    ],
)
def test_the_line_of_each_key(where, line):
    assert Lines(TEXT).of(where) == line


@pytest.mark.parametrize(
    ("where", "line"),
    [
        (("absent",), 1),
        ((), 1),
        (("one", "absent"), 4),
        (("one", "key", "absent"), 5),
        (("list", 1, "absent"), 21),
        (("list", 9, "absent"), 17),
    ],
)
def test_a_missing_key_is_reported_at_the_nearest_table(where, line):
    assert Lines(TEXT).of(where) == line
