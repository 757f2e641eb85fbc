"""`gatectl check` says in words how an `http` partner is asked, and what an answer comes to."""

import io
import sys

import pytest

from gatectl.cli.main import main

SETTINGS = """\
[journal]
path = "journal.db"
[control]
socket = "control.sock"
[gpio]
pin_factory = "mock"
[partners.house]
protocol = "http"
url = "https://members.example.com/door/{code}"
key = { file = "key" }
body = { code = "{code}", door = "{door}" }
answers = [
  { status = 200, json = { granted = true }, verdict = "allowed" },
  { status = [403, 404], verdict = "not_allowed", reason = "message" },
]
[partners.capitan]
protocol = "capitan"
key = { file = "key" }
[doors.main]
relay = { pin = 17 }
[[doors.main.scanners]]
type = "serial"
port = "scanner"
"""


@pytest.fixture
def check(tmp_path, capsys, monkeypatch):
    """Runs it with these arguments: status, the partners' lines by their names, stderr."""
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gatectl.toml").write_text(SETTINGS)
    (tmp_path / "key").touch(0o600)
    (tmp_path / "key").write_text("s3cr3t-k3y")

    def run(*arguments):
        status = main(["check", "-c", "gatectl.toml", *arguments])
        out, err = capsys.readouterr()
        assert "s3cr3t-k3y" not in out + err
        words = [line.removeprefix("partner ").partition(": ") for line in out.splitlines()]
        return status, [(name, said) for name, _, said in words if name in {"house", "capitan"}], err

    return run


ASKS = 'asks POST https://members.example.com/door/{code} with {"code":"{code}","door":"{door}"}'
HOW = [
    ("house", f"{ASKS}, the key in Authorization: Bearer"),
    ("house", '1. 200 with "granted": true -> allowed: the gate opens'),
    ("house", '2. 403 or 404 -> not allowed, its reason is "message"'),
    ("house", "any other answer -> no verdict, and the gate stays shut (401: our key is refused)"),
]


def test_the_rules_are_explained_in_words(check):
    assert check() == (0, HOW, "")


@pytest.mark.parametrize(
    ("status", "body", "house"),
    [
        ("200", b'{"granted": true}', 'allowed, the gate opens, by rule 1: 200 with "granted": true'),
        ("200", b'{"granted": "true"}', "no verdict (fault partner): 200 with JSON that no rule fits"),
        (
            "200",
            b'<html>{"granted": true}',
            "no verdict (fault partner): 200 with a text/html page, as a captive portal sends it",
        ),
        ("200", None, "no verdict (fault partner): 200 without a body"),
        (
            "403",
            b'{"message": "Key s3cr3t-k3y, ask buzz@example.com"}',
            "not allowed, the gate stays shut, reason: Key [masked], ask [masked], by rule 2: 403 or 404",
        ),
        ("401", None, "no verdict (fault credentials): 401: the key is refused"),
        ("302", None, "no verdict (fault partner): 302, a redirect, which is never followed"),
        ("200", b" " * 70_000, "no verdict (fault partner): answer larger than 64 KiB"),
    ],
)
def test_the_decision_on_an_answer(check, tmp_path, status, body, house):
    file = []
    if body is not None:
        (tmp_path / "body").write_bytes(body)
        file = ["body"]
    result, said, err = check("--answer", status, *file)
    assert (result, said[: len(HOW)], err) == (0, HOW, "")
    assert said[len(HOW)] == ("house", house)
    assert said[-1][0] == "capitan"


def test_any_partner_says_what_it_makes_of_an_answer(check, tmp_path):
    (tmp_path / "body").write_text('{"error": "customer_not_found"}')
    assert check("--answer", "404", "body")[1][-1] == (
        "capitan",
        "not found, the gate stays shut, reason: customer_not_found",
    )


def test_the_body_may_come_on_standard_input(check, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"granted": true}')))
    assert check("--answer", "200", "-")[1][-2][1].startswith("allowed, the gate opens")


@pytest.mark.parametrize(
    ("arguments", "exit_status", "line"),
    [
        (["--answer", "ok"], 2, "gatectl check: 'ok' is not the status of an answer, 200 to 999"),
        (["--answer", "99"], 2, "gatectl check: '99' is not the status of an answer, 200 to 999"),
        (["--answer", "٢٠٠"], 2, "gatectl check: '٢٠٠' is not the status of an answer, 200 to 999"),
        (["body"], 2, "gatectl check: FILE is the body of an answer: give its status with --answer"),
        (["--answer", "200", "gone"], 1, "gone cannot be read: No such file or directory"),
    ],
)
def test_files_that_are_no_answer(check, arguments, exit_status, line):
    status, _, err = check(*arguments)
    assert (status, err.splitlines()[0]) == (exit_status, line)
