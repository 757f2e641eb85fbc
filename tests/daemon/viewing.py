"""A viewer at the control socket."""

import json
import socket

from lines import NET_S


class Viewer:
    """A connection that watches; `next` is the next line."""

    def __init__(self, gym):
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(NET_S)
        self.connection.connect(str(gym.socket))
        self.connection.sendall(b'{"command": "watch"}\n')
        self._lines = self.connection.makefile("rb")
        self.answer = self.next()

    def next(self):
        return json.loads(self._lines.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._lines.close()
        self.connection.close()
