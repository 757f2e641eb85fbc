"""A simulated protocol that exists in this file alone; run as a program, `gatectl sim` with it listed.

A check-in is `GET /toy?member=ID` with the key in the header `X-Toy-Key`; its success is `{"ok": true}`.
"""

import sys
from typing import ClassVar

from gatectl.cli.main import main
from gatectl.sim.http import json_reply, refuse_method, text_reply
from gatectl.sim.protocol import DemoRoute, SimulatedProtocol
from gatectl.sim.protocols import PROTOCOLS
from gatectl.sim.scenarios import ALLOWED, NOT_ALLOWED, Scenario
from gatectl.sim.script import fixed

PREFIX = "/toy?member="


class SimulatedToy(SimulatedProtocol):
    name = "toy"
    settings = ('colour = "red"',)
    id_note = "toy: any word."
    routes = (DemoRoute("TOY-(?P<member>.+)", "a toy"),)
    examples = (("TOY-GOOD-1", "Toy: good"),)
    scenarios = (Scenario("toy", "BROKEN", "the toy is broken", NOT_ALLOWED, fixed(text_reply(418))),)
    interpretations: ClassVar = {"OTHER-JSON": ALLOWED}
    already = ("already played with", json_reply(409, {"ok": False}))

    @staticmethod
    def owns(target):
        return target.startswith(PREFIX)

    @staticmethod
    def success(_member, _now):
        return json_reply(200, {"ok": True})

    @staticmethod
    def not_found():
        return text_reply(410)

    def read(self, request):
        refusal = refuse_method(request, "GET")
        if refusal is None and request.headers.get("x-toy-key") != self.key:
            refusal = text_reply(401)
        return refusal or request.target.removeprefix(PREFIX)


if __name__ == "__main__":
    PROTOCOLS["toy"] = SimulatedToy
    sys.exit(main(sys.argv[1:]))
