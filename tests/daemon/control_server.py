"""A control socket with one answer, where a real daemon cannot be brought to give it."""

import contextlib
import json
import socket
import threading

from limits import NET_S


@contextlib.contextmanager
def daemon_that_answers(path, answer):
    """Answers one request on the socket; gives the list of what it was asked."""
    requests = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(NET_S)

        def serve():
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as lines:
                requests.append(json.loads(lines.readline()))
                connection.sendall(json.dumps(answer).encode() + b"\n")

        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield requests
        finally:
            serving.join()
    path.unlink()
