"""Ask the running daemon over its control socket, once."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any

from gatectl.decision.control_messages import (
    ANSWER_BYTES_MAX,
    NoAnswerError,
    RefusedError,
    answer_of,
    message_line,
)
from gatectl.errors import SUDO_OR_GROUP, GatectlError

PATIENCE_S = 10.0
"""The daemon answers within milliseconds; an opening by hand may also wait for a slow disk."""


class NotRunning(GatectlError):
    """No daemon listens on the socket."""


def call(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Return the daemon's answer to a request such as `{"command": "status"}`.

    Raises NotRunning if no daemon listens, GatectlError if it refuses or does not answer.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(PATIENCE_S)
            connection.connect(str(path))
            with contextlib.suppress(BrokenPipeError):  # a daemon at its limit answers before reading
                connection.sendall(message_line(request))
            with connection.makefile("rb") as lines:
                line = lines.readline(ANSWER_BYTES_MAX)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NotRunning(
            f"gatectl is not running: nobody listens on {path}", "start it: systemctl start gatectl"
        ) from error
    except PermissionError as error:
        raise GatectlError(f"{path}: permission denied", SUDO_OR_GROUP) from error
    except OSError as error:
        raise GatectlError(f"{path}: the daemon did not answer ({error})") from error
    try:
        return answer_of(line)
    except RefusedError as refused:
        raise GatectlError(str(refused), *refused.hints) from refused
    except NoAnswerError as error:
        raise GatectlError(f"{path}: the daemon closed the connection without a whole answer") from error
