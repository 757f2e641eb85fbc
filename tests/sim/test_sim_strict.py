"""Requests that do not follow a page to the letter are refused, with a key that has no meaning."""

import asyncio
import json

import pytest
from asking import CAPITAN, check_in, client, device_api_body, line

from gatectl.sim.protocols import PROTOCOLS
from gatectl.sim.server import Simulator

GOOD = {
    "perfectgym": "1001",
    "wellhub": "1000000000200",
    "capitan": "GOOD-1",
    "device-api": "1233588200",
    "http": "GOOD-1",
}
CODE = "/access/v1/code/1000000000200"
DENY = "User is not authorized to access this resource with an explicit deny"


def send(protocol, *, method=None, path=None, headers=None, body=None, member=None):
    """A good check-in with something changed; a header that is None is left out."""

    async def story():
        async with Simulator() as sim, client(sim) as http:
            usual, url, kept, content = check_in(sim, protocol, member or GOOD[protocol])
            kept = {name: value for name, value in (kept | (headers or {})).items() if value is not None}
            if path is not None:
                url = f"https://{sim.host}:{sim.port}{path}"
            answer = await http.request(
                method or usual, url, headers=kept, content=content if body is None else body
            )
            assert sim.requests[0].answered
            return answer

    return asyncio.run(story())


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_check_in_is_a_post(protocol, method):
    answer = send(protocol, method=method)
    assert answer.status_code == 405
    assert answer.headers.get("allow") == (None if method == "HEAD" else "POST")


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_custom_code_has_three_methods(method):
    answer = send("wellhub", method=method, path=CODE)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, PUT, DELETE")


@pytest.mark.parametrize(
    ("protocol", "path"),
    [
        ("perfectgym", "/"),
        ("perfectgym", "/checkin-validation/"),
        ("perfectgym", "/checkin-validation?x=1"),
        ("wellhub", "/access/v1/validate/"),
        ("wellhub", "/access/v2/validate"),
        ("capitan", "/api/gym-endpoints/barcode-check-in/GOOD-1"),
        ("capitan", "/api/gym-endpoints/barcode-check-in/"),
        ("capitan", "/api/gym-endpoints/barcode-check-in/GOOD-1/1/"),
        ("capitan", "/api/gym-endpoints/barcode-check-in/GOOD-1/?x=1"),
        ("capitan", "/api/gym-endpoints/barcode-check-in/%2E%2E/"),
        ("capitan", "/api/gym-endpoints/barcode-check-in/%2e/"),
        ("device-api", "/open-api/device/cardreader/identification/"),
        ("device-api", "/open-api/device/cardreader/identification?x=1"),
        ("device-api", "/open-api/device/cardreader"),
        ("http", "/door/"),
        ("http", "/door/GOOD-1/"),
        ("http", "/door/GOOD-1?x=1"),
    ],
)
def test_another_path_is_not_found_and_says_nothing_of_a_member(protocol, path):
    answer = send(protocol, path=path)
    assert (answer.status_code, answer.text) == (404, "Not Found")


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/json", "application/json; charset=latin-1"]
)
def test_perfectgym_takes_json_in_utf_8_alone(kind):
    assert send("perfectgym", headers={"Content-Type": kind}).status_code == 415


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_wellhub_takes_json_alone(kind):
    assert send("wellhub", headers={"Content-Type": kind}).status_code == 415
    assert send("wellhub", headers={"Content-Type": kind}, path=CODE).status_code == 415


@pytest.mark.parametrize("kind", [None, "text/plain"])
def test_a_body_to_capitan_is_json(kind):
    assert send("capitan", headers={"Content-Type": kind}, body='{"location_id": 1}').status_code == 415


@pytest.mark.parametrize("kind", [None, "text/plain", "application/json; charset=latin-1"])
def test_the_device_api_takes_json_alone(kind):
    assert send("device-api", headers={"Content-Type": kind}).status_code == 415


@pytest.mark.parametrize("key", [None, "Bearer wrong", "Token x"])
def test_the_device_api_refuses_the_token(key):
    answer = send("device-api", headers={"Authorization": key})
    assert (answer.status_code, answer.json()["errorCode"]) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize("key", [None, "wrong"])
def test_perfectgym_refuses_the_key(key):
    assert send("perfectgym", headers={"X-API-Key": key}).status_code == 401


