"""Settings of an `http` partner: each mistake is refused, or warned of, with the line and the remedy."""

import re
from pathlib import Path

import pytest

from gatectl.config.problems import SettingsError
from gatectl.config.reader import load, load_with_keys
from gatectl.config.warnings import warnings_of
from gatectl.partners.registry import PROTOCOLS

ROOT = Path(__file__).parents[2]

OLD = """\
[partners.capitan]
protocol = "capitan"
key = { file = "key" }
"""
HOUSE = """\
[partners.house]
protocol = "http"
url = "https://members.example.com/door/{code}"
key = { file = "own-key" }
body = { code = "{code}", door = "{door}" }
[[partners.house.answers]]
status = 200
json = { granted = true }
verdict = "allowed"
[[partners.house.answers]]
status = [403, 404]
verdict = "not_allowed"
reason = "message"
"""
KEY = 'key = { file = "own-key" }\n'
URL = 'url = "https://members.example.com/door/{code}"'
KNOWN = "hint: known are {code}, {member}, {door}, {key}"
MISSING = [
    'hint: put the key alone into a file: key = { file = "/etc/gatectl/secrets/NAME" }',
    'hint: a backend that wants none has auth = "none"',
]
IN_PLACE = (
    'hint: write {key} in its place, and put the key into a file: key = { file = "/etc/gatectl/secrets/…" }'
)


@pytest.fixture
def house(write, key_file, tmp_path):  # noqa: ARG001 - the other partners have it
    """Settings with the partner, of which one text is replaced."""
    own = tmp_path / "own-key"
    own.touch(0o600)
    own.write_text("s3cr3t-k3y\n")

    def make(old="", new=""):
        assert old in HOUSE
        return write(OLD, HOUSE.replace(old, new, 1))

    return make


