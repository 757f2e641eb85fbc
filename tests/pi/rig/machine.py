"""The QEMU process of one Pi. Each option has its purpose next to it; most were found the hard way."""

from __future__ import annotations

import socket
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

COMMAND_LINE = (
    "console=ttyAMA0,115200",
    "root=/dev/mmcblk0",
    "rw",
    "rootwait",
    "usbcore.autosuspend=-1",  # a suspended root port drowns the guest in interrupts
    "pinctrl_bcm2835.persist_gpio_outputs=1",  # as on the real Pi: a killed daemon's pin keeps its level
)
CHANNELS = ("console", "qmp", "watch", "memory")
KEYS_LOST = "hid_kbd_queue_full"
"""QEMU's line in `qemu.log`, if enabled, when its keyboard loses a key."""
END_S = 120.0
_SHIFT = 1
INSTRUCTION_NS = 2**_SHIFT
"""The time of an instruction when they are counted. Idle cores wait for this machine's clock."""


@dataclass(frozen=True)
class Boot:
    """The files that the firmware would load."""

    kernel: Path
    initrd: Path
    tree: Path


class Machine:
    """A QEMU that was started, with the sockets of `CHANNELS` in `folder`.

    They take connections at once; QEMU answers when it is up. With `paused`, not one instruction runs
    before QMP's `cont`. With `counted`, the guest's clock counts its instructions: slower, and the same on
    every machine. `folder` has a short path: a socket's name has room for 107 bytes.
    """

    def __init__(
        self,
        folder: Path,
        boot: Boot,
        card: Path,
        *,
        snapshot: str | None = None,
        paused: bool = False,
        counted: bool = False,
    ) -> None:
        with ExitStack() as listening:
            sockets = {name: listening.enter_context(_listen(folder / name)) for name in CHANNELS}
            log = listening.enter_context((folder / "qemu.log").open("ab"))
            channels = {name: channel.fileno() for name, channel in sockets.items()}
            self._process = subprocess.Popen(
                [
                    *_command(boot, card, channels),
                    *(["-loadvm", snapshot] if snapshot else []),
                    *(["-S"] if paused else []),
                    *(["-icount", f"shift={_SHIFT},sleep=on"] if counted else []),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=channels.values(),
            )

    def cut(self) -> None:
        """The power cut: SIGKILL. The card keeps what it acknowledged."""
        self._process.kill()
        self._process.wait(END_S)

    def wait(self, limit_s: float) -> int:
        """The exit status of a QEMU that ends by itself."""
        return self._process.wait(limit_s)


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    channel = socket.socket(socket.AF_UNIX)
    channel.bind(str(path))
    channel.listen(1)
    return channel


def _command(boot: Boot, card: Path, channels: dict[str, int]) -> list[str]:
    return [
        "qemu-system-aarch64",
        *("-M", "raspi3b"),
        *("-accel", "tcg,thread=single"),  # faster here than a thread a core: 36 s to a prompt, not 52 s
        *("-display", "none", "-nodefaults", "-no-reboot"),
        *("-kernel", str(boot.kernel), "-initrd", str(boot.initrd), "-dtb", str(boot.tree)),
        *("-append", " ".join(COMMAND_LINE)),
        # Every write goes to the file at once: otherwise a killed QEMU loses the table of its own file,
        # and with it commits that the card had acknowledged, which looks like a fault of the product.
        *("-drive", f"if=sd,format=qcow2,file={card},cache.writeback=off,cache.no-flush=on"),
        *_channel("console", channels),
        *("-serial", "chardev:console"),
        *_channel("qmp", channels),
        *("-mon", "chardev=qmp,mode=control"),
        *_channel("watch", channels),
        *("-mon", "chardev=watch,mode=control"),
        *_channel("memory", channels),
        # Writes registers while the guest runs; a debugger's channel would stop it for each.
        *("-object", "qtest,id=registers,chardev=memory"),
        *("-device", "usb-kbd,id=scanner,serial=scanner"),
        *("-trace", KEYS_LOST),
    ]


def _channel(name: str, channels: dict[str, int]) -> tuple[str, str]:
    return "-chardev", f"socket,id={name},fd={channels[name]},server=on,wait=off"
