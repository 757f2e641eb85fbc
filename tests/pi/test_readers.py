"""Readers and scanners that come and go, and the serial reader's frames."""

from __future__ import annotations

import time

import pytest

GOOD = "1000000000200"
CARD, FRAME = "010063E9AE", b"\x02010063E9AE25\x03"
READER = "/dev/serial/by-id/usb-QEMU_QEMU_USB_SERIAL_reader-if00-port0"
SCANNER = "/dev/input/by-id/usb-QEMU_QEMU_USB_Keyboard_scanner-event-kbd"
LIES_S = 0.05
"""A card that lies on the reader is sent again about every 50 ms."""


@pytest.fixture
def rounds(request):
    """How often what is worth repeating is repeated."""
    return int(request.config.getoption("--pi-rounds", 3))


def test_a_card_on_the_serial_reader_opens(door, partners):
    door.check(f"gatectl cards add {CARD} wellhub {GOOD}")
    door.plug_reader()
    door.told(f"{READER}: ready")
    with door.watch() as relay:
        door.send_serial(FRAME)
        relay.wait(energised=True, limit_s=60)
    door.told(f"admitted {CARD}")
    assert partners.asked_for(GOOD) == 1


def test_a_frame_with_a_wrong_sum_is_no_code(door, partners):
    door.plug_reader()
    door.told(f"{READER}: ready")
    door.send_serial(FRAME.replace(b"25", b"26"))
    door.told("input dropped (checksum)")
    door.send_serial(FRAME)
    door.told(f"rejected {CARD}")
    assert len(partners.requests) == 1


def test_a_card_that_lies_on_the_reader_is_one_scan(door, partners):
    door.change_settings("repeat_ms = 0", "repeat_ms = 3000")
    door.plug_reader()
    door.told(f"{READER}: ready")
    for _ in range(100):
        door.send_serial(FRAME)
        time.sleep(LIES_S)
    door.told(f"rejected {CARD}")
    assert len(door.events()) == 1
    assert len(partners.requests) == 1


def test_a_scanner_is_taken_up_each_time_it_comes_back(door, rounds):
    pid = door.check("systemctl show --value --property=MainPID gatectl").strip()
    for turn in range(1, rounds + 1):
        door.scan(GOOD[:7], end="")  # half a code
        door.unplug_scanner()
        door.told(f"{SCANNER}: lost", times=turn)
        door.plug_scanner()
        door.told(f"{SCANNER}: ready", times=turn)
        code = f"20000000000{turn:02}"
        door.scan(code)
        door.told(f"rejected {code}")
    lines = [entry["MESSAGE"] for entry in door.journal() if entry.get("_PID") == pid]
    assert sum(f"{SCANNER}: lost" in line for line in lines) == rounds
    assert sum(f"{SCANNER}: ready" in line for line in lines) == rounds
    codes = [f"20000000000{turn:02}" for turn in range(1, rounds + 1)]
    assert [event["credential"] for event in door.events()] == codes


def test_another_keyboard_in_its_place_is_not_taken_for_it(door, partners):
    door.unplug_scanner()
    door.told(f"{SCANNER}: lost")
    door.plug_scanner("other")
    door.check(
        "until [[ -e /dev/input/by-id/usb-QEMU_QEMU_USB_Keyboard_other-event-kbd ]]; do sleep 0.2; done"
    )
    door.scan(GOOD)
    door.unplug_scanner()
    door.plug_scanner()
    door.told(f"{SCANNER}: ready")
    door.scan(GOOD)
    door.told(f"admitted {GOOD}")
    assert len(door.events()) == 1
    assert partners.asked_for(GOOD) == 1


def test_a_serial_reader_is_taken_up_each_time_it_comes_back(door, rounds):
    door.plug_reader()
    door.told(f"{READER}: ready")
    for turn in range(1, rounds + 1):
        door.send_serial(FRAME[:7])
        door.unplug_reader()
        door.told(f"{READER}: lost", times=turn)
        door.plug_reader()
        door.told(f"{READER}: ready", times=turn + 1)
        door.send_serial(FRAME)
        door.told(f"rejected {CARD}", times=turn)
    assert len(door.events()) == rounds
    lines = [entry["MESSAGE"] for entry in door.journal()]
    assert sum(f"{READER}: lost" in line for line in lines) == rounds
