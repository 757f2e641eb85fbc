"""A reader whose numbers the gym writes in another way: events, cards and routes have the gym's notation."""

from harness import GOOD

CARD = {"read": "hex", "bytes": 4, "write": "decimal10"}


def test_a_cards_number_comes_in_the_gyms_notation(gym):
    gym = gym(doors={"main": {"scanner": {"card": CARD}}}).start()
    assert gym.run("cards", "add", "0006547886", "wellhub", GOOD["wellhub"]).returncode == 0
    gym.scan("010063E9AE")
    event = gym.next_event()
    assert (event["credential"], event["member"], event["result"]) == (
        "0006547886",
        GOOD["wellhub"],
        "admitted",
    )


def test_a_code_that_is_no_card_number_is_unchanged(gym):
    gym = gym(doors={"main": {"scanner": {"card": CARD}}}).start()
    event = gym.ask("wellhub", GOOD["wellhub"])
    assert (event["member"], event["result"]) == (GOOD["wellhub"], "admitted")
