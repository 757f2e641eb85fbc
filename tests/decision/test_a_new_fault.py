"""A fault is one row and its words: with those added, in a copy of the package, every part knows it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import records

import gatectl

PACKAGE = Path(gatectl.__file__).parent

ROW = """
    FLOOD = (
        "flood",
        OutcomeRow(
            Message.FLOOD, Indication.TRY_AGAIN, Screen.NOT_READY, Priority.ERROR,
            Cause("flood", ("flood", "support"), is_for_support=True),
        ),
    )
"""
MESSAGE = """
    FLOOD = "The flood alarm is on", "00000000000000000000000000000001"
"""
WORDS = {
    "catalog.py": ("MESSAGES = {", 'Message.FLOOD: MessageWords("Feueralarm", ("Leave.\\n", "Gehen.\\n")),'),
    "advice.py": (
        "SENTENCES: dict[str, Pair] = {",
        '"flood": ("Leave by {door}.", "Hinaus durch {door}."),',
    ),
    "triage.py": ("WHY = {", '"flood": "the flood alarm is on",'),
}

SEEN_BY_EVERY_PART = """
import json
import sys
from records import scan

from gatectl.cli import render
from gatectl.decision.indication import View
from gatectl.decision.event import Outcome
from gatectl.decision.indication import lamp_steps
from gatectl.decision.outcomes import Fault, outcome_row
from gatectl.decision.verdict import Result
from gatectl.decision.words.advice import advice
from gatectl.decision.words.catalog import catalog
from gatectl.decision.words.triage import triage
from gatectl.monitor import presenters
from gatectl.sinks.systemd_journal import entry_of

fault = Fault("flood")
row = outcome_row(Result.REJECTED, None, fault)
event = scan(1, Outcome(Result.REJECTED, row.message.value, fault=fault), partner=None, member=None)
entry = entry_of(event)
listed = presenters.row_of(event, "de")
render.EventList({}).show(event)
seen = {
    "line": entry.message,
    "priority": entry.priority,
    "explained": f"-- {entry.message_id}\\nSubject: {row.message}" in catalog("de"),
    "lamps": len(lamp_steps(row.indication, 3000)),
    "display": presenters.screen_of(View("main", row.screen).to_json(with_name=False), "en")["title"],
    "monitor": [listed.message, listed.answer],
    "advice": advice(event, None, "de"),
    "support": triage(event).is_for_support,
}
print(json.dumps(seen), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package with a fault more, in one place; its words, in theirs."""
    root = tmp_path_factory.mktemp("copy")
    package = root / "gatectl"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    insert(package / "decision/outcomes.py", '    INTERRUPTED = (\n        "interrupted"', ROW, before=True)
    insert(package / "decision/outcomes.py", "    CHECKED_IN = ", MESSAGE, before=True)
    for name, (place, words) in WORDS.items():
        insert(package / "decision/words" / name, place, f"\n    {words}")
    return root


def insert(path, place, text, *, before=False):
    source = path.read_text("utf-8")
    assert source.count(place) == 1, f"{path.name}: {place}"
    path.write_text(source.replace(place, f"{text}{place}" if before else f"{place}{text}"), "utf-8")


def test_every_part_knows_a_fault_that_has_one_row(copy):
    paths = f"{copy}:{Path(records.__file__).parent}"
    ran = subprocess.run(
        [sys.executable, "-c", SEEN_BY_EVERY_PART],
        env=os.environ | {"PYTHONPATH": paths, "NO_COLOR": "1", "COLUMNS": "80"},
        check=False,
        capture_output=True,
        text=True,
        cwd=copy,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stderr) == {
        "line": "main: rejected 1234567890123: The flood alarm is on",
        "priority": 3,
        "explained": True,
        "lamps": 14,
        "display": "Please try again",
        "monitor": ["Feueralarm", "flood"],
        "advice": "Hinaus durch main. Den Support verständigen, mit dem, was `gatectl report "
        "0199f0c6-0000-7000-8000-000000000001` sammelt.",
        "support": True,
    }
    assert "The flood alarm is on" in ran.stdout
    assert "Leave by main." in ran.stdout


def test_the_daemon_imports_no_words_for_people():
    code = "import sys, gatectl.daemon.serve; print([name for name in sys.modules if '.words' in name])"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout == "[]\n"
