"""The strip at the top of the page: how doors and partners are, and what somebody has to do."""

import pytest

from gatectl.monitor.shown import health_of

PARTNER = {
    "state": "healthy",
    "since": "2025-11-22T19:35:01Z",
    "rests_until": None,
    "unconnected": None,
    "failing": None,
}
LOST = {"fault": "network", "detail": "connection refused"}
PAGES = {"wellhub": "https://status.example.com", "wellpass": None}


def health(language="en", **partners):
    status = {"doors": {}, "partners": partners, "journal": {"error": None, "late": 0, "lost": 0}}
    return health_of(status, PAGES, language)


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_partner_that_refuses_everyone(language):
    found = health(language, wellhub=PARTNER | {"state": "refusing everyone"})
    ((name, words, is_well),) = found.badges
    assert (name, is_well) == ("wellhub", False)
    assert {"en": "refuses everyone", "de": "alle ab"}[language] in words
    (sentence,) = found.sentences
    assert "url" in sentence


def test_a_server_that_has_nothing_at_our_url():
    failing = {"fault": "partner", "status": 404, "detail": None}
    (sentence,) = health(wellhub=PARTNER | {"state": "outage", "failing": failing}).sentences
    assert "(HTTP 404)" in sentence
    assert "no need to contact Support" not in sentence


def test_one_partners_outage_is_its_own():
    (sentence,) = health(wellhub=PARTNER | {"state": "outage"}, wellpass=PARTNER).sentences
    assert "https://status.example.com" in sentence
    assert "There is no need to contact Support" in sentence


@pytest.mark.parametrize(
    "partners",
    [
        {"wellhub": PARTNER | {"state": "outage"}, "wellpass": PARTNER | {"state": "outage"}},
        {"wellhub": PARTNER | {"state": "outage", "unconnected": LOST}},
        {"wellhub": PARTNER | {"state": "outage"}, "wellpass": PARTNER | {"unconnected": LOST}},
    ],
)
def test_several_outages_or_one_without_a_connection_may_be_our_own(partners):
    for sentence in health(**partners).sentences:
        assert "own network and clock first" in sentence
        assert "no need to contact Support" not in sentence


@pytest.mark.parametrize(
    ("language", "words"), [("en", "also reads from the scanner"), ("de", "liest auch vom Scanner")]
)
def test_a_second_program_at_a_scanners_port(language, words):
    scanner = {"scanner": "/dev/serial/by-id/usb-Reader", "state": "ready", "held_by": ["agetty (512)"]}
    door = {"gate": {"open": False}, "scanners": [scanner]}
    status = {"doors": {"main": door}, "partners": {}, "journal": {"error": None, "late": 0, "lost": 0}}
    ((name, shown, is_well),) = health_of(status, PAGES, language).badges
    assert (name, is_well) == ("main", False)
    assert shown.startswith("agetty (512) ")
    assert f"{words} " in shown
    assert "usb-Reader" in shown
