"""Every ID of the simulator's catalogue, asked by the client and judged by its protocol."""

import asyncio
import tomllib
from pathlib import Path

import pytest
from partner_rigs import check_invariants, run

from gatectl.config import model, schema
from gatectl.partners.exchange import Endpoint, interpret
from gatectl.partners.http.client import Client
from gatectl.partners.http.dial import Dialler, tls_context
from gatectl.partners.http.pool import Pool
from gatectl.partners.registry import PROTOCOLS
from gatectl.sim.protocols import PROTOCOLS as SIMULATED
from gatectl.sim.protocols import catalogue
from gatectl.sim.server import Simulator

TOGETHER = 8


def settings_of(sim, name):
    section = tomllib.loads(sim.partner_section(name))["partners"][name]
    return schema.read(model.Partner, section, Path("/"))


def test_every_protocol_has_its_simulator():
    assert PROTOCOLS.keys() == SIMULATED.keys()


@pytest.mark.parametrize("name", SIMULATED)
def test_every_id_comes_to_what_the_catalogue_says(name):
    async def story():
        async with Simulator() as sim:
            settings = settings_of(sim, name)
            endpoint, budget_s = Endpoint.of(settings.url), settings.budget_ms / 1000
            protocol = PROTOCOLS[name].make(settings, endpoint, sim.partners[name].key, ())
            pool = Pool(Dialler(endpoint, tls_context(sim.ca_file)).dial, TOGETHER, lambda _: None)
            client, loop = Client(endpoint, pool), asyncio.get_running_loop()
            turns = asyncio.Semaphore(TOGETHER)

            async def ask(member):
                async with turns:
                    deadline = loop.time() + budget_s
                    exchange = await client.ask(
                        client.prepare(protocol.request(member, member, "293123213", "main")), deadline
                    )
                check_invariants(exchange, deadline)
                assert exchange.sent
                if exchange.answer is None:
                    return exchange.lost.fault, None
                decision = interpret(protocol, exchange.answer)
                return decision.fault, decision.verdict

            entries = [entry for entry in catalogue() if entry.protocol == name]
            came_to = dict(zip(entries, await asyncio.gather(*(ask(e.id) for e in entries)), strict=True))
            for entry, (fault, verdict) in came_to.items():
                assert (fault, verdict or entry.verdict) == (entry.fault, entry.verdict), entry.description
            asked = [request.member for request in sim.requests]
            assert sorted(asked) == sorted(entry.id for entry in entries)  # each once, after any answer
            pool.close()

    run(story())
