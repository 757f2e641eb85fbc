"""One running Pi, and everything that its surroundings do to it."""

from __future__ import annotations

import json
import shlex
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rig import keys, pins
from rig.agent import BOOT_S, COMMAND_S, Agent, GuestError
from rig.image import SNAPSHOT, Image
from rig.machine import KEYS_LOST, Machine
from rig.partners import Partners
from rig.qmp import Qmp

KEY_GAP_S = 0.03
"""Between two key events, of the emulation's own time. A keyboard is asked every 10 ms, and QEMU's forgets
what it cannot queue (16)."""
FASTEST_S = 0.01
FOLLOW_S = 10
"""The longest wait for a line that the follower of the journal has missed."""


class KeysLostError(GuestError):
    """The emulated keyboard lost a part of what was typed: this machine is too busy for the rig."""


class Pi:
    """A context manager; inside, the Pi is on. It ends with a power cut, and its card goes.

    From the snapshot, the daemon runs and the scanner is plugged in; `cold` is a first boot (`paused`: see
    `boot`; `counted`: see `Machine`, and the snapshot does not know it). Neither has a network or a serial
    reader before these are plugged in.
    """

    agent: Agent
    qmp: Qmp

    def __init__(
        self, image: Image, *, cold: bool = False, paused: bool = False, counted: bool = False
    ) -> None:
        self._image = image
        self._cold, self._paused, self._counted = cold, paused, counted
        self._stack = ExitStack()
        self._machine: Machine | None = None
        self._reader: socket.socket | None = None
        self._keys_lost = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pi-")))
            self.card = self.folder / "card.qcow2"
            stack.callback(self.cut)
            shutil.copyfile(self._image.card if self._cold else self._image.booted, self.card)
            if self._cold:
                self.boot(paused=self._paused)
            else:
                self._start(snapshot=SNAPSHOT)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._machine is not None:
            error.add_note(self._last_words())
        self._stack.close()

    def _last_words(self) -> str:
        """The end of the guest's journal or, if that cannot be read, its console."""
        try:
            return self.agent.run("journalctl -b -n 60 -o short-monotonic", limit_s=30).out
        except (GuestError, OSError):
            return self.agent.console[-3000:].decode("utf-8", "replace")

    # Power.

    def boot(self, *, paused: bool = False) -> None:
        """A cold boot from the card as it is; returns when the guest takes commands.

        With `paused`, it returns at the moment of power-on: nothing runs before `go_on`.
        """
        self._start(paused=paused)
        if not paused:
            self.agent.wait_ready(BOOT_S)

    def go_on(self) -> None:
        self.qmp("cont")

    def wait_for_reset(self, limit_s: float) -> None:
        """Returns when the Pi has reset itself: it is off then. subprocess.TimeoutExpired at the limit."""
        assert self._machine is not None, "it is off"
        self._machine.wait(limit_s)
        self.cut()

    def cut(self) -> None:
        """The power goes; idempotent."""
        if self._machine is None:
            return
        machine, self._machine = self._machine, None
        machine.cut()
        self.agent.close()
        self.qmp.close()
        self._levels.close()
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _start(self, *, snapshot: str | None = None, paused: bool = False) -> None:
        assert self._machine is None, "it is on"
        self._machine = Machine(
            self.folder,
            self._image.boot,
            self.card,
            snapshot=snapshot,
            paused=paused,
            counted=self._counted,
        )
        self.agent, self.qmp = Agent(self.folder / "console"), Qmp(self.folder / "qmp")
        self._levels = pins.Levels(self.folder / "memory")
        # One thread of QEMU plays all cores.
        self._cores = self.qmp("query-cpus-fast")[0]["thread-id"]

    # The pins.

    def drive(self, pin: int, *, high: bool) -> None:
        """Sets the level of an input, as its wire would. Power-on makes all levels low."""
        self._levels.drive(pin, high=high)

    def watch(self, pin: int = pins.RELAY) -> pins.Watch:
        """Samples a pin throughout; one at a time."""
        return pins.Watch(self.folder / "watch", self.held_up, pin)

    def energised(self, pin: int = pins.RELAY) -> bool:
        return pins.read(self.qmp).energised(pin)

    def seconds(self) -> float:
        """The guest's clock, of which `pins.Change.at` is, too."""
        return pins.guest_us(self.qmp) / 1e6

    def held_up(self) -> float:
        """For how many seconds of that clock this machine has run others instead (its scheduler says so)."""
        _, waited_ns, _ = Path(f"/proc/{self._cores}/schedstat").read_text().split()
        return int(waited_ns) / 1e9

    # The USB scanner.

    def scan(self, code: str, layout: str = "us", *, end: str = "\n", gap_s: float = KEY_GAP_S) -> None:
        """Types a code. Raises KeysLostError."""
        self.press(keys.events(code + end, layout), gap_s=gap_s)

    def press(self, events: Sequence[dict[str, Any]], *, gap_s: float = KEY_GAP_S) -> None:
        """Sends key events. Raises KeysLostError."""
        for event in events:
            self.qmp("input-send-event", events=[event])
            self._let_work(gap_s)
        lost = (self.folder / "qemu.log").read_text().count(KEYS_LOST)
        if lost > self._keys_lost:
            self._keys_lost = lost
            raise KeysLostError("the emulated keyboard lost keys: this machine is too busy")

    def _let_work(self, seconds: float) -> None:
        """Waits so long, and longer while others have the processor that the cores' thread wants."""
        until = self._worked() + seconds
        time.sleep(seconds)
        while self._worked() < until and self._wants_processor():
            time.sleep(seconds)

    def _worked(self) -> float:
        """For how many seconds the cores' thread has had a processor."""
        worked_ns, _, _ = Path(f"/proc/{self._cores}/schedstat").read_text().split()
        return int(worked_ns) / 1e9

    def _wants_processor(self) -> bool:
        state = Path(f"/proc/{self._cores}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "R"

    def until_scanner_is_open(self) -> None:
        """Returns when the daemon reads the scanner, which may be after it is ready."""
        self.check(_SCANNER_OPEN)

    def type_at_once(self, text: str) -> None:
        """Types up to 8 lower-case characters, with nothing in between under any load of this machine."""
        self.qmp("input-send-event", events=keys.events(text))

    def unplug_scanner(self) -> None:
        """Returns when the guest's controller has let go of it."""
        self._delete("scanner")

    def _delete(self, device: str) -> None:
        self.qmp("device_del", id=device)
        self.qmp.wait_for("DEVICE_DELETED", device=device)

    def plug_scanner(self, serial: str = "scanner") -> None:
        self.qmp("device_add", driver="usb-kbd", id="scanner", serial=serial)

    # The serial reader.

    def plug_reader(self, serial: str = "reader") -> None:
        """An FTDI adapter with an RDM6300 behind it."""
        if self._reader is None:
            self._connect_reader()
        # QEMU asserts where the guest holds the port of a device that follows its socket.
        plugged = {"always-plugged": True}
        self.qmp("device_add", driver="usb-serial", id="reader", chardev="reader", serial=serial, **plugged)

    def unplug_reader(self, serial: str = "reader") -> None:
        """The guest's hub takes it off first: QEMU asserts where a transfer waits for a device that went."""
        self.check(_REMOVE.format(serial=serial))
        self._delete("reader")

    def _connect_reader(self) -> None:
        path = self.folder / "reader"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(1)
            address = {"type": "unix", "data": {"path": str(path)}}
            backend = {"type": "socket", "data": {"addr": address, "server": False}}
            self.qmp("chardev-add", id="reader", backend=backend)
            self._reader, _ = listener.accept()

    def send_serial(self, data: bytes) -> None:
        """The bytes that the reader sends."""
        assert self._reader is not None, "the reader is not plugged in"
        self._reader.sendall(data)

    # The network.

    def plug_network(self, *links: str) -> None:
        """A USB network adapter on whose other end is nothing but these; see `Partners.link`."""
        forward = [{"str": link} for link in links]
        self.qmp("netdev_add", type="user", id="net", restrict=True, guestfwd=forward, ipv6=False)
        self.qmp("device_add", driver="usb-net", id="network", netdev="net")

    def set_link(self, *, up: bool) -> None:
        """Down, everything is swallowed on the way, and the guest's adapter knows nothing of it."""
        self.qmp("set_link", name="net", up=up)

    def connect(self, partners: Partners, *links: str) -> None:
        """Plugs in the network with these links too, and returns when the daemon has reached the partners."""
        before = partners.simulator.handshakes
        self.plug_network(partners.link, *links)
        partners.until(lambda: partners.simulator.handshakes > before)

    # Commands and records.

    def check(self, command: str, *, limit_s: float = COMMAND_S) -> str:
        """Runs a bash script as root and returns its standard output. GuestError where it fails."""
        return self.agent.check(command, limit_s=limit_s)

    def daemon_pid(self) -> int:
        return int(self.check("systemctl show --value --property=MainPID gatectl"))

    def events(self) -> list[dict[str, Any]]:
        """All events, the oldest first, as the product prints them."""
        return [json.loads(line) for line in self.check("gatectl events --json -n 1000").splitlines()]

    def until_logged(self, text: str, *, times: int = 1, limit_s: float = COMMAND_S) -> None:
        """Returns when so many lines of the daemon's journal, since the snapshot or this boot, have the text.

        GuestError at the limit; it has the lines and the moments of all looks, on the guest's clock.
        """
        script = _UNTIL_LOGGED.format(
            text=shlex.quote(text), times=times, limit=round(limit_s), round=FOLLOW_S
        )
        done = self.agent.run(script, limit_s=limit_s + COMMAND_S)
        if done.status:
            raise GuestError(f"{text!r} was not logged {times} times:\n{done.out}{done.err}")

    def journal(self) -> Iterator[dict[str, Any]]:
        """The daemon's journal of this boot."""
        for line in self.check("journalctl -b -u gatectl -o json").splitlines():
            yield json.loads(line)

    def change_settings(self, old: str, new: str) -> None:
        """Replaces a text in the settings, which must occur once, and restarts the daemon."""
        place = "/etc/gatectl/gatectl.toml"
        settings = self.check(f"cat {place}")
        assert settings.count(old) == 1, f"{old!r} is there {settings.count(old)} times"
        self.check(
            f"printf %s {shlex.quote(settings.replace(old, new))} >{place} && systemctl restart gatectl"
        )


_SCANNER_OPEN = """
pid=$(systemctl show --value --property=MainPID gatectl)
until [[ $(readlink /proc/$pid/fd/*) == */dev/input/event* ]]; do sleep 0.1; done
"""
_REMOVE = """
for serial in /sys/bus/usb/devices/*/serial; do
    if [[ $(<"$serial") == {serial} ]]; then echo 1 >"${{serial%/*}}/remove"; fi
done
"""
_UNTIL_LOGGED = """
mark=$(</run/rig/mark)
journal() {{ exec timeout {round} journalctl -b -u gatectl -n all ${{mark:+"--after-cursor=$mark"}} "$@"; }}
clock() {{ read -r now _ </proc/uptime; }}
clock
until=$((${{now%.*}} + {limit}))
while ((${{now%.*}} < until)); do
    exec {{lines}}< <(journal -o cat -f)
    follower=$!
    found=$(grep -F -m {times} -c -e {text} <&$lines)
    kill $follower 2>/dev/null
    exec {{lines}}<&-
    if ((found == {times})); then exit 0; fi
    looks+="$now "
    clock
done
echo "looked at $looks, and given up at $now; then the journal had"
(journal -o short-monotonic)
exit 1
"""
"""A follower with a filter can miss a line until another one comes: journald counts an entry first, and then
puts it on the lists that filters go by. So each round has a new follower, which reads all from the mark.
"""
