"""The strip at the top of the page: how doors and partners are, and what somebody has to do."""

import pytest

from gatectl.monitor.presenters import health_of

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


@pytest.mark.parametrize(
    ("left", "language", "words"),
    [
        (57, "en", "are let in without it until"),
        (57, "de", "höchstens noch 57"),
        (0, "en", "its grace is used up"),
        (0, "de", "die Karenz ist aufgebraucht"),
    ],
)
def test_an_outage_with_grace(left, language, words):
    grace = {"since": "2025-11-22T19:35:01Z", "until": "2025-11-23T07:35:01Z", "admissions_left": left}
    (sentence,) = health(language, wellhub=PARTNER | {"state": "outage", "grace": grace}).sentences
    assert words in sentence


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


def door(scanners=({},), **gate):
    ready = {
        "scanner": "/dev/serial/by-id/usb-1",
        "state": "ready",
        "since": None,
        "cause": None,
        "held_by": [],
    }
    return {"gate": {"open": False} | gate, "signals": {}, "scanners": [ready | one for one in scanners]}


def health_with(language="en", doors=None, **more):
    journal = {"error": None, "late": 0, "lost": 0} | more.pop("journal", {})
    status = {"doors": doors or {}, "partners": {}, "journal": journal, "cards": 7} | more
    return health_of(status, PAGES, language)


SINCE = "2025-11-22T19:35:01Z"


def test_an_exits_relay_that_is_out_of_order_is_shown_at_its_door():
    broken = {"state": "out of order", "since": SINCE, "cause": "the exit relay cannot be energised (busy)"}
    (badge,) = health_with(doors={"main": door() | {"exit_gate": broken}}).badges
    assert "the exit relay cannot be energised" in badge[1]


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"cards": None}, {"en": "every code is rejected", "de": "jeder Code abgewiesen"}),
        (
            {"damaged": {"since": SINCE, "cards": 12, "events": 4711}},
            {"en": "12 cards and 4711 events", "de": "12 Karten und 4711 Ereignisse"},
        ),
        ({"journal": {"lost": 3}}, {"en": "3 records were lost", "de": "3 Einträge gingen verloren"}),
        ({"journal": {"error": "no space left"}}, {"en": "no space left", "de": "no space left"}),
    ],
)
def test_damage_of_the_store_is_shown_in_a_sentence(language, more, words):
    assert health_with().sentences == []
    (sentence,) = health_with(language, **more).sentences
    assert words[language] in sentence


def test_a_damaged_store_stays_until_it_is_acknowledged():
    assert (
        "gatectl status --acknowledge"
        in health_with(damaged={"since": SINCE, "cards": 0, "events": 0}).sentences[0]
    )
    assert health_with(damaged=None).sentences == []


def test_a_door_names_all_that_is_wrong_with_it():
    broken = door(
        [{"state": "lost", "since": SINCE, "cause": "unplugged"}, {"held_by": ["getty"]}],
        cause="pin 17 is busy", since=SINCE,
    )  # fmt: skip
    ((_, words, is_well),) = health_with(doors={"main": broken}).badges
    assert not is_well
    for part in ("pin 17 is busy", "unplugged", "getty"):
        assert part in words
    assert health_with(doors={"main": door()}).badges == [("main", "shut", True)]


RESTING = {"level": False, "since": SINCE, "state": "ok"}


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "shut; door contact: open; exit button: not pressed; passage sensor: free"),
        ("de", "zu; Türkontakt: offen; Ausgangstaster: nicht gedrückt; Durchgangssensor: frei"),
    ],
)
def test_a_door_shows_its_inputs(language, words):
    inputs = {"contact": RESTING | {"level": True, "state": "active"}, "exit": RESTING, "passage": RESTING}
    assert health_with(language, {"main": door() | {"inputs": inputs}}).badges == [("main", words, True)]


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "exit button: is stuck, pressed"), ("de", "Ausgangstaster: klemmt, gedrückt")],
)
def test_a_door_names_the_inputs_that_cannot_be_trusted(language, words):
    inputs = {"contact": RESTING, "exit": RESTING | {"level": True, "state": "stuck"}}
    assert health_with(language, {"main": door() | {"inputs": inputs}}).badges == [("main", words, False)]


@pytest.mark.parametrize(("language", "words"), [("en", "shut; 12 inside"), ("de", "zu; 12 drinnen")])
def test_a_door_that_counts_both_ways_says_how_many_are_inside(language, words):
    assert health_with(language, {"main": door() | {"inside": 12}}).badges == [("main", words, True)]
    assert "inside" not in health_with("en", {"main": door() | {"inside": None}}).badges[0][1]
