"""Readers and scanners that come and go, and the serial reader's frames."""

from __future__ import annotations

import time

from rig import keys

GOOD = "1000000000200"
CARD, FRAME = "010063E9AE", b"\x02010063E9AE25\x03"
READER = "/dev/serial/by-id/usb-QEMU_QEMU_USB_SERIAL_reader-if00-port0"
SCANNER = "/dev/input/by-id/usb-QEMU_QEMU_USB_Keyboard_scanner-event-kbd"
HEARD_S = 0.15
"""Three keys, each pressed and released, and the keyboard asked every 10 ms."""
IDLE_S = 2.0
"""As the settings have it. From the plug to the loss it takes up to 1 s here; the first 0.2 s, until the
USB hub is asked, a Pi takes too. With the default of 0.5 s, two halves of twenty were codes here.
"""
ATTEMPTS = 5
CLOCKS = """
/usr/bin/python3 -I - <<'END'
import mmap, os, struct, time
timer = mmap.mmap(os.open("/dev/mem", os.O_RDONLY | os.O_SYNC), 4096, prot=mmap.PROT_READ, offset=0x3F003000)
print(time.monotonic() - struct.unpack_from("<I", timer, 4)[0] / 1e6)
END
"""
"""How far the journal's clock is ahead of the one that is seen from outside."""
LIES_S = 0.05
"""A card that lies on the reader is sent again about every 50 ms."""


def test_a_card_on_the_serial_reader_opens(door, partners):
    door.check(f"gatectl cards add {CARD} wellhub {GOOD}")
    door.plug_reader()
    door.until_logged(f"{READER}: ready")
    with door.watch() as relay:
        door.send_serial(FRAME)
        relay.wait(energised=True, limit_s=60)
    door.until_logged(f"admitted {CARD}")
    assert partners.asked_for(GOOD) == 1


def test_a_frame_with_a_wrong_sum_is_no_code(door, partners):
    door.plug_reader()
    door.until_logged(f"{READER}: ready")
    door.send_serial(FRAME.replace(b"25", b"26"))
    door.until_logged("input dropped (checksum)")
    door.send_serial(FRAME)
    door.until_logged(f"rejected {CARD}")
    assert len(partners.requests) == 1


def test_a_card_that_lies_on_the_reader_is_one_scan(door, partners):
    door.change_settings("repeat_ms = 0", "repeat_ms = 3000")
    door.plug_reader()
    door.until_logged(f"{READER}: ready")
    for _ in range(100):
        door.send_serial(FRAME)
        time.sleep(LIES_S)
    door.until_logged(f"rejected {CARD}")
    assert len(door.events()) == 1
    assert len(partners.requests) == 1


def test_a_scanner_is_taken_up_each_time_it_comes_back(door, rounds, measured):
    pid = str(door.daemon_pid())
    ahead_s = float(door.check(CLOCKS))
    codes, took = [], []
    while sum(seconds < IDLE_S for seconds in took) < rounds:
        assert len(took) < ATTEMPTS * rounds, f"too slow here to unplug a scanner in mid-code: {took}"
        turn = len(took) + 1
        began = door.seconds()
        door.type_at_once(half(turn))
        while door.seconds() < began + HEARD_S:
            pass
        door.unplug_scanner()
        door.until_logged(f"{SCANNER}: lost", times=turn)
        *_, lost = lines_of(door, pid, f"{SCANNER}: lost")
        took.append(int(lost["__MONOTONIC_TIMESTAMP"]) / 1e6 - ahead_s - began)
        door.plug_scanner()
        door.until_logged(f"{SCANNER}: ready", times=turn)
        codes.append(f"c{turn:02}")
        door.type_at_once(f"{codes[-1]}\n")
        door.until_logged(f"rejected {codes[-1]}")
    measured(f"half a code to the loss of its scanner, worst of {len(took)}", max(took))
    assert len(lines_of(door, pid, f"{SCANNER}: lost")) == len(took)
    assert len(lines_of(door, pid, f"{SCANNER}: ready")) == len(took)
    # If this machine was so slow that the scanner was silent for longer, half a code is rightly a code.
    slow = {half(turn) for turn, seconds in enumerate(took, 1) if seconds >= IDLE_S}
    assert [event["credential"] for event in door.events() if event["credential"] not in slow] == codes


def half(turn):
    return f"h{turn:02}"


def lines_of(door, pid, text):
    return [entry for entry in door.journal() if entry.get("_PID") == pid and text in entry["MESSAGE"]]


def test_alt_codes_and_an_ending_with_ctrl(door, partners):
    first = keys.held("alt", "kp_0", "kp_4", "kp_9")  # 1, by its number in Windows-1252
    second = keys.held("alt", "kp_4", "kp_8")  # 0, in code page 437
    rest = keys.events(GOOD[2:])
    door.press([*keys.taps("num_lock", "f1", "esc"), *first, *second, *rest, *keys.held("ctrl", "m")])
    door.until_logged(f"admitted {GOOD}")
    assert partners.asked_for(GOOD) == 1


def test_a_french_scanner_that_ends_with_an_arrow(door):
    door.change_settings('layout = "us"', 'layout = "fr"')
    door.press([*keys.events("ZP6!$)#"), *keys.taps("down")])
    door.until_logged("rejected WP-1403")


def test_another_keyboard_in_its_place_is_not_taken_for_it(door, partners):
    door.unplug_scanner()
    door.until_logged(f"{SCANNER}: lost")
    door.plug_scanner("other")
    door.check(
        "until [[ -e /dev/input/by-id/usb-QEMU_QEMU_USB_Keyboard_other-event-kbd ]]; do sleep 0.2; done"
    )
    door.scan(GOOD)
    door.unplug_scanner()
    door.plug_scanner()
    door.until_logged(f"{SCANNER}: ready")
    door.scan(GOOD)
    door.until_logged(f"admitted {GOOD}")
    assert len(door.events()) == 1
    assert partners.asked_for(GOOD) == 1


def test_a_serial_reader_is_taken_up_each_time_it_comes_back(door, rounds):
    door.plug_reader()
    door.until_logged(f"{READER}: ready")
    for turn in range(1, rounds + 1):
        door.send_serial(FRAME[:7])
        door.unplug_reader()
        door.until_logged(f"{READER}: lost", times=turn)
        door.plug_reader()
        door.until_logged(f"{READER}: ready", times=turn + 1)
        door.send_serial(FRAME)
        door.until_logged(f"rejected {CARD}", times=turn)
    assert len(door.events()) == rounds
    lines = [entry["MESSAGE"] for entry in door.journal()]
    assert sum(f"{READER}: lost" in line for line in lines) == rounds
