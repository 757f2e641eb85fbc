"""`gatectl devices` over ptys and the virtual keyboard, next to a real daemon in some tests."""

import argparse
import json
import os
import queue
import select
import socket
import sys
import termios
import threading
import tomllib

import pytest
from device_trees import Trees
from limits import NET_S

from gatectl.cli import devices
from gatectl.cli.main import main
from gatectl.devices.reader.driver import all_drivers
from gatectl.devices.reader.evdev_keyboard import KeyboardDriver
from gatectl.errors import GatectlError
from gatectl.sim.simulated_door import SimulatedDoor
from gatectl.sim.virtual_scanners import VirtualKeyboard, VirtualSerialScanner

CARD = b"\x020500207B326C\r\n\x03"


class Rig:
    """A machine with devices, and the command on it."""

    def __init__(self, folder, settings):
        self.trees = Trees(folder)
        self.settings = settings
        self.dev = self.trees.places.dev
        self.keyboards = {}

    def serial(self, name):
        """A pty; what is sent before anybody listens waits in the buffer no longer than to the opening."""
        return VirtualSerialScanner(self.dev / "serial/by-id" / name)

    def keyboard(self, number, name, layout="us"):
        self.trees.keyboard(number, name, by_id=f"usb-{name}-event-kbd")
        path = str(self.dev / f"input/by-id/usb-{name}-event-kbd")
        self.keyboards[path] = VirtualKeyboard(layout)
        return self.keyboards[path]

    def run(self, *args):
        parser = argparse.ArgumentParser()
        devices.add_arguments(parser)
        parsed = parser.parse_args(args)
        parsed.config = str(self.settings)
        keyboards = KeyboardDriver(shared=lambda path: self.keyboards[path].connect(path))
        return devices.attend(parsed, self.trees.places, all_drivers() | {"evdev": keyboards})


@pytest.fixture
def rig(tmp_path, settings):
    return Rig(tmp_path / "machine", settings)


class CopiedStream:
    """A stream whose texts also go to a queue."""

    def __init__(self, stream):
        self._stream = stream
        self.said = queue.SimpleQueue()

    def write(self, text):
        self._stream.write(text)
        self.said.put(text)

    def __getattr__(self, name):
        return getattr(self._stream, name)


LISTENS = "scan something now"


@pytest.fixture
def meanwhile(monkeypatch):
    """Once the command has written a line with these words to stderr, does something; then the next."""
    threads = []

    def start(*steps):
        copied = CopiedStream(sys.stderr)
        monkeypatch.setattr(sys, "stderr", copied)

        def work():
            for words, step in steps:
                while words not in copied.said.get(timeout=NET_S):
                    pass
                step()

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(NET_S)
        assert not thread.is_alive()


LISTING = """\
Input devices
  DEV/input/by-id/usb-Scanner-event-kbd
    Scanner; free
  DEV/input/event7
    Some Keyboard; open in Xorg (12); this name may change when it is plugged in
again
Serial ports
  DEV/serial/by-path/platform-1
    1a86 USB Serial; free; this name means the socket that it is plugged into
  DEV/ttyAMA0
    the system's console
"""


def test_the_list_for_people(rig, capsys):
    rig.keyboard(3, "Scanner")
    node = rig.trees.keyboard(7, "Some Keyboard")
    rig.trees.process(12, "Xorg", node)
    rig.trees.port("ttyUSB0", by_path="platform-1", product=("1a86", "USB Serial"))
    rig.trees.port("ttyAMA0")
    rig.trees.console("ttyAMA0")
    assert rig.run("--no-wait") == 0
    assert capsys.readouterr().out.replace(str(rig.dev), "DEV") == LISTING


def scan_at_event7(rig, capsys, meanwhile):
    """The command's output for a scan at a keyboard without a stable path."""
    path = str(rig.dev / "input/event7")
    with VirtualKeyboard("us") as scanner:
        rig.keyboards[path] = scanner
        meanwhile((LISTENS, lambda: scanner.type_code("4711")))
        assert rig.run() == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("uniq", "setting"),
    [("", 'name = "A \\"Scanner\\""'), ("00:1a:7d:da:71:13", 'bluetooth = "00:1A:7D:DA:71:13"')],
)
def test_a_device_without_a_stable_path_is_named_otherwise(rig, capsys, meanwhile, settings, uniq, setting):
    rig.trees.keyboard(7, 'A "Scanner"', uniq=uniq)
    out = scan_at_event7(rig, capsys, meanwhile)
    assert f'type = "evdev"\n{setting}\n' in out
    assert "udev rule" not in out
    settings.write_text(settings.read_text() + out.partition("For the settings:\n\n")[2])
    assert main(["check", "-c", str(settings)]) == 78  # the keys cannot be read; nothing else is wrong
    assert "scanners" not in capsys.readouterr().err


def test_a_name_that_may_change_is_pointed_out_where_it_would_be_pasted(rig, capsys, meanwhile):
    rig.trees.keyboard(7, "Scanner")
    rig.trees.keyboard(8, "Scanner")
    rig.keyboards[str(rig.dev / "input/event8")] = VirtualKeyboard("us")
    out = scan_at_event7(rig, capsys, meanwhile)
    assert "with a udev rule (SYMLINK+=)" in " ".join(out.split())
    assert f'device = "{rig.dev}/input/event7"' in out


