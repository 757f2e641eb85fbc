"""The monitor's /metrics, as Prometheus fetches it."""

import httpx
import patient_http
import pytest
from monitors import monitor, try_until_refused, write_closed_gym
from prometheus_client.openmetrics.parser import text_string_to_metric_families

PASSWORD = "correct-horse-battery"


def names(text):
    return {family.name for family in text_string_to_metric_families(text)}


def test_it_has_what_the_command_prints(address):
    answer = patient_http.get(f"{address}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert {"gatectl_events", "gatectl_decision_seconds", "gatectl_reader_up"} <= names(answer.text)


@pytest.fixture(scope="module")
def guarded(door, tmp_path_factory):
    secret = tmp_path_factory.mktemp("secret") / "password"
    secret.touch(mode=0o600)
    secret.write_text(f"{PASSWORD}\n")
    with monitor(door.settings, "--password-file", str(secret)) as address:
        yield address


def test_with_a_password_a_program_gives_it_by_http_basic(guarded):
    refused = patient_http.get(f"{guarded}/metrics")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Basic ")
    assert "gatectl_" not in refused.text
    answer = patient_http.get(f"{guarded}/metrics", auth=("prometheus", PASSWORD))
    assert (answer.status_code, "gatectl_events" in names(answer.text)) == (200, True)
    for header in ("Bearer x", "Basic", "Basic !!!", "Basic /w==", "Negotiate"):
        assert patient_http.get(f"{guarded}/metrics", headers={"Authorization": header}).status_code in {
            401,
            403,
        }


def test_wrong_passwords_are_limited_as_in_the_form(guarded):
    # From an address of its own: tries of other tests count for theirs.
    transport = httpx.HTTPTransport(local_address="127.0.0.70")
    with patient_http.Client(base_url=guarded, transport=transport) as client:
        try_until_refused(lambda: client.get("/metrics", auth=("x", "wrong")).status_code)
        assert client.post("/login?next=/", data={"password": PASSWORD}).status_code == 429


def test_without_a_daemon_it_says_so(tmp_path):
    settings = write_closed_gym(tmp_path)
    with monitor(str(settings)) as address:
        answer = patient_http.get(f"{address}/metrics")
    assert (answer.status_code, answer.text) == (503, "gatectl does not answer.")