def test_it_is_read(house):
    partner = load(house()).partners["house"]
    assert (partner.method, partner.auth, partner.budget_ms) == ("POST", "bearer", 2000)
    assert [(rule.status, rule.verdict) for rule in partner.answers] == [
        ((200,), "allowed"),
        ((403, 404), "not_allowed"),
    ]
    assert warnings_of(load(house())) == []


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (
            URL,
            'url = "https://x.example.com/{card}"',
            ["18: partners.house.url: has the placeholder {card}, which is not known", KNOWN],
        ),
        (
            URL,
            'url = "https://{door}.example.com/"',
            [
                "18: partners.house.url: must not have a placeholder in the host",
                "hint: it may be in the path and in the query",
            ],
        ),
        (
            URL,
            'url = "http://members.example.com/{code}"',
            [
                "18: partners.house.url: plain http is refused, since the key could be read on the way",
                "hint: write https://; http is for this machine alone (localhost, 127.0.0.0/8, ::1)",
            ],
        ),
        (
            URL,
            'url = "https://x.example.com/?c={code}&api_key=abc"',
            ["18: partners.house.url: holds the partner's key in the open, as api_key", IN_PLACE],
        ),
        (
            'door = "{door}"',
            'token = "abc"',
            ["20: partners.house.body: holds the partner's key in the open, as token", IN_PLACE],
        ),
        (
            'door = "{door}"',
            'door = "{gate}"',
            ["20: partners.house.body: has the placeholder {gate}, which is not known", KNOWN],
        ),
        (
            'door = "{door}"',
            '"{door}" = 1',
            [
                "20: partners.house.body: must not have a placeholder in a member's name",
                "hint: it is for its value's text",
            ],
        ),
        (
            'door = "{door}"',
            "day = 2026-11-26",
            [
                "20: partners.house.body: holds 2026-11-26, which JSON does not have",
                "hint: JSON has text, numbers, true, false, lists and tables; a date is text in quotes",
            ],
        ),
        (
            KEY,
            KEY + 'method = "GET"\n',
            ["21: partners.house.body: does not go with method GET", 'hint: write method = "POST"'],
        ),
        (
            KEY,
            KEY + 'method = "get"\n',
            ["20: partners.house.method: must be 'POST', 'GET' or 'PUT'", "hint: did you mean GET?"],
        ),
        (
            KEY,
            KEY + 'auth = "digest"\n',
            [
                '20: partners.house.auth: must be "bearer", "basic", "header:NAME" or "none"',
                'hint: a header of the backend is "header:X-Api-Key"',
            ],
        ),
        (
            KEY,
            KEY + 'auth = "header:X Key"\n',
            [
                "20: partners.house.auth: has no valid name of a header behind header:",
                'hint: as in "header:X-Api-Key"',
            ],
        ),
        (
            KEY,
            KEY + 'auth = "header:Host"\n',
            [
                "20: partners.house.auth: names Host, a header that gatectl sets by itself",
                'hint: as in "header:X-Api-Key"',
            ],
        ),
        (
            KEY,
            KEY + 'auth = "none"\n',
            [
                '19: partners.house.key: is not used: auth is "none", and neither url nor body has {key}',
                'hint: leave the key out, or write auth = "bearer"',
            ],
        ),
        (KEY, "", ['16: partners.house.key: is missing: auth = "bearer" sends it', *MISSING]),
        (KEY, 'auth = "none"\nmethod = "PUT"\n', None),
        (
            KEY + 'body = { code = "{code}"',
            'auth = "none"\nbody = { code = "{key}"',
            ["16: partners.house.key: is missing: {key} sends it", *MISSING],
        ),
        (
            KEY,
            KEY + 'auth = "basic"\n',
            [
                "19: partners.house.key.file: the key is not user:password",
                'hint: with auth = "basic" it is one line, user:password',
            ],
        ),
        (
            'verdict = "allowed"',
            'verdict = "not_found"',
            [
                "21: partners.house.answers: no rule has the verdict allowed, so nobody would be admitted",
                'hint: as in { status = 200, json = { granted = true }, verdict = "allowed" }',
            ],
        ),
        (
            "status = 200\n",
            "",
            [
                "21: partners.house.answers[0]: opens the gate whatever the status: it must name one",
                "hint: add status = 200 to it",
            ],
        ),
        (
            "status = 200\n",
            "status = 2000\n",
            [
                "22: partners.house.answers[0].status: must be a status from 200 to 599, or a list of them",
                "hint: as in [403, 404]",
            ],
        ),
        (
            "status = 200\n",
            "status = []\n",
            ["22: partners.house.answers[0].status: must not be empty", "hint: leave it out for any status"],
        ),
        (
            "status = 200\n",
            "stauts = 200\nstatus = 200\n",
            ["22: partners.house.answers[0].stauts: is not a known key", "hint: did you mean status?"],
        ),
        (
            "json = { granted = true }",
            "json = true",
            [
                "23: partners.house.answers[0].json: must be a table of members and their values",
                "hint: as in { granted = true }",
            ],
        ),
        (
            "json = { granted = true }",
            'json = { "a..b" = 1 }',
            [
                "23: partners.house.answers[0].json: has an empty name in 'a..b'",
                'hint: a dot goes deeper: "result.text"',
            ],
        ),
        (
            'verdict = "allowed"\n',
            "",
            [
                "21: partners.house.answers[0].verdict: is missing",
                'hint: verdict = "allowed", "not_allowed", "not_found", "credentials" or "configuration"',
            ],
        ),
        (
            'reason = "message"',
            'member_pattern = "x"',
            [
                "28: partners.house.answers[1].member_pattern: is not a known key",
                "hint: known here: status, json, verdict, reason",
            ],
        ),
        (KEY, KEY + "member_pattern = '(a+)+'\n", ...),
    ],
)
def test_a_mistake(house, old, new, lines):
    path = house(old, new)
    if lines is None:
        load_with_keys(path, {})
        return
    with pytest.raises(SettingsError) as caught:
        load_with_keys(path, {})
    shown = caught.value.lines()
    if lines is ...:
        assert shown[0].startswith(f"{path}:20: partners.house.member_pattern: could take too long")
        return
    assert shown == [line if line.startswith("hint:") else f"{path}:{line}" for line in lines]


