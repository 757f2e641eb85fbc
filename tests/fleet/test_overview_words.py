"""The strip's sentences about a fleet: how many gates and studios, how soon, how long."""

from datetime import UTC, datetime, timedelta

import pytest

from gatectl.fleet.overview import BrokerLink, FleetGate, OfficeAlarm, Overview, SentHealth
from gatectl.fleet.overview_words import sentences_of

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
DAY, A_MOMENT = timedelta(days=1), timedelta(seconds=1)


def gate(number, *, online=True, since=NOW, studio=None, **fields):
    health = SentHealth(fields)
    return FleetGate(f"gate-{number}", studio or f"Studio {number}", online, since, NOW, 0, None, health)


def said(*gates, **more):
    return list(sentences_of(Overview(NOW, list(gates), **more), "en"))


def test_nothing_is_said_of_a_fleet_that_is_well():
    assert said(gate(1), gate(2)) == []


@pytest.mark.parametrize("more", [0, 1, 2])
def test_some_gates_are_named_and_the_others_counted(more):
    gates = [gate(number, online=False) for number in range(5 + more)]
    named = ", ".join(f"gate-{number}" for number in range(5)) + (f" and {more} more" if more else "")
    assert said(*gates) == [f"Gates offline: {5 + more} ({named})."]


@pytest.mark.parametrize(("left", "count"), [(30 * DAY - A_MOMENT, 1), (30 * DAY, 0)])
def test_a_certificate_that_ends_soon(left, count):
    words = said(gate(1, certificate_until=(NOW + left).isoformat()))
    assert sum(one.startswith("Certificates that end within 30 days: 1 (gate-1).") for one in words) == count


@pytest.mark.parametrize(("age", "count"), [(7 * DAY - A_MOMENT, 1), (7 * DAY, 0)])
def test_an_alarm_is_said_for_a_week_after_its_last_occurrence(age, count):
    alarm = OfficeAlarm("gate-1", "pruned", NOW - 30 * DAY, NOW - age, 3, "")
    words = said(gate(1), alarms=[alarm])
    assert sum(one.startswith("gate-1: events were pruned at the gate") for one in words) == count


def asking(state, unconnected=None):
    return {"partners": {"wellhub": {"state": state, "unconnected": unconnected}}}


@pytest.mark.parametrize(
    ("statuses", "failing"),
    [
        ([asking("outage")], 0),
        ([asking("outage"), asking("healthy")], 0),
        ([asking("outage"), asking("outage")], 2),
        ([asking("healthy", {"fault": "network"}), asking("outage"), asking("healthy")], 2),
    ],
)
def test_a_partner_that_fails_at_several_studios_is_one_sentence(statuses, failing):
    gates = [gate(number, status=status) for number, status in enumerate(statuses)]
    begin = f"wellhub fails at {failing} of {len(statuses)} studios: "
    assert sum(one.startswith(begin) for one in said(*gates)) == (failing > 0)
    assert not [one for one in said(*gates) if " fails at " in one and not one.startswith(begin)]


def test_two_gates_of_one_studio_are_one_studio_and_one_that_is_offline_is_none():
    ill = asking("outage")
    one = [gate(1, studio="Berlin", status=ill), gate(2, studio="Berlin", status=ill)]
    away = gate(3, online=False, status=ill)
    assert not [words for words in said(*one, away) if " fails at " in words]


@pytest.mark.parametrize(
    ("link", "since", "offline"),
    [
        (BrokerLink(), NOW, 1),
        (BrokerLink(connected=False, since=NOW, lost_at=NOW), NOW, 0),
        (BrokerLink(connected=False, since=NOW, lost_at=NOW), NOW - timedelta(seconds=9), 0),
        (BrokerLink(connected=False, since=NOW, lost_at=NOW), NOW - timedelta(seconds=10), 1),
        (BrokerLink(since=NOW - timedelta(seconds=150), lost_at=NOW - timedelta(hours=1)), NOW, 0),
        (BrokerLink(since=NOW - timedelta(seconds=151), lost_at=NOW - timedelta(hours=1)), NOW, 1),
    ],
)
def test_a_gate_that_the_broker_took_with_it_is_not_offline_by_itself(link, since, offline):
    assert len(Overview(NOW, [gate(1, online=False, since=since)], link=link).offline) == offline
