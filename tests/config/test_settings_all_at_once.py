"""Every problem of a file is reported in one run."""

from __future__ import annotations

import tomli

from gatectl.config import reader

BAD = """\
[site]
tenant = 3
[partners.a]
protocol = "perfectgim"
url = "http://example.com"
key = "s3cr3t"
[partners.b]
protocol = "wellhub"
gym_id = 12
key = { file = "missing" }
[partners.c]
protocol = "capitan"
budget_ms = 1
key = { env = "ABSENT" }
ca_file = "missing.pem"
[[routes]]
match = '('
partner = "d"
doors = ["main", 3, "side"]
[doors.main]
relay = { pin = 17, open_ms = 70000 }
signals = { green = 17, red = "23" }
[[doors.main.scanners]]
type = "serial"
port = "/dev/ttyS7"
baud = "9600"
[[doors.main.scanners]]
type = "evdev"
device = "/dev/ttyS7"
[doors.back]
relay = 4
"""


def test_shape_cross_references_keys_and_files(write, refusal):
    error = refusal(write(text=BAD), {})
    assert error.exit_status == 78
    assert [(problem.line, problem.key) for problem in error.problems] == [
        (2, "site.tenant"),
        (4, "partners.a.protocol"),
        (5, "partners.a.url"),
        (6, "partners.a.key"),
        (9, "partners.b.gym_id"),
        (10, "partners.b.key.file"),
        (13, "partners.c.budget_ms"),
        (14, "partners.c.key.env"),
        (15, "partners.c.ca_file"),
        (17, "routes[0].match"),
        (18, "routes[0].partner"),
        (19, "routes[0].doors[1]"),
        (19, "routes[0].doors[2]"),
        (21, "doors.main.relay.open_ms"),
        (22, "doors.main.signals.red"),
        (22, "doors.main.signals.green"),
        (26, "doors.main.scanners[0].baud"),
        (29, "doors.main.scanners[1].device"),
        (30, "doors.back.scanners"),
        (31, "doors.back.relay"),
    ]


def test_without_the_keys_their_problems_are_not_looked_for(write, refusal):
    keys = {problem.key for problem in refusal(write(text=BAD)).problems}
    assert "partners.a.key" in keys, "this one is in the file itself"
    assert not keys & {"partners.b.key.file", "partners.c.key.env", "partners.c.ca_file"}


def test_the_message_is_the_first_problem(write, refusal):
    error = refusal(write("[site]", "[sight]"))
    assert [error.message, *(f"hint: {hint}" for hint in error.hints)] == error.lines()


def test_a_good_file_is_parsed_once(write, monkeypatch):
    parsed = []
    loads = tomli.loads
    monkeypatch.setattr(tomli, "loads", lambda part: parsed.append(part) or loads(part))
    path = write()
    reader.load(path)
    assert parsed == [path.read_text("utf-8")]


def test_lines_are_found_in_a_long_file_without_parsing_it_over_and_over(write, refusal, monkeypatch):
    text = "".join(
        f"[partners.p{n}]\nprotocol = 'capitan'\nkey = {{ env = 'K' }}\n# {n}\n"
        + ("budget_ms = 1\n" if n % 4 == 0 else "\n")
        for n in range(400)
    )
    parsed = []
    loads = tomli.loads
    monkeypatch.setattr(tomli, "loads", lambda part: parsed.append(len(part)) or loads(part))
    error = refusal(write("", text))
    assert [problem.key for problem in error.problems] == [
        f"partners.p{n}.budget_ms" for n in range(0, 400, 4)
    ]
    whole = error.file.stat().st_size
    assert sum(parsed) < 3 * whole, "once as a whole, once by statements"
