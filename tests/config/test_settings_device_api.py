"""The settings of a partner that is asked by the Device API."""

import pytest

from gatectl.config.problems import SettingsError
from gatectl.config.reader import load
from gatectl.config.warnings import warnings_of
from gatectl.partners.registry import numbers_of

PARTNER = """[partners.members]
protocol = "device-api"
url = "https://gym.devices.magicline.com"
key = { env = "TOKEN" }
"""
DOOR = """
[site]
tenant = "t"
studio = "s"
[doors.d]
relay = { pin = 17 }
scanners = [{ type = "evdev", device = "/dev/input/by-id/usb-x-event-kbd" }]
"""


@pytest.fixture
def settings_of(tmp_path):
    def settings_of(more="", partner=PARTNER):
        path = tmp_path / "gatectl.toml"
        path.write_text(f"{partner}{more}{DOOR}", "utf-8")
        return load(path)

    return settings_of


def test_the_defaults(settings_of):
    partner = settings_of().partners["members"]
    assert (partner.identification, partner.format, partner.language) == ("NUMBER", None, None)
    assert (partner.check_in, partner.budget_ms) == ("admission", 2000)
    assert numbers_of(partner).member.rule == "1 to 64 digits"


@pytest.mark.parametrize(
    "more",
    [
        'format = "DECIMAL"\nidentification = "NUMBER"\n',
        'format = "HEX_LSB"\n',
        'identification = "QR_CODE"\n',
        'language = "de-DE"\ncheck_in = "admission"\n',
    ],
)
def test_settings_that_are_accepted(settings_of, more):
    assert not warnings_of(settings_of(more))


@pytest.mark.parametrize(
    ("more", "problem", "hint"),
    [
        (
            'identification = "QR_CODE"\nformat = "DECIMAL"\n',
            "6: partners.members.format: is only for",
            "leave it out",
        ),
        ('format = "HEX"\n', "5: partners.members.format: must be 'DECIMAL', 'HEX_MSB' or 'HEX_LSB'", None),
        ('identification = ""\n', "5: partners.members.identification: must not be empty", None),
        ('check_in = "never"\n', "5: partners.members.check_in: must be 'admission' or 'passage'", None),
        ("language = 7\n", "5: partners.members.language: must be text in quotes", None),
        ("settle_s = 5\n", "5: partners.members.settle_s: is not a known key", "it is a setting of wellhub"),
    ],
)
def test_settings_that_are_refused(settings_of, more, problem, hint):
    with pytest.raises(SettingsError) as refused:
        settings_of(more)
    lines = refused.value.lines()
    assert problem in lines[0]
    assert hint is None or lines[1].startswith(f"hint: {hint}"), lines


def test_the_url_is_needed_without_the_protocols_own_path(settings_of):
    with pytest.raises(SettingsError, match=r"partners.members.url: is missing"):
        settings_of(partner=PARTNER.replace("url", "# url"))
    with pytest.raises(SettingsError, match=r"url: must not hold /open-api, the protocol's own path"):
        settings_of(partner=PARTNER.replace(".com", ".com/open-api/device/cardreader/identification"))


@pytest.mark.parametrize("word", ["magicline", "device", "Device_API"])
def test_words_that_are_meant_for_it(settings_of, word):
    with pytest.raises(SettingsError) as refused:
        settings_of(partner=PARTNER.replace("device-api", word))
    assert "are asked by device-api" in refused.value.lines()[1]


def test_the_tenants_name_has_to_be_put_in(settings_of):
    (warning,) = warnings_of(settings_of(partner=PARTNER.replace("//gym.", "//TENANT.")))
    assert warning.startswith("partners.members.url: TENANT stands for the gym's own name")


SENSOR = "passage = { pin = 27 }\n"
ROUTE = "[[routes]]\nmatch = '(?P<member>[0-9]+)'\npartner = 'members'\n"
SIDE = """
[doors.side]
relay = { pin = 22 }
scanners = [{ type = "evdev", device = "/dev/input/by-id/usb-y-event-kbd" }]
"""


@pytest.mark.parametrize(
    ("rest", "blind"),
    [
        ("", ["d"]),
        (SENSOR, []),
        ("contact = { pin = 5 }\n", []),
        ("fire = { pin = 5 }\n", ["d"]),
        (SENSOR + SIDE, ["side"]),  # cards lead to it there too, and there is nothing else
        (SENSOR + SIDE + ROUTE, ["side"]),
        (SENSOR + SIDE + ROUTE + "doors = ['d']\n", []),
        (SENSOR + SIDE + ROUTE + "doors = ['side']\n", ["side"]),
    ],
)
def test_a_check_in_after_passing_needs_a_door_that_sees_who_passes(tmp_path, rest, blind):
    path = tmp_path / "gatectl.toml"
    path.write_text(f'{PARTNER}check_in = "passage"\n{DOOR}{rest}', "utf-8")
    if not blind:
        assert load(path).partners["members"].check_in == "passage"
        return
    with pytest.raises(SettingsError) as refused:
        load(path)
    problem, hint = refused.value.lines()
    assert problem.endswith(
        f": partners.members.check_in: needs to know who passed, and the door {blind[0]} cannot see it"
    )
    assert (
        hint == f"hint: set doors.{blind[0]}.passage to the turnstile's sensor, or doors.{blind[0]}.contact"
    )
