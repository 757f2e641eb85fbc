import time

import pytest

from gatectl.partners.exchange import clock_ahead_s

DATE = "Sat, 22 Nov 2025 19:35:01 GMT"
AT_US = 1_763_840_101_000_000


@pytest.mark.parametrize(
    ("date", "later_s", "ahead"),
    [
        (DATE, 0.0, 0),
        (DATE, 2.4, 0),
        (DATE, 2.6, 2),
        (DATE, 95.5, 95),
        (DATE, -1.4, 0),
        (DATE, -30.0, -30),
        ("Saturday, 22-Nov-25 19:35:01 GMT", 60.5, 60),
        (DATE.replace("GMT", "-0000"), 0.0, 0),
        (DATE.replace("GMT", "+0100"), 0.0, 3600),
        (None, 0.0, None),
        ("yesterday", 0.0, None),
        ("", 0.0, None),
        ("Sat, 99 Nov 2025 19:35:01 GMT", 0.0, None),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_how_far_our_clock_is_ahead(date, later_s, ahead, zone, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    assert clock_ahead_s(date, round(AT_US + later_s * 1e6)) == ahead


@pytest.fixture(autouse=True)
def _own_zone_again():
    yield
    time.tzset()
