"""Members who passed and come back: let in although the partner refuses a second visit."""

import pytest
from virtual_door import IN_ALREADY, OPEN_MS, at_rest

from gatectl.decision.door.passages import PassageRules

RETURN_S = 1800
SENSOR = PassageRules(4.0, 120.0)
CAME_BACK = ("scan", "admitted", "Let in again: came back")
REFUSED = ("scan", "rejected", "Aggregator member check-in not allowed")


def turnstile(return_s=RETURN_S, already_in_per_day=0):
    door = at_rest(contact=None, exits=None, passage=SENSOR, return_s=return_s)
    door.partner.counts = {"1", "2"}
    door.partner.already_in_per_day = already_in_per_day
    return door


def pass_through(door):
    door.until(door.now + 1)
    door.passage(active=True)
    door.passage(active=False)
    door.until(door.now + 20)


def test_a_member_who_passed_comes_back():
    door = turnstile()
    door.scan("1")
    pass_through(door)
    door.scan("1")
    assert door.words[-1] == CAME_BACK
    assert door.screens[-1] == "welcome"
    outcome = door.noted[-1].outcome
    assert (outcome.basis.value, outcome.verdict, outcome.status) == ("return", "not_allowed", 409)
    assert outcome.reason == IN_ALREADY.reason
    assert outcome.gate.open_ms == OPEN_MS
    assert door.partner.asked == ["1", "1"]


@pytest.mark.parametrize(("age_s", "word"), [(RETURN_S, CAME_BACK), (RETURN_S + 1, REFUSED)])
def test_the_time_counts_from_the_passage(age_s, word):
    door = turnstile()
    door.scan("1")
    door.until(door.now + 1)
    passed_at_s = door.now
    door.passage(active=True)
    door.passage(active=False)
    door.until(passed_at_s + age_s)
    door.scan("1")
    assert door.words[-1] == word


def test_each_return_counts_from_the_passage_before_it():
    door = turnstile()
    door.scan("1")
    for _ in range(4):
        pass_through(door)
        door.until(door.now + RETURN_S - 60)
        door.scan("1")
        assert door.words[-1] == CAME_BACK


def test_who_did_not_pass_does_not_come_back():
    door = turnstile()
    door.scan("1")
    door.until(door.now + 200)  # past the second try
    door.scan("1")
    assert door.words[-1] == REFUSED


def test_another_member_s_passage_counts_for_nobody_else():
    door = turnstile()
    door.scan("2")
    door.until(door.now + 200)
    door.scan("1")
    pass_through(door)
    door.scan("2")
    assert door.words[-1] == REFUSED


def test_another_refusal_lets_nobody_in():
    door = turnstile()
    door.scan("1")
    pass_through(door)
    door.partner.refuses = {"1"}
    door.scan("1")
    assert door.words[-1] == REFUSED


def test_0_is_never():
    door = turnstile(return_s=0)
    door.scan("1")
    pass_through(door)
    door.scan("1")
    assert door.words[-1] == REFUSED


def test_a_return_comes_before_already_in_and_uses_none_up():
    door = turnstile(already_in_per_day=1)
    door.scan("1")
    pass_through(door)
    door.scan("1")
    assert door.noted[-1].outcome.basis == "return"
    door.until(door.now + RETURN_S + 60)  # it was not used, so this is no return
    door.scan("1")
    assert door.noted[-1].outcome.basis == "already_in"


def test_a_return_that_is_not_used_has_a_second_try():
    door = turnstile()
    door.scan("1")
    pass_through(door)
    door.scan("1")
    door.until(door.now + 10)
    door.scan("1")
    assert door.noted[-1].outcome.basis == "again"
    assert door.partner.asked == ["1", "1"]


def test_a_gate_out_of_order_lets_nobody_back_in():
    door = turnstile()
    door.scan("1")
    pass_through(door)
    door.relay_works = False
    door.scan("1")
    outcome = door.noted[-1].outcome
    assert (outcome.result, outcome.fault, outcome.basis) == ("rejected", "gate", None)
