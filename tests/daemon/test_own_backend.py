"""A gym's own backend, asked by the protocol `http`: the settings on the line, through the whole daemon."""

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest

SECRET = "Jörg:geheim & lang"


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "own.key"
    path.touch(0o600)
    path.write_text(SECRET, "utf-8")
    return {"file": str(path)}


def test_code_member_and_door_reach_it(gym):
    gym = gym({"http": {}}).start()
    event = gym.ask("http", "a/../b ü?")
    (request,) = gym.partners.requests
    assert request.path == "/door/a%2F..%2Fb%20%C3%BC%3F"
    assert json.loads(request.body) == {"code": "http:a/../b ü?", "door": "main"}
    assert (event["verdict"], event["member"]) == ("not_found", "a/../b ü?")


def test_a_partner_without_a_key(gym):
    gym = gym({"http": {"auth": "none", "key": None}}).start()
    event = gym.ask("http", "GOOD-1")
    (request,) = gym.partners.requests
    assert "authorization" not in request.headers
    assert (event["fault"], event["status"]) == ("credentials", 401)
    assert event["detail"] == "401: the key is refused"
    assert gym.ask("http", "GOOD-1")["request"]["sent"] is True


def test_user_and_password_and_the_key_in_the_query(gym, key_file):
    gym = gym({"http": {"auth": "basic", "key": key_file, "method": "GET", "body": None}})
    text = gym.settings.read_text().replace('/door/{member}"', '/door/{member}?door={door}&t={key}"')
    gym.settings.write_text(text.replace('body = { code = "{code}", door = "{door}" }\n', ""))
    gym.start()
    event = gym.ask("http", "GOOD-1")
    (request,) = gym.partners.requests
    assert (request.method, request.body) == ("GET", b"")
    assert parse_qs(urlsplit(request.path).query) == {"door": ["main"], "t": [SECRET]}
    assert request.headers["authorization"] == f"Basic {base64.b64encode(SECRET.encode()).decode()}"
    assert (event["status"], event["fault"]) == (404, "partner")
    assert "geheim" not in json.dumps(event)
