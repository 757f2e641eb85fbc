"""The examples of the partners' own pages, sent as they are there, are answered as documented."""

import asyncio
import json

import pytest
from asking import CAPITAN, DEVICE_API, ask, client

from gatectl.sim.server import Simulator

CODE_OK = {"metadata": {"total": 1, "errors": 0}, "results": {}}


def wellhub_error(key, message):
    return {"metadata": {"total": 0, "errors": 1}, "errors": [{"message": message, "key": key}]}


def with_simulator(story):
    async def run():
        async with Simulator() as sim, client(sim) as http:
            await story(sim, http)

    asyncio.run(run())


def test_perfectgym_validates_a_check_in():
    async def story(sim, http):
        answer = await http.post(
            sim.url("perfectgym"),
            headers={
                "X-API-Key": sim.partners["perfectgym"].key,
                "Content-Type": "application/json; charset=utf-8",
            },
            content='{\n  "aggregatorId": "1001",\n  "customerId": 293123213\n}',
        )
        assert answer.status_code == 200
        declined = await ask(http, sim, "perfectgym", "1403")
        assert declined.status_code == 403

    with_simulator(story)


def test_the_device_api_identifies_a_card():
    async def story(sim, http):
        headers = {
            "Authorization": f"Bearer {sim.partners['device-api'].key}",
            "Content-Type": "application/json",
            "Accept-Language": "de",
        }
        body = """{"identification": {"type": "NUMBER", "value": "1233588160", "format": "DECIMAL"},
                   "shouldExecuteAction": true}"""
        answer = await http.post(sim.url("device-api") + DEVICE_API, headers=headers, content=body)
        assert answer.status_code == 404
        good = await http.post(
            sim.url("device-api") + DEVICE_API, headers=headers, content=body.replace("160", "200")
        )
        assert (good.status_code, good.json()) == (200, {"authorized": True, "text": ""})
        assert list(answer.json()) == ["errorMessage", "errorCode", "traceId"]

    with_simulator(story)


def test_wellhub_validates_a_check_in_and_keeps_the_custom_code():
    async def story(sim, http):
        answer = await http.post(
            sim.url("wellhub") + "/access/v1/validate",
            headers={
                "Content-Type": "application/json",
                "Authorization": f"Bearer {sim.partners['wellhub'].key}",
                "X-Gym-Id": "1234",
            },
            content='{ "gympass_id": "1000000000200", "custom_code": "LOCKER-7" }',
        )
        body = answer.json()
        assert answer.status_code == 200
        assert list(body) == ["metadata", "results"]
        assert list(body["results"]) == ["user", "gym", "validated_at"]
        assert list(body["results"]["gym"]["product"]) == ["Id", "description"]
        assert sim.partners["wellhub"].codes == {"1000000000200": "LOCKER-7"}

    with_simulator(story)


@pytest.mark.parametrize(
    ("member", "kept"),
    [
        ("1000000000451", True),  # cancelled
        ("1000000000453", True),  # expired
        ("1000000000454", True),  # already validated
        ("1000000000701", True),  # validated, though no answer ever says so
        ("1000000000404", False),  # not found
        ("1000000000888", False),  # not in the catalogue
        ("1000000000500", False),
    ],
)
def test_wellhub_keeps_custom_codes_as_its_page_says(member, kept):
    async def story(sim, http):
        asking = asyncio.create_task(
            http.post(
                sim.url("wellhub") + "/access/v1/validate",
                headers={"Authorization": f"Bearer {sim.partners['wellhub'].key}", "X-Gym-Id": "1234"},
                json={"gympass_id": member, "custom_code": "7"},
            )
        )
        await sim.until(lambda: sim.requests and sim.requests[0].whole)
        assert sim.partners["wellhub"].codes == ({member: "7"} if kept else {})
        asking.cancel()
        await asyncio.wait([asking])

    with_simulator(story)


