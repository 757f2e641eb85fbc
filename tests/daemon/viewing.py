"""A viewer at the control socket."""

import json
import socket

from limits import NET_S


class Viewer:
    """A connection that watches; `next` is the next line. `events`: also a line for each event."""

    def __init__(self, gym, *, events=False):
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(NET_S)
        self.connection.connect(str(gym.socket))
        request = {"command": "watch"} | ({"events": True} if events else {})
        self.connection.sendall(json.dumps(request).encode() + b"\n")
        self._lines = self.connection.makefile("rb")
        self.answer = self.next()

    def next(self):
        return json.loads(self._lines.readline())

    def until_finished(self):
        """Return when the line of an event has come; views before it are passed over."""
        while "event" not in self.next():
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._lines.close()
        self.connection.close()
