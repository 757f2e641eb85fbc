"""Two network namespaces with a real distance between them, and a line that can go down."""

from __future__ import annotations

import fcntl
import os
import shutil
import statistics
import struct
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from speed.rig import TESTS
from speed.row import Unavailable

NAME = "gatectl-speed"
NEAR, FAR = "10.213.0.1", "10.213.0.2"
"""In namespaces of their own, so nothing else can have them."""

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000

_CONNECT = """
import socket, sys, time
for _ in range(20):
    began = time.perf_counter()
    socket.create_connection((sys.argv[1], int(sys.argv[2]))).close()
    print(time.perf_counter() - began)
    time.sleep(0.02)
"""


class Line:
    """A context manager; inside, `near` and `far` are commands that execute the rest in a namespace.

    A round trip takes `delay_ms`, half of it each way: by `tc netem` where the kernel has it (then `how` is
    "veth and netem"), else by a delay line of our own between two tun devices. Everything is removed at the
    end; what a killed run left is removed by the next. Raises Unavailable.
    """

    def __init__(self, number: int, delay_ms: float) -> None:
        self.delay_ms = delay_ms
        self.how = ""
        self._names = [f"{NAME}-{os.getpid()}-{number}{end}" for end in "ab"]
        self._devices = [f"gtb{os.getpid() % 100_000}{number}{end}" for end in "ab"]
        self._delay: subprocess.Popen[bytes] | None = None
        self._stack = ExitStack()

    @property
    def near(self) -> list[str]:
        return ["ip", "netns", "exec", self._names[0]]

    @property
    def far(self) -> list[str]:
        return ["ip", "netns", "exec", self._names[1]]

    def __enter__(self) -> Self:
        require_namespaces()
        with ExitStack() as stack:
            for name in self._names:
                _ip("netns", "add", name)
                stack.callback(_ip, "netns", "del", name)
            try:
                self._by_netem()
            except Unavailable:
                self._by_tun(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _by_netem(self) -> None:
        first, second = self._devices
        _ip("link", "add", first, "type", "veth", "peer", "name", second)
        try:
            self._move_in()
            self._netem("add", loss=False)
        except Unavailable:
            _run("ip", "-n", self._names[0], "link", "del", first)
            raise
        self.how = "veth and netem"

    def _netem(self, verb: str, *, loss: bool) -> None:
        for name, device in zip(self._names, self._devices, strict=True):
            what = ["netem", "delay", f"{self.delay_ms / 2}ms", *(["loss", "100%"] if loss else [])]
            _run("tc", "-n", name, "qdisc", verb, "dev", device, "root", *what)

    def _by_tun(self, stack: ExitStack) -> None:
        ends = [_tun(device, stack) for device in self._devices]
        self._move_in()
        self._delay = subprocess.Popen(
            [sys.executable, "-m", "speed.delay", *map(str, ends), str(self.delay_ms / 2)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=ends,
            cwd=TESTS,
        )
        stack.callback(self._delay.wait)
        stack.callback(self._delay.communicate)
        self.how = "tun and a delay line of our own: this kernel has no netem"

    def _move_in(self) -> None:
        ends = (NEAR, FAR), (FAR, NEAR)
        for name, device, (own, other) in zip(self._names, self._devices, ends, strict=True):
            _ip("link", "set", device, "netns", name)
            _ip("-n", name, "addr", "add", own, "peer", other, "dev", device)
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "link", "set", device, "up")

    def down(self) -> None:
        """From now on every packet is lost, without notice to either side."""
        self._say("down")

    def up(self) -> None:
        self._say("up")

    def _say(self, what: str) -> None:
        if self._delay is None:
            self._netem("change", loss=what == "down")
            return
        assert self._delay.stdin is not None
        assert self._delay.stdout is not None
        self._delay.stdin.write(f"{what}\n".encode())
        self._delay.stdin.flush()
        self._delay.stdout.readline()

    def round_trip_s(self, port: int) -> float:
        """Measured: how long a connection to this port of the far side takes; the median of 20."""
        said = subprocess.run(
            [*self.near, sys.executable, "-c", _CONNECT, FAR, str(port)], check=True, capture_output=True
        )
        return statistics.median(map(float, said.stdout.split()))


def require_namespaces() -> None:
    """Raises Unavailable where there can be none; removes what killed runs left."""
    if os.geteuid() != 0:
        raise Unavailable("network namespaces need root")
    for tool in ("ip", "tc"):
        if shutil.which(tool) is None:
            raise Unavailable(f"there is no {tool}: the package iproute2 has it")
    for name in _run("ip", "netns", "list").split():
        prefix, _, rest = name.rpartition("-")
        pid = prefix.rpartition("-")[2]
        if name.startswith(f"{NAME}-") and rest and not Path(f"/proc/{pid}").exists():
            _ip("netns", "del", name)


def _tun(device: str, stack: ExitStack) -> int:
    """A descriptor of a new tun device, which lives as long as that."""
    try:
        end = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(f"this kernel has neither netem nor tun devices ({error})") from error
    stack.callback(os.close, end)
    fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH14x", device.encode(), _IFF_TUN | _IFF_NO_PI))
    return end


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        raise Unavailable(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout
