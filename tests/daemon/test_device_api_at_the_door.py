"""The Device API at a door: the gym's own members, the software's words for them, and its traceId."""

import contract
import pytest
from harness import GOOD
from viewing import Viewer

TRACE = "traceId 4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def gym(shared_gym):
    return shared_gym({"device-api": {"language": "de"}, "device-api-qr": {"identification": "QR_CODE"}})


@pytest.mark.parametrize(
    ("number", "result", "screen", "lines", "detail"),
    [
        ("208", "admitted", "welcome", ["Hallo!"], None),
        ("207", "rejected", "declined", ["Vertrag ruht."], None),
        ("403", "rejected", "declined", ["Kein gültiger Vertrag."], TRACE),
        ("404", "rejected", "not_found", ["Karte nicht bekannt."], TRACE),
        ("500", "rejected", "try_again", [], f"500 with JSON that is no documented answer, {TRACE}"),
    ],
)
def test_the_member_reads_its_words_and_support_finds_the_trace(gym, number, result, screen, lines, detail):
    with Viewer(gym) as viewer:
        viewer.next()
        event = gym.ask("device-api", f"1233588{number}")
        assert viewer.next()["screen"] == "checking"
        shown = viewer.next()
    assert (shown["screen"], shown["lines"]) == (screen, lines)
    assert (event["result"], event["detail"]) == (result, detail)
    assert (event["fault"] is None) == (number != "500")
    if result == "rejected":
        assert event["reason"]["text"] == (lines[0] if lines else "Interner Fehler.")


def test_the_request(gym):
    gym.ask("device-api", GOOD["device-api"])
    request = gym.partners.requests[-1]
    assert request.headers["accept-language"] == "de"
    assert request.headers["content-type"] == "application/json"


def test_another_identification_takes_other_codes(gym):
    event = gym.ask("device-api-qr", "member/7 ü")
    assert (event["member"], event["message"]) == ("member/7 ü", contract.NOT_FOUND)
    assert gym.partners.requests[-1].body.count(b'"format"') == 0


def test_the_trace_reaches_the_systemd_journal_and_the_terminal(gym):
    gym.ask("device-api", "1233588403")
    gym.logged("rejected device-api:1233588403", TRACE)
    assert f"Detail: {TRACE}" in gym.run("events", "-n", "1").stdout
