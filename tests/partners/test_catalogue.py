"""Every ID of the simulator's catalogue, asked by the client and judged by its protocol."""

import asyncio

import pytest
from partner_rigs import check_invariants, run

from gatectl.partners.capitan import CapitanProtocol
from gatectl.partners.exchange import Endpoint, interpret
from gatectl.partners.http.client import Client
from gatectl.partners.http.dial import Dialler, tls_context
from gatectl.partners.http.pool import Pool
from gatectl.partners.perfectgym import PerfectGymProtocol
from gatectl.partners.wellhub.check_in import WellhubProtocol
from gatectl.sim.protocols import catalogue
from gatectl.sim.server import Simulator

BUDGET_S = {"perfectgym": 0.75, "wellhub": 2.0, "capitan": 2.0}
TOGETHER = 8


def protocol_of(name, endpoint, key):
    match name:
        case "perfectgym":
            return PerfectGymProtocol(endpoint, None, key)
        case "wellhub":
            return WellhubProtocol(endpoint, "1234", key)
        case _:
            return CapitanProtocol(endpoint, 3, key)


@pytest.mark.parametrize("name", BUDGET_S)
def test_every_id_comes_to_what_the_catalogue_says(name):
    async def story():
        async with Simulator() as sim:
            endpoint = Endpoint.of(sim.url(name))
            protocol = protocol_of(name, endpoint, sim.partners[name].key)
            pool = Pool(Dialler(endpoint, tls_context(sim.ca_file)).dial, TOGETHER, lambda _: None)
            client, loop = Client(endpoint, pool), asyncio.get_running_loop()
            turns = asyncio.Semaphore(TOGETHER)

            async def ask(member):
                async with turns:
                    deadline = loop.time() + BUDGET_S[name]
                    exchange = await client.ask(
                        client.prepare(protocol.question(member, member, "293123213")), deadline
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
