"""The digest of a gate's settings, by which head office sees the gate that differs."""

import pytest

from gatectl.cli.uplink import settings_digest

GATE = """
[site]
studio = "berlin-mitte"
[uplink]
device = "berlin-mitte-1"
[doors.main]
relay = { pin = 17, open_ms = 3000 }
"""


@pytest.mark.parametrize(
    ("there", "here", "is_same"),
    [
        ("berlin-mitte", "koeln", True),
        ("[doors", "# the turnstile\n[doors", True),
        ("pin = 17, open_ms = 3000", "open_ms = 3000, pin = 17", True),
        ("pin = 17", "pin = 27", False),
        ("[doors.main]", "[doors.side]", False),
    ],
)
def test_gates_that_are_set_up_alike_have_the_same(there, here, is_same):
    assert there in GATE
    assert (settings_digest(GATE) == settings_digest(GATE.replace(there, here))) is is_same
