"""Outages: at least three different members in a row, with no verdict between."""

import pytest

from gatectl.decision.outage import RESTING, Streak
from gatectl.decision.verdict import Fault, Verdict


def play(*scans):
    streak = Streak()
    return [streak.take(*scan) for scan in scans]


def failed(member, fault=Fault.TIMEOUT, key=None):
    return (member, Verdict.NONE, fault, key)


def test_the_third_different_member_makes_it_an_outage():
    assert play(failed("1"), failed("2"), failed("3"), failed("4")) == [False, False, True, True]


def test_the_same_member_again_is_no_second_member():
    assert play(failed("1"), failed("1"), failed("2"), failed("2"), failed("1")) == [False] * 5


def test_in_an_outage_every_failed_member_is_part_of_it():
    assert play(failed("1"), failed("2"), failed("3"), failed("1")) == [False, False, True, True]


@pytest.mark.parametrize("verdict", [Verdict.ALLOWED, Verdict.NOT_ALLOWED, Verdict.NOT_FOUND])
def test_a_verdict_between_ends_the_row(verdict):
    assert play(failed("1"), failed("2"), ("9", verdict, None, None), failed("3")) == [False] * 4


def test_an_admission_whose_gate_stuck_is_a_verdict_of_the_partner():
    assert play(failed("1"), failed("2"), ("9", Verdict.ALLOWED, Fault.GATE, None), failed("3"))[-1] is False


@pytest.mark.parametrize("fault", [Fault.NETWORK, Fault.TLS, Fault.TIMEOUT, Fault.PARTNER])
def test_the_faults_that_count(fault):
    assert play(*(failed(str(member), fault) for member in range(3)))[-1] is True


@pytest.mark.parametrize(
    "between",
    [
        failed("9", Fault.CREDENTIALS),
        failed("9", Fault.CONFIGURATION),
        failed("9", Fault.INTERRUPTED),
        failed("9", Fault.PARTNER, RESTING),
    ],
)
def test_the_faults_that_neither_count_nor_end_the_row(between):
    assert play(failed("1"), failed("2"), between, failed("3")) == [False, False, False, True]
