"""A partner behind real TLS, as a thread."""

import contextlib
import socket
import threading

from limits import NET_S


class TlsServer:
    """A TLS server in a thread: unlike asyncio's, it says why it refuses a handshake."""

    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

    def __init__(self, context):
        self._context = context
        self.received = b""

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(NET_S)
        self._listener.close()

    def _serve(self):
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                connected, _ = self._listener.accept()
                with connected, contextlib.suppress(OSError):
                    self._serve_one(self._context.wrap_socket(connected, server_side=True))

    def _serve_one(self, secured):
        with secured:
            while data := secured.recv(65536):
                self.received += data
                if self.received.endswith(b"}"):  # the requests are JSON objects
                    secured.sendall(self.answer)