def test_programs_that_keep_an_adapter_from_its_reader(rig, capsys):
    rig.trees.adapter("1-1", ("1a86", "7523"))
    rig.trees.adapter("1-2", ("10c4", "ea60"), port="ttyUSB0")
    rig.trees.adapter("1-3", ("046d", "c31c"))  # no adapter
    with rig.serial("usb-Reader") as reader:
        assert rig.run("--no-wait") == 0
        assert capsys.readouterr().err == (
            "note: WCH CH340 at USB socket 1-1 has no port: has the kernel a driver for it? sudo dmesg\n"
        )
        rig.trees.process(12, "brltty")
        rig.trees.process(13, "ModemManager")
        assert rig.run("--no-wait", "--json") == 0
        taken, modem = json.loads(capsys.readouterr().out)["notes"]
        assert "brltty (for Braille displays) has taken it: sudo apt remove brltty" in taken
        assert modem.startswith(f"ModemManager may send commands to {reader.link} until")
        rig.trees.left_alone(reader.link)
        capsys.readouterr()
        assert rig.run("--no-wait") == 0
        assert "ModemManager" not in capsys.readouterr().err


def test_none_at_all(rig, capsys):
    assert rig.run("--no-wait") == 0
    assert capsys.readouterr().out.count("none that a scanner may be") == 2
    with pytest.raises(GatectlError, match="no free device") as error:
        rig.run()
    assert "plug the scanner in" in error.value.hints[0]


def test_json_without_waiting(rig, capsys):
    rig.keyboard(3, "Scanner")
    assert rig.run("--no-wait", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["scan"], answer["notes"]) == (None, [])
    (device,) = answer["devices"]
    assert device == {
        "type": "evdev",
        "path": str(rig.dev / "input/by-id/usb-Scanner-event-kbd"),
        "stability": "by-id",
        "node": str(rig.dev / "input/event3"),
        "has_twin": False,
        "name": "Scanner",
        "is_console": False,
        "held_by": [],
        "may_change_name": False,
        "other_name": None,
        "door": None,
        "gatectl": None,
        "free": True,
    }


SCAN = """\
DEV/serial/by-id/usb-Reader
    read     0500207B32
    how      STX, ten hex digits, a checksum that is right, CR LF, ETX
    goes to  main: no card and no route takes this code
    card     0002128690     card = { read = "hex", bytes = 4, write = "decimal10" }
             21476965170    card = { read = "hex", bytes = 5, write = "decimal" }
             2128690        card = { read = "hex", bytes = 4, write = "decimal" }
             032,31538      card = { read = "hex", bytes = 3, write = "facility-padded" }
             32,31538       card = { read = "hex", bytes = 3, write = "facility" }
             0846929920     card = { read = "hex", bytes = 4, order = "reversed", write = "decimal10" }
             216814059525   card = { read = "hex", bytes = 5, order = "reversed", write = "decimal" }
             846929920      card = { read = "hex", bytes = 4, order = "reversed", write = "decimal" }
             050,31520      card = { read = "hex", bytes = 3, order = "reversed", write = "facility-padded" }
             50,31520       card = { read = "hex", bytes = 3, order = "reversed", write = "facility" }
             327B200005     card = { read = "hex", bytes = 5, order = "reversed", write = "hex" }

For the settings:

[[doors.main.scanners]]
type = "serial"
port = "DEV/serial/by-id/usb-Reader"
baud = 9600
framing = "id12la"
"""


def test_a_card_at_a_serial_reader(rig, capsys, meanwhile):
    with rig.serial("usb-Reader") as reader:
        meanwhile((LISTENS, lambda: reader.send(CARD * 3)))
        assert rig.run() == 0
    out, err = capsys.readouterr()
    assert out.replace(str(rig.dev), "DEV").partition("free\n")[2] == SCAN
    assert err == "scan something now: waiting at 1 device; Ctrl-C ends it\n"


def test_printed_settings_can_be_pasted(rig, capsys, meanwhile, settings):
    with rig.serial("usb-Reader") as reader:
        meanwhile((LISTENS, lambda: reader.send(b"]E01234567890123\r")))
        assert rig.run("--json") == 0
        scan = json.loads(capsys.readouterr().out)["scan"]
        assert (scan["code"], scan["aim"], scan["ending"]) == ("1234567890123", "]E0", "CR")
        (way,) = scan["ways"]
        assert (way["recognised"], way["partner"], way["route"]) == (True, "wellhub", 0)
        table = tomllib.loads(scan["toml"])["doors"]["main"]["scanners"][0]
        assert table == {
            "type": "serial",
            "port": str(reader.link),
            "baud": 9600,
            "framing": "line",
            "strip_aim": True,
        }
        settings.write_text(settings.read_text() + scan["toml"])
        rig.run("--no-wait")
        assert "free, in the settings of door main" in capsys.readouterr().out


