"""A partner in a process of its own: Wellhub's check-in over TLS, quick, and each request stamped.

    python -m speed.partner FOLDER ADDRESS PORTS [--seed N] [--hostile BUDGET_MS] [--at PORT,PORT…]

`FOLDER` holds its certificate. It says its ports in one line of JSON, and then answers each line on its
standard input with one of JSON: `take` gives the stamps since the last one, `close` closes every connection
and gives their number. It ends with its input.

A thread a connection, blocking: what it costs between the request's last byte and the answer is little,
and the same for whoever asks.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import socket
import ssl
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Any

from speed.answers import Script, kind_of, script_of

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_MEMBER = re.compile(rb'"gympass_id": ?"([0-9]{13})"')
_LINGER_NOT = struct.pack("ii", 1, 0)


Stamp = list[Any]
"""Member, kind, when the request's last byte was here, when the answer's last one went (None: never)."""


class Partner:
    """All its connections, and their stamps."""

    def __init__(self, context: ssl.SSLContext, seed: int, budget_s: float | None) -> None:
        self._context = context
        self._seed = seed
        self._budget_s = budget_s
        self._stamps: list[Stamp] = []
        self._open: set[ssl.SSLSocket] = set()

    def take(self) -> list[Stamp]:
        taken, self._stamps = self._stamps, []
        return taken

    def accept(self, listener: socket.socket) -> None:
        """Serves one port, for as long as the process lives."""
        while True:
            connected, _ = listener.accept()
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connected,), daemon=True).start()

    def _serve(self, connected: socket.socket) -> None:
        with contextlib.suppress(OSError), self._context.wrap_socket(connected, server_side=True) as wire:
            self._open.add(wire)
            try:
                while self._answer(wire):
                    pass
            finally:
                self._open.discard(wire)

    def close_all(self) -> int:
        """Ends every connection, as a server does with those that were idle for too long."""
        closing = list(self._open)
        for wire in closing:
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
        return len(closing)

    def _answer(self, wire: ssl.SSLSocket) -> bool:
        """One request; whether another may follow."""
        member = _read(wire)
        received = time.monotonic()
        if member is None:
            return False
        kind = kind_of(self._seed, member, hostile=self._budget_s is not None)
        script = script_of(kind, self._seed, member, self._budget_s or 0.0)
        stamp: Stamp = [member, kind, received, None]
        self._stamps.append(stamp)
        try:
            _play(wire, script, stamp)
        finally:
            _end(wire, script)
        return script.end == "kept"


def _read(wire: ssl.SSLSocket) -> str | None:
    """The member of a whole request; None at the end of the connection."""
    data = b""
    while True:
        more = wire.recv(65536)
        if not more:
            return None
        data += more
        head, found, body = data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if found and len(body) >= (int(length[1]) if length else 0):
            member = _MEMBER.search(body)
            return member[1].decode() if member else ""


def _play(wire: ssl.SSLSocket, script: Script, stamp: Stamp) -> None:
    """Stamps just before each step: the other side may have it before `sendall` returns."""
    for step in script.steps:
        if step.after_s:
            time.sleep(step.after_s)
        stamp[3] = time.monotonic()
        wire.sendall(step.data)


def _end(wire: ssl.SSLSocket, script: Script) -> None:
    if script.end == "reset":
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    if script.end == "open":
        with contextlib.suppress(OSError):
            wire.recv(1)


def main() -> None:
    """Serves until the input ends."""
    parser = argparse.ArgumentParser(prog="speed.partner")
    parser.add_argument("folder", type=Path)
    parser.add_argument("address")
    parser.add_argument("ports", type=int)
    parser.add_argument("--at", type=lambda text: [int(port) for port in text.split(",")])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hostile", type=int, metavar="BUDGET_MS")
    given = parser.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(given.folder / "partner.pem")
    partner = Partner(context, given.seed, None if given.hostile is None else given.hostile / 1000)
    ports = []
    for port in given.at or [0] * given.ports:
        listener = socket.create_server((given.address, port), backlog=64)
        ports.append(listener.getsockname()[1])
        threading.Thread(target=partner.accept, args=(listener,), daemon=True).start()
    print(json.dumps(ports), flush=True)
    for line in sys.stdin:
        print(json.dumps(partner.close_all() if line == "close\n" else partner.take()), flush=True)


if __name__ == "__main__":
    main()
