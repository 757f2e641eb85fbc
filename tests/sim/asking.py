"""Asking the simulator: well-formed requests, and a client that sees what happens on the line."""

import asyncio
import contextlib
import json
import ssl
from dataclasses import dataclass, field
from urllib.parse import quote

import h11
import httpx
import patient_http

from gatectl.sim.server import Simulator

ODD_LINE = b"PHP Warning: x\r\n"
CAPITAN = "/api/gym-endpoints/barcode-check-in/"

DEVICE_API = "/open-api/device/cardreader/identification"


def device_api_body(value, kind="NUMBER", **more):
    more = more or ({"format": "DECIMAL"} if kind == "NUMBER" else {})
    identification = {"type": kind, "value": value} | more
    return json.dumps({"identification": identification, "shouldExecuteAction": True})


def client(sim):
    return patient_http.AsyncClient(verify=trust(sim), trust_env=False)


def trust(sim):
    return ssl.create_default_context(cafile=sim.ca_file)


def check_in(sim, protocol, member):
    """Method, URL, headers and body of a check-in that follows the page to the letter."""
    url, key = sim.url(protocol), sim.partners[protocol].key
    if protocol == "perfectgym":
        body = json.dumps({"aggregatorId": member, "customerId": 293123213})
        return "POST", url, {"X-API-Key": key, "Content-Type": "application/json; charset=utf-8"}, body
    if protocol == "http":
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        body = json.dumps({"code": f"GYM-{member}", "door": "main"})
        return "POST", url.replace("{member}", quote(member, safe="")), headers, body
    if protocol == "wellhub":
        headers = {"Authorization": f"Bearer {key}", "X-Gym-Id": "1234", "Content-Type": "application/json"}
        return "POST", f"{url}/access/v1/validate", headers, json.dumps({"gympass_id": member})
    if protocol == "device-api":
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        return "POST", url + DEVICE_API, headers, device_api_body(member)
    return "POST", url + CAPITAN + quote(member, safe="") + "/", {"Authorization": f"Token {key}"}, ""


async def ask(http, sim, protocol, member):
    method, url, headers, body = check_in(sim, protocol, member)
    return await http.request(method, url, headers=headers, content=body)


@dataclass
class Seen:
    """The bytes that came, and the end: `end` is kept, closed, cut (too short), reset, or garbage."""

    interim: list[int] = field(default_factory=list)
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    end: str = ""
    chunks: list[int] = field(default_factory=list)
    odd_lines: int = 0
    """Header lines that h11 does not take."""


@dataclass
class Line:
    """One connection to the simulator."""

    sim: Simulator
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, protocol, member):
        self.writer.write(wire(*check_in(self.sim, protocol, member)))

    async def see(self, *, most=None):
        """Read to the end of the answer, or until `most` reads have brought something."""
        seen, http = Seen(), h11.Connection(h11.CLIENT)
        http.send(h11.Request(method="POST", target="/", headers=[("Host", "x"), ("Content-Length", "0")]))
        http.send(h11.EndOfMessage())
        while not seen.end and len(seen.chunks) != most:
            try:
                data = await self.reader.read(100_000)
            except ConnectionResetError:
                seen.end = "reset"
                break
            if data:
                seen.chunks.append(len(data))
                seen.odd_lines += data.count(ODD_LINE)
                data = data.replace(ODD_LINE, b"")
            try:
                http.receive_data(data)
                _digest(http, seen)
            except h11.RemoteProtocolError:
                seen.end = _early_end(seen)
        return seen


def _early_end(seen):
    """The connection ended, and the answer had not."""
    if seen.status is not None:
        return "cut"
    return "garbage" if seen.chunks and not seen.interim else "closed"


def _digest(http, seen):
    while True:
        event = http.next_event()
        match event:
            case h11.InformationalResponse():
                seen.interim.append(event.status_code)
            case h11.Response():
                seen.status = event.status_code
                seen.headers = {name.decode(): value.decode() for name, value in event.headers}
            case h11.Data():
                seen.body += event.data
            case h11.EndOfMessage():
                seen.end = "kept" if http.their_state is h11.DONE else "closed"
                return
            case _:
                return


def wire(method, url, headers, body):
    """The bytes of a request, as short as HTTP allows."""
    target = httpx.URL(url).raw_path.decode()
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", body)).encode()


@contextlib.asynccontextmanager
async def line(sim):
    context = trust(sim) if sim.url("wellhub").startswith("https") else None
    reader, writer = await asyncio.open_connection(
        sim.host, sim.port, ssl=context, server_hostname="localhost" if context else None
    )
    try:
        yield Line(sim, reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
