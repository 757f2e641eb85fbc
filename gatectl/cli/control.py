"""Speaking to the running daemon: one JSON line there, one back, over its Unix socket."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path
from typing import Any

from gatectl.errors import SUDO_OR_GROUP, GatectlError

PATIENCE_S = 10.0
"""The daemon answers within milliseconds; an opening by hand waits for a slow disk at most."""


class NotRunning(GatectlError):
    """No daemon listens on the socket."""


def call(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The daemon's answer to a request such as `{"command": "status"}`.

    Raises NotRunning where nobody listens, GatectlError where the daemon refuses or does not answer.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(PATIENCE_S)
            connection.connect(str(path))
            with contextlib.suppress(BrokenPipeError):  # a daemon that takes no more says so all the same
                connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as lines:
                line = lines.readline()
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NotRunning(
            f"gatectl is not running: nobody listens on {path}", "start it: systemctl start gatectl"
        ) from error
    except PermissionError as error:
        raise GatectlError(f"{path}: permission denied", SUDO_OR_GROUP) from error
    except OSError as error:
        raise GatectlError(f"{path}: the daemon did not answer ({error})") from error
    if not line.endswith(b"\n"):
        raise GatectlError(f"{path}: the daemon closed the connection without a whole answer")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise GatectlError(answer["error"], *answer.get("hints", ()))
    return answer
