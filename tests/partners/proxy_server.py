"""A proxy on loopback, in threads of its own: it opens tunnels, or plays a script instead."""

import base64
import contextlib
import socket
import struct
import threading

from limits import NET_S


class ProxyServer:
    """Takes CONNECT. For any name, the tunnel leads to 127.0.0.1.

    `play(connected, head)` answers in place of a tunnel. `credentials` are wanted as `name:password`.
    """

    def __init__(self, play=None, credentials=None):
        self._play, self._wanted = play, credentials
        self.heads = []
        """Each request up to its blank line."""
        self._open = set()
        self._threads = []

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._start(self._accept)
        return self

    def __exit__(self, kind, error, trace):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(NET_S)

    def cut(self):
        """Ends every connection."""
        for connected in tuple(self._open):
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    def _start(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                connected, _ = self._listener.accept()
                self._open.add(connected)
                self._start(self._serve, connected)

    def _serve(self, connected):
        with connected, contextlib.suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                data = connected.recv(1)
                if not data:
                    return
                head += data
            self.heads.append(head)
            if self._play is not None:
                self._play(connected, head)
            elif not self._may_pass(head):
                connected.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            else:
                self._tunnel(connected, int(head.split()[1].rpartition(b":")[2]))

    def _may_pass(self, head):
        given = base64.b64encode((self._wanted or "").encode())
        return self._wanted is None or b"Proxy-Authorization: Basic " + given + b"\r\n" in head

    def _tunnel(self, connected, port):
        try:
            onward = socket.create_connection(("127.0.0.1", port))
        except OSError:
            connected.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>the proxy's page</html>")
            return
        self._open.add(onward)
        with onward:
            connected.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(onward, connected), daemon=True)
            back.start()
            _pump(connected, onward)
            back.join()


def _pump(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def says(data):
    """Plays an answer, and waits for the other side to close; `received` holds what comes behind."""

    def play(connected, _head):
        connected.sendall(data)
        while more := connected.recv(4096):
            play.received += more

    play.received = b""
    return play


def drips(data):
    """Plays an answer byte by byte, without an end."""

    def play(connected, _head):
        while True:
            for at in range(len(data)):
                connected.sendall(data[at : at + 1])

    return play


def closes(data=b""):
    """Plays an answer, and closes."""

    def play(connected, _head):
        connected.sendall(data)

    return play


def resets(connected, _head):
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
