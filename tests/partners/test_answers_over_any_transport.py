"""Answers of every kind over every transport, at each protocol: status and body decide, never the framing.

The table is that of the modules in `gatectl/partners/`, row by row.
"""

import gzip
import json
import random
import zlib
from typing import NamedTuple

import pytest
from partner_rigs import ALL, Asker, Peer, answers, run

from gatectl.decision.outcomes import outcome_row
from gatectl.decision.verdict import Result, Verdict
from gatectl.partners.exchange import interpret

ALLOWED, NOT_ALLOWED, NOT_FOUND = "allowed", "not_allowed", "not_found"
PARTNER, CREDENTIALS, CONFIGURATION = "partner", "credentials", "configuration"

NO_VERDICT = "Unable to check in aggregator customer, partner service communication error, please try again"
MESSAGES = {
    ALLOWED: "Aggregator member checked in",
    NOT_ALLOWED: "Aggregator member check-in not allowed",
    NOT_FOUND: "Aggregator member not found in partner system",
}

HTML = b"<!DOCTYPE html><html><body>Sign in</body></html>"
PROTOCOLS = ("perfectgym", "wellhub", "capitan", "device-api")


class Answer(NamedTuple):
    """An answer, and what each protocol makes of it, in the order of `PROTOCOLS`."""

    name: str
    status: int
    body: bytes
    outcomes: tuple[str, str, str, str]
    headers: tuple[str, ...] = ()


def same(name, status, body, outcome, *headers):
    return Answer(name, status, body, (outcome,) * 4, headers)


def as_json(value):
    return json.dumps(value).encode()


def errors(key):
    return as_json({"metadata": {"total": 0, "errors": 1}, "errors": [{"message": "No.", "key": key}]})


GOOD = {
    "wellhub": as_json({"metadata": {"total": 1, "errors": 0}, "results": {"user": {"gympass_id": "1"}}}),
    "capitan": as_json({"id": 7, "alerts": [], "entry_method": "MEM"}),
    "device-api": as_json({"authorized": True, "text": ""}),
}

NOT_THERE = errors("checkin.validation.notfound")

