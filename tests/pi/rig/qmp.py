"""QEMU's own control channel, as far as the rig needs it. The protocol: QEMU's docs/interop/qmp-spec.txt."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

ANSWER_S = 300.0
"""The longest command is `savevm`: under a second alone, more where the machine is shared."""


class QmpError(Exception):
    """QEMU refused a command."""


class Qmp:
    """A connection; one thread at a time. ConnectionError where QEMU is gone."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(ANSWER_S)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rb")
        self.events: list[dict[str, Any]] = []
        self._read()  # the greeting
        self("qmp_capabilities")

    def __call__(self, command: str, **arguments: Any) -> Any:
        """Executes a command and returns its value. Raises QmpError."""
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            answer = self._read()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise QmpError(f"{command}: {answer['error']['desc']}")
            else:
                return answer["return"]

    def monitor(self, line: str) -> str:
        """A command of the human monitor: `savevm` and `xp` have no other form in QEMU 7.2."""
        said: str = self("human-monitor-command", **{"command-line": line})
        if said.startswith("Error"):
            raise QmpError(f"{line}: {said.strip()}")
        return said

    def words(self, address: int, count: int = 1) -> list[int]:
        """32-bit words of physical memory, devices included."""
        said = self.monitor(f"xp /{count}wx {address:#x}")
        return [int(word, 16) for line in said.splitlines() for word in line.partition(":")[2].split()]

    def wait_for(self, event: str, **data: Any) -> None:
        """Returns when this event came, or has come since the connection was made; each is taken once."""
        while True:
            for come in self.events:
                if come["event"] == event and data.items() <= come.get("data", {}).items():
                    self.events.remove(come)
                    return
            self.events.append(self._read())

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def _read(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise ConnectionError("QEMU is gone")
        message: dict[str, Any] = json.loads(line)
        return message
