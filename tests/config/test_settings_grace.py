"""Grace in the settings: ranges, what contradicts the rest of the file, and the warning."""

import pytest

from gatectl.config.reader import load
from gatectl.config.warnings import warnings_of
from gatectl.decision.door.grace import GraceRules

TABLE = "\n[partners.wellhub.grace]\n"


def test_an_empty_table_switches_it_on_and_none_is_off(write):
    partners = load(write("", TABLE)).partners
    assert partners["wellhub"].grace.rules() == GraceRules(
        seen_days=14, visits=2, admissions=60, hours=12, per_member_h=12, probe_ms=300
    )
    assert partners["wellpass"].grace is None


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("seen_days", 1, 90),
        ("visits", 1, 50),
        ("admissions", 1, 10_000),
        ("hours", 1, 72),
        ("per_member_h", 1, 72),
        ("probe_ms", 50, 2000),
    ],
)
def test_both_ends_of_each_range_belong_to_it(write, refusal, key, low, high):
    for value in (low, high):
        assert getattr(load(write("", f"{TABLE}{key} = {value}\n")).partners["wellhub"].grace, key) == value
    for value in (low - 1, high + 1, '"1"', "true"):
        (line, *_) = refusal(write("", f"{TABLE}{key} = {value}\n")).lines()
        assert f": partners.wellhub.grace.{key}: must be " in line


@pytest.mark.parametrize(("budget", "most"), [("budget_ms = 100", 100), ("", 2000)])
def test_a_probe_is_no_longer_than_the_budget(write, refusal, budget, most):
    path = write('gym_id = "0123"\n', f'gym_id = "0123"\n{budget}\ngrace = {{ probe_ms = {most + 1} }}\n')
    (line,) = refusal(path).lines()
    assert line.endswith(f": partners.wellhub.grace.probe_ms: must be at most budget_ms, which is {most}")
    load(write('gym_id = "0123"\n', f'gym_id = "0123"\n{budget}\ngrace = {{ probe_ms = {most} }}\n'))


def test_evidence_that_the_journal_does_not_keep_is_refused(write, refusal):
    line, *hints = refusal(write("", f"{TABLE}\n[journal]\nkeep_days = 13\n")).lines()
    assert ": partners.wellhub.grace.seen_days: is longer than the journal keeps events" in line
    assert line.endswith("journal.keep_days is 13")
    assert hints == ["hint: make keep_days longer, or seen_days shorter"]
    for keep_days in (0, 14):
        load(write("", f"{TABLE}\n[journal]\nkeep_days = {keep_days}\n"))
    load(write("", f"{TABLE}seen_days = 13\n[journal]\nkeep_days = 13\n"))


def test_an_unknown_key_is_an_error(write, refusal):
    line, *hints = refusal(write("", f"{TABLE}seen_day = 3\n")).lines()
    assert line.endswith(": partners.wellhub.grace.seen_day: is not a known key")
    assert "seen_days" in hints[0]


def test_check_warns_that_the_gym_may_not_be_paid(write):
    assert warnings_of(load(write("", TABLE))) == [
        (
            "partners.wellhub.grace: the gym may not be paid for visits during an outage; "
            "`gatectl grace` lists them, for settling with the partner"
        )
    ]
