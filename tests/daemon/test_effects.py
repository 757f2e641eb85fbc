"""The tables that hand inputs to the door's machine and perform its effects: nothing is left out of them."""

from typing import get_args

from gatectl.daemon.effects import Effects
from gatectl.decision.door import messages as m
from gatectl.decision.door.context import SharedState
from gatectl.decision.door.machine import DoorMachine, DoorRules


def test_each_effect_has_its_performer():
    effects = Effects("main", gate=None, context=None, tasks=None, feed=None)
    assert set(effects._performers) == set(get_args(m.Effect))


def test_each_input_that_is_no_feedback_has_its_taker():
    site = SharedState("t", "s", [], {}, 0.1)
    machine = DoorMachine("main", DoorRules(repeat_s=3.0), site, str)
    assert set(machine._takers) == set(get_args(m.Input)) - set(get_args(m.Feedback))
