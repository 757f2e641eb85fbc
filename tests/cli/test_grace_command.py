"""`gatectl grace`: who was let in during an outage, for people, programs and spreadsheets."""

import json

import pytest
from records import TIMEOUT

from gatectl.decision.event import GateRecord, RequestRecord
from gatectl.decision.outcomes import Fault, Message
from gatectl.decision.verdict import Basis, Result

NOT_SENT = RequestRecord(False, None, None, 1.2, 300, "new")
GRACED = {
    "result": Result.ADMITTED,
    "message": Message.GRACE.value,
    "basis": Basis.GRACE,
    "outage": True,
    "gate": GateRecord(1_763_840_101_000_042, 183.5, 3000),
}


@pytest.fixture
def visits(write):
    """One whose request was sent, another partner's whose request was not, and scans that are no visits."""
    write(1)
    write(2, TIMEOUT, **GRACED)
    write(3, TIMEOUT)
    write(4, TIMEOUT, **GRACED, partner="wellpass", member="=7", request=NOT_SENT, fault=Fault.NETWORK)


def listed(run, *arguments):
    status, out, err = run("grace", "--json", *arguments)
    assert (status, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.usefixtures("in_berlin", "visits")
def test_json_is_one_object_a_line(run):
    first, second = listed(run)
    assert first == {
        "id": "0199f0c6-0000-7000-8000-000000000002",
        "at": "2025-11-22T19:37:01.000042Z",
        "door": "main",
        "partner": "wellhub",
        "member": "1234567890123",
        "credential": "1234567890123",
        "fault": "timeout",
        "counted": "perhaps counted",
    }
    assert list(first) == list(second)
    assert (second["partner"], second["fault"], second["counted"]) == ("wellpass", "network", "not counted")


@pytest.mark.usefixtures("in_berlin", "visits")
def test_of_a_partner_and_from_a_time_on(run):
    assert [one["partner"] for one in listed(run, "--partner", "wellpass")] == ["wellpass"]
    assert [one["partner"] for one in listed(run, "--since", "2025-11-22T19:38:00Z")] == ["wellpass"]
    assert listed(run, "--since", "2025-11-23") == []


@pytest.mark.usefixtures("in_berlin", "visits")
def test_the_table(run):
    assert run("grace") == (
        0,
        (
            "Time              Door  Partner   Member         Credential     Fault    Counted\n"
            "2025-11-22 20:37  main  wellhub   1234567890123  1234567890123  timeout  perhaps\n"
            "2025-11-22 20:39  main  wellpass  =7             1234567890123  network  no     \n"
        ),
        "",
    )


@pytest.mark.usefixtures("in_berlin", "visits")
def test_a_spreadsheet_opens_the_csv(run):
    assert run("grace", "--csv")[1].splitlines() == [
        "\ufefftime,utc_offset,door,partner,member,credential,fault,counted,id",
        (
            "2025-11-22 20:37:01,'+01:00,main,wellhub,1234567890123,1234567890123,timeout,perhaps counted,"
            "0199f0c6-0000-7000-8000-000000000002"
        ),
        (
            "2025-11-22 20:39:01,'+01:00,main,wellpass,'=7,1234567890123,network,not counted,"
            "0199f0c6-0000-7000-8000-000000000004"
        ),
    ]


def test_nobody(run, write):
    write(1)
    assert run("grace") == (0, "", "nobody was let in without a partner\n")
    assert listed(run) == []


def test_a_partner_that_is_nowhere_is_an_error(run, write):
    write(1)
    status, _, err = run("grace", "--partner", "welhub")
    assert status == 1
    assert "there is no partner 'welhub'" in err


def test_one_form_at_a_time(run):
    status, _, err = run("grace", "--json", "--csv")
    assert status == 2
    assert "--csv: not allowed with argument --json" in err