ANSWERS = [
    Answer("nothing", 200, b"", (ALLOWED, ALLOWED, PARTNER, PARTNER)),
    Answer("nothing, as HTML", 200, b"", (ALLOWED, ALLOWED, PARTNER, PARTNER), ("Content-Type: text/html",)),
    *(
        Answer(f"{owner}'s success", 200, body, (
            ALLOWED, ALLOWED, *(ALLOWED if owner == one else PARTNER for one in PROTOCOLS[2:])
        ), (f"Content-Type: {kind}",))
        for owner, body in GOOD.items() for kind in ("application/json", "text/html")
    ),
    Answer("another object", 200, b'{"status": "ok"}', (ALLOWED, ALLOWED, PARTNER, PARTNER)),
    Answer("text", 200, b"OK", (ALLOWED, PARTNER, PARTNER, PARTNER)),
    same("a portal", 200, HTML, PARTNER),
    same("a portal that calls itself JSON", 200, b"\n  " + HTML, PARTNER, "Content-Type: application/json"),
    same("half of an object", 200, b'{"authorized": tru', PARTNER),
    Answer("not authorized", 200, b'{"authorized": false}', (NOT_ALLOWED, ALLOWED, PARTNER, NOT_ALLOWED)),
    Answer("an error", 200, errors("checkin.other"), (ALLOWED, PARTNER, PARTNER, PARTNER)),
    Answer("a known error", 200, NOT_THERE, (ALLOWED, NOT_FOUND, PARTNER, PARTNER)),
    *(same(f"{status}", status, b'{"id": 7}', PARTNER) for status in (201, 202, 203, 206)),
    same("204", 204, b"", PARTNER),
    *(
        same(f"{status}", status, HTML, PARTNER, "Location: https://login.example.com/")
        for status in (300, 301, 302, 303, 307, 308)
    ),
    same("304", 304, b"", PARTNER),
    Answer("expired", 400, errors("checkin.validation.expired"), (PARTNER, NOT_ALLOWED, PARTNER, PARTNER)),
    Answer("validated", 404, errors("checkin.already.validated"), (NOT_FOUND, NOT_ALLOWED, PARTNER, PARTNER)),
    Answer("no check-in", 400, NOT_THERE, (PARTNER, NOT_FOUND, PARTNER, PARTNER)),
    Answer("no entry", 400, b'{"error": "no_entry_method"}', (PARTNER, PARTNER, NOT_ALLOWED, PARTNER)),
    Answer("twice", 404, b'{"error": "duplicate_check_in"}', (NOT_FOUND, PARTNER, NOT_ALLOWED, PARTNER)),
    Answer("no customer", 404, b'{"error": "customer_not_found"}', (NOT_FOUND, PARTNER, NOT_FOUND, PARTNER)),
    *(
        Answer(f"no location, {status}", status, b'{"error": "invalid_location"}', outcomes)
        for status, outcomes in (
            (400, (PARTNER, PARTNER, CONFIGURATION, PARTNER)),
            (404, (NOT_FOUND, PARTNER, CONFIGURATION, PARTNER)),
            (403, (NOT_ALLOWED, CREDENTIALS, CONFIGURATION, PARTNER)),
        )
    ),
    Answer("a code", 400, b'{"errorCode": "X-1"}', (PARTNER, PARTNER, PARTNER, NOT_ALLOWED)),
    Answer("a code", 404, b'{"errorCode": "X-1"}', (NOT_FOUND, PARTNER, PARTNER, NOT_FOUND)),
    Answer("a code", 403, b'{"errorCode": "X-1"}', (NOT_ALLOWED, CREDENTIALS, CREDENTIALS, NOT_ALLOWED)),
    Answer("an empty code", 404, b'{"errorCode": " "}', (NOT_FOUND, PARTNER, PARTNER, PARTNER)),
    same("400", 400, b"Bad Request", PARTNER),
    same("400 with JSON", 400, b'{"message": "no"}', PARTNER),
    same("401", 401, b"", CREDENTIALS),
    same("401 with JSON", 401, b'{"message": "no"}', CREDENTIALS),
    Answer("401 of a firewall", 401, HTML, (CREDENTIALS, PARTNER, PARTNER, PARTNER)),
    Answer("403", 403, b"", (NOT_ALLOWED, CREDENTIALS, CREDENTIALS, CREDENTIALS)),
    Answer("403 with JSON", 403, b'{"message": "no"}', (NOT_ALLOWED, CREDENTIALS, CREDENTIALS, PARTNER)),
    Answer("403 of a firewall", 403, HTML, (NOT_ALLOWED, PARTNER, PARTNER, PARTNER)),
    same("a gateway's 403", 403, b'{"message":"Forbidden"}', CREDENTIALS),
    same("a gateway's 403 by its header", 403, b"{}", CREDENTIALS, "X-Amzn-ErrorType: ForbiddenException"),
    same("a gateway without the path", 403, b'{"message":"Missing Authentication Token"}', CONFIGURATION),
    same("Cloudflare", 403, HTML, PARTNER, "cf-mitigated: challenge"),
    Answer("404", 404, b"", (NOT_FOUND, PARTNER, PARTNER, PARTNER)),
    Answer("404 of a proxy", 404, HTML, (NOT_FOUND, PARTNER, PARTNER, PARTNER)),
    *(same(f"{status}", status, b"no", PARTNER) for status in (405, 406, 408, 409, 410, 415, 418, 422)),
    same("429", 429, b'{"errorCode": "X-1"}', PARTNER, "Retry-After: 7"),
    *(same(f"{status}", status, HTML, PARTNER) for status in (500, 502, 503, 504, 520, 599)),
]  # fmt: skip


def head(answer, *lines, version="1.1"):
    return "\r\n".join([f"HTTP/{version} {answer.status} Said", *answer.headers, *lines, "", ""]).encode()


def has_body(answer):
    return answer.status not in {204, 304}


def plain(answer, *lines):
    length = [f"Content-Length: {len(answer.body)}"] if has_body(answer) else []
    return head(answer, *lines, *length) + answer.body


def lower_case(answer):
    start, _, rest = plain(answer).partition(b"\r\n")
    lines, _, body = rest.partition(b"\r\n\r\n")
    return start + b"\r\n" + lines.lower() + b"\r\n\r\n" + body


def line_feeds(answer):
    lines, _, body = plain(answer).partition(b"\r\n\r\n")
    return lines.replace(b"\r\n", b"\n") + b"\n\n" + body


def no_reason(answer):
    return plain(answer).replace(b" Said\r\n", b"\r\n", 1)


def early(*statuses):
    lines = b"".join(b"HTTP/1.1 %d Early\r\nLink: </a>; rel=preload\r\n\r\n" % status for status in statuses)
    return lambda answer: lines + plain(answer)


def chunked(answer, size=7, extension=b"", trailer=b""):
    if not has_body(answer):
        return plain(answer)
    parts = [answer.body[at : at + size] for at in range(0, len(answer.body), size)]
    body = b"".join(b"%X%b\r\n%b\r\n" % (len(part), extension, part) for part in parts)
    return head(answer, "Transfer-Encoding: chunked") + body + b"0" + extension + b"\r\n" + trailer + b"\r\n"


def with_extensions(answer):
    return chunked(answer, 3, b';a=b;c="d;e"')


def with_trailers(answer):
    return chunked(
        answer, 100, trailer=b"Server-Timing: db;dur=5\r\nX-Amzn-ErrorType: no\r\nContent-Length: 1\r\n"
    )