@pytest.mark.parametrize(
    "headers", [{"Authorization": None}, {"Authorization": "Bearer x"}, {"X-Gym-Id": "99"}]
)
@pytest.mark.parametrize("path", [None, CODE])
def test_wellhub_denies_explicitly(headers, path):
    answer = send("wellhub", headers=headers, path=path)
    assert answer.status_code == 403
    assert answer.json() == {"metadata": {"total": 0, "errors": 1}, "errors": [{"Message": DENY}]}


@pytest.mark.parametrize("path", [None, CODE])
def test_wellhub_wants_the_gym(path):
    assert_says_nothing(send("wellhub", headers={"X-Gym-Id": None}, path=path))


@pytest.mark.parametrize("key", [None, "Token wrong"])
def test_capitan_refuses_the_token(key):
    answer = send("capitan", headers={"Authorization": key})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Token")


def test_capitans_token_is_no_bearer():
    async def story():
        async with Simulator() as sim, client(sim) as http:
            bearer = {"Authorization": f"Bearer {sim.partners['capitan'].key}"}
            answer = await http.post(sim.url("capitan") + CAPITAN + "GOOD-1/", headers=bearer)
            assert answer.status_code == 401

    asyncio.run(story())


@pytest.mark.parametrize("key", [None, "Bearer wrong", "Token wrong"])
def test_the_own_backend_refuses_the_key(key):
    answer = send("http", headers={"Authorization": key})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("kind", [None, "text/plain"])
def test_the_own_backend_takes_json_alone(kind):
    assert send("http", headers={"Content-Type": kind}).status_code == 415


def assert_says_nothing(answer):
    assert answer.status_code == 400
    assert answer.text == "Bad Request"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        "{",
        '{"aggregatorId": "a"}',
        '{"customerId": 1001}',
        '{"aggregatorId": "", "customerId": 1001}',
        '{"aggregatorId": " ", "customerId": 1001}',
        f'{{"aggregatorId": "{"a" * 129}", "customerId": 1001}}',
        '{"aggregatorId": 7, "customerId": 1001}',
        '{"aggregatorId": "a", "customerId": "1001"}',
        '{"aggregatorId": "a", "customerId": 1001.0}',
        '{"aggregatorId": "a", "customerId": true}',
        '{"aggregatorId": "a", "customerId": 0}',
        '{"aggregatorId": "a", "customerId": -1}',
        '{"aggregatorId": "a", "customerId": 1000000000000000000}',
        '{"aggregatorId": "a", "customerId": 1001, "customerId": 1001}',
        '{"aggregatorId": "a", "customerId": 1001, "door": "main"}',
        b'{"aggregatorId": "\xff", "customerId": 1001}',
        "[" * 60_000,
    ],
    ids=lambda body: repr(body)[:60],
)
def test_perfectgym_refuses_another_body(body):
    assert_says_nothing(send("perfectgym", body=body))


@pytest.mark.parametrize(
    ("aggregator", "customer", "status"),
    [
        ("1001", 293123213, 200),
        ("1403", 293123213, 403),
        ("293123213", 1001, 404),  # the two the wrong way round
        ("fitco-4711", 1001, 200),
        ("fitco-4711", 1403, 403),
        ("fitco-4712", 1001, 404),
    ],
)
def test_perfectgym_knows_its_members_by_its_own_id(aggregator, customer, status):
    body = json.dumps({"aggregatorId": aggregator, "customerId": customer})
    assert send("perfectgym", body=body).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '{"gympass_id": 1000000000200}',
        '{"gympass_id": "100000000020"}',
        '{"gympass_id": "10000000002000"}',
        '{"gympass_id": "100000000020x"}',
        '{"gympass_id": "١٠٠٠٠٠٠٠٠٠٢٠٠"}',
        '{"gympass_id": "1000000000200", "gym": 1}',
        '{"gympass_id": "1000000000200", "custom_code": ""}',
        '{"gympass_id": "1000000000200", "custom_code": "  "}',
        '{"gympass_id": "1000000000200", "custom_code": "12345678901234"}',
        '{"gympass_id": "1000000000200", "custom_code": null}',
        '{"gympass_id": "1000000000200", "custom_code": 7}',
    ],
)
def test_wellhub_refuses_another_body(body):
    assert_says_nothing(send("wellhub", body=body))


