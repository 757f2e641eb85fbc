"""The digest of an answer's body; bodies with names get none, as names could be tried against it."""

import hashlib
import json

import pytest
from partner_rigs import answer

from gatectl.decision.event import BodyRecord
from gatectl.partners.exchange import PartnerResponse, digest_of
from gatectl.sim.protocols import capitan
from gatectl.sim.scenarios import NAMES


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"results":{"user":{"gympass_id":"1000000000200"}}}',
        b'{"errors":[{"key":"checkin.validation.notfound","message":"Check-In not found in database"}]}',
        b"<html><head><title>503 Service Unavailable</title></head></html>",
        bytes(range(64)) * 16,
        b"x" * 65536,
    ],
)
def test_a_body_that_names_no_person(body):
    assert digest_of(answer(200, body)) == BodyRecord(len(body), hashlib.sha256(body).digest())


def dumped(value):
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "body",
    [
        dumped({"first_name": "Buzz"}),
        dumped({"Vorname": "Buzz"}),
        dumped({"user": {"CUSTOMER_NAME": "Buzz"}}),
        dumped({"message": NAMES}),
        *(dumped({key: "Buzz"}) for key in ("nome", "nombre", "Inhaber", "member", "customers")),
        dumped({"user": {"first": "Buzz"}}),
        dumped({"contact": "buzz%40example.com"}),
        dumped({"contact": "buzz@example.com"}),
        dumped({"contact": "buzz@example.com"}).replace(b"@", b"\\u0040"),
        json.dumps({"first_name": "Buzz"}).encode("utf-16"),
        dumped({"contact": "buzz@example.com"}).decode().encode("utf-16-le"),
        *(capitan.declined(error).body for error in ("no_entry_method", "duplicate_check_in")),
    ],
)
def test_a_body_that_names_somebody(body):
    assert digest_of(answer(200, body)) == BodyRecord(len(body), None)


def test_a_body_that_cannot_be_looked_at():
    packed = PartnerResponse(200, {"content-encoding": "br"}, b"\x1f\x8b", is_packed=True)
    assert digest_of(packed) == BodyRecord(2, None)
