"""A machine's /dev, /sys and /proc below a folder, with the devices that a test plugs in."""

import os
from pathlib import Path

from gatectl.devices.reader.system import SystemPaths

SCANNER_KEYS = sum(1 << key for key in range(1, 89))
POWER_BUTTON_KEYS = 1 << 116


class Trees:
    def __init__(self, folder):
        self.places = SystemPaths(folder / "dev", folder / "sys", folder / "proc", folder / "udev")
        for path in ("dev/input/by-id", "dev/input/by-path", "dev/serial/by-id", "dev/serial/by-path"):
            (folder / path).mkdir(parents=True)
        self.console("tty0")
        self.places.proc.mkdir()

    def console(self, names):
        self._write("class/tty/console/active", names)

    def keyboard(self, number, name, *, by_id=None, by_path=None, keys=SCANNER_KEYS, usb=None, uniq=""):
        """`usb` is (socket, vendor and model, serial number, interface), as the kernel shows a USB device."""
        node = self.places.dev / f"input/event{number}"
        node.touch()
        for way, link in (("by-id", by_id), ("by-path", by_path)):
            if link:
                (self.places.dev / "input" / way / link).symlink_to(f"../event{number}")
        if usb:
            folder = self._usb(*usb) / f"0003:1234/input/input{number}"
            folder.mkdir(parents=True)
            (self.places.sys / f"class/input/event{number}").mkdir(parents=True)
            (self.places.sys / f"class/input/event{number}/device").symlink_to(folder)
        device = f"class/input/event{number}/device"
        self._write(f"{device}/name", name)
        self._write(f"{device}/uniq", uniq)
        word = 2**64 - 1
        words = [keys >> shift & word for shift in (128, 64, 0)]
        self._write(f"{device}/capabilities/key", " ".join(f"{one:x}" for one in words))
        return node

    def _usb(self, socket, model, serial="", interface="00"):
        """The folder of one interface of a USB device."""
        device = self.places.sys / f"devices/usb1/{socket}"
        folder = device / f"{socket}:1.{int(interface)}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "bInterfaceNumber").write_text(interface + "\n")
        (device / "idVendor").write_text(model[0] + "\n")
        (device / "idProduct").write_text(model[1] + "\n")
        if serial:
            (device / "serial").write_text(serial + "\n")
        return folder

    def port(self, name, *, by_id=None, by_path=None, kind="4", product=None, usb=None):
        node = self.places.dev / name
        node.touch()
        for way, link in (("by-id", by_id), ("by-path", by_path)):
            if link:
                (self.places.dev / "serial" / way / link).symlink_to(f"../../{name}")
        self._write(f"class/tty/{name}/type", kind)
        if usb:
            folder = self._usb(*usb) / name
            folder.mkdir()
            (self.places.sys / f"class/tty/{name}/device").symlink_to(folder)
        if product:
            usb = self.places.sys / "devices/usb1/1-1"
            (usb / "1-1:1.0" / name).mkdir(parents=True)
            (usb / "manufacturer").write_text(product[0] + "\n")
            (usb / "product").write_text(product[1] + "\n")
            (self.places.sys / f"class/tty/{name}/device").symlink_to(usb / "1-1:1.0" / name)
        return node

    def adapter(self, socket, model, port=None):
        """A USB device as the bus shows it; `port` is the name of its port, where it has one."""
        interface = self._usb(socket, model)
        bus = self.places.sys / "bus/usb/devices"
        bus.mkdir(parents=True, exist_ok=True)
        (bus / socket).symlink_to(interface.parent)
        if port:
            (interface / port).mkdir()

    def left_alone(self, device):
        """udev's record of a device that its rules hide from ModemManager."""
        number = device.stat().st_rdev
        self.places.udev.mkdir()
        data = self.places.udev / f"c{os.major(number)}:{os.minor(number)}"
        data.write_text("S:gatectl\nE:ID_MM_DEVICE_IGNORE=1\nE:ID_MM_PORT_IGNORE=1\n")

    def process(self, number, name, *opened):
        process = self.places.proc / str(number)
        (process / "fd").mkdir(parents=True)
        (process / "comm").write_text(name + "\n")
        for index, path in enumerate(opened):
            (process / "fd" / str(index)).symlink_to(path)

    def _write(self, path, text):
        file: Path = self.places.sys / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