def test_an_enrolled_card_is_reported(rig, capsys, meanwhile, settings):
    assert main(["cards", "add", "0500207B32", "wellhub", "1234567890123", "-c", str(settings)]) == 0
    with rig.serial("usb-Reader") as reader:
        meanwhile((LISTENS, lambda: reader.send(CARD)))
        rig.run()
    assert "main: an enrolled card leads to wellhub, member 1234567890123" in capsys.readouterr().out


def test_a_scanner_that_types(rig, capsys, meanwhile, settings):
    route = "[[routes]]\nmatch = 'WP-(?P<member>\\d+)'\npartner = \"wellpass\"\n"
    settings.write_text(route + settings.read_text())
    scanner, other = rig.keyboard(3, "Scanner", "de"), rig.keyboard(4, "Other")

    meanwhile((LISTENS, lambda: scanner.type_code("WP-4711")))
    with scanner, other:
        assert rig.run() == 0
    out = capsys.readouterr().out
    assert "read     WP-4711" in out
    assert "how      keys in the layout de (or ch, at, " in out
    assert "or       WP/4711, keys in the layout us (or " in out
    assert 'layout = "de"' in out
    assert "Compare with what is printed" in out


def test_an_unreadable_scan_is_reported_and_the_next_one_counts(rig, capsys, meanwhile):
    with rig.serial("usb-Reader") as reader, rig.serial("usb-Second") as second:
        meanwhile(
            (LISTENS, lambda: reader.send(b"\x020500207B32FF\x03")),
            ("checksum is wrong", lambda: second.send(CARD)),
        )
        assert rig.run() == 0
    out, err = capsys.readouterr()
    assert f"{reader.link}: a frame with twelve hex digits" in err
    assert "usb-Second\n    read     0500207B32" in out


def test_devices_that_go_and_devices_that_are_held(rig, capsys, meanwhile):
    scanner = rig.keyboard(3, "Scanner")
    source = scanner.connect("somebody else's")
    with rig.serial("usb-Reader") as reader:
        meanwhile((LISTENS, reader.unplug))
        with pytest.raises(GatectlError, match="no device is left"):
            rig.run()
    source.close()
    err = capsys.readouterr().err
    assert "usb-Scanner-event-kbd: held by another process" in err
    assert "usb-Reader: unplugged" in err


def test_without_settings(rig, capsys, meanwhile, settings):
    settings.unlink()
    with rig.serial("usb-Reader") as reader:
        meanwhile((LISTENS, lambda: reader.send(b"4711\n")))
        assert rig.run() == 0
    out, err = capsys.readouterr()
    assert "[[doors.main.scanners]]" in out
    assert "goes to" not in out
    assert "the settings are not there yet" in err


def test_a_running_gatectl_keeps_what_it_has(rig, capsys, tmp_path):
    folder = tmp_path / "door"
    folder.mkdir()
    with SimulatedDoor(folder, lambda _: None) as door:
        link = rig.dev / "serial/by-id/usb-Reader"
        link.symlink_to(os.path.realpath(folder / "scanner"))
        rig.settings = door.settings
        with pytest.raises(GatectlError, match="no free device") as error:
            rig.run()
        assert "systemctl stop gatectl" in error.value.hints[0]
        assert "gatectl has it: door main, ready, 0 codes" in capsys.readouterr().out
        rig.run("--no-wait", "--json")
        (device,) = json.loads(capsys.readouterr().out)["devices"]
        assert (device["free"], device["gatectl"]["door"], device["gatectl"]["state"]) == (
            False,
            "main",
            "ready",
        )


def test_a_gatectl_that_does_not_answer_keeps_what_the_settings_name(rig, capsys, settings):
    mute = socket.socket(socket.AF_UNIX)
    mute.bind(str(settings.with_name("control.sock")))
    mute.listen()

    def hang_up():
        mute.accept()[0].close()

    meanwhile = threading.Thread(target=hang_up)
    meanwhile.start()
    with mute, rig.serial("usb-Reader") as reader:
        text = settings.read_text().replace('type = "evdev"', 'type = "serial"')
        settings.write_text(
            text.replace("device =", "port =").replace("/dev/input/by-id/usb-1", str(reader.link))
        )
        with pytest.raises(GatectlError, match="no free device"):
            rig.run()
        meanwhile.join()
    assert "what gatectl has open is left alone" in capsys.readouterr().err


@pytest.mark.parametrize("speed", ["49", "4000001", "x", "9600.0"])
def test_a_speed_that_is_none(run, speed):
    assert run("devices", "--baud", speed)[0] == 2


def test_scanned_keys_do_not_reach_the_shell(monkeypatch):
    outer, inner = os.openpty()
    with os.fdopen(inner) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        before = termios.tcgetattr(inner)
        with devices._quiet_terminal():
            assert not termios.tcgetattr(inner)[3] & termios.ECHO
            os.write(outer, b"rm -r x\n")
            assert select.select([inner], [], [], NET_S)[0]
        assert termios.tcgetattr(inner) == before
        assert not select.select([inner], [], [], 0)[0]
        assert not select.select([outer], [], [], 0)[0]
    os.close(outer)
