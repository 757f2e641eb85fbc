"""The table [uplink]: keys stay out of the settings, and pseudonyms have their key."""

import pytest

from gatectl.config.problems import SettingsError
from gatectl.config.reader import load

UPLINK = """
[uplink]
url = "mqtts://broker.example.com:8883"
device = "berlin-mitte-1"
certificate = "device.crt"
key = { file = "device.key" }
ca_file = "ca.crt"
"""
PSEUDONYM_KEY = 'pseudonym_key = { file = "pseudonym" }\n'


@pytest.mark.parametrize("more", [PSEUDONYM_KEY, 'members = "none"\n', 'members = "plain"\n'])
def test_what_each_way_of_members_needs(write, more):
    uplink = load(write("", UPLINK + more), for_uplink=True).uplink
    assert (uplink.device, uplink.pseudonym_key is not None) == ("berlin-mitte-1", more == PSEUDONYM_KEY)


def problem_of(path):
    with pytest.raises(SettingsError) as refused:
        load(path, for_uplink=True)
    (problem,) = refused.value.problems
    return problem


@pytest.mark.parametrize("more", ["", 'members = "pseudonym"\n'])
def test_pseudonyms_need_their_key(write, more):
    problem = problem_of(write("", UPLINK + more))
    assert (problem.key, problem.what) == ("uplink", "pseudonyms need pseudonym_key")
    assert 'members = "none"' in problem.hints[-1]


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("key", UPLINK.replace('{ file = "device.key" }', '"s3cr3t"') + PSEUDONYM_KEY),
        ("pseudonym_key", UPLINK + 'pseudonym_key = "s3cr3t"\n'),
    ],
)
def test_a_key_in_the_settings_is_refused_and_not_repeated(write, key, text):
    problem = problem_of(write("", text))
    assert problem.key == f"uplink.{key}"
    assert problem.what == "a key must not be in the settings, which others may read"
    assert f"{key} = {{ file = " in problem.hints[0]
    assert "s3cr3t" not in str(problem)