def test_a_setting_of_http_is_named_as_one_where_another_partner_has_it(write):
    path = write(OLD, OLD + 'auth = "bearer"\n')
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert caught.value.lines()[1:] == ["hint: it is a setting of http"]


def test_user_and_password_are_any_text(house, tmp_path):
    path = house(KEY, KEY + 'auth = "basic"\n')
    (tmp_path / "own-key").write_text("Jörg:geheim und lang\n", "utf-8")
    assert load_with_keys(path, {})[1]["house"].key.value == "Jörg:geheim und lang"


@pytest.mark.parametrize("content", ["nobody", ":alone", "a:b\nc:d", "a:\x07"])
def test_a_text_without_user_and_password_is_refused(house, tmp_path, content):
    path = house(KEY, KEY + 'auth = "basic"\n')
    (tmp_path / "own-key").write_text(content)
    with pytest.raises(SettingsError, match="the key is not user:password"):
        load_with_keys(path, {})


@pytest.mark.parametrize(
    ("old", "new", "warning"),
    [
        (
            "status = [403, 404]\n",
            "status = 200\njson = { granted = true }\n",
            "answers[1]: never decides: answers[0] before it fits all of its answers",
        ),
        (
            "status = 200\n",
            "status = [200, 409]\n",
            "answers[0]: opens the gate on 409, with which a server says that something went wrong",
        ),
        (
            "json = { granted = true }",
            "json = { member.granted = true }",
            'answers[0].json: compares "member" as a whole; "member.NAME", in quotes, is one member of it',
        ),
    ],
)
def test_a_likely_mistake_is_warned_of(house, old, new, warning):
    assert warnings_of(load(house(old, new))) == [f"partners.house.{warning}"]


PASSAGE = "[doors.main]\npassage = { pin = 27 }\nreturn_min = 30\n"


@pytest.mark.parametrize(("old", "new"), [("", ""), ('reason = "message"\n', "")])
def test_a_return_is_warned_of_where_a_refusal_carries_no_reason(house, old, new):
    path = house(old, new)
    path.write_text(path.read_text("utf-8").replace("[doors.main]\n", PASSAGE), "utf-8")
    silent = ["wellpass", "house"] if old else ["wellpass"]
    assert warnings_of(load(path)) == [
        f"doors.main.return_min: a refusal of {name} carries no reason, so a second visit cannot be "
        "told from an ended contract: both are let in"
        for name in silent
    ]


def test_a_named_header_may_hold_a_word_before_the_key(house, tmp_path):
    path = house(KEY, KEY + 'auth = "header:Authorization"\n')
    (tmp_path / "own-key").write_text("Token s3cr3t\n")
    assert load_with_keys(path, {})[1]["house"].key.value == "Token s3cr3t"


@pytest.mark.parametrize("content", ["a\nX-Evil: 1", "ü", "a\tb"])
def test_a_named_headers_key_is_one_line_of_ascii(house, tmp_path, content):
    path = house(KEY, KEY + 'auth = "header:X-Key"\n')
    (tmp_path / "own-key").write_text(content, "utf-8")
    with pytest.raises(SettingsError, match="cannot be in an HTTP header"):
        load_with_keys(path, {})


def examples():
    """The partners that the README shows, each with its settings."""
    blocks = re.findall(r"\n\n((?:    .*\n)+)", (ROOT / "README.md").read_text("utf-8"))
    return [
        "\n".join(line[4:] for line in block.splitlines()) for block in blocks if 'protocol = "http"' in block
    ]


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.split("\n")[0])
def test_the_readmes_examples_are_good(write, tmp_path, example):
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in re.findall(r'"secrets/([\w-]+)"', example):
        (secrets / name).touch(0o600)
        (secrets / name).write_text("s3cr3t-k3y")
    path = write(OLD, example + "\n")
    (partner,) = (partner for partner in load(path).partners.values() if partner.protocol == "http")
    assert list(PROTOCOLS["http"].remarks(partner)) == []


def test_the_readme_has_an_example_of_each():
    assert len(examples()) == 4
