"""A new simulated protocol is one class: server, scenarios, settings, demo and command show it."""

import asyncio
import os
import subprocess
import sys
import tomllib

import pytest
import toy_protocol
from asking import client
from limits import NET_S

from gatectl.sim.protocols import PROTOCOLS, catalogue
from gatectl.sim.scenarios import FAILURES, SUCCESSES
from gatectl.sim.server import Simulator
from gatectl.sim.simulated_door import demo_settings


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setitem(PROTOCOLS, "toy", toy_protocol.SimulatedToy)


async def _ask(http, sim, member):
    headers = {"X-Toy-Key": sim.partners["toy"].key}
    return await http.get(sim.url("toy") + toy_protocol.PREFIX + member, headers=headers)


@pytest.mark.usefixtures("toy")
def test_the_server_answers_by_its_scenarios():
    async def story():
        async with Simulator() as sim, client(sim) as http:
            members = ("GOOD-1", "BROKEN", "nobody", "STATUS-405", "ONCE", "ONCE")
            statuses = [(await _ask(http, sim, member)).status_code for member in members]
            assert statuses == [200, 418, 410, 405, 200, 409]
            refused = await http.get(sim.url("toy") + toy_protocol.PREFIX + "GOOD-1")
            assert refused.status_code == 401
            assert [(request.protocol, request.description) for request in sim.requests[:3]] == [
                ("toy", "good"),
                ("toy", "the toy is broken"),
                ("toy", "not found"),
            ]

    asyncio.run(story())


@pytest.mark.usefixtures("toy")
def test_the_scenarios_of_every_protocol_are_its_own_too():
    scenarios = {scenario.id: scenario for scenario in catalogue() if scenario.protocol == "toy"}
    assert scenarios["BROKEN"].outcome == "not allowed"
    assert (scenarios["OTHER-JSON"].outcome, scenarios["NOT-JSON"].outcome) == ("allowed", "partner")
    assert scenarios["ONCE"].description == "good once; then already played with"
    shared = {row.word for row in (*SUCCESSES, *FAILURES)}
    assert scenarios.keys() == shared | {"BROKEN"}


@pytest.mark.usefixtures("toy")
def test_the_demo_has_a_partner_and_a_route_of_it():
    async def story():
        async with Simulator() as sim:
            return tomllib.loads(demo_settings("\n".join(map(sim.partner_section, PROTOCOLS))))

    settings = asyncio.run(story())
    assert settings["partners"]["toy"]["colour"] == "red"
    assert {"match": "TOY-(?P<member>.+)", "partner": "toy"} in settings["routes"]


def test_the_command_prints_it():
    command = [sys.executable, "-W", "error", toy_protocol.__file__, "sim"]
    environment = os.environ | {"COLUMNS": "160"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        shown = ""
        while not shown.rstrip().endswith("Ctrl-C ends it."):
            line = process.stdout.readline()
            assert line
            shown += line
        process.terminate()
        assert process.wait(NET_S) == 0
    assert '[partners.toy]\nprotocol = "toy"\n' in shown
    assert "the toy is broken" in shown
    assert "toy: any word." in shown
