"""A partner's conditions: outages, refusals of everyone, rests, a refused key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatectl.decision.outcomes import Fault
from gatectl.decision.partner_condition import (
    RESTING,
    Condition,
    Conditions,
    FinishedScan,
    OutageDetector,
    RefusalDetector,
)
from gatectl.decision.verdict import Verdict


def play(*scans):
    streak = OutageDetector()
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


def refused(*members, verdict=Verdict.NOT_ALLOWED):
    return [FinishedScan(member, verdict, None, 403) for member in members]


ADMITTED = FinishedScan("9", Verdict.ALLOWED, None, 200, admitted=True)
TIMED_OUT = FinishedScan("9", Verdict.NONE, Fault.TIMEOUT)


def condition_after(*scans):
    conditions = Conditions(0.0)
    for at, scan in enumerate(scans, 1):
        conditions.take(scan, float(at))
    return conditions.condition


def test_the_fifth_different_member_refused_in_a_row_makes_it_everyone():
    assert condition_after(*refused(*"1234")) is Condition.HEALTHY
    assert condition_after(*refused(*"12345")) is Condition.REFUSING_EVERYONE
    assert condition_after(*refused(*"123"), *refused(*"45", verdict=Verdict.NOT_FOUND)) is (
        Condition.REFUSING_EVERYONE
    )


def test_the_same_member_refused_again_is_no_second_member():
    assert condition_after(*refused(*"1122334411")) is Condition.HEALTHY


@pytest.mark.parametrize(
    "between",
    [
        ADMITTED,
        FinishedScan("9", Verdict.ALLOWED, Fault.GATE, 200),  # the partner admitted, the gate did not open
        FinishedScan("9", Verdict.NOT_ALLOWED, None, 400, "checkin.already.validated", admitted=True),
    ],
)
def test_one_admitted_between_ends_the_row_of_refusals(between):
    assert condition_after(*refused(*"1234"), between, *refused(*"5678")) is Condition.HEALTHY
    assert condition_after(*refused(*"12345"), between) is Condition.HEALTHY


def test_a_scan_without_a_verdict_neither_counts_as_a_refusal_nor_ends_the_row():
    assert condition_after(*refused(*"1234"), TIMED_OUT, *refused("5")) is Condition.REFUSING_EVERYONE
    assert condition_after(*refused(*"1234"), TIMED_OUT) is Condition.HEALTHY


SCANS = st.builds(
    FinishedScan,
    st.sampled_from("1234567"),
    st.sampled_from(Verdict),
    st.sampled_from([None, *Fault]),
    st.sampled_from([None, 200, 400]),
    st.sampled_from([None, RESTING]),
    st.booleans(),
)


@given(st.lists(SCANS, max_size=40))
def test_a_row_of_refusals_is_what_the_rule_says(scans):
    refusals = RefusalDetector()
    for count, scan in enumerate(scans, 1):
        part = refusals.take(scan.member, scan.verdict, admitted=scan.admitted)
        row = set()
        for one in scans[:count]:
            if one.admitted or one.verdict is Verdict.ALLOWED:
                row.clear()
            elif one.verdict in (Verdict.NOT_ALLOWED, Verdict.NOT_FOUND):
                row.add(one.member)
        assert refusals.are_of_everyone is (len(row) >= 5)
        refuses = not scan.admitted and scan.verdict in (Verdict.NOT_ALLOWED, Verdict.NOT_FOUND)
        assert part is (refuses and refusals.are_of_everyone)


@given(st.lists(SCANS, max_size=40))
def test_a_condition_read_back_equals_the_former_one(scans):
    keyless = [scan for scan in scans if scan.fault is not Fault.CREDENTIALS]
    live, recalled = Conditions(0.0), Conditions(1e6)
    for at, scan in enumerate(keyless, 1):
        live.take(scan, float(at))
    recalled.recall((scan, float(at)) for at, scan in enumerate(keyless, 1))
    assert recalled.condition is live.condition
    assert recalled.since == (live.since or 1e6)


def test_since_is_the_moment_of_the_change():
    conditions = Conditions(0.0)
    for at, member in enumerate("1234567", 10):
        conditions.take(*refused(member), float(at))
    assert conditions.since == 14.0
    conditions.update(99.0)
    assert conditions.since == 14.0


def test_a_rest_is_over_at_its_end_and_not_before():
    conditions = Conditions(0.0)
    conditions.rest(30.0)
    conditions.take(FinishedScan("1", Verdict.NONE, Fault.PARTNER, 429), 1.0)
    assert (conditions.condition, conditions.since) == (Condition.RESTING, 1.0)
    conditions.update(29.9)
    assert conditions.condition is Condition.RESTING
    conditions.update(30.0)
    assert (conditions.condition, conditions.since) == (Condition.HEALTHY, 30.0)


def test_the_last_failure_is_kept_until_a_verdict():
    conditions = Conditions(0.0)
    failure = FinishedScan("1", Verdict.NONE, Fault.PARTNER, 404, detail="404 with a text/html page")
    for scan, kept in (
        (failure, failure),
        (FinishedScan("2", Verdict.NONE, Fault.PARTNER, reason_key=RESTING), failure),
        (FinishedScan("2", Verdict.NONE, Fault.CREDENTIALS, 401), failure),
        (ADMITTED, None),
    ):
        conditions.take(scan, 1.0)
        assert conditions.failure is kept


def test_a_refused_key_comes_first_and_is_not_read_back():
    key_refused = FinishedScan("1", Verdict.NONE, Fault.CREDENTIALS, 401)
    assert condition_after(*refused(*"12345"), key_refused) is Condition.REFUSING_KEY
    assert condition_after(key_refused, *refused("1")) is Condition.HEALTHY
    conditions = Conditions(0.0)
    conditions.recall([(key_refused, 1.0)])
    assert conditions.condition is Condition.HEALTHY
