"""Readers that misbehave, through the daemon: each costs its own door at most."""

import contextlib
import errno
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fuse_device import FuseDevice, needs_fuse
from harness import GOOD, code
from test_holders import second_program

from gatectl.devices.reader.evdev_keyboard import EVENT_FORMAT, GET_LEDS, GET_VERSION, GRAB
from gatectl.sim.virtual_scanners import VirtualKeyboard

TWO_DOORS = {"main": {}, "side": {}}
TCGETS = 0x5401
EVIOCGID, EVIOCGNAME = 0x80084502, 0x81004506
NOT_UTF_8 = b"\xe6\x89\xab\xe7\xa0\x81\xe6\x9e\0"


def reader_of(gym, door="main"):
    return gym.status()["doors"][door]["scanners"][0]


@pytest.fixture
def device(tmp_path):
    with FuseDevice(tmp_path / "dev") as made:
        made.ioctls = {
            GET_VERSION: b"\1\0\1\0",
            GET_LEDS: bytes(2),
            GRAB: b"",
            EVIOCGID: bytes(8),
            EVIOCGNAME: NOT_UTF_8,
        }
        yield made


def types_like_a_keyboard(device):
    return {"scanner": {"type": "evdev", "device": str(device.path), "port": None}}


@needs_fuse
@pytest.mark.parametrize("call", ["open", GRAB])
def test_a_device_that_hangs_in_the_kernel_stops_no_other_door(gym, device, call):
    device.hangs = {call}
    gym = gym(doors={"main": types_like_a_keyboard(device), "side": {}}).start()
    device.until_asked(call)
    assert gym.ask("wellhub", GOOD["wellhub"], "side")["result"] == "admitted"
    gym.logged(f"scanner {device.path}: absent (it does not answer)")
    assert reader_of(gym)["cause"] == "it does not answer"
    assert gym.ask("wellhub", GOOD["wellhub"], "side")["result"] == "admitted"
    assert device.asked.count(call) == 1
    device.release(errno.ETIMEDOUT)
    device.until_asked(call, 2)  # tried again
    gym.logged(f"scanner {device.path}: ready")
    assert gym.terminate() == 0


@needs_fuse
def test_a_port_that_hangs_in_the_kernel_stops_no_other_door(gym, device):
    device.hangs = {TCGETS}
    gym = gym(doors={"main": {"scanner": {"port": str(device.path)}}, "side": {}}).start()
    device.until_asked(TCGETS)
    gym.logged(f"scanner {device.path}: absent (it does not answer)")
    assert gym.ask("wellhub", GOOD["wellhub"], "side")["result"] == "admitted"
    device.ioctls[TCGETS] = errno.ENODEV
    device.release()
    while reader_of(gym)["cause"] != "unplugged":
        pass
    assert gym.ask("wellhub", GOOD["wellhub"], "side")["result"] == "admitted"


@needs_fuse
def test_a_stop_does_not_wait_for_a_device_that_hangs_in_the_kernel(gym, device):
    device.hangs = {"open"}
    gym = gym(doors={"main": types_like_a_keyboard(device), "side": {}}).start()
    assert gym.terminate() == 0
    assert device.asked == ["open"]  # never answered


@needs_fuse
def test_a_keyboard_whose_name_is_no_utf_8(gym, device):
    gym = gym(doors={"main": types_like_a_keyboard(device), "side": {}})
    with device.path.open("rb", buffering=0), VirtualKeyboard("us") as typist:
        gym.start()
        source = typist.connect("")
        for character in code("wellhub", GOOD["wellhub"]):
            typist.type_text(character)
        typist.type_code("")
        with contextlib.suppress(BlockingIOError):
            while events := source.read():
                device.send(b"".join(EVENT_FORMAT.pack(0, 0, *event) for event in events))
    assert gym.next_event()["result"] == "admitted"
    # Other programs that have it open, such as this test or a desktop, get none of its keys.
    assert reader_of(gym)["held_by"] == []
    device.unplug()
    gym.logged(f"scanner {device.path}: lost (unplugged)")
    assert gym.ask("wellhub", GOOD["wellhub"], "side")["result"] == "admitted"


def test_two_names_that_lead_to_one_device(gym):
    gym = gym(doors=TWO_DOORS)
    main, side = gym.scanners["main"], gym.scanners["side"]
    side.unplug()
    side.link.symlink_to(main.link.readlink())
    gym.start()
    gym.logged(f"scanner {side.link}: absent (the same device as {main.link})")
    assert (reader_of(gym)["state"], reader_of(gym, "side")["state"]) == ("ready", "absent")
    assert gym.ask("wellhub", GOOD["wellhub"])["door"] == "main"
    done = gym.run("open", "side", "--reason", "two readers with one name")
    assert (done.returncode, done.stderr) == (0, "")
    assert gym.next_event()["kind"] == "manual"
    side.link.unlink()
    side.plug()
    gym.logged(f"scanner {side.link}: ready")
    assert gym.ask("wellhub", GOOD["wellhub"], "side")["door"] == "side"
    assert gym.terminate() == 0
    done = gym.run("check")
    assert done.returncode == 0


