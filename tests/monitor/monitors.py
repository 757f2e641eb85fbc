"""Running monitors, and a gym to look at."""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

from limits import NET_S

from gatectl.monitor.password import TRIES, TRY_AGAIN_S
from gatectl.sim.protocols import PROTOCOLS
from gatectl.sim.simulated_door import demo_settings


@contextmanager
def monitor(settings, *arguments, **more):
    """`gatectl monitor` as a process of its own; gives its address."""
    with monitor_process(settings, *arguments, **more) as (_, address):
        yield address


@contextmanager
def monitor_process(settings, *arguments, listen="127.0.0.1:0", descriptors=1024, cwd=None, **environ):
    """The process too, which must end in order and without a word more than were read."""
    where = [] if listen is None else ["--listen", listen]
    command = [sys.executable, "-m", "gatectl", "monitor", "-c", settings, *where, *arguments]
    process = subprocess.Popen(
        ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *command],
        stderr=subprocess.PIPE,
        encoding="utf-8",
        cwd=cwd,
        env={name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"} | environ,
    )
    try:
        line = process.stderr.readline()
        found = re.search(r"http://\S+:\d+", line)
        assert found, line + process.stderr.read()
        yield process, found[0]
    finally:
        process.terminate()
        rest = process.stderr.read()
        process.stderr.close()
        assert (process.wait(NET_S), rest) == (0, "")


def require_limit(took_s, statuses):
    """Of wrong passwords that were tried within this time five are compared, and one more per ten seconds."""
    assert set(statuses) <= {403, 429}
    assert statuses.count(403) <= TRIES + took_s / TRY_AGAIN_S
    assert statuses.count(403) >= TRIES or 429 not in statuses


def try_until_refused(sign_in):
    """Try a wrong password until none is compared any more; `sign_in` returns the status."""
    begun_s, statuses = time.monotonic(), []
    while 429 not in statuses:
        statuses.append(sign_in())
        require_limit(time.monotonic() - begun_s, statuses)


BAD_GATEWAY = (
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 40\r\nConnection: close\r\n\r\n"
    b"<html><h1>502 Bad Gateway</h1>nginx</html"
)[:-1]


class Proxy:
    """A connection to a monitor that can be cut and restored; a context manager."""

    def __init__(self, address, name="127.0.0.1"):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://{name}:{self._listener.getsockname()[1]}"
        self._ends = set()
        self._lock = threading.Lock()
        self.lead_to(address)
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self, answer=b""):
        """Every connection is closed, and so is each that comes, after this answer."""
        with self._lock:
            self._is_cut, self._answer = True, answer
            for end in self._ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def swallow(self):
        """Take and drop the bytes of every connection; close none."""
        self._swallows = True

    def lead_to(self, address):
        """Restore the connection, to this monitor."""
        host, _, port = address.removeprefix("http://").rpartition(":")
        with self._lock:
            self._target = (host, int(port))
            self._is_cut = self._swallows = False

    def _accept(self):
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                with self._lock:
                    if self._is_cut:
                        if self._answer:
                            near.recv(65536)
                            near.sendall(self._answer)
                        near.close()
                        continue
                    far = socket.create_connection(self._target)
                    self._ends |= {near, far}
                for ends in ((near, far), (far, near)):
                    thread = threading.Thread(target=self._hand_on, args=ends)
                    self._threads.append(thread)
                    thread.start()

    def _hand_on(self, source, target):
        with suppress(OSError):
            while data := source.recv(65536):
                if not self._swallows:
                    target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in (self._listener, *self._ends):
            end.close()


def write_closed_gym(folder):
    settings = folder / "gatectl.toml"
    settings.write_text(demo_settings("".join(map(_partner_section, PROTOCOLS.values()))), "utf-8")
    return settings


def _partner_section(protocol):
    """The section of a partner that is never asked: one for each protocol, as the demo's routes need them."""
    lines = (
        f"[partners.{protocol.name}]",
        f'protocol = "{protocol.name}"',
        f'url = "https://api.example.com{protocol.url_path}"',
        *protocol.settings,
        f'key = {{ file = "{protocol.name}" }}',
    )
    return "\n".join(lines) + "\n"
