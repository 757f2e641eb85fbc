"""`gatectl status --openmetrics`: the metrics of a gate, read back by another parser of the form."""

import json
import os
import signal

from harness import BRIEF_MS, GOOD, HANG, PINS, code
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from gatectl.monitor import openmetrics

UPLINK = """
[uplink]
url = "mqtts://broker.example.com:8883"
device = "berlin-1"
certificate = "device.crt"
key = { file = "device.key" }
ca_file = "ca.crt"
members = "none"
"""
ANSWER = {
    "started_at": "2026-11-26T08:00:00.000000Z",
    "events": [],
    "decisions": {},
    "partners": {},
    "clock_synchronised": True,
    "status": {"version": "1", "partners": {}, "doors": {}, "journal": {"late": 0, "lost": 0}, "cards": 0},
}
"""A daemon's answer to `metrics` before its first event."""

# The simulator's members: unknown, and three with whom the partner fails.
UNKNOWN = "1000000000404"
CUT = ("1000000000610", "1000000000611", "1000000000500")


def samples(gym):
    done = gym.run("status", "--openmetrics")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("# EOF\n")
    families = text_string_to_metric_families(done.stdout)
    return [sample for family in families for sample in family.samples], done.stdout


def value(found, name, **labels):
    values = [
        sample.value for sample in found if sample.name == name and labels.items() <= sample.labels.items()
    ]
    assert len(values) == 1, (name, labels, values)
    return values[0]


def test_events_and_times_are_counted(gym):
    gym = gym({"wellhub": {"budget_ms": BRIEF_MS}}).start()
    gym.ask("wellhub", GOOD["wellhub"])
    gym.ask("wellhub", UNKNOWN)
    gym.ask("wellhub", HANG["wellhub"])
    found, _ = samples(gym)
    events = {"kind": "scan", "door": "main", "partner": "wellhub"}
    assert value(found, "gatectl_events_total", result="admitted", fault="", **events) == 1
    assert value(found, "gatectl_events_total", result="rejected", fault="", **events) == 1
    assert value(found, "gatectl_events_total", result="rejected", fault="timeout", **events) == 1
    for name, of in (("decision", {"door": "main"}), ("partner", {"partner": "wellhub"})):
        assert value(found, f"gatectl_{name}_seconds_count", **of) == 3
        assert value(found, f"gatectl_{name}_seconds_sum", **of) >= BRIEF_MS / 1000
        assert value(found, f"gatectl_{name}_seconds_bucket", le="0.75", **of) <= 2
        assert value(found, f"gatectl_{name}_seconds_bucket", le="+Inf", **of) == 3


def test_the_state_of_every_part_is_there(gym):
    gym = gym(doors={"main": {"open_ms": 60_000, "contact": {"pin": 5, "active": "high"}}}).start()
    found, _ = samples(gym)
    started = value(found, "gatectl_start_time_seconds")
    assert value(found, "gatectl_build_info", version=gym.status()["version"]) == 1
    assert value(found, "gatectl_gate_open", door="main") == 0
    assert value(found, "gatectl_gate_up", door="main") == 1
    assert value(found, "gatectl_reader_up", door="main") == 1
    assert value(found, "gatectl_input_up", door="main", input="contact") == 1
    assert value(found, "gatectl_input_active", door="main", input="contact") == 0
    assert value(found, "gatectl_cards") == gym.status()["cards"]
    assert value(found, "gatectl_partner_up", partner="wellhub") == 1
    assert value(found, "gatectl_partner_outage", partner="wellhub") == 0
    assert value(found, "gatectl_journal_late") == value(found, "gatectl_journal_lost_total") == 0
    assert value(found, "gatectl_clock_synchronised") in {0, 1}
    gym.ask("wellhub", GOOD["wellhub"])
    gym.until_pin(PINS["main"]["relay"], 1)
    for member in CUT:
        gym.ask("wellhub", member)
    found, _ = samples(gym)
    assert value(found, "gatectl_gate_open", door="main") == 1
    assert value(found, "gatectl_partner_up", partner="wellhub") == 0
    assert value(found, "gatectl_partner_outage", partner="wellhub") == 1
    assert value(found, "gatectl_start_time_seconds") == started


def status_file(folder, **status):
    """The uplink's status file, as a running one writes it."""
    path = folder / "status.json"
    path.write_text(json.dumps({"pid": os.getpid(), "connected": True, "pending": 0} | status))
    return path


def test_the_uplink_has_metrics_where_the_settings_have_one(gym, monkeypatch):
    gym = gym().start()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(gym.folder))
    status = status_file(gym.folder, pending=3, oldest_pending_at="2026-11-26T08:00:00.000000Z")
    assert "gatectl_uplink" not in samples(gym)[1]
    gym.settings.write_text(gym.settings.read_text() + UPLINK)
    found, _ = samples(gym)
    assert value(found, "gatectl_uplink_connected") == 1
    assert value(found, "gatectl_uplink_pending_events") == 3
    assert value(found, "gatectl_uplink_oldest_pending_timestamp_seconds") == 1795680000
    status.unlink()
    found, text = samples(gym)
    assert value(found, "gatectl_uplink_connected") == 0
    assert "gatectl_uplink_pending" not in text


LINKS = st.dictionaries(
    st.sampled_from(["connected", "pending", "oldest_pending_at", "device"]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("2026-11-26T08:00:00Z"),
)


@given(LINKS)
def test_whatever_the_uplink_wrote_the_metrics_can_be_read(link):
    families = list(text_string_to_metric_families(openmetrics.text(ANSWER, link)))
    (connected,) = [family.samples for family in families if family.name == "gatectl_uplink_connected"]
    assert [sample.value for sample in connected] == [link.get("connected") is True]
    about_uplink = [one for family in families for one in family.samples if "uplink" in one.name]
    assert not any(sample.labels for sample in about_uplink)


def test_nobody_is_named(gym):
    gym = gym().start()
    event = gym.ask("wellhub", GOOD["wellhub"])
    gym.scan("SECRET-JUNK-CODE")
    gym.next_event()
    _, text = samples(gym)
    for private in (GOOD["wellhub"], code("wellhub", GOOD["wellhub"]), "SECRET-JUNK-CODE", event["id"]):
        assert private not in text


def test_without_a_daemon_there_is_one_line(gym):
    gym = gym().start()
    gym.signal(signal.SIGTERM)
    assert gym.wait() == 0
    done = gym.run("status", "--openmetrics")
    assert (done.returncode, done.stdout) == (1, "")
    assert "gatectl is not running" in done.stderr.splitlines()[0]