@pytest.mark.parametrize(
    "path", ["/access/v1/code/", "/access/v1/code/12", "/access/v1/code/1000000000200/x"]
)
def test_wellhub_refuses_a_code_without_a_member(path):
    assert_says_nothing(send("wellhub", path=path, body='{"custom_code": "A1"}'))


@pytest.mark.parametrize("body", ["[]", '{"custom_code": "A1", "x": 1}', '{"code": "A1"}'])
def test_wellhub_refuses_another_body_of_a_code(body):
    assert_says_nothing(send("wellhub", path=CODE, body=body))


@pytest.mark.parametrize(
    "body", ["[]", "{", '{"location_id": "1"}', '{"location_id": true}', '{"location_id": 1, "x": 1}']
)
def test_capitan_refuses_another_body(body):
    assert_says_nothing(send("capitan", headers={"Content-Type": "application/json"}, body=body))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '{"shouldExecuteAction": true}',
        '{"identification": "1233588200", "shouldExecuteAction": true}',
        '{"identification": {"type": "NUMBER", "value": "1233588200", "format": "DECIMAL"}}',
        device_api_body("1233588200").replace("true", '"true"'),
        device_api_body("1233588200").replace("true}", 'true, "door": "main"}'),
        device_api_body(""),
        device_api_body("x"),
        device_api_body("0" * 65),
        device_api_body(1233588200),
        device_api_body("1233588200", x=1),
        device_api_body("1233588200", format="OCTAL"),
        device_api_body("1233588200", format=None),
        device_api_body("12335882x0", format="HEX_MSB"),
        device_api_body("123", format="HEX_LSB"),
        device_api_body("1233588200", "QR_CODE", format="DECIMAL"),
        device_api_body(" ", "QR_CODE"),
        device_api_body("x", 7),
    ],
)
def test_the_device_api_refuses_another_body(body):
    assert_says_nothing(send("device-api", body=body))


@pytest.mark.parametrize(
    "body",
    [
        device_api_body("1233588200"),
        device_api_body("1233588200", format="HEX_MSB"),
        device_api_body("1233588200", format="HEX_LSB"),
        device_api_body("1233588200", "QR_CODE"),
        device_api_body("1233588200").replace("true", "false"),
    ],
)
def test_the_device_api_knows_a_member_by_any_identification(body):
    assert send("device-api", body=body).json() == {"authorized": True, "text": ""}


@pytest.mark.parametrize("path", [CAPITAN + "%FF/", CAPITAN + "x" * 129 + "/"])
def test_capitan_refuses_a_barcode_that_is_none(path):
    assert_says_nothing(send("capitan", path=path))


def test_a_header_sent_twice_is_not_the_key():
    async def story():
        async with Simulator() as sim, line(sim) as one:
            key = f"X-API-Key: {sim.partners['perfectgym'].key}\r\n"
            head = f"POST /checkin-validation HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n{key}{key}\r\n"
            one.writer.write(head.encode())
            assert (await one.see()).status == 401

    asyncio.run(story())


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"POST / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000, 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000, 413),
    ],
    ids=["garbage", "no-host", "large-head", "large-body"],
)
def test_input_that_is_not_http_or_too_much_ends_the_connection(sent, status):
    async def story():
        async with Simulator(tls=False) as sim, line(sim) as one:
            one.writer.write(sent)
            seen = await one.see()
            assert (seen.status, seen.end) == (status, "closed")
            assert not sim.requests[0].whole

    asyncio.run(story())


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{", '{"code": "x"}', '{"code": "x", "door": ""}', '{"code": 1, "door": "main"}'],
)
def test_the_own_backend_refuses_another_body(body):
    assert_says_nothing(send("http", body=body))


def test_the_own_backend_wants_its_members_in_utf_8():
    assert_says_nothing(send("http", path="/door/%FF"))


@pytest.mark.parametrize(
    ("number", "asked", "checked_in"), [("200", 200, 200), ("403", 403, 403), ("720", 200, 403)]
)
def test_a_device_api_question_is_distinguished_from_a_check_in(number, asked, checked_in):
    check_in = device_api_body(f"1233588{number}")
    assert send("device-api", body=check_in).status_code == checked_in
    assert send("device-api", body=check_in.replace("true", "false")).status_code == asked