def packed(name, pack):
    def transport(answer):
        return plain(answer._replace(body=pack(answer.body)), f"Content-Encoding: {name}")

    return lambda answer: transport(answer) if answer.body and has_body(answer) else plain(answer)


def odd_line(answer):
    return plain(answer, "PHP Warning: undefined variable", "X-Empty:")


def two_cookies(answer):
    return plain(answer, "Set-Cookie: a=1", "Set-Cookie: b=2", "Connection: close")


KEPT = {
    "plain": plain,
    "lower case": lower_case,
    "line feeds": line_feeds,
    "no reason": no_reason,
    "100": early(100),
    "103": early(103),
    "100, 102, 103, 103": early(100, 102, 103, 103),
    "chunked": chunked,
    "chunk extensions": with_extensions,
    "trailers": with_trailers,
    "gzip": packed("gzip", gzip.compress),
    "x-gzip": packed("X-GZip", gzip.compress),
    "deflate": packed("deflate", zlib.compress),
    "raw deflate": packed("deflate", lambda body: zlib.compress(body)[2:-4]),
    "utf-8": packed("utf-8", bytes),
    "odd line": odd_line,
    "cookies": two_cookies,
}
"""Transports that change nothing; the connection stays open."""


def by_close(version):
    def transport(answer):
        return head(answer, version=version) + (answer.body if has_body(answer) else b"")

    return transport


CLOSED = {"HTTP/1.0": by_close("1.0"), "by close": by_close("1.1")}
"""Transports that change nothing, and end with the connection."""


def sent(data):
    async def script(line):
        await line.say(data)

    return script


def byte_by_byte(data):
    async def script(line):
        for at in range(len(data)):
            await line.say(data[at : at + 1])

    return script


def and_ended(data):
    async def script(line):
        await line.say(data)
        await line.end()

    return script


def and_reset(data):
    async def script(line):
        await line.say(data)
        line.reset()

    return script


def cases(seed, count):
    """So many answers, each with a transport that leaves it as it is, and with how it is sent."""
    chance = random.Random(seed)
    for answer in chance.choices(ANSWERS, k=count):
        name = chance.choice([*KEPT, *CLOSED])
        if name in CLOSED:
            yield answer, name, and_ended(CLOSED[name](answer))
        else:
            send = chance.choice([sent, byte_by_byte])
            yield answer, f"{name}, {send.__name__}", send(KEPT[name](answer))


def damaged(seed, count):
    """Answers that are cut, each with how, and the fault that it comes to."""
    chance = random.Random(seed)
    whole = [answer for answer in ANSWERS if has_body(answer) and answer.body]
    for answer in chance.choices(whole, k=count):
        transport = chance.choice([plain, chunked, with_extensions, early(103)])
        data = transport(answer)
        cut = chance.randrange(1, len(data))
        how = chance.choice([and_ended, and_reset])
        yield answer, f"{transport.__name__} {how.__name__} after {cut}", how(data[:cut])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_framing_changes_no_verdict(protocol, tls, ca_file):
    chosen = list(cases(f"{protocol} 1", 120))

    async def story():
        play = answers(*(script for _, _, script in chosen))
        async with Peer(play, context=tls) as peer, Asker(peer.port, ca_file) as asker:
            for answer, transport, _ in chosen:
                exchange = await asker.ask()
                what = (answer.name, transport, exchange.lost and exchange.lost.detail)
                assert exchange.sent, what
                assert exchange.answer is not None, what
                decision = interpret(ALL[protocol], exchange.answer)
                wanted = answer.outcomes[PROTOCOLS.index(protocol)]
                assert (decision.fault or decision.verdict).value == wanted, what
                assert (decision.verdict is Verdict.NONE) == (decision.fault is not None), what
                assert decision.status == answer.status, what
                assert (decision.rest_s == 7) == (answer.status == 429), what
                result = Result.ADMITTED if decision.verdict is Verdict.ALLOWED else Result.REJECTED
                row = outcome_row(result, decision.verdict, decision.fault)
                assert row.message == MESSAGES.get(wanted, NO_VERDICT), what
                if decision.fault is not None:
                    assert str(answer.status) in decision.detail, what
                    assert len(decision.detail) <= 200, what

    run(story())


def test_an_answer_that_is_cut_is_no_verdict(tls, ca_file):
    chosen = list(damaged("cut", 120))

    async def story():
        play = answers(*(script for _, _, script in chosen))
        async with Peer(play, context=tls) as peer, Asker(peer.port, ca_file) as asker:
            for answer, transport, _ in chosen:
                exchange = await asker.ask()
                what = (answer.name, transport)
                assert exchange.sent, what
                assert exchange.answer is None, what
                assert exchange.lost.fault == "network", what
                assert exchange.lost.detail.startswith(("closed before", "connection reset by peer")), what

    run(story())