def test_wellhub_manages_custom_codes():
    async def story(sim, http):
        url = sim.url("wellhub") + "/access/v1/code/1000000000200"
        headers = {"Authorization": f"Bearer {sim.partners['wellhub'].key}", "X-Gym-Id": "1234"}

        async def send(method, **body):
            answer = await http.request(method, url, headers=headers, **({"json": body} if body else {}))
            return answer.status_code, json.loads(answer.content) if answer.content else None

        missing = wellhub_error("checkin.custom-code.not-found", "Custom code not found in database")
        exists = wellhub_error(
            "checkin.custom-code.already-exists", "Already exists a custom code for that gym and user"
        )
        assert await send("PUT", custom_code="A1") == (404, missing)
        assert await send("POST", custom_code="A1") == (201, CODE_OK)
        assert await send("POST", custom_code="A2") == (409, exists)
        assert sim.partners["wellhub"].codes == {"1000000000200": "A1"}
        assert await send("PUT", custom_code="A2") == (200, CODE_OK)
        assert sim.partners["wellhub"].codes == {"1000000000200": "A2"}
        assert await send("DELETE") == (204, None)
        assert await send("DELETE") == (404, missing)
        assert sim.partners["wellhub"].codes == {}

    with_simulator(story)


@pytest.mark.parametrize("code", ["", " ", "x" * 14, 7, None])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_wellhub_refuses_bad_custom_codes(method, code):
    async def story(sim, http):
        answer = await http.request(
            method,
            sim.url("wellhub") + "/access/v1/code/1000000000200",
            headers={"Authorization": f"Bearer {sim.partners['wellhub'].key}", "X-Gym-Id": "1234"},
            json={"custom_code": code},
        )
        assert answer.status_code == 400
        assert answer.json() == wellhub_error("custom_code", "length must be between 1 and 13 characters")
        assert sim.partners["wellhub"].codes == {}

    with_simulator(story)


@pytest.mark.parametrize(
    ("member", "status"), [("1000000000500", 500), ("1000000000403", 403), ("1000000000429", 429)]
)
def test_a_custom_code_meets_the_faults_of_its_id_and_stays_as_it_was(member, status):
    async def story(sim, http):
        url = sim.url("wellhub") + f"/access/v1/code/{member}"
        headers = {"Authorization": f"Bearer {sim.partners['wellhub'].key}", "X-Gym-Id": "1234"}
        answer = await http.post(url, headers=headers, json={"custom_code": "A1"})
        assert answer.status_code == status
        assert sim.partners["wellhub"].codes == {}
        assert sim.requests[0].member == member

    with_simulator(story)


def test_capitan_checks_in_with_and_without_a_location():
    async def story(sim, http):
        url = sim.url("capitan") + CAPITAN
        headers = {"Authorization": f"Token {sim.partners['capitan'].key}"}
        without = await http.post(url + "GOOD-1/", headers=headers)
        empty = await http.post(url + "GOOD-1/", headers=headers, json={})
        at_three = await http.post(url + "GOOD-1/", headers=headers, json={"location_id": 3})
        assert {answer.status_code for answer in (without, empty, at_three)} == {200}
        assert list(without.json()) == [
            "id",
            "customer_id",
            "customer_first_name",
            "customer_last_name",
            "customer_email",
            "entry_method",
            "entry_method_description",
            "milestones",
            "check_in_count",
            "has_any_automatic_check_ins",
            "has_any_challenges_completed",
            "customer_alerts",
            "reservations",
            "association_memberships_pending_reverification",
        ]
        nowhere = await http.post(url + "GOOD-1/", headers=headers, json={"location_id": 100})
        assert (nowhere.status_code, nowhere.json()) == (404, {"error": "invalid_location"})
        unknown = await http.post(url + "abc12345678901234/", headers=headers)
        assert (unknown.status_code, unknown.json()) == (404, {"error": "customer_not_found"})

    with_simulator(story)


def test_capitan_decodes_the_barcode():
    async def story(sim, http):
        headers = {"Authorization": f"Token {sim.partners['capitan'].key}"}
        for path in ("%47OOD%2D1/", "a%2Fb%20%C3%A9/"):
            await http.post(sim.url("capitan") + CAPITAN + path, headers=headers)
        assert [request.member for request in sim.requests] == ["GOOD-1", "a/b é"]

    with_simulator(story)