def test_a_name_that_moves_to_the_other_reader_while_the_daemon_runs(gym):
    gym = gym(doors=TWO_DOORS).start()
    main, side = gym.scanners["main"], gym.scanners["side"]
    main.unplug()
    main.link.symlink_to(side.link.readlink())
    gym.logged(f"scanner {main.link}: lost (")
    while reader_of(gym)["cause"] != f"the same device as {side.link}":
        pass
    assert gym.ask("wellhub", GOOD["wellhub"], "side")["result"] == "admitted"
    main.link.unlink()


def test_a_second_program_at_the_port(gym):
    gym = gym(doors=TWO_DOORS)
    link = gym.scanners["main"].link
    with second_program(str(link)) as process:
        gym.start()
        name = Path(f"/proc/{process.pid}/comm").read_text().strip()
        gym.logged(f"scanner {link}: also open in {name} ({process.pid})")
        assert reader_of(gym)["held_by"] == [f"{name} ({process.pid})"]
        assert reader_of(gym, "side")["held_by"] == []
        shown = gym.run("status")
        assert f"also open in {name} ({process.pid})" in " ".join(shown.stdout.split())
        checked = gym.run("check", "--devices")
        assert checked.returncode == 1
        assert f"also open in {name} ({process.pid})" in checked.stderr
        assert "serial-getty" in checked.stderr
        assert gym.terminate() == 0
        checked = gym.run("check", "--devices")
        assert f"also open in {name} ({process.pid})" in checked.stderr
    checked = gym.run("check", "--devices")
    assert "also open in" not in checked.stdout + checked.stderr


def test_a_program_that_holds_the_port_for_itself_is_named(gym):
    gym = gym()
    link = gym.scanners["main"].link
    locking = "import fcntl, sys\nport = open(sys.argv[1])\nfcntl.flock(port, fcntl.LOCK_EX)\n"
    waiting = "print('locked', flush=True)\nsys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", locking + waiting, link], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"locked\n"
        gym.start()
        gym.logged(f"scanner {link}: absent (held by another process)")
        gym.logged(f"scanner {link}: held by ", f"({process.pid})")
        assert reader_of(gym)["held_by"][0].endswith(f" ({process.pid})")
        process.stdin.close()
        process.wait()
    gym.logged(f"scanner {link}: ready")
    gym.logged(f"scanner {link}: no other program has it open any more")
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"


def test_a_pin_that_was_begun_and_abandoned_is_not_part_of_the_next_code(gym):
    gym = gym().start()
    scanner = gym.scanners["main"]
    scanner.send(b"12")
    gym.logged(f"scanner {scanner.link}: input dropped (incomplete)")
    assert reader_of(gym)["dropped"] == {"incomplete": 1}
    assert gym.ask("wellhub", GOOD["wellhub"])["member"] == GOOD["wellhub"]


def test_the_last_input_that_was_dropped_is_shown(gym):
    gym = gym().start()
    assert reader_of(gym)["last_dropped"] is None
    gym.scanners["main"].send(b"12\xff34\r")
    gym.logged(f"scanner {gym.scanners['main'].link}: input dropped (undecodable)")
    last = reader_of(gym)["last_dropped"]
    assert (last["flaw"], last["detail"]) == ("undecodable", "byte 0xFF")
    assert "ago: undecodable, byte 0xFF)" in " ".join(gym.run("status").stdout.split())


def test_a_reader_with_seven_bits_a_prefix_and_an_ending_of_its_own(gym):
    settings = {"mode": "7E1", "framing": "stx-line", "strip_prefix": "ID:", "dtr": False, "flow": "xon-xoff"}
    gym = gym(doors={"main": {"scanner": settings}}).start()
    text = b"\x02ID:" + code("wellhub", GOOD["wellhub"]).encode() + b"\r\n"
    gym.scanners["main"].send(bytes(byte | byte.bit_count() % 2 << 7 for byte in text))
    assert gym.next_event()["credential"] == code("wellhub", GOOD["wellhub"])


def test_a_pause_within_a_code_does_not_end_it(gym):
    gym = gym().start()
    scanner = gym.scanners["main"]
    whole = code("wellhub", GOOD["wellhub"])
    sent_at = time.monotonic()
    scanner.send(whole[:-4].encode())
    while time.monotonic() < sent_at + 0.3:  # longer than a silence within a code that is typed at once
        gym.call({"command": "status"})
    scanner.send(whole[-4:].encode() + b"\r")
    assert gym.next_event()["credential"] == whole
